"""Drawings with their labels, kept in a folder as data sets of `stepnet train` and `evaluate`.

A data set is one .npz for each size and placing of characters, as networks take them.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stepnet.data.sets import Dataset, read_dataset
from stepnet.errors import DataError
from stepnet.files import write_whole
from stepnet.networks.kinds import AnyNetwork
from stepnet.networks.placing import Placing, placing_of

MOST_DRAWINGS = 100_000
"""In one file, which is read and written again with each drawing."""


def keep_drawing(
    folder: str | os.PathLike[str], network: AnyNetwork, image: NDArray[np.uint8], label: str
) -> tuple[Path, int]:
    """Add a drawing to the data set of its size and placing; the file and how many it holds now.

    network: for which the drawing was placed.
    image: (height, width) uint8, bright ink on 0, as that network gets it.
    label: the character that it shows.

    Raises DataError if the label is no single character below code 256, if the file there is no
    data set of this size or full, or if it cannot be written.
    """
    if len(label) != 1 or not 0 < ord(label) < 256 or not label.isprintable():
        raise DataError(
            f"A drawing shows one character of a code below 256, and {label[:20]!r} is none; give "
            "the character that it was."
        )
    placing = placing_of(network) or Placing.MNIST
    path = Path(folder) / f"drawings-{network.height}x{network.width}-{placing}.npz"
    drawing = Dataset(image[np.newaxis], np.array([ord(label)], dtype=np.uint8))
    kept = _with_those_before(path, drawing)
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
        write_whole(path, lambda file: np.savez(file, images=kept.images, labels=kept.labels))
    except OSError as error:
        raise DataError(
            f"The drawing cannot be kept in {str(path)!r} ({error.strerror or error}); name a "
            "folder that you may write."
        ) from error
    return path, len(kept)


def _with_those_before(path: Path, drawing: Dataset) -> Dataset:
    if not path.exists():
        return drawing
    before = read_dataset(path)
    if before.images.shape[1:] != drawing.images.shape[1:] or len(before) >= MOST_DRAWINGS:
        height, width = drawing.images.shape[1:]
        raise DataError(
            f"The data file {str(path)!r} takes no more drawings of {height} x {width} pixels; "
            "move it elsewhere, or name another folder."
        )
    return before.with_others(drawing)
