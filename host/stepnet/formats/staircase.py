"""Functions of an integer that take few values: where they step, and how far.

A batch normalisation and a quantiser behind a sum of integers are such a function. Where it steps
is found by asking the function itself, with the source's own rounding, so that a sum that falls
exactly on a threshold lands on the side where the source puts it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Function = Callable[[NDArray[Any]], NDArray[Any]]
"""From one integer for each neuron, (K, n), to one value for each, (K, n)."""

FAR = 1 << 24
"""Up to here float32 holds every integer."""

CHUNK = 1 << 20
"""Values that are looked at together."""

MAX_LOOKED_AT = 1 << 26
"""Values that are looked at in all."""


class Staircases(NamedTuple):
    """What n functions do between their lowest and their highest integer.

    first: (n,) the value at the lowest.
    neuron: (steps,) whose step it is, in rising order.
    threshold: (steps,) from which integer on it is taken, rising for each neuron.
    value: (steps,) from there on.
    """

    first: NDArray[Any]
    neuron: NDArray[np.intp]
    threshold: NDArray[np.int64]
    value: NDArray[Any]


def by_bisection(
    function: Function, lowest: NDArray[np.int64], highest: NDArray[np.int64], limit: int
) -> Staircases | None:
    """The staircases of functions that only rise or only fall; None if one has over `limit` steps.

    lowest, highest: (n,) of each neuron.
    """

    def at(sums: NDArray[np.int64]) -> NDArray[Any]:
        return function(sums[np.newaxis])[0]

    first, last = at(lowest), at(highest)
    here, value = lowest.copy(), first.copy()
    neurons: list[NDArray[np.intp]] = []
    thresholds: list[NDArray[np.int64]] = []
    values: list[NDArray[Any]] = []
    while (rising := value != last).any():
        if len(neurons) == limit:
            return None
        below, above = here.copy(), np.where(rising, highest, here)
        while (above - below > 1).any():
            middle = (below + above) // 2
            same = at(middle) == value
            below, above = np.where(same, middle, below), np.where(same, above, middle)
        stepped = np.flatnonzero(rising)
        here, value = above, np.where(rising, at(above), value)
        neurons.append(stepped)
        thresholds.append(above[stepped])
        values.append(value[stepped])
    return _joined(first, neurons, thresholds, values)


def by_looking(
    function: Function, lowest: NDArray[np.int64], highest: NDArray[np.int64], limit: int
) -> Staircases | None:
    """The staircases of any functions, found by asking for every integer; None if one has over
    `limit` steps, or there are more than `MAX_LOOKED_AT` integers to ask for.
    """
    count = len(lowest)
    width = int((highest - lowest).max(initial=0)) + 1
    if width * count > MAX_LOOKED_AT:
        return None
    first = function(lowest[np.newaxis])[0]
    neurons: list[NDArray[np.intp]] = []
    thresholds: list[NDArray[np.int64]] = []
    values: list[NDArray[Any]] = []
    steps = np.zeros(count, np.int64)
    together = max(1, CHUNK // count)
    before = first[np.newaxis]
    for start in range(0, width, together):
        offsets = np.arange(start, min(start + together, width))[:, np.newaxis]
        asked = np.minimum(lowest + offsets, highest)
        found = function(asked)
        changed = found != np.concatenate([before, found[:-1]])
        steps += changed.sum(axis=0)
        if steps.max() > limit:
            return None
        where, whose = np.nonzero(changed)
        neurons.append(whose)
        thresholds.append(asked[where, whose])
        values.append(found[where, whose])
        before = found[-1:]
    return _joined(first, neurons, thresholds, values)


def _joined(
    first: NDArray[Any],
    neurons: list[NDArray[np.intp]],
    thresholds: list[NDArray[np.int64]],
    values: list[NDArray[Any]],
) -> Staircases:
    if not neurons:
        return Staircases(first, np.zeros(0, np.intp), np.zeros(0, np.int64), first[:0])
    whose = np.concatenate(neurons)
    order = np.argsort(whose, kind="stable")
    return Staircases(
        first, whose[order], np.concatenate(thresholds)[order], np.concatenate(values)[order]
    )
