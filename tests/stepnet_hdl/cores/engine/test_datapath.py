"""The datapath: groups of neurons of one bit and of several, decided when they should be."""

from dataclasses import dataclass

import numpy as np
import pytest

from stepnet.cores.engine.shape import MIN_OVERLAP_GROUPS, EngineShape
from stepnet_hdl.cores.engine.datapath import NO_STEP, Datapath
from streams import Bench


def shape_of(simd, pe=1, weight_words=256, **fields):
    return EngineShape(simd, max_inputs=4 * simd, weight_words=weight_words, pe=pe, **fields)


SHAPES = {
    "1": shape_of(16, overlap_neurons=9),
    "registered": shape_of(24, weight_memory="registered", overlap_neurons=7),
    "6, thresholds one by one": shape_of(16, 6, overlap_neurons=40),
    "4 registered": shape_of(
        16, 4, parameter_lanes=2, weight_memory="registered", overlap_neurons=20
    ),
    "5 skewed": shape_of(16, 5, 8192, parameter_lanes=5, overlap_neurons=40),
    "4 skewed and registered": shape_of(
        24, 4, 6000, weight_memory="registered", overlap_neurons=24
    ),
}


@dataclass
class Layer:
    """weights: (groups, pe, n_in) integers; thresholds: (groups, pe); activations: (n_in,)."""

    weights: np.ndarray
    thresholds: np.ndarray
    activations: np.ndarray
    weight_bits: int
    by_input: bool

    def margins(self):
        return (self.weights @ self.activations - self.thresholds).tolist()

    def planes(self):
        """(planes, groups, pe, n_in) bits, the most significant first."""
        if self.weight_bits == 1:
            return (self.weights > 0)[np.newaxis]
        return np.stack([self.weights >> bit & 1 for bit in reversed(range(self.weight_bits))])

    def stored_thresholds(self):
        """As the datapath compares them: with 1-bit weights it counts matches."""
        if self.weight_bits > 1:
            return self.thresholds
        return self.thresholds + (self.weights < 0).sum(axis=2)


@dataclass
class Word:
    """What the datapath gets in one cycle; the lanes of further neighbourhoods get it later."""

    step: dict
    xnor: bool
    weights: list
    activations: int


def packed(bits):
    return sum(int(bit) << position for position, bit in enumerate(bits))


def random_layer(rng, shape, weight_bits, groups, words, by_input=False):
    n_in = shape.simd * words
    size = (groups, shape.pe, n_in)
    if weight_bits == 1:
        weights = rng.choice([-1, 1], size)
    else:
        weights = rng.integers(-(1 << weight_bits - 1), 1 << weight_bits - 1, size)
    activations = rng.integers(0, 2, n_in)
    thresholds = weights @ activations + rng.integers(-9, 10, size[:2])
    return Layer(weights, thresholds, activations, weight_bits, by_input)


def words_of(layer, shape):
    """(group, word) of each word of a layer, in the order in which they are issued."""
    planes = layer.planes()
    groups, words = len(layer.weights), len(layer.activations) // shape.simd

    def made(group, plane, index):
        part = slice(index * shape.simd, (index + 1) * shape.simd)
        end = plane == len(planes) - 1 and index == words - 1
        step = {
            **NO_STEP,
            "start": plane == 0 and index == 0,
            "plane": index == 0,
            "subtract": plane == 0 and layer.weight_bits > 1,
            "end": end,
            "last": end and group == groups - 1,
            "partial": layer.by_input,
            "first_group": group == 0,
        }
        weights = [packed(lane[part]) for lane in planes[plane, group]]
        return group, Word(step, layer.weight_bits == 1, weights, packed(layer.activations[part]))

    if layer.by_input:
        return [made(group, 0, index) for index in range(words) for group in range(groups)]
    return [
        made(group, plane, index)
        for group in range(groups)
        for plane in range(len(planes))
        for index in range(words)
    ]


