import binascii
import random
from itertools import pairwise

import pytest
from cobs import cobs

from stepnet.errors import BuildError
from stepnet.link import messages as protocol
from stepnet.link.frames import (
    BUFFER_OVERHEAD_BYTES,
    CRC_BYTES,
    CRC_INITIAL,
    decode_frame,
    encode_frame,
    window,
)
from stepnet_hdl.link.frames import FrameReceiver, FrameTransmitter
from stepnet_hdl.link.packet_buffer import check_buffer_bytes
from streams import Bench, Driver, Pauses, packet, packets_of

pytestmark = pytest.mark.slow

RANDOM = random.Random(77)
BUFFER_BYTES = 64

LONGEST = BUFFER_BYTES - CRC_BYTES - BUFFER_OVERHEAD_BYTES
"""Longest payload that an empty buffer takes."""


def payload(length):
    return bytes(RANDOM.choice((0, RANDOM.randrange(256))) for _ in range(length))


class Receiving:
    """Sends bytes to a FrameReceiver and notes what comes of it."""

    def __init__(self, received, *, pauses=0.0, stalled_until_sent=False, max_cycles=20_000):
        dut = FrameReceiver(BUFFER_BYTES)
        bench = Bench(dut, max_cycles)
        self.bytes_in = bench.monitor(dut.bytes)
        self.packets_out = bench.monitor(dut.packets)
        self.bytes_after = []
        reader_pauses = Pauses(pauses, seed=5)
        reading = not stalled_until_sent

        async def reader(ctx):
            while True:
                for _ in range(reader_pauses.cycles()):
                    await ctx.tick()
                ctx.set(dut.packets.ready, reading)
                _, _, transfer, bytes_after = await ctx.tick().sample(
                    dut.packets.valid & dut.packets.ready, dut.bytes_after
                )
                ctx.set(dut.packets.ready, 0)
                if transfer:
                    self.bytes_after.append(bytes_after)

        async def testbench(ctx):
            nonlocal reading
            await Driver(dut.bytes, Pauses(pauses, seed=6)).send(ctx, received)
            await ctx.tick().repeat(20)
            reading = True
            await ctx.tick().repeat(int(4 * BUFFER_BYTES / (1 - pauses)))
            self.dropped = ctx.get(dut.dropped_frames)

        bench.background(reader)
        bench.run(testbench)
        self.packets = packets_of(self.packets_out.payloads)


@pytest.mark.parametrize("pauses", [0.0, 0.6])
def test_receiver_gives_the_payloads_that_were_framed(pauses):
    sent = [payload(RANDOM.choice((3, 4, 10, 20))) for _ in range(25)]
    result = Receiving(b"".join(map(encode_frame, sent)), pauses=pauses / 4)
    assert result.packets == sent
    assert result.dropped == 0
    assert result.bytes_after == [
        after for content in sent for after in reversed(range(len(content)))
    ]


def test_receiver_keeps_its_published_cycles():
    frame = encode_frame(payload(12))
    broken = encode_frame(b"abcd")[1:]
    result = Receiving(frame + frame + broken + frame, max_cycles=2000)
    taken = result.bytes_in.cycles
    out = result.packets_out
    closing_zero = taken[len(frame) - 1]
    offered = closing_zero + FrameReceiver.latency_cycles
    assert out.first_offered[0] == offered
    assert out.cycles[:12] == list(range(offered, offered + 12))
    ends = [2 * len(frame), 2 * len(frame) + len(broken)]

    def cycles_waited(start, end):
        return taken[end] - taken[start] - (end - start)

    assert cycles_waited(0, len(frame) - 1) == 0
    assert cycles_waited(len(frame) - 1, ends[0] - 1) == FrameReceiver.good_frame_cycles
    assert cycles_waited(ends[0] - 1, ends[1] - 1) == FrameReceiver.good_frame_cycles
    assert cycles_waited(ends[1] - 1, len(taken) - 1) == FrameReceiver.broken_frame_cycles


def test_packets_that_wait_follow_each_other():
    frame = encode_frame(b"\x01\x02\x03\x04")
    result = Receiving(3 * frame, stalled_until_sent=True)
    cycles = result.packets_out.cycles
    assert [cycle - cycles[0] for cycle in cycles] == [
        (4 + FrameReceiver.packet_gap_cycles) * number + byte
        for number in range(3)
        for byte in range(4)
    ]


def broken_frames():
    good = encode_frame(b"\x01hello\x02\0\x03")
    yield "a flipped bit", bytes([good[0], good[1] ^ 4, *good[2:]])
    yield "a lost byte", good[:3] + good[4:]
    yield "an extra byte", good[:3] + b"\x55" + good[3:]
    yield "a lost end", good[:-3] + b"\0"
    yield "a byte that became zero", good[:4] + b"\0" + good[5:]
    yield "two bytes of payload", encode_frame(b"\x01\x02")
    yield "no payload", encode_frame(b"")
    yield "no content", b"\x01\0"
    yield "two bytes", b"\x03\xff\xff\0"
    yield "too long", encode_frame(bytes(range(1, LONGEST + 2)))
    yield "much too long", encode_frame(bytes(range(256)))


