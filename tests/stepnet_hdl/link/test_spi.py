import random

import pytest

from spi_controller import SpiController
from stepnet.errors import BuildError
from stepnet.link.spi_line import (
    CYCLES_PER_BYTE,
    IDLE_BYTE,
    MOST_SPI_HZ,
    check_spi_rate,
    fastest_spi_hz,
)
from stepnet_hdl.link.spi import SpiPeripheral
from streams import Bench, Driver

FASTEST = CYCLES_PER_BYTE / 8
"""Cycles to a bit at the highest rate."""

RATES = [FASTEST, 0.51, 1.05, 3.7]


def some_bytes(count, seed=0):
    rng = random.Random(seed)
    return bytes([0x80, 0x01, 0xFF, 0x55, *(rng.randrange(1, 256) for _ in range(count - 4))])


def run(dut, bit_cycles, clocking, *, to_send=b"", pauses=None, jitter=0.0, seed=0):
    """Let `clocking(ctx, controller)` use the line; the bytes that the board got and said."""
    bench = Bench(dut, max_cycles=100_000)
    received = bench.sink(dut.received, pauses)
    controller = SpiController(dut, bit_cycles, jitter=jitter, seed=seed)

    async def send(ctx):
        await Driver(dut.to_send).send(ctx, to_send)

    async def clock(ctx):
        await controller.pause(ctx, 0.5 + seed % 7 / 7)  # in any phase of the chip's clock
        await clocking(ctx, controller)
        await controller.pause(ctx, 10)

    if to_send:
        bench.background(send)
    bench.run(clock)
    return bytes(received.payloads), bytes(controller.heard)


@pytest.mark.parametrize("bit_cycles", RATES)
@pytest.mark.parametrize("jitter", [0.0, 0.2])
def test_bytes_back_to_back_go_both_ways(bit_cycles, jitter):
    # Late edges may make a byte shorter by that much.
    bit_cycles *= 1 + jitter / 16
    asked, told = some_bytes(24), some_bytes(18, seed=1)

    async def clocking(ctx, controller):
        await controller.transfer(ctx, asked)

    for seed in range(3):
        got, heard = run(
            SpiPeripheral(), bit_cycles, clocking, to_send=told, jitter=jitter, seed=seed
        )
        assert got == asked
        assert heard[:2] == bytes(2)  # chosen before anything was there
        assert heard == heard[:2] + told + bytes(len(asked) - 2 - len(told))


@pytest.mark.parametrize("bits", range(8))
@pytest.mark.parametrize("bit_cycles", [FASTEST, 2.1])
def test_a_transaction_that_ends_within_a_byte_loses_nothing_but_that_byte(bit_cycles, bits):
    told = some_bytes(12)

    async def clocking(ctx, controller):
        for _ in range(4):
            await controller.transfer(ctx, b"abc", bits_of_last=bits)
        await controller.transfer(ctx, b"the rest")

    got, heard = run(SpiPeripheral(), bit_cycles, clocking, to_send=told)
    assert got == 4 * b"ab" + b"the rest"
    assert heard.strip(b"\0") == told


@pytest.mark.parametrize("bit_cycles", [FASTEST, 1.3, 5.0])
def test_transactions_of_any_length(bit_cycles):
    rng = random.Random(4)
    asked, told = some_bytes(60, seed=2), some_bytes(40, seed=3)

    async def clocking(ctx, controller):
        left = asked
        while left:
            size = rng.randrange(1, 6)
            await controller.transfer(ctx, left[:size])
            left = left[size:]
            await controller.pause(ctx, rng.choice((0, 0.3, 7)))

    got, heard = run(SpiPeripheral(), bit_cycles, clocking, to_send=told)
    assert (got, heard.strip(b"\0")) == (asked, told)


def test_the_clock_of_other_transactions_means_nothing():
    async def clocking(ctx, controller):
        await controller.transfer(ctx, b"one")
        for byte in b"not for this board":
            await controller.byte(ctx, byte)
        controller.heard = controller.heard[:3]
        await controller.transfer(ctx, b"two")

    got, heard = run(SpiPeripheral(), 2.1, clocking, to_send=b"\1\2\3\4")
    assert (got, heard) == (b"onetwo", b"\0\0\1\2\3\4")


