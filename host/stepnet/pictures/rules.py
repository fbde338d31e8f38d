"""Takes printed rules and squares out of the ink: straight lines across the whole sheet.

`without_rules` finds lines that run from one edge to the opposite one, nearly level or nearly
upright, and much thinner than the picture is wide. Where ink crosses a rule it stays.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stepnet.pictures.pieces import label

MIN_SIDE = 48
"""The shorter side of pictures, in pixels, in which rules are sought."""

MIN_INK = 0.04
"""The part of the full contrast that a rule has at least."""

MAX_WIDTH = 1 / 45
"""The widest rule, in parts of the picture's shorter side."""

MAX_DEGREES = 10
"""How steeply rules may climb or fall."""

COVERED = 0.6
"""The part of its length, as far as no ink hides it, that is seen of a rule."""

SEEN = 0.3
"""The part of its length that no ink hides."""

END = 1 / 12
"""How near to both edges a rule has to be seen, in parts of its length."""

MAX_ANGLES = 4
"""How many angles rules of one direction may have: a margin line need not be square to the rest."""

MIN_LENGTH = 1 / 12
"""The length of a rule that a corner of the sheet cuts off, in parts of the longest, at least."""

STRONGER = 1.6
"""What is as many times as strong as the rule on which it lies is ink."""

REMAINS_INK = 0.1
"""The part of the full contrast from which on a pixel belongs to what may remain of a rule."""

SMALL_AREA = 0.1
"""The area of such a piece, in parts of the largest piece's."""

Array = NDArray[np.float32]
Mask = NDArray[np.bool_]


def without_rules(strength: Array, page: Mask | None = None) -> tuple[Array, float]:
    """(H, W) strength of the ink without rules, and that of the strongest rule; 0 if there is none.

    page: which pixels are the sheet, whose edges the rules reach; all of them if None.
    """
    if min(strength.shape) < MIN_SIDE:
        return strength, 0.0
    known = np.ones(strength.shape, dtype=np.bool_) if page is None else page
    if not _reaches_edges(strength, known):
        return strength, 0.0
    strongest = 0.0
    for _ in range(2):  # level, then upright
        for _ in range(MAX_ANGLES):
            strength, found = _without_level(strength, known)
            strongest = max(strongest, found)
            if not found:
                break
        strength, known = np.ascontiguousarray(strength.T), known.T
    return strength, strongest


def without_remains(strength: Array, strongest_rule: float) -> Array:
    """(H, W) strength of the ink without the pieces that are left of rules: beside the largest
    piece those that are no stronger than a rule, and small ones on the border. If the largest is no
    stronger than a rule itself, only small ones and those on the border are."""
    mask = strength >= REMAINS_INK * strength.max()
    pieces = label(mask)
    if not len(pieces.areas):
        return strength
    weights = np.bincount(pieces.labels[mask] - 1, strength[mask])
    peaks = np.zeros(len(pieces.areas), dtype=np.float32)
    np.maximum.at(peaks, pieces.labels[mask] - 1, strength[mask])
    height, width = strength.shape
    left, top, right, bottom = pieces.boxes.T
    at_border = (left <= 1) | (top <= 1) | (right >= width - 1) | (bottom >= height - 1)
    main = int(weights.argmax())
    small = pieces.areas < SMALL_AREA * pieces.areas[main]
    weak = peaks <= STRONGER * strongest_rule
    remains = (weak & (small | at_border | (not weak[main]))) | (small & at_border)
    remains[main] = False
    return np.where(np.append(False, remains)[pieces.labels], np.float32(0), strength)


def _reaches_edges(strength: Array, known: Mask) -> bool:
    """Whether something reaches opposite edges of the sheet."""
    mask = (strength >= MIN_INK * strength.max()) & known
    near = max(2, round(min(strength.shape) * END))
    for points, sheet in ((mask, known), (mask.T, known.T)):
        lines = np.flatnonzero(sheet.any(axis=1))
        if points[lines[0] : lines[0] + near].any() and points[lines[-1] - near :].any():
            return True
    return False


@dataclass(frozen=True)
class _Band:
    """The rows that a rule takes in the levelled picture, and its strength."""

    first: int
    last: int
    strength: float


