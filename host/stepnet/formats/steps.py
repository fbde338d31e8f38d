"""From sums and the function behind them to step neurons: thresholds, turned rows, more neurons.

A neuron whose function takes k steps becomes k step neurons with the same weights.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stepnet.errors import FormatError
from stepnet.formats.bits import LARGEST_WEIGHT, Bits, IntegerSums, bits_for, within
from stepnet.formats.source import MAX_NEURONS, Array, Signal, capitalised
from stepnet.formats.staircase import (
    FAR,
    MAX_LOOKED_AT,
    Function,
    Staircases,
    by_bisection,
    by_looking,
)

MAX_STEPS = 255
"""Steps of one neuron's function: what 8 bits without a sign can tell apart."""


@dataclass(frozen=True, eq=False)
class StepNeurons:
    """A layer of step neurons before it has its final type.

    rows: (neurons, inputs) int64. thresholds: (neurons,) int64. bits: what the neurons' outputs
    mean. undecided: how many thresholds lie so near to a sum that the source's rounding decides.
    """

    rows: NDArray[np.int64]
    thresholds: NDArray[np.int64]
    bits: Bits
    undecided: int

    def repeated(self, copies: NDArray[np.int64]) -> StepNeurons:
        """This layer with every neuron as often as `copies` says; what its bits mean stays that of
        one."""
        return StepNeurons(
            np.repeat(self.rows, copies, axis=0),
            np.repeat(self.thresholds, copies),
            self.bits,
            self.undecided,
        )


def function_of(signal: Signal, sums: IntegerSums, dtype: np.dtype[Any]) -> Function:
    """What the source makes of the integer sums: from (K, n) to (K, n), neuron by neuron."""
    place = np.argsort(signal.origin)

    def function(integers: NDArray[np.int64] | NDArray[np.float64]) -> Array:
        values = (sums.unit * (integers + sums.offset)).astype(dtype)
        found = signal.apply(values.reshape((len(integers), *signal.base.shape)))
        return found.reshape(len(integers), -1)[:, place]

    return function


def step_neurons(signal: Signal, sums: IntegerSums, dtype: np.dtype[Any]) -> StepNeurons:
    """The step neurons of a layer whose function takes few values.

    Raises FormatError if the function takes more than `MAX_STEPS` steps, or makes more
    neurons than an engine takes.
    """
    sums = _rising(signal, sums, dtype)
    function = function_of(signal, sums, dtype)
    found = _staircases(signal, function, sums)
    undecided = _undecided(function, sums, found)
    found = _with_constants(found, sums)
    if len(found.neuron) > MAX_NEURONS:
        raise FormatError(
            f"{capitalised(signal.label)} takes so many values that its {len(found.first)} neurons "
            f"become {len(found.neuron)} step neurons; no engine takes more than {MAX_NEURONS}, "
            "use activations of fewer bits."
        )
    first = found.first.astype(np.float64)
    starts = np.flatnonzero(np.diff(found.neuron, prepend=-1))
    before = np.concatenate([first[:1], found.value[:-1].astype(np.float64)])
    before[starts] = first[found.neuron[starts]]
    # The signal's values may stand in another order than its sums.
    bits = Bits(
        first[signal.origin],
        np.argsort(signal.origin)[found.neuron],
        found.value.astype(np.float64) - before,
    )
    return StepNeurons(sums.rows[found.neuron], found.threshold, bits, undecided)


def _rising(signal: Signal, sums: IntegerSums, dtype: np.dtype[Any]) -> IntegerSums:
    """The sums with those rows turned round whose function falls, where that takes no more bits."""
    function = function_of(signal, sums, dtype)
    first = function(sums.lowest[np.newaxis])[0]
    last = function(sums.highest[np.newaxis])[0]
    needed = bits_for(sums.rows)
    if needed is None:
        return sums
    turnable = within(-sums.rows, needed).all(axis=1)
    return sums.turned(np.asarray(last < first) & turnable)


