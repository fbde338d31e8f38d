"""The potentials of a spiking core against the formula of a neuron, one whole tick."""

import numpy as np
from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib.wiring import In

from stepnet.cores.spiking.contents import spiking_contents, spiking_shape
from stepnet.networks.network import Layer
from stepnet.networks.spiking import SpikingLayer, SpikingNetwork
from stepnet_hdl.cores.spiking import potentials
from stepnet_sim.verification.formal import Harness, claim, given

ADDS = 3
"""How many inputs come in the tick; the first and the second right behind each other."""

CLEARED, ADDED, COMPARED, AGAIN = 4, 5 + ADDS, 8 + ADDS, 12 + ADDS
"""The cycles in which the first weights are asked for, in which all are added, in which the
potential is compared, and in which what was stored is compared."""


class UpdatesANeuron(Harness):
    """After any weights a neuron spikes where its potential reaches the threshold, and keeps it as
    `SpikingLayer` says: reset, bounded, and with the decay and the leak of the next tick.

    The first of eight neurons is looked at. Its weights are any, or do not count; its threshold and
    its leak are built in.
    """

    weights: Signal
    counts: Signal

    def __init__(self, decay_shift: int | None, reset: int | None, floor: int, bits: int) -> None:
        ones = 1 if bits == 1 else (1 << bits - 1) - 1
        step = Layer(np.full((1, ADDS), ones, np.int8), np.array([5], np.int32), bits)
        self.layer = SpikingLayer(step, np.array([-2], np.int32), decay_shift, reset, floor)
        self.network = SpikingNetwork(
            "one", (self.layer,), 1, ADDS, readout="nearest", alphabet="a", ticks=2
        )
        super().__init__({"weights": In(bits), "counts": In(1)})

    def claims(self, m: Module) -> None:
        """Add, compare, and compare what was stored."""
        shape = spiking_shape(self.network, 8)
        contents = spiking_contents(self.network, shape)
        m.submodules.dut = dut = potentials.Potentials(self.network, shape, contents)
        threshold, leak = int(self.layer.step.thresholds[0]), int(self.layer.leaks[0])
        cycle = Signal(range(AGAIN + 3))
        m.d.sync += cycle.eq(cycle + 1)
        adds = (cycle >= CLEARED) & (cycle < CLEARED + ADDS)
        adding = Signal()
        wide = signed(shape.potential_bits + 2)
        potential = Signal(wide, init=leak)  # before the first tick it is 0, and the leak comes
        weight = Signal(signed(shape.weight_bits + 1))
        if shape.weight_bits == 1:
            m.d.comb += weight.eq(Mux(self.weights, 1, -1))
        else:
            m.d.comb += [
                weight.eq(self.weights.as_signed()),
                # The layer's own weights say how wide potentials are.
                given(self.weights.as_signed() > -(1 << shape.weight_bits - 1)),
            ]
        m.d.sync += adding.eq(adds)
        with m.If(adding & self.counts):
            m.d.sync += potential.eq(potential + weight)
        m.d.comb += [
            dut.compares.eq((cycle == 0) | (cycle == COMPARED) | (cycle == AGAIN)),
            dut.clears.eq(cycle == 0),
            dut.adds.eq(adds),
            dut.weights[0].eq(self.weights),
            dut.counts.eq(self.counts),
        ]
        spikes = potential >= threshold
        subtracted = potential - threshold if self.layer.reset is None else self.layer.reset
        after, bounded, decayed = Signal(wide), Signal(wide), Signal(wide)
        m.d.comb += [
            after.eq(Mux(spikes, subtracted, potential)),
            bounded.eq(Mux(after < self.layer.floor, self.layer.floor, after)),
        ]
        match self.layer.decay_shift:
            case None:
                m.d.comb += decayed.eq(bounded)
            case shift:
                m.d.comb += decayed.eq(bounded - (bounded >> shift))
        with m.If(cycle == COMPARED + 2):
            m.d.comb += [
                claim(dut.compared),
                claim(dut.spikes[0] == spikes),
                claim(dut.excesses[0] == potential - threshold),
            ]
        with m.If(cycle == AGAIN + 2):
            m.d.comb += claim(dut.excesses[0] == decayed + leak - threshold)
