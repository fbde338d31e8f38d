"""What a board answers to requests that make no sense."""

from __future__ import annotations

from stepnet.protocol import IDENTITY, LOAD, Refusal, Space
from stepnet_sim.benches.board_model import BoardModel
from stepnet_sim.benches.networks import Program
from stepnet_sim.design import Design


class FuzzedBoardModel(BoardModel):
    """A `BoardModel` that also follows loads which are wrong in two ways.

    program: the one network whose readings it can tell. Of any other that is committed it expects
    PROGRAM_OVERRUN, in the place of a reading too.
    """

    def __init__(self, design: Design, program: Program) -> None:
        super().__init__(design, [program])

    def adopt(self, identity: bytes) -> None:
        """Take from an IDENTITY what is not known after requests that may have been lost."""
        fields = IDENTITY.unpack(identity)
        self.loaded = bool(fields["loaded"])
        self.digest = fields["digest"]
        self.dropped_frames = fields["dropped_frames"]
        self._image_bytes = fields["image_bytes"]

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
