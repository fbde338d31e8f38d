"""The engine against the reference: values and cycles; and what it refuses."""

import numpy as np
import pytest

from engine_ports import (
    load,
    load_network,
    packed,
    run,
    send_pixels,
    take_reading,
)
from stepnet import Readout
from stepnet.cores.engine.cycles import cycles_per_image
from stepnet.cores.engine.shape import EngineShape
from stepnet.link.messages import Refusal, Space
from stepnet.networks import reference
from stepnet.networks.random_networks import random_images, random_network
from stepnet_hdl.cores.engine.engine import Engine
from stepnet_hdl.cores.interface import CANCEL_CYCLES

# Weight words of two bytes, and parameter words too.
SMALL = EngineShape(16, max_inputs=64, weight_words=128, parameter_words=64)


NETWORKS = [
    ((16, 9, 7), (1, 3), "bits"),
    ((1, 8), (1,), "bits"),
    ((13, 7), (8,), "bits"),
    ((33, 17, 16, 8), (1, 2, 1), "bits"),
    ((50, 25, 23, 48, 7), (4, 1, 3, 1), "bits"),
    ((100, 64, 65, 7), (1, 1, 1), "bits"),
    ((8, 70, 1, 7), (1, 5, 2), "bits"),
    ((30, 1), (1,), "tree"),
    ((33, 17, 63), (1, 4), "tree"),
    ((40, 31), (1,), "tree"),
    ((20, 11, 127), (2, 1), "tree"),
    ((20, 2), (1,), "nearest"),
    ((33, 17, 94), (1, 4), "nearest"),
    ((40, 30, 50), (1, 1), "nearest"),
]
"""Layer sizes, weight bits, readout."""


