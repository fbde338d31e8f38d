"""Finds the characters in a picture of one line of handwriting.

`find_line` finds the ink, turns it until the line is level, joins the pieces of ink that belong to
the same character, and measures the line: how high its capitals are, and where words end. Programs
call it through `stepnet.pictures.text_line` and `stepnet.pictures.preparing`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from stepnet.errors import ImageError
from stepnet.networks.placing import Placing
from stepnet.pictures.paper import Ink, find_ink, stroke_width
from stepnet.pictures.picture import Picture, grey_values
from stepnet.pictures.pieces import Components, label
from stepnet.pictures.placing import place

MASK_INK = 0.3
"""Pixels with at least this part of the full contrast belong to a character; fainter ones between
two characters part them."""

MAX_TILT_DEGREES = 15
"""How steeply a line may climb or fall across the picture."""

MAX_SLANT_DEGREES = 35
"""How far the characters of a line may lean to either side."""

MIN_LINE_ASPECT = 2.0
"""Width over height that a line needs to show its tilt; a shorter one is not turned."""

SHARED_WIDTH = 0.4
"""Two pieces belong to the same character if this part of the narrower one's width is above or
below the other."""

SPACE = 0.35
"""How much wider a gap between words is than one between characters, in heights of capitals."""

Box = tuple[int, int, int, int]
"""Left, top, right and bottom in pixels, the last two just outside."""


@dataclass(frozen=True, eq=False)
class Glyph:
    """One character of a line.

    box: where it lies in the picture as it was given.
    ink: (H, W) float32 strength of its ink alone, 0 on paper, with the line made level.
    capital_height: how high capitals are in this line, in pixels of `ink`.
    after_space: whether a space stands before it.
    """

    box: Box
    ink: NDArray[np.float32]
    capital_height: float
    after_space: bool

    def image(
        self, height: int = 28, width: int = 28, placing: Placing = Placing.MNIST
    ) -> NDArray[np.uint8]:
        """The character as network input: (height, width) uint8, as `placing.place` makes it."""
        return place(self.ink, height, width, placing, self.capital_height)


@dataclass(frozen=True, eq=False)
class Line:
    """A picture of one line, and what was found on it.

    ink: the picture taken apart into paper and ink, not turned.
    level: (H, W) float32 strength of the ink, turned until the line is level.
    tilt_degrees: how steeply the line falls to the right in the picture.
    slant_degrees: how far the characters lean to the right.
    boxes: where each character lies in `level`.
    capital_height: how high capitals are, in pixels of `level`.
    glyphs: the characters, from left to right.
    """

    ink: Ink
    level: NDArray[np.float32]
    tilt_degrees: float
    slant_degrees: float
    boxes: tuple[Box, ...]
    capital_height: float
    glyphs: tuple[Glyph, ...]


def find_line(picture: Picture, name: str | None = None) -> Line:
    """The characters of one line of handwriting and the line's measures.

    picture: as in `stepnet.pictures.text_line.segment_line`.
    name: how the picture is called in errors; the path if not given.

    Raises ImageError as `segment_line` does.
    """
    grey, what = grey_values(picture, name)
    ink = find_ink(grey, what)
    tilt = _tilt_degrees(ink.strength)
    level = _turned(ink.strength, tilt)
    mask = level >= MASK_INK * level.max()
    pieces = label(mask)
    pieces = _without_small(pieces, mask)
    _check_one_line(pieces, mask, what)
    slant = _slant_degrees(level)
    lean = float(np.tan(np.radians(slant)))
    groups = _characters(pieces, lean)
    boxes = [_around(pieces.boxes[group]) for group in groups]
    capital = _capital_height(boxes)
    spaces = _spaces([_leaning(pieces, group, lean) for group in groups], capital)
    glyphs = tuple(
        Glyph(
            _box_in_picture(_pixels(pieces, group), level.shape, ink, tilt),
            _alone(level, pieces, group, box),
            capital,
            after_space,
        )
        for group, box, after_space in zip(groups, boxes, spaces, strict=True)
    )
    return Line(ink, level, tilt, slant, tuple(boxes), capital, glyphs)


# Tilt and slant: the angle at which rows, or columns, part ink from paper most sharply.


def _tilt_degrees(strength: NDArray[np.float32]) -> float:
    rows, columns = _ink_points(strength)
    extent = max(1.0, float(np.ptp(columns))) / max(1.0, float(np.ptp(rows)))
    if extent < MIN_LINE_ASPECT:
        return 0.0
    return _sharpest(
        lambda degrees: _sharpness(
            rows * np.cos(np.radians(degrees)) - columns * np.sin(np.radians(degrees))
        ),
        MAX_TILT_DEGREES,
    )


def _slant_degrees(level: NDArray[np.float32]) -> float:
    rows, columns = _ink_points(level)
    return _sharpest(
        lambda degrees: _sharpness(columns + rows * np.tan(np.radians(degrees))),
        MAX_SLANT_DEGREES,
    )


def _ink_points(
    strength: NDArray[np.float32], most: int = 20_000
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Rows and columns of the pixels of ink; if there are more than `most`, of every n-th one."""
    rows, columns = np.nonzero(strength >= MASK_INK * strength.max())
    step = -(-len(rows) // most)
    return rows[::step].astype(np.float64), columns[::step].astype(np.float64)


def _sharpest(sharpness: Callable[[float], float], most_degrees: float) -> float:
    """The angle within +-`most_degrees` of greatest sharpness, to a fifth of a degree."""
    coarse = max(
        np.arange(-most_degrees, most_degrees + 1.0), key=lambda it: (sharpness(it), -abs(it))
    )
    fine = coarse + np.arange(-4, 5) / 5
    return float(max(fine, key=lambda it: (sharpness(it), -abs(it))))


def _sharpness(positions: NDArray[np.float64]) -> float:
    """Sum of the squares of a histogram of 1 pixel's step: large where ink gathers in few bins."""
    counts = np.bincount(np.floor(positions - positions.min()).astype(np.intp))
    return float(np.square(counts.astype(np.float64)).sum())


def _turned(strength: NDArray[np.float32], degrees: float) -> NDArray[np.float32]:
    if degrees == 0:
        return strength
    turned = Image.fromarray(strength).rotate(
        degrees, Image.Resampling.BICUBIC, expand=True, fillcolor=0
    )
    return np.maximum(np.asarray(turned), 0)


# Pieces and characters


def _without_small(pieces: Components, mask: NDArray[np.bool_]) -> Components:
    """The pieces without those smaller than any full stop, which is a third of a stroke wide."""
    smallest = stroke_width(mask) / 3
    boxes = pieces.boxes
    sides = np.maximum(boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1])
    kept = sides >= min(smallest, sides.max())
    numbers = np.append(0, np.where(kept, np.cumsum(kept), 0)).astype(np.int32)
    return Components(numbers[pieces.labels], boxes[kept], pieces.areas[kept])


