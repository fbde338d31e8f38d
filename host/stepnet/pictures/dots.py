"""Takes the dots of dotted paper out of the ink."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stepnet.pictures.pieces import label

MIN_INK = 0.1
"""The part of the full contrast from which on a pixel belongs to a dot."""

MIN_COUNT = 6
"""How many dots paper has at least; no character and no line has as many, spread as far."""

MIN_SPREAD = 0.5
"""The part of the picture's height, and of its width, over which they are spread."""

MAX_SIDE = 1 / 18
"""The longer side of a dot, in parts of the picture's shorter side, at most."""

MAX_AREA = 0.1
"""The area of a dot, in parts of the largest piece's, at most."""

ALIKE = 2.5
"""How many times as large as the median of all dots a dot is at most."""


def without_dots(strength: NDArray[np.float32]) -> NDArray[np.float32]:
    """(H, W) strength of the ink without dots, if there are many and all over the picture."""
    pieces = label(strength >= MIN_INK * strength.max())
    if len(pieces.areas) <= MIN_COUNT:
        return strength
    left, top, right, bottom = pieces.boxes.T
    longest = np.maximum(right - left, bottom - top)
    side = max(3.0, MAX_SIDE * min(strength.shape))
    small = (longest <= side) & (pieces.areas <= MAX_AREA * pieces.areas.max())
    if np.count_nonzero(small) < MIN_COUNT:
        return strength
    spread = np.array([np.ptp(top[small]), np.ptp(left[small])]) / strength.shape
    if spread.min() < MIN_SPREAD:
        return strength
    dots = small & (pieces.areas <= ALIKE * np.median(pieces.areas[small]))
    return np.where(np.append(False, dots)[pieces.labels], np.float32(0), strength)
