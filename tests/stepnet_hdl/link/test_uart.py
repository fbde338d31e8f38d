import math
import random
from fractions import Fraction

import pytest
from amaranth.hdl import Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from stepnet.errors import BuildError
from stepnet.link.serial_line import divisor_for, edge_cycles, sample_cycles, spare_cycles
from stepnet_hdl.link.uart import UartReceiver, UartTransmitter
from streams import Bench, Driver, Pauses


class Loopback(wiring.Component):
    """A transmitter whose line goes to a receiver."""

    def __init__(self, divisor):
        self.divisor = divisor
        super().__init__({"into": In(stream.Signature(8)), "out": Out(stream.Signature(8))})

    def elaborate(self, platform):
        m = Module()
        m.submodules.transmitter = transmitter = UartTransmitter(self.divisor)
        m.submodules.receiver = receiver = UartReceiver(self.divisor)
        wiring.connect(m, wiring.flipped(self.into), transmitter.bytes)
        wiring.connect(m, receiver.bytes, wiring.flipped(self.out))
        m.d.comb += receiver.rx.eq(transmitter.tx)
        return m


def line_levels(byte, stop=1):
    return [0, *(byte >> bit & 1 for bit in range(8)), stop]


async def play(ctx, rx, levels, bit_cycles):
    """Put levels on a line for `bit_cycles` each, which need not be a whole number."""
    elapsed = 0
    for number, level in enumerate(levels, start=1):
        ctx.set(rx, level)
        until = round(number * bit_cycles)
        await ctx.tick().repeat(until - elapsed)
        elapsed = until
    ctx.set(rx, 1)


@pytest.mark.parametrize("divisor", [3, Fraction(7, 2), 4, 7])
def test_transmitter_puts_each_level_on_the_line_for_divisor_cycles(divisor):
    dut = UartTransmitter(divisor)
    bench = Bench(dut, max_cycles=1000)
    levels = []

    async def testbench(ctx):
        ctx.set(dut.bytes.payload, 0x35)
        ctx.set(dut.bytes.valid, 1)
        await ctx.tick().until(dut.bytes.ready)
        ctx.set(dut.bytes.payload, 0xCA)
        for _ in range(2 * dut.byte_cycles):
            _, _, level = await ctx.tick().sample(dut.tx)
            levels.append(level)

    bench.run(testbench)
    edges = [math.floor(bit * divisor + Fraction(1, 2)) for bit in range(11)]
    first, second = (
        [
            level
            for level, begins, ends in zip(line_levels(byte), edges, edges[1:], strict=False)
            for _ in range(ends - begins)
        ]
        for byte in (0x35, 0xCA)
    )
    assert levels == [*first, 1, *second, 1]


@pytest.mark.parametrize("divisor", [3, Fraction(25, 8), Fraction(7, 2), 4, 9])
def test_every_byte_survives_the_line(divisor):
    dut = Loopback(divisor)
    bench = Bench(dut, max_cycles=100_000)
    received = bench.sink(dut.out, Pauses(0.5, seed=1))
    sent = list(range(256))
    random.Random(int(divisor)).shuffle(sent)
    sent = [0x00, 0xFF, *sent[: int(240 / divisor)]]

    async def testbench(ctx):
        await Driver(dut.into, Pauses(0.3, seed=2)).send(ctx, sent)
        await ctx.tick().repeat(int(12 * divisor))

    bench.run(testbench)
    assert received.payloads == sent


@pytest.mark.parametrize("divisor", [3, Fraction(7, 2), 4, 5, 16])
def test_receiver_offers_a_byte_after_its_published_latency(divisor):
    dut = UartReceiver(divisor)
    bench = Bench(dut, max_cycles=1000)
    received = bench.sink(dut.bytes)

    async def testbench(ctx):
        await play(ctx, dut.rx, line_levels(0xA5), divisor)
        await ctx.tick().repeat(math.ceil(divisor))

    bench.run(testbench)
    assert received.payloads == [0xA5]
    assert received.first_offered == [dut.latency_cycles]


@pytest.mark.parametrize("error", [-0.04, 0.04])
def test_receiver_tolerates_both_ends_being_at_the_limit(error):
    dut = UartReceiver(50)
    bench = Bench(dut, max_cycles=20_000)
    received = bench.sink(dut.bytes)
    sent = [0x00, 0xFF, 0x55, 0x80, 0x01, 0xAA]

    async def testbench(ctx):
        for byte in sent:
            await play(ctx, dut.rx, line_levels(byte), 50 * (1 + error))
        await ctx.tick().repeat(100)

    bench.run(testbench)
    assert received.payloads == sent


def sampled(levels, bit_cycles, late, jitter):
    """The line in each cycle, if its first bit began `late` cycles before the first of them, and
    each edge comes `jitter()` cycles late."""
    edges = [bit * bit_cycles + jitter() - late for bit in range(len(levels) + 1)]
    edges = [edge - edges[0] - late for edge in edges]
    line = [1] * (math.ceil(edges[-1]) + 1)
    for level, begins, ends in zip(levels, edges, edges[1:], strict=False):
        for cycle in range(max(0, math.ceil(begins)), math.ceil(ends)):
            line[cycle] = level
    return line


