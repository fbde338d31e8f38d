"""Fuzzes a running chip: sends it frames and judges every answer."""

from __future__ import annotations

import itertools
import random
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from stepnet.cores.engine.shape import EngineShape
from stepnet.errors import BoardError
from stepnet.link.frames import BUFFER_OVERHEAD_BYTES, CRC_BYTES, FrameReader, encode_frame
from stepnet.link.messages import (
    HEADER,
    IDENTITIES,
    LOAD,
    READING,
    Answer,
    Refusal,
    Request,
    Space,
)
from stepnet.networks.random_networks import random_network
from stepnet_sim.benches.networks import Program
from stepnet_sim.chips.design import Design
from stepnet_sim.fuzz.frames import SEQUENCES, FrameFuzzer, infer_frame, load_frames
from stepnet_sim.fuzz.model import FuzzedChipModel

FRAMES_PER_ROUND = 100

PAUSE_SHARE = 0.2
"""The part of the frames that come with a pause before one of their bytes."""

MAX_PAUSE_CYCLES = 300
"""How long such a pause lasts at most."""

FLOOD_EVERY_ROUNDS = 20
"""Every how many rounds the frames come without regard to the receive buffer."""

BURST = "identify, in a burst"
"""How the tally names short requests with long answers, which fill the receive buffer in a flood;
they are no recipe."""

MAX_BURST = 30

FLOOD_REST_CYCLES = 5_000
"""After how many cycles without an answer a flood counts as over; all but some nonsense networks
answer sooner."""

IMAGES = 16
"""How many images of the reference network there are to choose from."""

MAX_PLANES = 8
ROW_OVERHEAD_CYCLES = 40
REQUEST_OVERHEAD_CYCLES = 1000
"""More cycles than the engine takes for a row beside its words, and than the chip takes for a
request beside its bytes."""

_ANSWERS = {
    Request.IDENTIFY: Answer.IDENTITY,
    Request.CLEAR: Answer.ACKNOWLEDGE,
    Request.LOAD: Answer.ACKNOWLEDGE,
    Request.COMMIT: Answer.ACKNOWLEDGE,
    Request.INFER: Answer.READING,
    Request.INFER_CODED: Answer.READING,
}


class FuzzError(BoardError):
    """The chip did what it must not do."""


class Chip(Protocol):
    """A chip that can be fuzzed: a `VerilatedChip` at its byte stream, or something like it."""

    def run(self, pending: bytearray, max_cycles: int) -> bytes:
        """Clock the chip until it completes a frame, at most `max_cycles`; returns what it sent.

        Bytes that the chip takes are removed from the front of `pending`.
        """
        ...


@dataclass
class Tally:
    """What was sent, and what came back.

    frames: how many frames were drawn of each recipe.
    whole: how many whole frames a reader on the host's side finds in them, by recipe.
    answers: how many answers came of each kind, refusals by their reason.
    flooded: how many whole frames came without regard to the receive buffer.
    lost: how many of these did not fit into it.
    rounds: how many rounds there were; after each, a network was loaded and inferred as the
        reference does.
    """

    frames: Counter[str] = field(default_factory=Counter[str])
    whole: Counter[str] = field(default_factory=Counter[str])
    answers: Counter[str] = field(default_factory=Counter[str])
    flooded: int = 0
    lost: int = 0
    rounds: int = 0

    @property
    def drawn(self) -> int:
        """How many frames were sent, without those that only fill the receive buffer."""
        return self.frames.total() - self.frames[BURST]


def longest_answer_cycles(shape: EngineShape, buffer_bytes: int) -> int:
    """More cycles than any answer takes, whatever the memories hold.

    Every row that is evaluated takes a parameter word, except those of a tree, which are at most
    `max_inputs`; a row has at most `MAX_PLANES` planes of `row_words`, rounded up to a power of
    two.
    """
    rows = shape.parameter_words + shape.max_inputs
    row_words = 1 << (shape.row_words - 1).bit_length()
    image_cycles = rows * (row_words * MAX_PLANES + ROW_OVERHEAD_CYCLES)
    return image_cycles + 4 * buffer_bytes + REQUEST_OVERHEAD_CYCLES


def reference_program(shape: EngineShape, seed: int) -> Program:
    """The network that a session with this seed loads."""
    network = random_network(np.random.default_rng(seed), sizes=(24, 9, 7), weight_bits=(1, 2))
    return Program(network, shape)


