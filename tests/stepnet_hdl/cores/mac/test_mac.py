"""The multiply-accumulate core at the face that every core has: what it reads, in how many cycles,
what it is loaded with, keeps back and cancels."""

import numpy as np
import pytest
from amaranth.sim import Simulator

from core_ports import cancel, take
from stepnet.cores.mac.cycles import cycles_per_image
from stepnet.cores.mac.layout import weight_image, words_needed
from stepnet.cores.mac.shape import MacShape
from stepnet.link.messages import Refusal, Space
from stepnet.networks import kinds
from stepnet.networks.network import Readout
from stepnet.networks.random_networks import random_relu_network, random_sigmoid_network
from stepnet_hdl.cores.interface import CANCEL_CYCLES
from stepnet_hdl.cores.mac.mac import Mac

SIZES = {
    "one layer": ((20, 5), 4, 8),
    "a part of a group": ((20, 9, 5), 4, 8),
    "settling": ((20, 6, 9, 17), 4, 8),
    "two words of codes": ((36, 32, 20), 6, 16),
    "many groups": ((24, 31, 26, 9), 4, 8),
}


def random_images(network, count=3, seed=0):
    shape = (count, network.height, network.width)
    return np.random.default_rng(seed).integers(0, 2, shape) == 1


def made(sizes="a part of a group", wide_words=None):
    neurons, height, lanes = SIZES[sizes]
    network = random_relu_network(np.random.default_rng(5), neurons, height)
    words = words_needed(network, MacShape(lanes=lanes, weight_words=2))
    return network, MacShape(
        lanes=lanes, weight_words=words, max_pixels=64, max_hidden=32, wide_words=wide_words
    )


def run(core, drive):
    async def testbench(ctx):
        await drive(ctx, core)

    simulator = Simulator(core)
    simulator.add_clock(1e-6)
    simulator.add_testbench(testbench)
    simulator.run()


async def send(ctx, core, image, count=None):
    """Send the first bytes of an image, all if `count` is None; waits for the core."""
    packed = np.packbits(image, bitorder="little").tolist()
    for number, byte in enumerate(packed[:count]):
        assert ctx.get(core.last_pixels) == (number == len(packed) - 1)
        ctx.set(core.pixels.payload, byte)
        ctx.set(core.pixels.valid, 1)
        await ctx.tick().until(core.pixels.ready)
    ctx.set(core.pixels.valid, 0)


async def load(ctx, core, address, content, space=Space.WEIGHTS):
    """Load bytes; returns the refusal."""
    body = address.to_bytes(3, "little") + bytes([space]) + bytes(content)
    for number, byte in enumerate(body):
        ctx.set(core.load.payload.data, byte)
        ctx.set(core.load.payload.last, number == len(body) - 1)
        ctx.set(core.load.valid, 1)
        await ctx.tick().until(core.load.ready)
    ctx.set(core.load.valid, 0)
    while not ctx.get(core.load_done):
        await ctx.tick()
    return ctx.get(core.load_refusal)


async def load_network(ctx, core, network):
    for piece in weight_image(network, core.shape).loads(50):
        assert await load(ctx, core, piece.address, piece.words, piece.space) == 0


async def reads(ctx, core, network, images):
    for image, code in zip(images, kinds.infer(network, images).tolist(), strict=True):
        await send(ctx, core, image)
        reading, cycles = await take(ctx, core)
        assert (chr(reading.code), reading.margin, reading.overrun) == (chr(code), 0, 0)
        assert ctx.get(core.character) == code
        # `send` ends a cycle after the last transfer.
        assert reading.cycles == cycles + 1 == cycles_per_image(network, core.shape)


