"""Finds the connected pieces of a mask: strokes of characters, dots, specks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Components:
    """The pieces of a mask whose pixels touch, at edges or corners, numbered from 1.

    labels: (H, W) int32, the number of the piece that a pixel belongs to, 0 outside of the mask.
    boxes: (N, 4) int64, left, top, right and bottom of each piece, the last two just outside.
    areas: (N,) int64, pixels of each piece.
    """

    labels: NDArray[np.int32]
    boxes: NDArray[np.int64]
    areas: NDArray[np.int64]


def label(mask: NDArray[np.bool_]) -> Components:
    """The connected pieces of a (H, W) mask, in the order of their first pixel, row by row.

    Works on runs, the pixels of a row from one edge of the mask to the next, and joins those that
    touch between rows.
    """
    height, width = mask.shape
    padded = np.zeros((height, width + 2), dtype=np.int8)
    padded[:, 1:-1] = mask
    edges = np.diff(padded, axis=1)
    rows, starts = np.nonzero(edges == 1)
    _, ends = np.nonzero(edges == -1)
    roots, pieces = np.unique(_joined(rows, starts, ends, width), return_inverse=True)
    count = len(roots)
    boxes = np.empty((count, 4), dtype=np.int64)
    boxes[:, :2] = max(height, width)
    boxes[:, 2:] = 0
    np.minimum.at(boxes[:, 0], pieces, starts)
    np.minimum.at(boxes[:, 1], pieces, rows)
    np.maximum.at(boxes[:, 2], pieces, ends)
    np.maximum.at(boxes[:, 3], pieces, rows + 1)
    lengths = ends - starts
    areas = np.bincount(pieces, weights=lengths, minlength=count).astype(np.int64)
    labels = np.zeros(mask.shape, dtype=np.int32)
    labels[mask] = np.repeat(pieces + 1, lengths)
    return Components(labels, boxes, areas)


def _joined(
    rows: NDArray[np.intp], starts: NDArray[np.intp], ends: NDArray[np.intp], width: int
) -> NDArray[np.intp]:
    """The first run of the piece that each run belongs to; runs are in reading order."""
    # One number line for all rows, with room between them, on which the runs of the row above lie
    # one `pitch` before.
    pitch = width + 3
    first = np.searchsorted(rows * pitch + ends, (rows - 1) * pitch + starts, side="left")
    last = np.searchsorted(rows * pitch + starts, (rows - 1) * pitch + ends, side="right")
    touching = np.maximum(last - first, 0)
    lower = np.repeat(np.arange(len(rows)), touching)
    offset = np.arange(len(lower)) - np.repeat(np.cumsum(touching) - touching, touching)
    upper = np.repeat(first, touching) + offset
    root = np.arange(len(rows))
    while True:
        least = np.minimum(root[lower], root[upper])
        lowered = root.copy()
        np.minimum.at(lowered, root[lower], least)
        np.minimum.at(lowered, root[upper], least)
        lowered = lowered[lowered]
        if np.array_equal(lowered, root):
            return root
        root = lowered
