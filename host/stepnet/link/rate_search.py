"""Finds the rate of a board's serial line: asks the board who it is, at each rate that it may have.

Only the right rate is answered. At any other one the board hears no frame: what it takes for bytes
is held together by no CRC, and the next zero at its own rate ends it.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from stepnet.link.frames import FrameReader, encode_frame
from stepnet.link.messages import HEADER, Request
from stepnet.link.serial_line import DEFAULT_BAUD
from stepnet.link.usb_chips import UNKNOWN_BAUDS, chip_of, listed_port

if TYPE_CHECKING:
    from serial.tools.list_ports_common import ListPortInfo

TRY_S = 0.05
"""How long an answer is waited for at each rate. It takes 1 ms, or 17 where the driver cannot be
told to hand bytes over at once."""

PROBE = b"\0" + encode_frame(HEADER.pack(kind=Request.IDENTIFY, sequence=0))
"""What is sent at each rate: the end of whatever the board heard before, and a question that
changes nothing."""


class RatedLink(Protocol):
    """A `stepnet.link.link.Link` whose rate can be set."""

    def set_baud(self, baud: int) -> None:
        """Have the line run at `baud` from now on."""
        ...

    def write(self, data: bytes) -> None:
        """See `Link.write`."""
        ...

    def read(self, timeout_s: float) -> bytes:
        """See `Link.read`."""
        ...


def rates_at(where: str) -> tuple[int, ...]:
    """The rates that a board at a port may have, in the order in which to try them.

    Those of the port's USB chip if that is known here, and `UNKNOWN_BAUDS` if it is not, or if the
    port is another machine's. What is no device, such as a socket or a pseudo-terminal, has no rate
    to be found, so that it is `DEFAULT_BAUD` alone.
    """
    if where.lower().startswith("rfc2217://"):
        return UNKNOWN_BAUDS
    port = listed_port(where)
    return (DEFAULT_BAUD,) if port is None else rates_of(port)


def rates_of(port: ListPortInfo) -> tuple[int, ...]:
    """`rates_at` a port of this machine."""
    chip = chip_of(port)
    return UNKNOWN_BAUDS if chip is None else chip.board_bauds


def find_rate(link: RatedLink, bauds: Sequence[int], timeout_s: float = 0.0) -> int | None:
    """The first rate at which a whole message comes back, which the link has then; None if there is
    none.

    It takes `TRY_S` for each rate that is not the one. All are tried once, and over again until
    `timeout_s` have passed, because a board may just be starting.
    """
    give_up_s = time.monotonic() + timeout_s
    while True:
        for baud in bauds:
            link.set_baud(baud)
            link.write(PROBE)
            if _understands(link):
                return baud
        if time.monotonic() >= give_up_s:
            return None


def _understands(link: RatedLink) -> bool:
    frames = FrameReader()
    deadline_s = time.monotonic() + TRY_S
    while (left_s := deadline_s - time.monotonic()) > 0:
        if frames.feed(link.read(left_s)):
            return True
    return False
