"""What a network learns beside its own data set: other collections, characters whose size is not
known, and images of no character.

One collection has its own pens, and nothing but characters. A network that learns from others too
reads what people bring; one that has seen what is none of its characters can say so.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from stepnet.data.sets import Dataset
from stepnet.networks.placing import Placing
from stepnet.networks.readout import NO_CHARACTER
from stepnet.pictures import no_character
from stepnet.pictures.data_sets import placed_as
from stepnet.pictures.placing import place

LOOK_ALIKE = (
    *("0Oo", "1Il|/!]}'`,", "2Zz", "5Ss", "8B", "9gq"),
    *("cC", "kK", "pP", "uU", "vV", "wW", "xX"),
)
"""Characters that look the same where their size is not known, as single characters placed in an
image are. To learn that one of a group is none teaches to refuse the others."""

OTHERS_PART = 1 / 2
"""How much of the images of no character are other characters, where there are enough; the rest is
drawn."""


def with_more(
    base: Dataset,
    more: Sequence[Dataset],
    placing: Placing,
    progress: Callable[[str], None] = lambda message: None,
) -> tuple[Dataset, NDArray[np.uint8]]:
    """`base` with the characters of its alphabet that other data sets have, and the images of their
    other characters: (N, height, width) uint8. All are placed as `placing` says.

    Raises DataError as `placed_as` does.
    """
    size = base.images.shape[1], base.images.shape[2]
    known = [ord(character) for character in base.characters]
    alike = _alike(base.characters)
    learned, others = base, [base.images[:0]]
    for dataset in more:
        dataset = placed_as(
            placing, size, dataset.select(~np.isin(dataset.labels, alike)), progress
        )
        shown = dataset.images.any(axis=(1, 2))
        mine = np.isin(dataset.labels, known)
        if (mine & shown).any():
            learned = learned.with_others(dataset.select(mine & shown))
        others.append(dataset.images[~mine & shown])
    return learned, np.concatenate(others)


def with_lone(learned: Dataset, part: float, seed: int) -> Dataset:
    """`learned`, whose characters lie as `Placing.UNIPEN` says, and beside it `part` of its images,
    taken by `seed`, once more as they lie where a character comes alone: as large as a capital,
    since its size is not known.
    """
    _, height, width = learned.images.shape
    taken = np.random.default_rng(seed).permutation(len(learned))[: round(part * len(learned))]
    lone = learned.select(np.sort(taken[learned.images[taken].any(axis=(1, 2))]))
    ink = lone.images.astype(np.float32) / np.float32(255)
    images = np.stack([place(image, height, width, Placing.UNIPEN) for image in ink])
    return learned.with_others(dataclasses.replace(lone, images=images))


def with_no_character(
    learned: Dataset, others: NDArray[np.uint8], part: float, placing: Placing, seed: int
) -> Dataset:
    """`learned` and images of no character, labelled with code 0: `part` as many as it has.

    others: (N, height, width) uint8, images of other characters, of which some are taken by `seed`.
    """
    count = round(part * len(learned))
    random = np.random.default_rng(seed)
    taken = random.permutation(len(others))[: round(OTHERS_PART * count)]
    drawn = no_character.draw(learned.images, count - len(taken), placing, seed)
    images = np.concatenate([others[np.sort(taken)], drawn])
    labels = np.full(len(images), ord(NO_CHARACTER), np.uint8)
    return Dataset(learned.images, learned.labels).with_others(Dataset(images, labels))


def _alike(characters: str) -> list[int]:
    """The codes of what looks like one of these characters and is none of them."""
    groups = [group for group in LOOK_ALIKE if set(group) & set(characters)]
    return [ord(character) for character in set("".join(groups)) - set(characters)]
