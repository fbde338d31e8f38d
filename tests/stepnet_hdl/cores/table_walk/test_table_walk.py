"""The table walk at the face that every core has: what it reads, keeps back and cancels."""

import numpy as np
import pytest
from amaranth.sim import Simulator

from core_ports import cancel, take
from stepnet.networks import lut
from stepnet.networks.lut import Counts, LutLayer, LutNetwork
from stepnet.networks.network import Readout
from stepnet_hdl.cores.interface import CANCEL_CYCLES
from stepnet_hdl.cores.table_walk.table_walk import TableWalk

SIDE = 6
IMAGE_BYTES = 5
READOUTS = {
    Readout.BITS: (7, ""),
    Readout.TREE: (15, "011"),
    Readout.NEAREST: (10, ""),
}


def random_tables(readout=Readout.NEAREST, layers=1, tables=40):
    """Its last row has no tables, and never fires or never wins."""
    rng = np.random.default_rng(rows := READOUTS[readout][0])
    n_in, made = SIDE * SIDE, []
    for _ in range(layers):
        wires = rng.integers(0, n_in, (tables, 4))
        wires[:, 0] = np.maximum(wires[:, 0], n_in - tables)  # the last answers are read at once
        made.append(LutLayer(wires, rng.integers(0, 1 << 16, tables), n_in))
        n_in = tables
    counted = np.arange(tables) % (rows - 1)
    thresholds = np.bincount(counted, minlength=rows) // 2 + rng.integers(0, 2, rows)
    thresholds[-1] = 1
    return LutNetwork(
        "random",
        tuple(made),
        SIDE,
        SIDE,
        readout=readout,
        code_prefix=READOUTS[readout][1],
        counts=Counts(counted, thresholds),
    )


NETWORK = random_tables()
IMAGES = np.random.default_rng(3).integers(0, 2, (40, SIDE, SIDE)) == 1
CODES = lut.infer(NETWORK, IMAGES).tolist()
# Two images that are told apart by their codes.
FIRST, SECOND = 0, next(number for number, code in enumerate(CODES) if code != CODES[0])


def run(drive, network=NETWORK):
    core = TableWalk(network)

    async def testbench(ctx):
        await drive(ctx, core)

    simulator = Simulator(core)
    simulator.add_clock(1e-6)
    simulator.add_testbench(testbench)
    simulator.run()


async def send(ctx, core, image, count=IMAGE_BYTES):
    """Send the first bytes of an image; waits for the core."""
    packed = np.packbits(image, bitorder="little").tolist()
    for number, byte in enumerate(packed[:count]):
        ctx.set(core.pixels.payload, byte)
        ctx.set(core.pixels.valid, 1)
        await ctx.tick().until(core.pixels.ready)
        if number < count - 1:
            ctx.set(core.pixels.valid, 0)
            await ctx.tick().until(core.pixels.ready)
            assert ctx.get(core.last_pixels) == (number == IMAGE_BYTES - 2)
    ctx.set(core.pixels.valid, 0)


@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("readout", READOUTS)
def test_it_reads_what_the_reference_reads(readout, layers):
    network = random_tables(readout, layers)
    images = IMAGES[:6]
    expected = lut.infer(network, images).tolist()
    assert len(set(expected)) > 2

    async def drive(ctx, core):
        assert ctx.get(core.image_bytes) == IMAGE_BYTES
        for image, code in zip(images, expected, strict=True):
            await send(ctx, core, image)
            reading, cycles = await take(ctx, core)
            assert (reading.code, reading.margin, reading.overrun) == (code, 0, 0)
            assert ctx.get(core.character) == code
            # `send` ends a cycle after the last transfer.
            assert reading.cycles == core.latency_cycles == cycles + 1

    run(drive, network)


@pytest.mark.parametrize("when", [0, 1, 15, 16, 17, 18, 60, 217, 218, 219, 220, 221])
def test_what_is_cancelled_gives_no_reading(when):
    """In cycles all along an image's way; the one behind it is read either way."""

    async def drive(ctx, core):
        assert 217 < core.latency_cycles <= 221
        await send(ctx, core, IMAGES[FIRST])
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
        await send(ctx, core, IMAGES[SECOND])
        assert (await take(ctx, core))[0].code == CODES[SECOND]

    run(drive)


@pytest.mark.parametrize("cycles", [0, 5])
def test_half_an_image_that_is_cancelled(cycles):
    async def drive(ctx, core):
        await send(ctx, core, IMAGES[FIRST], 3)
        for _ in range(cycles):
            await ctx.tick()
        await cancel(ctx, core)
        await send(ctx, core, IMAGES[SECOND])
        assert (await take(ctx, core))[0].code == CODES[SECOND]

    run(drive)


def test_a_tentative_image_is_kept_back():
    async def drive(ctx, core):
        await send(ctx, core, IMAGES[FIRST])
        await take(ctx, core)
        ctx.set(core.tentative, 1)
        await send(ctx, core, IMAGES[SECOND])
        await ctx.tick().repeat(2 * core.latency_cycles)
        assert not ctx.get(core.readings.valid)
        assert ctx.get(core.character) == CODES[FIRST]
        ctx.set(core.tentative, 0)
        reading, _ = await take(ctx, core)
        assert (reading.code, reading.cycles) == (CODES[SECOND], core.latency_cycles)
        assert ctx.get(core.character) == CODES[SECOND]

    run(drive)