@pytest.mark.parametrize("error", [-0.02, 0.02])
@pytest.mark.parametrize("divisor", [3, Fraction(25, 8), Fraction(7, 2), 4])
def test_a_line_that_is_off_and_jitters_at_few_cycles_to_a_bit(divisor, error):
    dut = UartReceiver(divisor)
    bench = Bench(dut, max_cycles=20_000)
    received = bench.sink(dut.bytes)
    rng = random.Random(int(8 * divisor))
    spare = spare_cycles(divisor, abs(error))
    sent = [0x00, 0xFF, 0x55, 0xAA, *(rng.randrange(256) for _ in range(28))]

    async def testbench(ctx):
        for number, byte in enumerate(sent):
            late = number % 8 / 8
            levels = sampled(
                line_levels(byte),
                float(divisor * (1 + Fraction(error))),
                late,
                lambda: rng.choice([0.0, spare * 0.99]),
            )
            for level in levels:
                ctx.set(dut.rx, level)
                await ctx.tick()
            ctx.set(dut.rx, 1)
            await ctx.tick().repeat(rng.randrange(1, 4))
        await ctx.tick().repeat(20)

    bench.run(testbench)
    assert received.payloads == sent


@pytest.mark.parametrize("eighths", range(24, 80))
def test_some_jitter_is_allowed_at_any_length_of_a_bit(eighths):
    divisor = Fraction(eighths, 8)
    spare = spare_cycles(divisor, 0.02)
    assert spare > 0.02 * divisor
    # It is what the times of the samples leave, and not more.
    for bit, sample in enumerate(sample_cycles(divisor)):
        for length in (divisor * Fraction(98, 100), divisor * Fraction(102, 100)):
            assert bit * length + spare <= sample + 1e-9
            assert sample + 1 <= (bit + 1) * length - spare + 1e-9


def test_what_three_cycles_to_a_bit_leave():
    assert spare_cycles(3, 0.02) == pytest.approx(0.4)
    assert spare_cycles(Fraction(7, 2), 0.02) == pytest.approx(0.3)
    assert edge_cycles(Fraction(7, 2)) == [0, 4, 7, 11, 14, 18, 21, 25, 28, 32, 35]


def test_byte_with_a_broken_stop_bit_is_dropped():
    dut = UartReceiver(8)
    bench = Bench(dut, max_cycles=2000)
    received = bench.sink(dut.bytes)

    async def testbench(ctx):
        await play(ctx, dut.rx, line_levels(0x0F, stop=0), 8)
        await ctx.tick().repeat(16)
        await play(ctx, dut.rx, [0] * 40, 8)  # a break of four bytes
        await ctx.tick().repeat(16)
        await play(ctx, dut.rx, line_levels(0x3C), 8)
        await ctx.tick().repeat(16)

    bench.run(testbench)
    assert received.payloads == [0x3C]


def test_short_dip_is_no_start_bit():
    dut = UartReceiver(8)
    bench = Bench(dut, max_cycles=2000)
    received = bench.sink(dut.bytes)

    async def testbench(ctx):
        await play(ctx, dut.rx, [0], 3)
        await ctx.tick().repeat(100)
        await play(ctx, dut.rx, line_levels(0x3C), 8)
        await ctx.tick().repeat(16)

    bench.run(testbench)
    assert received.payloads == [0x3C]


def test_unread_byte_stays_and_the_next_one_is_dropped():
    dut = UartReceiver(4)
    bench = Bench(dut, max_cycles=2000)
    taken = bench.monitor(dut.bytes)

    async def testbench(ctx):
        for byte in (0x11, 0x22, 0x33):
            await play(ctx, dut.rx, line_levels(byte), 4)
        await ctx.tick().repeat(10)
        ctx.set(dut.bytes.ready, 1)
        await play(ctx, dut.rx, line_levels(0x44), 4)
        await ctx.tick().repeat(10)

    bench.run(testbench)
    assert taken.payloads == [0x11, 0x44]


@pytest.mark.parametrize(
    ("clock_hz", "baud", "divisor"),
    [
        (12e6, 1_000_000, 12),
        (12e6, 115_200, 104),
        (48e6, 12_000_000, 4),
        (42e6, 12_000_000, Fraction(7, 2)),
        (36e6, 12_000_000, 3),
        (170e6, 12_000_000, Fraction(113, 8)),
        (25e6, 3_000_000, Fraction(67, 8)),
    ],
)
def test_divisor_is_the_nearest_whole_number_or_eighth(clock_hz, baud, divisor):
    assert divisor_for(clock_hz, baud) == divisor


def test_baud_rate_that_the_clock_cannot_make_is_refused():
    with pytest.raises(BuildError) as error:
        divisor_for(18.37e6, 6_000_000)
    assert str(error.value) == (
        "A clock of 18.37 MHz cannot make 6000000 baud: dividing it by 3 is 2.1% off, and at most "
        "2% is allowed; choose 6123333 baud or another clock."
    )


def test_baud_rate_beyond_the_clock_is_refused():
    with pytest.raises(BuildError) as error:
        divisor_for(12e6, 6_000_000)
    assert str(error.value) == (
        "A clock of 12 MHz is too slow for 6000000 baud: a bit needs at least 3 cycles; choose at "
        "most 4000000 baud or a faster clock."
    )
