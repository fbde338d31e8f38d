"""A board for benchmarks: speaks the protocol as the gateware does, and computes next to nothing.

What it reads in an image is a checksum of the image and of the network that it was loaded with, so
an answer for another image, or after another load, shows.
"""

from __future__ import annotations

import zlib
from collections import deque
from functools import lru_cache

from stepnet.boards.model import BoardModel, CoreReading, EngineModel
from stepnet.cores.engine.shape import EngineShape
from stepnet.link import messages as protocol
from stepnet.link.exchange import MESSAGE_OVERHEAD_BYTES, compiled
from stepnet.link.frames import FrameReader, encode_frame
from stepnet.link.messages import Answer, Request
from stepnet.link.pixel_coding import undone

_READING = compiled(protocol.READING)
_HEADER = compiled(protocol.HEADER)
_INFER = int(Request.INFER)
_INFER_CODED = int(Request.INFER_CODED)
_READING_KIND = int(Answer.READING)

UNDONE_REMEMBERED = 1024
"""Images whose coding need not be undone again, which takes Python longer than all the rest."""

_undone = lru_cache(UNDONE_REMEMBERED)(undone)


def checksum_reading(pixels: bytes, digest: int) -> tuple[int, int, int]:
    """The code, the margin and the cycles that the peer answers for packed `pixels`."""
    checksum = zlib.crc32(pixels, digest)
    return checksum & 0xFF, checksum >> 8, checksum


class AnsweringPeer:
    """A board whose engine has `shape` and whose receive buffer has `buffer_bytes`; it may take
    coded images, which count in the buffer as they come.

    overruns: messages dropped because they did not fit the buffer.
    """

    def __init__(
        self, shape: EngineShape, buffer_bytes: int = 2048, *, coded_images: bool = False
    ) -> None:
        self.shape = shape
        self.coded_images = coded_images
        self.buffer_bytes = buffer_bytes
        self.overruns = 0
        self.reset()

    def reset(self) -> None:
        """Forget everything, as the chip does."""
        self._frames = FrameReader()
        self._waiting: deque[bytes] = deque()
        self._waiting_bytes = 0
        self._engine = EngineModel(self.shape, _read)
        self._board = BoardModel(
            self._engine,
            buffer_bytes=self.buffer_bytes,
            clock_hz=12_000_000,
            coded_images=self.coded_images,
        )

    def receive(self, data: bytes) -> None:
        """Take what came over the wire."""
        for payload in self._frames.feed(data):
            room = len(payload) + MESSAGE_OVERHEAD_BYTES
            if self._waiting_bytes + room > self.buffer_bytes:
                self.overruns += 1
            else:
                self._waiting.append(payload)
                self._waiting_bytes += room

    def answer(self, most: int | None = None) -> bytes:
        """The frames that answer up to `most` of the waiting messages, all if None."""
        answers: list[bytes] = []
        while self._waiting and (most is None or len(answers) < most):
            payload = self._waiting.popleft()
            self._waiting_bytes -= len(payload) + MESSAGE_OVERHEAD_BYTES
            answers.append(encode_frame(self._answer(payload)))
        return b"".join(answers)

    def _answer(self, payload: bytes) -> bytes:
        board, body = self._board, payload[_HEADER.size :]
        if payload[0] == _INFER_CODED and board.coded_images and board.loaded:
            image = _undone(body, self._engine.image_bytes)
            if len(image) == self._engine.image_bytes:
                payload, body = bytes([_INFER]) + payload[1:], image
        if payload[0] == _INFER and board.loaded and len(body) == self._engine.image_bytes:
            # What the model says too, but in a fraction of the time.
            _, sequence = _HEADER.unpack_from(payload)
            return _READING.pack(_READING_KIND, sequence, *checksum_reading(body, board.digest))
        board.dropped_frames = self._frames.dropped
        return board.answer_to(payload)


def _read(digest: int, pixels: bytes) -> CoreReading:
    return CoreReading(*checksum_reading(pixels, digest))
