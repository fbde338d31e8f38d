"""Finds where an engine first decides otherwise than the reference: layer, neuron and cycle.

Rungs of the ladder that find a wrong character ask it for the place.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from amaranth.hdl import Module
from amaranth.sim import Simulator
from numpy.typing import NDArray

from stepnet.cores.engine.cycles import cycles_per_image
from stepnet.cores.engine.memory_image import Load, is_tree, memory_image, stored_thresholds
from stepnet.cores.engine.shape import EngineShape
from stepnet.link.messages import pack_pixels
from stepnet.networks import reference
from stepnet.networks.convolution import Convolution
from stepnet.networks.network import Layer, Network, Readout
from stepnet_hdl.cores.engine.collector import Collector
from stepnet_hdl.cores.engine.datapath import Datapath
from stepnet_hdl.cores.engine.engine import Engine

PERIOD_S = 1e-6

LOAD_BYTES = 1024

SPARE_CYCLES = 1000
"""How many cycles are simulated beyond those that the engine should take, in case that it is late.
"""


@dataclass(frozen=True)
class Decision:
    """What is decided for one neuron: by how much its sum exceeds the threshold, and whether it
    fires.

    window: 1 for the second of two windows that are evaluated at once, else 0.
    """

    layer: int
    neuron: int
    excess: int
    fires: bool
    window: int = 0


@dataclass(frozen=True)
class Difference:
    """The first decision that differs.

    cycle: when it comes, counted from the image's last pixel; None if it never comes.
    engine: the excess and whether the neuron fires, as the engine has it; None if it decides
        nothing more.
    expected: what it has to decide; None if there is nothing more to decide.
    """

    cycle: int | None
    engine: tuple[int, bool] | None
    expected: Decision | None

    def __str__(self) -> str:
        """The difference in one sentence without a full stop."""
        if self.expected is None:
            return f"the engine decides one neuron too many in cycle {self.cycle}"
        place = f"layer {self.expected.layer}, neuron {self.expected.neuron}"
        if self.engine is None:
            return f"{place} is never decided"
        excess, fires = self.engine
        return (
            f"{place}, cycle {self.cycle}: excess {excess} and {_verb(fires)} instead of "
            f"{self.expected.excess} and {_verb(self.expected.fires)}"
        )


@dataclass(frozen=True)
class _Group:
    """The decisions of the engine in one cycle, those of the first neuron first, and after those
    of the first window those of the second."""

    cycle: int
    excess: list[int]
    fires: list[bool]


class _WatchedEngine(Engine):
    """An engine that, once elaborated, shows where it decides."""

    datapath: Datapath
    collector: Collector

    def elaborate(self, platform: object) -> Module:
        m = super().elaborate(platform)
        self.datapath = m.submodules.datapath
        self.collector = m.submodules.collector
        return m


def first_difference(
    network: Network, shape: EngineShape, image: NDArray[np.generic]
) -> Difference | None:
    """Run one image through the engine's source in Amaranth's simulator; None if all is well.

    image: (height, width), as in `reference.binarise`.
    """
    groups = iter(_decided(network, shape, image))
    group = None
    for expected in decisions(network, image, shape):
        in_tree = is_tree(network, network.layers[expected.layer])
        lane = expected.neuron % shape.pe
        if group is None or in_tree or lane == expected.window == 0:
            group = next(groups, None)
        if group is None:
            return Difference(None, None, expected)
        lane += expected.window * shape.pe
        excess, fires = group.excess[lane], group.fires[lane]
        if (excess, fires) != (expected.excess, expected.fires):
            return Difference(group.cycle, (excess, fires), expected)
    for group in groups:
        return Difference(group.cycle, (group.excess[0], group.fires[0]), None)
    return None


def decisions(
    network: Network, image: NDArray[np.generic], shape: EngineShape
) -> Iterator[Decision]:
    """The decisions that an engine has to take for one image, in their order. In a tree they are
    those of the rows on the way from the root. In a convolution they are those over every window,
    and a neuron that fired over one of several windows goes on to do so over the others.

    shape: of the engine; what it computes at once matters in convolutions.
    """
    *inputs, _ = reference.activations(network, image[np.newaxis])
    for number, (layer, state) in enumerate(zip(network.layers, inputs, strict=True)):
        if layer.convolution:
            yield from _map_decisions(number, layer, layer.convolution, state, shape)
            continue
        excess = _excess(network, layer, state[0])
        in_tree = is_tree(network, layer)
        neuron = 0
        while neuron < len(excess):
            fires = excess[neuron] >= 0
            yield Decision(number, neuron, excess[neuron], fires)
            neuron = 2 * neuron + 1 + fires if in_tree else neuron + 1


def _map_decisions(
    number: int, layer: Layer, seen: Convolution, state: NDArray[np.uint8], shape: EngineShape
) -> Iterator[Decision]:
    """The decisions of a convolution: position by position, in it group by group, and of each group
    window by window; two of them at once where the engine has them."""
    excess = reference.excess(layer, seen.windows(state))[0].astype(int) + _moved(layer)
    side = seen.pool_side
    tiles = excess[: seen.out_height * side, : seen.out_width * side]
    tiles = tiles.reshape(seen.out_height, side, seen.out_width, side, layer.neurons)
    windows = tiles.transpose(0, 2, 1, 3, 4).reshape(seen.positions, side * side, layer.neurons)
    for rounds in _stops(seen, shape.map_windows):
        for first in range(0, layer.neurons, shape.pe):
            for at_once in rounds:
                for which, (position, window) in enumerate(at_once):
                    # The windows of a position join in the first of those evaluated at once.
                    joined = slice(window, window + 1)
                    if seen.pool and which == 0:
                        joined = slice(0, at_once[-1][1] + 1)
                    for neuron in range(first, min(first + shape.pe, layer.neurons)):
                        fires = bool((windows[position, joined, neuron] >= 0).any())
                        excess = int(windows[position, window, neuron])
                        yield Decision(number, neuron, excess, fires, which)


def _stops(seen: Convolution, at_once: int) -> Iterator[list[list[tuple[int, int]]]]:
    """Where the walk over a map stops, what each group is evaluated over: one after the other, the
    windows that are evaluated at once, each as the number of its position and of the window
    there."""
    if seen.pool:
        count = seen.pool_side**2
        for position in range(seen.positions):
            yield [
                [(position, window) for window in range(first, first + at_once)]
                for first in range(0, count, at_once)
            ]
        return
    for row in range(seen.out_height):
        for first in range(0, seen.out_width, at_once):
            last = min(first + at_once, seen.out_width)
            yield [[(row * seen.out_width + column, 0) for column in range(first, last)]]


def _moved(layer: Layer) -> NDArray[np.int64]:
    """By how much the engine's thresholds lie below those of the layer: one that lies beyond all
    sums becomes the nearest that acts alike."""
    added = np.sum(layer.weights < 0, axis=1) if layer.weight_bits == 1 else 0
    return layer.thresholds - (stored_thresholds(layer) - added)


def _excess(network: Network, layer: Layer, state: NDArray[np.uint8]) -> list[int]:
    """By how much each sum exceeds its threshold as the engine stores it: a threshold beyond all
    sums becomes the nearest one that acts alike, except where the distance counts.
    """
    excess = reference.excess(layer, state[np.newaxis])[0].astype(int)
    if layer is not network.layers[-1] or network.readout is not Readout.NEAREST:
        excess += _moved(layer)
    return excess.tolist()


def _decided(network: Network, shape: EngineShape, image: NDArray[np.generic]) -> list[_Group]:
    """Every group that the engine decides after the last pixel."""
    engine = _WatchedEngine(shape)
    simulator = Simulator(engine)
    found: list[_Group] = []
    pixels = pack_pixels(reference.binarise(network, image[np.newaxis])[0])

    async def send(ctx: Any, port: Any, payloads: Any) -> None:
        for payload in payloads:
            ctx.set(port.payload, payload)
            ctx.set(port.valid, 1)
            await ctx.tick().until(port.ready)
        ctx.set(port.valid, 0)

    async def load(ctx: Any, words: Load) -> None:
        body = words.address.to_bytes(3, "little") + bytes([words.space]) + words.words
        ends = [False] * (len(body) - 1) + [True]
        payloads = ({"data": byte, "last": last} for byte, last in zip(body, ends, strict=True))
        await send(ctx, engine.load, payloads)
        await ctx.tick().until(engine.load_done)

    async def testbench(ctx: Any) -> None:
        ctx.set(engine.readings.ready, 1)
        for words in memory_image(network, shape).loads(LOAD_BYTES):
            await load(ctx, words)
        await send(ctx, engine.pixels, pixels)
        for cycle in range(1, cycles_per_image(network, shape) + SPARE_CYCLES):
            if ctx.get(engine.datapath.done) or (
                shape.map_words and ctx.get(engine.datapath.pools)
            ):
                lanes = range(shape.pe * shape.map_windows)
                excess = [ctx.get(engine.datapath.margins[lane]) for lane in lanes]
                fires = ctx.get(engine.collector.fires)
                each = [bool(fires >> lane & 1) for lane in lanes]
                found.append(_Group(cycle, excess, each))
            await ctx.tick()

    simulator.add_clock(PERIOD_S)
    simulator.add_testbench(testbench)
    simulator.run()
    return found


def _verb(fires: bool) -> str:
    return "fires" if fires else "rests"
