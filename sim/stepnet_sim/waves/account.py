"""Tells what the engine does in every cycle in the words of the network: layer, neuron, sum,
character.

Waveforms and the picture of the schedule are made from an `Account`. Everything is taken from the
recorded signals. The network says only what they stand for: which weights lie at an address, and
how many matches a sum of 0 is.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stepnet.cores.engine.memory_image import layer_weight_words, overlaps, words_per_row
from stepnet.cores.engine.shape import EngineShape
from stepnet.networks.network import Layer, Network
from stepnet_sim.waves.recording import Recording


@dataclass(frozen=True)
class Issue:
    """A weight word on its way to the datapath.

    group, plane, word: the numbers of its group of neurons in the layer, of its bit plane, and of
        the word in the row; plane 0 is the one whose bits count 1.
    ends_group: whether it is the last word of its group.
    """

    cycle: int
    layer: int
    group: int
    plane: int
    word: int
    ends_group: bool


@dataclass(frozen=True)
class Decision:
    """A neuron that is decided, in a convolution over one window.

    lane: its place in its group; `pe` more over the second of two windows evaluated at once.
    sum: `sum_i w[i] a[i]`, as in `reference.sums`.
    excess: by how much that exceeds the threshold as the engine stores it.
    """

    cycle: int
    layer: int
    neuron: int
    lane: int
    sum: int
    excess: int

    @property
    def fires(self) -> bool:
        """Whether the neuron fires."""
        return self.excess >= 0


@dataclass(frozen=True)
class Taken:
    """A neuron of the last layer that the readout takes into the code.

    code: the code as far as it is known after that.
    """

    cycle: int
    fires: bool
    code: int


@dataclass(frozen=True)
class Account:
    """What an engine did with one image. Cycles are counted as in the recording.

    cycles: how many cycles were recorded.
    states: the state of the sequencer in every cycle.
    layers: the number of the layer that is computed in every cycle; -1 for none.
    pixel_cycles: the cycles in which 8 pixels were taken.
    pixel_write_cycles: the cycles in which a word of pixels was written, some cycles after the last
        of them were taken.
    issues: the weight words in the order in which they were issued.
    matches: the popcount of a group's first neuron in every cycle.
    decisions: the neurons in the order in which they were decided; those of a group share a cycle.
    activation_write_cycles: the cycles in which a word of activations was written.
    taken: the neurons of the last layer in the order in which the readout took them.
    register: the character register in every cycle.
    result_cycle: the first cycle in which the register holds the result; a result waits for the end
        of the message that brought the image.
    counted_cycles: how many cycles the engine itself counts from the last pixel to the register.
    """

    shape: EngineShape
    cycles: int
    states: list[str]
    layers: NDArray[np.int64]
    pixel_cycles: NDArray[np.intp]
    pixel_write_cycles: NDArray[np.intp]
    issues: list[Issue]
    matches: list[int]
    decisions: list[Decision]
    activation_write_cycles: NDArray[np.intp]
    taken: list[Taken]
    register: list[int]
    result_cycle: int
    counted_cycles: int

    @property
    def filling_bytes(self) -> list[int]:
        """The numbers of the bytes of 8 pixels that complete a word; the last one does, too."""
        count, size = len(self.pixel_cycles), self.shape.weight_bytes
        return sorted({*range(size - 1, count, size), count - 1})

    @property
    def last_pixel_cycle(self) -> int:
        """The cycle in which the last pixels were taken."""
        return int(self.pixel_cycles[-1])


def account_for(recording: Recording, network: Network, shape: EngineShape) -> Account:
    """Read the recording of one image of `network` on an engine of `shape`."""
    states = [text.partition("/")[0] for text in recording.texts("engine.sequencer.fsm_state")]
    issues = _issues(recording, network, shape)
    computed = recording.flags("engine.sequencer.result")
    waits = recording.flags("engine.kept_back")
    shown = (computed | waits) & ~recording.flags("engine.tentative")
    return Account(
        shape=shape,
        cycles=recording.cycles,
        states=states,
        layers=_layers(states),
        pixel_cycles=np.flatnonzero(recording.flags("engine.intake.pixel_intake.take")),
        pixel_write_cycles=np.flatnonzero(recording.flags("engine.intake.write_pixels")),
        issues=issues,
        matches=recording.numbers("engine.datapath.count"),
        decisions=_decisions(recording, network, shape, issues),
        activation_write_cycles=np.flatnonzero(recording.flags("engine.collector.write")),
        taken=_taken(recording, shape),
        register=recording.numbers("engine.character"),
        result_cycle=int(np.flatnonzero(shown)[-1]) + 1,
        counted_cycles=recording.numbers("engine.cycles")[int(np.flatnonzero(computed)[-1])],
    )


def _layers(states: list[str]) -> NDArray[np.int64]:
    """The number of the layer in every cycle: a layer begins where its first header is fetched."""
    layers = np.full(len(states), -1)
    layer = -1
    for cycle, state in enumerate(states):
        if state == "WAIT":
            layer = -1
        elif state == "ROW_HEADER":
            layer += 1
        layers[cycle] = layer
    return layers


def _issues(recording: Recording, network: Network, shape: EngineShape) -> list[Issue]:
    places = _places(network, shape)
    addresses = recording.numbers("engine.weight_address")
    cycles = np.flatnonzero(recording.flags("engine.sequencer.walk.count"))
    return [Issue(cycle, *places[addresses[cycle]]) for cycle in cycles.tolist()]


def _places(network: Network, shape: EngineShape) -> list[tuple[int, int, int, int, bool]]:
    """Layer, group, plane and word of every address of the weight memory, and whether the word is
    the last of its group: the order of `stepnet.cores.engine.memory_image`."""
    places: list[tuple[int, int, int, int, bool]] = []
    for number, layer in enumerate(network.layers):
        words = words_per_row(network, layer, shape)
        groups = shape.groups(layer.neurons)
        for place in range(layer_weight_words(network, layer, shape)):
            if number == 0 and overlaps(network, shape):
                word, group = divmod(place, groups)
                plane = 0
            else:
                group_and_plane, word = divmod(place, words)
                group, plane_place = divmod(group_and_plane, layer.weight_bits)
                plane = layer.weight_bits - 1 - plane_place
            ends_group = word == words - 1 and plane == 0
            places.append((number, group, plane, word, ends_group))
    return places


def _decisions(
    recording: Recording, network: Network, shape: EngineShape, issues: list[Issue]
) -> list[Decision]:
    """The decisions of all neurons. Groups are decided in the order in which their last words were
    issued.
    """
    ended = (issue for issue in issues if issue.ends_group)
    totals = _lane_totals(recording, shape)
    excess = recording.numbers("engine.datapath.margins")
    matches_at_0 = [_matches_at_0(layer) for layer in network.layers]
    decisions: list[Decision] = []
    decided = recording.flags("engine.datapath.done")
    if shape.map_words:  # a group is evaluated over each window that is pooled
        decided = decided | recording.flags("engine.datapath.pools")
    for cycle in np.flatnonzero(decided).tolist():
        issue = next(ended)
        layer = network.layers[issue.layer]
        windows = 1
        if shape.map_windows > 1 and layer.convolution:
            beside = recording.flags("engine.datapath.next_two_positions")[cycle - 1]
            windows += int(layer.convolution.pool or beside)
        neurons = range(layer.neurons)[issue.group * shape.pe :][: shape.pe]
        for window, neuron in itertools.product(range(windows), neurons):
            lane = window * shape.pe + neuron % shape.pe
            values, place, cycles_before = totals[lane]
            total = _signed(values[cycle - cycles_before], place, shape.sum_bits)
            sum_ = total - int(matches_at_0[issue.layer][neuron])
            above = _signed(excess[cycle], lane, shape.sum_bits + 1)
            decisions.append(Decision(cycle, issue.layer, neuron, lane, sum_, above))
    return decisions


def _lane_totals(recording: Recording, shape: EngineShape) -> list[tuple[list[int], int, int]]:
    """For each lane the sums of its neighbourhood, its place among them, and how many cycles its
    sum is there before it is compared: one, and more in those that wait for the last neighbourhood.
    Then the same over the second window, if two are evaluated at once.
    """
    found: list[tuple[list[int], int, int]] = []
    for of_window in ("", "_beside")[: shape.map_windows]:
        for number, lanes in enumerate(shape.neighbourhoods):
            values = recording.numbers(f"engine.datapath.total_{lanes.start}{of_window}")
            waiting = shape.skew_cycles - number
            found += [(values, place, 1 + waiting) for place in range(len(lanes))]
    return found


def _matches_at_0(layer: Layer) -> NDArray[np.int64]:
    """How many matches each neuron has whose sum is 0: (n_out,)."""
    if layer.weight_bits > 1:
        return np.zeros(layer.neurons, dtype=np.int64)
    return np.sum(layer.weights < 0, axis=1)


def _taken(recording: Recording, shape: EngineShape) -> list[Taken]:
    rows = recording.numbers("engine.readout.row")
    codes = recording.numbers("engine.readout.code")
    return [
        Taken(cycle, _signed(rows[cycle], 0, shape.sum_bits + 1) >= 0, codes[cycle + 1])
        for cycle in np.flatnonzero(recording.flags("engine.readout.take")).tolist()
    ]


def _signed(word: int, lane: int, width: int) -> int:
    """The number of a lane in a word of several, the first one lowest, as two's complement."""
    value = word >> lane * width & (1 << width) - 1
    return value - (value >> width - 1 << width)
