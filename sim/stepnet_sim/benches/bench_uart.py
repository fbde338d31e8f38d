"""UART receiver and transmitter: alone against their published timing, and in a loop."""

from collections.abc import Iterable
from fractions import Fraction
from itertools import pairwise
from typing import Any

import cocotb
from cocotb.triggers import ClockCycles, RisingEdge

from stepnet.link.serial_line import spare_cycles
from stepnet_sim.benches.designs import UART_BIT_EIGHTHS
from stepnet_sim.benches.serial import SerialDriver, SerialMonitor, levels
from stepnet_sim.benches.streams import (
    CLOCK_PS,
    IDLE_SHARES,
    Part,
    Pauses,
    Scoreboard,
    StreamDriver,
    StreamMonitor,
    StreamReader,
    Transfer,
    cycle_before,
    seeded_random,
    start,
)

BUSY_READER_SHARE = 0.99
"""A reader that often misses a whole byte."""

BAUD_ERRORS = (-0.02, 0.02)

QUIET_BYTES = 3
"""How many times of a byte nothing more may come at the end."""


def some_bytes(rng: Any, count: int) -> list[int]:
    return [0x00, 0xFF, 0x55, 0x80, *(rng.randrange(256) for _ in range(count))]


def bit_ps(eighths: int) -> int:
    """How long a bit is on a line that keeps its time."""
    return eighths * CLOCK_PS // 8


def edge_cycle(bit: int, eighths: int) -> int:
    """The cycle of a byte in which the transmitter begins a bit: the nearest one."""
    return (bit * eighths + 4) // 8


def byte_cycles(eighths: int) -> int:
    """How many cycles lie between two transfers into the transmitter, at least."""
    return edge_cycle(10, eighths) + 1


def offered_after_cycles(eighths: int) -> int:
    """How many cycles pass from the start bit at `rx` to the receiver's offer."""
    before_the_middle = (19 * eighths + 15) // 16 - 1
    return before_the_middle + 3


class LineMonitor:
    """Writes down the level of a line in every cycle, and which cycle was the first."""

    def __init__(self, clk: Any, line: Any) -> None:
        self.levels: list[int] = []
        self.first_cycle = 0
        cocotb.start_soon(self._run(clk, line))

    async def _run(self, clk: Any, line: Any) -> None:
        while True:
            await RisingEdge(clk)
            if not self.levels:
                self.first_cycle = cycle_before()
            self.levels.append(int(line.value))


def transmitted(transfers: Iterable[Transfer], eighths: int, first: int, cycles: int) -> list[int]:
    """The line in `cycles` cycles from number `first` on: each byte starts in the cycle after its
    transfer and holds each level until the next one begins."""
    line = [1] * cycles
    for transfer in transfers:
        at = transfer.taken + 1 - first
        for bit, level in enumerate(levels(transfer.payload)):
            begins, ends = (at + edge_cycle(each, eighths) for each in (bit, bit + 1))
            line[begins:ends] = [level] * (ends - begins)
    return line


def received(sent: Iterable[tuple[int, int]], taken: Iterable[Transfer]) -> list[tuple[int, int]]:
    """The bytes that a receiver offers, with the cycles of their offers: those that find the byte
    before them gone, or just being taken.

    sent: the bytes that came over the line, with the cycles in which they can be offered.
    taken: the transfers to the reader.
    """
    taken_cycles = iter(transfer.taken for transfer in taken)
    offered: list[tuple[int, int]] = []
    last_taken: int | None = -1
    for byte, cycle in sent:
        if last_taken is not None and last_taken < cycle:
            offered.append((byte, cycle))
            last_taken = next(taken_cycles, None)
    return offered


@cocotb.test()
@cocotb.parametrize(eighths=UART_BIT_EIGHTHS, idle_share=IDLE_SHARES)
async def transmitter_puts_every_level_on_the_line_in_time(
    dut: Any, eighths: int, idle_share: float
) -> None:
    rng = seeded_random()
    transmitter = Part(dut, f"transmitter_{eighths}")
    driver = StreamDriver(transmitter.stream("bytes"), Pauses(rng, idle_share))
    await start(dut)
    monitor = LineMonitor(dut.clk, transmitter.tx)
    scoreboard = Scoreboard("bytes on the line")
    SerialMonitor(transmitter.tx, bit_ps(eighths), scoreboard.check)
    transfers: list[Transfer] = []
    StreamMonitor(transmitter.stream("bytes"), transfers.append)

    sent = some_bytes(rng, 6)
    for byte in sent:
        scoreboard.expect(byte)
        await driver.send(byte)
    await scoreboard.finished(dut.clk, 2 * byte_cycles(eighths), QUIET_BYTES * byte_cycles(eighths))

    assert [transfer.payload for transfer in transfers] == sent
    assert monitor.levels == transmitted(
        transfers, eighths, monitor.first_cycle, len(monitor.levels)
    )
    gaps = [late.taken - early.taken for early, late in pairwise(transfers)]
    assert min(gaps) == byte_cycles(eighths)