def _check_one_line(pieces: Components, mask: NDArray[np.bool_], what: str) -> None:
    """Raise ImageError if there are two lines: two bands of rows with paper between them, each of
    them much higher than a stroke.
    """
    rows = (pieces.labels > 0).any(axis=1).astype(np.int8)
    edges = np.flatnonzero(np.diff(np.concatenate([[0], rows, [0]])))
    heights = edges[1::2] - edges[::2]
    high = heights >= max(4 * stroke_width(mask), 0.4 * heights.max())
    if np.count_nonzero(high) > 1:
        raise ImageError(
            f"The {what} holds {np.count_nonzero(high)} lines; cut it into pictures of one line "
            "each."
        )


def _pixels(pieces: Components, group: Sequence[int]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Rows and columns of the pixels of some pieces."""
    left, top, right, bottom = _around(pieces.boxes[group])
    window = pieces.labels[top:bottom, left:right]
    rows, columns = np.nonzero(np.isin(window, np.asarray(group) + 1))
    return rows + top, columns + left


def _leaning(pieces: Components, group: Sequence[int], lean: float) -> tuple[float, float]:
    """Left and right end of some pieces, measured across lines that lean by `lean`."""
    rows, columns = _pixels(pieces, group)
    positions = columns + rows * lean
    return float(positions.min()), float(positions.max()) + 1


def _characters(pieces: Components, lean: float) -> list[list[int]]:
    """Which pieces make each character, by their numbers; characters from left to right."""
    rows, columns = np.nonzero(pieces.labels)
    numbers = pieces.labels[rows, columns] - 1
    positions = columns + rows * lean
    count = len(pieces.areas)
    left, right = np.full(count, np.inf), np.full(count, -np.inf)
    np.minimum.at(left, numbers, positions)
    np.maximum.at(right, numbers, positions + 1)
    groups = [[piece] for piece in np.argsort(left, kind="stable").tolist()]
    spans = [(float(left[group[0]]), float(right[group[0]])) for group in groups]
    place = 0
    while place + 1 < len(groups):
        if _share_width(spans[place], spans[place + 1]):
            groups[place] += groups.pop(place + 1)
            following = spans.pop(place + 1)
            spans[place] = (spans[place][0], max(spans[place][1], following[1]))
            place = max(0, place - 1)
        else:
            place += 1
    return _with_double_quotes(groups, pieces)


def _share_width(one: tuple[float, float], other: tuple[float, float]) -> bool:
    shared = min(one[1], other[1]) - max(one[0], other[0])
    return shared >= SHARED_WIDTH * min(one[1] - one[0], other[1] - other[0])


def _with_double_quotes(groups: list[list[int]], pieces: Components) -> list[list[int]]:
    """Join neighbours that are two short upright strokes at the top of the line, close together."""
    boxes = [_around(pieces.boxes[group]) for group in groups]
    capital = _capital_height(boxes)
    baseline = _baseline(boxes)

    def is_quote(box: Box) -> bool:
        left, top, right, bottom = box
        height = bottom - top
        return (
            0.15 * capital < height < 0.6 * capital
            and right - left < 0.9 * height
            and bottom < baseline - 0.4 * capital
        )

    joined = [groups[0]]
    open_quote = is_quote(boxes[0])
    for group, before, box in zip(groups[1:], boxes, boxes[1:], strict=False):
        quote = is_quote(box)
        near = box[0] - before[2] < 0.35 * capital
        level = abs(box[1] - before[1]) < 0.2 * capital
        if open_quote and quote and near and level:
            joined[-1] = joined[-1] + group
            open_quote = False
        else:
            joined.append(group)
            open_quote = quote
    return joined


def _around(boxes: NDArray[np.int64]) -> Box:
    left, top = boxes[:, :2].min(axis=0).tolist()
    right, bottom = boxes[:, 2:].max(axis=0).tolist()
    return left, top, right, bottom


# The line's measures


def _baseline(boxes: Sequence[Box]) -> float:
    """The row that most characters stand on: the median of where the characters end that are not
    small. Few reach below it, and those that hang at the top (quotes, carets) are small.
    """
    heights = [bottom - top for _, top, _, bottom in boxes]
    bottoms = [
        box[3] for box, height in zip(boxes, heights, strict=True) if height >= 0.4 * max(heights)
    ]
    return float(np.median(bottoms))


def _capital_height(boxes: Sequence[Box]) -> float:
    """The height of capitals and digits, which reach highest above the baseline. In a line without
    any of them the tallest character stands for one.
    """
    baseline = _baseline(boxes)
    heights = np.array([min(bottom, baseline) - top for _, top, _, bottom in boxes])
    return float(np.median(heights[heights >= 0.8 * heights.max()]))


def _spaces(spans: Sequence[tuple[float, float]], capital: float) -> list[bool]:
    """Whether a space stands before each character, from where the characters begin and end."""
    gaps = np.array([after[0] - before[1] for before, after in pairwise(spans)])
    if not len(gaps):
        return [False]
    usual = float(np.quantile(gaps, 0.4))
    threshold = max(usual, 0.0) * 1.3 + SPACE * capital
    return [False, *(gaps > threshold).tolist()]


# Back to pictures


def _alone(
    level: NDArray[np.float32], pieces: Components, group: Sequence[int], box: Box
) -> NDArray[np.float32]:
    """The ink of one character in its box and two pixels around, without that of others."""
    left, top, right, bottom = box
    window = np.s_[max(0, top - 2) : bottom + 2, max(0, left - 2) : right + 2]
    labels = pieces.labels[window]
    mine = np.isin(labels, np.asarray(group) + 1)
    # The soft edges of strokes lie outside of the mask; they belong to the piece beside them.
    near = mine.copy()
    for _ in range(2):
        grown = np.pad(near, 1)
        near = (
            grown[1:-1, 1:-1]
            | grown[:-2, 1:-1]
            | grown[2:, 1:-1]
            | grown[1:-1, :-2]
            | grown[1:-1, 2:]
        )
    return np.where(near & (mine | (labels == 0)), level[window], np.float32(0))


def _box_in_picture(
    pixels: tuple[NDArray[np.intp], NDArray[np.intp]],
    level_shape: tuple[int, ...],
    ink: Ink,
    tilt_degrees: float,
) -> Box:
    """The box around (row, column) pixels of the levelled ink, in the picture as it was given."""
    height, width = ink.strength.shape
    rows = pixels[0] + 0.5 - level_shape[0] / 2
    columns = pixels[1] + 0.5 - level_shape[1] / 2
    sine, cosine = np.sin(np.radians(tilt_degrees)), np.cos(np.radians(tilt_degrees))
    back_columns = columns * cosine - rows * sine + width / 2
    back_rows = columns * sine + rows * cosine + height / 2
    (left, right), (top, bottom) = (
        (
            max(0, round(float(centres.min()) - 0.5)) * ink.reduction,
            min(side, round(float(centres.max()) + 0.5)) * ink.reduction,
        )
        for centres, side in ((back_columns, width), (back_rows, height))
    )
    return left, top, right, bottom
