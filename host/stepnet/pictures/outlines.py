"""Convex outlines of parts of a picture: sheets and frames have four corners, ink has none."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw


def filled(outline: NDArray[np.generic], shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Which pixels of a picture of `shape` lie within an outline or on it."""
    drawn = Image.new("1", (shape[1], shape[0]))
    if len(outline) > 1:
        corners = [(x, y) for x, y in outline.tolist()]
        ImageDraw.Draw(drawn).polygon(corners, fill=1, outline=1)
    return np.asarray(drawn)


def hull_of(mask: NDArray[np.bool_]) -> NDArray[np.int64]:
    """The corners (x, y) of the smallest convex outline around a (H, W) mask, in order: (N, 2)."""
    rows = np.flatnonzero(mask.any(axis=1))
    first = mask.argmax(axis=1)[rows]
    last = mask.shape[1] - 1 - mask[:, ::-1].argmax(axis=1)[rows]
    points = np.concatenate([np.stack([first, rows], 1), np.stack([last, rows], 1)])
    ordered = np.unique(points, axis=0).tolist()

    def chain(sequence: list[list[int]]) -> list[list[int]]:
        kept: list[list[int]] = []
        for x, y in sequence:
            while len(kept) > 1 and (
                (kept[-1][0] - kept[-2][0]) * (y - kept[-2][1])
                <= (kept[-1][1] - kept[-2][1]) * (x - kept[-2][0])
            ):
                kept.pop()
            kept.append([x, y])
        return kept[:-1]

    return np.array(chain(ordered) + chain(ordered[::-1]), dtype=np.int64).reshape(-1, 2)


def four_cornered(outline: NDArray[np.int64]) -> float:
    """The largest part, 0 to 1, of a convex outline's area within four of its corners that lie
    across each other."""
    whole = _area(outline)
    if whole == 0:
        return 0.0
    angles = np.radians(np.arange(0, 90, 3))[:, np.newaxis] + np.arange(4) * np.pi / 2
    reach = outline @ np.stack([np.cos(angles), np.sin(angles)]).reshape(2, -1)
    corners = outline[reach.argmax(axis=0)].reshape(*angles.shape, 2)
    return max(_area(four) for four in corners) / whole


def _area(outline: NDArray[np.int64]) -> float:
    x, y = outline.T
    return abs(float((x * np.roll(y, -1) - y * np.roll(x, -1)).sum())) / 2
