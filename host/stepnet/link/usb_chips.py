"""The USB chips between a computer and a board's serial line: what they are called, and which rates
they make.

Host and gateware take a board's rates from here.
"""

from __future__ import annotations

import math
import os
import re
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from stepnet.errors import StepnetError
from stepnet.link.serial_line import CHOSEN_BAUD_ERROR, DEFAULT_BAUD

if TYPE_CHECKING:
    from serial.tools.list_ports_common import ListPortInfo

_MOST_EIGHTHS = 8 * (1 << 14) - 1
"""The divider of an FTDI chip has 14 bits, and three more behind the point."""


@dataclass(frozen=True)
class UsbChip:
    """A USB chip with a serial line whose rate FTDI's dividers make.

    name: as people call it.
    base_baud: what it divides by 1, by 1.5, or by any multiple of an eighth from 2 on, for the rate
        of the line (FTDI AN_120, "Aliasing VCP Baud Rates", section 3).
    fastest_baud: the highest rate.
    board_bauds: the rates that boards with it are built for, the highest first. They are tried in
        this order where a board's rate is not known.
    usb_ids: vendor and product.
    product: a regular expression that matches the start of its product string.
    packet_bytes: of an answer, which it hands over at once; fewer wait for its timer. Two bytes of
        each USB packet are its own.
    """

    name: str
    base_baud: int
    fastest_baud: int
    board_bauds: tuple[int, ...]
    usb_ids: tuple[tuple[int, int], ...]
    product: str = ""
    packet_bytes: int = 62

    def nearest(self, baud: int) -> list[int]:
        """The rate that it makes within `CHOSEN_BAUD_ERROR` of `baud`; if there is none, the one
        below and the one above, as far as there are such."""
        wanted = Fraction(8 * self.base_baud, baud)
        fewest = Fraction(8 * self.base_baud, self.fastest_baud)
        at_least = max(wanted, fewest)
        below = next(each for each in (8, 12, max(16, math.ceil(at_least))) if each >= at_least)
        above = next(each for each in (max(16, math.floor(wanted)), 12, 8, 0) if each <= wanted)
        rates = [
            round(8 * self.base_baud / eighths)
            for eighths in (min(below, _MOST_EIGHTHS), min(above, _MOST_EIGHTHS))
            if eighths >= fewest
        ]
        best = min(rates, key=lambda rate: abs(rate - baud))
        return [best] if abs(best - baud) <= CHOSEN_BAUD_ERROR * baud else sorted(set(rates))

    def check(self, baud: int, where: str, error: type[StepnetError]) -> None:
        """Raise `error`, with the nearest rates, if it does not make `baud`.

        where: whose chip it is, for the sentence.
        """
        near = self.nearest(baud)
        if len(near) == 1 and abs(near[0] - baud) <= CHOSEN_BAUD_ERROR * baud:
            return
        raise error(
            f"The {self.name} of {where} cannot make {baud} baud; choose "
            f"{' or '.join(map(str, near))} baud."
        )


FT2232H = UsbChip(
    "FT2232H",
    base_baud=12_000_000,
    fastest_baud=12_000_000,
    board_bauds=(12_000_000, 8_000_000, 3_000_000, DEFAULT_BAUD),
    usb_ids=((0x0403, 0x6010),),
    packet_bytes=510,
)
"""FTDI's chip for high-speed USB: DS_FT2232H, section 4.2."""

FT231X = UsbChip(
    "FT231X",
    base_baud=3_000_000,
    fastest_baud=3_000_000,
    board_bauds=(3_000_000, 2_000_000, DEFAULT_BAUD),
    usb_ids=((0x0403, 0x6015),),
)
"""FTDI's chip for full-speed USB: DS_FT231X, section 4."""

BL702 = UsbChip(
    "BL702",
    base_baud=12_000_000,
    fastest_baud=3_000_000,
    board_bauds=(3_000_000, 2_000_000, DEFAULT_BAUD),
    usb_ids=((0x0403, 0x6010),),
    product=r"(SIPEED )?(USB|JTAG) Debugger",
    packet_bytes=510,
)
"""Sipeed's programmer, a BL702 or BL616 that plays an FT2232H, whose line is clean up to 3 Mbaud:
https://github.com/sipeed/TangNano-9K-example/issues/7."""

USB_CHIPS = (BL702, FT2232H, FT231X)
"""The first that fits is the one."""

UNKNOWN_BAUDS = (DEFAULT_BAUD, 3_000_000, 12_000_000, 8_000_000, 2_000_000)
"""The rates to try at a port of which nothing is known."""


def listed_port(where: str) -> ListPortInfo | None:
    """What this machine knows of one of its serial ports, by the port's name or a link to it; None
    if it is none of them."""
    if "://" in where:
        return None
    from serial.tools.list_ports import comports

    # macOS has two names for each port, of which one is listed.
    device = os.path.realpath(where).replace("/dev/tty.", "/dev/cu.")
    return next((port for port in comports() if port.device == device), None)


def chip_of(port: ListPortInfo) -> UsbChip | None:
    """The USB chip of a serial port; None if it has none that is known here."""
    for chip in USB_CHIPS:
        if (port.vid, port.pid) in chip.usb_ids and re.match(chip.product, port.product or ""):
            return chip
    return None