def _without_level(strength: Array, known: Mask) -> tuple[Array, float]:
    """The ink without rules that are nearly level, and the strength of the strongest of them."""
    most = max(3, round(MAX_WIDTH * min(strength.shape)))
    thin = _thin(strength >= MIN_INK * strength.max(), most) & known
    angle = _angle(thin)
    height, width = strength.shape
    columns = np.arange(width, dtype=np.intp)
    slopes = columns.astype(np.float64) * float(np.tan(angle))
    shifts = np.rint(slopes).astype(np.intp)
    shifts -= shifts.min()
    room = int(shifts.max())
    rows = np.arange(height, dtype=np.intp)[:, np.newaxis] + (room - shifts)

    def levelled(values: NDArray[Any]) -> NDArray[Any]:
        moved = np.zeros((height + room, width), dtype=values.dtype)
        moved[rows, columns] = values
        return moved

    flat = levelled(strength)
    bands = _bands(flat, levelled(thin), levelled(known), most)
    for band in bands:
        _take_out(flat, band)
    if not bands:
        return strength, 0.0
    return flat[rows, columns], max(band.strength for band in bands)


def _thin(mask: Mask, most: int) -> Mask:
    """The pixels of a mask that lie in upright runs of at most `most`."""
    height, width = mask.shape
    padded = np.zeros((height + 2, width), dtype=np.int8)
    padded[1:-1] = mask
    edges = np.diff(padded, axis=0).T
    columns, starts = np.nonzero(edges == 1)
    _, ends = np.nonzero(edges == -1)
    short = ends - starts <= most
    marks = np.zeros((height + 1, width), dtype=np.int8)
    marks[starts[short], columns[short]] += 1
    marks[ends[short], columns[short]] -= 1
    return np.cumsum(marks, axis=0)[:-1] > 0


def _angle(thin: Mask, most_points: int = 30_000) -> float:
    """The angle in radians at which rows gather thin pixels most sharply."""
    rows, columns = np.nonzero(thin)
    step = -(-len(rows) // most_points) or 1
    rows, columns = rows[::step].astype(np.float64), columns[::step].astype(np.float64)
    if not len(rows):
        return 0.0
    width = thin.shape[1]
    best, reach = 0.0, float(np.radians(MAX_DEGREES))
    for parts in (20, 5, 5):
        tried: list[float] = (best + np.linspace(-reach, reach, 2 * parts + 1)).tolist()
        spread = max(1.0, width * reach / parts / 2)

        def sharpness(angle: float, spread: float = spread) -> tuple[float, float]:
            places = (rows - columns * np.tan(angle)) / spread
            counts = np.bincount((places - places.min()).astype(np.intp))
            return float(np.square(counts.astype(np.float64)).sum()), -abs(angle)

        best = max(tried, key=sharpness)
        reach = reach / parts
    return best


def _bands(flat: Array, thin: Mask, known: Mask, most: int) -> list[_Band]:
    """The rules of a levelled picture."""
    inked = flat >= MIN_INK * flat.max()
    seen = _widened(thin)
    hidden = _widened(inked & ~thin) & ~seen
    length = known.sum(axis=1)
    free = (known & ~hidden).sum(axis=1)
    covered = (seen & known & ~hidden).sum(axis=1)
    is_rule = (free >= SEEN * length) & (covered >= COVERED * free)
    least = MIN_LENGTH if (is_rule & (length >= 0.5 * length.max())).any() else 0.5
    is_rule &= length >= max(2, least * length.max())
    edges = np.flatnonzero(np.diff(np.concatenate([[0], is_rule.astype(np.int8), [0]])))
    bands: list[_Band] = []
    for first, end in zip(edges[::2], edges[1::2], strict=True):
        middle = int(first + np.argmax(covered[first:end]))
        if _reaches_both_ends(seen[middle] | hidden[middle], known[middle]):
            rows = np.s_[max(0, first) : end]
            peak = np.where(thin[rows], flat[rows], 0).max(axis=0)
            if (peak > 0).any():
                level = float(np.median(peak[peak > 0]))
                bands.append(_Band(int(first), int(end) - 1, level))
    return bands


def _widened(mask: Mask) -> Mask:
    wide = mask.copy()
    wide[1:] |= mask[:-1]
    wide[:-1] |= mask[1:]
    return wide


def _reaches_both_ends(seen: Mask, known: Mask) -> bool:
    columns = np.flatnonzero(known)
    near = max(2, round(len(columns) * END))
    return bool(seen[columns[:near]].any() and seen[columns[-near:]].any())


def _take_out(flat: Array, band: _Band) -> None:
    """Replace a rule by what lies above and below it, unless it is much stronger than the rule."""
    above, below = max(0, band.first - 1), min(len(flat) - 1, band.last + 1)
    rows = flat[above : below + 1]
    part = np.linspace(0, 1, len(rows), dtype=np.float32)[:, np.newaxis]
    between = flat[above] * (1 - part) + flat[below] * part
    if band.first == 0:
        between = np.broadcast_to(flat[below], rows.shape)
    elif band.last == len(flat) - 1:
        between = np.broadcast_to(flat[above], rows.shape)
    weak = rows <= STRONGER * band.strength
    rows[:] = np.where(weak, np.minimum(rows, between), rows)
