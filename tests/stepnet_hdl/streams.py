"""Drivers and monitors for blocks and their streams in Amaranth's simulator."""

import random
from collections.abc import Callable, Iterable
from typing import Any

from amaranth.hdl import Elaboratable
from amaranth.lib import stream
from amaranth.sim import Simulator

CLOCK_PERIOD_S = 1e-6


class Pauses:
    """Decides, from a seed, for how many cycles to wait: none at all where `share` is 0."""

    def __init__(self, share: float = 0.0, seed: int = 0) -> None:
        self._share = share
        self._random = random.Random(seed)

    def cycles(self) -> int:
        cycles = 0
        while self._share and self._random.random() < self._share:
            cycles += 1
        return cycles


class Driver:
    """Sends payloads into a stream, holding each until it is taken."""

    def __init__(self, target: stream.Interface, pauses: Pauses | None = None) -> None:
        self._target = target
        self._pauses = pauses or Pauses()

    async def send(self, ctx: Any, payloads: Iterable[Any]) -> None:
        for payload in payloads:
            if cycles := self._pauses.cycles():
                await ctx.tick().repeat(cycles)
            ctx.set(self._target.payload, payload)
            ctx.set(self._target.valid, 1)
            await ctx.tick().until(self._target.ready)
            ctx.set(self._target.valid, 0)


class Sink:
    """Takes whatever a stream offers, after a pause each time."""

    def __init__(self, source: stream.Interface, pauses: Pauses | None = None) -> None:
        self._source = source
        self._pauses = pauses or Pauses()

    async def run(self, ctx: Any) -> None:
        while True:
            ctx.set(self._source.ready, 0)
            for _ in range(self._pauses.cycles()):
                await ctx.tick()
            ctx.set(self._source.ready, 1)
            valid = False
            while not valid:
                _, _, valid = await ctx.tick().sample(self._source.valid)


class Monitor:
    """Writes down every transfer and its cycle, and checks that an offer stands until it is taken.

    `first_offered` are the cycles in which an offer appeared.
    """

    def __init__(self, watched: stream.Interface) -> None:
        self._watched = watched
        self.payloads: list[Any] = []
        self.cycles: list[int] = []
        self.first_offered: list[int] = []

    def ends(self) -> list[int]:
        """The cycles in which a frame's closing zero was transferred."""
        return [cycle for cycle, byte in zip(self.cycles, self.payloads, strict=True) if byte == 0]

    async def run(self, ctx: Any) -> None:
        standing = None
        cycle = 0
        watched = self._watched
        tick = ctx.tick().sample(watched.valid, watched.ready, watched.payload)
        while True:
            _, _, valid, ready, payload = await tick
            if standing is not None:
                assert valid, f"in cycle {cycle} an offer was withdrawn"
                assert payload == standing, f"in cycle {cycle} an offer changed"
            elif valid:
                self.first_offered.append(cycle)
            if valid and ready:
                self.payloads.append(payload)
                self.cycles.append(cycle)
            standing = payload if valid and not ready else None
            cycle += 1


class Trace:
    """Writes down what signals are in every cycle: `trace["name"][cycle]`.

    Cycles count from 0, as in `Monitor`: what a testbench sets before its first tick is in cycle 0.
    """

    def __init__(self, signals: dict[str, Any]) -> None:
        self._signals = signals
        self._columns: dict[str, list[Any]] = {name: [] for name in signals}

    def __getitem__(self, name: str) -> list[Any]:
        return self._columns[name]

    def __len__(self) -> int:
        return len(next(iter(self._columns.values())))

    def cycles(self, name: str) -> list[int]:
        """The cycles in which a signal is not 0."""
        return [cycle for cycle, value in enumerate(self[name]) if value]

    async def run(self, ctx: Any) -> None:
        tick = ctx.tick().sample(*self._signals.values())
        while True:
            _, _, *values = await tick
            for column, value in zip(self._columns.values(), values, strict=True):
                column.append(value)


class Bench:
    """Simulates one component; ends when the last testbench does, or fails after `max_cycles`.

    Background processes await single ticks only: `until` and `repeat` cannot be left half-way.
    """

    def __init__(self, dut: Elaboratable, max_cycles: int) -> None:
        self._max_cycles = max_cycles
        self._simulator = Simulator(dut)
        self._simulator.add_clock(CLOCK_PERIOD_S)
        self._simulator.add_testbench(self._deadline, background=True)

    async def _deadline(self, ctx: Any) -> None:
        for _ in range(self._max_cycles):
            await ctx.tick()
        raise AssertionError(f"the testbench has not ended after {self._max_cycles} cycles")

    def monitor(self, watched: stream.Interface) -> Monitor:
        monitor = Monitor(watched)
        self._simulator.add_testbench(monitor.run, background=True)
        return monitor

    def sink(self, source: stream.Interface, pauses: Pauses | None = None) -> Monitor:
        """Take everything from a stream; the monitor says what it was."""
        self._simulator.add_testbench(Sink(source, pauses).run, background=True)
        return self.monitor(source)

    def trace(self, **signals: Any) -> Trace:
        """Write down signals in every cycle, under the names that are given to them."""
        trace = Trace(signals)
        self._simulator.add_testbench(trace.run, background=True)
        return trace

    def background(self, process: Callable[..., Any]) -> None:
        self._simulator.add_testbench(process, background=True)

    def run(self, *testbenches: Callable[..., Any]) -> None:
        for testbench in testbenches:
            self._simulator.add_testbench(testbench)
        self._simulator.run()


def packet(payload: bytes) -> list[dict[str, int]]:
    """The PacketBytes of one packet."""
    return [
        {"data": byte, "last": int(number == len(payload) - 1)}
        for number, byte in enumerate(payload)
    ]


def packets_of(payloads: Iterable[Any]) -> list[bytes]:
    """The packets in a series of PacketBytes; the last one has to be complete."""
    packets: list[bytes] = []
    current = bytearray()
    for payload in payloads:
        current.append(payload.data)
        if payload.last:
            packets.append(bytes(current))
            current.clear()
    assert not current, f"the packet {bytes(current)!r} has no end"
    return packets
