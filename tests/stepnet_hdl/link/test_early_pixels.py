"""Pixels are offered while their frame arrives, and the image is void if the frame is not good."""

import random
from dataclasses import dataclass

import pytest

from stepnet.link.messages import HEADER, Request
from stepnet_hdl.link.early_pixels import Preview
from streams import Bench, Pauses

IMAGE_BYTES = 5
CRC = b"\xc5\x3a"


@dataclass
class Frame:
    """A frame, how the core is disposed, and what has to come of it.

    free: the way to the core is free before the first pixel.
    takes: how many pixels in a row the core takes.
    dropped: the receive buffer does not keep the frame.
    """

    content: bytes
    free: bool = True
    takes: int = 99
    dropped: bool = False

    def offered(self):
        """The bytes that have to be offered, the first that is not taken among them."""
        if self.content[:1] != bytes([Request.INFER]) or not self.free:
            return b""
        return self.content[HEADER.size :][: min(IMAGE_BYTES, self.takes + 1)]

    def taken(self):
        return self.offered()[: self.takes]

    def is_passed_on(self):
        right = len(self.content) == HEADER.size + IMAGE_BYTES + len(CRC)
        return len(self.taken()) == IMAGE_BYTES and right and not self.dropped


def infer(image):
    return HEADER.pack(kind=Request.INFER, sequence=0x1205) + image + CRC


IMAGE = bytes([0x05, 0, 0xFF, 7, 9])
FRAMES = {
    "good": Frame(infer(IMAGE)),
    "broken at the end": Frame(infer(IMAGE), dropped=True),
    "too long": Frame(infer(IMAGE + b"!")),
    "much too long": Frame(infer(IMAGE * 5)),
    "one byte too short": Frame(infer(IMAGE[:-1])),
    "as short as its CRC": Frame(infer(IMAGE[:-2])),
    "one pixel": Frame(infer(IMAGE[:1])),
    "no pixels": Frame(infer(b"")),
    "cut in the CRC": Frame(infer(IMAGE)[:-1], dropped=True),
    "cut before the CRC": Frame(infer(IMAGE)[:-2], dropped=True),
    "cut in the image": Frame(infer(IMAGE)[:6], dropped=True),
    "cut after the header": Frame(infer(IMAGE)[:3], dropped=True),
    "cut in the header": Frame(infer(IMAGE)[:2], dropped=True),
    "a byte": Frame(infer(IMAGE)[:1], dropped=True),
    "empty": Frame(b"", dropped=True),
    "another request": Frame(HEADER.pack(kind=Request.LOAD, sequence=5) + IMAGE + CRC),
    "something on its way": Frame(infer(IMAGE), free=False),
    "a core that takes none": Frame(infer(IMAGE), takes=0),
    "a core that takes two": Frame(infer(IMAGE), takes=2),
    "a core that takes all but one": Frame(infer(IMAGE), takes=IMAGE_BYTES - 1),
    "a core too slow for a broken one": Frame(infer(IMAGE), takes=3, dropped=True),
}


def void_cycle(frame, cycles, end):
    """When an image that the core has begun to take becomes void."""
    first, taken = HEADER.size, len(frame.taken())
    after_crc = first + IMAGE_BYTES + len(CRC)
    if taken < len(frame.offered()):
        return cycles[first + taken] + 2  # it does not take that byte
    if len(cycles) > after_crc:
        return cycles[after_crc] + 2  # a byte too many
    if len(cycles) == after_crc:
        return end + 3  # the receive buffer says so
    return end + 2  # bytes are missing


@pytest.mark.parametrize("pauses", [0.0, 0.5])
@pytest.mark.parametrize("seed", range(2))
def test_pixels_are_given_early(pauses, seed):
    preview = Preview()
    rng = random.Random(seed)
    names = [*FRAMES, *FRAMES]
    rng.shuffle(names)
    bench = Bench(preview, max_cycles=5000)
    trace = bench.trace(
        valid=preview.pixels.valid,
        pixel=preview.pixels.p,
        tentative=preview.tentative,
        cancel=preview.cancel,
        passed_on=preview.passed_on,
    )
    gaps = Pauses(pauses, seed=5)
    played = []
    """Name, cycles of its bytes, cycle of its end, and cycle in which its packet was done with."""

    async def testbench(ctx):
        position = 0  # pixels of the image that the core has
        takes = 0

        async def tick():
            """The core takes pixels in this cycle, unless it has had enough."""
            nonlocal position, takes
            ctx.set(preview.pixels.ready, takes > 0)
            ctx.set(preview.last_pixels, position == IMAGE_BYTES - 1)
            _, _, valid, cancel = await ctx.tick().sample(preview.pixels.valid, preview.cancel)
            if valid and takes:
                position += 1
                takes -= 1
            elif valid:
                takes = 0
            if cancel:
                position = 0

        for name in names:
            frame = FRAMES[name]
            takes = frame.takes
            cycles = []
            for number, byte in enumerate(frame.content):
                # Whether it is free counts from the last byte before the pixels to the first pixel.
                ctx.set(preview.free, frame.free if number == HEADER.size else rng.getrandbits(1))
                for _ in range(gaps.cycles()):
                    await tick()
                is_before = number == HEADER.size - 1
                ctx.set(preview.free, frame.free if is_before else rng.getrandbits(1))
                ctx.set(preview.byte, {"data": byte, "end": 0, "good": 0})
                ctx.set(preview.byte_taken, 1)
                cycles.append(len(trace))
                await tick()
                ctx.set(preview.byte_taken, 0)
            for _ in range(gaps.cycles()):
                await tick()
            ctx.set(preview.byte, {"data": 0, "end": 1, "good": not frame.dropped})
            ctx.set(preview.byte_taken, 1)
            end = len(trace)
            await tick()
            ctx.set(preview.byte_taken, 0)
            ctx.set(preview.dropped, frame.dropped)
            await tick()
            ctx.set(preview.dropped, 0)
            for _ in range(preview.outcome_cycles + 3 + gaps.cycles()):
                await tick()
            ctx.set(preview.packet_ends, not frame.dropped)
            played.append((name, cycles, end, len(trace)))
            position = 0
            await tick()
            ctx.set(preview.packet_ends, 0)
            await tick()

    bench.run(testbench)
    offers, voids, passed_on = [], [], [0] * len(trace)
    tentative = [0] * len(trace)
    for name, cycles, end, done in played:
        frame = FRAMES[name]
        first = HEADER.size
        late = preview.latency_cycles
        offers += [
            (cycle + late, byte)
            for cycle, byte in zip(cycles[first:], frame.offered(), strict=False)
        ]
        outcome = end + preview.outcome_cycles
        taken = len(frame.taken())
        if frame.is_passed_on():
            passed_on[outcome : done + 1] = [1] * (done + 1 - outcome)
            tentative[cycles[first] + late + 1 : outcome] = [1] * (
                outcome - cycles[first] - late - 1
            )
        elif taken:
            # It is void as soon as that is clear, and it is said again if the frame ends then.
            void, *again = [
                cycle for cycle in trace.cycles("cancel") if cycles[first] < cycle <= done
            ]
            assert void == void_cycle(frame, cycles, end), name
            assert void <= outcome, name
            assert again in ([], [outcome - 1]), name
            voids += [void, *again]
            begun = cycles[first] + late + 1
            tentative[begun : void + 2] = [1] * (void + 2 - begun)
    assert [(cycle, trace["pixel"][cycle]) for cycle in trace.cycles("valid")] == offers
    assert trace.cycles("cancel") == voids
    assert trace["passed_on"] == passed_on
    assert trace["tentative"] == tentative
