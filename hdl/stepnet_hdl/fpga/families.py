"""FPGA families: what parts of one architecture have in common."""

from __future__ import annotations

from dataclasses import dataclass

from stepnet.errors import BuildError


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


def family_of(part: str) -> Family:
    """The family of a part of `boards.PARTS`; BuildError if it is none of the known ones."""
    for start, family in _FAMILIES.items():
        if part.startswith(start):
            return family
    raise BuildError(
        f"There is no estimate for the part {part!r}; choose one whose name starts with "
        f"{', '.join(_FAMILIES)}."
    )
