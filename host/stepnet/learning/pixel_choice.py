"""Chooses the pixels of an image that tell the most, for networks that see only some of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

RARE = 0.0005
"""A pixel tells nothing if it is ink, or is none, in a smaller part of the images than this."""

NOTHING = 1e-9
"""A variance that is rounding alone: the pixel is told by those already chosen."""

AT_ONCE = 4096
"""How many images' products are summed together."""


def most_telling(pixels: NDArray[np.bool_], count: int | None) -> NDArray[np.int64]:
    """The `count` pixels that together tell the most of an image, in their order: (count,), or
    fewer where these tell all others.

    pixels: (N, height, width).
    count: None for all pixels that differ from image to image; never are more chosen than these.

    The first is the pixel that differs most. Each further one is the pixel of which most is left
    when what the chosen ones tell linearly is taken away (a pivoted Cholesky factorisation of the
    covariances; Golub and Van Loan, "Matrix Computations", section 4.2.8).
    """
    flat = pixels.reshape(len(pixels), -1)
    mean = flat.mean(axis=0)
    alive = np.flatnonzero(np.minimum(mean, 1 - mean) > RARE)
    if count is None or count >= len(alive):
        return alive
    products = np.zeros((len(alive), len(alive)))
    for start in range(0, len(flat), AT_ONCE):
        part = flat[start : start + AT_ONCE, alive].astype(np.float32)
        products += part.T @ part
    left = products / len(flat) - np.outer(mean[alive], mean[alive])
    chosen: list[int] = []
    for _ in range(count):
        pivot = int(np.argmax(np.diag(left)))
        if left[pivot, pivot] < NOTHING:
            break
        chosen.append(pivot)
        left = left - np.outer(left[:, pivot], left[pivot]) / left[pivot, pivot]
        left[pivot, pivot] = -1.0
    return np.sort(alive[chosen])
