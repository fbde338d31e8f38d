"""The sequencer reads the memories in order, and keeps the cycles that it promises."""

import random
from collections import defaultdict
from dataclasses import dataclass, field
from itertools import islice

import numpy as np
import pytest

from stepnet import Readout
from stepnet.cores.engine.memory_image import (
    layer_weight_words,
    memory_image,
    overlaps,
    rows_evaluated,
    words_per_row,
)
from stepnet.cores.engine.shape import EngineShape
from stepnet.networks.random_networks import random_network
from stepnet_hdl.cores.engine.readout import ReadoutNumber
from stepnet_hdl.cores.engine.sequencer import Region, Sequencer
from streams import Bench

SHAPES = {
    "1": EngineShape(16, max_inputs=64, weight_words=256, parameter_words=128),
    "2 registered": EngineShape(
        16, 64, 256, 128, pe=2, parameter_lanes=1, weight_memory="registered", overlap_neurons=20
    ),
    "4": EngineShape(16, 64, 256, 128, pe=4, parameter_lanes=4, overlap_neurons=40),
}
NETWORKS = {
    "bits": ((40, 17, 5, 7), (1, 2, 3), Readout.BITS),
    "tree": ((21, 9, 31), (1, 2), Readout.TREE),
    "nearest": ((33, 6, 11), (2, 1), Readout.NEAREST),
}


@dataclass
class Surroundings:
    """What is around a sequencer, cycle by cycle: the memory of parameters, images that arrive, a
    datapath that decides groups after a while, and a readout that is finished after a while."""

    sequencer: Sequencer
    parameters: list
    image_words: int
    rng: random.Random
    stalls: bool
    images: int

    cycle: int = 0
    read: list = field(default_factory=list)
    """Addresses of parameters, in the order of reading, with their cycles."""
    words: list = field(default_factory=list)
    """(cycle, weight address, activation address, ends its group) of each weight word."""
    groups: list = field(default_factory=list)
    """(cycle of its announcement, last, activations) of each group."""
    finished: list = field(default_factory=list)
    """(cycle, winner) of each image."""
    results: list = field(default_factory=list)
    word_comes: list = field(default_factory=list)
    done: list = field(default_factory=list)
    """(cycle, buffers) of images that are no longer needed."""

    def __post_init__(self):
        self._events = defaultdict(dict)
        """By cycle what is to be set then."""
        self._values = [0] * self.sequencer.shape.read_cycles
        self._complete = [False, False]
        self._there = 0
        self._fill = 0
        self._received = 0
        self._previous = (0, 0)
        self._in_group = False

    def wait(self, most):
        return self.rng.randrange(most) if self.stalls else 0

    async def run(self, ctx):
        while len(self.results) < self.images:
            await self._cycle(ctx)
        for _ in range(3):
            await self._cycle(ctx)

    async def _cycle(self, ctx):
        sequencer = self.sequencer
        now = self._events.pop(self.cycle, {})
        fires = now.get("fires", self.rng.getrandbits(sequencer.shape.pe))
        ctx.set(sequencer.parameters.value, self._values[-1])
        ctx.set(sequencer.parameters.need_thresholds, "need" in now)
        ctx.set(sequencer.decided.next_done, "group" in now)
        ctx.set(sequencer.decided.next_last, now.get("group", 0))
        ctx.set(sequencer.fires, fires)
        ctx.set(sequencer.readout.finished, "finished" in now)
        ctx.set(sequencer.readout.winner, now.get("finished", self.rng.randrange(8)))
        ctx.set(sequencer.result_free, not self.stalls or self.rng.random() < 0.5)
        self._receive(ctx)
        sampled = await ctx.tick().sample(
            sequencer.parameters.enable,
            sequencer.parameters.address,
            sequencer.weight_address,
            sequencer.activation_address,
            sequencer.step,
            sequencer.result,
            sequencer.images.done,
        )
        _, _, enable, address, weight, activation, step, result, done = sampled
        self._values[1:] = self._values[:-1]
        if enable:
            self.read.append((self.cycle, address))
            self._values[0] = self.parameters[address % len(self.parameters)]
        # From its first word to its last a group takes one in every cycle, or each is marked.
        self._in_group |= step.start and not step.partial
        if self._in_group or step.partial:
            self.words.append((self.cycle - 1, *self._previous, step.end))
        self._previous = (weight, activation)
        if step.end:
            self._in_group = False
            self._decide(ctx, step.last)
        if result:
            self.results.append(self.cycle)
        if done:
            self.done.append((self.cycle, done))
        self.cycle += 1

    def _decide(self, ctx, last):
        """A group will be decided, after its thresholds have been read."""
        sequencer = self.sequencer
        need = self.cycle + 3
        for number in range(sequencer.shape.parameter_reads):
            self._events[need + number]["need"] = True
        announced = need + sequencer.shape.parameter_reads + 4
        fires = self.rng.getrandbits(sequencer.shape.pe)
        is_last_row = ctx.get(sequencer.readout.last_layer) and last
        self._events[announced]["group"] = last
        self._events[announced + 1]["fires"] = fires
        self.groups.append((announced, last, fires))
        if is_last_row:
            finished = announced + 3 + self.wait(9)
            winner = self.rng.randrange(8)
            self._events[finished]["finished"] = winner
            self.finished.append((finished, winner))

    def _receive(self, ctx):
        """Words of an image come while a buffer is free."""
        images = self.sequencer.images
        complete = list(self._complete)
        ctx.set(images.complete, complete[0] | complete[1] << 1)
        ctx.set(images.words, self._there)
        comes = self._received < self.images and not complete[self._fill]
        comes = comes and (not self.stalls or self.rng.random() < 0.03)
        ctx.set(images.word_comes, comes)
        if comes:
            self.word_comes.append(self.cycle)
            self._there += 1
            if self._there == self.image_words:
                complete[self._fill] = True
                self._there = 0
                self._fill ^= 1
                self._received += 1
        done = ctx.get(images.done)
        self._complete = [complete[buffer] and not done >> buffer & 1 for buffer in range(2)]
        ctx.set(images.complete_next, self._complete[0] | self._complete[1] << 1)


