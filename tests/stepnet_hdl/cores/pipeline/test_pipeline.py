"""The pipeline at the face that every core has: what is offered, kept back and cancelled."""

import numpy as np
import pytest
from amaranth.sim import Simulator

from core_ports import cancel, take
from stepnet.networks import lut
from stepnet.networks.lut import Counts, LutLayer, LutNetwork
from stepnet.networks.network import Readout
from stepnet_hdl.cores.interface import CANCEL_CYCLES
from stepnet_hdl.cores.pipeline.pipeline import Pipeline

RNG = np.random.default_rng(1)
NETWORK = LutNetwork(
    "tables",
    (LutLayer(RNG.integers(0, 36, (40, 4)), RNG.integers(0, 1 << 16, 40), 36),),
    6,
    6,
    readout=Readout.NEAREST,
    counts=Counts(np.arange(40) % 10, np.zeros(10, np.int32)),
)
IMAGES = np.random.default_rng(3).integers(0, 2, (40, 6, 6)) == 1
CODES = lut.infer(NETWORK, IMAGES).tolist()
# Two images that are told apart by their codes.
FIRST, SECOND = 0, next(number for number, code in enumerate(CODES) if code != CODES[0])


def run(drive):
    core = Pipeline(NETWORK)

    async def testbench(ctx):
        await drive(ctx, core)

    simulator = Simulator(core)
    simulator.add_clock(1e-6)
    simulator.add_testbench(testbench)
    simulator.run()


async def send(ctx, core, image, count=5):
    """Send the first bytes of an image; waits for the core."""
    for byte in np.packbits(IMAGES[image], bitorder="little")[:count].tolist():
        ctx.set(core.pixels.payload, byte)
        ctx.set(core.pixels.valid, 1)
        await ctx.tick().until(core.pixels.ready)
    ctx.set(core.pixels.valid, 0)


def test_a_reading_keeps_its_cycles():
    async def drive(ctx, core):
        assert ctx.get(core.image_bytes) == 5
        for image in (FIRST, SECOND):
            await send(ctx, core, image)
            reading, cycles = await take(ctx, core)
            assert (reading.code, reading.margin, reading.overrun) == (CODES[image], 0, 0)
            # `send` ends a cycle after the last transfer, and the offer comes a cycle after the
            # register.
            assert reading.cycles == core.latency_cycles == cycles

    run(drive)


@pytest.mark.parametrize("when", range(22))
def test_what_is_cancelled_gives_no_reading(when):
    """In each cycle of an image's way; the one behind it is read either way."""

    async def drive(ctx, core):
        assert core.latency_cycles < 21
        await send(ctx, core, FIRST)
        for _ in range(when):
            await ctx.tick()
        offered = ctx.get(core.readings.valid)
        await cancel(ctx, core)
        await ctx.tick().repeat(CANCEL_CYCLES - 1)
        assert ctx.get(core.readings.valid) == offered
        await ctx.tick().repeat(core.latency_cycles + 3)
        assert ctx.get(core.readings.valid) == offered
        if offered:
            # Until it is taken, it stays the same, and pixels wait.
            assert not ctx.get(core.pixels.ready)
            assert (await take(ctx, core))[0].code == CODES[FIRST]
        await send(ctx, core, SECOND)
        assert (await take(ctx, core))[0].code == CODES[SECOND]

    run(drive)


def test_half_an_image_that_is_cancelled():
    async def drive(ctx, core):
        await send(ctx, core, FIRST, 3)
        await cancel(ctx, core)
        await send(ctx, core, SECOND)
        assert (await take(ctx, core))[0].code == CODES[SECOND]

    run(drive)


def test_a_tentative_image_is_kept_back():
    async def drive(ctx, core):
        await send(ctx, core, FIRST)
        await take(ctx, core)
        ctx.set(core.tentative, 1)
        await send(ctx, core, SECOND)
        await ctx.tick().repeat(3 * core.latency_cycles)
        assert not ctx.get(core.readings.valid)
        assert ctx.get(core.character) == CODES[FIRST]
        ctx.set(core.tentative, 0)
        reading, _ = await take(ctx, core)
        assert (reading.code, reading.cycles) == (CODES[SECOND], core.latency_cycles)
        assert ctx.get(core.character) == CODES[SECOND]

    run(drive)
