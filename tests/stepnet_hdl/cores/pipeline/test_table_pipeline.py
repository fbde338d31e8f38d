"""The pipeline and its stages against the reference, back to back, with gaps and cancelled."""

import dataclasses
import itertools

import numpy as np
import pytest
from amaranth.sim import Simulator

from stepnet.errors import BuildError
from stepnet.networks import lut
from stepnet.networks.lut import Counts, LutLayer, LutNetwork
from stepnet.networks.network import Readout
from stepnet_hdl.cores.pipeline.image_register import ImageRegister, check_transfers
from stepnet_hdl.cores.pipeline.neighbourhoods import neighbourhoods
from stepnet_hdl.cores.pipeline.table_layer import reduced
from stepnet_hdl.cores.pipeline.table_pipeline import TablePipeline

SIDE = 6
READOUTS = {
    Readout.BITS: (7, ""),
    Readout.TREE: (15, "011"),
    Readout.NEAREST: (10, ""),
}


def random_tables(readout, layers=2, tables=60):
    """Its last row has no tables, and never fires or never wins."""
    rng = np.random.default_rng(rows := READOUTS[readout][0])
    n_in, made = SIDE * SIDE, []
    for _ in range(layers):
        wires = rng.integers(0, n_in, (tables, 4))
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


def random_images(count):
    return np.random.default_rng(5).integers(0, 2, (count, SIDE, SIDE)) == 1


def number(image):
    """An image as the value of `pixels`."""
    return sum(int(bit) << place for place, bit in enumerate(image.ravel()))


def run(pipeline, offers):
    """Give an image (or None) in each cycle, and whether to cancel; returns cycles and codes."""
    found = []

    async def testbench(ctx):
        for cycle in range(len(offers) + pipeline.latency_cycles):
            image, cancel = offers[cycle] if cycle < len(offers) else (None, False)
            ctx.set(pipeline.valid, image is not None)
            ctx.set(pipeline.pixels, 0 if image is None else number(image))
            ctx.set(pipeline.cancel, cancel)
            await ctx.tick()
            if ctx.get(pipeline.character_valid):
                found.append((cycle + 1, ctx.get(pipeline.character)))

    simulator = Simulator(pipeline)
    simulator.add_clock(1e-6)
    simulator.add_testbench(testbench)
    simulator.run()
    return found


@pytest.mark.parametrize(
    "options",
    [{}, {"registered": False}, {"neighbourhoods": 2}, {"neighbourhoods": 5}],
    ids=["registered", "at once", "two neighbourhoods", "five neighbourhoods"],
)
@pytest.mark.parametrize("readout", READOUTS)
def test_images_in_every_cycle_and_with_gaps(readout, options):
    network = random_tables(readout)
    images = random_images(24)
    gaps = np.random.default_rng(6).integers(0, 3, len(images)).tolist()
    gaps[:8] = [0] * 8
    offers = []
    given_at = []
    for image, gap in zip(images, gaps, strict=True):
        offers += [(None, False)] * gap
        given_at.append(len(offers))
        offers.append((image, False))
    pipeline = TablePipeline(network, **options)
    expected = lut.infer(network, images).tolist()
    assert len(set(expected)) > 3
    assert run(pipeline, offers) == [
        (cycle + pipeline.latency_cycles, code)
        for cycle, code in zip(given_at, expected, strict=True)
    ]


