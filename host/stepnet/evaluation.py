"""How well a network reads a data set, measured with the integer reference."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from stepnet import reference
from stepnet.data import Dataset
from stepnet.errors import DataError
from stepnet.network import Network

_BATCH = 10_000


@dataclass(frozen=True)
class Score:
    """What came of reading `images` images.

    right: readings with exactly the code of the label.
    unknown: readings whose code is not in the network's alphabet; the rest are wrong characters.
    left_out: images that were not read because the network does not know their character.
    accuracy_by_character: part of right readings, 0 to 1, for each character that occurs.
    """

    images: int
    right: int
    unknown: int
    left_out: int
    accuracy_by_character: dict[str, float]

    @property
    def accuracy(self) -> float:
        """Part of the images whose code is exactly right, 0 to 1."""
        return self.right / self.images


def score(network: Network, dataset: Dataset) -> Score:
    """Read every image of `dataset` that shows a character of the network's alphabet.

    Raises DataError if there is none, and ImageError if the images have another size than the
    network takes.
    """
    in_alphabet = np.isin(dataset.labels, network.codes)
    if not in_alphabet.any():
        raise DataError(
            f"The data set shows none of the characters of network {network.name!r} "
            f"({network.alphabet}); choose another data set."
        )
    known = dataset.select(in_alphabet)
    codes = np.concatenate(
        [
            reference.infer(network, known.images[start : start + _BATCH])
            for start in range(0, len(known), _BATCH)
        ]
    )
    right = codes == known.labels
    return Score(
        images=len(known),
        right=int(right.sum()),
        unknown=int((~np.isin(codes, network.codes)).sum()),
        left_out=len(dataset) - len(known),
        accuracy_by_character={
            character: float(right[known.labels == ord(character)].mean())
            for character in known.alphabet
        },
    )
