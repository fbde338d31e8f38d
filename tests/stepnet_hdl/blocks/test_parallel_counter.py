"""Parallel counter: value, latency and number of adders for any width."""

import random

import pytest
from amaranth.sim import Simulator

from stepnet_hdl.blocks.parallel_counter import (
    ParallelCounter,
    adders_per_cycle,
    counter_latency_cycles,
)


@pytest.mark.parametrize(("width", "latency_cycles"), [(1, 0), (2, 1), (3, 1), (7, 3), (42, 9)])
def test_latency(width, latency_cycles):
    assert counter_latency_cycles(width) == latency_cycles


@pytest.mark.parametrize("width", [2, 3, 8, 50, 255])
def test_no_adder_is_one_too_many(width):
    adders = sum(full + half for cycle in adders_per_cycle(width) for full, half in cycle)
    # Of n bits of a weight, n - 1 go in pairs into adders, one carry for each pair.
    least, bits = 0, width
    while bits > 1:
        bits //= 2
        least += bits
    assert adders == least


def test_too_few_cycles():
    with pytest.raises(ValueError, match="9 bits are not counted in 2 cycles"):
        ParallelCounter(9, latency_cycles=2)


@pytest.mark.parametrize(
    ("width", "more"), [*((width, 0) for width in (*range(2, 12), 31, 42)), (1, 1), (9, 2)]
)
def test_counts_a_new_word_every_cycle(width, more):
    rng = random.Random(width)
    words = [0, (1 << width) - 1, *(rng.getrandbits(width) for _ in range(40))]
    words += [1 << bit for bit in range(width)]
    counter = ParallelCounter(width, latency_cycles=counter_latency_cycles(width) + more)
    counts = []

    async def drive(ctx):
        for word in words + [0] * counter.latency_cycles:
            ctx.set(counter.bits, word)
            counts.append(ctx.get(counter.count))
            await ctx.tick()

    simulator = Simulator(counter)
    simulator.add_clock(1e-6)
    simulator.add_testbench(drive)
    simulator.run()
    assert counts[counter.latency_cycles :] == [word.bit_count() for word in words]