def shape_of(simd, **fields):
    inputs = -(-128 // simd) * simd
    return EngineShape(
        simd, max_inputs=inputs, weight_words=512 + 8192 // simd, parameter_words=256, **fields
    )


SHAPES = {
    "8": shape_of(8),
    "16": shape_of(16),
    "24": shape_of(24, overlap_neurons=120),
    "64": shape_of(64, overlap_neurons=64),
    "16x2": shape_of(16, pe=2, parameter_lanes=2),
    "16x4": shape_of(16, pe=4, overlap_neurons=64),
    "24x7": shape_of(24, pe=7, parameter_lanes=7, overlap_neurons=100),
    "32x8": shape_of(32, pe=8, parameter_lanes=2, max_sum_bits=16),
    "64x12": shape_of(64, pe=12, parameter_lanes=3, overlap_neurons=70),
    "8x8": shape_of(8, pe=8, parameter_lanes=4),
    "8 registered": shape_of(8, weight_memory="registered"),
    "16x4 registered": shape_of(16, pe=4, overlap_neurons=64, weight_memory="registered"),
    "64x12 registered": shape_of(
        64, pe=12, parameter_lanes=3, overlap_neurons=70, weight_memory="registered"
    ),
    "32x32": shape_of(32, pe=32, parameter_lanes=16),
    "64x20 registered": shape_of(
        64, pe=20, parameter_lanes=10, overlap_neurons=96, weight_memory="registered"
    ),
}
"""By SIMD and PE; those with more than 288 kbit of weights have several neighbourhoods."""

WIDE = 256
"""Weights per cycle from which on an engine counts as wide."""


@pytest.mark.parametrize(
    "number",
    [
        pytest.param(number, id=name, marks=[] if name == "16x4" else [pytest.mark.slow])
        for number, (name, shape) in enumerate(SHAPES.items())
    ],
)
def test_engine_equals_reference(number):
    """Every network on five shapes, every shape with four or five networks, one loaded after the
    other; bytes that come as fast as they can, and slower than the engine."""
    shape = list(SHAPES.values())[number]
    engine = Engine(shape)
    rng = np.random.default_rng(1)
    networks = [
        random_network(rng, sizes, weight_bits, readout=Readout(readout))
        for sizes, weight_bits, readout in NETWORKS[number % 3 :: 3]
    ]
    # The third image takes the buffer of the first; wide engines take their time to interpret.
    count = 3 if shape.simd * shape.pe <= WIDE else 2
    found, expected = [], []

    async def drive(ctx):
        for network in networks:
            await load_network(ctx, engine, network)
            for cycles_per_byte in (1, 40):
                images = random_images(rng, network, count)
                for pixels in packed(network, images):
                    await send_pixels(ctx, engine, pixels, cycles_per_byte)
                    reading = await take_reading(ctx, engine)
                    assert ctx.get(engine.character) == reading.code
                    answer = (reading.code, reading.margin, reading.cycles, reading.overrun)
                    found.append((network.sizes, cycles_per_byte, *answer))
                cycles = cycles_per_image(network, shape, cycles_per_byte)
                codes, margins = reference.infer(network, images), reference.margin(network, images)
                for code, margin in zip(codes.tolist(), margins.tolist(), strict=True):
                    expected.append((network.sizes, cycles_per_byte, code, margin, cycles, 0))

    run(engine, drive)
    assert found == expected


@pytest.mark.slow
def test_an_image_does_not_wait_for_the_readout_of_the_one_before():
    """Groups of the last layer are PE cycles apart, but not those of two images."""
    rng = np.random.default_rng(3)
    network = random_network(rng, (20, 7), (1,))
    shape = SHAPES["32x32"]
    engine = Engine(shape)
    images = random_images(rng, network, 2)
    cycles = []

    async def drive(ctx):
        await load_network(ctx, engine, network)
        for pixels in packed(network, images):
            await send_pixels(ctx, engine, pixels)
            cycles.append((await take_reading(ctx, engine)).cycles)

    run(engine, drive)
    assert cycles == [cycles_per_image(network, shape, 1)] * 2
    assert cycles[0] < shape.pe


def test_cycles_are_counted_from_the_last_pixel_to_the_register():
    rng = np.random.default_rng(3)
    network = random_network(rng, (40, 20, 8), (1, 2))
    engine = Engine(SMALL)
    images = random_images(rng, network, 2)
    codes = reference.infer(network, images)
    assert codes[0] != codes[1]
    counted = []

    async def drive(ctx):
        await load_network(ctx, engine, network)
        for pixels, code in zip(packed(network, images), codes, strict=True):
            await send_pixels(ctx, engine, pixels)
            # The last pixel went in with the clock edge just passed.
            cycles = 1
            while ctx.get(engine.character) != code:
                await ctx.tick()
                cycles += 1
            counted.append(cycles)
            await take_reading(ctx, engine)

    run(engine, drive)
    assert counted == [cycles_per_image(network, SMALL, cycles_per_byte=1)] * 2


@pytest.mark.slow
def test_images_in_a_row_wait_for_each_other_and_for_the_reader():
    rng = np.random.default_rng(3)
    network = random_network(rng, (40, 30, 7), (1, 1))
    engine = Engine(SMALL)
    images = random_images(rng, network, 6)
    codes = []

    async def send(ctx):
        await load_network(ctx, engine, network)
        for pixels in packed(network, images):
            await send_pixels(ctx, engine, pixels)

    async def receive(ctx):
        await ctx.tick().until(engine.readings.valid)
        for pause in (0, 1000, 0, 300, 7, 0):
            await ctx.tick().repeat(pause + 1)
            codes.append((await take_reading(ctx, engine)).code)
        assert not ctx.get(engine.readings.valid)

    run(engine, send, receive)
    assert codes == list(reference.infer(network, images))


def test_clear_and_a_load_drop_images_on_their_way():
    rng = np.random.default_rng(4)
    first, second = (random_network(rng, (40, 30, 7), (1, 1)) for _ in range(2))
    engine = Engine(SMALL)
    images = random_images(rng, first, 2)
    codes = []

    async def drive(ctx):
        await load_network(ctx, engine, first)
        half, whole = packed(first, images)
        await send_pixels(ctx, engine, half[:3])
        ctx.set(engine.cancel, 1)
        await ctx.tick()
        ctx.set(engine.cancel, 0)
        await send_pixels(ctx, engine, whole)
        codes.append((await take_reading(ctx, engine)).code)
        await send_pixels(ctx, engine, half[:3])
        await load_network(ctx, engine, second)
        await send_pixels(ctx, engine, whole)
        codes.append((await take_reading(ctx, engine)).code)

    run(engine, drive)
    assert codes == [reference.infer(network, images)[1] for network in (first, second)]


def test_a_reading_is_forgotten_unless_it_is_there_when_the_clear_comes():
    rng = np.random.default_rng(8)
    network = random_network(rng, (40, 30, 7), (1, 1))
    engine = Engine(SMALL)
    images = random_images(rng, network, 2)
    codes = list(reference.infer(network, images))
    first, second = packed(network, images)
    cycles = cycles_per_image(network, SMALL, 1)
    stayed, seen = [], []

    async def drive(ctx):
        await load_network(ctx, engine, network)
        for after in range(cycles - 8, cycles + 2):
            await send_pixels(ctx, engine, first)
            await ctx.tick().repeat(after)
            ctx.set(engine.cancel, 1)
            await ctx.tick()
            ctx.set(engine.cancel, 0)
            await ctx.tick().repeat(CANCEL_CYCLES - 1)
            stayed.append(ctx.get(engine.readings.valid))
            await ctx.tick().repeat(8)
            assert ctx.get(engine.readings.valid) == stayed[-1]
            if stayed[-1]:
                seen.append((await take_reading(ctx, engine)).code)
            await send_pixels(ctx, engine, second)
            seen.append((await take_reading(ctx, engine)).code)
            stayed.append(ctx.get(engine.readings.valid))

    run(engine, drive)
    assert not any(stayed[1::2])
    kept = stayed[::2]
    assert kept == sorted(kept)
    assert 0 < sum(kept) < len(kept)
    assert seen == codes[1:] * (len(kept) - sum(kept)) + codes * sum(kept)


def test_parameters_without_a_last_layer_end_in_an_overrun_and_the_next_network_runs():
    rng = np.random.default_rng(5)
    network = random_network(rng, (40, 30, 7), (1, 1))
    engine = Engine(SMALL)
    images = random_images(rng, network, 1)
    readings = []

    async def drive(ctx):
        nonsense = bytes([5, 0]) + bytes(2 * 63)
        assert await load(ctx, engine, 0, Space.PARAMETERS, nonsense) == 0
        await send_pixels(ctx, engine, bytes(5))
        readings.append((await take_reading(ctx, engine)).overrun)
        await load_network(ctx, engine, network)
        await send_pixels(ctx, engine, packed(network, images)[0])
        reading = await take_reading(ctx, engine)
        readings.append((reading.code, reading.overrun))

    run(engine, drive)
    assert readings == [1, (reference.infer(network, images)[0], 0)]


def test_a_network_that_fills_the_parameter_memory_is_no_overrun():
    rng = np.random.default_rng(6)
    network = random_network(rng, (16, 64 - 1 - 2 - 2 - 8, 8), (1, 1))
    engine = Engine(SMALL)
    images = random_images(rng, network, 1)

    async def drive(ctx):
        await load_network(ctx, engine, network)
        await send_pixels(ctx, engine, packed(network, images)[0])
        reading = await take_reading(ctx, engine)
        assert (reading.code, reading.overrun) == (reference.infer(network, images)[0], 0)

    run(engine, drive)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("address", "space", "words", "refusal"),
    [
        (127, Space.WEIGHTS, bytes(2), 0),
        (127, Space.WEIGHTS, bytes(4), Refusal.OUT_OF_RANGE),
        (128, Space.WEIGHTS, bytes(2), Refusal.OUT_OF_RANGE),
        (1 << 23, Space.WEIGHTS, bytes(2), Refusal.OUT_OF_RANGE),
        (63, Space.PARAMETERS, bytes(2), 0),
        (63, Space.PARAMETERS, bytes(4), Refusal.OUT_OF_RANGE),
        (64, Space.PARAMETERS, bytes(2), Refusal.OUT_OF_RANGE),
        (0, 2, bytes(2), Refusal.OUT_OF_RANGE),
        (0, 255, bytes(4), Refusal.OUT_OF_RANGE),
        (0, Space.WEIGHTS, bytes(3), Refusal.WRONG_LENGTH),
        (5, Space.PARAMETERS, bytes(5), Refusal.WRONG_LENGTH),
        (0, Space.PARAMETERS, bytes([8, 0]), 0),
        (0, Space.PARAMETERS, bytes([0, 0]), Refusal.OUT_OF_RANGE),
        (0, Space.PARAMETERS, bytes([9, 0]), Refusal.OUT_OF_RANGE),
    ],
)
def test_loads_outside_the_memories_are_refused(address, space, words, refusal):
    engine = Engine(SMALL)
    answers = []

    async def drive(ctx):
        answers.append(await load(ctx, engine, address, space, words))
        # Whatever it was, the next load works.
        answers.append(await load(ctx, engine, 3, Space.PARAMETERS, bytes(2)))

    run(engine, drive)
    assert answers == [refusal, 0]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("address", "words", "refusal"),
    [
        (15 << 3 | 6, bytes(3), 0),
        (15 << 3 | 6, bytes(6), Refusal.OUT_OF_RANGE),
        (3 << 3 | 7, bytes(3), Refusal.OUT_OF_RANGE),
        (16 << 3, bytes(3), Refusal.OUT_OF_RANGE),
    ],
)
def test_loads_outside_the_lanes_are_refused(address, words, refusal):
    engine = Engine(EngineShape(24, 48, weight_words=16, pe=7, parameter_lanes=7))
    answers = []

    async def drive(ctx):
        answers.append(await load(ctx, engine, address, Space.WEIGHTS, words))

    run(engine, drive)
    assert answers == [refusal]


