"""The board's end of the link in Python: what has to answer each request.

`BoardModel` is to the protocol what `stepnet.networks.reference` is to the arithmetic. Benches and
tests compare the answers of gateware with it, and with frames around it, it is a board for tests of
the host. What is behind the link is a `CoreModel`; `EngineModel` is one for the engine.
"""

from __future__ import annotations

import binascii
import zlib
from collections.abc import Callable, Mapping
from typing import NamedTuple, Protocol

from stepnet.boards.identity import shape_fields
from stepnet.cores.engine.shape import EngineShape
from stepnet.link.frames import CRC_BYTES, CRC_INITIAL
from stepnet.link.messages import (
    ACKNOWLEDGE,
    COMMIT,
    HEADER,
    INFER,
    LOAD,
    PROTOCOL_VERSION,
    READING,
    REFUSAL,
    Answer,
    Coding,
    Core,
    Refusal,
    Request,
    Space,
    identity_layout,
)
from stepnet.link.pixel_coding import undone


class CoreReading(NamedTuple):
    """What a core makes of an image: the fields of a READING behind its sequence number."""

    code: int
    margin: int
    cycles: int


class CoreModel(Protocol):
    """What a core does with what the link gives it."""

    def identity_fields(self) -> Mapping[str, int]:
        """The fields of IDENTITY that tell of the core: its kind, its shape and `image_bytes`."""
        ...

    def load(self, space: int, address: int, words: bytes) -> Refusal | None:
        """Write words to a memory; the reason if that cannot be, and then nothing is written."""
        ...

    def read(self, digest: int, image: bytes, /) -> CoreReading | Refusal:
        """Infer one packed image of the right size, or say why that cannot be.

        digest: that of the network that was committed.
        """
        ...


class BoardModel:
    """A board behind its link, without frames and without time.

    core: what is behind the link.
    buffer_bytes: the size of its receive buffer.
    built_in_digest: the digest of the network that it has from the start; None if it has none.
    coded_images: whether it takes coded images as well.

    loaded: whether it has a network to infer.
    digest: CRC-32 over the words loaded since the last CLEAR, or that of the network built in.
    dropped_frames: broken frames so far; whoever takes frames apart counts them here.
    """

    def __init__(
        self,
        core: CoreModel,
        *,
        buffer_bytes: int,
        clock_hz: int,
        built_in_digest: int | None = None,
        coded_images: bool = False,
    ) -> None:
        self.core = core
        self.coded_images = coded_images
        self.buffer_bytes = buffer_bytes
        self.clock_hz = clock_hz
        self.dropped_frames = 0
        self.start(built_in_digest)

    def start(self, built_in_digest: int | None = None) -> None:
        """Begin anew, as after a reset, with the network that is built in, if any."""
        self.loaded = self._built_in = built_in_digest is not None
        self.digest = built_in_digest or 0
        self._load_refused = False

    def answer_to(self, request: bytes) -> bytes:
        """The payload that answers `request`, which came in a good frame; b"" if undoing a coded
        image leaves no whole header of it, so that it counts as broken."""
        request = self.packet_of(request)
        if not request:
            self.dropped_frames += 1
            return b""
        sequence = HEADER.unpack(request)["sequence"]
        body_bytes = len(request) - HEADER.size
        refusal: Refusal | None = None
        match request[0]:
            case Request.IDENTIFY if not body_bytes:
                identity = self.identity(sequence)
                layout = identity_layout(
                    has_maps="map_words" in identity, has_codings="codings" in identity
                )
                return layout.pack(**identity)
            case Request.CLEAR if not body_bytes:
                self.start()
            case Request.LOAD if len(request) > LOAD.size:
                refusal = self.load(request)
                self._load_refused |= refusal is not None
            case Request.COMMIT if len(request) == COMMIT.size:
                right = COMMIT.unpack(request)["digest"] == self.digest
                self.loaded = right and not self._load_refused
                refusal = None if self.loaded else Refusal.WRONG_DIGEST
            case Request.INFER:
                found = self._infer(request[INFER.size :])
                if isinstance(found, CoreReading):
                    return READING.pack(kind=Answer.READING, sequence=sequence, **found._asdict())
                refusal = found
            case kind:
                known = kind in set(Request) - {Request.INFER_CODED}
                refusal = Refusal.WRONG_LENGTH if known else Refusal.UNKNOWN_KIND
        if refusal is None:
            return ACKNOWLEDGE.pack(kind=Answer.ACKNOWLEDGE, sequence=sequence)
        return REFUSAL.pack(kind=Answer.REFUSAL, sequence=sequence, reason=refusal)

    def load(self, request: bytes) -> Refusal | None:
        """Do what a LOAD with at least one byte of words asks; the reason if it is refused."""
        fields, words = LOAD.unpack(request), request[LOAD.size :]
        self.digest = zlib.crc32(words, 0 if self._built_in else self.digest)
        self.loaded = self._built_in = False
        return self.core.load(fields["space"], fields["address"], words)

    def identity(self, sequence: int) -> dict[str, int]:
        """The fields of IDENTITY."""
        return {
            "kind": Answer.IDENTITY,
            "sequence": sequence,
            "protocol_version": PROTOCOL_VERSION,
            **self.core.identity_fields(),
            "buffer_bytes": self.buffer_bytes,
            "clock_hz": self.clock_hz,
            "loaded": int(self.loaded),
            "digest": self.digest,
            "dropped_frames": self.dropped_frames % 256,
            **({"codings": int(Coding.GROUPS)} if self.coded_images else {}),
        }

    def packet_of(self, request: bytes) -> bytes:
        """What waits in the receive buffer for a request: it itself, or the INFER that an
        INFER_CODED becomes; b"" if that is shorter than a header.

        Where its frame ends is not known while it is undone, so its CRC is what comes last,
        whatever became of it.
        """
        if not self.coded_images or request[0] != Request.INFER_CODED:
            return request
        crc = binascii.crc_hqx(request, CRC_INITIAL).to_bytes(CRC_BYTES, "big")
        image_bytes = self.core.identity_fields()["image_bytes"]
        plain = undone(request[HEADER.size :] + crc, image_bytes)
        if len(plain) < CRC_BYTES:
            return b""
        return bytes([Request.INFER]) + request[1 : HEADER.size] + plain[:-CRC_BYTES]

    def _infer(self, image: bytes) -> CoreReading | Refusal:
        if not self.loaded:
            return Refusal.NOTHING_LOADED
        if not image or len(image) != self.core.identity_fields()["image_bytes"]:
            return Refusal.WRONG_LENGTH
        return self.core.read(self.digest, image)


