"""Pixels and loads side by side: every word reaches its place, and a load drops the images."""

import random

import pytest

from stepnet.cores.engine.shape import EngineShape
from stepnet.link.messages import Space
from stepnet_hdl.cores.engine.intake import Intake
from streams import Bench, Pauses, packet

SHAPES = {
    "wide weights": EngineShape(48, max_inputs=96, weight_words=32, parameter_words=64),
    "lanes": EngineShape(
        16, max_inputs=64, weight_words=16, parameter_words=32, pe=4, parameter_lanes=2
    ),
}


class Model:
    """What the bytes that have been taken come to: words in memories and images in buffers."""

    def __init__(self, shape):
        self.shape = shape
        self.writes = []
        """(cycle of its last byte, where, value) of each word."""

    def load(self, cycles, body):
        space = Space(body[3])
        size = (self.shape.parameter_bytes, self.shape.weight_bytes)[space]
        bits = (self.shape.parameter_lane_bits, self.shape.weight_lane_bits)[space]
        lanes = (self.shape.parameter_lanes, self.shape.pe)[space]
        word, lane = divmod(int.from_bytes(body[:3], "little"), 1 << bits)
        first = word * lanes + lane
        for number in range((len(body) - 4) // size):
            end = 4 + size * (number + 1)
            value = int.from_bytes(body[end - size : end], "little")
            place = (space, *divmod(first + number, lanes))
            self.writes.append((cycles[end - 1], place, value))

    def pixels(self, cycles, pixels, buffer):
        size = self.shape.weight_bytes
        for place, first in enumerate(range(0, len(pixels), size)):
            content = pixels[first : first + size]
            if len(content) < size and len(pixels) < self.image_bytes:
                return  # the word was never whole
            # What is missing of the last word stands at its low end, as zeros.
            value = int.from_bytes(bytes(size - len(content)) + content, "little")
            last = cycles[first + len(content) - 1]
            self.writes.append((last, ("pixels", buffer, place), value))


@pytest.mark.parametrize("pauses", [0.0, 0.4])
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_every_word_reaches_its_place(shape, pauses):
    intake = Intake(shape)
    model = Model(shape)
    rng = random.Random(7)
    gaps = Pauses(pauses, seed=8)
    bench = Bench(intake, max_cycles=5000)
    trace = bench.trace(
        word=intake.word,
        weights=intake.writes.weights,
        parameters=intake.writes.parameters,
        address=intake.writes.address,
        lane=intake.writes.lane,
        pixels=intake.write_pixels,
        buffer=intake.image_buffer,
        place=intake.images.words,
        cancelled=intake.cancelled,
        taken=intake.pixels.valid & intake.pixels.ready,
        blocked=intake.pixels_blocked,
    )
    cancelled = []

    async def noise(ctx):
        """Somebody else writes activations now and then."""
        while True:
            ctx.set(intake.pixels_blocked, pauses > 0 and rng.random() < 0.3)
            await ctx.tick()

    async def send(ctx, stream, payloads):
        cycles = []
        for payload in payloads:
            if waits := gaps.cycles():
                await ctx.tick().repeat(waits)
            ctx.set(stream.payload, payload)
            ctx.set(stream.valid, 1)
            await ctx.tick().until(stream.ready)
            ctx.set(stream.valid, 0)
            cycles.append(len(trace) - 1)
        return cycles

    async def load(ctx, space, address, count):
        size = (shape.parameter_bytes, shape.weight_bytes)[space]
        content = bytearray(rng.randbytes(count * size))
        if (space, address) == (Space.PARAMETERS, 0):
            content[:size] = model.image_bytes.to_bytes(size, "little")
        body = address.to_bytes(3, "little") + bytes([space]) + bytes(content)
        cycles = await send(ctx, intake.load, packet(body))
        cancelled.append(cycles[0] - 1)  # a load waits for a cycle before its first byte
        (refusal,) = await ctx.tick().sample(intake.load_refusal).until(intake.load_done)
        assert refusal == 0
        assert len(trace) - 1 == cycles[-1] + intake.load_cycles
        assert ctx.get(intake.image_bytes) == model.image_bytes
        model.load(cycles, body)

    async def image(ctx, buffer, length=None):
        pixels = rng.randbytes(length or model.image_bytes)
        cycles = await send(ctx, intake.pixels, pixels)
        model.pixels(cycles, pixels, buffer)
        await ctx.tick().repeat(intake.latency_cycles)  # the last word is written

    async def testbench(ctx):
        for image_bytes in (1, shape.weight_bytes, shape.max_inputs // 8 - 1):
            model.image_bytes = image_bytes
            await load(ctx, Space.PARAMETERS, 0, 5)
            await load(ctx, Space.WEIGHTS, 0, 4)
            for number in range(4):
                await image(ctx, number % 2)
                assert ctx.get(intake.images.complete) == 1 << number % 2
                ctx.set(intake.images.done, 1 << number % 2)
                await ctx.tick()
                ctx.set(intake.images.done, 0)
            # Both buffers are in use until one is given back.
            await image(ctx, 0)
            await image(ctx, 1)
            ctx.set(intake.pixels.valid, 1)
            await ctx.tick().repeat(5)
            assert not ctx.get(intake.pixels.ready)
            ctx.set(intake.pixels.valid, 0)
            assert ctx.get(intake.images.complete) == 0b11
            # What is there when a network is loaded is void, and what is half there too.
            ctx.set(intake.images.done, 0b01)
            await ctx.tick()
            ctx.set(intake.images.done, 0)
            if image_bytes > 1:
                await image(ctx, 0, image_bytes - 1)
            await load(ctx, Space.WEIGHTS, 1, 3)
            assert ctx.get(intake.images.complete) == 0
            await image(ctx, 0)
            # A cancelled image is void too.
            if image_bytes > 1:
                await image(ctx, 1, 1)
            ctx.set(intake.cancel, 1)
            cancelled.append(len(trace))
            await ctx.tick()
            ctx.set(intake.cancel, 0)
            await ctx.tick()
            assert ctx.get(intake.images.complete) == 0
            await image(ctx, 0)
            await ctx.tick()

    bench.background(noise)
    bench.run(testbench)
    found = []
    for cycle in range(len(trace)):
        word = trace["word"][cycle]
        for space, name in ((Space.PARAMETERS, "parameters"), (Space.WEIGHTS, "weights")):
            if trace[name][cycle]:
                size = (shape.parameter_bytes, shape.weight_bytes)[space]
                value = word >> len(intake.word) - 8 * size
                place = (space, trace["address"][cycle], trace["lane"][cycle])
                found.append((cycle, place, value))
        if trace["pixels"][cycle]:
            value = word >> len(intake.word) - shape.simd
            place = ("pixels", trace["buffer"][cycle], trace["place"][cycle])
            found.append((cycle, place, value))
    assert found == [
        (cycle + intake.latency_cycles, place, value) for cycle, place, value in model.writes
    ]
    assert trace.cycles("cancelled") == cancelled
    assert not set(trace.cycles("taken")) & set(trace.cycles("blocked"))