@cocotb.test()
@cocotb.parametrize(
    eighths=UART_BIT_EIGHTHS, idle_share=IDLE_SHARES, busy_share=[0.0, 0.4, BUSY_READER_SHARE]
)
async def receiver_offers_every_byte_in_time_and_holds_one(
    dut: Any, eighths: int, idle_share: float, busy_share: float
) -> None:
    rng = seeded_random()
    receiver = Part(dut, f"receiver_{eighths}")
    port = receiver.stream("bytes")
    driver = SerialDriver(dut.clk, receiver.rx, bit_ps(eighths), Pauses(rng, idle_share))
    await start(dut)
    StreamReader(port, Pauses(rng, busy_share))
    transfers: list[Transfer] = []
    StreamMonitor(port, transfers.append)

    await driver.align()
    sent = some_bytes(rng, 10)
    starts = await driver.send(sent)
    await ClockCycles(dut.clk, QUIET_BYTES * byte_cycles(eighths))
    while port.valid.value == 1:
        await RisingEdge(dut.clk)

    offers = [start + offered_after_cycles(eighths) for start in starts]
    expected = received(zip(sent, offers, strict=True), transfers)
    assert [(transfer.payload, transfer.offered) for transfer in transfers] == expected
    if busy_share < BUSY_READER_SHARE:
        assert len(expected) == len(sent)


@cocotb.test()
@cocotb.parametrize(eighths=UART_BIT_EIGHTHS, error=BAUD_ERRORS, idle_share=IDLE_SHARES)
async def receiver_follows_a_line_that_is_off_and_jitters(
    dut: Any, eighths: int, error: float, idle_share: float
) -> None:
    """Each edge, that of a start bit too, moves by up to half of what `spare_cycles` leaves."""
    rng = seeded_random()
    receiver = Part(dut, f"receiver_{eighths}")
    port = receiver.stream("bytes")
    spare = spare_cycles(Fraction(eighths, 8), abs(error))
    jitter_ps = int(spare / 2 * CLOCK_PS) - 1
    driver = SerialDriver(
        dut.clk,
        receiver.rx,
        round(bit_ps(eighths) * (1 + error)),
        Pauses(rng, idle_share),
        lambda: rng.choice((-jitter_ps, rng.randint(-jitter_ps, jitter_ps), jitter_ps)),
    )
    await start(dut)
    StreamReader(port, Pauses(rng, idle_share))
    scoreboard = Scoreboard("bytes received")
    StreamMonitor(port, lambda transfer: scoreboard.check(transfer.payload))

    sent = some_bytes(rng, 40)
    for byte in sent:
        scoreboard.expect(byte)
    await driver.send(sent)
    await scoreboard.finished(dut.clk, byte_cycles(eighths), QUIET_BYTES * byte_cycles(eighths))


@cocotb.test()
@cocotb.parametrize(eighths=UART_BIT_EIGHTHS, idle_share=IDLE_SHARES)
async def receiver_drops_what_is_no_byte(dut: Any, eighths: int, idle_share: float) -> None:
    rng = seeded_random()
    receiver = Part(dut, f"receiver_{eighths}")
    port = receiver.stream("bytes")
    driver = SerialDriver(dut.clk, receiver.rx, bit_ps(eighths), Pauses(rng, idle_share))
    await start(dut)
    StreamReader(port, Pauses(rng, idle_share))
    scoreboard = Scoreboard("bytes received")
    StreamMonitor(port, lambda transfer: scoreboard.check(transfer.payload))

    await driver.align()
    for _ in range(3):
        for level in levels(rng.randrange(256), stop=0):
            await driver.hold(level, 1)
        await driver.hold(0, rng.randrange(30))
        await driver.hold(1, 2)
        byte = rng.randrange(256)
        scoreboard.expect(byte)
        await driver.send([byte])
    await scoreboard.finished(dut.clk, byte_cycles(eighths), QUIET_BYTES * byte_cycles(eighths))


@cocotb.test()
@cocotb.parametrize(eighths=UART_BIT_EIGHTHS, idle_share=IDLE_SHARES)
async def every_byte_survives_the_loop(dut: Any, eighths: int, idle_share: float) -> None:
    rng = seeded_random()
    transmitter, receiver = Part(dut, f"transmitter_{eighths}"), Part(dut, f"receiver_{eighths}")
    driver = StreamDriver(transmitter.stream("bytes"), Pauses(rng, idle_share))
    receiver.rx.value = 1
    await start(dut)

    async def wire() -> None:
        while True:
            await transmitter.tx.value_change
            receiver.rx.value = transmitter.tx.value

    cocotb.start_soon(wire())
    StreamReader(receiver.stream("bytes"), Pauses(rng, idle_share))
    scoreboard = Scoreboard("bytes through the loop")
    StreamMonitor(receiver.stream("bytes"), lambda transfer: scoreboard.check(transfer.payload))

    for byte in rng.sample(range(256), 2048 // eighths):
        scoreboard.expect(byte)
        await driver.send(byte)
    await scoreboard.finished(dut.clk, 2 * byte_cycles(eighths), QUIET_BYTES * byte_cycles(eighths))