@pytest.mark.slow
@pytest.mark.parametrize("sizes", SIZES)
def test_it_reads_what_the_reference_reads_in_as_many_cycles_as_the_formula_says(sizes):
    network, shape = made(sizes)
    images = random_images(network, 4, seed=2)
    assert len(set(kinds.infer(network, images).tolist())) > 1

    async def drive(ctx, core):
        assert ctx.get(core.image_bytes) == -(-network.height * network.width // 8)
        await reads(ctx, core, network, images)

    run(Mac(shape, network), drive)


SIGMOIDS = {
    "the largest sum": ((20, 9, 5), Readout.NEAREST, ""),
    "bits, one layer": ((20, 7), Readout.BITS, ""),
    "bits, settling": ((24, 6, 9, 31, 8), Readout.BITS, ""),
    "a tree behind many groups": ((36, 40, 15), Readout.TREE, "0110"),
}


def made_sigmoid(name, wide_words=None):
    sizes, readout, prefix = SIGMOIDS[name]
    network = random_sigmoid_network(np.random.default_rng(3), sizes, 4, readout, prefix)
    fields = {"max_pixels": 64, "max_hidden": 64, "sigmoid": True}
    words = words_needed(network, MacShape(weight_words=2, **fields))
    return network, MacShape(weight_words=words, wide_words=wide_words, **fields)


@pytest.mark.slow
@pytest.mark.parametrize("name", SIGMOIDS)
def test_sigmoid_networks_with_every_readout(name):
    network, shape = made_sigmoid(name)
    images = random_images(network, 6, seed=2)
    assert len(set(kinds.infer(network, images).tolist())) > 2

    async def drive(ctx, core):
        await reads(ctx, core, network, images)

    run(Mac(shape, network), drive)


@pytest.mark.slow
def test_sigmoid_networks_that_are_loaded_over_each_other():
    network, shape = made_sigmoid("a tree behind many groups", wide_words=40)
    other = random_sigmoid_network(np.random.default_rng(4), (36, 12, 6), 4)

    async def drive(ctx, core):
        for loaded in (network, other):
            await load_network(ctx, core, loaded)
            await reads(ctx, core, loaded, random_images(loaded, 3))

    run(Mac(shape), drive)


@pytest.mark.slow
@pytest.mark.parametrize("wide_words", [1, 40, 1000])
def test_a_network_that_is_loaded_into_single_port_memory(wide_words):
    """All words but the first are read in halves, some, or none."""
    network, shape = made("two words of codes", wide_words)

    async def drive(ctx, core):
        assert ctx.get(core.image_bytes) == 0
        await load_network(ctx, core, network)
        await reads(ctx, core, network, random_images(network, 2))

    run(Mac(shape), drive)


@pytest.mark.slow
def test_another_network_is_loaded_over_the_one_built_in():
    network, shape = made()
    neurons, height, _ = SIZES["a part of a group"]
    other = random_relu_network(np.random.default_rng(9), neurons, height)

    async def drive(ctx, core):
        await reads(ctx, core, network, random_images(network, 1))
        await load_network(ctx, core, other)
        await reads(ctx, core, other, random_images(network, 2))

    run(Mac(shape, network), drive)


def test_loads_that_are_refused():
    network, shape = made()
    end = shape.weight_words * shape.lanes

    async def drive(ctx, core):
        assert await load(ctx, core, end, [1]) == Refusal.OUT_OF_RANGE
        assert await load(ctx, core, end - 1, [1, 2]) == Refusal.OUT_OF_RANGE
        assert await load(ctx, core, 0, [1], Space.PARAMETERS) == Refusal.OUT_OF_RANGE
        assert await load(ctx, core, 0, []) == Refusal.WRONG_LENGTH
        for image_bytes in (0, 9, 256):
            given = image_bytes.to_bytes(2, "little")
            assert await load(ctx, core, 0, given + b"\0") == Refusal.OUT_OF_RANGE
        assert ctx.get(core.image_bytes) == 3
        await load_network(ctx, core, network)
        await reads(ctx, core, network, random_images(network, 1))

    run(Mac(shape, network), drive)


def test_a_network_without_an_end_overruns():
    network, shape = made("one layer")
    image = weight_image(network, shape)

    async def drive(ctx, core):
        await load_network(ctx, core, network)
        await load(ctx, core, shape.lanes + 6, [image.words[1, 6] & 0x3F])
        await send(ctx, core, random_images(network)[0])
        assert (await take(ctx, core))[0].overrun == 1
        await load_network(ctx, core, network)
        await reads(ctx, core, network, random_images(network, 1))

    run(Mac(shape), drive)


@pytest.mark.parametrize("when", [0, 1, 3, 4, 9, 30, 44, 62, 68, 72, 78, 80, 81, 82, 83, 84, 85])
def test_what_is_cancelled_gives_no_reading(when):
    """In cycles all along an image's way; the one behind it is read either way."""
    network, shape = made()
    images = random_images(network, 40, seed=3)
    codes = kinds.infer(network, images).tolist()
    other = next(number for number, code in enumerate(codes) if code != codes[0])

    async def drive(ctx, core):
        latency = cycles_per_image(network, shape)
        assert 81 < latency < 85
        await send(ctx, core, images[0])
        await ctx.tick().repeat(when) if when else None
        offered = ctx.get(core.readings.valid)
        await cancel(ctx, core)
        await ctx.tick().repeat(CANCEL_CYCLES - 1)
        assert ctx.get(core.readings.valid) == offered
        if offered:
            assert not ctx.get(core.pixels.ready)
            assert (await take(ctx, core))[0].code == codes[0]
        await send(ctx, core, images[other])
        reading, cycles = await take(ctx, core)
        assert reading.code == codes[other]
        assert reading.cycles == cycles + 1 == latency

    run(Mac(shape, network), drive)


def test_half_an_image_that_is_cancelled():
    network, shape = made()

    async def drive(ctx, core):
        await send(ctx, core, random_images(network, 1)[0], count=2)
        await cancel(ctx, core)
        await reads(ctx, core, network, random_images(network, 2, seed=4))

    run(Mac(shape, network), drive)


def test_a_tentative_image_is_kept_back():
    network, shape = made()
    images = random_images(network, 40, seed=3)
    codes = kinds.infer(network, images).tolist()
    other = next(number for number, code in enumerate(codes) if code != codes[0])

    async def drive(ctx, core):
        latency = cycles_per_image(network, shape)
        await reads(ctx, core, network, images[:1])
        ctx.set(core.tentative, 1)
        await send(ctx, core, images[other])
        await ctx.tick().repeat(2 * latency)
        assert not ctx.get(core.readings.valid)
        assert ctx.get(core.character) == codes[0]
        ctx.set(core.tentative, 0)
        reading, _ = await take(ctx, core)
        assert (reading.code, reading.cycles) == (codes[other], latency)

    run(Mac(shape, network), drive)


def test_single_port_memory_holds_nothing_at_power_on():
    network, shape = made("two words of codes", wide_words=10)
    with pytest.raises(ValueError, match=r"^Single-port memory holds nothing at power-on; give no"):
        Mac(shape, network)
