"""Values as they were some cycles before."""

import random

import pytest
from amaranth.hdl import Module, Signal

from stepnet_hdl.blocks.delay import delayed
from streams import Bench


@pytest.mark.parametrize("cycles", [0, 1, 3])
def test_a_value_comes_as_many_cycles_later(cycles):
    rng = random.Random(cycles)
    values = [rng.randrange(32) for _ in range(20)]
    m = Module()
    value = Signal(5)
    late = delayed(m, value, cycles, "value")
    m.d.sync += Signal().eq(1)  # a clock domain, even without a register in between
    bench = Bench(m, max_cycles=50)
    trace = bench.trace(late=late)

    async def testbench(ctx):
        for now in values:
            ctx.set(value, now)
            await ctx.tick()

    bench.run(testbench)
    assert trace["late"] == [0] * cycles + values[: len(values) - cycles]
