"""Loads: which word is written where, in which cycle, and what is refused."""

import random

import pytest

from stepnet.cores.engine.shape import EngineShape
from stepnet.link.messages import Refusal, Space
from stepnet_hdl.cores.engine.load_intake import LOAD_HEADER_BYTES, LoadIntake
from streams import Bench, Driver, Pauses, packet

SHAPE = EngineShape(24, max_inputs=96, weight_words=5, parameter_words=16, pe=6, parameter_lanes=3)
MAX_WORD_BYTES = 4
INITIAL_IMAGE_BYTES = 2
IMAGE_BYTES = 12
"""The most that the shape takes."""

LANE_BITS = {Space.PARAMETERS: SHAPE.parameter_lane_bits, Space.WEIGHTS: SHAPE.weight_lane_bits}
LANES = {Space.PARAMETERS: SHAPE.parameter_lanes, Space.WEIGHTS: SHAPE.pe}
WORDS = {Space.PARAMETERS: SHAPE.parameter_words, Space.WEIGHTS: SHAPE.weight_words}
WORD_BYTES = {Space.PARAMETERS: SHAPE.parameter_bytes, Space.WEIGHTS: SHAPE.weight_bytes}


def load(space, word, lane, content):
    address = word << LANE_BITS.get(space, 0) | lane
    return address.to_bytes(3, "little") + bytes([space]) + content


def expected_writes(body):
    """Each word as (number of its last byte, space, word, lane, value), and the refusals met."""
    space = body[3] if len(body) > 3 else 0
    if len(body) <= LOAD_HEADER_BYTES:
        return [], {Refusal.WRONG_LENGTH}
    place = int.from_bytes(body[:3], "little")
    refusals = set()
    size = WORD_BYTES.get(space, WORD_BYTES[Space.PARAMETERS])
    writes = []
    words = range(LOAD_HEADER_BYTES, len(body) - size + 1, size)
    if (len(body) - LOAD_HEADER_BYTES) % size:
        refusals.add(Refusal.WRONG_LENGTH)
    if space not in WORDS:
        return [], refusals | {Refusal.OUT_OF_RANGE}
    word, lane = place >> LANE_BITS[space], place & (1 << LANE_BITS[space]) - 1
    for first in words:
        if word >= WORDS[space] or lane >= LANES[space]:
            return writes, refusals | {Refusal.OUT_OF_RANGE}
        value = int.from_bytes(body[first : first + size], "little")
        writes.append((first + size - 1, space, word, lane, value))
        if (space, word, lane) == (Space.PARAMETERS, 0, 0) and not 0 < value <= IMAGE_BYTES:
            refusals.add(Refusal.OUT_OF_RANGE)
        lane += 1
        if lane == LANES[space]:
            word, lane = word + 1, 0
    return writes, refusals


RANDOM = random.Random(5)


def words(space, count):
    return RANDOM.randbytes(count * WORD_BYTES[space])


P, W = Space.PARAMETERS, Space.WEIGHTS
LOADS = {
    "one weight word": load(W, 3, 2, words(W, 1)),
    "from lane to lane": load(W, 1, 3, words(W, 9)),
    "to the last weight": load(W, 4, 4, words(W, 2)),
    "beyond the last weight": load(W, 4, 4, words(W, 4)),
    "a lane that there is not": load(W, 2, 6, words(W, 2)),
    "a word that there is not": load(W, 5, 0, words(W, 1)),
    "parameters": load(P, 3, 1, words(P, 5)),
    "to the last parameter": load(P, 15, 0, words(P, 3)),
    "beyond the last parameter": load(P, 15, 2, words(P, 2)),
    "bytes of an image": load(P, 0, 0, bytes([7, 0])),
    "most bytes of an image": load(P, 0, 0, bytes([IMAGE_BYTES, 0]) + words(P, 1)),
    "too many bytes of an image": load(P, 0, 0, bytes([IMAGE_BYTES + 1, 0])),
    "far too many": load(P, 0, 0, bytes([7, 1])),
    "no bytes of an image": load(P, 0, 0, bytes(2)),
    "not for the bytes of an image": load(P, 0, 1, bytes([9, 0])),
    "weights are not either": load(W, 0, 0, bytes([9, 0, 0])),
    "part of a word": load(W, 1, 1, words(W, 2) + b"\x01"),
    "less than a word": load(P, 4, 0, b"\x01"),
    "no word": load(W, 1, 1, b""),
    "part of an address": b"\x01\x02",
    "one byte": b"\x01",
    "an unknown space": load(2, 0, 0, words(P, 2)),
    "another unknown space": load(255, 0, 0, words(W, 1)),
}


