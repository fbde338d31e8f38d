"""What the rows of a layer's arrays hold: its weights, and its thresholds where they are rows too.

A comparator asks whether a current is positive, so the threshold goes to the other side of the
inequality, and to the middle between two sums, where noise has as far to go either way:

    sum_i w[j, i] a[i] >= t[j]   where   sum_i w[j, i] a[i] + (1/2 - t[j]) > 0

The number in parentheses is spread over further rows whose input is always 1. All that are needed
hold the largest weight, which fades most evenly, and the last of them what is left. These rows
stand evenly between the others, so that wires weaken them as much.

Some neurons answer the same whatever their inputs, such as those of bits that all characters share.
As weights they may be small ones, which cells hold badly; so they get none, and thresholds as far
from 0 as the rows allow.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stepnet.networks.network import Layer


@dataclass(frozen=True, eq=False)
class Rows:
    """A layer as rows of weights.

    weights: (rows, n_out) float32, in units of the layer's weights.
    inputs: (rows,) int, the input that drives each row; n_in for a row that is always on.
    largest: the magnitude of weight that the largest conductance stands for.
    """

    weights: NDArray[np.float32]
    inputs: NDArray[np.intp]
    largest: int


def limits(layer: Layer) -> NDArray[np.float32]:
    """The sums halfway between those at which neurons fire and those at which they do not:
    (n_out,).
    """
    _, limit = _without_constant_neurons(layer)
    return limit


def weight_rows(layer: Layer) -> Rows:
    """The rows of the weights alone, for thresholds outside the array."""
    weights, _ = _without_constant_neurons(layer)
    return Rows(
        weights=weights.T,
        inputs=np.arange(layer.n_in),
        largest=_largest(layer),
    )


def rows_with_thresholds(layer: Layer) -> Rows:
    """The rows of weights and thresholds; see the module."""
    largest = _largest(layer)
    weights, limit = _without_constant_neurons(layer)
    count = int(np.ceil(np.abs(limit).max() / largest))
    filled = np.abs(limit) - largest * np.arange(count, dtype=np.float32)[:, np.newaxis]
    threshold_rows = -np.sign(limit) * filled.clip(0, largest)
    places = np.arange(count) * (layer.n_in + count) // count
    always_on = np.zeros(layer.n_in + count, dtype=np.bool_)
    always_on[places] = True
    rows = np.empty((layer.n_in + count, layer.n_out), dtype=np.float32)
    rows[always_on] = threshold_rows
    rows[~always_on] = weights.T
    inputs = np.full(layer.n_in + count, layer.n_in)
    inputs[~always_on] = np.arange(layer.n_in)
    return Rows(rows, inputs, largest)


def _without_constant_neurons(
    layer: Layer,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Weights, (n_out, n_in), and limits, (n_out,); see the module."""
    weights = layer.weights.astype(np.float32)
    halfway = layer.thresholds.astype(np.float32) - np.float32(0.5)
    always = weights.clip(max=0).sum(axis=1) > halfway
    never = weights.clip(min=0).sum(axis=1) < halfway
    constant = always | never
    weights[constant] = 0
    farthest = max(_largest(layer), np.abs(halfway[~constant]).max(initial=0))
    return weights, np.where(always, -farthest, np.where(never, farthest, halfway))


def _largest(layer: Layer) -> int:
    """1 for a layer whose weights are all 0, which holds whatever it is divided by."""
    return max(1, int(np.abs(layer.weights.astype(np.int16)).max()))
