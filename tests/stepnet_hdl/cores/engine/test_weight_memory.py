"""The weights, in every kind of memory: what is read, and how many cycles later."""

import random
from dataclasses import dataclass

import pytest
from amaranth.hdl import Cat, Fragment, Module, Signal
from amaranth.lib import memory

from stepnet.cores.engine.shape import EngineShape
from stepnet_hdl.cores.engine import weight_memory
from stepnet_hdl.cores.engine.weight_memory import WeightMemory
from stepnet_hdl.fpga.parts import SPRAM_BITS, SPRAM_WORDS
from streams import Bench

SHAPES = {
    "block": EngineShape(16, max_inputs=32, weight_words=20, pe=3),
    "registered": EngineShape(16, max_inputs=32, weight_words=20, pe=3, weight_memory="registered"),
    "single port": EngineShape(
        16, max_inputs=32, weight_words=20, pe=3, weight_memory="single_port"
    ),
    "neighbourhoods": EngineShape(256, max_inputs=256, weight_words=700, pe=5),
    "registered neighbourhoods": EngineShape(
        256, max_inputs=256, weight_words=700, pe=5, weight_memory="registered"
    ),
}


async def write_all(ctx, weights, words):
    """words: one list of lanes for each address."""
    writes = [(address, lane) for address, word in words.items() for lane in range(len(word))]
    random.Random(3).shuffle(writes)
    ctx.set(weights.loading, 1)
    for address, lane in writes:
        if address % 3 == 0:
            await ctx.tick()
        ctx.set(weights.write_address, address)
        if len(words[address]) > 1:
            ctx.set(weights.write_lane, lane)
        ctx.set(weights.write_data, words[address][lane])
        ctx.set(weights.write_enable, 1)
        await ctx.tick()
        ctx.set(weights.write_enable, 0)
        # What comes with the rest of a load is not written.
        ctx.set(weights.write_data, 0)
    ctx.set(weights.read_address, next(iter(words)))
    ctx.set(weights.loading, 0)


def check(weights, bench, words):
    """Write words, and read them in any order, one in each cycle."""
    shape = weights.shape
    rng = random.Random(4)
    addresses = [rng.choice(list(words)) for _ in range(60)]
    trace = bench.trace(data=weights.read_data, address=weights.read_address)
    begun = 0

    async def testbench(ctx):
        nonlocal begun
        await write_all(ctx, weights, words)
        for _ in range(weights.write_cycles - 1):
            await ctx.tick()
        begun = len(trace)
        for address in addresses:
            ctx.set(weights.read_address, address)
            await ctx.tick()
        await ctx.tick().repeat(weights.lane_read_cycles[-1])

    bench.run(testbench)
    for lane, cycles in enumerate(weights.lane_read_cycles):
        found = trace["data"][begun + cycles :][: len(addresses)]
        mask = (1 << shape.simd) - 1
        assert [value >> lane * shape.simd & mask for value in found] == [
            words[address][lane] for address in addresses
        ], f"lane {lane}"


def random_words(shape, addresses):
    rng = random.Random(5)
    return {
        address: [rng.getrandbits(shape.simd) for _ in range(shape.pe)] for address in addresses
    }


LANE_READ_CYCLES = {
    "block": (1, 1, 1),
    "registered": (2, 2, 2),
    "single port": (1, 1, 1),
    "neighbourhoods": (1, 1, 2, 2, 3),
    "registered neighbourhoods": (2, 2, 3, 3, 4),
}


@pytest.mark.parametrize("name", SHAPES)
def test_words_are_read_after_their_cycles(name):
    shape = SHAPES[name]
    weights = WeightMemory(shape)
    assert weights.lane_read_cycles == LANE_READ_CYCLES[name]
    last = shape.weight_words - 1
    check(weights, Bench(weights, 2000), random_words(shape, [0, 1, 2, 7, last - 1, last]))


@pytest.mark.parametrize(
    "shape", [shape for name, shape in SHAPES.items() if name != "single port"]
)
def test_weights_at_power_on(shape):
    rng = random.Random(6)
    init = [rng.getrandbits(shape.simd) for _ in range(4 * shape.pe + 1)]
    weights = WeightMemory(shape, init)
    bench = Bench(weights, 100)
    trace = bench.trace(data=weights.read_data)

    async def testbench(ctx):
        for address in range(6):
            ctx.set(weights.read_address, address)
            await ctx.tick()
        await ctx.tick().repeat(weights.lane_read_cycles[-1])

    bench.run(testbench)
    for lane, cycles in enumerate(weights.lane_read_cycles):
        found = [value >> lane * shape.simd for value in trace["data"][cycles : cycles + 6]]
        expected = [*init[lane :: shape.pe], *[0] * 6][:6]
        assert [value & (1 << shape.simd) - 1 for value in found] == expected, f"lane {lane}"


@dataclass
class Ice40Up5k:
    """What the weight memory asks of a platform."""

    device: str = "iCE40UP5K"


class Spram:
    """Stands in for an SB_SPRAM256KA, which Amaranth's simulator does not know: 16,384 words of
    16 bits behind one port, as in Lattice's FPGA-TN-02022. A word that is written is not read."""

    made = 0

    def __new__(cls, kind, **ports):
        assert kind == "SB_SPRAM256KA"
        cls.made += 1
        m = Module()
        m.submodules.words = words = memory.Memory(shape=SPRAM_BITS, depth=SPRAM_WORDS, init=[])
        read, write = words.read_port(domain="comb"), words.write_port(granularity=4)
        awake = ports["i_POWEROFF"] & ~ports["i_STANDBY"] & ~ports["i_SLEEP"]
        enable = ports["i_CHIPSELECT"] & awake
        m.d.comb += [
            read.addr.eq(ports["i_ADDRESS"]),
            write.addr.eq(ports["i_ADDRESS"]),
            write.data.eq(ports["i_DATAIN"]),
            write.en.eq(Cat(bit & ports["i_WREN"] & enable for bit in ports["i_MASKWREN"])),
        ]
        data = Signal(SPRAM_BITS)
        with m.If(enable):
            m.d.sync += data.eq(read.data)
            with m.If(ports["i_WREN"]):
                m.d.sync += data.eq(~read.data)
        m.d.comb += ports["o_DATAOUT"].eq(data)
        return m


@pytest.mark.parametrize(
    ("simd", "pe", "weight_words", "rams"),
    [(16, 1, 1 << 14, 1), (24, 1, 1000, 2), (16, 1, 40_000, 3), (24, 2, 20_000, 8)],
)
def test_single_port_ram_in_columns_banks_and_lanes(monkeypatch, simd, pe, weight_words, rams):
    shape = EngineShape(
        simd, max_inputs=2 * simd, weight_words=weight_words, pe=pe, weight_memory="single_port"
    )
    weights = WeightMemory(shape)
    monkeypatch.setattr(weight_memory, "Instance", Spram)
    monkeypatch.setattr(Spram, "made", 0)
    bench = Bench(Fragment.get(weights, Ice40Up5k()), 2000)
    assert Spram.made == rams
    ends = {end for bank in range(0, weight_words, SPRAM_WORDS) for end in (bank - 1, bank)}
    addresses = sorted(ends - {-1} | {5, weight_words // 2, weight_words - 1})
    check(weights, bench, random_words(shape, addresses))
