"""The rows of a tree are found in the memories, whatever path its bits take."""

import random

import pytest

from stepnet.cores.engine.shape import EngineShape
from stepnet_hdl.cores.engine.tree_walk import TreeWalk
from streams import Bench, Pauses


@pytest.mark.parametrize("pauses", [0.0, 0.5])
@pytest.mark.parametrize(("pe", "parameter_lanes"), [(1, 1), (2, 1), (6, 3), (8, 8)])
def test_addresses_lead_from_row_to_row(pe, parameter_lanes, pauses):
    shape = EngineShape(
        16,
        max_inputs=128,
        weight_words=1000,
        parameter_words=300,
        pe=pe,
        parameter_lanes=parameter_lanes,
    )
    walk = TreeWalk(shape)
    rng = random.Random(pe)
    bench = Bench(walk, max_cycles=20_000)
    rows = []

    async def testbench(ctx):
        gaps = Pauses(pauses, seed=3)
        weights, parameters = rng.randrange(100), rng.randrange(50)

        async def tick():
            """One cycle, in which the addresses follow what the walk says."""
            nonlocal weights, parameters
            if ctx.get(walk.count | walk.jump):
                weights = (weights + ctx.get(walk.weight_stride)) % (1 << len(walk.weight_stride))
            if ctx.get(walk.fetch | walk.jump):
                parameters += ctx.get(walk.parameter_stride)
                parameters %= 1 << len(walk.parameter_stride)
            await ctx.tick()

        async def read_row(words, is_first):
            """Read weights and thresholds of the row's group, in any order."""
            reads = ["count"] * words + ["fetch"] * shape.parameter_reads
            rng.shuffle(reads)
            ctx.set(walk.first_row, is_first)
            for read in reads:
                for _ in range(gaps.cycles()):
                    await tick()
                ctx.set(getattr(walk, read), 1)
                await tick()
                ctx.set(getattr(walk, read), 0)

        for _ in range(8):
            words = rng.randint(1, 7)
            depth = rng.randint(1, 6)
            ctx.set(walk.begin, 1)
            await tick()
            ctx.set(walk.begin, 0)
            first_weights, first_parameters = weights, parameters
            node = 0
            for level in range(depth):
                group, lane = divmod(node, pe)
                rows.append(
                    (
                        (weights, parameters, ctx.get(walk.lane)),
                        (
                            first_weights + group * words,
                            first_parameters + group * shape.parameter_reads,
                            lane,
                        ),
                    )
                )
                await read_row(words, level == 0)
                if level == depth - 1:
                    break
                bit = rng.getrandbits(1)
                ctx.set(walk.bit, bit)
                ctx.set(walk.descend, 1)
                await tick()
                ctx.set(walk.descend, 0)
                for _ in range(walk.latency_cycles - 1):
                    await tick()
                ctx.set(walk.jump, 1)
                await tick()
                ctx.set(walk.jump, 0)
                node = 2 * node + 1 + bit

    bench.run(testbench)
    assert [found for found, _ in rows] == [expected for _, expected in rows]
    assert len(rows) > 16