class EngineModel:
    """An engine as the link knows it: its memories, and which words may be written there.

    read: infers one packed image, see `CoreModel.read`.

    memories: the bytes in each, in the order of their addresses, as far as they were written.
    image_bytes: how many bytes one image of the network has; 0 until that is known.
    """

    def __init__(
        self, shape: EngineShape, read: Callable[[int, bytes], CoreReading | Refusal]
    ) -> None:
        self.shape = shape
        self.read = read
        self.memories = {space: bytearray() for space in Space}
        self.image_bytes = 0

    def identity_fields(self) -> dict[str, int]:
        """The kind and the shape of the engine, and the bytes of an image."""
        return {
            "core": Core.ENGINE,
            **shape_fields(self.shape),
            "image_bytes": self.image_bytes,
        }

    def load(self, space: int, address: int, words: bytes) -> Refusal | None:
        """Write words to a memory; the reason if that cannot be, and then nothing is written.

        But the first parameter word takes effect if it is good, whatever is wrong with the words
        behind it: it holds the bytes of an image.
        """
        shape = self.shape
        match space:
            case Space.WEIGHTS:
                value_bytes, depth = shape.weight_bytes, shape.weight_words
                lanes, lane_bits = shape.pe, shape.weight_lane_bits
            case Space.PARAMETERS:
                value_bytes, depth = shape.parameter_bytes, shape.parameter_words
                lanes, lane_bits = shape.parameter_lanes, shape.parameter_lane_bits
            case _:
                value_bytes, depth, lanes, lane_bits = shape.parameter_bytes, 0, 1, 0
        image_bytes_fit = True
        if (space, address) == (Space.PARAMETERS, 0) and len(words) >= value_bytes:
            image_bytes = int.from_bytes(words[:value_bytes], "little")
            image_bytes_fit = 1 <= image_bytes <= shape.max_inputs // 8
            if image_bytes_fit:
                self.image_bytes = image_bytes
        if len(words) % value_bytes:
            return Refusal.WRONG_LENGTH
        word, lane = divmod(address, 1 << lane_bits)
        end = word * lanes + lane + len(words) // value_bytes
        if lane >= lanes or end > depth * lanes or not image_bytes_fit:
            return Refusal.OUT_OF_RANGE
        memory, start_byte = self.memories[Space(space)], end * value_bytes - len(words)
        memory.extend(bytes(max(0, start_byte - len(memory))))
        memory[start_byte : end * value_bytes] = words
        return None
