"""Data sets whose characters lie elsewhere than a network expects them: found out, and placed anew.

`stepnet evaluate` and `stepnet train` call this for the data sets that people bring.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stepnet.data.sets import Dataset
from stepnet.errors import DataError, ImageError
from stepnet.networks.network import CharacterNetwork
from stepnet.networks.placing import Placing, placing_of
from stepnet.pictures.arrays import lies_as
from stepnet.pictures.paper import MIN_CONTRAST, MIN_INK, border, find_ink
from stepnet.pictures.placing import place

SAMPLE = 500
"""How many images, spread evenly, tell how a data set places its characters."""

MOST_ELSEWHERE = 0.05
"""The part of them that may lie elsewhere."""

MIN_SIDE = 16
"""The shorter side from which on images count as pictures of characters."""

CAPITAL_QUANTILE = 0.9
"""Of a writer's characters so many parts are at most as high as the capitals; what is higher has an
ascender and a descender, or got out of hand."""

HALF_INK = 128
"""Grey values from here on are bright."""

MOST_BRIGHT = 0.5
"""Ink on paper covers a smaller part of a picture: of those of MNIST an eighth."""

FEWEST_OF_WRITER = 20
"""From so many characters on a writer's capital height is known."""


def placing_in(images: NDArray[np.uint8]) -> Placing | None:
    """How a data set places its characters; None if in no way that is known.

    images: (N, height, width) uint8, ink bright on 0.
    """
    sample = [image for image in _sample(images) if image.any()]
    for placing in Placing:
        elsewhere = sum(not lies_as(placing, image) for image in sample)
        if sample and elsewhere <= MOST_ELSEWHERE * len(sample):
            return placing
    return None


def _on_paper(images: NDArray[np.uint8]) -> bool:
    """Whether images show ink with paper around it: on hardly any does ink touch the border."""
    if min(images.shape[1:]) < MIN_SIDE:
        return False
    rings = np.stack([border(image.astype(np.float32)) for image in _sample(images)])
    touching = (rings.max(axis=1) - rings.min(axis=1)) >= MIN_CONTRAST
    return bool(touching.mean() <= MOST_ELSEWHERE)


