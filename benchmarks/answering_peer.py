"""A board for benchmarks: speaks the protocol as the gateware does, and computes next to nothing.

What it reads in an image is a checksum of the image and of the network that it was loaded with, so
an answer for another image, or after another load, shows.
"""

from __future__ import annotations

import struct
import zlib
from collections import deque

from stepnet.boards.identity import shape_fields
from stepnet.cores.engine.shape import EngineShape
from stepnet.link import messages as protocol
from stepnet.link.exchange import MESSAGE_OVERHEAD_BYTES, compiled
from stepnet.link.frames import FrameReader, encode_frame
from stepnet.link.messages import Answer, Core, Refusal, Request, Space

_READING = compiled(protocol.READING)
_HEADER = compiled(protocol.HEADER)
_REFUSAL = compiled(protocol.REFUSAL)
_INFER = int(Request.INFER)
_READING_KIND = int(Answer.READING)


def checksum_reading(pixels: bytes, digest: int) -> tuple[int, int, int]:
    """The code, the margin and the cycles that the peer answers for packed `pixels`."""
    checksum = zlib.crc32(pixels, digest)
    return checksum & 0xFF, checksum >> 8, checksum


class AnsweringPeer:
    """A board whose engine has `shape` and whose receive buffer has `buffer_bytes`.

    overruns: messages dropped because they did not fit the buffer.
    """

    def __init__(self, shape: EngineShape, buffer_bytes: int = 2048) -> None:
        self.shape = shape
        self.buffer_bytes = buffer_bytes
        self.overruns = 0
        self.reset()

    def reset(self) -> None:
        """Forget everything, as the chip does."""
        self._frames = FrameReader()
        self._waiting: deque[bytes] = deque()
        self._waiting_bytes = 0
        self._loaded = False
        self._digest = 0
        self._image_bytes = 0

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
        kind, sequence = _HEADER.unpack_from(payload)
        body = payload[_HEADER.size :]
        if kind == _INFER:
            if not self._loaded:
                return _refusal(sequence, Refusal.NOTHING_LOADED)
            if len(body) != self._image_bytes:
                return _refusal(sequence, Refusal.WRONG_LENGTH)
            return _READING.pack(_READING_KIND, sequence, *checksum_reading(body, self._digest))
        match kind:
            case Request.IDENTIFY if not body:
                return self._identity(sequence)
            case Request.CLEAR if not body:
                self._loaded, self._digest = False, 0
            case Request.LOAD if len(payload) > protocol.LOAD.size:
                target = protocol.LOAD.unpack(payload)
                words = payload[protocol.LOAD.size :]
                if target["space"] == Space.PARAMETERS and target["address"] == 0:
                    (self._image_bytes,) = struct.unpack_from("<H", words)
                self._loaded, self._digest = False, zlib.crc32(words, self._digest)
            case Request.COMMIT if len(payload) == protocol.COMMIT.size:
                self._loaded = protocol.COMMIT.unpack(payload)["digest"] == self._digest
                if not self._loaded:
                    return _refusal(sequence, Refusal.WRONG_DIGEST)
            case Request.IDENTIFY | Request.CLEAR | Request.LOAD | Request.COMMIT:
                return _refusal(sequence, Refusal.WRONG_LENGTH)
            case _:
                return _refusal(sequence, Refusal.UNKNOWN_KIND)
        return _HEADER.pack(Answer.ACKNOWLEDGE, sequence)

    def _identity(self, sequence: int) -> bytes:
        return protocol.IDENTITY.pack(
            kind=Answer.IDENTITY,
            sequence=sequence,
            protocol_version=protocol.PROTOCOL_VERSION,
            core=Core.ENGINE,
            **shape_fields(self.shape),
            buffer_bytes=self.buffer_bytes,
            clock_hz=12_000_000,
            loaded=int(self._loaded),
            digest=self._digest,
            image_bytes=self._image_bytes,
            dropped_frames=self._frames.dropped % 256,
        )


def _refusal(sequence: int, reason: Refusal) -> bytes:
    return _REFUSAL.pack(Answer.REFUSAL, sequence, reason)
