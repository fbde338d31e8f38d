"""Finds the sheet of paper in a picture that shows more than it: a desk, a scanner's lid.

`find_page` says which pixels are the sheet, `continued` lets its paper go on beyond its edges, so
that a picture of a sheet on a desk becomes one of paper alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from stepnet.pictures.outlines import filled, four_cornered, hull_of
from stepnet.pictures.pieces import Components, label

MIN_SIDE = 48
"""The shorter side of pictures, in pixels, in which a sheet is sought."""

SMALL_SIDE = 200
"""The longer side, at most, of the small picture on which the sheet is sought."""

THIN = 5
"""Rules up to half as many pixels of the small picture wide do not part a sheet."""

MAX_SLOPE = 9
"""How many grey levels neighbours on a sheet differ by at most, in the small picture. Shadows are
softer, and the edge of a sheet is sharper."""

MIN_PART = 0.15
"""The part of the picture that a sheet covers at least."""

FOUR_CORNERED = 0.94
"""The part of a sheet's outline that lies within its four corners, at least. Of an ellipse it is
0.64."""

MAX_INK = 0.4
"""The part of a sheet that its ink may cover."""

MIN_INK = 0.001
"""The part of a sheet that its ink covers at least."""

WHOLE = 0.995
"""A sheet that covers as much of the picture, or more, is all of it."""

PAPER_DIFFERENCE = 15
"""How many grey levels what lies beyond the sheet differs from it by at least."""

PAPER_PART = 0.35
"""The part of what lies beyond that may differ by less and still be no paper."""

Mask = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class _Sheet:
    """What may be a sheet: its outline, all within it, and the part of that which is not paper."""

    outline: NDArray[np.int64]
    within: Mask
    ink: float

    @property
    def four_cornered(self) -> bool:
        return four_cornered(self.outline) >= FOUR_CORNERED


def find_page(grey: NDArray[np.float32]) -> Mask | None:
    """Which pixels of (H, W) grey values are the sheet, (H, W) bool; None if all of them are.

    A sheet is a part of the picture that is smooth, and sharply bounded where it does not reach the
    picture's border. It is the largest such part; or one with four corners that has something on
    it, where the largest has nothing on it but that sheet.
    """
    if min(grey.shape) < MIN_SIDE:
        return None
    reduction = -(-max(grey.shape) // SMALL_SIDE)
    levels = Image.fromarray(np.rint(np.clip(grey, 0, 255)).astype(np.uint8))
    small = levels.reduce(reduction).filter(ImageFilter.MedianFilter(THIN))
    pieces = label(_smooth(np.asarray(small).astype(np.int16)))
    large = np.flatnonzero(pieces.areas >= MIN_PART * pieces.labels.size * (1 - MAX_INK))
    if not len(large):
        return None
    sheets = [_sheet(pieces, number) for number in large[np.argsort(-pieces.areas[large])]]
    page = sheets[0]
    for sheet in sheets[1:]:
        around = sheet.within & page.within
        on_it = around.sum() >= 0.9 * sheet.within.sum()
        if sheet.four_cornered and MIN_INK < sheet.ink < MAX_INK and (on_it or page.ink < MIN_INK):
            page = sheet
    if page.within.mean() >= WHOLE or page.within.mean() < MIN_PART:
        return None
    if page.ink < MIN_INK:
        return None
    seen = np.asarray(small).astype(np.float32)
    inside = page.within | _paper_beyond(seen, page.within)
    if inside.mean() >= WHOLE:
        return None
    height, width = grey.shape
    large = Image.fromarray(inside).convert("L").resize((width, height), Image.Resampling.NEAREST)
    return np.asarray(large.filter(ImageFilter.MinFilter(2 * reduction + 1))) > 0


def _paper_beyond(small: NDArray[np.float32], within: Mask) -> Mask:
    """The parts beyond a sheet's outline that are paper as well, as behind thick rules."""
    beyond = ~within
    like = np.abs(small - continued(small, within)) <= PAPER_DIFFERENCE
    like |= np.abs(small - np.median(small[within])) <= PAPER_DIFFERENCE
    pieces = label(beyond)
    total = np.bincount(pieces.labels[beyond], minlength=len(pieces.areas) + 1)
    alike = np.bincount(pieces.labels[beyond & like], minlength=len(pieces.areas) + 1)
    return (alike > PAPER_PART * total)[pieces.labels] & beyond


def continued(grey: NDArray[np.float32], known: Mask) -> NDArray[np.float32]:
    """(H, W) grey values where they are `known`, and beyond what is nearest of them, smoothly."""
    if known.all():
        return grey
    if not known.any():
        return np.zeros_like(grey)
    height, width = grey.shape
    even = ((0, height % 2), (0, width % 2))
    weight = np.pad(known.astype(np.float32), even)
    part = _halved(weight)
    sums = _halved(np.pad(grey, even) * weight)
    coarse = continued(np.divide(sums, part, out=np.zeros_like(sums), where=part > 0), part > 0)
    large = Image.fromarray(coarse).resize(
        (width + width % 2, height + height % 2), Image.Resampling.BILINEAR
    )
    return np.where(known, grey, np.asarray(large)[:height, :width])


def _halved(values: NDArray[np.float32]) -> NDArray[np.float32]:
    return values.reshape(values.shape[0] // 2, 2, values.shape[1] // 2, 2).mean(axis=(1, 3))


def _smooth(small: NDArray[np.int16]) -> Mask:
    smooth = np.ones(small.shape, dtype=np.bool_)
    down, along = np.abs(np.diff(small, axis=0)), np.abs(np.diff(small, axis=1))
    smooth[1:] &= down <= MAX_SLOPE
    smooth[:-1] &= down <= MAX_SLOPE
    smooth[:, 1:] &= along <= MAX_SLOPE
    smooth[:, :-1] &= along <= MAX_SLOPE
    return smooth


def _sheet(pieces: Components, number: int) -> _Sheet:
    paper = pieces.labels == number + 1
    outline = hull_of(paper)
    within = filled(outline, paper.shape) | paper
    holes = label(within & ~paper)
    # What reaches the outline is no ink, but the outline itself.
    inner = Image.fromarray(within).convert("L").filter(ImageFilter.MinFilter(5))
    rim = within & ~(np.asarray(inner) > 0)
    at_rim = np.zeros(len(holes.areas) + 1, dtype=np.bool_)
    at_rim[holes.labels[rim]] = True
    inside = holes.areas[~at_rim[1:]].sum()
    return _Sheet(outline, within, float(inside / within.sum()))
