"""Takes the box of a form out of the ink: a thin frame of four straight lines round a character."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stepnet.pictures.outlines import filled, four_cornered, hull_of
from stepnet.pictures.pieces import label

MIN_SIDE = 48
"""The shorter side of pictures, in pixels, in which frames are sought."""

MIN_INK = 0.06
"""The part of the full contrast that a frame has at least."""

FOUR_CORNERED = 0.94
"""The part of a frame's outline that lies within its four corners, at least."""

THIN = 0.05
"""How far from its outline a frame's lines reach at most, in parts of its shorter side."""

FEW = 0.02
"""The part of a frame's pixels that may lie further inside."""


def without_frame(strength: NDArray[np.float32]) -> NDArray[np.float32]:
    """(H, W) strength of the ink without a frame that all else lies in and that nothing touches."""
    if min(strength.shape) < MIN_SIDE:
        return strength
    pieces = label(strength >= MIN_INK * strength.max())
    if len(pieces.areas) < 2:
        return strength
    sides = pieces.boxes[:, 2:] - pieces.boxes[:, :2]
    outer = int(sides.prod(axis=1).argmax())
    left, top, right, bottom = pieces.boxes[outer]
    frame = pieces.labels[top:bottom, left:right] == outer + 1
    inside = pieces.labels[top:bottom, left:right] > 0
    inside &= ~frame
    outline = hull_of(frame)
    if not inside.any() or four_cornered(outline) < FOUR_CORNERED:
        return strength
    middle = np.array([right - left - 1, bottom - top - 1]) / 2
    inner = filled(np.rint(middle + (outline - middle) * (1 - 2 * THIN)), frame.shape)
    if np.count_nonzero(frame & inner) > FEW * np.count_nonzero(frame):
        return strength
    kept = strength.copy()
    kept[pieces.labels == outer + 1] = 0
    return kept
