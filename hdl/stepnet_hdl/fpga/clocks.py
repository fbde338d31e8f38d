"""The clock of a chip on a board: the oscillator as it is, or what a PLL makes of it."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any, TypeAlias

from amaranth.hdl import C, ClockDomain, ClockSignal, Instance, Module, Signal
from amaranth.lib import io
from amaranth.lib.cdc import ResetSynchronizer
from amaranth.vendor import LatticeECP5Platform, LatticeICE40Platform

from stepnet.errors import BuildError
from stepnet.link.serial_line import MIN_DIVISOR

ICE_REFERENCE_HZ = (10_000_000, 133_000_000)
ICE_OSCILLATOR_HZ = (533_000_000, 1_066_000_000)
ICE_FILTER_RANGE_LIMITS_HZ = (17e6, 26e6, 44e6, 66e6, 101e6)
"""Limits of the iCE40's PLL: phase detector input, VCO, and the input frequencies up to which each
FILTER_RANGE from 1 on holds (Lattice FPGA-TN-02052)."""

ICE_PLL_PADS = {
    ("iCE40UP5K", "SG48"): ("35",),
    ("iCE40UP5K", "UWG30"): ("B3",),
    ("iCE40HX8K", "CT256"): ("F7", "R9"),
    ("iCE40HX4K", "TQ144"): ("49", "129"),
}
"""Pins that feed a PLL directly, by part and package (Lattice FPGA-DS-02008, FPGA-DS-02029). A PLL
at such a pin takes it away from the logic; any other clock reaches a PLL through the logic."""

ECP5_REFERENCE_HZ = (10_000_000, 400_000_000)
ECP5_OSCILLATOR_HZ = (400_000_000, 800_000_000)
ECP5_MAX_DIVIDER = 128
"""Limits of the ECP5's PLL: phase detector input, VCO, and every divider (Lattice
FPGA-DS-02012)."""

CLOCK_STEP_HZ = 1_000_000
"""Clocks from a PLL are whole megahertz, which the usual fast baud rates divide."""

MAX_BAUD_ERROR = 0.005
"""For the choice of a clock; a board's own oscillator may be off by more, see `uart`."""


@dataclass(frozen=True)
class IcePll:
    """Dividers of an SB_PLL40 with simple feedback:
    `output = input / (divr + 1) * (divf + 1) / 2^divq`."""

    divr: int
    divf: int
    divq: int
    filter_range: int

    @classmethod
    def solve(cls, input_hz: float, output_hz: float) -> IcePll | None:
        """The dividers that give exactly `output_hz`; None if there are none."""
        for divr in range(16):
            reference_hz = Fraction(input_hz) / (divr + 1)
            if not _within(reference_hz, ICE_REFERENCE_HZ):
                continue
            for divq in range(1, 7):
                oscillator_hz = Fraction(output_hz) * (1 << divq)
                multiplier = oscillator_hz / reference_hz
                if (
                    _within(oscillator_hz, ICE_OSCILLATOR_HZ)
                    and multiplier.denominator == 1
                    and multiplier <= 128
                ):
                    above = [limit for limit in ICE_FILTER_RANGE_LIMITS_HZ if reference_hz > limit]
                    return cls(divr, int(multiplier) - 1, divq, 1 + len(above))
        return None


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
        for clki_div in range(1, ECP5_MAX_DIVIDER + 1):
            reference_hz = Fraction(input_hz) / clki_div
            if not _within(reference_hz, ECP5_REFERENCE_HZ):
                continue
            for clkop_div in range(1, ECP5_MAX_DIVIDER + 1):
                oscillator_hz = reference_hz * clkop_div
                clkos_div = oscillator_hz / Fraction(output_hz)
                if (
                    _within(oscillator_hz, ECP5_OSCILLATOR_HZ)
                    and clkos_div.denominator == 1
                    and clkos_div <= ECP5_MAX_DIVIDER
                ):
                    return cls(clki_div, clkop_div, int(clkos_div))
        return None


Pll: TypeAlias = IcePll | Ecp5Pll


def solve_pll(platform: Any, output_hz: float) -> Pll | None:
    """Dividers by which the PLL of `platform`'s part makes `output_hz` of its default clock; None
    if it cannot, or if Stepnet drives no PLL of that family."""
    input_hz = platform.default_clk_frequency
    if isinstance(platform, LatticeICE40Platform):
        return IcePll.solve(input_hz, output_hz)
    if isinstance(platform, LatticeECP5Platform):
        return Ecp5Pll.solve(input_hz, output_hz)
    return None


