"""The core that runs images of its own through its pipeline, at the face that every core has."""

import numpy as np
import pytest
from amaranth.sim import Simulator

from core_ports import cancel, take
from stepnet.cores.pipeline.stored_images import stored_images
from stepnet.networks import lut
from stepnet.networks.lut import Counts, LutLayer, LutNetwork
from stepnet.networks.network import Readout
from stepnet_hdl.cores.pipeline.pipeline_bench import PipelineBench

RNG = np.random.default_rng(1)
NETWORK = LutNetwork(
    "tables",
    (LutLayer(RNG.integers(0, 36, (40, 4)), RNG.integers(0, 1 << 16, 40), 36),),
    6,
    6,
    readout=Readout.NEAREST,
    counts=Counts(np.arange(40) % 10, np.zeros(10, np.int32)),
)
IMAGES = RNG.integers(0, 2, (7, 6, 6)) == 1
CODES = lut.infer(NETWORK, IMAGES)
# Three of the seven show something else than what the network reads.
STORED = stored_images(NETWORK, IMAGES, CODES ^ np.array([0, 1, 0, 0, 1, 1, 0], np.uint8))


def run(drive):
    core = PipelineBench(STORED)

    async def testbench(ctx):
        await drive(ctx, core)

    simulator = Simulator(core)
    simulator.add_clock(1e-6)
    simulator.add_testbench(testbench)
    simulator.run()


async def ask(ctx, core, images):
    for byte in images.to_bytes(4, "little"):
        ctx.set(core.pixels.payload, byte)
        ctx.set(core.pixels.valid, 1)
        await ctx.tick().until(core.pixels.ready)
    ctx.set(core.pixels.valid, 0)


@pytest.mark.parametrize("images", [1, 2, 6, 7, 8, 100, 300])
def test_an_image_in_every_cycle_and_right_codes_counted(images):
    async def drive(ctx, core):
        assert ctx.get(core.image_bytes) == 4
        for _ in range(2):  # what it counted before does not count again
            await ask(ctx, core, images)
            reading, _ = await take(ctx, core)
            expected = sum(STORED.is_right[number % 7] for number in range(images))
            assert (reading.margin, reading.overrun) == (expected, 0)
            assert reading.margin == STORED.right_of(images)
            assert reading.cycles == images + core.latency_cycles
            assert reading.code == CODES[(images - 1) % 7]

    run(drive)


def test_no_image_is_an_answer_at_once():
    async def drive(ctx, core):
        await ask(ctx, core, 0)
        reading, cycles = await take(ctx, core)
        assert (reading.margin, reading.cycles) == (0, 0)
        assert cycles < 5

    run(drive)


@pytest.mark.parametrize("when", [0, 1, 2, 3, 20, 40, 49, 60])
def test_what_is_cancelled_gives_no_reading(when):
    async def drive(ctx, core):
        await ask(ctx, core, 50)
        for _ in range(when):
            await ctx.tick()
        assert not ctx.get(core.readings.valid)
        await cancel(ctx, core)
        await ctx.tick().repeat(50 + 2 * core.latency_cycles)
        assert not ctx.get(core.readings.valid)
        await ask(ctx, core, 9)
        assert (await take(ctx, core))[0].margin == STORED.right_of(9)

    run(drive)


def test_a_number_that_is_tentative_or_half_there_is_kept_back():
    async def drive(ctx, core):
        ctx.set(core.tentative, 1)
        await ask(ctx, core, 5)
        await ctx.tick().repeat(5 + 2 * core.latency_cycles)
        assert not ctx.get(core.readings.valid)
        ctx.set(core.tentative, 0)
        assert (await take(ctx, core))[0].margin == STORED.right_of(5)
        ctx.set(core.pixels.payload, 1)
        ctx.set(core.pixels.valid, 1)
        await ctx.tick()
        ctx.set(core.pixels.valid, 0)
        await cancel(ctx, core)
        await ask(ctx, core, 8)
        assert (await take(ctx, core))[0].margin == STORED.right_of(8)

    run(drive)
