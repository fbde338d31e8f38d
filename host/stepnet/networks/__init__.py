"""Networks: what they are, what they compute, and their files.

The ground that everything else stands on; `reference` is the specification. The networks that come
with Stepnet, and the way from a name to a network, are in `shipped`, whose functions are reached
from here, too: `from stepnet.networks import load_network`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stepnet.networks.shipped import (
        all_names,
        load_any_network,
        load_lut_network,
        load_network,
        load_spiking_network,
        lut_names,
        names,
        spiking_names,
    )

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


def __getattr__(name: str) -> Any:
    """Import a function of `shipped` when it is first used: that module needs all others."""
    if name not in __all__:
        raise AttributeError(f"module 'stepnet.networks' has no attribute {name!r}")
    return getattr(import_module("stepnet.networks.shipped"), name)
