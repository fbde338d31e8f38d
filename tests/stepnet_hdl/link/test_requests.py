"""What a request asks for, known one cycle after its header."""

import random

import pytest

from stepnet.link.messages import COMMIT, HEADER, LOAD, Request
from stepnet_hdl.link.requests import RequestHeader
from streams import Bench, Pauses, packet

IMAGE_BYTES = 98
KINDS = [*Request, 0x00, 0x06, 0x81, 0xFF]


@pytest.mark.parametrize("pauses", [0.0, 0.5])
def test_header_says_what_is_asked(pauses):
    header = RequestHeader()
    rng = random.Random(1)
    load, commit = LOAD.size - HEADER.size, COMMIT.size - HEADER.size
    lengths = [0, 1, load - 1, load, load + 1, commit, IMAGE_BYTES, IMAGE_BYTES + 256, 60_000]
    requests = [(kind, rng.getrandbits(16), length) for kind in KINDS for length in lengths]
    rng.shuffle(requests)
    bench = Bench(header, max_cycles=5000)
    trace = bench.trace(
        sequence=header.sequence,
        asked=header.asked.as_value(),
        has_body=header.has_body,
        body_is_words=header.body_is_words,
        body_is_digest=header.body_is_digest,
        body_is_image=header.body_is_image,
    )
    expected = []

    async def testbench(ctx):
        gaps = Pauses(pauses, seed=2)
        ctx.set(header.image_bytes, IMAGE_BYTES)
        for kind, sequence, length in requests:
            content = HEADER.pack(kind=kind, sequence=sequence)
            bytes_ = packet(content + bytes(min(length, 1)))[: HEADER.size]
            for number, byte in enumerate(bytes_):
                for _ in range(gaps.cycles()):
                    await ctx.tick()
                ctx.set(header.packets.p, byte)
                ctx.set(header.packets.valid, 1)
                ctx.set(header.bytes_after, HEADER.size - 1 - number + length)
                await ctx.tick()
                ctx.set(header.packets.valid, 0)
            # A coded image is known by another kind when it comes here.
            known = [
                int(kind == request) << place
                for place, request in enumerate(Request)
                if request is not Request.INFER_CODED
            ]
            taken = len(trace) - 1
            # Until the next header begins, whatever the body brings.
            waits = 1 + gaps.cycles()
            for _ in range(waits):
                ctx.set(header.packets.p, {"data": rng.getrandbits(8), "last": rng.getrandbits(1)})
                ctx.set(header.bytes_after, rng.getrandbits(16))
                await ctx.tick()
            says = {
                "sequence": sequence,
                "asked": sum(known),
                "has_body": length > 0,
                "body_is_words": length > load,
                "body_is_digest": length == commit,
                "body_is_image": length == IMAGE_BYTES,
            }
            for cycle in range(taken + header.latency_cycles, taken + 1 + waits):
                expected.append((cycle, says))

    bench.run(testbench)
    for cycle, says in expected:
        assert {name: trace[name][cycle] for name in says} == says
    assert len(expected) >= len(requests)


def test_no_body_is_an_image_without_bytes():
    header = RequestHeader()

    async def testbench(ctx):
        ctx.set(header.packets.valid, 1)
        ctx.set(header.packets.p.last, 1)
        await ctx.tick()
        assert ctx.get(header.body_is_image)

    Bench(header, max_cycles=10).run(testbench)
