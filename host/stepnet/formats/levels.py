"""Real numbers that are small integers times one unit, and the integers back.

Tools store weights and activations of few bits as real numbers with a scale: `0.3 * q`, rounded to
float32. What counts for an integer network is `q`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

LARGEST = 255
"""The largest integer that is looked for: a number of 8 bits without a sign."""

RELATIVE_TOLERANCE = 2.0**-22
"""A product of two float32 numbers, each rounded, is this near to what is meant (IEEE 754: half a
unit in the last place of 24 bits for each of them and for the product)."""


class Multiples(NamedTuple):
    """`integers * unit`, with the largest unit that does."""

    integers: NDArray[np.int64]
    unit: float


def multiples(
    values: NDArray[Any], largest: int = LARGEST, tolerance: float = 0.0
) -> Multiples | None:
    """The numbers as integers, at most `largest` in size, times a unit; None if they are not so.

    values: of any shape, finite. tolerance: how far each may be off, beside its own rounding.
    """
    numbers = values.astype(np.float64)
    distinct = np.unique(numbers)
    sizes = np.abs(distinct[distinct != 0])
    if not sizes.size:
        return Multiples(np.zeros(values.shape, np.int64), 1.0)
    smallest, greatest = sizes.min(), sizes.max()
    allowed = np.abs(distinct) * RELATIVE_TOLERANCE + tolerance
    for divisor in range(1, largest + 1):
        first = unit = float(smallest) / divisor
        if greatest / first > largest + 0.5:
            return None
        integers = np.rint(distinct / first)
        if np.any(distinct != integers * first):
            # Every number was rounded by itself: the best unit is that of all of them.
            unit = float(distinct @ integers / (integers @ integers))
        if np.all(np.abs(distinct - integers * unit) <= allowed):
            return Multiples(np.rint(numbers / first).astype(np.int64), unit)
    return None


class RowMultiples(NamedTuple):
    """`integers[j] * units[j]` for each row j of a matrix."""

    integers: NDArray[np.int64]
    units: NDArray[np.float64]


def row_multiples(matrix: NDArray[Any], largest: int = LARGEST) -> RowMultiples | int:
    """The rows as integers of at most `largest` in size, times one unit for all rows if that does,
    else one for each row; see `multiples`.

    Returns the number of a row that is not so if there is one.
    """
    together = multiples(matrix, largest)
    if together is not None:
        return RowMultiples(together.integers, np.full(len(matrix), together.unit))
    integers = np.zeros(matrix.shape, np.int64)
    units = np.ones(len(matrix))
    for number, row in enumerate(matrix):
        found = multiples(row, largest)
        if found is None:
            return number
        integers[number], units[number] = found
    return RowMultiples(integers, units)


def to_halves(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The numbers, and those that are a multiple of 1/2 but for rounding exactly that."""
    halves = np.rint(2 * values) / 2
    near = np.abs(values - halves) <= (1 + np.abs(values)) * 2 * RELATIVE_TOLERANCE
    return np.where(near, halves, values)