def test_what_is_cancelled_gives_no_character():
    network = random_tables(Readout.NEAREST)
    images = random_images(12)
    pipeline = TablePipeline(network)
    cancel_at = 9
    offers = [(image, cycle == cancel_at) for cycle, image in enumerate(images)]
    expected = lut.infer(network, images).tolist()
    latency = pipeline.latency_cycles
    # What would be there before the end of that cycle is, and what comes after it.
    kept = [cycle for cycle in range(12) if cycle + latency <= cancel_at or cycle > cancel_at]
    assert run(pipeline, offers) == [(cycle + latency, expected[cycle]) for cycle in kept]


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_neighbourhoods_have_what_their_counts_need_and_nothing_else(layers):
    network = random_tables(Readout.NEAREST, layers=layers)
    images = random_images(30)
    parts = neighbourhoods(network, 4)
    assert [part.rows for part in parts] == [(0, 1, 2), (3, 4), (5, 6), (7, 8)]
    counted = np.zeros((30, network.rows), int)
    for part in parts:
        alone = dataclasses.replace(network, layers=part.layers, counts=part.counts)
        found = lut.sums(alone, images)
        assert set(np.flatnonzero(found.any(axis=0)).tolist()) == set(part.rows)
        counted += found
        for below, layer in itertools.pairwise(part.layers):
            assert set(layer.wires.ravel().tolist()) == set(range(below.n_out))
    np.testing.assert_array_equal(counted, lut.sums(network, images))


def test_one_neighbourhood_is_the_network_as_it_is():
    network = random_tables(Readout.TREE)
    (whole,) = neighbourhoods(network, 1)
    assert whole.layers is network.layers
    assert whole.counts is network.counts


@pytest.mark.parametrize("count", [0, 10])
def test_more_neighbourhoods_than_counts_are_refused(count):
    with pytest.raises(BuildError) as refusal:
        neighbourhoods(random_tables(Readout.NEAREST), count)
    assert str(refusal.value) == (
        "The network 'random' counts tables for 9 rows, which make no "
        f"{count} neighbourhoods; give 1 to 9."
    )


def test_tables_keep_the_wires_on_which_they_depend():
    layer = LutLayer([[3, 5, 3, 7], [0, 1, 2, 3], [4, 4, 4, 4]], [0xAAAA, 0xFFFF, 0x8001], 8)
    assert reduced(layer, 0) == (0b10, [3])
    assert reduced(layer, 1) == (1, [])
    assert reduced(layer, 2) == (1, [])
    twice = LutLayer([[6, 6, 2, 1]], [0x9966], 8)
    table, wires = reduced(twice, 0)
    for entry in range(1 << len(wires)):
        bits = {wire: entry >> place & 1 for place, wire in enumerate(wires)}
        address = sum(bits.get(int(wire), 0) << k for k, wire in enumerate(twice.wires[0]))
        assert table >> entry & 1 == 0x9966 >> address & 1


@pytest.mark.parametrize("pixels_per_cycle", [8, 4, 36])
def test_an_image_is_gathered_whatever_comes_between(pixels_per_cycle):
    register = ImageRegister(SIDE * SIDE, pixels_per_cycle)
    images = random_images(4)
    rng = np.random.default_rng(7)
    found = []

    async def testbench(ctx):
        for index, image in enumerate(images):
            bits = number(image)
            if index == 2:  # half an image, which is void
                ctx.set(register.stream.valid, 1)
                await ctx.tick()
                ctx.set(register.stream.valid, 0)
                ctx.set(register.restart, 1)
                await ctx.tick()
                ctx.set(register.restart, 0)
            for transfer in range(register.transfers):
                ctx.set(register.stream.valid, 0)
                await ctx.tick().repeat(int(rng.integers(1, 3)))
                assert ctx.get(register.last) == (transfer == register.transfers - 1)
                ctx.set(register.stream.payload, bits >> transfer * pixels_per_cycle & mask)
                ctx.set(register.stream.valid, 1)
                await ctx.tick()
            ctx.set(register.stream.valid, 0)
            assert ctx.get(register.valid)
            found.append(ctx.get(register.image))

    mask = (1 << pixels_per_cycle) - 1
    simulator = Simulator(register)
    simulator.add_clock(1e-6)
    simulator.add_testbench(testbench)
    simulator.run()
    assert found == [number(image) for image in images]


def test_pixels_that_do_not_divide():
    with pytest.raises(BuildError) as caught:
        check_transfers(784, 30)
    assert str(caught.value) == (
        "784 pixels do not come in whole transfers of 30; choose 8 pixels per cycle, or a divisor "
        "of 784."
    )
