"""What a multiply-accumulate core computes: the layers of an ordinary network in integers, and how
its last sums become a character, whichever function stands between the layers.

A ReLU network is that already. Of a sigmoid network it is the integer twin, see
`stepnet.networks.sigmoid`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from stepnet.networks.network import Readout
from stepnet.networks.relu import LARGEST_ACTIVATION, ReluNetwork
from stepnet.networks.sigmoid import SigmoidNetwork

MacNetwork: TypeAlias = ReluNetwork | SigmoidNetwork


class Choice(IntEnum):
    """How the last layer's sums become a number, at which the character's code stands in
    memory."""

    LARGEST = 0
    """That of the first neuron whose sum no other one exceeds."""
    BITS = 1
    """Its bit j is 1 if sum j is not negative."""
    HEAP = 2
    """Of neurons that lie as in a heap, in which 2n and 2n + 1 are below n: it begins with 1, and
    each sum whose number it is, counted from 1, makes 2n of it, or 2n + 1 if it is not negative."""


_CHOICES = {Readout.NEAREST: Choice.LARGEST, Readout.BITS: Choice.BITS, Readout.TREE: Choice.HEAP}


@dataclass(frozen=True, eq=False)
class MacLayer:
    """A layer of sums `sum_i w[j, i] a[i] + b[j]`.

    weights: (n_out, n_in) int8. biases: (n_out,) int64.
    multiplier, shift: what makes activations of the sums of a hidden layer, as the layer's header
        has them: see `stepnet_hdl.cores.mac`.
    """

    weights: NDArray[np.int8]
    biases: NDArray[np.int64]
    multiplier: int
    shift: int

    @property
    def n_in(self) -> int:
        """How many inputs every neuron has."""
        return self.weights.shape[1]

    @property
    def n_out(self) -> int:
        """How many neurons the layer has."""
        return self.weights.shape[0]

    def largest_sum(self, largest_input: int) -> int:
        """The largest absolute value that a sum can pass through, whatever the order of its terms.

        largest_input: see the function of that name.
        """
        spread = np.abs(self.weights.astype(np.int64)).sum(axis=1) * largest_input
        return int((spread + np.abs(self.biases)).max())


def layers_of(network: MacNetwork) -> tuple[MacLayer, ...]:
    """The layers of a network, first to last."""
    if isinstance(network, SigmoidNetwork):
        return tuple(
            MacLayer(
                layer.step.weights.astype(np.int8),
                -layer.step.thresholds.astype(np.int64),
                layer.multiplier,
                layer.shift,
            )
            for layer in network.twin
        )
    return tuple(
        MacLayer(layer.weights, layer.biases.astype(np.int64), layer.multiplier, layer.shift - 1)
        for layer in network.layers
    )


def largest_input(number: int) -> int:
    """The largest activation that layer `number` sees: 1 for pixels."""
    return LARGEST_ACTIVATION if number else 1


def multiplications(network: MacNetwork) -> int:
    """How many products of a weight and an activation an image takes."""
    return sum(layer.weights.size for layer in network.layers)


def choice_of(network: MacNetwork) -> Choice:
    """How the network's last sums become a number."""
    return _CHOICES[network.readout]


def codes_of(network: MacNetwork) -> NDArray[np.uint8]:
    """The character codes by that number: (numbers,) uint8."""
    match choice_of(network):
        case Choice.LARGEST:
            return network.codes
        case Choice.BITS:
            return np.arange(1 << network.rows, dtype=np.uint8)
        case Choice.HEAP:
            leaves = network.rows + 1
            below = int(network.code_prefix or "0", 2) * leaves + np.arange(leaves)
            return np.concatenate([np.zeros(leaves, np.uint8), below.astype(np.uint8)])
