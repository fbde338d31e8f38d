"""From the scores of classes to integers that rank them in the same way.

Readout `nearest` gives the class with the largest `rows[j] @ bits - threshold[j]`, and of those the
one whose row comes first. So a score

    scale * (rows[j] @ bits + offset[j])          one scale for all classes

is ranked exactly with `threshold[j] = -floor(offset[j])`: what is left of the offset is less than
1 and decides between equal integers only, which is what the order of the rows does. That covers
-1/+1 networks, whose offsets are halves, biases, and a norm that is the same for all classes.

Whether a ranking is the source's is not argued but tried: every score that a class can have is
computed as the source does it and compared with every other, ties included.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stepnet.formats.bits import LARGEST_WEIGHT, IntegerSums
from stepnet.formats.levels import multiples
from stepnet.formats.source import Choice, Signal
from stepnet.formats.staircase import Function
from stepnet.formats.steps import function_of

MAX_COMPARED = 1 << 23
"""Scores that are compared with each other."""

SAME_SCALE = 1e-4
"""Scales of classes that differ by less are taken for one and tried."""

FRACTION_BITS = 10
"""Parts of an offset below this many binary places are tried as rounding."""

COMMON_VALUES = 1001


@dataclass(frozen=True, eq=False)
class Ranking:
    """Rows for readout `nearest`.

    rows: (classes, inputs) int64, of any size. thresholds: (classes,) int64. Both stand by class.
    order: (classes,) in which they are to stand, because the first row wins a tie.
    is_exact: whether they rank every two scores as the source does.
    """

    rows: NDArray[np.int64]
    thresholds: NDArray[np.int64]
    order: NDArray[np.intp]
    is_exact: bool


@dataclass(frozen=True, eq=False)
class _Scores:
    """Scores that classes can have, all of them if there are not too many.

    klass, integer, score: (scores,) whose it is, of which integer sum, and how large, larger
    winning. is_complete: whether no score is left out.
    """

    klass: NDArray[np.intp]
    integer: NDArray[np.int64]
    score: NDArray[np.float64]
    is_complete: bool


@dataclass(frozen=True, eq=False)
class _Candidate:
    """`multiplier[j] * integer + offset[j]` as a class's score."""

    multiplier: NDArray[np.int64]
    offset: NDArray[np.float64]

    def thresholds(self) -> NDArray[np.int64]:
        return -np.floor(self.offset).astype(np.int64)

    def order(self, last_of_equals: bool) -> NDArray[np.intp]:
        """The class with the largest fraction first; of equal ones, which wins a tie."""
        number = np.arange(len(self.offset))
        return np.lexsort(
            (-number if last_of_equals else number, np.floor(self.offset) - self.offset)
        )


def rank(
    signal: Signal,
    sums: IntegerSums,
    dtype: np.dtype[Any],
    choice: Choice,
    *,
    as_they_are: bool,
) -> Ranking | None:
    """Integers that rank the classes as the source does; None if the scores are not linear enough
    to try any.

    as_they_are: whether an offset that all classes share stays.
    """
    function = function_of(signal, sums, dtype)
    scores = _scores(function, sums, choice)
    for candidate in _candidates(signal, sums, dtype, choice, scores, as_they_are=as_they_are):
        if _agrees(candidate, scores, choice):
            rows = sums.rows * candidate.multiplier[:, np.newaxis]
            order = candidate.order(choice.last_of_equals)
            return Ranking(rows, candidate.thresholds(), order, scores.is_complete)
    return None


def approximate(
    signal: Signal, sums: IntegerSums, dtype: np.dtype[Any], choice: Choice
) -> Ranking | None:
    """Integers that rank the classes nearly as the source does, scales of classes folded into
    weights of 8 bits; None if the scores do not grow with the sums."""
    scores = _scores(function_of(signal, sums, dtype), sums, choice)
    scale, mean_score, mean_integer = _lines(scores, len(sums.rows))
    largest = np.abs(scale).max()
    widest = np.abs(sums.rows).max(axis=1)
    if not largest or not np.isfinite(scale).all():
        return None
    room = (LARGEST_WEIGHT - 1) * largest / (np.abs(scale) * np.maximum(widest, 1)).max()
    factors = np.arange(1, int(room) + 1)
    if not factors.size:
        return None
    wanted = scale / largest * factors[:, np.newaxis]
    worst = (np.abs(np.rint(wanted) - wanted) / np.maximum(np.abs(wanted), 0.5)).max(axis=1)
    factor = int(factors[np.argmin(worst)])
    multiplier = np.rint(scale / largest * factor).astype(np.int64)
    offset = mean_score / largest * factor - multiplier * mean_integer
    candidate = _Candidate(multiplier, offset)
    rows = sums.rows * multiplier[:, np.newaxis]
    order = candidate.order(choice.last_of_equals)
    return Ranking(rows, candidate.thresholds(), order, is_exact=False)


