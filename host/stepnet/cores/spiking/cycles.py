"""How many cycles a `SpikingCore` takes for an image, exactly."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from stepnet.cores.spiking.contents import LayerPlace, SpikingShape
from stepnet.networks.spiking import SpikingNetwork, simulate


class Walk(StrEnum):
    """Over which inputs a layer goes in each tick: all of them, or those that spiked."""

    INPUTS = "inputs"
    EVENTS = "events"


@dataclass(frozen=True)
class Passes:
    """Cycles that the core takes beside those for inputs, words and groups.

    SCAN: to begin a layer's walk over its inputs, and to end it. FIRE: to end the comparison of a
    layer's potentials. READ: to begin reading a group of rows. READ_END: from the last row to the
    character register.
    """

    SCAN = 6
    FIRE = 3
    READ = 3
    READ_END = 2


def image_cycles(
    network: SpikingNetwork, shape: SpikingShape, walk: Walk, coded: NDArray[np.uint8]
) -> NDArray[np.int64]:
    """Cycles from the last pixel's transfer to the character register: (N,).

    coded: (N, ticks, inputs) of 0 and 1, as `stepnet.networks.spiking.encode` gives it.

    With C = ceil(rows / lanes), for layers of G groups in whose words of inputs the walk finds e
    inputs each:

        G_all + FIRE
        + sum over ticks and layers of (SCAN + sum over words of max(1, e G) + G + FIRE)
        + C READ + rows + READ_END
    """
    spikes, _ = simulate(network, coded)
    seen = [coded, *spikes[:-1]]
    cycles = np.full(len(coded), shape.groups + Passes.FIRE, dtype=np.int64)
    for layer, bits in zip(shape.layers, seen, strict=True):
        walked = bits if walk is Walk.EVENTS else np.ones_like(bits)
        found = _per_word(walked, layer, shape.lanes)
        cycles += np.maximum(1, found * layer.groups).sum(axis=(1, 2))
        cycles += shape.ticks * (Passes.SCAN + layer.groups + Passes.FIRE)
    groups = shape.layers[-1].groups
    return cycles + groups * Passes.READ + network.rows + Passes.READ_END


def _per_word(bits: NDArray[np.uint8], layer: LayerPlace, lanes: int) -> NDArray[np.int64]:
    """How many bits are set in each word of a tick: (N, ticks, words)."""
    count, ticks, _ = bits.shape
    filled = np.zeros((count, ticks, layer.input_words * lanes), dtype=np.int64)
    filled[..., : bits.shape[2]] = bits
    return filled.reshape(count, ticks, layer.input_words, lanes).sum(axis=-1)
