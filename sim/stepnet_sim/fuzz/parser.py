"""Checks of the host's parser: what has to hold, whatever bytes come over the link.

Every check takes plain bytes, so that a property-based test and a coverage-guided fuzzer can use
it. It raises AssertionError if something does not hold, and lets every error through but the
StepnetErrors that the parser is meant to raise.
"""

from __future__ import annotations

import io
import zlib
from collections import defaultdict

import numpy as np

from stepnet.boards.board import Board
from stepnet.boards.identity import read_identity, shape_fields
from stepnet.cores.engine.memory_image import memory_image
from stepnet.cores.engine.shape import EngineShape
from stepnet.errors import LinkError, StepnetError
from stepnet.link import messages as protocol
from stepnet.link.frames import FrameReader, decode_frame, encode_frame, window
from stepnet.link.messages import Answer, Core, Request
from stepnet.networks.network import Layer, Network

LAYOUTS = (
    protocol.HEADER,
    protocol.LOAD,
    protocol.COMMIT,
    protocol.IDENTITY,
    protocol.READING,
    protocol.REFUSAL,
)

MAX_FRAME_BYTES = 64
"""The limit of the frame reader under test: small, so that short inputs reach it."""

IMAGES = 5
TIMEOUT_S = 5.0

MOST_READS_AFTER_THE_END = 100
"""How often a host may read a link that is gone; one that goes on for longer hangs."""

SHAPE = EngineShape(8, max_inputs=64, weight_words=64, parameter_words=64)
NETWORK = Network(
    "one row per pixel",
    (Layer(np.eye(8, dtype=np.int8), np.ones(8, dtype=np.int32), 2),),
    height=1,
    width=8,
    alphabet="0123456789",
)
DIGEST = memory_image(NETWORK, SHAPE).digest


def check(data: bytes) -> None:
    """Run one of the checks below, chosen by the first byte."""
    choice, rest = data[:1], data[1:]
    match int.from_bytes(choice, "little") % 3:
        case 0:
            check_board(rest)
        case 1:
            check_payload(rest)
        case _:
            check_frame_reader(chunks_of(rest))


def check_payload(payload: bytes) -> None:
    """What a layout takes apart it puts together again; and an IDENTITY makes an identity or an
    error.
    """
    for layout in LAYOUTS:
        try:
            fields = layout.unpack(payload)
        except LinkError:
            assert len(payload) < layout.size
        else:
            assert layout.pack(**fields) == payload[: layout.size]
    try:
        identity = read_identity(payload, "the fuzzer")
    except StepnetError:
        return
    assert window(identity.buffer_bytes, identity.image_bytes) >= 1


def check_frame_reader(chunks: list[bytes]) -> None:
    """A reader finds the good frames between zeros in their order, however the stream is cut."""
    reader = FrameReader(MAX_FRAME_BYTES)
    payloads = [payload for chunk in chunks for payload in reader.feed(chunk)]
    frames = [frame for frame in b"".join(chunks).split(b"\0")[:-1] if frame]
    decoded = [decode_frame(frame) for frame in frames if len(frame) <= MAX_FRAME_BYTES]
    good = [payload for payload in decoded if payload is not None]
    assert payloads == good
    assert reader.dropped == len(frames) - len(good)
    assert all(len(payload) >= protocol.HEADER.size for payload in payloads)


def chunks_of(data: bytes) -> list[bytes]:
    """A stream in pieces, written by `data`: noise, whole frames, and frames with a wrong byte."""
    script = _Script(data)
    chunks: list[bytes] = []
    while not script.ended:
        what = script.number()
        part = script.take(script.number() % (2 * MAX_FRAME_BYTES))
        if what & 1:
            part = encode_frame(part)
        if what & 2:
            part = _with_a_flip(part, script)
        chunks.append(part)
    return chunks


def check_board(data: bytes) -> None:
    """`infer_many` gives only readings that came for the image in good frames.

    data: the script of the board at the other end, see `ScriptedBoard`.
    """
    check_readings(ScriptedBoard(data))


def check_readings(link: ScriptedBoard) -> None:
    """The check that `check_board` makes, for a board that is there already."""
    images = np.arange(1, IMAGES + 1, dtype=np.uint8)
    pixels = np.unpackbits(images[:, np.newaxis], axis=1, bitorder="little").astype(bool)
    try:
        with Board(link, NETWORK, TIMEOUT_S) as board:
            readings = board.infer_many(iter(pixels.reshape(IMAGES, 1, 8)))
            for image, reading in zip(images, readings, strict=True):
                said = reading.code, reading.margin, reading.cycles
                assert said in link.readings[int(image)]
    except StepnetError:
        pass