def _staircases(signal: Signal, function: Function, sums: IntegerSums) -> Staircases:
    lowest, highest = sums.lowest, sums.highest
    if signal.is_monotone:
        # Thresholds that no sum reaches stay what they are, if all neurons have only one.
        far = np.full(len(lowest), FAR, np.int64)
        found = by_bisection(function, -far, far, 1)
        if found is None:
            found = by_bisection(function, lowest, highest, MAX_STEPS)
    else:
        if (int((highest - lowest).max(initial=0)) + 1) * len(lowest) > MAX_LOOKED_AT:
            raise FormatError(
                f"The function of {signal.label} may rise and fall, and its sums reach too far "
                "to try them all; use a sign, a quantiser or thresholds."
            )
        found = by_looking(function, lowest, highest, MAX_STEPS)
    if found is None:
        raise FormatError(
            f"{capitalised(signal.label)} gives values of more than {MAX_STEPS + 1} levels; put a "
            "sign or a quantiser of few bits behind it, as in QuantIdentity(bit_width=2)."
        )
    return found


def _with_constants(found: Staircases, sums: IntegerSums) -> Staircases:
    """The staircases with one step neuron more, which always or never fires, for each neuron that
    has no step.

    It steps as far as its neighbours, so that the weights behind it need not be another kind.
    """
    constant = np.setdiff1d(np.arange(len(found.first)), found.neuron)
    if not constant.size:
        return found
    first = found.first.astype(np.float64)
    starts = np.flatnonzero(np.diff(found.neuron, prepend=-1))
    lower = first[found.neuron[starts]]
    jumps = found.value[starts].astype(np.float64) - lower
    jump = float(np.unique(jumps)[0]) if jumps.size else 1.0
    always = np.isin(first[constant] - jump, lower) & ~np.isin(first[constant], lower)
    threshold = np.where(always, sums.lowest[constant], sums.highest[constant] + 1)
    base = first.copy()
    base[constant[always]] -= jump
    neuron = np.concatenate([found.neuron, constant])
    order = np.argsort(neuron, kind="stable")
    return Staircases(
        base,
        neuron[order],
        np.concatenate([found.threshold, threshold])[order],
        np.concatenate([found.value.astype(np.float64), base[constant] + jump])[order],
    )


def _undecided(function: Function, sums: IntegerSums, found: Staircases) -> int:
    """How many thresholds may be elsewhere if every sum is off by as much as rounding allows."""
    error = sums.error / np.abs(sums.unit)
    whose = np.flatnonzero(error[found.neuron] > 0)
    if not whose.size:
        return 0
    count = 0
    steps = np.diff(np.append(np.flatnonzero(np.diff(found.neuron, prepend=-1)), len(found.neuron)))
    rank = np.arange(len(found.neuron)) - np.repeat(np.cumsum(steps) - steps, steps)
    for number in range(int(steps.max(initial=0))):
        # One step of each neuron at a time, as the function takes one sum of each.
        now = np.flatnonzero(rank == number)
        neuron = found.neuron[now]
        at = np.zeros(len(found.first))
        at[neuron] = found.threshold[now]
        reached = np.isin(np.arange(len(at)), neuron) & (at > sums.lowest) & (at <= sums.highest)
        exact = function(np.stack([at, at - 1]))
        shaken = function(np.stack([at - error, at - 1 + error]))
        count += int(((exact != shaken).any(axis=0) & reached).sum())
    return count


def copies_for(rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """How often each input of rows has to be there so that all weights fit 8 bits: (inputs,)."""
    positive = -(-rows.max(axis=0, initial=0) // (LARGEST_WEIGHT - 1))
    negative = -(rows.min(axis=0, initial=0) // LARGEST_WEIGHT)
    return np.maximum(np.maximum(positive, negative), 1)


def shared_out(rows: NDArray[np.int64], copies: NDArray[np.int64]) -> NDArray[np.int64]:
    """The rows for inputs that are there several times: each copy takes its share of a weight."""
    share = rows // copies
    left = rows - share * copies
    again = np.repeat(np.arange(len(copies)), copies)
    number = np.arange(len(again)) - np.repeat(np.cumsum(copies) - copies, copies)
    return share[:, again] + (number < left[:, again])
