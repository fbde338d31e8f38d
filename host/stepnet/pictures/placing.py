"""Where a character stands in the image that a network gets, and how large it is there.

A network reads characters that are placed as in the data that it learned from, and collections of
handwriting differ in that. `place` makes the image from a character's ink, `place_for` makes it as
one network expects it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from stepnet.networks.network import CharacterNetwork
from stepnet.networks.placing import Placing, placing_of
from stepnet.pictures.paper import MIN_INK, stroke_width

MIN_STROKE_PIXELS = 1.8
"""Strokes that would be thinner than this in the image, in pixels, are widened before."""

SOLID = 0.33
"""A character is a blot if its stroke is wider than this part of its longer side: for a full stop
`stroke_width` gives 0.4 to 0.5 of it, for a comma less than 0.3."""

DOT_PART = 4 / 28
"""Part of the image's side that a full stop fills under `Placing.UNIPEN`."""

Array = NDArray[np.float32]


def place_for(
    network: CharacterNetwork[Any], ink: Array, capital_height: float | None = None
) -> NDArray[np.uint8]:
    """One character as `network` expects it: `place` with the network's image size and placing,
    which is `MNIST` if its card tells none."""
    placing = placing_of(network) or Placing.MNIST
    return place(ink, network.height, network.width, placing, capital_height)


def place(
    ink: Array,
    height: int,
    width: int,
    placing: Placing = Placing.MNIST,
    capital_height: float | None = None,
) -> NDArray[np.uint8]:
    """One character as network input: (height, width) uint8 grey values, bright ink on 0.

    ink: (H, W) strength of the ink, 0 where there is paper; some of it is greater than 0.
    capital_height: how high capitals are in the line that the character comes from, in pixels of
    `ink`; used under `UNIPEN` alone. If it is not known, the character's longer side stands for it;
    but a character that is as solid as a full stop is taken for one and stays small.

    The box around all pixels of at least `MIN_INK` is cut out and scaled, keeping its aspect. Thin
    strokes are widened before they shrink away. The brightest ink becomes 255. The character's
    middle is rounded to whole pixels, and moves as far as is needed to keep its ink within the
    image.
    """
    ink = cut_out(ink)
    scale = min(height / ink.shape[0], width / ink.shape[1])
    scale *= DOT_PART if _is_dot(ink, placing, capital_height) else placing.ink_part
    if placing is Placing.UNIPEN and capital_height is not None:
        scale = min(scale, placing.ink_part * height / capital_height)
    size = (max(1, round(ink.shape[1] * scale)), max(1, round(ink.shape[0] * scale)))
    character = np.asarray(
        Image.fromarray(_widen_strokes(ink, scale)).resize(size, Image.Resampling.BILINEAR)
    )
    stretched = np.rint(character * (255 / character.max())).astype(np.uint8)
    middle = _mass_centre(stretched) if placing is Placing.MNIST else _box_centre(stretched)
    return _placed(stretched, middle, height, width)


def ink_box(ink: Array) -> tuple[int, int, int, int]:
    """Left, top, right and bottom, the last two just outside, of the box around all pixels that
    have at least `MIN_INK` of the strongest one.
    """
    strong = ink >= MIN_INK * ink.max()
    rows, columns = np.flatnonzero(strong.any(axis=1)), np.flatnonzero(strong.any(axis=0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def cut_out(ink: Array) -> Array:
    """The part of (H, W) `ink` in its `ink_box`."""
    left, top, right, bottom = ink_box(ink)
    return ink[top:bottom, left:right]


def _is_dot(ink: Array, placing: Placing, capital_height: float | None) -> bool:
    if placing is not Placing.UNIPEN or capital_height is not None:
        return False
    return stroke_width(ink >= ink.max() / 2) > SOLID * max(ink.shape)


def _widen_strokes(ink: Array, scale: float) -> Array:
    """Ink whose strokes keep `MIN_STROKE_PIXELS` when the picture shrinks by `scale`."""
    missing = int(MIN_STROKE_PIXELS / scale - stroke_width(ink >= ink.max() / 2))
    if missing < 2:
        return ink
    grey = Image.fromarray(np.rint(ink * (255 / ink.max())).astype(np.uint8))
    for _ in range(missing // 2):
        grey = grey.filter(ImageFilter.MaxFilter(3))
    return np.asarray(grey).astype(np.float32)


def _mass_centre(character: NDArray[np.uint8]) -> tuple[float, float]:
    profiles = (character.sum(axis=1 - axis, dtype=np.int64) for axis in (0, 1))
    row, column = (float(each @ np.arange(len(each)) / each.sum()) for each in profiles)
    return row, column


def _box_centre(character: NDArray[np.uint8]) -> tuple[float, float]:
    height, width = character.shape
    return height / 2, width / 2


def _placed(
    character: NDArray[np.uint8], middle: tuple[float, float], height: int, width: int
) -> NDArray[np.uint8]:
    """An image of zeros with `character` in it, whose (row, column) `middle` is in the image's."""
    top, left = (
        min(max(0, round(side / 2 - centre)), side - length)
        for side, centre, length in zip((height, width), middle, character.shape, strict=True)
    )
    placed = np.zeros((height, width), dtype=np.uint8)
    placed[top : top + character.shape[0], left : left + character.shape[1]] = character
    return placed
