"""Sigmoid networks: the ordinary kind, as a yardstick for step networks of the same shape.

They see the same binarised image and are read out in the same ways, but their hidden neurons answer
with real numbers, `a[j] = sigmoid(sum_i w[j, i] * a[i] + b[j])`, and all weights are real numbers
too.

Each has a twin in integers, which is what a chip with multipliers runs (docs/mac.md): 8-bit
weights, 8-bit activations. It is made from the trained network by rounding alone (after Jacob et
al., arXiv:1712.05877, section 2). For a layer with weights W and biases B whose inputs are in units
of 1/A (A = 1 for pixels, 255 behind a hidden layer):

    S = max(max |W| / 127, A max |B| / 2^30)        the value of one unit of weight; 1 for all zeros
    w = round(W / S)                                int8, -127 to 127
    t = round(-B A / S)                             int32
    k = 15 - e, within 0 to 62                      where 2^(e-1) <= 16 S / A < 2^e
    m = min(round(16 S / A * 2^k), 2^15)            16 bits

    a[j] = TABLE[clamp(128 + (m (sum_i w[j, i] a[i] - t[j]) >> k), 0, 255)]
    TABLE[i] = round(255 sigmoid((i - 127.5) / 16))

`round` goes to the even neighbour from halfway, `>>` rounds down. So the table has 16 entries for
each unit of the real sum, from -8 to 8, each for the middle of its interval. The last layer has no
table: the readout asks by how much each sum exceeds t, and a neuron fires where that is not
negative.
All this is arithmetic that IEEE 754 defines to the last bit, but for the table, whose entries are
far enough from halfway for any exponential function to round them to the same integers.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from stepnet.errors import NetworkError
from stepnet.networks.network import CharacterNetwork, Layer, check_shapes
from stepnet.networks.reference import binarise, excess, read_out

WEIGHT_BITS = 8
LARGEST_WEIGHT = 127
LARGEST_THRESHOLD = 1 << 30
ONE = 255
"""The activation that stands for 1."""

STEPS_PER_UNIT = 16
MULTIPLIER_BITS = 15
LARGEST_SHIFT = 62
"""The farthest shift: a multiplier times a sum of 32 bits stays within 63 bits, of which more would
leave nothing."""

TABLE = np.rint(ONE / (1 + np.exp((127.5 - np.arange(256)) / STEPS_PER_UNIT))).astype(np.uint8)
"""The sigmoid of the integer twin: (256,) uint8."""
TABLE.flags.writeable = False


@dataclass(frozen=True, eq=False)
class SigmoidLayer:
    """One layer of sigmoid neurons. Arrays are copied and made read-only.

    weights: (n_out, n_in) float32. biases: (n_out,) float32.

    Raises NetworkError if a shape or a type does not hold or a number is not finite.
    """

    weights: NDArray[np.float32]
    biases: NDArray[np.float32]

    def __post_init__(self) -> None:
        weights = _finite(self.weights, "weights")
        biases = _finite(self.biases, "biases")
        check_shapes(weights, biases, "biases", "one bias")
        weights.flags.writeable = False
        biases.flags.writeable = False
        object.__setattr__(self, "weights", weights)
        object.__setattr__(self, "biases", biases)

    @property
    def n_in(self) -> int:
        """How many inputs every neuron has."""
        return self.weights.shape[1]

    @property
    def n_out(self) -> int:
        """How many neurons the layer has."""
        return self.weights.shape[0]

    def sums(self, activations: NDArray[np.float32]) -> NDArray[np.float32]:
        """`sum_i w[j, i] * a[i] + b[j]`: (N, n_out) from (N, n_in)."""
        return activations @ self.weights.T + self.biases


class QuantisedLayer(NamedTuple):
    """A layer of the integer twin, see the module.

    step: weights w and thresholds t. multiplier, shift: m and k, from `sum - t` to the table's
    index; the last layer does not use them.
    """

    step: Layer
    multiplier: int
    shift: int


@dataclass(frozen=True, eq=False)
class SigmoidNetwork(CharacterNetwork[SigmoidLayer]):
    """A network of sigmoid neurons; see `CharacterNetwork` for its attributes.

    Its file holds the real weights; the integer twin follows from them.
    """

    kind: ClassVar[str] = "sigmoid"
    other_kinds: ClassVar[Mapping[str, str]] = dict.fromkeys(
        ("step", "lut", "relu", "spiking"),
        "not a sigmoid network; name one that `stepnet train --rule sigmoid` made.",
    )

    @property
    def weight_bits_total(self) -> int:
        """How many bits all weights of the integer twin take."""
        return sum(layer.weights.size * WEIGHT_BITS for layer in self.layers)

    @cached_property
    def twin(self) -> tuple[QuantisedLayer, ...]:
        """The layers of the integer twin."""
        first, *others = self.layers
        return (quantise(first, 1), *(quantise(layer, ONE) for layer in others))

    def _layer_entries(self) -> dict[str, Any]:
        return {"kind": self.kind, "layer_count": len(self.layers)}

    def _arrays(self) -> dict[str, NDArray[Any]]:
        arrays: dict[str, NDArray[Any]] = {}
        for number, layer in enumerate(self.layers):
            arrays[f"weights_{number}"] = layer.weights
            arrays[f"biases_{number}"] = layer.biases
        return arrays

    @classmethod
    def _take_layers(
        cls, header: dict[str, Any], arrays: Mapping[str, NDArray[Any]]
    ) -> tuple[SigmoidLayer, ...]:
        return tuple(
            SigmoidLayer(arrays[f"weights_{number}"], arrays[f"biases_{number}"])
            for number in range(header.pop("layer_count"))
        )


def quantise(layer: SigmoidLayer, one: int) -> QuantisedLayer:
    """The layer of the integer twin, by the formulas of the module.

    one: A, the input that stands for 1.
    """
    weights, biases = layer.weights.astype(np.float64), layer.biases.astype(np.float64)
    unit = max(
        float(np.abs(weights).max()) / LARGEST_WEIGHT,
        one * float(np.abs(biases).max()) / LARGEST_THRESHOLD,
    )
    unit = unit or 1.0
    step = Layer(np.rint(weights / unit), np.rint(-biases * one / unit), WEIGHT_BITS)
    table_steps = STEPS_PER_UNIT * unit / one
    _, exponent = math.frexp(table_steps)
    shift = min(max(MULTIPLIER_BITS - exponent, 0), LARGEST_SHIFT)
    multiplier = min(round(math.ldexp(table_steps, shift)), 1 << MULTIPLIER_BITS)
    return QuantisedLayer(step, multiplier, shift)


def activations(
    network: SigmoidNetwork, images: NDArray[np.generic]
) -> tuple[NDArray[np.uint8], ...]:
    """The input bits and then the activations of every hidden layer of the integer twin.

    images: as in `stepnet.networks.reference.binarise`. Returns (N, inputs) uint8 of 0 and 1, then
    (N, neurons) uint8 of 0 to 255 each.
    """
    states = [binarise(network, images)]
    for number, layer in enumerate(network.twin[:-1]):
        sums = excess(layer.step, states[-1], ONE if number else 1).astype(np.int64)
        indices = 128 + (sums * layer.multiplier >> layer.shift)
        states.append(TABLE[indices.clip(0, 255)])
    return tuple(states)


def infer(network: SigmoidNetwork, images: NDArray[np.generic]) -> NDArray[np.uint8]:
    """The character code of every image as the integer twin reads it: (N,) uint8.

    images: as in `reference.binarise`. A code outside the alphabet stands as it is.
    """
    state = activations(network, images)[-1]
    one = ONE if len(network.layers) > 1 else 1
    return read_out(network, excess(network.twin[-1].step, state, one))


def infer_float(network: SigmoidNetwork, images: NDArray[np.generic]) -> NDArray[np.uint8]:
    """The character code of every image as the network itself reads it, before its weights are
    rounded: (N,) uint8.

    It is computed in float32, which other processors round a little differently. images: as in
    `reference.binarise`.
    """
    *hidden, last = network.layers
    state = binarise(network, images).astype(np.float32)
    for layer in hidden:
        # The same function as 1 / (1 + exp(-sum)), without its overflow.
        state = np.float32(0.5) + np.float32(0.5) * np.tanh(layer.sums(state) / np.float32(2))
    return read_out(network, last.sums(state))


def _finite(values: ArrayLike, what: str) -> NDArray[np.float32]:
    """A fresh array of float32."""
    given = np.asarray(values)
    if given.dtype.kind not in "iuf":
        raise NetworkError(f"The {what} of a layer are {given.dtype} values; give real numbers.")
    with np.errstate(over="ignore"):
        copied = np.array(given, dtype=np.float32, order="C")
    if not np.isfinite(copied).all():
        raise NetworkError(
            f"The {what} of a layer hold a number that is not finite in float32; "
            "train with a lower learning rate."
        )
    return copied
