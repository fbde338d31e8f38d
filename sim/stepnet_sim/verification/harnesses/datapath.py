"""The datapath and its comparison against the sum of weights and the threshold."""

import itertools

from amaranth.hdl import Array, Cat, Module, Signal, Value, signed
from amaranth.lib import data
from amaranth.lib.wiring import In

from stepnet.cores.engine.shape import EngineShape
from stepnet_hdl.cores.engine import datapath
from stepnet_sim.verification.formal import Harness, claim, hold


class DecidesANeuron(Harness):
    """The excess of each neuron of a group is sum minus threshold, and not negative exactly where
    `sum >= threshold`, once the latency has passed.

    It is claimed for every row of one weight word per plane, all activations, every threshold that
    the datapath can hold, and a datapath that starts in any state. The sum is made by bit planes:
    `-2^(B-1) p[B-1] + sum_k 2^k p[k]` with `p[k] = popcount(a AND w[k])`, and for weights of one
    bit `popcount(a XNOR w)`. The shape holds no larger sums, so these are all sums.
    """

    weights: Signal
    activations: Signal
    thresholds: data.View

    def __init__(self, simd: int, planes: int, pe: int = 1) -> None:
        self.shape = EngineShape(
            simd,
            max_inputs=simd,
            weight_words=16,
            max_weight_bits=planes,
            pe=pe,
            parameter_lanes=pe,
        )
        self.planes = planes
        super().__init__(
            {
                "weights": In(simd * pe * planes),
                "activations": In(simd),
                "thresholds": In(data.ArrayLayout(signed(self.shape.sum_bits), pe)),
            }
        )

    def claims(self, m: Module) -> None:
        """One plane per cycle, most significant first; then wait for the decision."""
        hold(m, self.weights, self.activations, self.thresholds.as_value())
        shape = self.shape
        m.submodules.dut = dut = datapath.Datapath(shape)
        words = [self.weights.word_select(at, shape.simd * shape.pe) for at in range(self.planes)]
        decided_at = self.planes - 1 + dut.latency_cycles
        cycle = Signal(range(decided_at + 2))
        m.d.comb += [
            dut.xnor.eq(self.planes == 1),
            dut.weights.eq(Array(words)[cycle]),
            dut.activations.eq(self.activations),
            dut.thresholds.eq(self.thresholds),
            dut.step.start.eq(cycle == 0),
            dut.step.plane.eq(cycle < self.planes),
            dut.step.subtract.eq((cycle == 0) & (self.planes > 1)),
            dut.step.end.eq(cycle == self.planes - 1),
        ]
        with m.If(cycle <= decided_at):
            m.d.sync += cycle.eq(cycle + 1)

        with m.If(cycle == decided_at):
            m.d.comb += claim(dut.done)
            for neuron in range(shape.pe):
                total = self._total([word.word_select(neuron, shape.simd) for word in words])
                threshold = self.thresholds[neuron]
                m.d.comb += [
                    claim(dut.margins[neuron] == total - threshold),
                    claim((dut.margins[neuron] >= 0) == (total >= threshold)),
                ]

    def _total(self, planes: list[Value]) -> Value:
        if len(planes) == 1:
            return sum(~(planes[0] ^ self.activations), start=Value.cast(0))
        counts = [sum(plane & self.activations, start=Value.cast(0)) for plane in planes]
        total: Value = -counts[0]
        for count in counts[1:]:
            total = (total << 1) + count
        return total