@pytest.mark.slow
def test_a_tentative_image_has_no_reading_before_it_is_certain_and_none_if_it_is_forgotten():
    rng = np.random.default_rng(7)
    network = random_network(rng, (40, 30, 7), (1, 1))
    engine = Engine(EngineShape(16, 64, 128, 64, overlap_neurons=32))
    images = random_images(rng, network, 3)
    codes = list(reference.infer(network, images))
    first, second, third = packed(network, images)
    seen = []

    async def drive(ctx):
        await load_network(ctx, engine, network)
        await send_pixels(ctx, engine, first)
        seen.append((await take_reading(ctx, engine)).code)
        ctx.set(engine.tentative, 1)
        await send_pixels(ctx, engine, second)
        await ctx.tick().repeat(cycles_per_image(network, engine.shape) + 50)
        assert not ctx.get(engine.readings.valid)
        assert ctx.get(engine.character) == codes[0]
        ctx.set(engine.tentative, 0)
        seen.append((await take_reading(ctx, engine)).code)
        # Forgotten at any point of its way, also after the end.
        for cycles in (0, 3, 20, 200):
            ctx.set(engine.tentative, 1)
            await send_pixels(ctx, engine, first[: 5 if cycles > 3 else 2 + cycles])
            await ctx.tick().repeat(cycles + 1)
            ctx.set(engine.cancel, 1)
            await ctx.tick()
            ctx.set(engine.cancel, 0)
            ctx.set(engine.tentative, 0)
            await send_pixels(ctx, engine, third)
            seen.append((await take_reading(ctx, engine)).code)

    run(engine, drive)
    assert seen == codes[:2] + codes[2:] * 4