def check(shape, layers, pauses):
    """Play layers, with a share of idle cycles, and compare margins and the cycles they come in."""
    datapath = Datapath(shape)
    rng = np.random.default_rng(1)
    schedule = [None] * shape.read_cycles  # words by cycle, None where there is none
    expected = {}  # by cycle: margins of a group, and whether it is the last one
    thresholds = []
    for layer in layers:
        margins, stored = layer.margins(), layer.stored_thresholds()
        begins = 0
        for group, word in words_of(layer, shape):
            if word.step["start"] or layer.by_input:
                while rng.random() < pauses:
                    schedule.append(None)
            # Groups are at least as far from each other as their thresholds take to be read.
            if word.step["end"] if layer.by_input else word.step["start"]:
                while len(schedule) - begins < shape.parameter_reads:
                    schedule.append(None)
                begins = len(schedule)
            if word.step["end"]:
                decided = len(schedule) + datapath.latency_cycles
                expected[decided] = (margins[group], word.step["last"])
                thresholds += stored[group].reshape(-1, shape.parameter_lanes).tolist()
            schedule.append(word)
        # The layer is decided before another begins.
        schedule += [None] * (datapath.latency_cycles + shape.read_cycles)

    def word_in(cycle):
        return schedule[cycle] if 0 <= cycle < len(schedule) else None

    bench = Bench(datapath, len(schedule) + 10)
    trace = bench.trace(
        soon=datapath.soon_done,
        next_done=datapath.decided.next_done,
        next_last=datapath.decided.next_last,
        done=datapath.done,
        last=datapath.last,
        margins=datapath.margins,
    )

    async def testbench(ctx):
        waiting = iter(thresholds)
        coming = {}
        for cycle in range(len(schedule)):
            now = word_in(cycle)
            ctx.set(datapath.activations, now.activations if now else int(rng.integers(1 << 16)))
            weights = 0
            for number, lanes in enumerate(shape.neighbourhoods):
                word = word_in(cycle - number)
                for lane in lanes:
                    bits = word.weights[lane] if word else int(rng.integers(1 << 16))
                    weights |= bits << lane * shape.simd
            ctx.set(datapath.weights, weights)
            coming_word = word_in(cycle + shape.read_cycles - 1)
            ctx.set(datapath.step, coming_word.step if coming_word else NO_STEP)
            if next_word := word_in(cycle + 1):
                ctx.set(datapath.xnor, next_word.xnor)
            ctx.set(datapath.thresholds, coming.pop(cycle, [-3] * shape.parameter_lanes))
            _, _, need = await ctx.tick().sample(datapath.need_thresholds)
            if need:
                coming[cycle + shape.read_cycles] = next(waiting)
        assert next(waiting, None) is None

    bench.run(testbench)
    found = {
        cycle: (list(trace["margins"][cycle]), trace["last"][cycle])
        for cycle in trace.cycles("done")
    }
    assert found == expected
    cycles = list(expected)
    assert trace.cycles("next_done") == [cycle - 1 for cycle in cycles]
    assert trace.cycles("soon") == [cycle - 2 for cycle in cycles]
    assert trace.cycles("last") == [cycle + 1 for cycle in trace.cycles("next_last")]


@pytest.mark.parametrize("pauses", [0.0, 0.5])
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_groups_of_neurons(shape, pauses):
    """Layers group by group and layers by input, whose sums wait between their words."""
    rng = np.random.default_rng(shape.pe)
    by_group = [(1, 3), (2, 1), (1, 1), (3, 2), (8, 1)]
    by_input = [(shape.overlap_groups, 3), (MIN_OVERLAP_GROUPS, 4), (5, 1)]
    layers = [random_layer(rng, shape, bits, 3, words) for bits, words in by_group]
    for groups, words in by_input:
        layer = random_layer(rng, shape, 1, groups, words, by_input=True)
        layers.insert(int(rng.integers(len(layers) + 1)), layer)
    check(shape, layers, pauses)


def test_lanes_of_these_shapes_lie_in_several_places():
    sizes = {name: [len(lanes) for lanes in shape.neighbourhoods] for name, shape in SHAPES.items()}
    assert list(sizes.values()) == [[1], [1], [6], [4], [2, 2, 1], [2, 2]]