def test_a_clock_that_stops_within_a_byte_goes_on():
    async def clocking(ctx, controller):
        await controller.selected(ctx, 1)
        for byte in b"stops":
            await controller.byte(ctx, byte)
            await controller.pause(ctx, 50)
        await controller.selected(ctx, 0)

    assert run(SpiPeripheral(), FASTEST, clocking)[0] == b"stops"


def test_idle_bytes_are_sent_while_there_is_nothing():
    async def clocking(ctx, controller):
        await controller.transfer(ctx, bytes(range(1, 20)))

    assert run(SpiPeripheral(), 1.0, clocking)[1] == bytes([IDLE_BYTE]) * 19


def test_an_unread_byte_stays_and_the_next_one_is_dropped():
    dut = SpiPeripheral()
    bench = Bench(dut, max_cycles=2000)
    taken = bench.monitor(dut.received)
    controller = SpiController(dut, 2.0)

    async def testbench(ctx):
        await controller.transfer(ctx, b"\x11\x22\x33")
        await ctx.tick().repeat(10)
        ctx.set(dut.received.ready, 1)
        await controller.transfer(ctx, b"\x44")
        await ctx.tick().repeat(10)

    bench.run(testbench)
    assert taken.payloads == [0x11, 0x44]


@pytest.mark.parametrize("phase", [0.01, 0.3, 0.6, 0.99])
def test_a_byte_is_offered_after_its_published_latency(phase):
    dut = SpiPeripheral()
    bench = Bench(dut, max_cycles=2000)
    received = bench.sink(dut.received)
    controller = SpiController(dut, 2.0)

    async def testbench(ctx):
        await ctx.tick().repeat(10)
        await controller.pause(ctx, phase)
        await controller.transfer(ctx, b"\xa5")
        await ctx.tick().repeat(10)

    bench.run(testbench)
    # `selected`, and from there to the eighth rise: 1 and 15 half bits. Cycle n ends with edge n.
    rise = 10 + phase + 1 + 15
    (offered,) = received.first_offered
    assert received.payloads == [0xA5]
    assert dut.latency_cycles - 1 <= offered - rise <= dut.latency_cycles


def test_frames_are_not_torn_by_idle_bytes_if_their_bytes_come_as_a_transmitter_gives_them():
    """A byte every third cycle, as `FrameTransmitter` offers them, at the highest rate."""
    dut = SpiPeripheral()
    bench = Bench(dut, max_cycles=20_000)
    bench.sink(dut.received)
    controller = SpiController(dut, FASTEST)
    told = some_bytes(50)

    async def send(ctx):
        for byte in told:
            await ctx.tick().repeat(2)
            await Driver(dut.to_send).send(ctx, [byte])

    async def testbench(ctx):
        await controller.transfer(ctx, bytes(60))

    bench.background(send)
    bench.run(testbench)
    assert bytes(controller.heard).strip(b"\0") == told


@pytest.mark.parametrize(
    ("clock_hz", "fastest_hz"),
    [(42_000_000, MOST_SPI_HZ), (12_000_000, MOST_SPI_HZ), (10_000_000, MOST_SPI_HZ),
     (8_000_000, 16_000_000), (1_000_000, 2_000_000)],
)  # fmt: skip
def test_the_highest_rate_of_a_clock(clock_hz, fastest_hz):
    assert fastest_spi_hz(clock_hz) == fastest_hz
    check_spi_rate(clock_hz, fastest_hz)


def test_rates_that_are_refused():
    with pytest.raises(BuildError) as caught:
        check_spi_rate(42_000_000, 25_000_000)
    assert str(caught.value) == (
        "An SPI line of 25 MHz is faster than a board answers; choose at most 20 MHz."
    )
    with pytest.raises(BuildError) as caught:
        check_spi_rate(8_000_000, 20_000_000)
    assert str(caught.value) == (
        "A clock of 8 MHz is too slow for an SPI line of 20 MHz: a byte needs at least 4 cycles; "
        "choose at most 16 MHz or a faster clock."
    )