class PoolsOverWindows(Harness):
    """A neuron of a group that is pooled fires exactly where `sum >= threshold` over one of its
    windows, in each of two groups that follow each other; before the last window the group is said
    to be evaluated, and with it to be decided.

    It is claimed for all weights of one bit, all activations in each window, and every threshold,
    from reset, with the windows as close together as they can come.

    at_once: how many windows are evaluated in a cycle, 1 or 2.
    """

    WINDOWS = 4
    GROUPS = 2

    weights: Signal
    activations: Signal
    thresholds: data.View

    def __init__(self, simd: int, pe: int, at_once: int = 1) -> None:
        self.shape = _convolving(simd, pe, at_once)
        super().__init__(
            {
                "weights": In(simd * pe * self.GROUPS),
                "activations": In(simd * self.WINDOWS * self.GROUPS),
                "thresholds": In(data.ArrayLayout(signed(self.shape.sum_bits), pe)),
            }
        )

    def claims(self, m: Module) -> None:
        """The windows of a cycle are looked at once the latency has passed."""
        hold(m, self.weights, self.activations, self.thresholds.as_value())
        shape = self.shape
        m.submodules.dut = dut = datapath.Datapath(shape)
        rounds = self.WINDOWS // shape.map_windows
        count = rounds * self.GROUPS
        words = [self.weights.word_select(at, shape.simd * shape.pe) for at in range(self.GROUPS)]
        at_once = shape.simd * shape.map_windows
        seen = [self.activations.word_select(at, at_once) for at in range(count)]
        cycle = Signal(range(count + dut.latency_cycles + 1))
        comes = cycle < count
        is_last = Array([at % rounds == rounds - 1 for at in range(count)])[cycle]
        m.d.comb += [
            dut.xnor.eq(1),
            dut.weights.eq(Array([words[at // rounds] for at in range(count)])[cycle]),
            dut.activations.eq(Array(seen)[cycle]),
            dut.thresholds.eq(self.thresholds),
            dut.step.start.eq(comes),
            dut.step.plane.eq(comes),
            dut.step.end.eq(comes),
            dut.step.pooled.eq(comes & ~is_last),
            dut.step.completes.eq(comes & is_last),
        ]
        if shape.map_windows > 1:
            m.d.comb += dut.joins.eq(1)
        with m.If(cycle < count + dut.latency_cycles):
            m.d.sync += cycle.eq(cycle + 1)

        for at in range(count):
            group, place = divmod(at, rounds)
            decides = place == rounds - 1
            with m.If(cycle == at + dut.latency_cycles):
                m.d.comb += [claim(dut.pools == (not decides)), claim(dut.done == decides)]
                if not decides:
                    continue
                windows = Cat(seen[group * rounds : at + 1])
                for neuron in range(shape.pe):
                    own = words[group].word_select(neuron, shape.simd)
                    fires = [
                        sum(~(own ^ window), start=Value.cast(0)) >= self.thresholds[neuron]
                        for window in _words(windows, shape.simd)
                    ]
                    m.d.comb += claim(dut.fires[neuron] == Cat(fires).any())


class EvaluatesTwoPositions(Harness):
    """Where two windows are those of two positions, each margin is `sum - threshold` over its own
    window, and a neuron fires at each position exactly where that is not negative; that there are
    two is told a cycle ahead.

    It is claimed for all weights of one bit, all activations, every threshold, and a datapath that
    starts from reset.
    """

    weights: Signal
    activations: Signal
    thresholds: data.View

    def __init__(self, simd: int, pe: int) -> None:
        self.shape = _convolving(simd, pe, at_once=2)
        super().__init__(
            {
                "weights": In(simd * pe),
                "activations": In(2 * simd),
                "thresholds": In(data.ArrayLayout(signed(self.shape.sum_bits), pe)),
            }
        )

    def claims(self, m: Module) -> None:
        """One word, and its decision."""
        hold(m, self.weights, self.activations, self.thresholds.as_value())
        shape = self.shape
        m.submodules.dut = dut = datapath.Datapath(shape)
        cycle = Signal(range(dut.latency_cycles + 2))
        comes = cycle == 0
        m.d.comb += [
            dut.xnor.eq(1),
            dut.weights.eq(self.weights),
            dut.activations.eq(self.activations),
            dut.thresholds.eq(self.thresholds),
            dut.step.start.eq(comes),
            dut.step.plane.eq(comes),
            dut.step.end.eq(comes),
            dut.step.completes.eq(comes),
            dut.step.two_positions.eq(comes),
        ]
        with m.If(cycle <= dut.latency_cycles):
            m.d.sync += cycle.eq(cycle + 1)

        with m.If(cycle == dut.latency_cycles - 1):
            m.d.comb += claim(dut.next_two_positions)
        with m.If(cycle == dut.latency_cycles):
            m.d.comb += claim(dut.done)
            for window, neuron in itertools.product(range(2), range(shape.pe)):
                own = self.weights.word_select(neuron, shape.simd)
                seen = self.activations.word_select(window, shape.simd)
                margin = sum(~(own ^ seen), start=Value.cast(0)) - self.thresholds[neuron]
                lane = window * shape.pe + neuron
                m.d.comb += [
                    claim(dut.margins[lane] == margin),
                    claim(dut.fires[lane] == (margin >= 0)),
                ]


def _convolving(simd: int, pe: int, at_once: int) -> EngineShape:
    """Return an engine for convolutions of weights of one bit, over so many windows at once."""
    return EngineShape(
        simd,
        max_inputs=simd,
        weight_words=16,
        max_weight_bits=1,
        pe=pe,
        parameter_lanes=pe,
        map_words=2,
        map_windows=at_once,
    )


def _words(value: Value, width: int) -> list[Value]:
    """Return the words of so many bits that a value is made of, the lowest first."""
    return [value.word_select(at, width) for at in range(len(value) // width)]
