"""ReLU networks: ordinary networks in integers, with 8-bit weights and 8-bit activations.

They see the same binarised image as step networks, and a chip with multipliers runs them: see
docs/mac.md. With `a` the activations of the layer below, which are 0 and 1 for pixels and 0 to 255
behind a hidden layer:

    sum[j] = sum_i w[j, i] a[i] + b[j]
    a'[j]  = min((max(sum[j], 0) * m + 2^(k-1)) >> k, 255)

The second line is that of a hidden layer: the rectifier, and requantisation by the layer's
multiplier m (0 to 255) and shift k (1 to 31), which rounds to the nearest, up from halfway. The
last layer has none: the largest sum gives the character, the first one on a tie.

`quantised` makes such layers of real ones (after Jacob et al., arXiv:1712.05877, section 2, with
zero points of 0). Weights W and biases B whose inputs are in units of U (1 for pixels) give, for a
hidden layer whose largest answer is A, and so for the next layer U = A / 255:

    S = max |W| / 127                        the value of one unit of weight; 1 for all zeros
    w = round(W / S),  b = round(B / (S U))
    f = 255 S U / A                          what a sum is multiplied by
    k = 8 - e, within 1 to 31                where 2^(e-1) <= f < 2^e
    m = min(round(f 2^k), 255)

`round` goes to the even neighbour from halfway.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from stepnet.errors import NetworkError
from stepnet.networks.network import CharacterNetwork, Readout, check_shapes, whole_numbers
from stepnet.networks.reference import binarise

WEIGHT_BITS = 8
LARGEST_WEIGHT = 127
LARGEST_ACTIVATION = 255
LARGEST_MULTIPLIER = 255
LARGEST_SHIFT = 31
MULTIPLIER_BITS = 8


@dataclass(frozen=True, eq=False)
class ReluLayer:
    """One layer of neurons with 8-bit weights. Arrays are copied and made read-only.

    weights: (n_out, n_in) int8. biases: (n_out,) int32.
    multiplier, shift: m and k of a hidden layer, see the module; a last layer does not use them.

    Raises NetworkError if a shape, a type or a range does not hold.
    """

    weights: NDArray[np.int8]
    biases: NDArray[np.int32]
    multiplier: int = 0
    shift: int = 1

    def __post_init__(self) -> None:
        weights = whole_numbers(self.weights, np.int8, "weights")
        biases = whole_numbers(self.biases, np.int32, "biases")
        check_shapes(weights, biases, "biases", "one bias")
        if not 0 <= self.multiplier <= LARGEST_MULTIPLIER:
            raise NetworkError(
                f"A layer has the multiplier {self.multiplier}; give 0 to {LARGEST_MULTIPLIER}."
            )
        if not 1 <= self.shift <= LARGEST_SHIFT:
            raise NetworkError(f"A layer has the shift {self.shift}; give 1 to {LARGEST_SHIFT}.")
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


@dataclass(frozen=True, eq=False)
class ReluNetwork(CharacterNetwork[ReluLayer]):
    """A network of rectified neurons in integers; see `CharacterNetwork` for its attributes.

    Its readout is always `nearest`: the largest sum of the last layer gives the character.
    """

    kind: ClassVar[str] = "relu"
    other_kinds: ClassVar[Mapping[str, str]] = dict.fromkeys(
        ("step", "sigmoid", "lut", "spiking"),
        "not a ReLU network; name one that `stepnet train --rule sgd` made.",
    )

    def _check_readout(self) -> None:
        if self.readout is not Readout.NEAREST:
            raise NetworkError(
                f"A ReLU network reads nearest, but this one says {self.readout}; give one neuron "
                "per character and readout nearest."
            )
        super()._check_readout()

    @property
    def weight_bits_total(self) -> int:
        """How many bits all weights take."""
        return sum(layer.weights.size * WEIGHT_BITS for layer in self.layers)

    def _layer_entries(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "requantisation": [[layer.multiplier, layer.shift] for layer in self.layers],
        }

    def _arrays(self) -> dict[str, NDArray[Any]]:
        arrays: dict[str, NDArray[Any]] = {}
        for number, layer in enumerate(self.layers):
            arrays[f"weights_{number}"] = layer.weights
            arrays[f"biases_{number}"] = layer.biases
        return arrays

    @classmethod
    def _take_layers(
        cls, header: dict[str, Any], arrays: Mapping[str, NDArray[Any]]
    ) -> tuple[ReluLayer, ...]:
        return tuple(
            ReluLayer(
                arrays[f"weights_{number}"],
                arrays[f"biases_{number}"],
                int(multiplier),
                int(shift),
            )
            for number, (multiplier, shift) in enumerate(header.pop("requantisation"))
        )


def layer_sums(layer: ReluLayer, activations: NDArray[np.uint8]) -> NDArray[np.int64]:
    """`sum_i w[j, i] a[i] + b[j]`: (N, n_out) from (N, n_in)."""
    # Products of integers below 2^53 in all are exact in float64, whose matrix products are fast.
    products = activations.astype(np.float64) @ layer.weights.T.astype(np.float64)
    return products.astype(np.int64) + layer.biases


def requantised(layer: ReluLayer, sums: NDArray[np.int64]) -> NDArray[np.uint8]:
    """The activations of a hidden layer, 0 to 255, from its sums; any shape."""
    scaled = np.maximum(sums, 0) * layer.multiplier + (1 << layer.shift - 1) >> layer.shift
    return np.minimum(scaled, LARGEST_ACTIVATION).astype(np.uint8)


def activations(network: ReluNetwork, images: NDArray[np.generic]) -> tuple[NDArray[np.uint8], ...]:
    """The input bits and then the activations of every hidden layer.

    images: as in `stepnet.networks.reference.binarise`. Returns (N, inputs) uint8 of 0 and 1, then
    (N, neurons) uint8 of 0 to 255 each.
    """
    states = [binarise(network, images)]
    for layer in network.layers[:-1]:
        states.append(requantised(layer, layer_sums(layer, states[-1])))
    return tuple(states)


def sums(network: ReluNetwork, images: NDArray[np.generic]) -> NDArray[np.int64]:
    """The sums of the last layer: (N, rows). images: as in
    `stepnet.networks.reference.binarise`."""
    return layer_sums(network.layers[-1], activations(network, images)[-1])


def infer(network: ReluNetwork, images: NDArray[np.generic]) -> NDArray[np.uint8]:
    """The character code of every image: (N,) uint8. images: as in
    `stepnet.networks.reference.binarise`."""
    return network.codes[sums(network, images).argmax(axis=1)]


def quantised(
    weights: Sequence[NDArray[np.floating[Any]]],
    biases: Sequence[NDArray[np.floating[Any]]],
    largest: Sequence[float],
) -> tuple[ReluLayer, ...]:
    """Layers in integers that compute nearly what real ones do, by the formulas of the module.

    weights: (n_out, n_in) each, and biases (n_out,) each, first to last.
    largest: the largest answer of each hidden layer.
    """
    layers: list[ReluLayer] = []
    unit = 1.0  # the value of an input of 1
    for number, (real, bias) in enumerate(zip(weights, biases, strict=True)):
        step = float(np.abs(real).max()) / LARGEST_WEIGHT or 1.0
        scaled = np.rint(np.asarray(bias, np.float64) / (step * unit))
        whole = np.rint(np.asarray(real, np.float64) / step)
        if number == len(weights) - 1:
            layers.append(ReluLayer(whole, scaled))
            break
        factor = LARGEST_ACTIVATION * step * unit / (largest[number] or 1.0)
        _, exponent = math.frexp(factor)
        shift = min(max(MULTIPLIER_BITS - exponent, 1), LARGEST_SHIFT)
        multiplier = min(round(math.ldexp(factor, shift)), LARGEST_MULTIPLIER)
        layers.append(ReluLayer(whole, scaled, multiplier, shift))
        unit = (largest[number] or 1.0) / LARGEST_ACTIVATION
    return tuple(layers)
