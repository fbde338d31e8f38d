"""How many RAMs of a part a memory becomes: what Yosys' memory_libmap does with a `ram.Ram`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from stepnet_hdl.fpga.family import Family

MUX_COST = 0.5
"""Cost of a bit of a 2:1 mux, and of the write enable of a bank. A bit of a memory of flip-flops
costs 1."""


@dataclass(frozen=True)
class RamMapping:
    """What a memory becomes.

    block_rams, lut_rams: at most one of them is not 0; with neither it is flip-flops.
    banks: RAMs above each other, whose outputs a mux joins.
    depth: words that just as many RAMs in just as many banks hold.
    """

    block_rams: int
    lut_rams: int
    banks: int
    depth: int


@cache
def map_ram(family: Family, width: int, depth: int) -> RamMapping:
    """What Yosys makes of `depth` words of `width` bits with one port to write and one to read.

    It takes the cheapest of all kinds and widths of RAM, of equal ones the first: RAMs count by
    their cost, and where words are banked above each other, every bit of the mux behind them.
    Source: Yosys 0.70, passes/memory/memory_libmap.cc, and the libraries that it reads.
    """
    cost, mapping = min(_mappings(family, width, depth), key=lambda candidate: candidate[0])
    if family.lut_ram is None and width * depth <= cost + family.block_ram.reset_cost:
        return RamMapping(block_rams=0, lut_rams=0, banks=1, depth=depth)
    return mapping


def _mappings(family: Family, width: int, depth: int) -> Iterator[tuple[float, RamMapping]]:
    """Every way to make the memory, with its cost."""
    for kind in (family.block_ram, family.lut_ram):
        if kind is None:
            continue
        for word_bits, words in kind.shapes:
            byte_bits = min(kind.byte_bits, word_bits)
            banks = -(-depth // words)
            rams = -(-banks * -(-width // byte_bits) * byte_bits // word_bits)
            used = banks * width / word_bits if kind.scales_with_width else rams
            cost = kind.cost * used
            if banks > 1:
                cost += MUX_COST * (width * (banks - 1) + banks)
            if word_bits == kind.widest_bits:
                rams *= kind.rams_at_widest
            is_block = kind is family.block_ram
            yield (
                cost,
                RamMapping(
                    block_rams=rams if is_block else 0,
                    lut_rams=0 if is_block else rams,
                    banks=banks,
                    depth=banks * words,
                ),
            )
