"""Gives a picture its greys back that was dithered to black and white, or strewn with specks.

Dithering shows a grey by how many of its pixels are black. Smoothing by a little more than the
pattern's size makes that a grey again.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

MIN_SIDE = 64
"""The shorter side of pictures, in pixels, in which dithering is sought."""

ISOLATED = 0.35
"""A pixel is isolated if it differs from each of its four neighbours by more than this part of the
range of greys."""

MIN_ISOLATED_PART = 0.004
"""The part of all pixels that are isolated in a dithered picture, at least."""

RADII = (1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0)
"""How far smoothing may go, in pixels: standard deviations."""

CALM = 0.03
"""The part of the range of greys by which nine of ten neighbours differ at most once the pattern is
gone."""


def without_dither(grey: NDArray[np.float32]) -> NDArray[np.float32]:
    """(H, W) grey values, smoothed if they are dithered."""
    if min(grey.shape) < MIN_SIDE:
        return grey
    contrast = float(np.ptp(grey))
    down = np.abs(np.diff(grey, axis=0)) > ISOLATED * contrast
    along = np.abs(np.diff(grey, axis=1)) > ISOLATED * contrast
    isolated = down[1:, 1:-1] & down[:-1, 1:-1] & along[1:-1, 1:] & along[1:-1, :-1]
    if isolated.mean() < MIN_ISOLATED_PART:
        return grey
    levels = Image.fromarray(np.rint(np.clip(grey, 0, 255)).astype(np.uint8))
    smooth = grey
    for radius in RADII:
        padded = Image.fromarray(np.pad(np.asarray(levels), 16, mode="reflect"))
        blurred = np.asarray(padded.filter(ImageFilter.GaussianBlur(radius))).astype(np.float32)
        smooth = blurred[16:-16, 16:-16]
        steps = np.abs(np.diff(smooth, axis=1))
        if np.quantile(steps, 0.75) <= CALM * float(np.ptp(smooth)):
            break
    return smooth
