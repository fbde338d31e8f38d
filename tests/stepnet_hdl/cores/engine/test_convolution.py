"""Convolutions on the engine against the reference: values and cycles."""

from dataclasses import replace

import numpy as np
import pytest

from engine_ports import load_network, packed, run, send_pixels, take_reading
from stepnet.cores.engine.cycles import cycles_per_image
from stepnet.cores.engine.memory_image import enlarged
from stepnet.cores.engine.shape import EngineShape
from stepnet.networks import reference
from stepnet.networks.random_networks import (
    RandomMap,
    random_convolution_network,
    random_images,
    random_network,
)
from stepnet_hdl.cores.engine.engine import Engine
from stepnet_hdl.cores.interface import CANCEL_CYCLES


def shape_of(simd, **fields):
    inputs = -(-128 // simd) * simd
    return EngineShape(simd, inputs, weight_words=64, parameter_words=64, map_words=2, **fields)


SHAPES = {
    "64": shape_of(64),
    "16x4": shape_of(16, pe=4, parameter_lanes=2, overlap_neurons=16),
    "8x4": shape_of(8, pe=4, parameter_lanes=1, max_weight_bits=2),
    "24x7 registered": shape_of(24, pe=7, parameter_lanes=7, weight_memory="registered"),
    "64, two windows": shape_of(64, map_windows=2),
    "16x4, two windows": shape_of(
        16, pe=4, parameter_lanes=2, overlap_neurons=16, max_weight_bits=2, map_windows=2
    ),
    "24x7 registered, two windows": shape_of(
        24, pe=7, parameter_lanes=7, weight_memory="registered", map_windows=2
    ),
    "16x4 registered, two windows": shape_of(
        16, pe=4, parameter_lanes=4, weight_memory="registered", map_windows=2
    ),
}

NETWORKS = {
    "one pixel": (5, 4, [RandomMap(9, 1)]),
    "stride and padding": (9, 7, [RandomMap(3, 2, 2, 1), RandomMap(5, 3, 2, 2)]),
    "pooling": (9, 8, [RandomMap(5, 2, pool=True), RandomMap(18, 2, padding=1, pool=True)]),
    "pooling with stride": (11, 10, [RandomMap(4, 2, 2, 1, pool=True, weight_bits=2)]),
    "windows of one word": (
        5,
        5,
        [RandomMap(3, 2, padding=1), RandomMap(9, 3, padding=2, pool=True), RandomMap(2, 1)],
    ),
    "three maps": (
        7,
        9,
        [RandomMap(5, 2, 1, 1, True, 2), RandomMap(9, 3, 2, 1), RandomMap(4, 1)],
    ),
    "odd and even rows of several words": (
        6,
        7,
        [RandomMap(50, 3, padding=1), RandomMap(35, 2), RandomMap(20, 3, padding=1)],
    ),
    "a last word of one group": (5, 6, [RandomMap(18, 3, padding=1), RandomMap(20, 2, 2)]),
    "few columns": (7, 2, [RandomMap(3, 2), RandomMap(18, 1, 2)]),
}
"""Height, width, convolutions."""


def readings(engine, network, images, cycles_per_byte):
    """Code, margin, cycles and overrun of each image, once the network has been loaded."""
    found = []

    async def drive(ctx):
        await load_network(ctx, engine, network)
        for pixels in packed(network, images):
            await send_pixels(ctx, engine, pixels, cycles_per_byte)
            reading = await take_reading(ctx, engine)
            found.append((reading.code, reading.margin, reading.cycles, reading.overrun))

    run(engine, drive)
    return found


def expected(network, images, shape, cycles_per_byte):
    codes, margins = reference.infer(network, images), reference.margin(network, images)
    cycles = cycles_per_image(network, shape, cycles_per_byte)
    return [(code, margin, cycles, 0) for code, margin in zip(codes, margins, strict=True)]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("on", "name"),
    [
        ("16x4", "one pixel"),
        ("16x4", "windows of one word"),
        ("64", "pooling with stride"),
        ("64", "stride and padding"),
        ("8x4", "pooling with stride"),
        ("8x4", "pooling"),
        ("24x7 registered", "pooling"),
        ("24x7 registered", "three maps"),
        ("16x4", "odd and even rows of several words"),
        ("64, two windows", "stride and padding"),
        ("64, two windows", "pooling with stride"),
        ("16x4, two windows", "one pixel"),
        ("16x4, two windows", "few columns"),
        ("16x4, two windows", "pooling"),
        ("16x4, two windows", "windows of one word"),
        ("16x4, two windows", "odd and even rows of several words"),
        ("24x7 registered, two windows", "three maps"),
        ("16x4 registered, two windows", "a last word of one group"),
        ("24x7 registered, two windows", "odd and even rows of several words"),
    ],
)
def test_an_engine_convolves_as_the_reference(on, name):
    rng, shape = np.random.default_rng(len(name)), SHAPES[on]
    height, width, maps = NETWORKS[name]
    network = random_convolution_network(rng, height, width, maps, hidden=10)
    shape = enlarged(shape, network)
    images = random_images(rng, network, 2)
    cycles_per_byte = 1 if shape.pe > 1 else 40
    found = readings(Engine(shape), network, images, cycles_per_byte)
    assert found == expected(network, images, shape, cycles_per_byte)


def small_network(*, pool) -> tuple:
    rng = np.random.default_rng(2)
    network = random_convolution_network(rng, 5, 4, [RandomMap(4, 2, pool=pool)])
    return network, random_images(rng, network, 2)


@pytest.mark.parametrize("windows", [1, 2])
def test_an_engine_that_may_convolve_takes_as_long_for_a_dense_network(windows):
    rng = np.random.default_rng(1)
    network = random_network(rng, (40, 20, 7))
    shape = replace(SHAPES["16x4"], map_words=16, map_windows=windows)
    images = random_images(rng, network, 2)
    found = readings(Engine(shape), network, images, 1)
    assert found == expected(network, images, replace(shape, map_words=0, map_windows=1), 1)


@pytest.mark.parametrize(("on", "pool"), [("16x4", True), ("16x4, two windows", False)])
def test_an_image_that_is_dropped_leaves_nothing_behind(on, pool):
    """In whatever state the window is, the next image starts anew."""
    network, images = small_network(pool=pool)
    shape = enlarged(SHAPES[on], network)
    engine = Engine(shape)
    cycles = cycles_per_image(network, shape, 1)
    found = []

    async def drive(ctx):
        await load_network(ctx, engine, network)
        dropped, whole = packed(network, images)
        for wait in range(1, cycles - CANCEL_CYCLES - 1, 9):  # later its reading is offered
            await send_pixels(ctx, engine, dropped)
            await ctx.tick().repeat(wait)
            ctx.set(engine.cancel, 1)
            await ctx.tick()
            ctx.set(engine.cancel, 0)
            await send_pixels(ctx, engine, whole)
            reading = await take_reading(ctx, engine)
            found.append((reading.code, reading.margin, reading.cycles, reading.overrun))

    run(engine, drive)
    assert len(found) > 5
    assert found == expected(network, images[1:], shape, 1) * len(found)
