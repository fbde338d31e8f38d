"""Where an engine first decides otherwise than the reference: layer, neuron and cycle."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from amaranth.hdl import Module
from amaranth.sim import Simulator
from numpy.typing import NDArray

from stepnet import reference
from stepnet.engine import EngineShape, cycles_per_image, memory_image, stored_thresholds
from stepnet.network import Layer, Network, Readout
from stepnet.protocol import Space, pack_pixels
from stepnet_hdl.collector import Collector
from stepnet_hdl.engine import Engine

PERIOD_S = 1e-6

SPARE_CYCLES = 1000
"""Beyond what the reference expects, for an engine that is late."""


@dataclass(frozen=True)
class Decision:
    """One neuron's: by how much its sum is above the threshold, and whether it fires."""

    layer: int
    neuron: int
    margin: int
    fires: bool


@dataclass(frozen=True)
class Difference:
    """The first decision that differs.

    cycle: from the image's last pixel on; None for a decision that never comes.
    engine: what the engine decides; None if it decides nothing more.
    expected: what it has to; None if nothing more is to decide.
    """

    cycle: int | None
    engine: tuple[int, bool] | None
    expected: Decision | None

    def __str__(self) -> str:
        """In one sentence without a full stop."""
        if self.expected is None:
            return f"the engine decides one neuron too many in cycle {self.cycle}"
        place = f"layer {self.expected.layer}, neuron {self.expected.neuron}"
        if self.engine is None:
            return f"{place} is never decided"
        margin, fires = self.engine
        return (
            f"{place}, cycle {self.cycle}: margin {margin} and {_verb(fires)} instead of "
            f"{self.expected.margin} and {_verb(self.expected.fires)}"
        )


class _WatchedEngine(Engine):
    """An engine that, once elaborated, shows its collector."""

    collector: Collector

    def elaborate(self, platform: object) -> Module:
        m = super().elaborate(platform)
        self.collector = m.submodules.collector
        return m


def first_difference(
    network: Network, shape: EngineShape, image: NDArray[np.generic]
) -> Difference | None:
    """Run one image through the engine's source in Amaranth's simulator; None if all is well.

    image: (height, width) as in `reference.binarise`.
    """
    decided = _decided(network, shape, image)
    for expected in decisions(network, image):
        cycle, *engine = next(decided, (None,))
        if not engine:
            return Difference(None, None, expected)
        margin, fires = engine
        if (margin, fires) != (expected.margin, expected.fires):
            return Difference(cycle, (margin, fires), expected)
    for cycle, margin, fires in decided:
        return Difference(cycle, (margin, fires), None)
    return None


def decisions(network: Network, image: NDArray[np.generic]) -> Iterator[Decision]:
    """What an engine has to decide for one image, in its order: of a tree only the rows on the way
    from the root."""
    *inputs, _ = reference.activations(network, image[np.newaxis])
    for number, (layer, state) in enumerate(zip(network.layers, inputs, strict=True)):
        margins = _margins(network, layer, state[0])
        is_tree = number == len(network.layers) - 1 and network.readout is Readout.TREE
        neuron = 0
        while neuron < len(margins):
            fires = margins[neuron] >= 0
            yield Decision(number, neuron, margins[neuron], fires)
            neuron = 2 * neuron + 1 + fires if is_tree else neuron + 1


def _margins(network: Network, layer: Layer, state: NDArray[np.uint8]) -> list[int]:
    """As the engine has them: a threshold beyond all sums is stored as the nearest that acts alike,
    except where the distance counts."""
    margins = reference.margins(layer, state[np.newaxis])[0].astype(int)
    if layer is not network.layers[-1] or network.readout is not Readout.NEAREST:
        added = np.sum(layer.weights < 0, axis=1) if layer.weight_bits == 1 else 0
        margins += layer.thresholds - (stored_thresholds(layer) - added)
    return margins.tolist()


def _decided(
    network: Network, shape: EngineShape, image: NDArray[np.generic]
) -> Iterator[tuple[int, int, bool]]:
    """Cycle from the last pixel, margin and firing of every neuron that the engine decides."""
    engine = _WatchedEngine(shape)
    simulator = Simulator(engine)
    collector = engine.collector
    found: list[tuple[int, int, bool]] = []
    memory = memory_image(network, shape)
    pixels = pack_pixels(reference.binarise(network, image[np.newaxis])[0])

    async def send(ctx: Any, port: Any, payloads: Any) -> None:
        for payload in payloads:
            ctx.set(port.payload, payload)
            ctx.set(port.valid, 1)
            await ctx.tick().until(port.ready)
        ctx.set(port.valid, 0)

    async def load(ctx: Any, space: int, words: bytes) -> None:
        body = bytes(3) + bytes([space]) + words
        ends = [False] * (len(body) - 1) + [True]
        payloads = ({"data": byte, "last": last} for byte, last in zip(body, ends, strict=True))
        await send(ctx, engine.load, payloads)
        await ctx.tick().repeat(2)

    async def testbench(ctx: Any) -> None:
        ctx.set(engine.readings.ready, 1)
        await load(ctx, Space.PARAMETERS, memory.parameters.tobytes())
        await load(ctx, Space.WEIGHTS, memory.weights.tobytes())
        await send(ctx, engine.pixels, pixels)
        for cycle in range(1, cycles_per_image(network, shape) + SPARE_CYCLES):
            done, margin, fires = ctx.get(collector.done), collector.margin, collector.fires
            if done:
                found.append((cycle, ctx.get(margin), bool(ctx.get(fires))))
            await ctx.tick()

    simulator.add_clock(PERIOD_S)
    simulator.add_testbench(testbench)
    simulator.run()
    yield from found


def _verb(fires: bool) -> str:
    return "fires" if fires else "rests"
