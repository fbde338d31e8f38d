"""How a character is placed in the frame that a network sees.

Networks expect characters placed as in the data that they learned from, and the collections differ.
"""

from __future__ import annotations

import enum
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from stepnet.networks.network import CharacterNetwork
from stepnet.pictures.paper import MIN_INK, stroke_width

MIN_STROKE_PIXELS = 1.8
"""Strokes that would come out thinner than this, in pixels of the result, are widened first."""

SOLID = 0.33
"""Width of the stroke by the longer side, as `stroke_width` has it, above which a character is a
blot: a full stop has 0.4 to 0.5, a comma less than 0.3."""

DOT_PART = 4 / 28
"""Part of the frame that a full stop takes (`UNIPEN`)."""

Array = NDArray[np.float32]


class Framing(enum.StrEnum):
    """How a collection places its characters.

    MNIST: the longer side of a character's box is 20/28 of the frame; the centre of mass is in the
    middle.
    UNIPEN: 22/28 of the frame are the height of the writer's capitals, so a full stop stays small;
    what is longer is scaled down to that. The middle of the box is in the middle.
    """

    MNIST = "mnist"
    UNIPEN = "unipen"

    @property
    def ink_part(self) -> float:
        """Part of the frame that the longer side of a character fills at most."""
        return {Framing.MNIST: 20 / 28, Framing.UNIPEN: 22 / 28}[self]


def framing_of(network: CharacterNetwork[Any]) -> Framing:
    """The framing of the data that `network` learned from, as its card says; else `MNIST`."""
    return Framing.UNIPEN if network.card.get("data", "").startswith("unipen") else Framing.MNIST


def frame(
    ink: Array,
    height: int,
    width: int,
    framing: Framing = Framing.MNIST,
    capital_height: float | None = None,
) -> NDArray[np.uint8]:
    """One character as network input: (height, width) uint8 grey values, bright ink on 0.

    ink: (H, W) strength, 0 on paper, not everywhere.
    capital_height: of the line that the character comes from, in pixels of `ink`; counts for
    `UNIPEN`. If it is not known, the character's longer side stands for it; but what is as solid as
    a full stop is one and stays small.

    The box around all pixels of at least `MIN_INK` is cut out and scaled, keeping its aspect. Thin
    strokes are widened before they shrink away. The brightest ink becomes 255. The middle is
    rounded to whole pixels, and moves as far as is needed to keep the ink within the frame.
    """
    ink = cut_out(ink)
    scale = min(height / ink.shape[0], width / ink.shape[1])
    scale *= DOT_PART if _is_dot(ink, framing, capital_height) else framing.ink_part
    if framing is Framing.UNIPEN and capital_height is not None:
        scale = min(scale, framing.ink_part * height / capital_height)
    size = (max(1, round(ink.shape[1] * scale)), max(1, round(ink.shape[0] * scale)))
    character = np.asarray(
        Image.fromarray(_widen_strokes(ink, scale)).resize(size, Image.Resampling.BILINEAR)
    )
    stretched = np.rint(character * (255 / character.max())).astype(np.uint8)
    middle = _mass_centre(stretched) if framing is Framing.MNIST else _box_centre(stretched)
    return _placed(stretched, middle, height, width)


def cut_out(ink: Array) -> Array:
    """The box around all pixels of at least `MIN_INK` of the strongest."""
    strong = ink >= MIN_INK * ink.max()
    rows, columns = np.flatnonzero(strong.any(axis=1)), np.flatnonzero(strong.any(axis=0))
    return ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def _is_dot(ink: Array, framing: Framing, capital_height: float | None) -> bool:
    if framing is not Framing.UNIPEN or capital_height is not None:
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
    """`character` in a frame of zeros with its (row, column) `middle` in the frame's middle."""
    top, left = (
        min(max(0, round(side / 2 - centre)), side - length)
        for side, centre, length in zip((height, width), middle, character.shape, strict=True)
    )
    placed = np.zeros((height, width), dtype=np.uint8)
    placed[top : top + character.shape[0], left : left + character.shape[1]] = character
    return placed
