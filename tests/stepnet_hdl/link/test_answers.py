"""Answers are sent byte by byte as their layouts have it."""

import random

import pytest
from amaranth.hdl import Module, Signal

from stepnet.link.messages import Answer
from stepnet_hdl.link.answers import LAYOUTS, AnswerWriter
from streams import Bench, Driver, Pauses, packets_of

CONSTANTS = {"protocol_version": 3, "buffer_bytes": 0x0800, "clock_hz": 0x01_6E_36_00, "simd": 64}


@pytest.mark.parametrize("in_luts", [False, True])
@pytest.mark.parametrize("pauses", [0.0, 0.5])
def test_answers_are_sent_by_their_layouts(pauses, in_luts):
    answers = AnswerWriter(CONSTANTS, in_luts=in_luts)
    rng = random.Random(1)
    kinds = [*Answer, *(rng.choice([*Answer]) for _ in range(4))]
    values = [
        {name: rng.getrandbits(8 * size) for name, size in answers.field_bytes.items()}
        for _ in kinds
    ]
    # As the endpoint offers them: of each field the byte that is asked for, in the same cycle.
    fields = {name: Signal(8 * size) for name, size in answers.field_bytes.items()}
    m = Module()
    m.submodules.answers = answers
    for name, field in fields.items():
        m.d.comb += answers.fields[name].eq(field.word_select(answers.byte_index, 8))
    bench = Bench(m, max_cycles=2000)
    taken = bench.monitor(answers.kind)
    sent = bench.sink(answers.packets, Pauses(pauses, seed=2))

    async def testbench(ctx):
        driver = Driver(answers.kind, Pauses(pauses, seed=3))
        for kind, value in zip(kinds, values, strict=True):
            for name, field in fields.items():
                ctx.set(field, value[name])
            await driver.send(ctx, [kind])
        await ctx.tick().repeat(3)

    bench.run(testbench)
    expected = [
        LAYOUTS[kind].pack(
            **{
                name: kind if name == "kind" else {**value, **CONSTANTS}[name]
                for name in LAYOUTS[kind].fields
            }
        )
        for kind, value in zip(kinds, values, strict=True)
    ]
    assert packets_of(sent.payloads) == expected
    assert taken.payloads == kinds
    # Cycles from the offer of a kind, and from byte to byte.
    ends = [number for number, byte in enumerate(sent.payloads) if byte.last]
    starts = [0, *(end + 1 for end in ends[:-1])]
    for offered, transfer, start, end in zip(
        taken.first_offered, taken.cycles, starts, ends, strict=True
    ):
        assert sent.first_offered[start] == offered + answers.latency_cycles
        assert transfer == sent.cycles[end] + 1
        if not pauses:
            cycles = sent.cycles[start : end + 1]
            step = answers.byte_cycles
            assert cycles == list(range(cycles[0], cycles[0] + step * len(cycles), step))
