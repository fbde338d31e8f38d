"""What a board answers to requests that make no sense."""

from __future__ import annotations

from stepnet.cores.engine.cycles import cycles_per_image
from stepnet.link.messages import IDENTITY, LOAD, READING, Answer, Refusal, Space
from stepnet_sim.benches.board_model import BoardModel
from stepnet_sim.benches.networks import Program
from stepnet_sim.chips.design import Design

LONG_CYCLES = 1 << 20
"""From one byte of an image to the next: the engine has done by then what it can."""


class FuzzedBoardModel(BoardModel):
    """A `BoardModel` that also follows loads which are wrong in two ways.

    program: the one network whose readings it can tell. Of any other that is committed it expects
    PROGRAM_OVERRUN, in the place of a reading too.
    """

    def __init__(self, design: Design, program: Program) -> None:
        super().__init__(design, [program])
        most_cycles = cycles_per_image(program.network, program.shape)
        self._cycles = range(program.cycles_at(LONG_CYCLES), most_cycles + 1)

    def adopt(self, identity: bytes) -> None:
        """Take from an IDENTITY what is not known after requests that may have been lost."""
        fields = IDENTITY.unpack(identity)
        self.loaded = bool(fields["loaded"])
        self.digest = fields["digest"]
        self.dropped_frames = fields["dropped_frames"]
        self._image_bytes = fields["image_bytes"]

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

    def _reading(self, program: Program, sequence: int, image: bytes) -> bytes:
        fields = READING.unpack(super()._reading(program, sequence, image))
        return READING.pack(**{**fields, "cycles": program.cycles})

    def _load(self, request: bytes) -> Refusal | None:
        reason = super()._load(request)
        # The first word is written, whatever is wrong with those behind it.
        target = LOAD.unpack(request)
        word = request[LOAD.size :][: self._design.shape.parameter_bytes]
        if target["space"] == Space.PARAMETERS and target["address"] == 0:
            image_bytes = int.from_bytes(word, "little")
            whole = len(word) == self._design.shape.parameter_bytes
            if whole and 1 <= image_bytes <= self._design.shape.max_inputs // 8:
                self._image_bytes = image_bytes
        return reason
