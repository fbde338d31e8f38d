"""Readings of a board, each beside the code that the reference computes for the same image."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from stepnet.boards.board import Board, Reading
from stepnet.networks import kinds


@dataclass(frozen=True)
class Comparison:
    """One image's reading and the code that numpy computes for it."""

    reading: Reading
    numpy_code: int

    @property
    def agrees(self) -> bool:
        """Whether the board's code is the one that numpy computes."""
        return self.reading.code == self.numpy_code

    def unless_below(self, min_margin: int) -> Comparison:
        """The same, with a reading whose margin is smaller as unknown."""
        if self.reading.margin >= min_margin:
            return self
        return replace(self, reading=replace(self.reading, character=None, known=False))

    def as_json(self) -> dict[str, object]:
        """The entries of one image in the commands' JSON."""
        return {
            "character": self.reading.character,
            "code": self.reading.code,
            "known": self.reading.known,
            "margin": self.reading.margin,
            "cycles": self.reading.cycles,
            "agrees": self.agrees,
        }


def compare(board: Board, images: Sequence[NDArray[np.uint8]]) -> Iterator[Comparison]:
    """Infer `images` as they are, (height, width) uint8, on the board and with numpy, in order."""
    numpy_codes = kinds.infer(board.network, np.stack(images))
    for reading, numpy_code in zip(board.infer_many(images, placed=True), numpy_codes, strict=True):
        yield Comparison(reading, int(numpy_code))
