"""The virtual board's serial line with a meter that says what the wire is used for, in simulated
time.

Benchmarks of the link use it.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from stepnet.errors import LinkError
from stepnet.link.serial_line import byte_cycles, divisor_for
from stepnet_sim.chips.design import Design
from stepnet_sim.chips.verilated import VerilatedChip


@dataclass(frozen=True)
class WireUse:
    """How the time passed on the wire to the chip, from `MeteredLink.restart` to the last answer
    that the host has got, in clock cycles of the chip.

    busy_cycles: while bytes were on their way.
    waiting_cycles: while nothing was on its way because the host had not written more yet.
    tail_cycles: from the end of the last byte to the last answer; to within the time of a byte.
    """

    busy_cycles: int
    waiting_cycles: int
    tail_cycles: int

    @property
    def cycles(self) -> int:
        """All cycles together."""
        return self.busy_cycles + self.waiting_cycles + self.tail_cycles


@dataclass(frozen=True)
class UsbBuffer:
    """How a USB chip hands on what it hears: as soon as `packet_bytes` are there, or what is there
    `timer_s` after the first of it came.

    FTDI's timer is 16 ms unless the driver is told otherwise, and then as short as 1 ms; a packet
    is `packet_bytes` of `stepnet.link.usb_chips.UsbChip`.
    """

    packet_bytes: int
    timer_s: float


class MeteredLink:
    """A `stepnet.link.link.Link` to the serial pins of a compiled chip.

    Time passes for the chip only inside `read`, so that the host itself takes none. How long
    adapter, drivers and program take is told to `restart`.

    design: the design of the chip, which has serial pins.
    """

    def __init__(self, chip: VerilatedChip, design: Design) -> None:
        self.byte_cycles = byte_cycles(divisor_for(design.clock_hz, design.baud))
        self._chip = chip
        self._clock_hz = design.clock_hz
        self._pending = bytearray()
        self._arriving: deque[tuple[int, bytes]] = deque()  # the cycle of arrival at the host
        self._closed = False
        self.restart()

    def restart(self, host_delay_s: float = 0.0, usb: UsbBuffer | None = None) -> None:
        """Begin to measure anew, while nothing is under way.

        host_delay_s: simulated seconds from the last bit of an answer until the host has it.
        usb: what holds answers back before that; None for nothing.
        """
        self._usb = usb
        self._held = bytearray()
        self._held_until_cycle = 0
        self._delay_cycles = round(host_delay_s * self._clock_hz)
        self._start_cycle = self._last_taken_cycle = self._last_given_cycle = self._chip.cycles
        self._taken_bytes = 0

    @property
    def use(self) -> WireUse:
        """How the wire was used since `restart`."""
        busy_cycles = self._taken_bytes * self.byte_cycles
        earliest_end = self._start_cycle + busy_cycles
        end = max(earliest_end, self._last_taken_cycle)
        return WireUse(busy_cycles, end - earliest_end, self._last_given_cycle - end)

    def write(self, data: bytes) -> None:
        """Queue bytes for the wire."""
        self._check_open()
        self._pending += data

    def read(self, timeout_s: float) -> bytes:
        """The bytes that have arrived at the host; b"" after `timeout_s` of wall-clock time."""
        self._check_open()
        deadline_s = time.monotonic() + timeout_s
        while not (self._arriving and self._arriving[0][0] <= self._chip.cycles):
            if time.monotonic() >= deadline_s:
                return b""
            self._run()
        self._last_given_cycle = self._chip.cycles
        return self._arriving.popleft()[1]

    def close(self) -> None:
        """End the simulation."""
        if not self._closed:
            self._closed = True
            self._chip.close()

    def _run(self) -> None:
        """Clock the chip for the time of a byte, or to the end of an answer."""
        waiting_bytes = len(self._pending)
        received = self._chip.run(self._pending, self.byte_cycles)
        for packet in self._handed_over(received):
            self._arriving.append((self._chip.cycles + self._delay_cycles, packet))
        if len(self._pending) < waiting_bytes:
            self._taken_bytes += waiting_bytes - len(self._pending)
            self._last_taken_cycle = self._chip.cycles

    def _handed_over(self, received: bytes) -> Iterator[bytes]:
        """What the USB chip gives to the host now, after it has `received` this."""
        if self._usb is None:
            if received:
                yield received
            return
        now, held = self._chip.cycles, self._held
        if received and not held:
            self._held_until_cycle = now + round(self._usb.timer_s * self._clock_hz)
        held += received
        while len(held) >= self._usb.packet_bytes or (held and now >= self._held_until_cycle):
            yield bytes(held[: self._usb.packet_bytes])
            del held[: self._usb.packet_bytes]

    def _check_open(self) -> None:
        if self._closed:
            raise LinkError("The virtual board is closed; open it again.")
