"""From a source to an integer network, layer by layer from the pixels to the scores.

Exact or refused: every threshold is where the source's own function steps, every ranking is tried
(`stepnet.formats.steps`, `stepnet.formats.ranking`). What cannot be exact with integers is marked,
and `stepnet.formats.agreement` says how often it matters.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stepnet.errors import FormatError
from stepnet.formats.bits import Bits, IntegerSums, bits_for, integer_sums
from stepnet.formats.ranking import Ranking, approximate, rank
from stepnet.formats.source import MAX_NEURONS, Choice, Signal, Source, Sums, capitalised
from stepnet.formats.steps import StepNeurons, copies_for, shared_out, step_neurons
from stepnet.networks.network import Layer

MAX_COPIES = 8
"""Neurons below a last layer are repeated up to so often before its weights are rounded instead."""


@dataclass(frozen=True, eq=False)
class FoldedPixels:
    """What the source sees of a pixel, as a bit.

    bits: the values of all pixels. used: how many of them the image has; the others are paper.
    ink_threshold: the one grey value from which on the source sees another value, the same for all
    pixels; None if there is none, so that a bit is less than the source sees.
    levels: the most values that any pixel takes as its grey rises from 0 to 255.
    steps: grey values at which some pixel's value changes.
    """

    bits: Bits
    used: int
    ink_threshold: int | None
    levels: int
    steps: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Folded:
    """An integer network before it has a name.

    layers: of step neurons; with a ranking the last one is one row per class.
    class_order: (rows,) which class each row of the last layer is, if there is a ranking.
    is_exact: whether every image of two values is read as the source reads it.
    undecided: thresholds so near to a sum that the source's own rounding decides there.
    scores_are_rounded: whether the source rounds its scores, so that it settles ties by chance.
    widened: for each layer, (neurons in the source, step neurons) where these are more.
    """

    layers: tuple[Layer, ...]
    class_order: NDArray[np.intp]
    is_exact: bool
    undecided: int
    scores_are_rounded: bool
    widened: tuple[tuple[int, int], ...]


def fold_pixels(source: Source, used: int) -> FoldedPixels:
    """What the source sees of the first `used` pixels, asked for every grey value.

    Raises FormatError if it sees no difference between paper and ink.
    """
    signal = source.signals[0]
    pixels = source.pixels
    grey = source.grey_values().reshape(-1, *([1] * len(pixels.shape)))
    shown = np.broadcast_to(grey, (256, *pixels.shape))
    values = signal.apply(shown).reshape(256, -1).astype(np.float64)
    changes = values[1:] != values[:-1]
    inside = signal.origin < used
    steps = np.flatnonzero(changes[:, inside].any(axis=1)) + 1
    if not steps.size:
        raise FormatError(
            f"The source sees no difference between paper and ink where pixels are "
            f"{source.pixel_range}; name another range, as with --pixels 0..255."
        )
    owner = np.flatnonzero(inside)
    owner = owner[np.argsort(signal.origin[owner])]
    low, high = values[0], values[255]
    single = steps.size == 1
    return FoldedPixels(
        Bits(low, owner, (high - low)[owner]),
        used,
        int(steps[0]) if single else None,
        int(changes[:, inside].sum(axis=0).max()) + 1,
        tuple(steps.tolist()),
    )


def fold(source: Source, pixels: FoldedPixels, *, own: bool, ranked: bool) -> Folded:
    """The integer network of a source, and how exact it is.

    own: whether weights and thresholds stay as they are wherever they are integers.
    ranked: whether the scores choose a class; else the last function's steps are the last layer.

    Raises FormatError for what integers cannot do.
    """
    signals = source.signals[1:]
    if not signals:
        raise FormatError(
            "The network has no layer with weights; supported are MatMul, Gemm, Linear and dense "
            "layers."
        )
    layers = _Layers(pixels.bits, own=own)
    for signal in signals[:-1] if ranked else signals:
        layers.add(signal)
    if not ranked:
        return layers.folded()
    return layers.ranked(signals[-1], source.choice)


class _Layers:
    """The layers so far, and the bits that the last of them gives."""

    def __init__(self, bits: Bits, *, own: bool) -> None:
        self._bits = bits
        self._own = own
        self._neurons: list[StepNeurons] = []
        self._widened: list[tuple[int, int]] = []

    def add(self, signal: Signal) -> None:
        """Append the step neurons that a function of sums is."""
        base = _base(signal)
        sums = self._sums(signal)
        rows = self._fitted(sums.rows, MAX_NEURONS)
        if rows is None:
            raise FormatError(
                f"The weights of {base.label} reach from {sums.rows.min()} to {sums.rows.max()}; "
                "supported are 1 to 8 bits, -128 to 127."
            )
        fitted = dataclasses.replace(sums, rows=rows)
        self._append(signal, step_neurons(signal, fitted, base.dtype))

    def ranked(self, last: Signal, choice: Choice) -> Folded:
        """The whole network, with the scores of the last layer as rows of readout `nearest`."""
        sums, label = self._sums(last), _base(last).label
        if not np.array_equal(last.origin, np.arange(last.size)):
            raise FormatError(
                f"The scores of {label} stand in another order than its neurons; export the "
                "network without moving its scores."
            )
        if last.size < 2:
            raise FormatError(
                f"{capitalised(label)} gives one score, which is no choice between characters; "
                "supported are networks with one score per class."
            )
        found = self._exactly_ranked(last, sums, choice)
        if found is None:
            rows = self._fitted(sums.rows, MAX_NEURONS)
            fitted = None if rows is None else dataclasses.replace(sums, rows=rows)
            ranking = fitted and approximate(last, fitted, _base(last).dtype, choice)
            if ranking is None:
                raise FormatError(
                    f"The scores of {label} cannot be ranked by weights of 8 bits; quantise its "
                    "weights to fewer bits, or let all classes share one scale."
                )
            found = ranking.rows, ranking
        rows, ranking = found
        order = ranking.order
        thresholds = ranking.thresholds[order]
        if not self._own:
            thresholds = _near_the_sums(rows, thresholds)
        top = _layer(rows[order], thresholds)
        return self.folded(top, order, ranking.is_exact, bool(sums.error.any()))

    def _exactly_ranked(
        self, last: Signal, sums: IntegerSums, choice: Choice
    ) -> tuple[NDArray[np.int64], Ranking] | None:
        """A ranking and its rows as they fit; None if there is none."""
        ranking = rank(last, sums, _base(last).dtype, choice, as_they_are=self._own)
        if ranking is not None:
            rows = self._fitted(ranking.rows, MAX_COPIES)
            return None if rows is None else (rows, ranking)
        stepped = self._stepped(last, sums)
        if stepped is None:
            return None
        neurons, added, identity = stepped
        ranking = rank(identity, added, _base(identity).dtype, choice, as_they_are=self._own)
        if ranking is None or np.any(copies_for(ranking.rows) > 1):
            return None
        self._append(last, neurons)
        return ranking.rows, ranking

    def folded(
        self,
        top: Layer | None = None,
        order: NDArray[np.intp] | None = None,
        is_exact: bool = True,
        scores_are_rounded: bool = False,
    ) -> Folded:
        """The whole network, with `top` as the last layer if there is one."""
        layers = [_layer(layer.rows, layer.thresholds) for layer in self._neurons]
        return Folded(
            tuple(layers if top is None else [*layers, top]),
            np.arange(0) if order is None else order,
            is_exact,
            sum(layer.undecided for layer in self._neurons),
            scores_are_rounded,
            tuple(self._widened),
        )

    def _append(self, signal: Signal, neurons: StepNeurons) -> None:
        self._neurons.append(neurons)
        self._widened.append((signal.size, len(neurons.rows)))
        self._bits = neurons.bits

    def _sums(self, signal: Signal) -> IntegerSums:
        """The integer sums over the bits so far."""
        return integer_sums(_base(signal), self._bits, as_they_are=self._own)

    def _fitted(self, rows: NDArray[np.int64], most_copies: int) -> NDArray[np.int64] | None:
        """Rows behind the last layer with weights of at most 8 bits, because neurons of that layer
        are repeated; None if that takes too many, or there is no layer."""
        copies = copies_for(rows)
        if np.all(copies == 1):
            return rows
        if not self._neurons or copies.max() > most_copies or copies.sum() > MAX_NEURONS:
            return None
        self._neurons[-1] = self._neurons[-1].repeated(copies)
        self._widened[-1] = (self._widened[-1][0], int(copies.sum()))
        return shared_out(rows, copies)

    def _stepped(
        self, last: Signal, sums: IntegerSums
    ) -> tuple[StepNeurons, IntegerSums, Signal] | None:
        """Scores of a few values as one more layer of step neurons, and the sums that add up what
        they mean; None if that is not possible."""
        base = _base(last)
        identity = Sums(last, np.eye(last.size, dtype=np.float32), last.shape, base.label)
        if np.any(copies_for(sums.rows) > 1):
            return None
        try:
            neurons = step_neurons(last, sums, base.dtype)
            added = integer_sums(identity, neurons.bits, as_they_are=False)
        except FormatError:
            return None
        return neurons, added, Signal.of(identity)


def _layer(rows: Any, thresholds: Any) -> Layer:
    """A layer with as few bits of weight as it needs, 8 if that is not enough; `Layer` checks."""
    return Layer(rows, thresholds, bits_for(rows) or 8)


def _near_the_sums(rows: NDArray[np.int64], thresholds: NDArray[np.int64]) -> NDArray[np.int64]:
    """The thresholds of a ranking, moved together if they are larger than any sum is."""
    if np.abs(thresholds).max() <= np.abs(rows).sum(axis=1).max():
        return thresholds
    return thresholds - (int(thresholds.max()) + int(thresholds.min())) // 2


def _base(signal: Signal) -> Sums:
    assert isinstance(signal.base, Sums)
    return signal.base
