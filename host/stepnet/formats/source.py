"""What a network of another tool computes: pixels, and in turn functions and sums.

    pixels -> function 0 -> sums 1 -> function 1 -> ... -> sums k -> function k -> scores

A *function* looks at one value at a time (a scale, a batch normalisation, a sign), with the numbers
and the rounding of the other tool. *Sums* are a matrix product with constant weights. A reader
builds this one `Signal` at a time; `Source.classes` runs it as it is, and `stepnet.formats.folding`
makes integers of it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stepnet.errors import FormatError
from stepnet.networks.reference import FLOAT32_EXACT

Array = NDArray[Any]
Pointwise = Callable[[Array], Array]
"""From values, an array (N, *shape), to values, an array (N, *another shape); each of the values
that come out depends on one that goes in."""

MAX_NEURONS = 4096
"""Inputs and neurons of the widest layer that any engine runs."""

PIXEL_RANGES = {"0..1": (0.0, 1.0), "0..255": (0.0, 255.0), "-1..1": (-1.0, 1.0)}
"""What a source may expect of a pixel: the values of grey 0, which is paper, and of grey 255."""

BATCH = 250
"""Images that are run together."""


@dataclass(frozen=True, eq=False)
class Pixels:
    """Where every signal begins: the pixels of one image.

    shape: of the source's input tensor, the batch of one included.
    dtype: of the values.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    label: str = "the image"

    @property
    def size(self) -> int:
        """How many pixels there are."""
        return math.prod(self.shape)


@dataclass(frozen=True, eq=False)
class Sums:
    """`sum_i weights[j, i] x[i]`, one of them for each neuron.

    below: the signal that x is; its values are counted row by row.
    weights: (n_out, n_in), real numbers.
    shape: in which the sums stand; n_out of them.
    label: of the node or module, for messages.
    """

    below: Signal
    weights: NDArray[np.floating[Any]]
    shape: tuple[int, ...]
    label: str

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of the sums."""
        return self.weights.dtype

    @property
    def size(self) -> int:
        """How many neurons there are."""
        return self.weights.shape[0]

    def over(self, values: Array) -> Array:
        """The sums over (N, n_in) values: (N, n_out) in their own type.

        They are added up in float64 and rounded once, because what the other tool's rounding of
        every addition comes to depends on the machine. Whole numbers that stay small are added up
        in float32, which gives the same sums in half the time.
        """
        reach = float(np.abs(values).max(initial=0)) * self._whole_reach
        is_whole = reach <= FLOAT32_EXACT and bool(np.all(values == np.rint(values)))
        dtype = np.float32 if is_whole else np.float64
        sums = values.astype(dtype) @ self.weights.T.astype(dtype, copy=False)
        return sums.astype(self.dtype)

    @cached_property
    def _whole_reach(self) -> float:
        """How far the sums over -1..1 reach, if all weights are whole numbers; else infinity."""
        if np.any(self.weights != np.rint(self.weights)):
            return math.inf
        return float(np.abs(self.weights.astype(np.float64)).sum(axis=1).max(initial=0))


def capitalised(label: str) -> str:
    """A label as a sentence begins with it."""
    return label[:1].upper() + label[1:]


@dataclass(frozen=True, eq=False)
class Signal:
    """Values that depend on the image: a function of pixels, or of sums.

    base: the pixels or sums.
    functions: one behind the other they lead from the base's values to these.
    sample: what they make of zeros, (1, *shape).
    origin: (size,) which pixel or sum each value belongs to, values counted row by row.
    is_monotone: whether each value only rises, or only falls, as its pixel or sum rises.
    label: of the last node or module, for messages.
    ranks_only: whether just the order of the values is right, as behind a softmax.
    """

    base: Pixels | Sums
    functions: tuple[Pointwise, ...]
    sample: Array
    origin: NDArray[np.intp]
    label: str
    is_monotone: bool = True
    ranks_only: bool = False

    @classmethod
    def of(cls, base: Pixels | Sums) -> Signal:
        """The pixels or sums themselves."""
        sample = np.zeros((1, *base.shape), base.dtype)
        return cls(base, (), sample, np.arange(base.size), base.label)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape in which the values of one image stand."""
        return self.sample.shape[1:]

    @property
    def size(self) -> int:
        """How many values an image has."""
        return len(self.origin)

    def apply(self, values: Array) -> Array:
        """What the functions make of pixels or sums: (N, *shape) of (N, *base.shape)."""
        for function in self.functions:
            values = function(values)
        return values

    def then(self, label: str, function: Pointwise, *, is_monotone: bool = True) -> Signal:
        """One more function, which leaves every value in its place.

        Raises FormatError if it makes more values of them, or NaN.
        """
        sample = function(self.sample)
        if sample.size != self.size:
            raise FormatError(
                f"{capitalised(label)} makes {sample.size} values of {self.size}; supported are "
                "functions of one value at a time."
            )
        _check_sample(label, sample)
        return replace(
            self,
            functions=(*self.functions, function),
            sample=sample,
            is_monotone=self.is_monotone and is_monotone,
            label=label,
        )

    def rearranged(self, label: str, move: Pointwise) -> Signal:
        """A signal of these values in other places or in another shape."""
        origin = move(self.origin.reshape(self.sample.shape)).reshape(-1)
        functions = (*self.functions, move)
        return replace(
            self, functions=functions, sample=move(self.sample), origin=origin, label=label
        )

    def stands_like(self, other: Signal) -> bool:
        """Whether two signals are functions of the same pixels or sums, value by value."""
        return (
            self.base is other.base
            and self.shape == other.shape
            and np.array_equal(self.origin, other.origin)
        )

    def joined(
        self, other: Signal, label: str, function: Callable[[Array, Array], Array]
    ) -> Signal:
        """A function of the values of two signals that `stands_like` tells to be alike."""

        def both(values: Array) -> Array:
            return function(self.apply(values), other.apply(values))

        sample = function(self.sample, other.sample)
        _check_sample(label, sample)
        return replace(
            self,
            functions=(both,),
            sample=sample,
            is_monotone=False,
            label=label,
        )

    def summed(
        self, label: str, weights: NDArray[np.floating[Any]], shape: tuple[int, ...]
    ) -> Signal:
        """The sums of these values with weights (n_out, size), in `shape`.

        Raises FormatError if a weight is not finite, or there are more than an engine takes.
        """
        if not np.isfinite(weights).all():
            raise FormatError(
                f"The weights of {label} hold a number that is not finite; train with a lower "
                "learning rate."
            )
        if max(weights.shape) > MAX_NEURONS:
            raise FormatError(
                f"{capitalised(label)} has {weights.shape[1]} inputs and {weights.shape[0]} "
                f"neurons; no engine takes more than {MAX_NEURONS} of either."
            )
        return Signal.of(Sums(self, weights, shape, label))


