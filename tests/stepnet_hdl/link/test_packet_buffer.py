"""Frames wait whole or not at all, in a buffer that takes a byte per cycle."""

import random

import pytest

from stepnet.link.frames import BUFFER_OVERHEAD_BYTES, CRC_BYTES, window
from stepnet.link.messages import HEADER, INFER
from stepnet_hdl.link.packet_buffer import PacketBuffer
from streams import Bench, Driver, Pauses, packets_of

BUFFER_BYTES = 64
LONGEST = BUFFER_BYTES - CRC_BYTES - BUFFER_OVERHEAD_BYTES
CRC = b"\xaa\x55"


def frame(payload, good=True):
    content = [{"data": byte, "end": 0, "good": 0} for byte in payload + CRC]
    return [*content, {"data": 0, "end": 1, "good": good}]


class Buffering:
    """Sends frames, and notes when their ends were taken and what comes out."""

    def __init__(self, frames, *, pauses=0.0, stalled_until_sent=False):
        buffer = PacketBuffer(BUFFER_BYTES)
        bench = Bench(buffer, max_cycles=20_000)
        self.frames = bench.monitor(buffer.frames)
        self.out = bench.monitor(buffer.packets)
        self.trace = bench.trace(
            dropped=buffer.dropped,
            empty=buffer.empty,
            offered=buffer.packets.valid,
            bytes_after=buffer.bytes_after,
        )
        reads = not stalled_until_sent
        gaps = Pauses(pauses, seed=7)

        async def reader(ctx):
            while True:
                ctx.set(buffer.packets.ready, reads and not gaps.cycles())
                await ctx.tick()

        async def testbench(ctx):
            nonlocal reads
            driver = Driver(buffer.frames, Pauses(pauses, seed=8))
            for each in frames:
                await driver.send(ctx, each)
            await ctx.tick().repeat(20)
            reads = True
            await ctx.tick().repeat(4 * BUFFER_BYTES)

        bench.background(reader)
        bench.run(testbench)
        self.packets = packets_of(self.out.payloads)
        sent = [byte for each in frames for byte in each]
        self.ends = [
            cycle for cycle, byte in zip(self.frames.cycles, sent, strict=True) if byte["end"]
        ]


def payloads(rng, count):
    return [rng.randbytes(rng.choice((HEADER.size, 4, 9, 20))) for _ in range(count)]


@pytest.mark.parametrize("pauses", [0.0, 0.3])
def test_good_frames_leave_as_packets(pauses):
    rng = random.Random(1)
    sent = payloads(rng, 30)
    good = [rng.random() < 0.6 for _ in sent]
    good[-1] = True
    short = [frame(rng.randbytes(length)) for length in (0, 1, HEADER.size - 1)]
    frames = [frame(*each) for each in zip(sent, good, strict=True)]
    result = Buffering(short + frames, pauses=pauses)
    kept = [payload for payload, is_good in zip(sent, good, strict=True) if is_good]
    assert result.packets == kept
    after = [result.trace["bytes_after"][cycle] for cycle in result.out.cycles]
    assert after == [left for payload in kept for left in reversed(range(len(payload)))]
    # Those that are broken or too short are counted, right after their end.
    broken = [
        end
        for end, is_good in zip(result.ends, [False] * len(short) + good, strict=True)
        if not is_good
    ]
    assert result.trace.cycles("dropped") == [end + 1 for end in broken]


def test_buffer_keeps_its_cycles():
    sent = [bytes(range(1, 13))] * 3
    frames = [frame(sent[0]), frame(sent[1], good=False), frame(sent[2])]
    result = Buffering(frames)
    offered = [
        cycle for cycle, after in zip(result.out.cycles, [*range(12)] * 2, strict=True) if not after
    ]
    ends = result.ends
    assert offered == [end + PacketBuffer.latency_cycles for end in (ends[0], ends[2])]
    assert result.out.cycles[:12] == list(range(offered[0], offered[0] + 12))
    starts = [result.frames.cycles[number * len(frames[0])] for number in range(3)]
    assert starts[1] - ends[0] - 1 == PacketBuffer.good_frame_cycles
    assert starts[2] - ends[1] - 1 == PacketBuffer.broken_frame_cycles
    # Between its start and its end a frame takes a byte per cycle.
    assert ends[0] - starts[0] == len(frames[0]) - 1


def test_packets_that_wait_follow_each_other():
    result = Buffering([frame(b"abcd")] * 3, stalled_until_sent=True)
    first = result.out.cycles[0]
    assert [cycle - first for cycle in result.out.cycles] == [
        (4 + PacketBuffer.packet_gap_cycles) * number + byte
        for number in range(3)
        for byte in range(4)
    ]


def test_empty_says_whether_a_packet_waits():
    result = Buffering([frame(b"abc", good=False), frame(b"abcdef")])
    empty = result.trace["empty"]
    end, taken = result.ends[1], result.out.cycles[-1]
    assert all(empty[: end + 1])  # parts of frames do not count
    assert not any(empty[end + 1 : taken + 1])
    assert all(empty[taken + 1 :])


@pytest.mark.parametrize("image_bytes", [1, 9, 25])
def test_a_window_of_images_fits(image_bytes):
    rng = random.Random(image_bytes)
    count = window(BUFFER_BYTES, image_bytes)
    sent = [rng.randbytes(INFER.size + image_bytes) for _ in range(count)]
    broken = frame(rng.randbytes(image_bytes), good=False)
    result = Buffering([broken, *map(frame, sent)], stalled_until_sent=True)
    assert result.packets == sent


def test_what_is_too_long_for_the_room_left_is_dropped_whole():
    longest = bytes(range(LONGEST))
    result = Buffering([frame(longest + b"!"), frame(longest), frame(b"abc")])
    assert result.packets == [longest, b"abc"]
    stalled = Buffering([frame(longest), frame(bytes(20))], stalled_until_sent=True)
    assert stalled.packets == [longest]
    assert len(stalled.trace.cycles("dropped")) == 1