def test_broken_frame_leaves_no_trace_but_the_count():
    received = b""
    dropped = 0
    for what, frame in broken_frames():
        # What the frame is broken by follows it as a good one.
        received += frame + encode_frame(what.encode())
        dropped += len(frame.split(b"\0")) - 1
    result = Receiving(received)
    assert result.packets == [what.encode() for what, _ in broken_frames()]
    assert result.dropped == dropped


def test_longest_payload_that_fits_is_taken_again_and_again():
    sent = [payload(LONGEST) for _ in range(4)]
    result = Receiving(b"".join(encode_frame(content) + bytes(LONGEST) for content in sent))
    assert result.packets == sent
    assert result.dropped == 0


@pytest.mark.parametrize(
    ("image_bytes", "earlier_bytes", "pauses"),
    [(9, 0, 0.0), (9, 31, 0.6), (1, 0, 0.6), (25, 13, 0.0), (57, 0, 0.6), (57, 40, 0.6)],
)
def test_no_frame_within_the_window_is_dropped(image_bytes, earlier_bytes, pauses):
    in_flight = window(BUFFER_BYTES, image_bytes)
    images = [payload(protocol.INFER.size + image_bytes) for _ in range(in_flight)]
    # A broken frame first, so that the window does not start where the buffer does.
    earlier = b"\x55" * earlier_bytes + b"\0" if earlier_bytes else b""
    received = earlier + b"".join(map(encode_frame, images))
    result = Receiving(received, pauses=pauses, stalled_until_sent=True)
    assert result.dropped == bool(earlier_bytes)
    assert result.packets == images


def test_full_buffer_drops_whole_frames_and_recovers():
    images = [payload(12) for _ in range(9)]
    stalled = Receiving(b"".join(map(encode_frame, images)), stalled_until_sent=True)
    assert stalled.packets == images[: len(stalled.packets)]
    assert window(BUFFER_BYTES, 9) <= len(stalled.packets) < len(images)
    assert stalled.dropped == len(images) - len(stalled.packets)
    slow = Receiving(b"".join(map(encode_frame, images * 3)), pauses=0.8)
    assert slow.dropped == 3 * len(images) - len(slow.packets)
    assert set(slow.packets) <= set(images)


def test_receiver_agrees_with_the_protocol_about_arbitrary_frames():
    frames = []
    for _ in range(60):
        frame = bytearray(encode_frame(payload(RANDOM.randrange(12))))
        for _ in range(RANDOM.choice((0, 0, 1, 2))):
            frame[RANDOM.randrange(len(frame))] ^= 1 << RANDOM.randrange(8)
        frames.append(bytes(frame))
    received = b"".join(frames) + b"\0"
    contents = [frame for frame in received.split(b"\0")[:-1] if frame]
    expected = [content for frame in contents if (content := decode_frame(frame)) is not None]
    result = Receiving(received)
    assert result.packets == expected
    assert result.dropped == len(contents) - len(expected)
    assert result.dropped > 10


def test_count_of_dropped_frames_wraps():
    result = Receiving(b"\x01\0" * 258)
    assert result.dropped == 2


@pytest.mark.parametrize("buffer_bytes", [0, 32, 100, 65536])
def test_buffer_of_an_odd_size_is_refused(buffer_bytes):
    with pytest.raises(BuildError) as error:
        check_buffer_bytes(buffer_bytes)
    assert str(error.value) == (
        f"A receive buffer cannot have {buffer_bytes} bytes; choose a power of two from 64 to "
        "32768."
    )


@pytest.mark.parametrize("pauses", [0.0, 0.5])
def test_transmitter_frames_as_the_protocol_does(pauses):
    sent = [payload(length) for length in (1, 3, 4, 8, 33)]
    if not pauses:
        sent.append(payload(252))
    dut = FrameTransmitter()
    bench = Bench(dut, max_cycles=20_000)
    bytes_out = bench.sink(dut.bytes, Pauses(pauses, seed=8))
    packets_in = bench.monitor(dut.packets)

    async def testbench(ctx):
        driver = Driver(dut.packets, Pauses(pauses, seed=9))
        for content in sent:
            await driver.send(ctx, packet(content))
        while bytes_out.payloads.count(0) < len(sent):
            await ctx.tick()
        await ctx.tick().repeat(20)

    bench.run(testbench)
    wire = bytes(bytes_out.payloads)
    assert wire == b"".join(map(encode_frame, sent))
    for frame, content in zip(wire.split(b"\0"), sent, strict=False):
        crc = binascii.crc_hqx(content, CRC_INITIAL)
        assert cobs.decode(frame) == content + crc.to_bytes(2, "big")
    if not pauses:
        assert bytes_out.cycles[0] == packets_in.cycles[0] + dut.latency_cycles
        first = bytes_out.cycles[: len(encode_frame(sent[0]))]
        assert [second - first for first, second in pairwise(first)] == [dut.byte_cycles] * (
            len(first) - 1
        )
