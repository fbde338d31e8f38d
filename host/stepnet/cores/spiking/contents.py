"""What the memories of a `SpikingCore` hold, and how wide they are.

Neurons take their turn in groups of `lanes`; a layer's last group is filled up with neurons that
nobody sees. In each memory the first neuron of a group is the lowest lane.

- weights: for each layer, for each of its inputs, for each group a word, the weight of that input
  in each lane in two's complement; where all weights have one bit, 1 stands for +1 and 0 for -1.
- neurons: for each layer, for each group a word, the threshold of each lane and, where the network
  has leaks, its leak.
- spikes: for each tick the coded image, whose bytes fill words of `lanes` bits from bit 0 up, each
  tick from a new byte and a new word on; then for each layer but the last a word for each group.
- potentials: a word for each group, written by the core.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stepnet.errors import NetworkError
from stepnet.networks.spiking import Rows, SpikingLayer, SpikingNetwork

LANES = (8, 16, 32, 64)


@dataclass(frozen=True)
class LayerPlace:
    """Where a layer lies in the memories: the numbers of its first words.

    groups: of neurons. input_words: words of spikes that it sees in a tick.
    """

    n_in: int
    groups: int
    weights: int
    group: int
    spikes: int
    input_words: int


@dataclass(frozen=True)
class SpikingShape:
    """The sizes of a `SpikingCore`.

    lanes: neurons that take their turn together, 8, 16, 32 or 64.
    weight_bits: of a weight in memory.
    potential_bits: of a potential, two's complement.
    leak_bits: of a leak; 0 if the network has none.
    tick_bytes: bytes of a coded image in each tick.
    """

    lanes: int
    weight_bits: int
    potential_bits: int
    leak_bits: int
    tick_bytes: int
    ticks: int
    layers: tuple[LayerPlace, ...]

    @property
    def tick_words(self) -> int:
        """Words of spikes that the coded image has in each tick."""
        return -(-self.tick_bytes * 8 // self.lanes)

    @property
    def groups(self) -> int:
        """How many groups all layers have together."""
        return sum(layer.groups for layer in self.layers)

    @property
    def weight_words(self) -> int:
        """How many words the memory of weights has."""
        return sum(layer.n_in * layer.groups for layer in self.layers)

    @property
    def spike_words(self) -> int:
        """How many words the memory of spikes has."""
        return self.ticks * self.tick_words + sum(layer.groups for layer in self.layers[:-1])


def spiking_shape(network: SpikingNetwork, lanes: int) -> SpikingShape:
    """The sizes of a core that is `network`. Raises NetworkError if there are no such lanes."""
    if lanes not in LANES:
        raise NetworkError(
            f"A spiking core cannot have {lanes} lanes; choose one of {', '.join(map(str, LANES))}."
        )
    tick_bytes = -(-network.height * network.width // 8)
    tick_words = -(-tick_bytes * 8 // lanes)
    places: list[LayerPlace] = []
    weights, group, spikes = 0, 0, network.ticks * tick_words
    input_words, seen = tick_words, 0
    for layer in network.layers:
        groups = -(-layer.n_out // lanes)
        places.append(LayerPlace(layer.n_in, groups, weights, group, seen, input_words))
        seen, input_words = spikes, groups
        weights += layer.n_in * groups
        group += groups
        spikes += groups
    return SpikingShape(
        lanes=lanes,
        weight_bits=max(layer.step.weight_bits for layer in network.layers),
        potential_bits=max(
            _potential_bits(network, number) for number in range(len(network.layers))
        ),
        leak_bits=max(_leak_bits(layer) for layer in network.layers),
        tick_bytes=tick_bytes,
        ticks=network.ticks,
        layers=tuple(places),
    )


def stored_thresholds(network: SpikingNetwork, number: int) -> NDArray[np.int64]:
    """The thresholds of a layer as the core compares them: (n_out,). One above all potentials is
    moved to the lowest that no potential reaches, unless it is what a row is compared with."""
    layer = network.layers[number]
    thresholds = layer.step.thresholds.astype(np.int64)
    if _is_read(network, number):
        return thresholds
    return np.minimum(thresholds, layer.bounds(network.ticks)[1] + 1)


def _is_read(network: SpikingNetwork, number: int) -> bool:
    """Whether the potentials of a layer are the rows of the readout, so that it never spikes."""
    return network.asked is Rows.POTENTIALS and number == len(network.layers) - 1


def _potential_bits(network: SpikingNetwork, number: int) -> int:
    """The width that holds all that a potential of a layer can be, and its thresholds."""
    layer = network.layers[number]
    lowest, highest = layer.bounds(network.ticks, spiking=not _is_read(network, number))
    thresholds = stored_thresholds(network, number)
    return _signed_bits(
        min(int(lowest.min()), int(thresholds.min())),
        max(int(highest.max()), int(thresholds.max()), 1),
    )


def _leak_bits(layer: SpikingLayer) -> int:
    if not layer.leaks.any():
        return 0
    return _signed_bits(int(layer.leaks.min()), int(layer.leaks.max()))


def _signed_bits(least: int, most: int) -> int:
    """The width of two's complement that holds all numbers of this range."""
    return max(max(most, 0).bit_length(), (-min(least, 0) - 1).bit_length() if least < 0 else 0) + 1


@dataclass(frozen=True)
class SpikingContents:
    """The words of both memories that hold a network."""

    weights: tuple[int, ...]
    neurons: tuple[int, ...]


def spiking_contents(network: SpikingNetwork, shape: SpikingShape) -> SpikingContents:
    """What the memories of a core of `shape` hold, if it is `network`."""
    weights: list[int] = []
    neurons: list[int] = []
    for number, (layer, place) in enumerate(zip(network.layers, shape.layers, strict=True)):
        filled = place.groups * shape.lanes
        of_input = np.zeros((layer.n_in, filled), dtype=np.int64)
        of_input[:, : layer.n_out] = layer.step.weights.T
        if shape.weight_bits == 1:
            of_input = (of_input > 0).astype(np.int64)
        groups = of_input.reshape(-1, shape.lanes)
        weights += _packed(groups, shape.weight_bits)
        never = (1 << shape.potential_bits - 1) - 1
        thresholds = np.full(filled, never, dtype=np.int64)
        thresholds[: layer.n_out] = stored_thresholds(network, number)
        words = _packed(thresholds.reshape(-1, shape.lanes), shape.potential_bits)
        if shape.leak_bits:
            leaks = np.zeros(filled, dtype=np.int64)
            leaks[: layer.n_out] = layer.leaks
            above = _packed(leaks.reshape(-1, shape.lanes), shape.leak_bits)
            width = shape.lanes * shape.potential_bits
            words = [word | leak << width for word, leak in zip(words, above, strict=True)]
        neurons += words
    return SpikingContents(tuple(weights), tuple(neurons))


def _packed(values: NDArray[np.int64], bits: int) -> list[int]:
    """One word from each row, the first value lowest, each in two's complement."""
    words: list[int] = []
    for row in values & (1 << bits) - 1:
        word = 0
        for value in reversed(row.tolist()):
            word = word << bits | value
        words.append(word)
    return words


def coded_bytes(network: SpikingNetwork, coded: NDArray[np.uint8]) -> bytes:
    """The bytes of one coded image, (ticks, inputs) of 0 and 1, as the core takes them."""
    packed = np.packbits(coded, axis=1, bitorder="little")
    return packed.tobytes()
