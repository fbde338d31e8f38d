"""A board on this machine's SPI bus, as Linux offers it in /dev/spidev*: `spi:///dev/spidev0.0`.

SPI is full duplex and has no wire on which a board could say that it has something to say: it
answers while this end sends, and what is sent for that alone are idle bytes.
"""

from __future__ import annotations

import errno
import os
import re
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Protocol, cast
from urllib.parse import parse_qsl, urlsplit

from stepnet.errors import LinkBrokenError, LinkError, MissingToolError
from stepnet.link.permission import permission_advice
from stepnet.link.spi_line import IDLE_BYTE, MOST_SPI_HZ

SPI_SCHEME = "spi://"

_DEVICE = re.compile(r"/dev/spidev(\d+)\.(\d+)")

POLL_BYTES = 48
"""How many idle bytes are sent to hear what the board says: the longest answer has a frame of 44,
and the board may be two bytes late with its first."""

POLL_S = (0.0, 0.00005, 0.0001, 0.0002, 0.0005, 0.001)
"""How long to wait before each question, while nothing comes; the last one over and over. A board
answers an image within some tens of microseconds, a transaction takes about as long."""

_IDLE = bytes([IDLE_BYTE])
_IDLE_RUN = re.compile(_IDLE + b"+")


class SpiDevice(Protocol):
    """What is used of `spidev.SpiDev`; OSError if the system refuses."""

    def xfer3(self, data: bytes) -> Iterable[int]:
        """Send `data`, in as many transactions as the driver needs; what came meanwhile, as many
        bytes."""
        ...

    def close(self) -> None:
        """Give the device back."""
        ...


def is_spi(where: str) -> bool:
    """Whether a board is named by the URL of an SPI device."""
    return where.lower().startswith(SPI_SCHEME)


class SpiLink:
    """A `stepnet.link.link.Link` over SPI, this machine being the controller, in mode 0.

    One thread may read while another one writes.

    device: open, at the right rate.
    where: how the board is named in errors.
    hz: the line's clock.
    """

    def __init__(self, device: SpiDevice, where: str, hz: int) -> None:
        self.baud: int | None = hz
        self._where = where
        self._device: SpiDevice | None = device
        self._one_at_a_time = threading.Lock()
        self._heard = bytearray()
        self._ends_idle = True

    def write(self, data: bytes) -> None:
        """Send all of `data`. What the board says meanwhile is kept for `read`."""
        self._transfer(data)

    def read(self, timeout_s: float) -> bytes:
        """See `stepnet.link.link.Link.read`. Idle bytes are no bytes, but for the one that ends a
        frame."""
        deadline_s = time.monotonic() + timeout_s
        tries = 0
        while not (heard := self._take()):
            if tries and time.monotonic() >= deadline_s:
                return b""
            if pause_s := POLL_S[min(tries, len(POLL_S) - 1)]:
                time.sleep(min(pause_s, max(0.0, deadline_s - time.monotonic())))
            self._transfer(_IDLE * POLL_BYTES)
            tries += 1
        return heard

    def discard(self) -> None:
        """Does nothing: what was written is with the board. See `SharedLink.discard`."""

    def close(self) -> None:
        """Give the device back. Closing twice does nothing."""
        with self._one_at_a_time:
            device, self._device = self._device, None
            if device is not None:
                device.close()

    def _take(self) -> bytes:
        with self._one_at_a_time:
            heard = bytes(self._heard)
            self._heard.clear()
        return heard

    def _transfer(self, data: bytes) -> None:
        with self._one_at_a_time:
            try:
                if self._device is None:
                    raise ConnectionError("it was closed here")
                heard = bytes(self._device.xfer3(data))
            except OSError as error:
                raise LinkBrokenError(
                    f"The connection to {self._where!r} broke ({error.strerror or error}); check "
                    "the wires and open the board again."
                ) from error
            self._keep(heard)

    def _keep(self, heard: bytes) -> None:
        """Keep what was heard, with one idle byte for each run of them."""
        kept = _IDLE_RUN.sub(_IDLE, heard)
        if self._ends_idle:
            kept = kept.removeprefix(_IDLE)
        self._heard += kept
        self._ends_idle = heard.endswith(_IDLE)