@dataclass
class Walk:
    """The words and parameters that one image takes, from the layout of its network.

    Each weight word is (address, address of activations, ends its group); parameters are addresses.
    """

    words: list = field(default_factory=list)
    parameters: list = field(default_factory=list)
    layers: list = field(default_factory=list)
    """For each layer how many words and how many groups it takes."""


def walk_of(network, shape, number, groups):
    """What image `number` takes whose groups were decided so."""
    walk = Walk()
    weight, parameter = 0, 1
    region = (Region.IMAGE_0, Region.IMAGE_1)[number % 2]
    row_bits = (shape.row_words - 1).bit_length()
    for index, layer in enumerate(network.layers):
        walk.parameters += [parameter, parameter + 1]
        parameter += 2
        words = words_per_row(network, layer, shape)
        last = index == len(network.layers) - 1
        count = shape.groups(layer.n_out)
        length = words * layer.weight_bits
        by_input = index == 0 and overlaps(network, shape)
        path = range(count)
        if last and network.readout is Readout.TREE:
            path, node = [], 0
            for _ in range(rows_evaluated(network, layer)):
                path.append(node // shape.pe)
                fires = groups[sum(decided for _, decided in walk.layers) + len(path) - 1][2]
                node = 2 * node + 1 + (fires >> node % shape.pe & 1)
        places = [(group, offset) for group in path for offset in range(length)]
        if by_input:
            places = [(group, offset) for offset in range(length) for group in path]
        for group, offset in places:
            address = weight + (offset * count + group if by_input else group * length + offset)
            activation = offset % words | region.value << row_bits
            walk.words.append((address, activation, offset == length - 1))
        for group in path:
            first = parameter + group * shape.parameter_reads
            walk.parameters += range(first, first + shape.parameter_reads)
        walk.layers.append((len(places), len(path)))
        weight += layer_weight_words(network, layer, shape)
        parameter += count * shape.parameter_reads
        region = (Region.EVEN_LAYER, Region.ODD_LAYER)[index % 2]
    if network.readout is Readout.NEAREST:
        walk.parameters.append(parameter)  # of the first row's code
    return walk


def surround(sequencer, network, stalls):
    shape = sequencer.shape
    return Surroundings(
        sequencer,
        memory_image(network, shape).parameter_values[:: shape.parameter_lanes],
        words_per_row(network, network.layers[0], shape),
        random.Random(2),
        stalls,
        images=3,
    )


@pytest.mark.parametrize("stalls", [False, True])
@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_memories_are_walked_once_for_each_image(shape, name, stalls):
    sizes, weight_bits, readout = NETWORKS[name]
    network = random_network(np.random.default_rng(1), sizes, weight_bits, readout=readout)
    sequencer = Sequencer(shape)
    around = surround(sequencer, network, stalls)
    bench = Bench(sequencer, max_cycles=10_000)
    trace = bench.trace(
        idle=sequencer.idle,
        is_complete=sequencer.is_complete,
        overrun=sequencer.overrun,
        xnor=sequencer.xnor,
        write_region=sequencer.write_region,
        last_layer=sequencer.readout.last_layer,
        kind=sequencer.readout.kind,
        prefix=sequencer.readout.prefix,
        lane=sequencer.readout.lane,
        rows_left=sequencer.readout.rows_left,
    )
    bench.run(around.run)
    assert not any(trace["overrun"])

    words, read, begin = iter(around.words), iter(around.read), 0
    for number, (finished, winner) in enumerate(around.finished):
        decided = [group for group in around.groups if begin < group[0] < finished]
        begin = finished
        walk = walk_of(network, shape, number, decided)
        if readout is Readout.NEAREST:
            walk.parameters[-1] += winner
        issued = list(islice(words, len(walk.words)))
        assert [word[1:] for word in issued] == walk.words
        reads = list(islice(read, len(walk.parameters)))
        assert [address for _, address in reads] == walk.parameters

        result = finished + sequencer.result_cycles
        if readout is Readout.NEAREST:
            result += sequencer.look_up_cycles
        assert around.results[number] == result
        assert around.done[number] == (result, 1 << number % 2)
        begun = reads[0][0]
        assert not any(trace["idle"][begun : result + 1])
        # It is taken up with its first word, or when the sequencer is idle again.
        comes = around.word_comes[number * around.image_words :][: around.image_words]
        if not stalls:
            free = around.results[number - 1] if number else comes[0]
            assert begun == free + sequencer.start_cycles
        assert begun >= comes[0] + sequencer.start_cycles
        complete = trace["is_complete"][begun : result + 1]
        assert complete == [cycle > comes[-1] for cycle in range(begun, result + 1)]
        _check_layers(sequencer, network, trace, walk, issued, decided, begun, comes)
    assert (next(words, None), next(read, None)) == (None, None)
    assert around.images == len(around.finished)


def _check_layers(sequencer, network, trace, walk, words, groups, begun, comes):
    """The cycles of each layer, and what the sequencer says of it."""
    words, groups = iter(words), iter(groups)
    fetch = begun
    for index, (layer, counts) in enumerate(zip(network.layers, walk.layers, strict=True)):
        issued, decided = list(islice(words, counts[0])), list(islice(groups, counts[1]))
        first, end = issued[0][0], decided[-1][0]
        ready = fetch + sequencer.header_cycles
        if index == 0 and overlaps(network, sequencer.shape):
            # Each word of activations is waited for in its turn, by the first of the groups.
            for place, come in zip(range(0, len(issued), len(decided)), comes, strict=True):
                assert issued[place][0] == max(ready, come + 1)
                ready = issued[place + len(decided) - 1][0] + 1
        else:
            assert first == (max(ready, comes[-1] + 1) if index == 0 else ready)
        last = index == len(network.layers) - 1
        region = (Region.EVEN_LAYER, Region.ODD_LAYER)[index % 2]
        assert set(trace["xnor"][first : end + 1]) == {layer.weight_bits == 1}
        assert set(trace["write_region"][first : end + 1]) == {region}
        assert set(trace["last_layer"][first : end + 1]) == {last}
        fetch = end + sequencer.layer_cycles
    _check_readout(sequencer, network, trace, issued, decided)


def _check_readout(sequencer, network, trace, words, groups):
    """What the sequencer tells the readout, and how it goes from row to row of a tree."""
    pe = sequencer.shape.pe
    end = groups[-1][0]
    assert trace["kind"][end] == ReadoutNumber[network.readout.name]
    if network.readout is not Readout.TREE:
        assert trace["rows_left"][end] == (network.sizes[-1] - 1) % pe
        return
    assert trace["prefix"][end] == int(network.code_prefix or "0", 2)
    node = 0
    row_words = len(words) // len(groups)
    for number, (announced, _, fires) in enumerate(groups):
        assert trace["lane"][announced] == node % pe
        node = 2 * node + 1 + (fires >> node % pe & 1)
        if number < len(groups) - 1:
            next_row = words[(number + 1) * row_words][0]
            assert next_row == announced + sequencer.row_cycles


def test_parameters_that_end_too_early_end_the_image():
    """Five layers of three words fill the memory, and none is marked as the last."""
    shape = EngineShape(8, max_inputs=32, weight_words=16, parameter_words=16)
    sequencer = Sequencer(shape)
    around = Surroundings(
        sequencer, [1] + [0] * 15, image_words=1, rng=random.Random(3), stalls=False, images=2
    )
    bench = Bench(sequencer, max_cycles=2000)
    trace = bench.trace(overrun=sequencer.overrun, idle=sequencer.idle)
    bench.run(around.run)
    first = around.results[0]
    addresses = [address for cycle, address in around.read if cycle < first]
    assert addresses[:15] == list(range(1, 16))
    assert 15 < len(addresses) < 20
    assert [trace["overrun"][result] for result in around.results] == [1, 1]
    assert not trace["overrun"][first + 2]  # it is of one image only


def test_no_image_is_done_in_the_cycle_of_a_reset():
    sequencer = Sequencer(SHAPES["1"])
    network = random_network(np.random.default_rng(1), (16, 7), (1,))
    around = surround(sequencer, network, stalls=False)
    bench = Bench(sequencer, max_cycles=2000)
    trace = bench.trace(result=sequencer.result, done=sequencer.images.done)

    async def cancel(ctx):
        while True:
            ctx.set(sequencer.cancel, len(around.results) == 0)
            await ctx.tick()

    bench.background(cancel)
    bench.run(around.run)
    assert [trace["done"][cycle] for cycle in trace.cycles("result")] == [0, 0b10, 0b01]
