"""Refuses ink that cannot be one character: rules that were not told from it, several characters.

How sure a network is does not tell: it reads a rule across a digit with as much margin as not.
So what is left of a picture is looked at before a network sees it.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

from stepnet.errors import ImageError
from stepnet.pictures.paper import stroke_width
from stepnet.pictures.pieces import Components, label

MIN_SIDE = 48
"""The shorter side of pictures, in pixels, in which rules are looked for."""

MASK_INK = 0.3
"""Pixels with at least this part of the full contrast belong to a piece."""

MIN_AREA = 0.02
"""Smaller pieces, in parts of the largest one, do not count."""

THIN = 0.6
"""What leaves the picture over less than this part of a stroke's width is a line rather than a
stroke that was cut off."""

TALL = 0.5
"""The height of pieces that may be characters, in parts of the highest."""

GAP = 0.3
"""The gap between two characters, in parts of the higher one's height, at least; what is nearer may
be halves of one."""

NARROW = 0.45
"""Two pieces that are both narrower than this part of their height may be a double quote."""

WIDE = 3.2
"""How many times as wide as high a character is at most, dashes apart."""

DASH = 3.5
"""How many times as high as its stroke is wide a dash is at most."""

FULL_STOP = "."
"""The character that is a solid block."""

BLOCK_PART = 0.85
"""The part of its box that a block fills, at least."""

BLOCK_STROKE = 0.33
"""The width of its stroke, in parts of its longer side, at least."""

Mask = NDArray[np.bool_]


def check_one_character(
    strength: NDArray[np.float32], what: str, alphabet: Collection[str] = FULL_STOP
) -> None:
    """Raise ImageError if the ink of (H, W) `strength` cannot be one character.

    what: how the picture is called in errors.
    alphabet: the characters that it may be. Without a full stop among them, it is no solid block.

    It cannot if thin lines leave the picture at opposite borders, if there are several high pieces
    side by side, or if it is much wider than high and no dash.
    """
    mask = strength >= MASK_INK * strength.max()
    pieces = label(mask)
    large = pieces.areas >= MIN_AREA * pieces.areas.max()
    mask = np.append(False, large)[pieces.labels]
    _check_lines(mask, what)
    boxes = pieces.boxes[large]
    count = _side_by_side(boxes)
    if count > 1:
        raise ImageError(
            f"The {what} shows {count} pieces of ink side by side where one character is expected; "
            "read a line as text, or cut it into pictures of one character each."
        )
    _check_width(pieces, large, what)
    if FULL_STOP not in alphabet:
        _check_strokes(mask, what)


def _check_lines(mask: Mask, what: str) -> None:
    if min(mask.shape) < MIN_SIDE:
        return
    thin = THIN * stroke_width(mask)
    for one, other in ((mask[0], mask[-1]), (mask[:, 0], mask[:, -1])):
        if _has_short_run(one, thin) and _has_short_run(other, thin):
            raise ImageError(
                f"The {what} shows thin lines from edge to edge that cannot be told from the ink, "
                "such as rules; give the character on plain paper, or cut the lines off."
            )


def _has_short_run(side: Mask, most: float) -> bool:
    """Whether a border's ink has a run shorter than `most`."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], side.astype(np.int8), [0]])))
    return bool((edges[1::2] - edges[::2] < most).any())


def _side_by_side(boxes: NDArray[np.int64]) -> int:
    """How many characters stand side by side, by the boxes of the pieces."""
    heights = boxes[:, 3] - boxes[:, 1]
    high = boxes[heights >= TALL * heights.max()]
    high = high[np.argsort(high[:, 0])]
    spans = [high[0, [0, 2]].tolist()]
    for left, _, right, _ in high[1:].tolist():
        if left < spans[-1][1]:
            spans[-1][1] = max(spans[-1][1], right)
        else:
            spans.append([left, right])
    if len(spans) != 2:
        return len(spans)
    near = spans[1][0] - spans[0][1] < GAP * heights.max()
    narrow = all(right - left < NARROW * heights.max() for left, right in spans)
    return 1 if near or narrow else 2


def _check_width(pieces: Components, large: Mask, what: str) -> None:
    boxes = pieces.boxes[large]
    left, top = boxes[:, :2].min(axis=0)
    right, bottom = boxes[:, 2:].max(axis=0)
    width, height = int(right - left), int(bottom - top)
    if width <= WIDE * height:
        return
    mask = np.append(False, large)[pieces.labels]
    highest = int((boxes[:, 3] - boxes[:, 1]).max())
    if highest > DASH * stroke_width(mask):
        raise ImageError(
            f"The ink in the {what} is {width} pixels wide and {height} high, which is no single "
            "character; read a line as text, or cut it into pictures of one character each."
        )


def _check_strokes(mask: Mask, what: str) -> None:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    height, width = int(np.ptp(rows)) + 1, int(np.ptp(columns)) + 1
    solid = np.count_nonzero(mask) > BLOCK_PART * height * width
    if solid and stroke_width(mask) > BLOCK_STROKE * max(height, width):
        raise ImageError(
            f"The ink in the {what} is a block of {width} x {height} pixels without a stroke, "
            "which is no character of the network; give one with some paper around it."
        )
