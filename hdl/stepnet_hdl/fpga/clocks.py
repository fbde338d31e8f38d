"""The clock of a chip on a board: the oscillator as it is, or what a PLL makes of it."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import ClockDomain, Module, Signal
from amaranth.lib.cdc import ResetSynchronizer

from stepnet.errors import BuildError
from stepnet.link.serial_line import CHOSEN_BAUD_ERROR, divisor_for
from stepnet_hdl.fpga.parts import part_name_of, part_of
from stepnet_hdl.fpga.pll import Pll, comes_from_a_pin

CLOCK_STEP_HZ = 1_000_000
"""Clocks from a PLL are whole megahertz, which the usual fast baud rates divide."""


def solve_pll(platform: Any, output_hz: float) -> Pll | None:
    """The PLL of `platform`'s part that makes `output_hz` of its default clock; None if there is
    none that does."""
    part = part_of(platform)
    package = (part_name_of(platform), getattr(platform, "package", None))
    if part is None or package in part.family.packages_without_pll:
        return None
    if not comes_from_a_pin(platform) and platform.default_clk not in part.family.oscillators:
        return None
    return part.family.solve_pll(platform.default_clk_frequency, output_hz)


def fastest_clock_hz(platform: Any, limit_hz: float, baud: int | None) -> int:
    """The largest clock up to `limit_hz` that the board can make and that divides into `baud`.

    baud: of the serial line; None for a wire that brings its own clock.

    It is the oscillator's own, or whole megahertz from a PLL. Where neither fits, it is the
    oscillator's all the same, and what becomes of that the caller finds out.
    """
    oscillator_hz = round(platform.default_clk_frequency)
    slowest_hz = oscillator_hz if oscillator_hz <= limit_hz else 0
    for clock_hz in range(
        int(limit_hz) // CLOCK_STEP_HZ * CLOCK_STEP_HZ, slowest_hz, -CLOCK_STEP_HZ
    ):
        suits = baud is None or divides(clock_hz, baud)
        if suits and solve_pll(platform, clock_hz) is not None:
            return clock_hz
    return oscillator_hz


def divides(clock_hz: int, baud: int) -> bool:
    """Whether some number of clock cycles, see `divisor_for`, makes a bit of `baud`, to
    `CHOSEN_BAUD_ERROR`. A board's own oscillator may be off by more."""
    try:
        divisor = divisor_for(clock_hz, baud)
    except BuildError:
        return False
    return abs(clock_hz / divisor / baud - 1) <= CHOSEN_BAUD_ERROR


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
    pll.add_to(m, platform, locked)
    m.submodules.reset = ResetSynchronizer(~locked)
