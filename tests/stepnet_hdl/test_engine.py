"""The engine against the reference: values and cycles."""

import numpy as np
import pytest
from amaranth.sim import Simulator
from networks import random_images, random_network

from stepnet import reference
from stepnet.engine import EngineShape, cycles_per_image, memory_image
from stepnet.protocol import Space, pack_pixels
from stepnet_hdl.engine import Engine


async def load(ctx, engine, image):
    for space, words in ((Space.PARAMETERS, image.parameters), (Space.WEIGHTS, image.weights)):
        body = bytes([0, 0, 0, space]) + words.tobytes()
        for index, byte in enumerate(body):
            ctx.set(engine.load.p, {"data": byte, "last": index == len(body) - 1})
            ctx.set(engine.load.valid, 1)
            await ctx.tick().until(engine.load.ready)
        ctx.set(engine.load.valid, 0)
        (refusal,) = await ctx.tick().sample(engine.load_refusal).until(engine.load_done)
        assert refusal == 0


def simulate(shape, network, images):
    engine = Engine(shape)
    readings = []

    async def feed(ctx):
        await load(ctx, engine, memory_image(network, shape))
        for bits in reference.binarise(network, images):
            for byte in pack_pixels(bits):
                ctx.set(engine.pixels.p, byte)
                ctx.set(engine.pixels.valid, 1)
                await ctx.tick().until(engine.pixels.ready)
            ctx.set(engine.pixels.valid, 0)
            ctx.set(engine.readings.ready, 1)
            (reading,) = await ctx.tick().sample(engine.readings.p).until(engine.readings.valid)
            readings.append((reading.code, reading.cycles))

    simulator = Simulator(engine)
    simulator.add_clock(1e-6)
    simulator.add_testbench(feed)
    simulator.run()
    return readings


@pytest.mark.parametrize(
    ("simd", "sizes", "weight_bits"),
    [
        (8, (16, 9, 7), (1, 3)),
        (8, (1, 8), (1,)),
        (8, (13, 7), (8,)),
        (16, (33, 17, 16, 8), (1, 2, 1)),
        (24, (50, 25, 23, 48, 7), (4, 1, 3, 1)),
        (64, (100, 64, 65, 7), (1, 1, 1)),
        (128, (8, 130, 1, 7), (1, 5, 2)),
    ],
)
def test_engine_equals_reference(simd, sizes, weight_bits):
    rng = np.random.default_rng(1)
    network = random_network(rng, sizes, weight_bits)
    shape = EngineShape(simd, max_inputs=8 * simd, weight_words=1024, parameter_words=256)
    images = random_images(rng, network, 5)
    expected = reference.infer(network, images)
    readings = simulate(shape, network, images)
    assert [code for code, _ in readings] == list(expected)
    assert {cycles for _, cycles in readings} == {cycles_per_image(network, shape)}
