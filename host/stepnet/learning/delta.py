"""The delta rule: learning without a gradient, in integers, with numpy alone.

`stepnet.learning.train` uses it for `rule="delta"`; `DeltaLearner` is the rule at work. A step has
no slope, so nothing is differentiated here. Instead: adjust the weights up or down by a fixed
amount, in proportion to their contribution to the error. For one image, with activations `a` of 0
and 1, weights `w` and thresholds `t`, all integers:

1.  Forward. The sum of neuron j exceeds its threshold by d[j]; it fires if that is not negative:

        d[j] = sum_i w[j,i] a[i] - t[j]
        y[j] = 1 if d[j] >= 0 else 0

2.  Error at the output. Neuron k belongs to a bit of the character's code and should fire
    (u[k] = +1) or be silent (u[k] = -1). It is corrected if it is wrong, and also if it is right
    but nearer to its threshold than `safe`, so that the next change elsewhere does not make it
    wrong:

        e[k] = u[k] if u[k] d[k] < safe else 0

3.  Error of hidden neurons. Neuron j contributed to the errors over the weights that lead from it
    to the neurons above. Had it fired, sums with e = +1 would have gained w[k,j], and sums with
    e = -1 would have lost it; so the sign of all that says what it should have done:

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

Relatives. With one layer and `safe` = 0 this is the perceptron rule (F. Rosenblatt, "The
perceptron: a probabilistic model for information storage and organization in the brain",
Psychological Review 65, 1958). Blaming hidden neurons near their threshold first is the minimal
disturbance principle (B. Widrow and M. A. Lehr, "30 years of adaptive neural networks: perceptron,
Madaline, and backpropagation", Proceedings of the IEEE 78, 1990). Madaline Rule II (R. Winter and
B. Widrow, "Madaline Rule II: a training algorithm for neural networks", ICNN 1988) flips such a
neuron to see whether that helps, where this rule asks the weights above it.

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
"""Arrays of integers, held exactly in a float type."""

BATCH = 32
"""How many images see the same weights."""

NEAR = 2
"""`near` of step 3, in spreads of a neuron's first sums."""

SAFE = 4
"""`safe` of step 2, in spreads of a neuron's first sums."""

FIRST_NEEDED = 32
"""How many votes move a weight in the first pass, where weights begin within -1 to 1; where they
begin n times as large, the nth part of it does."""

LAST_NEEDED_RATIO = 32
"""How many times as many votes it takes in the last pass as in the first."""

SHIFT_PIXELS = 1
"""How far images are moved before each batch. The paper around MNIST's characters is wide enough
for that; if they were moved farther, ink would come in again at the other side."""

HALVING_IMAGES = 1000
"""How many images the first thresholds are taken from."""


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

    def excess(self, activations: Integers) -> Integers:
        """By how much each sum exceeds its threshold, `sum_i w[j,i] a[i] - t[j]`: (N, n_out) from
        (N, n_in).
        """
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
        """The weights and thresholds as they stand, as a layer of a network."""
        return Layer(
            self.weights.astype(np.int8), self.thresholds.astype(np.int32), self.weight_bits
        )


class DeltaLearner:
    """The rule at work on all of `dataset`; see `stepnet.learning.learner.Learner`.

    The loss that it tells of is the number of wrong bits per image.
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
            alphabet=self.targets.answered,
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
    excess: list[Integers] = []
    fires = pixels
    for layer in layers:
        inputs.append(fires.astype(layer.weights.dtype))
        excess.append(layer.excess(inputs[-1]))
        fires = excess[-1] >= 0

    *hidden, output = layers
    errors = np.where(wanted * excess[-1] < SAFE * output.spread, wanted, 0).astype(
        output.weights.dtype
    )
    blame = errors @ output.weights
    output.vote(errors, inputs[-1], votes_needed)
    for number, layer in reversed(list(enumerate(hidden))):
        errors = np.sign(blame) * (np.abs(excess[number]) < NEAR * layer.spread)
        blame = errors @ layer.weights
        layer.vote(errors, inputs[number], votes_needed)
    return (wanted != 0) & (fires != (wanted > 0))


def _steps(votes: Integers, needed: int) -> Integers:
    """How far each weight moves: 1 for every `needed` votes, which are taken out of `votes`."""
    steps = np.trunc(votes / needed)
    votes -= steps * needed
    return steps


def _votes_needed(epoch: int, epochs: int) -> int:
    """How many votes move a weight in this pass: `FIRST_NEEDED` in the first, and from pass to pass
    more by the same factor.
    """
    passed = (epoch - 1) / max(1, epochs - 1)
    return round(FIRST_NEEDED * LAST_NEEDED_RATIO**passed)


def _halve_thresholds(layers: list[StepNeurons], pixels: NDArray[np.bool_]) -> None:
    """Let each neuron start with firing for about half of these images."""
    fires = pixels
    for layer in layers:
        activations = fires.astype(layer.weights.dtype)
        layer.halve(activations)
        fires = layer.excess(activations) >= 0


def _shift(pixels: NDArray[np.bool_], random: np.random.Generator) -> NDArray[np.bool_]:
    """A batch of images, all moved alike by up to `SHIFT_PIXELS` in each direction; what leaves at
    one edge comes in at the other.
    """
    rows, columns = random.integers(-SHIFT_PIXELS, SHIFT_PIXELS, 2, endpoint=True)
    return np.roll(pixels, (rows, columns), axis=(1, 2))
