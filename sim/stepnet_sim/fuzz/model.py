"""What a chip has to answer to requests that make no sense, for `FuzzSession`."""

from __future__ import annotations

from stepnet.cores.engine.cycles import cycles_per_image
from stepnet.link.messages import IDENTITY, READING, Answer
from stepnet_sim.benches.chip_model import ChipModel
from stepnet_sim.benches.networks import Program
from stepnet_sim.chips.design import Design

LONG_CYCLES = 1 << 20
"""A pace, in cycles from one byte of an image to the next, at which the engine has always done what
it can before the last byte."""


class FuzzedChipModel(ChipModel):
    """A `ChipModel` for images whose bytes come at random times.

    program: the one network whose readings it can tell. For any other that is committed it expects
    PROGRAM_OVERRUN, in the place of a reading too.
    """

    def __init__(self, design: Design, program: Program) -> None:
        super().__init__(design, [program])
        most_cycles = cycles_per_image(program.network, program.shape)
        self._cycles = range(program.cycles_at(LONG_CYCLES), most_cycles + 1)

    def adopt(self, identity: bytes) -> None:
        """Take over from an IDENTITY what is unknown after requests that may have been lost."""
        fields = IDENTITY.unpack(identity)
        self.loaded = bool(fields["loaded"])
        self.digest = fields["digest"]
        self.dropped_frames = fields["dropped_frames"]
        self.engine.image_bytes = fields["image_bytes"]

    def without_cycles(self, answer: bytes) -> bytes:
        """An answer with its cycles set to 0 if an image can take so many.

        How many they are depends on when its bytes came, which is at random.
        """
        if answer[0] != Answer.READING or len(answer) != READING.size:
            return answer
        fields = READING.unpack(answer)
        return (
            READING.pack(**{**fields, "cycles": 0}) if fields["cycles"] in self._cycles else answer
        )

    def _cycles_of(self, program: Program) -> int:
        return program.cycles
