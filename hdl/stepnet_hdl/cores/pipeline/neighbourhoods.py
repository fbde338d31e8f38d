"""Parts of a network of look-up tables, each with the tables of some of its counts and no others.

On a large part the way from a pixel to all tables that read it is what limits the clock. Where each
neighbourhood has a register of its own for the pixel, and passes it on to the next one in the cycle
after, a wire goes no farther than to its end.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stepnet.errors import BuildError
from stepnet.networks.lut import Counts, LutLayer, LutNetwork


@dataclass(frozen=True)
class Neighbourhood:
    """The tables that some rows' counts depend on.

    rows: those that it counts, increasing.
    layers: as of a network that has no others; the first one is wired to the pixels of an image.
    counts: of the last layer; there are all rows of the network, those of others without tables.
    """

    rows: tuple[int, ...]
    layers: tuple[LutLayer, ...]
    counts: Counts


def neighbourhoods(network: LutNetwork, count: int) -> tuple[Neighbourhood, ...]:
    """The network in `count` neighbourhoods, of as many counts each as may be. A table that two of
    them need is in both; one that none needs is left out, unless there is one neighbourhood, which
    is the network as it is.

    Raises BuildError if there are fewer counts than neighbourhoods.
    """
    counted = np.unique(network.counts.groups)
    if not 1 <= count <= len(counted):
        raise BuildError(
            f"The network {network.name!r} counts tables for {len(counted)} rows, which make no "
            f"{count} neighbourhoods; give 1 to {len(counted)}."
        )
    if count == 1:
        whole = Neighbourhood(tuple(counted.tolist()), network.layers, network.counts)
        return (whole,)
    return tuple(_of(network, rows) for rows in np.array_split(counted, count))


def _of(network: LutNetwork, rows: NDArray[np.integer[Any]]) -> Neighbourhood:
    needed = np.flatnonzero(np.isin(network.counts.groups, rows))
    counts = dataclasses.replace(network.counts, groups=network.counts.groups[needed])
    layers: list[LutLayer] = []
    for layer in reversed(network.layers):
        wires, below = layer.wires[needed], np.arange(layer.n_in)
        if layer is not network.layers[0]:
            below, places = np.unique(wires, return_inverse=True)
            wires = places.reshape(wires.shape)
        layers.append(LutLayer(wires, layer.tables[needed], len(below)))
        needed = below
    return Neighbourhood(tuple(rows.tolist()), tuple(reversed(layers)), counts)
