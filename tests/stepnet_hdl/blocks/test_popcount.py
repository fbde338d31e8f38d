"""Popcount: value and latency for any width."""

import random

import pytest
from amaranth.sim import Simulator

from stepnet.cores.engine.shape import popcount_latency_cycles
from stepnet_hdl.blocks.popcount import Popcount


@pytest.mark.parametrize(
    ("width", "latency_cycles"),
    [(1, 1), (2, 1), (3, 1), (4, 2), (7, 2), (8, 3), (15, 3), (63, 5), (64, 6), (255, 7)],
)
def test_latency_is_the_depth_of_the_tree(width, latency_cycles):
    assert popcount_latency_cycles(width) == latency_cycles


@pytest.mark.parametrize("leaf_bits", [1, 3])
@pytest.mark.parametrize("width", [*range(1, 18), 31, 40, 63, 64, 100])
def test_counts_a_new_word_every_cycle(width, leaf_bits):
    rng = random.Random(width)
    words = [0, (1 << width) - 1, *(rng.getrandbits(width) for _ in range(40))]
    words += [1 << bit for bit in range(width)]
    popcount = Popcount(width, leaf_bits)
    counts = []

    async def drive(ctx):
        for word in words + [0] * popcount.latency_cycles:
            ctx.set(popcount.bits, word)
            counts.append(ctx.get(popcount.count))
            await ctx.tick()

    simulator = Simulator(popcount)
    simulator.add_clock(1e-6)
    simulator.add_testbench(drive)
    simulator.run()
    assert counts[popcount.latency_cycles :] == [word.bit_count() for word in words]
