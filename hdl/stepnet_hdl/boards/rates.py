"""The rate of each board's serial line: the highest that its USB chip and its clock allow."""

from __future__ import annotations

from collections.abc import Callable

from stepnet.errors import BuildError
from stepnet.link.serial_line import DEFAULT_BAUD
from stepnet.link.usb_chips import BL702, FT231X, FT2232H
from stepnet_hdl.fpga.clocks import divides

# From the schematics of the boards, as the platforms of amaranth-boards name their pins.
_CHIPS = {
    FT2232H: (
        *("icebreaker", "icestick", "ice40hx8kbevn", "nandlandgo"),
        *("ecpix545", "ecpix585", "ecp55gevn", "versaecp5", "versaecp55g"),
    ),
    FT231X: ("ulx3s-12f", "ulx3s-25f", "ulx3s-45f", "ulx3s-85f", "icepizero1-3"),
    BL702: ("tangnano9k", "tangnano20k"),
}

USB_CHIPS = {board: chip for chip, boards in _CHIPS.items() for board in boards}
"""The USB chip behind a board's serial line, by the board's name. One that is not here has another
chip, whose rates nobody here knows, or none at all."""


def best_baud(board: str, clock_hz_for: Callable[[int], int]) -> int:
    """The highest rate that does not slow the chip down, among those that are usual for the board's
    USB chip; `DEFAULT_BAUD` for a board whose chip is not known.

    clock_hz_for: the largest clock that the chip can have at a rate.
    """
    chip = USB_CHIPS.get(board)
    if chip is None:
        return DEFAULT_BAUD
    fastest_hz = clock_hz_for(DEFAULT_BAUD)
    rates = (
        baud
        for baud in chip.board_bauds
        if (clock_hz := clock_hz_for(baud)) >= fastest_hz and divides(clock_hz, baud)
    )
    return next(rates, DEFAULT_BAUD)


def check_baud(board: str, baud: int) -> None:
    """Raise BuildError, with the nearest rates, if the USB chip of a board does not make `baud`."""
    if board in USB_CHIPS:
        USB_CHIPS[board].check(baud, board, BuildError)
