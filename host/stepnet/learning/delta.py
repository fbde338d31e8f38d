"""The delta rule: learning without a gradient, in integers, with numpy alone.

A step has no slope, so nothing is differentiated here. Instead: adjust the weights up or down by a
fixed amount, in proportion to their contribution to the error. For one image, with activations `a`
of 0 and 1, weights `w` and thresholds `t`, all integers:

1.  Forward. Neuron j is at a distance d from its threshold, and fires if that is not negative:

        d[j] = sum_i w[j,i] a[i] - t[j]
        y[j] = 1 if d[j] >= 0 else 0

2.  Error at the output. Neuron k belongs to a bit of the character's code and should fire
    (u[k] = +1) or be silent (u[k] = -1). It is corrected if it is wrong, and also if it is right by
    less than a margin, so that the next change elsewhere does not make it wrong:

        e[k] = u[k] if u[k] d[k] < margin else 0

3.  Error of hidden neurons. What neuron j contributed to the errors is the sum of the weights over
    which it feeds them. Had it fired, sums with e = +1 would gain w[k,j], those with e = -1 lose
    it; so the sign says what it should have done:

        u[j] = sign(sum_k e[k] w[k,j])

    But only neurons near their threshold take this blame. Those far from it would need a large
    change, which would disturb what they do for other images (minimal disturbance):

        e[j] = u[j] if |d[j]| < near else 0

    With more hidden layers, step 3 is repeated downwards.

4.  Fixed steps. Every error is a vote, for each weight whose input was active, to move it up or
    down, and for the threshold to move the other way. Votes are counted; `needed` votes for one
    direction move a weight by exactly 1, and start again from 0:

        votes_w[j,i] += e[j] a[i]
        votes_t[j]   -= e[j]

    A weight at the end of its range stays there. `needed` grows from pass to pass, so steps become
    rarer rather than smaller.

Images are taken in small batches, so that the sums are matrix products: all images of a batch see
the same weights. Before each batch the images are moved by up to one pixel each way.

Relatives. With one layer and no margin this is the perceptron rule (F. Rosenblatt, "The perceptron:
a probabilistic model for information storage and organization in the brain", Psychological Review
65, 1958). Blaming hidden neurons near their threshold first is the minimal disturbance principle
(B. Widrow and M. A. Lehr, "30 years of adaptive neural networks: perceptron, Madaline, and
backpropagation", Proceedings of the IEEE 78, 1990). Madaline Rule II (R. Winter and B. Widrow,
"Madaline Rule II: a training algorithm for neural networks", ICNN 1988) flips such a neuron to see
whether that helps, where this rule asks the weights above it.

Numbers are integers throughout. They are kept in floating point, where integers of this size are
exact and matrix products fast, so a seed gives the same network on every processor.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import isqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stepnet.data.sets import Dataset
from stepnet.learning.config import Config, Progress
from stepnet.learning.learner import State, random_state, restore_random
from stepnet.learning.targets import Targets
from stepnet.networks import reference
from stepnet.networks.network import Layer, Network
from stepnet.networks.reference import FLOAT32_EXACT

Integers = NDArray[np.floating[Any]]
"""Integers, held exactly in a float type."""

BATCH = 32
"""Images that see the same weights."""

NEAR = 2
"""How near its threshold a hidden neuron takes blame, in spreads of its first sums."""

MARGIN = 4
"""How far from its threshold an output neuron is left alone, likewise."""

FIRST_NEEDED = 32
"""Votes that move a weight in the first pass, for initial weights of +-1."""

LAST_NEEDED_RATIO = 32
"""How many times more votes than in the first pass it takes in the last."""

SHIFT_PIXELS = 1
"""How far images are moved before each batch; more than the margins of MNIST would wrap ink."""

HALVING_IMAGES = 1000
"""Images from which the first thresholds are taken."""


class StepNeurons:
    """One layer under training: integer weights and thresholds, and the votes to change them."""

    def __init__(
        self, n_in: int, n_out: int, weight_bits: int, random: np.random.Generator
    ) -> None:
        self.weight_bits = weight_bits
        self.limit = (1 << weight_bits - 1) - 1
        # Well inside the range, so that there is room to learn.
        self.start = max(2, self.limit // 16)
        # About the standard deviation of its sums, where a fifth of the inputs is active.
        self.spread = self.start * isqrt(n_in) // 4
        dtype = np.float32 if n_in * self.limit <= FLOAT32_EXACT else np.float64
        weights = random.integers(-self.start, self.start, (n_out, n_in), endpoint=True)
        self.weights: Integers = weights.astype(dtype)
        self.thresholds: Integers = np.zeros(n_out, dtype)
        self.weight_votes = np.zeros_like(self.weights)
        self.threshold_votes = np.zeros_like(self.thresholds)

    def halve(self, activations: Integers) -> None:
        """Set the thresholds so that each neuron fires for about half of these inputs."""
        self.thresholds = np.floor(np.median(activations @ self.weights.T, axis=0))

    def distances(self, activations: Integers) -> Integers:
        """`sum_i w[j,i] a[i] - t[j]`: (N, n_out) from (N, n_in)."""
        return activations @ self.weights.T - self.thresholds

    def vote(self, errors: Integers, activations: Integers, votes_needed: int) -> None:
        """Count the votes of a batch and take the steps for which there are enough."""
        self.weight_votes += errors.T @ activations
        self.threshold_votes -= errors.sum(axis=0)
        needed = votes_needed // self.start
        self.weights += _steps(self.weight_votes, needed)
        self.weights.clip(-self.limit, self.limit, out=self.weights)
        self.thresholds += _steps(self.threshold_votes, needed)

    def arrays(self) -> dict[str, Integers]:
        """Everything that changes while learning, by name; the arrays themselves."""
        return {
            "weights": self.weights,
            "thresholds": self.thresholds,
            "weight_votes": self.weight_votes,
            "threshold_votes": self.threshold_votes,
        }

    def export(self) -> Layer:
        """The same integers as a layer of a network."""
        return Layer(
            self.weights.astype(np.int8), self.thresholds.astype(np.int32), self.weight_bits
        )


class DeltaLearner:
    """The rule at work on all of `dataset`; see `stepnet.learning.learner.Learner`.

    The loss it tells is the wrong bits per image.
    """

    def __init__(self, config: Config, dataset: Dataset) -> None:
        self.config = config
        self.random = np.random.default_rng(config.seed)
        self.targets = Targets.of(config.readout, dataset.alphabet)
        self.pixels: NDArray[np.bool_] = reference.ink(dataset.images, config.ink_threshold)
        indices = self.targets.indices(dataset.labels)
        self.wanted = self.targets.wanted[indices][:, self.targets.trained_rows]
        _, height, width = self.pixels.shape
        self.layers = [
            StepNeurons(n_in, n_out, weight_bits, self.random)
            for n_in, n_out, weight_bits in zip(
                (height * width, *config.hidden),
                (*config.hidden, self.wanted.shape[1]),
                config.bits_per_layer,
                strict=True,
            )
        ]
        _halve_thresholds(self.layers, self.pixels[:HALVING_IMAGES].reshape(-1, height * width))

    def learn(self, epoch: int) -> Iterator[Progress]:
        """One pass."""
        count, height, width = self.pixels.shape
        needed = _votes_needed(epoch, self.config.epochs)
        wrong_bits, right, seen = 0, 0, 0
        for batch in np.array_split(self.random.permutation(count), -(-count // BATCH)):
            shifted = _shift(self.pixels[batch], self.random).reshape(len(batch), height * width)
            wrong = _learn(self.layers, shifted, self.wanted[batch], needed)

            seen += len(batch)
            wrong_bits += int(wrong.sum())
            right += int((~wrong.any(axis=1)).sum())
            yield Progress(
                epoch=epoch,
                epochs=self.config.epochs,
                images_done=(epoch - 1) * count + seen,
                images_total=self.config.epochs * count,
                loss=wrong_bits / seen,
                accuracy=right / seen,
            )

    def _arrays(self) -> dict[str, Integers]:
        return {
            f"layer_{number}_{name}": array
            for number, layer in enumerate(self.layers)
            for name, array in layer.arrays().items()
        }

    def state(self) -> State:
        """See `Learner.state`."""
        arrays = {name: array.copy() for name, array in self._arrays().items()}
        return {**arrays, "random": random_state(self.random)}

    def restore(self, state: State) -> None:
        """See `Learner.restore`."""
        for name, array in self._arrays().items():
            array[...] = state[name]
        restore_random(self.random, state["random"])

    def export(self, name: str) -> Network:
        """The network as it stands."""
        *hidden, last = [layer.export() for layer in self.layers]
        _, height, width = self.pixels.shape
        return Network(
            name=name,
            layers=(*hidden, self.targets.complete(last)),
            height=height,
            width=width,
            ink_threshold=self.config.ink_threshold,
            readout=self.config.readout,
            alphabet=self.targets.alphabet,
            code_prefix=self.targets.code_prefix,
        )


def _learn(
    layers: list[StepNeurons],
    pixels: NDArray[np.bool_],
    wanted: NDArray[np.int8],
    votes_needed: int,
) -> NDArray[np.bool_]:
    """Steps 1 to 4 for one batch; returns which of the wanted answers were wrong before it.

    pixels: (N, inputs). wanted: (N, rows) of +1, -1, and 0 where it does not matter.
    """
    inputs: list[Integers] = []
    distances: list[Integers] = []
    fires = pixels
    for layer in layers:
        inputs.append(fires.astype(layer.weights.dtype))
        distances.append(layer.distances(inputs[-1]))
        fires = distances[-1] >= 0

    *hidden, output = layers
    errors = np.where(wanted * distances[-1] < MARGIN * output.spread, wanted, 0).astype(
        output.weights.dtype
    )
    blame = errors @ output.weights
    output.vote(errors, inputs[-1], votes_needed)
    for number, layer in reversed(list(enumerate(hidden))):
        errors = np.sign(blame) * (np.abs(distances[number]) < NEAR * layer.spread)
        blame = errors @ layer.weights
        layer.vote(errors, inputs[number], votes_needed)
    return (wanted != 0) & (fires != (wanted > 0))


def _steps(votes: Integers, needed: int) -> Integers:
    """How far each weight moves: 1 for every `needed` votes, which are used up."""
    steps = np.trunc(votes / needed)
    votes -= steps * needed
    return steps


def _votes_needed(epoch: int, epochs: int) -> int:
    """From `FIRST_NEEDED`, multiplied by the same factor from pass to pass."""
    passed = (epoch - 1) / max(1, epochs - 1)
    return round(FIRST_NEEDED * LAST_NEEDED_RATIO**passed)


def _halve_thresholds(layers: list[StepNeurons], pixels: NDArray[np.bool_]) -> None:
    """Let each neuron start with firing for about half of these images."""
    fires = pixels
    for layer in layers:
        activations = fires.astype(layer.weights.dtype)
        layer.halve(activations)
        fires = layer.distances(activations) >= 0


def _shift(pixels: NDArray[np.bool_], random: np.random.Generator) -> NDArray[np.bool_]:
    """A batch of images moved together, by up to `SHIFT_PIXELS` each way, round the edges."""
    rows, columns = random.integers(-SHIFT_PIXELS, SHIFT_PIXELS, 2, endpoint=True)
    return np.roll(pixels, (rows, columns), axis=(1, 2))