class ScriptedBoard:
    """A `stepnet.link.link.Link` to a board that does what `script` says, and is gone at its end.

    It answers requests as it should or with something else, late, twice, in another order, never,
    in pieces or in broken frames, and it makes noise.

    readings: for each image, which is one byte, the codes, margins and cycles that came in good
        frames under the number of a request for that image which the host had sent before.
    """

    def __init__(self, script: bytes) -> None:
        self.readings: dict[int, set[tuple[int, int, int]]] = defaultdict(set)
        self._script = _Script(script)
        self._heard = FrameReader()
        self._said = FrameReader()
        self._requests: list[bytes] = []
        self._asked: dict[int, int] = {}  # by sequence number, the image
        self._next = 0  # of the requests, to answer
        self._half = b""
        self._reads_after_the_end = 0

    def write(self, data: bytes) -> None:
        """Take in requests."""
        for request in self._heard.feed(data):
            self._requests.append(request)
            if request[0] == Request.INFER:
                sequence = protocol.HEADER.unpack(request)["sequence"]
                self._asked[sequence] = request[protocol.INFER.size]

    def read(self, timeout_s: float) -> bytes:
        """The next bytes by the script, without any wait; LinkError when the script has ended."""
        if self._script.ended and not self._half:
            self._reads_after_the_end += 1
            assert self._reads_after_the_end < MOST_READS_AFTER_THE_END, "the host hangs"
            raise LinkError("The script has ended; write a longer one.")
        said = self._half or self._say()
        self._half = b""
        for payload in self._said.feed(said):
            self._note(payload)
        return said

    def close(self) -> None:
        """Does nothing, because nothing is held."""

    def _say(self) -> bytes:
        what = self._script.number()
        match what & 0x0F:
            case 0 | 1 | 2 | 3 | 4:
                return self._in_turn()
            case 5:  # several at once
                return b"".join(self._in_turn() for _ in range(what >> 4))
            case 6:  # any request, again or before its turn
                return self._answer(self._script.number())
            case 7:  # no answer to this one
                self._next += 1
                return b""
            case 8:  # something else, with a number that fits or nearly so
                return self._something_else()
            case 9:
                return _with_a_flip(self._in_turn(), self._script)
            case 10:
                return self._script.take(self._script.number())
            case 11:  # in two pieces
                answer = self._in_turn()
                self._half = answer[len(answer) // 2 :]
                return answer[: len(answer) // 2]
            case 12:
                return b"\0"
            case _:
                return b""

    def _in_turn(self) -> bytes:
        answer = self._answer(self._next) if self._next < len(self._requests) else b""
        self._next += 1 if answer else 0
        return answer

    def _answer(self, number: int) -> bytes:
        """The right answer to one of the requests."""
        if not self._requests:
            return b""
        request = self._requests[number % len(self._requests)]
        sequence = protocol.HEADER.unpack(request)["sequence"]
        match request[0]:
            case Request.IDENTIFY:
                return encode_frame(_identity(sequence))
            case Request.INFER:
                image = request[protocol.INFER.size :]
                return encode_frame(
                    protocol.READING.pack(
                        kind=Answer.READING,
                        sequence=sequence,
                        code=image[0],
                        margin=zlib.adler32(image),
                        cycles=zlib.crc32(image),
                    )
                )
            case _:
                return encode_frame(
                    protocol.ACKNOWLEDGE.pack(kind=Answer.ACKNOWLEDGE, sequence=sequence)
                )

    def _something_else(self) -> bytes:
        kind = 0x80 | self._script.number() & 0x07
        if not self._requests:
            return b""
        request = self._requests[self._script.number() % len(self._requests)]
        off = self._script.number()
        sequence = protocol.HEADER.unpack(request)["sequence"] + (off if off < 4 else 0)
        header = protocol.HEADER.pack(kind=kind, sequence=sequence & 0xFFFF)
        return encode_frame(header + self._script.take(self._script.number() % 40))

    def _note(self, payload: bytes) -> None:
        if payload[0] != Answer.READING or len(payload) < protocol.READING.size:
            return
        reading = protocol.READING.unpack(payload)
        image = self._asked.get(reading["sequence"])
        if image is not None:
            self.readings[image].add((reading["code"], reading["margin"], reading["cycles"]))


class _Script:
    """Bytes that decisions are taken from, as if zeros followed the last one."""

    def __init__(self, data: bytes) -> None:
        self._bytes = io.BytesIO(data)
        self._size = len(data)

    @property
    def ended(self) -> bool:
        return self._bytes.tell() >= self._size

    def number(self) -> int:
        return int.from_bytes(self._bytes.read(1), "little")

    def take(self, size: int) -> bytes:
        return self._bytes.read(size)


def _with_a_flip(frame: bytes, script: _Script) -> bytes:
    """`frame` with one bit wrong."""
    if not frame:
        return frame
    flipped = bytearray(frame)
    flipped[script.number() % len(frame)] ^= 1 << script.number() % 8
    return bytes(flipped)


def _identity(sequence: int) -> bytes:
    """The IDENTITY of a board that holds the network already."""
    return protocol.IDENTITY.pack(
        kind=Answer.IDENTITY,
        sequence=sequence,
        protocol_version=protocol.PROTOCOL_VERSION,
        core=Core.ENGINE,
        **shape_fields(SHAPE),
        buffer_bytes=64,
        clock_hz=12_000_000,
        loaded=1,
        digest=DIGEST,
        image_bytes=1,
        dropped_frames=0,
    )
