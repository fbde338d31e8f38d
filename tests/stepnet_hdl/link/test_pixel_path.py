"""Each good image reaches the core once, whether early or through the receive buffer."""

import random

import pytest

from stepnet.link.messages import HEADER, Request
from stepnet_hdl.link.pixel_path import PIXEL_CYCLES, PixelPath
from streams import Bench, Pauses

IMAGE_BYTES = 6
CRC = b"\x11\x22"


class Core:
    """Takes pixels, and keeps an image once it is complete and no longer tentative."""

    def __init__(self, path, pauses):
        self._path = path
        self._pauses = pauses
        self._waits = 0
        self.image = b""
        self.images = []

    def set(self, ctx):
        self._waits = self._waits - 1 if self._waits else self._pauses.cycles()
        full = len(self.image) == IMAGE_BYTES
        ctx.set(self._path.pixels.ready, not self._waits and not full)
        ctx.set(self._path.last_pixels, len(self.image) == IMAGE_BYTES - 1)

    def take(self, valid, ready, pixel, tentative, cancel):
        if valid and ready:
            self.image += bytes([pixel])
        if cancel:
            self.image = b""
        elif len(self.image) == IMAGE_BYTES and not tentative:
            self.images.append(self.image)
            self.image = b""


class Surroundings:
    """The receive buffer around a path: frames come in, and good ones are read as packets.

    Frames are (content, kept). Packets that hold no image are read past the path.
    """

    def __init__(self, path, frames, wire_pauses, core_pauses):
        self.path = path
        self.core = Core(path, core_pauses)
        self.trace = None
        self._wire_pauses = wire_pauses
        self._bytes = [self._bytes_of(*frame) for frame in frames]
        self._packets = []
        self._current = None
        self._dropped = False
        self.packet_bytes = []
        """Cycle and value of each byte that was taken from a packet."""

    @staticmethod
    def _bytes_of(content, kept):
        bytes_ = [{"data": byte, "end": 0, "good": 0} for byte in content]
        return [*bytes_, {"data": 0, "end": 1, "good": kept}], content, kept

    async def run(self, ctx):
        for bytes_, content, kept in self._bytes:
            for byte in bytes_:
                for _ in range(self._wire_pauses.cycles()):
                    await self._cycle(ctx, None)
                await self._cycle(ctx, byte)
            self._dropped = not kept
            if kept:
                self._packets.append((content[0], content[HEADER.size : -len(CRC)], 8))
            await self._cycle(ctx, None)
            self._dropped = False
        while self._packets or self._current:
            await self._cycle(ctx, None)
        for _ in range(20):
            await self._cycle(ctx, None)

    async def _cycle(self, ctx, byte):
        path = self.path
        ctx.set(path.frame_byte, byte or {})
        ctx.set(path.frame_byte_taken, byte is not None)
        ctx.set(path.frame_dropped, self._dropped)
        ctx.set(path.free, not self._packets and not self._current)
        self.core.set(ctx)
        # A packet may be read some cycles after its frame has ended.
        if not self._current and self._packets:
            kind, pixels, wait = self._packets[0]
            self._packets[0] = (kind, pixels, wait - 1)
            if wait == 0:
                self._packets.pop(0)
                self._current = list(pixels)
                ctx.set(path.packet_is_image, kind == Request.INFER)
        takes = bool(self._current) and ctx.get(path.packet_ready)
        ends = False
        if self._current:
            ctx.set(path.packet_byte, self._current[0])
        ctx.set(path.packet_byte_taken, takes)
        if takes:
            self.packet_bytes.append((len(self.trace), self._current.pop(0)))
            ends = not self._current
        _, _, *seen = await ctx.tick().sample(
            path.pixels.valid, path.pixels.ready, path.pixels.p, path.tentative, path.cancel
        )
        self.core.take(*seen)
        ctx.set(path.packet_ends, ends and ctx.get(path.packet_is_image))


def infer(image):
    return HEADER.pack(kind=Request.INFER, sequence=7) + image + CRC


def play(frames, wire=0.0, core=0.0, seed=1):
    path = PixelPath()
    bench = Bench(path, max_cycles=20_000)
    around = Surroundings(path, frames, Pauses(wire, seed), Pauses(core, seed + 1))
    around.trace = bench.trace(
        valid=path.pixels.valid,
        ready=path.pixels.ready,
        pixel=path.pixels.p,
        cancel=path.cancel,
        packet_ready=path.packet_ready,
    )
    bench.run(around.run)
    return around


@pytest.mark.parametrize(("wire", "core"), [(0.0, 0.0), (0.8, 0.0), (0.0, 0.5), (0.8, 0.2)])
def test_each_good_image_reaches_the_core_once(wire, core):
    rng = random.Random(4)
    frames = []
    for _ in range(25):
        kept = rng.random() < 0.7
        content = infer(rng.randbytes(IMAGE_BYTES))
        if not kept and rng.random() < 0.5:
            content = content[: rng.randrange(1, len(content))]
        if rng.random() < 0.2:
            content = bytes([Request.COMMIT]) + content[1:]
        frames.append((content, kept))
    around = play(frames, wire, core)
    assert around.core.images == [
        content[HEADER.size : -len(CRC)]
        for content, kept in frames
        if kept and content[0] == Request.INFER
    ]
    assert around.trace.cycles("cancel") or core == wire == 0.0


def test_early_pixels_and_those_of_a_packet_keep_their_cycles():
    """Of two frames the second comes while the packet of the first one waits, so that it is read
    from the receive buffer."""
    image = bytes(range(1, IMAGE_BYTES + 1))
    around = play([(infer(image), True), (infer(image[::-1]), True)])
    late = around.path.latency_cycles
    offered = around.trace.cycles("valid")
    pixels = [around.trace["pixel"][cycle] for cycle in offered]
    assert bytes(pixels) == image + image[::-1]
    # The frame's bytes were taken from cycle 0 on.
    first = HEADER.size + late
    assert offered[:IMAGE_BYTES] == list(range(first, first + IMAGE_BYTES))
    read = [cycle for cycle, _ in around.packet_bytes]
    # What the core has already is dropped at a byte per cycle.
    assert read[:IMAGE_BYTES] == list(range(read[0], read[0] + IMAGE_BYTES))
    start = read[IMAGE_BYTES]
    expected = list(range(start, start + PIXEL_CYCLES * IMAGE_BYTES, PIXEL_CYCLES))
    assert read[IMAGE_BYTES:] == expected
    assert offered[IMAGE_BYTES:] == [cycle + late for cycle in expected]
