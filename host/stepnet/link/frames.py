"""Frames: how a message goes over the link, as COBS(payload, CRC-16) and a zero byte.

The CRC is CRC-16/IBM-3740 (polynomial 0x1021, initial value 0xFFFF), sent high byte first. Any zero
ends a frame, so that a reader that lost its place finds it again there.
"""

from __future__ import annotations

import binascii
from typing import Any

from cobs import cobs as untyped_cobs  # pyright: ignore[reportMissingTypeStubs]

from stepnet.link.messages import HEADER, INFER

cobs: Any = untyped_cobs  # it carries no types

CRC_INITIAL = 0xFFFF

CRC_BYTES = 2

_LEAST_BYTES = HEADER.size + CRC_BYTES


def encode_frame(payload: bytes) -> bytes:
    """The bytes on the wire for one payload."""
    crc = binascii.crc_hqx(payload, CRC_INITIAL)
    return cobs.encode(payload + crc.to_bytes(CRC_BYTES, "big")) + b"\0"


def decode_frame(frame: bytes) -> bytes | None:
    """The payload of one frame without its closing zero; None if the frame is broken."""
    try:
        payload = cobs.decode(frame)
    except cobs.DecodeError:
        return None
    if len(payload) < _LEAST_BYTES or binascii.crc_hqx(payload, CRC_INITIAL):
        return None
    return payload[:-CRC_BYTES]


class FrameReader:
    """Cuts a byte stream into payloads. Broken frames are dropped and counted.

    max_bytes: the longest frame that is read; a stream without zeros takes no more memory.

    dropped: how many frames came broken.
    """

    def __init__(self, max_bytes: int = 65536) -> None:
        self.dropped = 0
        self._max_bytes = max_bytes
        self._pending = bytearray()
        self._is_cut = False  # the pending frame is too long, and not all of it is kept

    def feed(self, received: bytes) -> list[bytes]:
        """Take bytes in; returns the payload of every good frame that they complete."""
        *complete, rest = received.split(b"\0")
        if complete:
            complete[0] = bytes(self._pending) + complete[0]
            if self._is_cut:
                del complete[0]
                self.dropped += 1
            self._pending.clear()
            self._is_cut = False
        self._pending += rest
        if len(self._pending) > self._max_bytes:
            del self._pending[self._max_bytes :]
            self._is_cut = True
        payloads: list[bytes] = []
        for frame in complete:
            if not frame:
                continue  # two zeros in a row: nothing was said
            payload = decode_frame(frame) if len(frame) <= self._max_bytes else None
            if payload is None:
                self.dropped += 1
            else:
                payloads.append(payload)
        return payloads


BUFFER_OVERHEAD_BYTES = 2
"""How many bytes a message that waits in the board's receive buffer takes beside payload and CRC.
"""


def window(buffer_bytes: int, image_bytes: int) -> int:
    """How many images may be in flight: as many as a receive buffer holds, but at least 1."""
    return max(1, buffer_bytes // (INFER.size + image_bytes + CRC_BYTES + BUFFER_OVERHEAD_BYTES))
