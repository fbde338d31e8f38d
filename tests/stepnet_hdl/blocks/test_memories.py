"""Memories: what is read, how many cycles later, and what is kept meanwhile."""

import random

import pytest

from stepnet_hdl.blocks.lane_memory import LaneMemory
from stepnet_hdl.blocks.ram import Ram
from streams import Bench

WIDTH, DEPTH, LANES = 6, 5, 3
CYCLES = 300


class Model:
    """Words of values, and the word that is at the output; None where it means nothing."""

    def __init__(self, lanes, init, read_cycles):
        values = [*init, *[0] * (lanes * DEPTH - len(init))]
        self.words = [values[lanes * word : lanes * (word + 1)] for word in range(DEPTH)]
        self.stages = [[0] * lanes for _ in range(read_cycles)]

    def read_data(self):
        word = self.stages[-1]
        return None if word is None else sum(v << WIDTH * lane for lane, v in enumerate(word))

    def step(self, access):
        address, enable, write_address, write_lane, value, write = access
        self.stages[1:] = self.stages[:-1]
        if enable:
            clashes = write and address == write_address
            self.stages[0] = None if clashes else list(self.words[address])
        if write:
            self.words[write_address][write_lane] = value


def check(memory, lanes, init):
    rng = random.Random(1)
    model = Model(lanes, init, memory.read_cycles)
    bench = Bench(memory, max_cycles=CYCLES + 1)
    trace = bench.trace(data=memory.read_data)
    expected = []

    async def testbench(ctx):
        for cycle in range(CYCLES):
            # At first nothing is written, so that what it holds at power-on is read.
            write = cycle > 30 and rng.random() < 0.5
            access = (
                rng.randrange(DEPTH),
                rng.random() < 0.7,
                rng.randrange(DEPTH),
                rng.randrange(lanes),
                rng.getrandbits(WIDTH),
                write,
            )
            ctx.set(memory.read_address, access[0])
            ctx.set(memory.read_enable, access[1])
            ctx.set(memory.write_address, access[2])
            if lanes > 1:
                ctx.set(memory.write_lane, access[3])
            ctx.set(memory.write_data, access[4])
            ctx.set(memory.write_enable, access[5])
            expected.append(model.read_data())
            model.step(access)
            await ctx.tick()

    bench.run(testbench)
    found = [None if e is None else value for e, value in zip(expected, trace["data"], strict=True)]
    assert found == expected
    assert expected.count(None) < CYCLES / 4


@pytest.mark.parametrize("read_cycles", [1, 2])
def test_ram_gives_a_word_after_its_read_cycles(read_cycles):
    init = [7, 63, 1]
    check(Ram(WIDTH, DEPTH, init, read_cycles), 1, init)


@pytest.mark.parametrize("read_cycles", [1, 2])
def test_lane_memory_is_read_whole_and_written_by_lanes(read_cycles):
    init = [5, 9, 33, 60, 2, 1, 17]
    check(LaneMemory(WIDTH, LANES, DEPTH, init, read_cycles), LANES, init)