def fastest_clock_hz(platform: Any, limit_hz: float, baud: int) -> int:
    """The largest clock up to `limit_hz` that the board can make and that divides into `baud`.

    It is the oscillator's own, or whole megahertz from a PLL. Where neither fits, it is the
    oscillator's all the same, and what becomes of that the caller finds out.
    """
    oscillator_hz = round(platform.default_clk_frequency)
    slowest_hz = oscillator_hz if oscillator_hz <= limit_hz else 0
    for clock_hz in range(
        int(limit_hz) // CLOCK_STEP_HZ * CLOCK_STEP_HZ, slowest_hz, -CLOCK_STEP_HZ
    ):
        if divides(clock_hz, baud) and solve_pll(platform, clock_hz) is not None:
            return clock_hz
    return oscillator_hz


def divides(clock_hz: int, baud: int) -> bool:
    """Whether a whole number of clock cycles makes a bit of `baud`, to half a percent."""
    divisor = round(clock_hz / baud)
    return divisor >= MIN_DIVISOR and abs(clock_hz / divisor / baud - 1) <= MAX_BAUD_ERROR


def pll_for(platform: Any, clock_hz: int) -> Pll | None:
    """The PLL between the board's default clock and `clock_hz`; None if they are the same.

    Raises BuildError if no PLL makes it.
    """
    oscillator_hz = platform.default_clk_frequency
    if clock_hz == round(oscillator_hz):
        return None
    pll = solve_pll(platform, clock_hz)
    if pll is None:
        raise BuildError(
            f"No PLL of this part makes {clock_hz / 1e6:g} MHz from {oscillator_hz / 1e6:g} MHz; "
            "choose a multiple of the oscillator's frequency."
        )
    return pll


def add_clock_domain(m: Module, platform: Any, pll: Pll) -> None:
    """Drive domain `sync` with what `pll` makes of the board's default clock, and keep it in reset
    until the PLL has locked. Without a PLL, Amaranth itself makes the domain."""
    locked = Signal()
    m.domains.sync = ClockDomain()
    if isinstance(pll, IcePll):
        m.submodules.pll = _ice_pll(m, platform, pll, locked)
    else:
        m.submodules.pll = _ecp5_pll(m, platform, pll, locked)
    m.submodules.reset = ResetSynchronizer(~locked)


def _ice_pll(m: Module, platform: Any, pll: IcePll, locked: Signal) -> Instance:
    pin = platform.request(platform.default_clk, dir="-")
    (name,) = platform.lookup(platform.default_clk).ios[0].names
    if name in ICE_PLL_PADS.get((platform.device, platform.package), ()):
        cell, reference = "SB_PLL40_PAD", {"i_PACKAGEPIN": pin.io}
    else:
        m.submodules.clock_buffer = buffer = io.Buffer(io.Direction.Input, pin)
        cell, reference = "SB_PLL40_CORE", {"i_REFERENCECLK": buffer.i}
    return Instance(
        cell,
        p_FEEDBACK_PATH="SIMPLE",
        p_DIVR=C(pll.divr, 4),
        p_DIVF=C(pll.divf, 7),
        p_DIVQ=C(pll.divq, 3),
        p_FILTER_RANGE=C(pll.filter_range, 3),
        i_RESETB=C(1),
        i_BYPASS=C(0),
        o_PLLOUTGLOBAL=ClockSignal(),
        o_LOCK=locked,
        **reference,
    )


def _ecp5_pll(m: Module, platform: Any, pll: Ecp5Pll, locked: Signal) -> Instance:
    pin = platform.request(platform.default_clk, dir="-")
    m.submodules.clock_buffer = buffer = io.Buffer(io.Direction.Input, pin)
    feedback = Signal()
    return Instance(
        "EHXPLLL",
        # Loop filter: the values of Trellis' ecppll, which are those of Lattice's own tool.
        a_ICP_CURRENT="12",
        a_LPF_RESISTOR="8",
        a_MFG_ENABLE_FILTEROPAMP="1",
        a_MFG_GMCREF_SEL="2",
        p_FEEDBK_PATH="CLKOP",
        p_CLKI_DIV=pll.clki_div,
        p_CLKFB_DIV=1,
        p_CLKOP_ENABLE="ENABLED",
        p_CLKOP_DIV=pll.clkop_div,
        p_CLKOP_CPHASE=pll.clkop_div - 1,
        p_CLKOS_ENABLE="ENABLED",
        p_CLKOS_DIV=pll.clkos_div,
        p_CLKOS_CPHASE=pll.clkos_div - 1,
        i_CLKI=buffer.i,
        i_CLKFB=feedback,
        i_RST=C(0),
        i_STDBY=C(0),
        i_ENCLKOP=C(1),
        i_ENCLKOS=C(1),
        o_CLKOP=feedback,
        o_CLKOS=ClockSignal(),
        o_LOCK=locked,
    )


def _within(value: Fraction, limits: tuple[int, int]) -> bool:
    return limits[0] <= value <= limits[1]
