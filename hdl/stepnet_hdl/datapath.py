"""Where a neuron is computed: match, count, accumulate, compare."""

from amaranth.hdl import C, Cat, Module, Mux, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from stepnet.engine import EngineShape
from stepnet_hdl.popcount import Popcount

Step = data.StructLayout({"start": 1, "plane": 1, "subtract": 1, "end": 1, "last": 1})
"""What one weight word is to its neuron: the first word of all, the first word of a bit plane, a
word of a plane that counts negative, the last word of all; and whether that ends the layer."""


class Datapath(wiring.Component):
    """Takes a weight word and an activation word every cycle, gives a bit per neuron.

    With `xnor` the words are compared bit by bit and the equal bits counted; else the bits that are
    1 in both. Counts are added up: `sum = 2 sum` before a new bit plane, `sum = sum ± count`.
    `margin = sum - threshold`; a neuron fires where that is not negative.

    `margin`, `done` and `last` come `latency_cycles` after the neuron's last words, those whose
    `step` has `end`.

    Members
    -------
    xnor : Signal(1), in
        1-bit weights: stays as it is while a layer is computed.
    weights, activations : Signal(simd), in
    step : Signal(Step), in
        What the words in the same cycle are to their neuron; all zeros when there are none.
    need_threshold : Signal(1), out
        1 in the cycle before a comparison: the threshold has to follow.
    threshold : Signal(signed(sum_bits)), in
    done : Signal(1), out
        A neuron is decided in this cycle.
    margin : Signal(signed(sum_bits + 1)), out
        How far its sum is from the threshold.
    last : Signal(1), out
        It is the last neuron of its layer.
    """

    xnor: Signal
    weights: Signal
    activations: Signal
    step: data.View
    need_threshold: Signal
    threshold: Signal
    done: Signal
    margin: Signal
    last: Signal

    def __init__(self, shape: EngineShape) -> None:
        self.shape = shape
        self.latency_cycles = shape.popcount_latency_cycles + 3
        super().__init__(
            {
                "xnor": In(1),
                "weights": In(shape.simd),
                "activations": In(shape.simd),
                "step": In(Step),
                "need_threshold": Out(1),
                "threshold": In(signed(shape.sum_bits)),
                "done": Out(1),
                "margin": Out(signed(shape.sum_bits + 1)),
                "last": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.popcount = popcount = Popcount(self.shape.simd)

        # XNOR and AND differ where both bits are 0.
        both = self.weights & self.activations
        neither = ~(self.weights | self.activations)
        m.d.sync += popcount.bits.eq(both | (neither & self.xnor.replicate(self.shape.simd)))

        step = self.step
        for _ in range(1 + popcount.latency_cycles):
            delayed = Signal(Step)
            m.d.sync += delayed.eq(step)
            step = delayed

        total = Signal(signed(self.shape.sum_bits))
        complete = Signal(Step)  # the step whose count `total` holds
        before = Mux(step.start, 0, Mux(step.plane, total << 1, total))
        # -count is ~count + 1, and the 1 enters as the carry below bit 0.
        count = popcount.count ^ step.subtract.replicate(self.shape.sum_bits)
        added = Cat(C(1), before[: self.shape.sum_bits]) + Cat(step.subtract, count)
        m.d.sync += [total.eq(added[1:]), complete.eq(step)]

        m.d.comb += self.need_threshold.eq(step.end)
        m.d.sync += [
            self.margin.eq(total - self.threshold),
            self.done.eq(complete.end),
            self.last.eq(complete.last),
        ]
        return m
