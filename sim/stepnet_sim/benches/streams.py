"""Drivers and monitors for streams, and the scoreboard that the monitors report to."""

import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.handle import LogicArrayObject, LogicObject
from cocotb.triggers import ClockCycles, Event, RisingEdge, SimTimeoutError, with_timeout
from cocotb.utils import get_sim_time

CLOCK_PS = 10_000

IDLE_SHARES = (0.0, 0.4)
"""In what part of the time drivers and readers pause: never, or at random. Every bench runs with
both."""


async def start(dut: Any) -> None:
    """Start the clock and reset the design; returns at a clock edge, with the reset gone."""
    Clock(dut.clk, CLOCK_PS, unit="ps").start()
    dut.rst.value = 1
    await ClockCycles(dut.clk, 2)
    dut.rst.value = 0


def cycle_before() -> int:
    """The number of the cycle that ends at this clock edge; what is read now belongs to it."""
    return round(get_sim_time("ps")) // CLOCK_PS - 1


def seeded_random() -> random.Random:
    """Randomness that the run's seed decides."""
    return random.Random(cocotb.RANDOM_SEED)


class Pauses:
    """Decides at random, again and again, for how long to pause."""

    def __init__(self, rng: random.Random, share: float) -> None:
        self._rng = rng
        self._share = share

    def now(self) -> bool:
        """Whether to pause for one unit of time."""
        return self._rng.random() < self._share

    def length(self) -> int:
        """How many units to pause; 0 where the share is 0."""
        length = 0
        while self.now():
            length += 1
        return length


@dataclass(frozen=True)
class StreamPort:
    """The signals of one stream."""

    clk: LogicObject
    valid: LogicObject
    ready: LogicObject
    payload: LogicArrayObject


class Part:
    """The ports of one component in the `SideBySide` that is simulated, as attributes."""

    def __init__(self, dut: Any, name: str) -> None:
        self.clk: LogicObject = dut.clk
        self._dut = dut
        self._name = name

    def __getattr__(self, port: str) -> Any:
        return getattr(self._dut, f"{self._name}__{port}")

    def stream(self, name: str) -> StreamPort:
        """The signals of one of the component's streams."""
        signals = (getattr(self, f"{name}__{member}") for member in ("valid", "ready", "payload"))
        return StreamPort(self.clk, *signals)


class StreamDriver:
    """Sends payloads, each held until it is taken, with pauses between them."""

    def __init__(self, port: StreamPort, pauses: Pauses) -> None:
        self._port = port
        self._pauses = pauses
        port.valid.value = 0
        port.payload.value = 0

    async def send(self, payload: int) -> int:
        """Send one payload; returns the number of the cycle in which it is transferred."""
        port = self._port
        for _ in range(self._pauses.length()):
            await RisingEdge(port.clk)
        port.valid.value = 1
        port.payload.value = payload
        while True:
            await RisingEdge(port.clk)
            if port.ready.value == 1:
                port.valid.value = 0
                return cycle_before()


class StreamReader:
    """Drives `ready`, which pauses whether something is offered or not."""

    def __init__(self, port: StreamPort, pauses: Pauses) -> None:
        self._port = port
        self._pauses = pauses
        cocotb.start_soon(self._run())

    async def _run(self) -> None:
        while True:
            self._port.ready.value = not self._pauses.now()
            await RisingEdge(self._port.clk)


@dataclass(frozen=True)
class Transfer:
    """A transfer, with the cycles in which it was first offered and in which it was taken."""

    payload: int
    offered: int
    taken: int


class StreamMonitor:
    """Reports every transfer, and fails the test if an offer changes before it is taken."""

    def __init__(self, port: StreamPort, report: Callable[[Transfer], None]) -> None:
        self._port = port
        self._report = report
        cocotb.start_soon(self._run())

    async def _run(self) -> None:
        port = self._port
        offered: int | None = None
        standing = 0
        while True:
            await RisingEdge(port.clk)
            valid = port.valid.value == 1
            if offered is not None:
                assert valid, f"an offer was withdrawn in cycle {cycle_before()}"
            if not valid:
                continue
            payload = port.payload.value.to_unsigned()
            if offered is None:
                offered, standing = cycle_before(), payload
            assert payload == standing, f"an offer changed in cycle {cycle_before()}"
            if port.ready.value == 1:
                self._report(Transfer(payload, offered, cycle_before()))
                offered = None


class Scoreboard:
    """Compares what comes with what has to come, in order."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._expected: deque[Any] = deque()
        self._checked_one = Event()
        self.checked = 0

    def expect(self, value: Any) -> None:
        """Expect `value` after all that was expected before."""
        self._expected.append(value)

    def check(self, value: Any) -> None:
        """Compare the next value that came; the test fails if another one was expected."""
        assert self._expected, f"{self._name}: unexpected {value!r}"
        expected = self._expected.popleft()
        assert value == expected, (
            f"{self._name}: number {self.checked} is {value!r}, expected {expected!r}"
        )
        self.checked += 1
        self._checked_one.set()

    @property
    def outstanding(self) -> int:
        """How many values have yet to come."""
        return len(self._expected)

    async def drained(self, max_cycles: int, *, down_to: int = 0) -> None:
        """Wait until at most `down_to` values are outstanding; fails after `max_cycles`."""
        try:
            await with_timeout(self._drain(down_to), max_cycles * CLOCK_PS, "ps")
        except SimTimeoutError:
            raise AssertionError(
                f"{self._name}: {self.outstanding} outstanding after {max_cycles} cycles, "
                f"first {self._expected[0]!r}"
            ) from None

    async def _drain(self, down_to: int) -> None:
        while self.outstanding > down_to:
            self._checked_one.clear()
            await self._checked_one.wait()

    async def finished(self, clk: LogicObject, max_cycles: int, quiet_cycles: int) -> None:
        """Wait until nothing is outstanding, then see that nothing more comes."""
        await self.drained(max_cycles)
        await ClockCycles(clk, quiet_cycles)
        assert not self._expected
