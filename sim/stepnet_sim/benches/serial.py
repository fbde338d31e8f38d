"""Driver and monitor for a serial line: 8 data bits, no parity, 1 stop bit."""

from collections.abc import Callable, Iterable

import cocotb
from cocotb.handle import LogicObject
from cocotb.triggers import FallingEdge, RisingEdge, Timer
from cocotb.utils import get_sim_time

from stepnet_sim.benches.streams import CLOCK_PS, Pauses


def levels(byte: int, stop: int = 1) -> list[int]:
    """The levels of one byte on the line, bit time after bit time."""
    return [0, *(byte >> bit & 1 for bit in range(8)), stop]


class SerialDriver:
    """Puts bytes on a line, `bit_ps` per bit, with pauses of whole bit times between them.

    The first one starts a quarter of a cycle after a clock edge, so that a line whose bit time is a
    whole number of cycles never changes at an edge.

    jitter_ps: by how much the next change of level comes after its time, or before it if negative;
        None for a line that keeps its time.
    """

    def __init__(
        self,
        clk: LogicObject,
        line: LogicObject,
        bit_ps: int,
        pauses: Pauses,
        jitter_ps: Callable[[], int] | None = None,
    ) -> None:
        self._clk = clk
        self._line = line
        self._bit_ps = bit_ps
        self._pauses = pauses
        self._jitter_ps = jitter_ps or (lambda: 0)
        self._late_ps = 0
        line.value = 1

    async def align(self) -> None:
        """Wait for a quarter of a cycle after the next clock edge."""
        await RisingEdge(self._clk)
        await Timer(CLOCK_PS // 4, "ps")

    async def send(self, data: Iterable[int]) -> list[int]:
        """Send bytes; returns, after the last stop bit, the cycles in which start bits began."""
        starts: list[int] = []
        for byte in data:
            await self.hold(1, self._pauses.length())
            starts.append(round(get_sim_time("ps")) // CLOCK_PS)
            for level in levels(byte):
                await self.hold(level, 1)
        return starts

    async def hold(self, level: int, bits: int) -> None:
        """Hold a level for `bits` bit times."""
        if bits:
            self._line.value = level
            late_ps, self._late_ps = self._late_ps, self._jitter_ps()
            await Timer(bits * self._bit_ps + self._late_ps - late_ps, "ps")


class SerialMonitor:
    """Reports every byte on a line, and fails the test if one has a broken start or stop bit."""

    def __init__(self, line: LogicObject, bit_ps: int, report: Callable[[int], None]) -> None:
        self._line = line
        self._bit_ps = bit_ps
        self._report = report
        cocotb.start_soon(self._run())

    async def _run(self) -> None:
        while True:
            await FallingEdge(self._line)
            await Timer(self._bit_ps // 2, "ps")
            assert self._line.value == 0, "a start bit was too short"
            byte = 0
            for bit in range(8):
                await Timer(self._bit_ps, "ps")
                byte |= int(self._line.value) << bit
            await Timer(self._bit_ps, "ps")
            assert self._line.value == 1, f"byte {byte:#04x} has a broken stop bit"
            self._report(byte)
