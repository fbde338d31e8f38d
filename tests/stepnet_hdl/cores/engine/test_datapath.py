"""The datapath: neurons of one bit and of several, decided when they should be."""

import numpy as np
import pytest
from amaranth.sim import Simulator

from stepnet.cores.engine.shape import EngineShape
from stepnet_hdl.cores.engine.datapath import NO_STEP, Datapath


def word(bits):
    return sum(int(bit) << position for position, bit in enumerate(bits))


@pytest.mark.parametrize("weight_bits", [1, 2, 5, 8])
@pytest.mark.parametrize("words_per_row", [1, 3])
def test_neurons_back_to_back(weight_bits, words_per_row):
    rng = np.random.default_rng(weight_bits)
    simd = 16
    n_in = simd * words_per_row
    shape = EngineShape(simd, max_inputs=64)
    datapath = Datapath(shape)
    neurons = []
    for _ in range(20):
        activations = rng.integers(0, 2, n_in)
        if weight_bits == 1:
            weights = rng.choice([-1, 1], n_in)
        else:
            weights = rng.integers(-(1 << weight_bits - 1), 1 << weight_bits - 1, n_in)
        threshold = int(weights @ activations) + int(rng.integers(-40, 40))
        neurons.append((weights, activations, threshold))

    decided = []
    cycle = 0

    async def drive(ctx):
        nonlocal cycle
        ctx.set(datapath.xnor, weight_bits == 1)
        for weights, activations, _ in neurons:
            planes = [weights > 0] if weight_bits == 1 else None
            if planes is None:
                planes = [weights >> bit & 1 for bit in reversed(range(weight_bits))]
            for plane, plane_bits in enumerate(planes):
                for index in range(words_per_row):
                    part = slice(index * simd, (index + 1) * simd)
                    end = plane == len(planes) - 1 and index == words_per_row - 1
                    ctx.set(datapath.weights, word(plane_bits[part]))
                    ctx.set(datapath.activations, word(activations[part]))
                    ctx.set(
                        datapath.step,
                        {
                            **NO_STEP,
                            "start": plane == 0 and index == 0,
                            "plane": index == 0,
                            "subtract": plane == 0 and weight_bits > 1,
                            "end": end,
                        },
                    )
                    await ctx.tick()
        ctx.set(datapath.step, NO_STEP)
        await ctx.tick().repeat(datapath.latency_cycles + 1)

    async def watch(ctx):
        thresholds = [
            threshold + (np.sum(weights < 0) if weight_bits == 1 else 0)
            for weights, _, threshold in neurons
        ]
        waiting = iter(thresholds)
        now = 0
        async for _, _, need, done, margins in ctx.tick().sample(
            datapath.need_thresholds, datapath.done, datapath.margins
        ):
            if done:
                decided.append((now, margins[0]))
            if need:
                ctx.set(datapath.thresholds[0], int(next(waiting)))
            now += 1

    simulator = Simulator(datapath)
    simulator.add_clock(1e-6)
    simulator.add_testbench(drive)
    simulator.add_testbench(watch, background=True)
    simulator.run()

    per_neuron = words_per_row * weight_bits
    expected = [
        (
            (number + 1) * per_neuron - 1 + datapath.latency_cycles,
            int(weights @ activations - threshold),
        )
        for number, (weights, activations, threshold) in enumerate(neurons)
    ]
    assert decided == expected
