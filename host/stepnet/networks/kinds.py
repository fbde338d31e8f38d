"""What can be asked of a network whatever its kind: to read its file, and to infer with it."""

from __future__ import annotations

import os
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from stepnet.errors import NetworkError
from stepnet.networks import lut, reference, relu, sigmoid, spiking
from stepnet.networks.lut import LutNetwork
from stepnet.networks.network import Network
from stepnet.networks.network_file import read_content
from stepnet.networks.relu import ReluNetwork
from stepnet.networks.sigmoid import WEIGHT_BITS, SigmoidNetwork
from stepnet.networks.spiking import SpikingNetwork

AnyNetwork: TypeAlias = Network | LutNetwork | SigmoidNetwork | ReluNetwork | SpikingNetwork


def load(path: str | os.PathLike[str]) -> AnyNetwork:
    """Read a network of any kind. Raises NetworkError as `Network.load` does."""
    content = read_content(path)
    for kind in (LutNetwork, SigmoidNetwork, ReluNetwork, SpikingNetwork):
        if content.kind == kind.kind:
            return kind.from_content(content, path)
    return Network.from_content(content, path)


def step_network(
    network: Network | ReluNetwork | SigmoidNetwork | SpikingNetwork, what: str
) -> Network:
    """The network, if it is of step neurons.

    what: for which it has to be one, such as "the page", for the NetworkError that is raised for
        another one.
    """
    if isinstance(network, ReluNetwork | SigmoidNetwork):
        raise NetworkError(
            f"The network {network.name!r} multiplies 8-bit weights and activations, which {what} "
            "does not offer; name a step network."
        )
    if isinstance(network, SpikingNetwork):
        raise NetworkError(
            f"The network {network.name!r} spikes for {network.ticks} ticks, which {what} does not "
            "offer; name a step network."
        )
    return network


def infer(network: AnyNetwork, images: NDArray[np.generic]) -> NDArray[np.uint8]:
    """The character code of every image by the specification of the network's kind: (N,) uint8.

    images: as in `stepnet.networks.reference.binarise`.
    """
    match network:
        case LutNetwork():
            return lut.infer(network, images)
        case SigmoidNetwork():
            return sigmoid.infer(network, images)
        case ReluNetwork():
            return relu.infer(network, images)
        case SpikingNetwork():
            return spiking.infer(network, images)
        case Network():
            return reference.infer(network, images)


def bits_per_layer(network: AnyNetwork) -> list[int]:
    """How many bits a weight has, layer by layer; empty where tables take the place of weights."""
    match network:
        case LutNetwork():
            return []
        case SigmoidNetwork() | ReluNetwork():
            return [WEIGHT_BITS] * len(network.layers)
        case SpikingNetwork():
            return [layer.step.weight_bits for layer in network.layers]
        case Network():
            return [layer.weight_bits for layer in network.layers]
