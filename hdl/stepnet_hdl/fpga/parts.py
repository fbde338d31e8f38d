"""What FPGA parts have: LUTs and memories, from their data sheets; a row of `PARTS` each."""

from __future__ import annotations

import difflib
from dataclasses import dataclass

from stepnet.errors import BuildError
from stepnet_hdl.fpga.families.ecp5 import ECP5
from stepnet_hdl.fpga.families.gowin import GW1N, GW2A, GW5A
from stepnet_hdl.fpga.families.ice40 import ICE40
from stepnet_hdl.fpga.family import Family

SPRAM_WORDS = 16384


SPRAM_BITS = 16
"""Depth and width of the UP5K's single-port RAM, SB_SPRAM256KA (Lattice FPGA-TN-02022)."""


@dataclass(frozen=True)
class Part:
    """An FPGA part, as its data sheet describes it.

    name: as Amaranth's platforms name it; of Gowin's, what those call the family.
    luts: how many, of four inputs.
    block_rams: how many, of `family.block_ram`.
    single_port_rams: how many, of `SPRAM_WORDS` words of `SPRAM_BITS` bits.
    packages: that the open tools know, by the names of Amaranth's platforms; empty where the part's
        whole name has the package, as with Gowin.
    oscillators: inside it, by the names that Amaranth's platforms have for `default_clk`.
    """

    name: str
    family: Family
    luts: int
    block_rams: int
    single_port_rams: int = 0
    packages: tuple[str, ...] = ()
    oscillators: tuple[str, ...] = ()

    @property
    def single_port_bits(self) -> int:
        """Bits of all memory that has a single port."""
        return self.single_port_rams * SPRAM_WORDS * SPRAM_BITS

    @property
    def memory_bits(self) -> int:
        """Bits of all memory."""
        return self.block_rams * self.family.block_ram.bits + self.single_port_bits


_LP1K = ("SWG16TR", "CM36", "CM49", "CM81", "CB81", "CM121", "CB121", "QN84")
_LP8K = ("CM81", "CM121", "CM225")
_HX1K = ("VQ100", "CB132", "TQ144")
_HX4K = ("BG121", "CB132", "TQ144")
_HX8K = ("BG121", "CB132", "CM225", "CT256")
_UP5K = ("SG48", "UWG30")
_ECP5_25 = ("BG256", "MG285", "BG381")
_ECP5_45 = ("BG256", "MG285", "BG381", "BG554")
_ECP5_85 = ("MG285", "BG381", "BG554", "BG756")
"""Packages: of iCE40 those in the databases of Project IceStorm, of ECP5 those in Project
Trellis'."""

_OSCG = ("OSCG",)
_OSC = ("OSC",)
"""Oscillators inside: of ECP5, and of Gowin."""

PARTS = {
    part.name: part
    for part in (
        # Lattice FPGA-DS-02029 (LP and HX; the free tools open the HX4K, which is the HX8K's die)
        # and FPGA-DS-02008 (UltraPlus).
        Part("iCE40LP1K", ICE40, luts=1_280, block_rams=16, packages=_LP1K),
        Part("iCE40LP8K", ICE40, luts=7_680, block_rams=32, packages=_LP8K),
        Part("iCE40HX1K", ICE40, luts=1_280, block_rams=16, packages=_HX1K),
        Part("iCE40HX4K", ICE40, luts=7_680, block_rams=32, packages=_HX4K),
        Part("iCE40HX8K", ICE40, luts=7_680, block_rams=32, packages=_HX8K),
        Part(
            "iCE40UP5K",
            ICE40,
            luts=5_280,
            block_rams=30,
            single_port_rams=4,
            packages=_UP5K,
            oscillators=("SB_HFOSC", "SB_LFOSC"),
        ),
        # Lattice FPGA-DS-02012. The 12F is the 25F's die, and the free tools open all of it.
        Part("LFE5U-12F", ECP5, luts=24_288, block_rams=56, packages=_ECP5_25, oscillators=_OSCG),
        Part("LFE5U-25F", ECP5, luts=24_288, block_rams=56, packages=_ECP5_25, oscillators=_OSCG),
        Part("LFE5UM-25F", ECP5, luts=24_288, block_rams=56, packages=_ECP5_25, oscillators=_OSCG),
        Part(
            "LFE5UM5G-25F", ECP5, luts=24_288, block_rams=56, packages=_ECP5_25, oscillators=_OSCG
        ),
        Part("LFE5U-45F", ECP5, luts=43_848, block_rams=108, packages=_ECP5_45, oscillators=_OSCG),
        Part("LFE5UM-45F", ECP5, luts=43_848, block_rams=108, packages=_ECP5_45, oscillators=_OSCG),
        Part(
            "LFE5UM5G-45F", ECP5, luts=43_848, block_rams=108, packages=_ECP5_45, oscillators=_OSCG
        ),
        Part("LFE5U-85F", ECP5, luts=83_640, block_rams=208, packages=_ECP5_85, oscillators=_OSCG),
        Part("LFE5UM-85F", ECP5, luts=83_640, block_rams=208, packages=_ECP5_85, oscillators=_OSCG),
        Part(
            "LFE5UM5G-85F", ECP5, luts=83_640, block_rams=208, packages=_ECP5_85, oscillators=_OSCG
        ),
        # Gowin DS100 (GW1N), DS117 (GW1NR), DS102 (GW2A), DS226 (GW2AR) and DS1103 (GW5A).
        Part("GW1N-1", GW1N, luts=1_152, block_rams=4, oscillators=_OSC),
        Part("GW1NR-9C", GW1N, luts=8_640, block_rams=26, oscillators=_OSC),
        Part("GW2A-18C", GW2A, luts=20_736, block_rams=46, oscillators=_OSC),
        Part("GW2AR-18C", GW2A, luts=20_736, block_rams=46, oscillators=_OSC),
        Part("GW5A-25A", GW5A, luts=23_040, block_rams=56),
    )
}
"""Every part that an engine, a pipeline or an estimate is made for, by its name."""

FAMILIES = tuple(dict.fromkeys(part.family for part in PARTS.values()))
"""The families of all parts, each once."""


def find_part(name: str) -> Part:
    """The part of that name; BuildError with the nearest names if there is none."""
    if name in PARTS:
        return PARTS[name]
    near = difflib.get_close_matches(name, PARTS, n=3, cutoff=0.7)
    hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(PARTS)}."
    raise BuildError(f"There is no part {name!r}; {hint}")


def part_name_of(platform: object) -> str | None:
    """What a platform of Amaranth, an object or a class, calls its part; None if it names none."""
    names = (getattr(platform, family.part_attribute, None) for family in FAMILIES)
    return next((name for name in names if isinstance(name, str)), None)


def part_of(platform: object) -> Part | None:
    """The part of a platform of Amaranth, an object or a class; None for one that names no part, or
    one that is not in `PARTS`."""
    return PARTS.get(part_name_of(platform) or "")


def has_single_port_ram(platform: object) -> bool:
    """Whether the part of `platform` has RAMs of the kind SB_SPRAM256KA."""
    part = part_of(platform)
    return part is not None and part.single_port_rams > 0
