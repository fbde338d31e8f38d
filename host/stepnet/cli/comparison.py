"""Readings of a board, each beside the code that the reference computes for the same image."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np
from numpy.typing import NDArray

from stepnet.boards.board import Board, Reading
from stepnet.networks import kinds
from stepnet.networks.spiking import SpikeCounts, SpikingNetwork, spike_counts


@dataclass(frozen=True)
class Comparison:
    """One image's reading and the code that numpy computes for it.

    numpy_spikes: how often neurons spike by numpy; None for networks that do not spike.
    """

    reading: Reading
    numpy_code: int
    numpy_spikes: SpikeCounts | None = None

    @property
    def agrees(self) -> bool:
        """Whether the board's code is the one that numpy computes, and so are its spikes."""
        told, counted = self.reading.spikes, self.numpy_spikes
        spikes_agree = told is None or counted is None or told == counted.total
        return self.reading.code == self.numpy_code and spikes_agree

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
            **({} if self.reading.spikes is None else {"spikes": self.reading.spikes}),
            "agrees": self.agrees,
            **({"numpy_spikes": asdict(self.numpy_spikes)} if self.numpy_spikes else {}),
        }


def compare(board: Board, images: Sequence[NDArray[np.uint8]]) -> Iterator[Comparison]:
    """Infer `images` as they are, (height, width) uint8, on the board and with numpy, in order."""
    seen, network = np.stack(images), board.network
    numpy_codes = kinds.infer(network, seen).tolist()
    spikes: Sequence[SpikeCounts | None] = [None] * len(images)
    if isinstance(network, SpikingNetwork):
        spikes = spike_counts(network, seen)
    readings = board.infer_many(images, placed=True)
    for found in zip(readings, numpy_codes, spikes, strict=True):
        yield Comparison(*found)
