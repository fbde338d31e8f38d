"""Activations of hidden layers become words, each written where and when it should be."""

import random

import pytest

from stepnet.cores.engine.shape import EngineShape
from stepnet_hdl.cores.engine.collector import Collector
from streams import Bench, Pauses


def words_of(groups, shape):
    """The words of a layer from its groups of activations, the first group of a word lowest."""
    for first in range(0, len(groups), shape.groups_per_word):
        word = 0
        for group in groups[first : first + shape.groups_per_word]:
            word = word >> shape.pe | group << shape.simd - shape.pe
        yield word


@pytest.mark.parametrize("pauses", [0.0, 0.6])
@pytest.mark.parametrize(("simd", "pe"), [(8, 1), (16, 4), (24, 7), (8, 8)])
def test_layers_become_words(simd, pe, pauses):
    shape = EngineShape(simd, max_inputs=4 * simd, pe=pe, parameter_lanes=pe)
    collector = Collector(shape)
    rng = random.Random(simd + pe)
    most = 4 * shape.groups_per_word
    sizes = [1, 2, shape.groups_per_word, most, *(rng.randint(1, most) for _ in range(6))]
    layers = [[rng.getrandbits(pe) for _ in range(min(size, most))] for size in sizes]
    # A word completed by a group is written in the cycle in which the group's activations come.
    announced = []
    expected = []
    bench = Bench(collector, max_cycles=3000)
    trace = bench.trace(write=collector.write, address=collector.word_address, word=collector.word)

    async def testbench(ctx):
        gaps = Pauses(pauses, seed=1)
        cycle = 0
        fires = 0

        async def tick(next_done, next_last, next_fires):
            nonlocal cycle, fires
            ctx.set(collector.decided.next_done, next_done)
            # Means nothing without `next_done`.
            ctx.set(collector.decided.next_last, next_last if next_done else rng.random() < 0.5)
            ctx.set(collector.fires, fires)
            fires = next_fires
            await ctx.tick()
            cycle += 1

        for layer in layers:
            words = list(words_of(layer, shape))
            for number, group in enumerate(layer):
                for _ in range(gaps.cycles()):
                    await tick(0, 0, rng.getrandbits(pe))
                last = number == len(layer) - 1
                address, place = divmod(number, shape.groups_per_word)
                announced.append(cycle)
                if last or place == shape.groups_per_word - 1:
                    expected.append((cycle + collector.latency_cycles, address, words[address]))
                await tick(1, last, group)
        for _ in range(3):
            await tick(0, 0, 0)

    bench.run(testbench)
    found = [
        (cycle, trace["address"][cycle], trace["word"][cycle]) for cycle in trace.cycles("write")
    ]
    assert found == expected
    assert pauses or announced == list(range(len(announced)))
