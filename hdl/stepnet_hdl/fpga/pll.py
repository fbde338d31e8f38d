"""What the PLLs of all families have in common: what is asked of one, and how its clock comes."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from amaranth.hdl import Module, Signal


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


def buffered_clock(m: Module, platform: Any) -> Signal:
    """The board's default clock behind an input buffer: one bit."""
    # Amaranth takes a tenth of a second to import, and a build out of the cache needs none of it.
    from amaranth.lib import io

    pin = platform.request(platform.default_clk, dir="-")
    m.submodules.clock_buffer = buffer = io.Buffer(io.Direction.Input, pin)
    return buffer.i
