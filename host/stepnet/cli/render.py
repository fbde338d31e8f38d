"""Pictures for a terminal, two pixels to a character cell, one above the other."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from rich.color import Color
from rich.style import Style
from rich.text import Text

PLAIN_CELLS = " '.#"
"""No pixel, the upper one, the lower one, both."""


def grey_picture(image: NDArray[np.uint8]) -> Text:
    """Grey values as half blocks: (height, width) uint8 in ceil(height / 2) lines."""
    text = Text()
    for upper_row, lower_row in _row_pairs(image):
        for upper, lower in zip(upper_row, lower_row, strict=True):
            text.append("\N{UPPER HALF BLOCK}", _half_block_style(int(upper), int(lower)))
        text.append("\n")
    return text


def plain_picture(bits: NDArray[np.uint8]) -> Text:
    """Bits as ASCII without colour: (height, width) of 0 and 1 in ceil(height / 2) lines."""
    text = Text()
    for upper_row, lower_row in _row_pairs(bits):
        cells = upper_row + 2 * lower_row
        text.append("".join(PLAIN_CELLS[cell] for cell in cells) + "\n")
    return text


def _row_pairs(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Rows two by two, below the last odd one a row of zeros: (pairs, 2, width)."""
    padded = np.pad(image, ((0, len(image) % 2), (0, 0)))
    return padded.reshape(-1, 2, image.shape[1])


@lru_cache(maxsize=4096)
def _half_block_style(upper: int, lower: int) -> Style:
    return Style(
        color=Color.from_rgb(upper, upper, upper), bgcolor=Color.from_rgb(lower, lower, lower)
    )
