"""The weight words of a layer: which ones are issued, in which order, and in which cycles."""

import random
from dataclasses import dataclass

import pytest

from stepnet.cores.engine.shape import EngineShape
from stepnet_hdl.cores.engine.datapath import NO_STEP
from stepnet_hdl.cores.engine.layer_walk import LayerWalk
from stepnet_hdl.cores.engine.readout import ReadoutNumber
from streams import Bench

SHAPES = {
    "1": EngineShape(16, max_inputs=128),
    "4x2": EngineShape(16, max_inputs=128, pe=4, parameter_lanes=2),
    "6": EngineShape(16, max_inputs=128, pe=6, parameter_lanes=1),
}


@dataclass
class Layer:
    """rows: that are evaluated; in a tree one for each bit."""

    rows: int
    words: int = 1
    bits: int = 1
    by_input: bool = False
    last: bool = False
    is_tree: bool = False

    def header(self):
        kind = ReadoutNumber.TREE if self.is_tree else ReadoutNumber.BITS
        prefix = 0xA5 << 3 if self.is_tree else 0
        return self.rows - 1 | prefix | kind.value << 12


@dataclass
class Word:
    """A weight word that has to be issued.

    waits: its activations have to be there, because it begins a group, or is computed by input.
    distance: how many cycles later the next word with a distance comes at the earliest; 0 for none.
    """

    word: int
    step: dict
    rows_left: int
    waits: bool
    distance: int


def words_of(layer, shape):
    """The words of a layer in their order."""
    rows_per_group = 1 if layer.is_tree else shape.pe
    groups = -(-layer.rows // rows_per_group)
    distance = shape.group_distance if layer.last else shape.parameter_reads

    def made(group, word, plane):
        starts_row = word == 0 and plane == 0
        ends_row = word == layer.words - 1 and plane == layer.bits - 1
        step = {
            "start": starts_row,
            "plane": word == 0,
            "subtract": plane == 0 and layer.bits > 1,
            "end": ends_row,
            "last": ends_row and group == groups - 1,
            "partial": layer.by_input,
            "first_group": group == 0,
        }
        # By input thresholds are read with the last words only.
        keeps_distance = ends_row if layer.by_input else starts_row
        return Word(
            word,
            step,
            rows_left=layer.rows - 1 - group * rows_per_group,
            waits=layer.by_input or starts_row,
            distance=distance if keeps_distance else 0,
        )

    if layer.by_input:
        return [made(group, word, 0) for word in range(layer.words) for group in range(groups)]
    return [
        made(group, word, plane)
        for group in range(groups)
        for plane in range(layer.bits)
        for word in range(layer.words)
    ]


def issue_cycles(words, there, starts, latency_cycles):
    """The cycle of each word.

    there: the cycle from which on a word of activations is there, by its number.
    starts: the cycles of `begin` and of each `resume`.
    """
    starts = iter(starts)
    free = next(starts) + latency_cycles
    next_group = 0
    for number, word in enumerate(words):
        cycle = free
        if word.waits:
            cycle = max(cycle, there[word.word])
        if word.distance:
            cycle = max(cycle, next_group)
            next_group = cycle + word.distance
        yield cycle
        free = cycle + 1
        if word.step["end"] and number < len(words) - 1:
            free = next(starts, free - latency_cycles) + latency_cycles


def random_layer(rng, shape, by_input):
    last = rng.random() < 0.5 and not by_input
    is_tree = last and rng.random() < 0.7
    return Layer(
        rows=rng.randint(1, 8) if is_tree else rng.randint(4 * shape.pe if by_input else 1, 30),
        words=rng.randint(1, shape.row_words - 1),
        bits=1 if by_input else rng.randint(1, 6),
        by_input=by_input,
        last=last,
        is_tree=is_tree,
    )


@pytest.mark.parametrize("arrival", ["before", "at once", "word by word", "slowly"])
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_words_of_a_layer(shape, arrival):
    """arrival: how the activations come: before the layer begins, or in several ways during it; a
    layer is computed by input if they come one by one."""
    walk = LayerWalk(shape)
    rng = random.Random(shape.pe)
    gap = {"word by word": 3 * shape.pe, "slowly": 40}.get(arrival, 0)
    layers = [random_layer(rng, shape, by_input=gap > 0) for _ in range(6)]
    if not gap:
        # Groups of one word, which come as close to each other as they may.
        layers += [Layer(3 * shape.pe), Layer(3 * shape.pe, last=True)]
    bench = Bench(walk, max_cycles=20_000)
    trace = bench.trace(
        issue=walk.issue,
        word=walk.word,
        first_row=walk.first_row,
        rows_left=walk.rows_left,
        is_tree=walk.is_tree,
        **{name: walk.step[name] for name in NO_STEP},
    )
    expected = []

    async def testbench(ctx):
        for layer in layers:
            await run_layer(ctx, layer, begun=len(trace))

    async def run_layer(ctx, layer, begun):
        words = words_of(layer, shape)
        # When each word of the image comes, and the cycle from which on a word is there.
        comes = [begun + rng.randrange(gap) + number * gap for number in range(layer.words) if gap]
        all_there = comes[-1] + 1 if comes else begun + 25 * (arrival == "at once")
        there = [cycle + 1 for cycle in comes] or [all_there] * layer.words
        ctx.set(walk.last_word, layer.words - 1)
        ctx.set(walk.last_plane, layer.bits - 1)
        ctx.set(walk.by_input, layer.by_input)
        ctx.set(walk.xnor, layer.bits == 1)
        ctx.set(walk.last_layer, layer.last)
        starts = [begun]
        rows_to_come = layer.rows - 1 if layer.is_tree else 0
        left = len(words)
        cycle = begun
        while left:
            ctx.set(walk.begin, cycle == begun)
            ctx.set(walk.header, layer.header() if cycle == begun else rng.getrandbits(16))
            ctx.set(walk.resume, cycle in starts[1:])
            ctx.set(walk.all_words_are_there, cycle >= all_there)
            ctx.set(walk.image_words, sum(come < cycle for come in comes) % layer.words)
            ctx.set(walk.image_word_comes, cycle in comes)
            _, _, issued = await ctx.tick().sample(walk.issue)
            left -= issued
            ends_row = issued and (len(words) - left) % (layer.words * layer.bits) == 0
            if ends_row and rows_to_come:
                rows_to_come -= 1
                starts.append(cycle + rng.randint(1, 12))
            cycle += 1
        ctx.set(walk.begin, 0)
        ctx.set(walk.resume, 0)
        await ctx.tick().repeat(4)  # it issues nothing more
        cycles = issue_cycles(words, there, starts, walk.latency_cycles)
        expected.extend(zip(cycles, words, [layer] * len(words), strict=True))

    bench.run(testbench)
    assert trace.cycles("issue") == [cycle for cycle, _, _ in expected]
    steps = {name: [0] * len(trace) for name in NO_STEP}
    for cycle, word, layer in expected:
        assert trace["word"][cycle] == word.word
        assert trace["is_tree"][cycle] == layer.is_tree
        assert trace["first_row"][cycle] == word.step["first_group"]
        assert trace["rows_left"][cycle] == word.rows_left
        for name, value in word.step.items():
            steps[name][cycle + walk.step_cycles] = int(value)
    assert {name: trace[name] for name in NO_STEP} == steps