def _scores(function: Function, sums: IntegerSums, choice: Choice) -> _Scores:
    lowest, highest = sums.lowest, sums.highest
    width = int((highest - lowest).max()) + 1
    most = max(2, MAX_COMPARED // len(lowest))
    if width <= most:
        offsets = np.arange(width)
    else:
        offsets = np.unique(np.linspace(0, width - 1, most).astype(np.int64))
    integer = lowest + offsets[:, np.newaxis]
    is_reached = integer <= highest
    score = function(np.minimum(integer, highest)).astype(np.float64)
    klass = np.broadcast_to(np.arange(len(lowest)), integer.shape)
    sign = 1 if choice.largest else -1
    return _Scores(klass[is_reached], integer[is_reached], sign * score[is_reached], width <= most)


def _lines(
    scores: _Scores, classes: int
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """The line through each class's scores: how steep, mean score, mean integer."""
    slope, mean_score, mean_integer = (np.zeros(classes) for _ in range(3))
    for number in range(classes):
        own = scores.klass == number
        integer, score = scores.integer[own], scores.score[own]
        if len(integer) > 1:
            slope[number] = (score[-1] - score[0]) / (integer[-1] - integer[0])
        mean_score[number], mean_integer[number] = score.mean(), integer.mean()
    return slope, mean_score, mean_integer


def _candidates(
    signal: Signal,
    sums: IntegerSums,
    dtype: np.dtype[Any],
    choice: Choice,
    scores: _Scores,
    *,
    as_they_are: bool,
) -> Iterator[_Candidate]:
    """What is worth trying, the simplest first."""
    classes = len(sums.rows)
    units = multiples(sums.unit)
    if not as_they_are and units is not None and _is_common(signal, sums, dtype):
        # The function does the same to every class, so it drops out, and what is left is exact.
        slope = _lines(scores, classes)[0]
        sign = np.sign(slope[np.argmax(np.abs(slope))] * units.integers[np.argmax(np.abs(slope))])
        multiplier = units.integers * int(sign)
        yield _Candidate(multiplier, multiplier * sums.offset)
    slope, mean_score, mean_integer = _lines(scores, classes)
    largest = np.abs(slope).max()
    if not largest or not np.isfinite(slope).all():
        return
    ratio = multiples(slope, LARGEST_WEIGHT, tolerance=float(largest) * SAME_SCALE)
    if ratio is None:
        return
    multiplier, unit = ratio
    offset = mean_score / unit - multiplier * mean_integer
    rounded = np.rint(np.ldexp(offset, FRACTION_BITS))
    yield _Candidate(multiplier, np.ldexp(rounded, -FRACTION_BITS))
    yield _Candidate(multiplier, offset)


def _is_common(signal: Signal, sums: IntegerSums, dtype: np.dtype[Any]) -> bool:
    """Whether the function does the same to every class."""
    ends = sums.unit * (np.stack([sums.lowest, sums.highest]) + sums.offset)
    values: Any = np.linspace(float(ends.min()), float(ends.max()), COMMON_VALUES)
    every: Any = np.repeat(values[:, np.newaxis], len(sums.rows), axis=1).astype(dtype)
    found = signal.apply(every.reshape((COMMON_VALUES, *signal.base.shape)))
    flat = found.reshape(COMMON_VALUES, -1)
    return bool(np.all(flat == flat[:, :1]))


def _agrees(candidate: _Candidate, scores: _Scores, choice: Choice) -> bool:
    """Whether it ranks every two scores of different classes as the source does."""
    place = np.argsort(candidate.order(choice.last_of_equals))[scores.klass]
    integer = candidate.multiplier[scores.klass] * scores.integer
    key = integer - candidate.thresholds()[scores.klass]
    tie = scores.klass if choice.last_of_equals else -scores.klass
    ranked = np.lexsort((integer, tie, scores.score))
    key, place, klass = key[ranked], -place[ranked], scores.klass[ranked]
    rises = (key[1:] > key[:-1]) | ((key[1:] == key[:-1]) & (place[1:] > place[:-1]))
    # Scores of one class are never compared, but what lies between them is.
    rises |= (klass[1:] == klass[:-1]) & (key[1:] == key[:-1])
    return bool(rises.all())
