"""What the rows of a layer's arrays hold: its weights, and its thresholds where they are rows too.

A comparator asks whether a current is positive, so the threshold goes to the other side of the
inequality, and to the middle between two sums, where noise has as far to go either way:

    sum_i w[j, i] a[i] >= t[j]   where   sum_i w[j, i] a[i] - (t[j] - 1/2) > 0

The number in parentheses, the limit, is spread over further rows whose input is always 1. All that
are needed hold the largest weight, which fades most evenly, and the last of them what is left.
These rows stand evenly between the others, so that wires weaken them as much.

Some neurons answer the same whatever their inputs, such as those of bits that all characters share.
Their weights may be small ones, which cells hold badly; so they get none, and limits as far from 0
as those of the others.

Where neurons are compared with each other, under readout nearest, it does not matter where all
limits lie together; they lie around 0, and every neuron keeps its weights.
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
    limits: (n_out,) float32, the sums of all rows above which neurons fire, or which are taken off
    before neurons are compared; 0 where they are rows.
    farthest_limit: the magnitude of the farthest limit, wherever it is held.
    largest: the magnitude of weight that the largest conductance stands for.
    """

    weights: NDArray[np.float32]
    inputs: NDArray[np.intp]
    limits: NDArray[np.float32]
    farthest_limit: float
    largest: int

    @classmethod
    def of_weights(cls, layer: Layer, compared: bool = False) -> Rows:
        """The rows of the weights alone, for limits outside the array.

        compared: whether the neurons are compared with each other.
        """
        weights, limits = _held(layer, compared)
        farthest = float(np.abs(limits).max())
        return cls(weights.T, np.arange(layer.n_in), limits, farthest, _largest(layer))

    @classmethod
    def with_thresholds(cls, layer: Layer, compared: bool = False) -> Rows:
        """The rows of weights and limits; see `of_weights`."""
        weights, limits = _held(layer, compared)
        largest = _largest(layer)
        farthest = float(np.abs(limits).max())
        count = int(np.ceil(farthest / largest))
        filled = np.abs(limits) - largest * np.arange(count, dtype=np.float32)[:, np.newaxis]
        always_on = np.zeros(layer.n_in + count, dtype=np.bool_)
        always_on[np.arange(count) * (layer.n_in + count) // max(1, count)] = True
        rows = np.empty((layer.n_in + count, layer.n_out), dtype=np.float32)
        rows[always_on] = -np.sign(limits) * filled.clip(0, largest)
        rows[~always_on] = weights.T
        inputs = np.full(layer.n_in + count, layer.n_in)
        inputs[~always_on] = np.arange(layer.n_in)
        return cls(rows, inputs, np.zeros_like(limits), farthest, largest)


def _held(layer: Layer, compared: bool) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The weights and the limits that are held for a layer, (n_out, n_in) and (n_out,); see the
    module.
    """
    weights = layer.weights.astype(np.float32)
    thresholds = layer.thresholds.astype(np.float32)
    if compared:
        return weights, thresholds - (thresholds.max() + thresholds.min()) / 2
    limits = thresholds - np.float32(0.5)
    always = weights.clip(max=0).sum(axis=1) > limits
    never = weights.clip(min=0).sum(axis=1) < limits
    constant = always | never
    weights[constant] = 0
    farthest = max(_largest(layer), np.abs(limits[~constant]).max(initial=0))
    return weights, np.where(always, -farthest, np.where(never, farthest, limits))


def _largest(layer: Layer) -> int:
    """1 for a layer whose weights are all 0, which holds whatever it is divided by."""
    return max(1, int(np.abs(layer.weights.astype(np.int16)).max()))
