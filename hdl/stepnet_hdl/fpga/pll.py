"""What the PLLs of all families have in common: what is asked of one, and how its clock comes."""

from __future__ import annotations

from fractions import Fraction
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from amaranth.hdl import Instance, Module, Signal


class Pll(Protocol):
    """The dividers by which a PLL makes the chip's clock from the board's default clock."""

    def add_to(self, m: Module, platform: Any, locked: Signal) -> None:
        """Add the PLL to `m`. It drives the clock of the domain `sync`, and `locked` with 1 when
        that clock is steady.

        platform: the board, whose default clock is requested.
        locked: one bit.
        """
        ...


def within(value: Fraction, limits: tuple[int, int]) -> bool:
    """Whether a frequency is at least the first of `limits` and at most the second."""
    return limits[0] <= value <= limits[1]


Oscillators: TypeAlias = "Mapping[str, Callable[[Any, Signal], Instance]]"
"""The oscillators of a family that can feed a PLL, by Amaranth's names for them: each makes the
cell that drives a signal of one bit, as a platform asks for."""


def comes_from_a_pin(platform: Any) -> bool:
    """Whether the default clock of a board, a platform object, is one of its resources; else it is
    an oscillator inside the part."""
    return (platform.default_clk, 0) in platform.resources


def buffered_clock(
    m: Module, platform: Any, oscillators: Oscillators = MappingProxyType({})
) -> Signal:
    """The board's default clock: one bit, behind the buffer of its pin, or as it comes from one of
    `oscillators`, those inside the part."""
    # Amaranth takes a tenth of a second to import, and a build out of the cache needs none of it.
    from amaranth.hdl import Signal
    from amaranth.lib import io

    if not comes_from_a_pin(platform):
        clock = Signal()
        m.submodules.oscillator = oscillators[platform.default_clk](platform, clock)
        return clock
    pin = platform.request(platform.default_clk, dir="-")
    m.submodules.clock_buffer = buffer = io.Buffer(io.Direction.Input, pin)
    return buffer.i
