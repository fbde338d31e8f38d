"""Values of a source as bits, and its sums as sums of integers over bits.

A signal that takes a few values is a base and steps up or down from it, each of them switched by
one bit: -1 and +1 are `-1 + 2 b`, four levels are three bits. So a sum over such values is

    sum_i W[j, i] x[i] = unit[j] * (sum_k w[j, k] b[k] + offset[j])

with integers w, exactly where weights and steps are small integers times a unit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stepnet.errors import FormatError
from stepnet.formats.levels import RELATIVE_TOLERANCE, multiples, row_multiples, to_halves
from stepnet.formats.source import Sums
from stepnet.formats.staircase import FAR

LARGEST_WEIGHT = 128
"""What the weights of 8 bits reach in size."""

SIGNIFICAND = 2.0**-24
"""Half a unit in the last place of a float32 number near 1."""

SHOWN_WEIGHTS = 4


@dataclass(frozen=True, eq=False)
class Bits:
    """The values of a signal: `base[i]` and the `jump[k]` of every bit k with `owner[k] == i`.

    base: (values,) float64. owner: (bits,), jump: (bits,) float64, not 0.
    """

    base: NDArray[np.float64]
    owner: NDArray[np.intp]
    jump: NDArray[np.float64]

    @property
    def largest(self) -> NDArray[np.float64]:
        """A bound for the size of each value: (values,)."""
        reach = np.abs(self.base)
        np.add.at(reach, self.owner, np.abs(self.jump))
        return reach


@dataclass(frozen=True, eq=False)
class IntegerSums:
    """Sums of a source in the form `unit[j] * (rows[j] @ bits + offset[j])`.

    rows: (n_out, bits) int64. unit, offset: (n_out,) float64.
    error: (n_out,) how far the source's own sums may be from that, because it rounds each addition
    to float32; 0 where every one of them is exact.
    """

    rows: NDArray[np.int64]
    unit: NDArray[np.float64]
    offset: NDArray[np.float64]
    error: NDArray[np.float64]

    @property
    def lowest(self) -> NDArray[np.int64]:
        """The lowest sum of each row over any bits."""
        return np.minimum(self.rows, 0).sum(axis=1)

    @property
    def highest(self) -> NDArray[np.int64]:
        """The highest sum of each row over any bits."""
        return np.maximum(self.rows, 0).sum(axis=1)

    def turned(self, which: NDArray[np.bool_]) -> IntegerSums:
        """These sums with the rows that `which` marks turned round, and their units with them."""
        sign = np.where(which, -1, 1)
        return IntegerSums(
            self.rows * sign[:, np.newaxis], self.unit * sign, self.offset * sign, self.error
        )


def integer_sums(sums: Sums, bits: Bits, *, as_they_are: bool) -> IntegerSums:
    """What the sums are over the bits below them.

    as_they_are: whether weights that are integers stay so, even if a larger unit is possible.

    Raises FormatError if the weights are not few levels.
    """
    weights = sums.weights.astype(np.float64)
    error = _rounding(sums.weights, bits)
    if as_they_are and np.all(weights == np.rint(weights)) and np.all(bits.jump == 1):
        rows = weights[:, bits.owner].astype(np.int64)
        return IntegerSums(rows, np.ones(len(rows)), weights @ bits.base, error)
    found = row_multiples(weights, LARGEST_WEIGHT)
    if isinstance(found, int):
        raise _too_many_levels(sums, found)
    # A level is rounded as a whole, so that the step between two is less sure than its own size.
    tolerance = float(bits.largest.max(initial=0)) * RELATIVE_TOLERANCE
    steps = multiples(bits.jump, tolerance=tolerance)
    if steps is not None:
        rows = found.integers[:, bits.owner] * steps.integers
        unit = found.units * steps.unit
        offset = found.integers @ to_halves(bits.base / steps.unit)
    else:
        # Each input has a scale of its own; together with the weights they may still be even.
        scaled = row_multiples(weights[:, bits.owner] * bits.jump, LARGEST_WEIGHT)
        if isinstance(scaled, int):
            raise _too_many_levels(sums, scaled)
        rows, unit = scaled
        offset = to_halves(weights @ bits.base / unit)
    divisor = np.maximum(np.gcd.reduce(rows, axis=1), 1)
    return IntegerSums(rows // divisor[:, np.newaxis], unit * divisor, offset / divisor, error)


def _too_many_levels(sums: Sums, row: int) -> FormatError:
    values = np.unique(np.abs(sums.weights[row]))[:SHOWN_WEIGHTS]
    shown = ", ".join(f"{value:.6g}" for value in values)
    return FormatError(
        f"The weights of {sums.label} are no integers of up to 8 bits times a scale: neuron {row} "
        f"has {shown} and more; quantise them when training, to 1 to 8 bits."
    )


def _rounding(weights: NDArray[np.floating[Any]], bits: Bits) -> NDArray[np.float64]:
    """How far each sum may be from its exact value: (n_out,).

    0 where all products are multiples of one power of two and no sum of them needs more than 24
    bits of it. Else the bound of n additions in any order, each rounded (Higham, Accuracy and
    Stability of Numerical Algorithms, section 4.2), to first order.
    """
    reach = np.abs(weights.astype(np.float64)) @ bits.largest
    quantum = _lowest_bit(weights) * _lowest_bit(np.concatenate([bits.base, bits.jump]))
    if reach.max(initial=0) <= FAR * quantum:
        return np.zeros(len(weights))
    return weights.shape[1] * SIGNIFICAND * reach


def _lowest_bit(values: NDArray[np.floating[Any]]) -> float:
    """The largest power of two that all of the values are multiples of."""
    distinct = np.unique(values).astype(np.float64)
    mantissa, exponent = np.frexp(distinct[distinct != 0])
    if not mantissa.size:
        return 1.0
    whole = np.ldexp(np.abs(mantissa), 53).astype(np.int64)
    lowest = (whole & -whole).astype(np.float64)
    return float(np.ldexp(lowest, exponent - 53).min())


def within(rows: NDArray[np.int64], weight_bits: int) -> NDArray[np.bool_]:
    """Which weights a layer of so many bits holds; one bit means -1 and +1."""
    if weight_bits == 1:
        return np.abs(rows) == 1
    limit = 1 << weight_bits - 1
    return (rows >= -limit) & (rows < limit)


def bits_for(rows: NDArray[np.int64]) -> int | None:
    """The least bits of weight, 1 to 8, that hold the rows; None if they need more."""
    return next((bits for bits in range(1, 9) if within(rows, bits).all()), None)
