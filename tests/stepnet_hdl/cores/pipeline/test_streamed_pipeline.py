"""The pipeline between two streams: nothing is lost, whoever waits."""

import numpy as np
import pytest
from amaranth.sim import Simulator

from stepnet.errors import BuildError
from stepnet.networks import lut
from stepnet.networks.lut import Counts, LutLayer, LutNetwork
from stepnet.networks.network import Readout
from stepnet_hdl.cores.pipeline.streamed_pipeline import StreamedPipeline

RNG = np.random.default_rng(1)
NETWORK = LutNetwork(
    "tables",
    (LutLayer(RNG.integers(0, 36, (40, 4)), RNG.integers(0, 1 << 16, 40), 36),),
    6,
    6,
    readout=Readout.NEAREST,
    counts=Counts(np.arange(40) % 10, np.zeros(10, np.int32)),
)
IMAGES = np.random.default_rng(3).integers(0, 2, (60, 6, 6)) == 1
CODES = lut.infer(NETWORK, IMAGES).tolist()


def words(pixels_per_cycle):
    """The transfers of all images, and which of them are an image's last."""
    flat = IMAGES.reshape(len(IMAGES), -1)
    spare = -flat.shape[1] % pixels_per_cycle
    # Spare bits are 1, and do not count.
    padded = np.pad(flat, ((0, 0), (0, spare)), constant_values=True)
    parts = padded.reshape(len(IMAGES), -1, pixels_per_cycle)
    return [
        (sum(int(bit) << place for place, bit in enumerate(part)), number == len(image) - 1)
        for image in parts
        for number, part in enumerate(image)
    ]


def run(pixels_per_cycle, *, idle=0.0, reader_idle=0.0, reader_starts=0):
    """Send all images and take all characters.

    Returns the characters with the cycles in which they were taken, and the cycles in which the
    last pixels of each image were.
    """
    core = StreamedPipeline(NETWORK, pixels_per_cycle)
    rng = np.random.default_rng(5)
    characters, entered, clock = [], [], [0]

    async def count(ctx):
        async for _ in ctx.tick():
            clock[0] += 1

    async def send(ctx):
        for word, is_last in words(pixels_per_cycle):
            while rng.random() < idle:
                await ctx.tick()
            ctx.set(core.pixels.payload, word)
            ctx.set(core.pixels.valid, 1)
            await ctx.tick().until(core.pixels.ready)
            if is_last:
                entered.append(clock[0] - 1)
            ctx.set(core.pixels.valid, 0)

    async def take(ctx):
        await ctx.tick().repeat(reader_starts + 1)
        while len(characters) < len(IMAGES):
            ready = rng.random() >= reader_idle
            ctx.set(core.characters.ready, ready)
            _, _, valid, character = await ctx.tick().sample(
                core.characters.valid, core.characters.payload
            )
            if ready and valid:
                characters.append((character, clock[0] - 1))
        ctx.set(core.characters.ready, 1)
        _, _, more = await ctx.tick().sample(core.characters.valid)
        assert not more

    simulator = Simulator(core)
    simulator.add_clock(1e-6)
    simulator.add_process(count)
    simulator.add_testbench(send)
    simulator.add_testbench(take)
    simulator.run()
    return core, characters, entered


@pytest.mark.parametrize("pixels_per_cycle", [36, 12, 8])
def test_an_image_in_every_cycle_if_its_pixels_come_at_once(pixels_per_cycle):
    core, characters, entered = run(pixels_per_cycle)
    transfers = -(-36 // pixels_per_cycle)
    assert [character for character, _ in characters] == CODES
    assert set(np.diff(entered)) == {transfers}
    delays = {taken - at for (_, taken), at in zip(characters, entered, strict=True)}
    assert delays == {core.latency_cycles}


@pytest.mark.parametrize("pixels_per_cycle", [36, 8])
@pytest.mark.parametrize(("idle", "reader_idle"), [(0.3, 0.0), (0.0, 0.5), (0.3, 0.5), (0.0, 0.9)])
def test_whoever_waits_nothing_is_lost(pixels_per_cycle, idle, reader_idle):
    _, characters, _ = run(pixels_per_cycle, idle=idle, reader_idle=reader_idle)
    assert [character for character, _ in characters] == CODES


def test_a_reader_that_sleeps_stops_the_pixels_and_loses_nothing():
    core, characters, entered = run(36, reader_starts=100)
    assert [character for character, _ in characters] == CODES
    assert sum(at < 100 for at in entered) == core.room
    # Once it is awake, all that was kept comes back to back, and no gap follows.
    assert set(np.diff([taken for _, taken in characters])) == {1}


@pytest.mark.filterwarnings("ignore::amaranth.hdl.UnusedElaboratable")
def test_pixels_that_do_not_come_in_whole_transfers():
    with pytest.raises(BuildError) as caught:
        StreamedPipeline(NETWORK, 7)
    assert str(caught.value) == (
        "36 pixels do not come in whole transfers of 7; choose 8 pixels per cycle, or a divisor "
        "of 36."
    )