def _check_sample(label: str, sample: Array) -> None:
    if sample.dtype.kind == "f" and np.isnan(sample).any():
        raise FormatError(
            f"{capitalised(label)} gives NaN; it divides by 0, or holds a variance below 0."
        )


@dataclass(frozen=True, eq=False)
class Choice:
    """Which of the scores is the answer.

    largest: whether the largest wins, or the smallest.
    last_of_equals: whether the last one wins a tie, or the first.
    codes: what the answer is called, for each class in turn; None for its number.
    """

    largest: bool = True
    last_of_equals: bool = False
    codes: tuple[int, ...] | None = None

    def classes(self, scores: Array) -> NDArray[np.intp]:
        """The class of each row of scores: (N,) from (N, classes)."""
        ordered = scores[:, ::-1] if self.last_of_equals else scores
        found = ordered.argmax(axis=1) if self.largest else ordered.argmin(axis=1)
        return scores.shape[1] - 1 - found if self.last_of_equals else found


@dataclass(frozen=True, eq=False)
class Source:
    """A network of another tool, as it is.

    name: what to call it. tool: what made it, in a few words.
    scores: the last signal, whose values are the classes' scores.
    choice: how the scores become a class.
    pixel_range: one of `PIXEL_RANGES`, what the source expects of a pixel.
    notes: what is worth saying of how it was read, in sentences.
    """

    name: str
    tool: str
    scores: Signal
    choice: Choice = field(default_factory=Choice)
    pixel_range: str = "0..1"
    notes: tuple[str, ...] = ()

    @property
    def signals(self) -> list[Signal]:
        """Function 0, which begins at the pixels, to the last one, which gives the scores."""
        found = [self.scores]
        while isinstance(found[0].base, Sums):
            found.insert(0, found[0].base.below)
        return found

    @property
    def pixels(self) -> Pixels:
        """The pixels where the network begins."""
        base = self.signals[0].base
        assert isinstance(base, Pixels)
        return base

    def grey_values(self) -> Array:
        """What the source sees of each grey value: (256,) in its own type.

        Grey becomes a real number as image libraries do it, in float32: divided by 255, and from
        there to -1..1 by subtracting a half and dividing by it.
        """
        grey = np.arange(256, dtype=np.float32)
        low, high = PIXEL_RANGES[self.pixel_range]
        if high == 1:
            grey = grey / np.float32(255)
        if low == -1:
            grey = (grey - np.float32(0.5)) / np.float32(0.5)
        return grey.astype(self.pixels.dtype)

    def run(self, images: NDArray[np.uint8]) -> Array:
        """The scores of every image, as the source computes them: (N, classes).

        images: (N, pixels) grey values, at most as many as the source takes; the others see 0.
        """
        pixels = self.pixels
        seen = np.zeros((len(images), pixels.size), np.uint8)
        seen[:, : images.shape[1]] = images
        values = self.grey_values()[seen].reshape((len(images), *pixels.shape))
        for signal in self.signals:
            if isinstance(signal.base, Sums):
                sums = signal.base.over(values.reshape(len(images), -1))
                values = sums.reshape((len(images), *signal.base.shape))
            values = signal.apply(values)
        return values.reshape(len(images), -1)

    def classes(self, images: NDArray[np.uint8]) -> NDArray[np.intp]:
        """The class of every image: (N,). images: as in `run`."""
        starts = range(0, len(images), BATCH)
        return np.concatenate(
            [self.choice.classes(self.run(images[start : start + BATCH])) for start in starts]
        )
