"""A board as the host sees it: what has to answer each request."""

import zlib
from collections.abc import Iterable

from stepnet.boards.identity import shape_fields
from stepnet.link.messages import (
    ACKNOWLEDGE,
    COMMIT,
    HEADER,
    IDENTITY,
    INFER,
    LOAD,
    PROTOCOL_VERSION,
    READING,
    REFUSAL,
    Answer,
    Core,
    Refusal,
    Request,
    Space,
)
from stepnet.link.serial_line import BITS_PER_BYTE
from stepnet_hdl.link.endpoint import Endpoint
from stepnet_sim.benches.networks import Program
from stepnet_sim.chips.design import Design


class BoardModel:
    """Answers requests as `stepnet.link.messages` wants it.

    programs: the networks that will be loaded, so that a digest tells which one it is. A load with
    another digest is a program without a last layer.

    One load that is wrong in two ways at once is not modelled.
    """

    def __init__(self, design: Design, programs: Iterable[Program]) -> None:
        self._design = design
        self._byte_cycles = BITS_PER_BYTE * design.clock_hz // design.baud
        self._programs = {program.memory.digest: program for program in programs}
        self.digest = 0
        self._image_bytes = 0
        self._load_refused = False
        self.loaded = False
        self.dropped_frames = 0
        self.character = 0

    def answer(self, request: bytes) -> bytes:
        """The payload that answers `request`, which came in a good frame."""
        header = HEADER.unpack(request)
        body = request[HEADER.size :]
        match header["kind"]:
            case Request.IDENTIFY if not body:
                return self._identity(header["sequence"])
            case Request.CLEAR if not body:
                self.loaded = self._load_refused = False
                self.digest = 0
                reason = None
            case Request.LOAD if len(request) > LOAD.size:
                reason = self._load(request)
                self._load_refused |= reason is not None
            case Request.COMMIT if len(request) == COMMIT.size:
                digest = COMMIT.unpack(request)["digest"]
                self.loaded = digest == self.digest and not self._load_refused
                reason = None if self.loaded else Refusal.WRONG_DIGEST
            case Request.INFER if not self.loaded:
                reason = Refusal.NOTHING_LOADED
            case Request.INFER if len(request) == INFER.size + self._image_bytes:
                program = self._programs.get(self.digest)
                if program is not None:
                    return self._reading(program, header["sequence"], body)
                reason = Refusal.PROGRAM_OVERRUN
            case kind if kind in set(Request):
                reason = Refusal.WRONG_LENGTH
            case _:
                reason = Refusal.UNKNOWN_KIND
        if reason is None:
            return ACKNOWLEDGE.pack(kind=Answer.ACKNOWLEDGE, sequence=header["sequence"])
        return REFUSAL.pack(kind=Answer.REFUSAL, sequence=header["sequence"], reason=reason)

    def _load(self, request: bytes) -> Refusal | None:
        shape = self._design.shape
        target, words = LOAD.unpack(request), request[LOAD.size :]
        self.loaded = False
        self.digest = zlib.crc32(words, self.digest)
        match target["space"]:
            case Space.WEIGHTS:
                word_bytes, depth = shape.weight_bytes, shape.weight_words
                lanes, lane_bits = shape.pe, shape.weight_lane_bits
            case Space.PARAMETERS:
                word_bytes, depth = shape.parameter_bytes, shape.parameter_words
                lanes, lane_bits = shape.parameter_lanes, shape.parameter_lane_bits
            case _:
                word_bytes, depth, lanes, lane_bits = shape.parameter_bytes, 0, 1, 0
        if len(words) % word_bytes:
            return Refusal.WRONG_LENGTH
        word, lane = divmod(target["address"], 1 << lane_bits)
        if lane >= lanes or word * lanes + lane + len(words) // word_bytes > depth * lanes:
            return Refusal.OUT_OF_RANGE
        if target["space"] == Space.PARAMETERS and target["address"] == 0:
            image_bytes = int.from_bytes(words[:word_bytes], "little")
            if not 1 <= image_bytes <= shape.max_inputs // 8:
                return Refusal.OUT_OF_RANGE
            self._image_bytes = image_bytes
        return None

    def without_cycles(self, answer: bytes) -> bytes:
        """An answer with its cycles, which depend on when the image came, checked and set to 0."""
        if HEADER.unpack(answer)["kind"] != Answer.READING:
            return answer
        fields = READING.unpack(answer)
        program = self._programs[self.digest]
        paces = (Endpoint.PIXEL_CYCLES, self._byte_cycles)
        assert fields["cycles"] in {program.cycles_at(pace) for pace in paces}
        return READING.pack(**{**fields, "cycles": 0})

    def _reading(self, program: Program, sequence: int, image: bytes) -> bytes:
        self.character = program.code(image)
        return READING.pack(
            kind=Answer.READING,
            sequence=sequence,
            code=self.character,
            margin=program.room(image),
            cycles=0,
        )

    def _identity(self, sequence: int) -> bytes:
        shape = self._design.shape
        return IDENTITY.pack(
            kind=Answer.IDENTITY,
            sequence=sequence,
            protocol_version=PROTOCOL_VERSION,
            core=Core.ENGINE,
            **shape_fields(shape),
            buffer_bytes=self._design.buffer_bytes,
            clock_hz=self._design.clock_hz,
            loaded=int(self.loaded),
            digest=self.digest,
            image_bytes=self._image_bytes,
            dropped_frames=self.dropped_frames % 256,
        )
