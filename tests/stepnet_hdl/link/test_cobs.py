import random

import pytest
from cobs import cobs

from stepnet_hdl.link.cobs import MAX_PACKET_BYTES, CobsDecoder, CobsEncoder
from streams import Bench, Driver, Pauses, packet

RANDOM = random.Random(2024)


def random_bytes(length, zeros):
    return bytes(0 if RANDOM.random() < zeros else RANDOM.randrange(1, 256) for _ in range(length))


PACKETS = [
    b"\0",
    b"\x01",
    b"\0\0",
    b"\0\x01\0",
    *(random_bytes(length, zeros) for length in (2, 9, 40) for zeros in (0.1, 0.6)),
]

LONG_PACKETS = [
    random_bytes(253, zeros=0),
    random_bytes(254, zeros=0),
    random_bytes(254, zeros=0.02),
    random_bytes(253, zeros=0) + b"\0",
    b"\0" + random_bytes(253, zeros=0),
]


def decode(received, pauses=0.0):
    """Every frame as (content, broken), and the bench's two monitors."""
    dut = CobsDecoder()
    bench = Bench(dut, max_cycles=20_000)
    bytes_in = bench.monitor(dut.bytes)
    tokens = bench.sink(dut.tokens, Pauses(pauses, seed=1))

    async def testbench(ctx):
        await Driver(dut.bytes, Pauses(pauses, seed=2)).send(ctx, received)
        await ctx.tick().repeat(50)

    bench.run(testbench)
    frames = []
    content = bytearray()
    for token in tokens.payloads:
        if token.end:
            frames.append((bytes(content), bool(token.broken)))
            content.clear()
        else:
            content.append(token.data)
    assert not content, "bytes of a frame that has no end"
    return frames, bytes_in, tokens


@pytest.mark.parametrize("pauses", [0.0, 0.5])
def test_decoder_gives_what_was_encoded(pauses):
    long = [random_bytes(length, zeros=0) for length in (254, 255, 300)]
    packets = PACKETS if pauses else [*PACKETS, *LONG_PACKETS, *long]
    received = b"".join(cobs.encode(content) + b"\0" for content in packets)
    frames, _, _ = decode(received, pauses)
    assert frames == [(content, False) for content in packets]


def test_decoder_takes_a_byte_per_cycle_and_gives_its_token_one_cycle_later():
    frames, bytes_in, tokens = decode(cobs.encode(b"\x01\x02\0\x03") + b"\0")
    assert frames == [(b"\x01\x02\0\x03", False)]
    first = bytes_in.cycles[0]
    assert bytes_in.cycles == [first + number for number in range(6)]
    # The first code gives no token; the second one gives the zero.
    late = CobsDecoder.latency_cycles
    assert tokens.cycles == [cycle + late for cycle in bytes_in.cycles[1:]]


def test_decoder_agrees_with_the_library_about_arbitrary_bytes():
    received = bytes(RANDOM.choice((0, 0, 1, 2, 3, 4, 5, 255)) for _ in range(1500)) + b"\0"
    expected = []
    for frame in received.split(b"\0")[:-1]:
        if frame:
            try:
                expected.append(cobs.decode(frame))
            except cobs.DecodeError:
                expected.append(None)
    frames, _, _ = decode(received)
    assert [None if broken else content for content, broken in frames] == expected
    assert None in expected
    assert any(expected)


def test_decoder_says_nothing_about_empty_frames():
    frames, _, _ = decode(b"\0\0\x02\x07\0\0\0\x01\0")
    assert frames == [(b"\x07", False), (b"", False)]


def encode(packets, pauses=0.0):
    dut = CobsEncoder()
    bench = Bench(dut, max_cycles=20_000)
    bytes_in = bench.monitor(dut.packets)
    bytes_out = bench.sink(dut.bytes, Pauses(pauses, seed=3))

    async def testbench(ctx):
        driver = Driver(dut.packets, Pauses(pauses, seed=4))
        for content in packets:
            await driver.send(ctx, packet(content))
        while bytes_out.payloads.count(0) < len(packets):
            await ctx.tick()
        await ctx.tick().repeat(20)

    bench.run(testbench)
    return bytes(bytes_out.payloads), bytes_in, bytes_out


@pytest.mark.parametrize("pauses", [0.0, 0.5])
def test_encoder_agrees_with_the_library(pauses):
    packets = PACKETS if pauses else [*PACKETS, *LONG_PACKETS]
    sent, _, _ = encode(packets, pauses)
    assert sent == b"".join(cobs.encode(content) + b"\0" for content in packets)


def test_longest_packet_fills_the_buffer_of_the_encoder():
    assert max(len(content) for content in LONG_PACKETS) == MAX_PACKET_BYTES


def test_encoder_keeps_its_published_cycles():
    _, bytes_in, bytes_out = encode([b"\x01\0\x02", b"\x03"])
    start = bytes_in.cycles[0]
    frame_start = start + 2 + CobsEncoder.latency_cycles
    frame_end = frame_start + CobsEncoder.byte_cycles * 4
    assert bytes_in.cycles == [start, start + 1, start + 2, frame_end + 1]
    assert bytes_out.cycles[:5] == list(range(frame_start, frame_end + 1, CobsEncoder.byte_cycles))
