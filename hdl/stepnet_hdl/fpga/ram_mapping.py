"""How many RAMs of a part a memory becomes: what Yosys' memory_libmap does with a `ram.Ram`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from stepnet.errors import BuildError

MUX_COST = 0.5
"""Cost of a bit of a 2:1 mux, and of the write enable of a bank."""

EMULATION_COST = 10
"""Cost of the reset of the read register beside a block RAM of a family without LUT RAM. A bit of a
memory of flip-flops costs 1."""


@dataclass(frozen=True)
class RamKind:
    """A RAM of a family, as Yosys' library describes it.

    shapes: width of a word, and how many words there are at that width.
    byte_bits: of a word that can be written apart; words of several banks share a RAM by that.
    cost: of one RAM, in the unit of `MUX_COST`.
    """

    shapes: tuple[tuple[int, int], ...]
    byte_bits: int
    cost: int


@dataclass(frozen=True)
class Family:
    """What parts of one architecture have in common.

    name: as Lattice and Gowin call it.
    block_ram, lut_ram: its RAMs; lut_ram is None where LUTs are no RAM.
    luts_per_lut_ram: LUT4 sites that a LUT RAM takes.
    output_registers: block RAMs have a register behind what they read, and builds use it.
    """

    name: str
    block_ram: RamKind
    lut_ram: RamKind | None = None
    luts_per_lut_ram: int = 0
    output_registers: bool = False


_LUT_RAM = RamKind(((4, 16),), byte_bits=4, cost=4)
_BLOCK_RAM_18K = RamKind(
    ((1, 16384), (2, 8192), (4, 4096), (9, 2048), (18, 1024), (36, 512)), byte_bits=9, cost=128
)

ICE40 = Family("iCE40", RamKind(((2, 2048), (4, 1024), (8, 512), (16, 256)), byte_bits=1, cost=64))
ECP5 = Family("ECP5", _BLOCK_RAM_18K, _LUT_RAM, luts_per_lut_ram=6, output_registers=True)
GOWIN = Family("Gowin", _BLOCK_RAM_18K, _LUT_RAM, luts_per_lut_ram=4)

_FAMILIES = {"iCE40": ICE40, "LFE5U": ECP5, "GW1N": GOWIN, "GW2A": GOWIN}
"""By the start of a part's name in `boards.PARTS`."""


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


def family_of(part: str) -> Family:
    """The family of a part of `boards.PARTS`; BuildError if it is none of the known ones."""
    for start, family in _FAMILIES.items():
        if part.startswith(start):
            return family
    raise BuildError(
        f"There is no estimate for the part {part!r}; choose one whose name starts with "
        f"{', '.join(_FAMILIES)}."
    )


@cache
def map_ram(family: Family, width: int, depth: int) -> RamMapping:
    """What Yosys makes of `depth` words of `width` bits with one port to write and one to read.

    It takes the cheapest of all kinds and widths of RAM, of equal ones the first: RAMs count by
    their cost, and where words are banked above each other, every bit of the mux behind them.
    Source: Yosys 0.70, passes/memory/memory_libmap.cc, and the libraries that it reads.
    """
    cost, mapping = min(_mappings(family, width, depth), key=lambda candidate: candidate[0])
    if family.lut_ram is None and width * depth <= cost + EMULATION_COST:
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
            cost = kind.cost * rams
            if banks > 1:
                cost += MUX_COST * (width * (banks - 1) + banks)
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