def open_spi(where: str, *, hz: int | None = None) -> SpiLink:
    """The link to a board at an SPI device of Linux.

    where: `spi:///dev/spidev0.0`, with the numbers of bus and chip select, and perhaps
        `?speed_hz=8000000`.
    hz: the line's clock; None for what `where` says, else the highest that boards follow. Where
        this machine does not make it, its driver takes a lower one.

    Raises LinkError, with the way out, if the URL or the rate is wrong, there is no such device, it
    is busy or this user may not open it; MissingToolError if the package spidev is missing.
    """
    bus, chip_select, url_hz = _parsed(where)
    named_hz = url_hz if hz is None else hz
    hz = _checked(where, MOST_SPI_HZ if named_hz is None else named_hz)
    try:
        import spidev  # pyright: ignore[reportMissingTypeStubs]
    except ImportError as error:
        raise MissingToolError(
            f"The board at {where!r} needs the package spidev, which is missing here; install it "
            'with: pip install "stepnet[spi]".'
        ) from error
    device = cast(Any, spidev).SpiDev()
    try:
        device.open(bus, chip_select)
        device.mode = 0
        device.max_speed_hz = hz
    except OSError as error:
        device.close()
        raise _cannot_open(f"/dev/spidev{bus}.{chip_select}", error) from error
    return SpiLink(device, where, hz)


def _parsed(where: str) -> tuple[int, int, int | None]:
    """Bus, chip select and rate of a URL; LinkError if it is none of an SPI device."""
    parts = urlsplit(where)
    device = _DEVICE.fullmatch(parts.path)
    settings = parse_qsl(parts.query, keep_blank_values=True)
    speeds = [
        value
        for name, value in settings
        if name == "speed_hz" and re.fullmatch("[0-9]{1,9}", value)
    ]
    if parts.netloc or parts.fragment or not device or len(settings) > len(speeds[:1]):
        raise LinkError(
            f"The address {where!r} names no SPI device; write it as spi:///dev/spidev0.0, with "
            "three slashes and the numbers of bus and chip select, and perhaps ?speed_hz=8000000 "
            "behind it."
        )
    return int(device[1]), int(device[2]), int(speeds[0]) if speeds else None


def _checked(where: str, hz: int) -> int:
    if not 0 < hz <= MOST_SPI_HZ:
        raise LinkError(
            f"The SPI line to {where!r} cannot run at {hz} Hz; choose at most {MOST_SPI_HZ} Hz, "
            "such as ?speed_hz=8000000."
        )
    return hz


def _cannot_open(device: str, error: OSError) -> LinkError:
    match error.errno:
        case errno.ENOENT | errno.ENODEV | errno.ENXIO:
            return LinkError(
                f"There is no SPI device {device!r}; switch SPI on, on a Raspberry Pi with: sudo "
                f"raspi-config nonint do_spi 0{_others()}."
            )
        case errno.EACCES | errno.EPERM:
            return LinkError(
                f"You may not open the SPI device {device!r}{permission_advice(device)}"
            )
        case errno.EBUSY:
            return LinkError(
                f"The SPI device {device!r} is busy; close the other program that uses it."
            )
        case _:
            return LinkError(
                f"The SPI device {device!r} cannot be opened ({os.strerror(error.errno or 0)}); "
                "check that it is one of Linux' spidev driver, and its rate."
            )


def _others() -> str:
    """The devices that there are instead, as the end of a sentence."""
    there = sorted(str(path) for path in Path("/dev").glob("spidev*"))
    return f"; there is {' and '.join(there)}" if there else ""
