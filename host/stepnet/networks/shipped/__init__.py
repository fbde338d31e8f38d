"""The networks that come with Stepnet, and how a name or a path becomes a network.

Step networks lie in this folder, networks of look-up tables in its folder lut, spiking ones in its
folder spiking.
"""

from __future__ import annotations

import os

from stepnet.networks import kinds
from stepnet.networks.kinds import AnyNetwork
from stepnet.networks.lut import LutNetwork
from stepnet.networks.network import Network
from stepnet.networks.shipped_files import (
    all_names,
    lut_names,
    names,
    network_file,
    spiking_names,
)
from stepnet.networks.spiking import SpikingNetwork

__all__ = [
    "all_names",
    "load_any_network",
    "load_lut_network",
    "load_network",
    "load_spiking_network",
    "lut_names",
    "names",
    "spiking_names",
]


def load_network(name_or_path: str | os.PathLike[str]) -> Network:
    """A shipped network by its name, or any step network by the path of its .npz file.

    A shipped name wins over a file of that name in the current folder; write `./digits` for the
    file. Raises NetworkError if there is neither, or the file is no step network.
    """
    return Network.load(network_file(name_or_path))


def load_lut_network(name_or_path: str | os.PathLike[str]) -> LutNetwork:
    """Load a network of look-up tables; see `load_network`."""
    return LutNetwork.load(network_file(name_or_path))


def load_spiking_network(name_or_path: str | os.PathLike[str]) -> SpikingNetwork:
    """Load a spiking network; see `load_network`."""
    return SpikingNetwork.load(network_file(name_or_path))


def load_any_network(name_or_path: str | os.PathLike[str]) -> AnyNetwork:
    """Load a network of any kind; see `load_network`."""
    return kinds.load(network_file(name_or_path))
