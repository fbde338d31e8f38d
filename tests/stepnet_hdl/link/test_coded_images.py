import random
from itertools import chain

import numpy as np
import pytest

from stepnet.link.frames import CRC_BYTES
from stepnet.link.messages import HEADER, Request
from stepnet.link.pixel_coding import GROUP_BYTES, code_images, undone
from stepnet_hdl.link.coded_images import CodedImages
from streams import Bench, Driver, Pauses

RANDOM = random.Random(23)
BUFFER_BYTES = 256
END = {"data": 0, "end": 1, "good": 1}


def frame_of(kind, body):
    """The FrameBytes of a request, with a CRC of noise, which the block does not look at."""
    content = HEADER.pack(kind=kind, sequence=0x0605) + body + RANDOM.randbytes(CRC_BYTES)
    return [{"data": byte, "end": 0, "good": 0} for byte in content] + [END]


def plain_of(frame, image_bytes):
    """The bytes that the model makes of one frame."""
    content = bytes(each["data"] for each in frame[:-1])
    if content[0] != Request.INFER_CODED:
        return content
    start = HEADER.size
    return bytes([Request.INFER]) + content[1:start] + undone(content[start:], image_bytes)


class Undoing:
    """Sends frames through a CodedImages and notes what comes out."""

    def __init__(self, frames, image_bytes, *, pauses=0.0):
        dut = CodedImages(BUFFER_BYTES)
        bench = Bench(dut, 300_000)
        self.bytes_in = bench.monitor(dut.coded)
        self.bytes_out = bench.sink(dut.plain, Pauses(pauses, seed=3))

        async def testbench(ctx):
            ctx.set(dut.image_bytes, image_bytes)
            await Driver(dut.coded, Pauses(pauses, seed=4)).send(ctx, chain.from_iterable(frames))
            await ctx.tick().repeat(40)

        bench.run(testbench)
        self.frames = [b""]
        for each in self.bytes_out.payloads:
            if each.end:
                assert each.good
                self.frames.append(b"")
            else:
                self.frames[-1] += bytes([each.data])
        assert self.frames.pop() == b""


def image(image_bytes, zeros):
    drawn = [RANDOM.randrange(1, 256) if RANDOM.random() > zeros else 0 for _ in range(image_bytes)]
    return np.array([drawn], np.uint8)


@pytest.mark.parametrize("pauses", [0.0, 0.5])
@pytest.mark.parametrize("image_bytes", [1, 7, 8, 9, 26, 98])
def test_images_come_out_as_they_were(image_bytes, pauses):
    images = [image(image_bytes, zeros) for zeros in (0.0, 0.3, 0.6, 0.9, 1.0)]
    frames = [frame_of(Request.INFER_CODED, code_images(each)[0]) for each in images]
    made = Undoing(frames, image_bytes, pauses=pauses).frames
    assert [each[HEADER.size : -CRC_BYTES] for each in made] == [each.tobytes() for each in images]
    header = HEADER.pack(kind=Request.INFER, sequence=0x0605)
    assert {each[: HEADER.size] for each in made} == {header}
    assert [each[-CRC_BYTES:] for each in made] == [
        bytes(byte["data"] for byte in frame[-1 - CRC_BYTES : -1]) for frame in frames
    ]


def test_other_frames_pass_in_the_cycle_in_which_they_come():
    frames = [frame_of(kind, bytes(range(20))) for kind in Request if kind != Request.INFER_CODED]
    frames.append(frame_of(0, b""))
    result = Undoing(frames, 16)
    assert result.frames == [plain_of(frame, 16) for frame in frames]
    assert result.bytes_in.cycles == result.bytes_out.cycles
    assert np.diff(result.bytes_in.cycles).max() == 1


@pytest.mark.parametrize("pauses", [0.0, 0.4])
@pytest.mark.parametrize("image_bytes", [0, 5, 16, 21, 300])
def test_any_frame_becomes_what_the_model_says_and_holds_nothing_up(image_bytes, pauses):
    frames = []
    for _ in range(60):
        kind = RANDOM.choice((Request.INFER_CODED,) * 4 + (Request.INFER,))
        body = bytes(
            RANDOM.choice((0, 0xFF, RANDOM.randrange(256))) for _ in range(RANDOM.randrange(30))
        )
        frames.append(frame_of(kind, body))
        if RANDOM.random() < 0.2:
            frames.append([*frame_of(kind, b"")[: RANDOM.randrange(5)], END])
    if image_bytes < BUFFER_BYTES:
        expected = [plain_of(frame, image_bytes) if len(frame) > 1 else b"" for frame in frames]
        assert Undoing(frames, image_bytes, pauses=pauses).frames == expected
    else:  # what does not fit is never what was meant, but ends all the same
        assert len(Undoing(frames, image_bytes, pauses=pauses).frames) == len(frames)


def test_no_byte_waits_longer_than_published():
    frames = [frame_of(Request.INFER_CODED, code_images(image(size, 1.0))[0]) for size in (64, 64)]
    frames.append(frame_of(Request.INFER_CODED, code_images(image(64, 0.9))[0]))
    cycles = Undoing(frames, 64).bytes_in.cycles
    assert np.diff(cycles).max() == CodedImages.byte_cycles == GROUP_BYTES + 2