@pytest.mark.parametrize("pauses", [0.0, 0.4])
def test_words_are_written_where_they_belong(pauses):
    intake = LoadIntake(SHAPE, INITIAL_IMAGE_BYTES, MAX_WORD_BYTES)
    bench = Bench(intake, max_cycles=5000)
    writes = intake.writes
    taken = bench.monitor(intake.load)
    trace = bench.trace(
        done=intake.done,
        refusal=intake.refusal,
        idle=intake.idle,
        begins=intake.begins,
        ends=intake.ends,
        take=intake.take,
        loading=writes.loading,
        weights=writes.weights,
        parameters=writes.parameters,
        address=writes.address,
        lane=writes.lane,
        word=intake.word,
        image_bytes=intake.image_bytes,
    )

    async def shift(ctx):
        """The register in which words are gathered, as `Intake` has it."""
        word_bytes, top = 0, 8 * (MAX_WORD_BYTES - 1)
        shifted = 0
        while True:
            _, _, take, completes, ends, byte = await ctx.tick().sample(
                intake.take, intake.completes, intake.ends, intake.load.p.data
            )
            ctx.set(intake.word, shifted)
            if take:
                shifted = shifted >> 8 | byte << top
                word_bytes = 0 if completes else word_bytes + 1
            if ends:
                word_bytes = 0
            ctx.set(intake.shifted, shifted)
            ctx.set(intake.word_bytes, word_bytes % MAX_WORD_BYTES)

    async def testbench(ctx):
        driver = Driver(intake.load, Pauses(pauses, seed=4))
        for body in LOADS.values():
            await driver.send(ctx, packet(body))
            await ctx.tick().until(intake.done)

    bench.background(shift)
    bench.run(testbench)
    found = []
    for cycle in range(len(trace)):
        for space, name in ((P, "parameters"), (W, "weights")):
            if trace[name][cycle]:
                value = trace["word"][cycle] >> 8 * (MAX_WORD_BYTES - WORD_BYTES[space])
                found.append((cycle, space, trace["address"][cycle], trace["lane"][cycle], value))
    expected = []
    image_bytes = INITIAL_IMAGE_BYTES
    byte_cycles = iter(taken.cycles)
    over = 0
    events = (trace.cycles(event) for event in ("begins", "ends", "done"))
    for (name, body), begins, ends, done in zip(LOADS.items(), *events, strict=True):
        cycles = [next(byte_cycles) for _ in body]
        writes_of_it, refusals = expected_writes(body)
        for number, *rest in writes_of_it:
            expected.append((cycles[number] + intake.latency_cycles, *rest))
            if rest[:3] == [P, 0, 0] and 0 < rest[3] <= IMAGE_BYTES:
                image_bytes = rest[3]
        assert (ends, done) == (done - 1, cycles[-1] + intake.load_cycles), name
        assert trace["refusal"][done] in (refusals or {0}), name
        assert trace["image_bytes"][done] == image_bytes, name
        if not pauses:
            # It waits for a cycle before the first byte, and for one after the address.
            late = [1 + (number >= LOAD_HEADER_BYTES) for number in range(len(body))]
            assert cycles == [begins + number + wait for number, wait in enumerate(late)], name
        assert all(trace["idle"][over : begins + 1]), name
        assert not any(trace["idle"][begins + 1 : done]), name
        first_word = cycles[LOAD_HEADER_BYTES] if len(body) > LOAD_HEADER_BYTES else ends
        assert all(trace["loading"][first_word:done]), name
        assert not any(trace["loading"][over : cycles[:LOAD_HEADER_BYTES][-1] + 1]), name
        over = done
    assert found == expected
