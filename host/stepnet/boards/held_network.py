"""Finds out which network a board holds, by the digest that the board gives of it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from stepnet.boards.identity import Identity
from stepnet.cores.engine.memory_image import memory_image
from stepnet.cores.mac.layout import weight_image
from stepnet.cores.mac.program import MacNetwork
from stepnet.errors import BoardError, NetworkError
from stepnet.link.messages import Core
from stepnet.networks.kinds import AnyNetwork
from stepnet.networks.lut import LutNetwork
from stepnet.networks.network import CharacterNetwork, Network
from stepnet.networks.relu import ReluNetwork
from stepnet.networks.shipped import load_any_network, lut_names, names, spiking_names
from stepnet.networks.sigmoid import SigmoidNetwork
from stepnet.networks.spiking import SpikingNetwork


def held_network(identity: Identity, where: str, known: Iterable[AnyNetwork] = ()) -> AnyNetwork:
    """The network that a board holds: one of those `known`, or a shipped one.

    where: how the board is named in errors.

    Raises BoardError if it holds none, or one that is neither known nor comes with Stepnet: the
    digest alone does not tell what that is.
    """
    if not identity.loaded:
        raise BoardError(
            f"The board at {where!r} holds no network; name one for it: a shipped one, or a .npz "
            "file."
        )
    for network in known:
        if _digest(network, identity) == identity.digest:
            return network
    network = shipped_network(identity)
    if network is None:
        raise BoardError(
            f"The board at {where!r} holds a network that does not come with Stepnet (digest "
            f"{identity.digest:08x}), and that alone does not tell its alphabet; name its .npz "
            "file, which is not loaded again if the board holds it."
        )
    return network


def shipped_network(identity: Identity) -> AnyNetwork | None:
    """The shipped network with the digest that the board has; None if it holds none of them."""
    if not identity.loaded:
        return None
    if identity.core == Core.SPIKING:
        shipped = spiking_names()
    else:
        shipped = names() if identity.takes_loads else lut_names()
    networks = map(load_any_network, shipped)
    return next((found for found in networks if _digest(found, identity) == identity.digest), None)


def core_of(network: AnyNetwork) -> Core:
    """The kind of core that computes the network."""
    match network:
        case LutNetwork():
            return Core.PIPELINE
        case ReluNetwork():
            return Core.MAC
        case SigmoidNetwork():
            return Core.MAC_SIGMOID
        case SpikingNetwork():
            return Core.SPIKING
        case Network():
            return Core.ENGINE


def built_in_digest(network: CharacterNetwork[Any]) -> int:
    """The digest that a core gives which is made for one network: the first 32 bits of its own."""
    return int(network.digest[:8], 16)


def _digest(network: AnyNetwork, identity: Identity) -> int | None:
    """What such a board would say of the network; None if it cannot hold it."""
    if not identity.takes_loads:
        return built_in_digest(network)
    if isinstance(network, LutNetwork | SpikingNetwork):
        return None
    try:
        if core_of(network) != identity.core:
            return None
        if isinstance(network, MacNetwork):
            return weight_image(network, identity.mac_shape).digest
        return memory_image(network, identity.shape).digest
    except NetworkError:
        return None