def _sample(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return images[np.unique(np.linspace(0, len(images) - 1, SAMPLE, dtype=np.int64))]


def placed_for(
    network: CharacterNetwork[Any],
    dataset: Dataset,
    placed: bool | None = None,
    progress: Callable[[str], None] = lambda message: None,
) -> Dataset:
    """The data set with its characters placed as `network` expects them.

    Where the writers of the images are known, and the network's data have characters as large as
    their writer's capitals make them, each stays as large as it is beside those of its writer. An
    image without a character stays as it is. Images of characters that the network does not know
    may be left empty.

    placed: True if they are placed already, False to place them anyhow; None to place those that
        lie elsewhere, if the network's card tells where its data had them.
    progress: is told, in a sentence without a full stop, what takes long.

    Raises DataError if the grey values are not spread over 0 to 255, or if an image in which no
    character is found has another size than the network takes.
    """
    wanted = placing_of(network)
    if placed or (placed is None and wanted is None):
        return dataset
    _check_values(dataset)
    size = network.height, network.width
    if placed is None and dataset.images.shape[1:] == size and placing_in(dataset.images) == wanted:
        return dataset
    known = np.isin(dataset.labels, network.codes)
    progress(f"Placing {np.count_nonzero(known):,} characters as {network.name} learned them")
    return _placed(dataset, size, wanted or Placing.MNIST, known, anyhow=placed is False)


def placed_to_learn(
    dataset: Dataset,
    placed: bool | None = None,
    progress: Callable[[str], None] = lambda message: None,
) -> tuple[Dataset, Placing | None]:
    """The data set as a network is to learn from it, and how its characters lie then; None if in no
    way that is known.

    placed: as in `placed_for`; with None they are placed if they lie in no way that is known, but
        look like characters on paper: where each lies may mean something for other pictures.
        Letters are then as large as their writer's capitals make them, digits all of one size.

    Raises DataError as `placed_for` does.
    """
    if not placed:
        _check_values(dataset)
    found = None if placed is False else placing_in(dataset.images)
    if placed or found is not None or (placed is None and not _on_paper(dataset.images)):
        return dataset, found
    wanted = Placing.UNIPEN if any(map(str.isalpha, dataset.alphabet)) else Placing.MNIST
    progress(
        f"Placing {len(dataset):,} characters like those of {wanted}; --placed yes takes the "
        "images as they are"
    )
    _, height, width = dataset.images.shape
    every = np.ones(len(dataset), dtype=np.bool_)
    return _placed(dataset, (height, width), wanted, every, anyhow=True), wanted


def placed_as(
    placing: Placing,
    size: tuple[int, int],
    dataset: Dataset,
    progress: Callable[[str], None] = lambda message: None,
) -> Dataset:
    """The data set with its characters placed like those of `placing`, in images of (height, width)
    `size`; an image that lies so already stays as it is.

    Raises DataError as `placed_for` does.
    """
    _check_values(dataset)
    if dataset.images.shape[1:] == size and placing_in(dataset.images) == placing:
        return dataset
    progress(f"Placing {len(dataset):,} more characters like those of {placing}")
    every = np.ones(len(dataset), dtype=np.bool_)
    return _placed(dataset, size, placing, every, anyhow=False)


def doubts(dataset: Dataset) -> list[str]:
    """What looks wrong about images that are to be learned, a sentence each; empty if nothing does.

    That is ink that is dark in place of bright, and an alphabet without a letter or digit.
    """
    found: list[str] = []
    bright = float(np.mean(_sample(dataset.images) >= HALF_INK))
    if bright > MOST_BRIGHT:
        found.append(
            f"Of the pixels of the images {bright:.0%} are bright, where ink is bright on 0: they "
            "look inverted; give 255 - images if they are."
        )
    if not any(map(str.isalnum, dataset.alphabet)):
        found.append(
            f"No label is a letter or a digit, only {dataset.alphabet!r}; give character codes, "
            f"which for the digits 0 to 9 are {ord('0')} to {ord('9')}, if others are meant."
        )
    return found


def _check_values(dataset: Dataset) -> None:
    """Raise DataError unless the grey values use their range."""
    most = int(dataset.images.max())
    if most < MIN_CONTRAST:
        raise DataError(
            f"The grey values of the data set go up to {most} only, where 255 is full ink; "
            f"multiply them by {255 // max(most, 1)} first."
        )


def _placed(
    dataset: Dataset,
    size: tuple[int, int],
    placing: Placing,
    which: NDArray[np.bool_],
    *,
    anyhow: bool,
) -> Dataset:
    """The characters that `which` says placed; those that lie as they should only if `anyhow`. The
    other images are empty.
    """
    heights = _capital_heights(dataset) if placing is Placing.UNIPEN else None
    images = np.zeros((len(dataset), *size), dtype=np.uint8)
    for number in np.flatnonzero(which):
        image = dataset.images[number]
        lies = not image.any() or (not anyhow and lies_as(placing, image))
        if lies and image.shape == size:
            images[number] = image
            continue
        try:
            ink = find_ink(image.astype(np.float32), f"image {number} of the data set")
        except ImageError as error:
            if image.shape != size:
                raise DataError(str(error)) from error
            images[number] = image
            continue
        known = heights is not None and np.isfinite(heights[number])
        height = float(heights[number]) if heights is not None and known else None
        images[number] = place(ink.strength, *size, placing, height)
    return dataclasses.replace(dataset, images=images)


def _capital_heights(dataset: Dataset) -> NDArray[np.float64] | None:
    """How high the capitals are of whoever wrote each image, in its pixels: (N,), NaN where too few
    characters of a writer are there; None where writers are unknown.
    """
    if dataset.writer is None:
        return None
    peaks = dataset.images.max(axis=(1, 2), keepdims=True)
    rows = ((dataset.images >= MIN_INK * peaks) & (peaks > 0)).any(axis=2)
    own = rows.shape[1] - rows.argmax(axis=1) - rows[:, ::-1].argmax(axis=1)
    heights = np.full(len(dataset), np.nan)
    for writer in np.unique(dataset.writer):
        mine = dataset.writer == writer
        if np.count_nonzero(mine) >= FEWEST_OF_WRITER:
            heights[mine] = np.quantile(own[mine], CAPITAL_QUANTILE)
    return heights
