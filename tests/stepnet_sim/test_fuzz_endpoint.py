"""Fuzzing the chip's end of the link, and that it would notice a chip that goes wrong."""

from contextlib import closing

import pytest

from stepnet.link.frames import FrameReader, encode_frame
from stepnet.link.messages import Answer, Request
from stepnet_sim.chips.chip_library import chip_library
from stepnet_sim.chips.design import Design
from stepnet_sim.chips.verilated import VerilatedChip, missing_compiler
from stepnet_sim.fuzz.frames import WEIGHTS
from stepnet_sim.fuzz.model import FuzzedChipModel
from stepnet_sim.fuzz.session import (
    BURST,
    FRAMES_PER_ROUND,
    FuzzError,
    FuzzSession,
    reference_program,
)

DESIGN = Design()
SEED = 11


@pytest.mark.slow
@pytest.mark.skipif(missing_compiler() is not None, reason=f"{missing_compiler()} is not installed")
def test_the_chip_survives_3000_frames():
    with closing(VerilatedChip(chip_library(DESIGN, print))) as chip:
        session = FuzzSession(chip, DESIGN, SEED)
        session.run(3000)
    tally = session.tally
    assert tally.drawn >= 3000
    assert set(tally.frames) == {*WEIGHTS, BURST}
    assert {name.partition(" ")[0] for name in tally.answers} == {each.name for each in Answer}
    assert 0 < tally.lost < tally.flooded


class ModelChip:
    """What the protocol asks for and no more, behind the face of a compiled chip.

    Its receive buffer is only full if one frame fills it. Faulty ones override `payloads`.
    """

    def __init__(self):
        self.model = FuzzedChipModel(DESIGN, reference_program(DESIGN.shape, SEED))
        self.reader = FrameReader()
        self.too_long = 0
        self.given = bytearray()

    def run(self, pending, max_cycles):
        for request in self.reader.feed(bytes(pending)):
            packet = self.model.packet_of(request)
            if not packet or len(packet) + 4 > DESIGN.buffer_bytes:
                self.too_long += 1
                continue
            self.model.dropped_frames = self.reader.dropped + self.too_long
            self.given += b"".join(map(encode_frame, self.payloads(request)))
        pending.clear()
        frame, end, self.given = self.given.partition(b"\0")
        return bytes(frame + end)

    def payloads(self, request):
        return [self.model.answer_to(request)]


def fuzz(chip, frames=4000):
    session = FuzzSession(chip, DESIGN, SEED)
    session.run(frames)
    return session


def test_a_chip_of_the_protocol_passes():
    chip = ModelChip()
    session = fuzz(chip)
    assert session.tally.lost <= chip.too_long
    assert session.tally.answers.total() > session.tally.whole.total() > 1000


class Silent(ModelChip):
    """Hangs after a kind of request that does not exist."""

    hung = False

    def payloads(self, request):
        self.hung |= request[0] not in set(Request)
        return [] if self.hung else super().payloads(request)


class Twice(ModelChip):
    """Answers a request of the wrong length twice."""

    def payloads(self, request):
        answers = super().payloads(request)
        return answers * 2 if request[0] == Request.CLEAR and len(request) > 3 else answers


class WrongNumber(ModelChip):
    """Gives a reading the number of another request."""

    def payloads(self, request):
        (answer,) = super().payloads(request)
        if answer[0] == Answer.READING:
            answer = answer[:1] + bytes([answer[1] ^ 1]) + answer[2:]
        return [answer]


class WrongCode(ModelChip):
    """Reads one bit wrong."""

    def payloads(self, request):
        (answer,) = super().payloads(request)
        if answer[0] == Answer.READING:
            answer = answer[:3] + bytes([answer[3] ^ 4]) + answer[4:]
        return [answer]


class WrongMargin(ModelChip):
    """Is a little surer than it should be."""

    def payloads(self, request):
        (answer,) = super().payloads(request)
        if answer[0] == Answer.READING:
            answer = answer[:4] + bytes([answer[4] + 1 & 0xFF]) + answer[5:]
        return [answer]


class WrongCycles(ModelChip):
    """Counts a cycle that no image takes."""

    def payloads(self, request):
        (answer,) = super().payloads(request)
        if answer[0] == Answer.READING:
            answer = answer[:8] + bytes([answer[8] + 1 & 0xFF]) + answer[9:]
        return [answer]


class Forgiving(ModelChip):
    """Commits whatever it has got."""

    def payloads(self, request):
        if request[0] == Request.COMMIT:
            request = request[:3] + self.model.digest.to_bytes(4, "little") + request[7:]
        return super().payloads(request)


class Miscounting(ModelChip):
    """Counts every other broken frame."""

    def payloads(self, request):
        self.model.dropped_frames //= 2
        return super().payloads(request)


class Talkative(ModelChip):
    """Says something of its own from time to time."""

    def payloads(self, request):
        more = [bytes([Answer.ACKNOWLEDGE, 0xFE, 0xFF])] if request[1] == 99 else []
        return super().payloads(request) + more


@pytest.mark.parametrize(
    ("faulty", "complaint"),
    [
        (Silent, "The chip did not answer "),
        (Twice, "The chip answered "),
        (WrongNumber, "The chip answered "),
        (WrongCode, "The chip answered "),
        (WrongMargin, "The chip answered "),
        (WrongCycles, "The chip answered "),
        (Forgiving, "The chip answered "),
        (Miscounting, "The chip says of itself "),
        (Talkative, "The chip answered "),
    ],
)
def test_a_faulty_chip_is_found(faulty, complaint):
    with pytest.raises(FuzzError) as caught:
        fuzz(faulty())
    assert str(caught.value).startswith(complaint)
    assert str(caught.value).endswith(f" of seed {SEED} shows it again.")


class Overrun(ModelChip):
    """Says something of its own when more frames wait than a round of paced ones has."""

    def run(self, pending, max_cycles):
        if sum(map(bool, pending.split(b"\0"))) > 2 * FRAMES_PER_ROUND:
            self.given += encode_frame(bytes([Answer.ACKNOWLEDGE, 0xFE, 0xFF]))
        return super().run(pending, max_cycles)


def test_answers_in_a_flood_are_judged_too():
    with pytest.raises(FuzzError, match=r"^The chip sent 82 fe ff, which answers nothing; "):
        fuzz(Overrun())