class FuzzSession:
    """Fuzzes one chip, round after round; FuzzError tells what it did wrong.

    In a round the chip gets at least `FRAMES_PER_ROUND` frames, whole and broken. Each whole one
    has to be answered as `FuzzedChipModel` says, in order, and nothing else may come. Then the
    chip has to identify itself, with the right number of broken frames, take a network, and infer
    as the reference does. Every `FLOOD_EVERY_ROUNDS`th round comes faster than it is answered:
    whole frames that do not fit the receive buffer may be lost, and the others have to be answered
    in order.

    chip: the chip, just after reset.
    design: the chip's design.
    seed: decides all that is random.
    """

    def __init__(self, chip: Chip, design: Design, seed: int) -> None:
        self.tally = Tally()
        self._chip = chip
        self._design = design
        self._seed = seed
        self._program = reference_program(design.shape, seed)
        self._images = self._program.random_images(np.random.default_rng(seed), IMAGES)
        self._sequences = itertools.cycle(range(SEQUENCES))
        self._model = FuzzedChipModel(design, self._program)
        self._rng = random.Random(seed)
        self._fuzzer = FrameFuzzer(self._rng, design, self._program, self._images, self._sequences)
        self._limit_cycles = longest_answer_cycles(design.shape, design.buffer_bytes)
        self._sent = FrameReader()
        self._received = FrameReader()
        self._pending = bytearray()
        self._answers: deque[bytes] = deque()  # that have come but were not looked at
        self._expected: deque[tuple[bytes, bytes]] = deque()
        self._waiting_bytes = 0
        self._renew()

    def run(self, frames: int) -> None:
        """Draw and send at least so many frames, in whole rounds."""
        goal = self.tally.drawn + frames
        while self.tally.drawn < goal:
            self.tally.rounds += 1
            if self.tally.rounds % FLOOD_EVERY_ROUNDS:
                self._pace()
            else:
                self._flood()
            self._renew()

    def _drawn(self) -> Iterator[tuple[str, bytes]]:
        """The frames of a round, each with its recipe."""
        drawn = 0
        while drawn < FRAMES_PER_ROUND:
            recipe, frames = self._fuzzer.draw(self._model.digest)
            self.tally.frames[recipe] += len(frames)
            drawn += len(frames)
            for frame in frames:
                yield recipe, frame

    # As far as the receive buffer is free.

    def _pace(self) -> None:
        for recipe, frame in self._drawn():
            self.tally.whole[recipe] += self._send(frame)
        self._drain()

    def _send(self, frame: bytes) -> int:
        """Queue a frame for the chip; returns how many whole frames it completes."""
        requests = self._heard(frame)
        if any(request[0] == Request.INFER_CODED for request in requests):
            self._drain()  # what it becomes depends on the network that is loaded then
        buffer_bytes = sum(map(self._buffer_bytes, requests))
        if self._waiting_bytes + buffer_bytes > self._design.buffer_bytes:
            self._drain()
        self._waiting_bytes += buffer_bytes
        if self._rng.random() < PAUSE_SHARE:
            position = self._rng.randrange(len(frame))
            self._pending += frame[:position]
            self._pass_time(self._rng.randrange(1, MAX_PAUSE_CYCLES))
            frame = frame[position:]
        self._pending += frame
        for request in requests:
            if self._buffer_bytes(request) > self._design.buffer_bytes:
                self._model.dropped_frames += 1
            elif answer := self._model.answer_to(request):
                self._expected.append((request, answer))
        return len(requests)

    def _buffer_bytes(self, request: bytes) -> int:
        """How many bytes of the receive buffer a request takes."""
        return len(self._model.packet_of(request)) + CRC_BYTES + BUFFER_OVERHEAD_BYTES

    def _heard(self, frame: bytes) -> list[bytes]:
        """The whole requests that a reader on the host's side finds; counts the broken ones."""
        dropped_before = self._sent.dropped
        requests = self._sent.feed(frame)
        self._model.dropped_frames += self._sent.dropped - dropped_before
        return requests

    def _drain(self) -> None:
        """Run the chip until everything is answered."""
        while self._expected:
            request, expected = self._expected.popleft()
            answer = self._next_answer(self._limit_cycles)
            if answer is None:
                raise self._wrong(f"did not answer {request.hex(' ')}")
            said, due = map(self._model.without_cycles, (answer, expected))
            if not _allowed(request, due, said):
                raise self._wrong(
                    f"answered {request.hex(' ')} with {answer.hex(' ')}, where "
                    f"{expected.hex(' ')} belongs"
                )
        self._waiting_bytes = 0

    def _next_answer(self, limit_cycles: int) -> bytes | None:
        """The payload of the next frame from the chip; None if it takes longer."""
        if not self._answers:
            self._pass_time(limit_cycles)
        if not self._answers:
            return None
        answer = self._answers.popleft()
        self.tally.answers[_name(answer)] += 1
        return answer

    def _pass_time(self, cycles: int) -> None:
        """Run the chip until it completes an answer, at most `cycles`."""
        received = self._chip.run(self._pending, cycles)
        self._answers += self._received.feed(received)
        if self._received.dropped:
            raise self._wrong(f"sent {received.hex(' ')}, which does not end a good frame")

    # Without regard to the receive buffer.

    def _flood(self) -> None:
        requests: list[bytes] = []
        for recipe, frame in self._drawn():
            for name, sent in ((recipe, frame), *self._burst()):
                whole = self._heard(sent)
                self.tally.whole[name] += len(whole)
                requests += whole
                self._pending += sent
        requests += self._heard(b"\0")
        self._pending += b"\0"
        self.tally.flooded += len(requests)

        unanswered = iter(requests)
        answered = 0
        identify = b""
        for limit_cycles in (FLOOD_REST_CYCLES, self._limit_cycles, self._limit_cycles):
            while (answer := self._next_answer(limit_cycles)) is not None:
                if identify and _answers(answer, identify):
                    self.tally.lost += len(requests) - answered
                    self._model.adopt(answer)
                    return
                if not any(_answers(answer, request) for request in unanswered):
                    raise self._wrong(f"sent {answer.hex(' ')}, which answers nothing")
                answered += 1
            identify = self._identify_request()
            self._pending += encode_frame(identify)
        raise self._wrong("does not identify itself after a flood of frames")

    def _burst(self) -> list[tuple[str, bytes]]:
        size = self._rng.randrange(MAX_BURST)
        self.tally.frames[BURST] += size
        return [(BURST, encode_frame(self._identify_request())) for _ in range(size)]

    # After each round.

    def _renew(self) -> None:
        """See that the chip is as good as new: it has to identify itself, load and infer."""
        self._send(b"\0")
        self._drain()
        identify = self._identify_request()
        identity = self._model.answer_to(identify)
        self._pending += encode_frame(identify)
        if (answer := self._next_answer(self._limit_cycles)) != identity:
            shown = "nothing" if answer is None else answer.hex(" ")
            raise self._wrong(f"says of itself {shown}, where {identity.hex(' ')} belongs")
        for frame in load_frames(self._program, self._sequences):
            self._send(frame)
        for image in self._images[:2]:
            self._send(infer_frame(image, next(self._sequences)))
        self._drain()

    def _identify_request(self) -> bytes:
        return HEADER.pack(kind=Request.IDENTIFY, sequence=next(self._sequences))

    def _wrong(self, what: str) -> FuzzError:
        return FuzzError(
            f"The chip {what}; round {self.tally.rounds} of seed {self._seed} shows it again."
        )


