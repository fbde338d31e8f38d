"""The spiking core at the face that every core has, against its reference and its cycles."""

import numpy as np
import pytest
from amaranth.sim import Simulator

from core_ports import cancel, take
from stepnet.cores.spiking.contents import coded_bytes
from stepnet.cores.spiking.cycles import Walk, image_cycles
from stepnet.networks import reference, spiking
from stepnet.networks.random_networks import random_images, random_network, random_spiking_network
from stepnet.networks.spiking import Rows, encode, from_step
from stepnet_hdl.cores.interface import CANCEL_CYCLES
from stepnet_hdl.cores.spiking.spiking_core import SpikingCore


def run(core, drive):
    async def testbench(ctx):
        await drive(ctx)

    simulator = Simulator(core)
    simulator.add_clock(1e-6)
    simulator.add_testbench(testbench)
    simulator.run()


async def send(ctx, core, coded):
    """Send an image's spikes; waits for the core."""
    sent = coded_bytes(core.network, coded)
    for number, byte in enumerate(sent):
        ctx.set(core.pixels.payload, byte)
        ctx.set(core.pixels.valid, 1)
        await ctx.tick().until(core.pixels.ready)
        assert number == len(sent) - 1 or ctx.get(core.last_pixels) == (number == len(sent) - 2)
    ctx.set(core.pixels.valid, 0)


def check(network, images, lanes, walk):
    core = SpikingCore(network, lanes, walk)
    coded = encode(network, images)
    codes = spiking.infer(network, images).tolist()
    margins = spiking.margin(network, images).tolist()
    spikes = [counts.total for counts in spiking.spike_counts(network, images)]
    cycles = image_cycles(network, core.shape, walk, coded).tolist()

    async def drive(ctx):
        assert ctx.get(core.image_bytes) == network.ticks * core.shape.tick_bytes
        for number, image in enumerate(coded):
            await send(ctx, core, image)
            reading, _ = await take(ctx, core)
            assert reading.code == codes[number]
            assert ctx.get(core.character) == codes[number]
            assert reading.cycles == cycles[number]
            assert reading.spikes == spikes[number]
            assert reading.margin == (margins[number] if network.readout == "nearest" else 0)

    run(core, drive)
    return codes


NETWORKS = [
    ((20, 9, 10), {"ticks": 5, "height": 4}),
    ((30, 25, 17, 11), {"ticks": 3, "height": 5, "weight_bits": 1}),
    ((16, 12), {"ticks": 6, "height": 4, "asked": Rows.POTENTIALS, "weight_bits": 7}),
    ((9, 8, 40, 9), {"ticks": 2, "height": 3, "asked": Rows.POTENTIALS}),
]
"""Layers of one group and of more, of a whole last group and of a part of one."""


@pytest.mark.parametrize("walk", Walk)
@pytest.mark.parametrize(("sizes", "given"), NETWORKS)
def test_it_reads_what_the_reference_reads(sizes, given, walk):
    rng = np.random.default_rng(sum(sizes) + 1)
    network = random_spiking_network(rng, sizes, **given)
    images = random_images(rng, network, 8)
    images[3] = 0  # words without spikes
    codes = check(network, images, 8, walk)
    assert len(set(codes)) > 1


@pytest.mark.parametrize("readout", ["bits", "tree", "nearest"])
def test_a_step_network_is_one_tick(readout):
    rng = np.random.default_rng(5)
    rows = {"bits": 7, "tree": 15, "nearest": 10}[readout]
    alphabet = "0123456789" if readout != "tree" else "".join(map(chr, range(1, 15)))
    network = random_network(rng, (40, 21, rows), height=5, readout=readout, alphabet=alphabet)
    images = random_images(rng, network, 8)
    codes = check(from_step(network), images, 16, Walk.INPUTS)
    assert codes == reference.infer(network, images).tolist()


@pytest.mark.parametrize("when", [0, 1, 5, 9, 14, 15, 30, 77, 110, 130, 155, 170])
def test_what_is_cancelled_gives_no_reading(when):
    """In cycles all along an image's way; the one behind it is read as if it were alone."""
    network = random_spiking_network(np.random.default_rng(2), (20, 9, 10), ticks=3, height=4)
    images = random_images(np.random.default_rng(3), network, 40)
    codes = spiking.infer(network, images).tolist()
    second = next(number for number, code in enumerate(codes) if code != codes[0])
    core = SpikingCore(network, 8)
    coded = encode(network, images)
    (cycles,) = image_cycles(network, core.shape, core.walk, coded[:1])

    async def drive(ctx):
        await send(ctx, core, coded[0])
        for _ in range(when):
            await ctx.tick()
        offered = ctx.get(core.readings.valid)
        assert offered == (when >= cycles)
        await cancel(ctx, core)
        await ctx.tick().repeat(CANCEL_CYCLES - 1)
        assert ctx.get(core.readings.valid) == offered
        await ctx.tick().repeat(int(cycles) + 3)
        assert ctx.get(core.readings.valid) == offered
        if offered:
            assert not ctx.get(core.pixels.ready)
            assert (await take(ctx, core))[0].code == codes[0]
        await send(ctx, core, coded[second])
        assert (await take(ctx, core))[0].code == codes[second]

    run(core, drive)


def test_half_an_image_that_is_cancelled_is_forgotten():
    network = random_spiking_network(np.random.default_rng(2), (20, 9, 10), ticks=3, height=4)
    images = random_images(np.random.default_rng(3), network, 1)
    core = SpikingCore(network, 8)
    coded = encode(network, images)[0]

    async def drive(ctx):
        for count in (1, 4):
            ctx.set(core.pixels.payload, 0xFF)
            ctx.set(core.pixels.valid, 1)
            await ctx.tick().repeat(count)
            ctx.set(core.pixels.valid, 0)
            await cancel(ctx, core)
            await ctx.tick()
        await send(ctx, core, coded)
        assert (await take(ctx, core))[0].code == spiking.infer(network, images)[0]

    run(core, drive)


def test_a_tentative_image_waits():
    network = random_spiking_network(np.random.default_rng(2), (20, 9, 10), ticks=3, height=4)
    images = random_images(np.random.default_rng(3), network, 1)
    core = SpikingCore(network, 8)
    coded = encode(network, images)
    (cycles,) = image_cycles(network, core.shape, core.walk, coded)

    async def drive(ctx):
        ctx.set(core.tentative, 1)
        await send(ctx, core, coded[0])
        await ctx.tick().repeat(int(cycles) + 20)
        assert not ctx.get(core.readings.valid)
        assert ctx.get(core.character) == 0
        ctx.set(core.tentative, 0)
        reading, _ = await take(ctx, core)
        assert (reading.code, reading.cycles) == (spiking.infer(network, images)[0], cycles)

    run(core, drive)