def _allowed(request: bytes, expected: bytes, answer: bytes) -> bool:
    """Whether `answer` to `request` is what the model expects, as far as the model can know."""
    if answer == expected:
        return True
    if answer[1 : HEADER.size] != expected[1 : HEADER.size]:
        return False
    if expected[0] == Answer.IDENTITY:
        return _without_dropped(answer) == _without_dropped(expected)
    # A network that is not known is expected to overrun, but may have a last layer.
    if _name(expected) == _OVERRUN and answer[0] == Answer.READING:
        return len(answer) == READING.size
    # What a whole word of a memory that does not exist would be, the protocol does not say.
    if request[0] == Request.LOAD and LOAD.unpack(request)["space"] not in set(Space):
        return {_name(expected), _name(answer)} == {_OUT_OF_RANGE, _WRONG_LENGTH}
    return False


def _without_dropped(identity: bytes) -> dict[str, int]:
    """The fields of an IDENTITY without `dropped_frames`, which goes on while an answer waits."""
    layout = next((each for each in IDENTITIES if each.size == len(identity)), None)
    if identity[0] != Answer.IDENTITY or layout is None:
        return {}
    return {**layout.unpack(identity), "dropped_frames": 0}


def _answers(answer: bytes, request: bytes) -> bool:
    """Whether `answer` has the number of `request` and a kind that fits it."""
    if answer[1 : HEADER.size] != request[1 : HEADER.size]:
        return False
    fitting = _ANSWERS[Request(request[0])] if request[0] in set(Request) else Answer.REFUSAL
    return answer[0] in (fitting, Answer.REFUSAL)


def _name(answer: bytes) -> str:
    """The name of an answer's kind, with that of a refusal's reason; numbers for those that do not
    exist.
    """
    kind = answer[0]
    if kind == Answer.REFUSAL and answer[HEADER.size :]:
        reason = answer[HEADER.size]
        return f"REFUSAL {Refusal(reason).name if reason in set(Refusal) else reason}"
    return Answer(kind).name if kind in set(Answer) else str(kind)


_OVERRUN, _OUT_OF_RANGE, _WRONG_LENGTH = (
    f"REFUSAL {reason.name}"
    for reason in (Refusal.PROGRAM_OVERRUN, Refusal.OUT_OF_RANGE, Refusal.WRONG_LENGTH)
)
