"""Computes a group of neurons: match, count, accumulate, compare."""

from collections.abc import Iterable

from amaranth.hdl import C, Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from stepnet.cores.engine.shape import EngineShape
from stepnet_hdl.blocks.delay import delayed
from stepnet_hdl.blocks.popcount import Popcount
from stepnet_hdl.blocks.ram import Ram

Step = data.StructLayout(
    {"start": 1, "plane": 1, "subtract": 1, "end": 1, "last": 1, "partial": 1, "first_group": 1}
)
"""What a weight word is to its group of neurons: `start`, the first word of all; `plane`, the first
word of a bit plane; `subtract`, a word of the plane that counts negative; `end`, the last word of
all; `last`, the last word of the layer; `partial`, a word of a layer that is computed by input, so
that its sums go on from where they were put aside; `first_group`, a word of the first group of such
a layer."""

MapStep = data.StructLayout({**Step.members, "pooled": 1, "completes": 1})
"""A `Step` in an engine with convolutions: `pooled`, with `end`, the group is evaluated over one
more window; `completes`, the last word of all groups at a position of a map, or of a dense layer.
"""


PairStep = data.StructLayout({**MapStep.members, "two_positions": 1})
"""A `MapStep` where two windows are evaluated at once: `two_positions`, with `end`, they are those
of two positions, one beside the other."""


def step_layout(shape: EngineShape) -> data.StructLayout:
    """Return what is told of a weight word in an engine of that shape: `Step`, `MapStep` or
    `PairStep`."""
    if shape.map_windows > 1:
        return PairStep
    return MapStep if shape.map_words else Step


NO_STEP = dict.fromkeys(Step.members, 0)
"""A `Step` when there is no weight word."""


class Decided(wiring.PureInterface):
    """Announces, a cycle ahead, that a group of neurons is decided. Directions are those of the
    datapath."""

    next_done: Signal
    """1 bit, out: a group is decided in the next cycle."""
    next_last: Signal
    """1 bit, out: the group that is decided in the next cycle is the last one of its layer."""


class DecidedSignature(wiring.Signature):
    """The signature of `Decided`."""

    def __init__(self) -> None:
        super().__init__({"next_done": Out(1), "next_last": Out(1)})

    def create(self, *, path: Iterable[str | int] = (), src_loc_at: int = 0) -> Decided:
        return Decided(self, path=tuple(path), src_loc_at=1 + src_loc_at)


class Datapath(wiring.Component):
    """Computes a group of `pe` neurons at a time: takes a weight word of each and one activation
    word every cycle, and gives their margins.

    With `xnor` the two words are compared bit by bit, and equal bits are counted; otherwise the
    bits that are 1 in both. The counts are added up: `sum = 2 sum` before a new bit plane, then
    `sum = sum + count`, or `sum - count` in the plane that counts negative. `margin = sum -
    threshold`, and a neuron fires if its margin is not negative.

    While a layer is computed by input, every group takes one word before any takes the next, and
    its sums wait in a memory of their own meanwhile.

    In a convolution a group may be evaluated over several windows, of which only the last decides
    it. A neuron has fired if it did for one of them, which `fires` sums up. With `map_windows` 2
    the same weights meet the activations of two windows at once.

    `margins`, `fires`, `done` and `last` come `latency_cycles` after the group's last words reach
    the first neighbourhood.
    """

    xnor: Signal
    """1 bit, in: the layer has 1-bit weights. It is there a cycle before the first words of the
    layer, and stays until the layer is decided."""
    weights: Signal
    """`simd * pe` bits, in: a weight word of each neuron, the first neuron's lowest. The words of
    every neighbourhood (`EngineShape.neighbourhoods`) come a cycle after those of the one before
    it."""
    activations: Signal
    """`simd * map_windows` bits, in: the activations of each window that meet the weights of the
    first neighbourhood in this cycle, the first window's lowest."""
    joins: Signal
    """1 bit, in: with `map_windows` 2, the two windows are pooled. It is there with the first words
    of the layer, and stays until the layer is decided."""
    step: data.View
    """`step_layout`, in: what the words that come `read_cycles - 1` cycles later are to their
    group; all zeros when none come."""
    need_thresholds: Signal
    """1 bit, out: the next word of `thresholds` has to be there `read_cycles` later. It is 1 once
    for each group, or in as many cycles in a row as a group has words of thresholds."""
    thresholds_again: Signal
    """1 bit, out: with `map_words`, the group needs the same thresholds once more,
    known with the last word of them that it needs."""
    thresholds_restart: Signal
    """1 bit, out: with `map_words`, the group is the last one at a position that is
    not the last, known with the last word of thresholds that it needs."""
    thresholds: data.View
    """`ArrayLayout(signed(sum_bits), parameter_lanes)`, in: thresholds of the group that is decided
    next, in the order of its neurons."""
    soon_done: Signal
    """1 bit, out: a group is decided two cycles later."""
    decided: Decided
    """`Decided`, out: announces a group, a cycle ahead, to whoever takes its margins."""
    done: Signal
    """1 bit, out: a group is decided in this cycle, and `margins` are those of its neurons."""
    last: Signal
    """1 bit, out: the group that is decided in this cycle is the last one of its layer."""
    next_completes: Signal
    """1 bit, out: with `map_words`, the group that is decided in the next cycle is the
    last one at its position of a map, or of a dense layer."""
    next_two_positions: Signal
    """1 bit, out: with `map_windows` 2, the group that is decided in the next cycle is so at two
    positions."""
    pools: Signal
    """1 bit, out: with `map_words`, a group is evaluated in this cycle over a window
    that is not the last of those that are pooled, and `margins` are those of its neurons."""
    fires: Signal
    """`pe * map_windows` bits, out: with `map_words`, the activations of the group that is decided
    in this cycle, the first neuron lowest; with `map_windows` 2 then those at the second of two
    positions."""
    margins: data.View
    """`ArrayLayout(signed(sum_bits + 1), pe * map_windows)`, out: sum minus threshold of each
    neuron of the group, the first neuron lowest, over each window."""

    def __init__(self, shape: EngineShape) -> None:
        self.shape = shape
        self.latency_cycles = shape.popcount_latency_cycles + shape.skew_cycles + 3
        self._pairs = shape.map_windows > 1
        self._wait_cycles = shape.read_cycles - 1
        # From a step to the count of its words.
        self._count_cycles = self._wait_cycles + 1 + shape.popcount_latency_cycles
        super().__init__(
            {
                "xnor": In(1),
                "weights": In(shape.simd * shape.pe),
                "activations": In(shape.simd * shape.map_windows),
                "step": In(step_layout(shape)),
                "need_thresholds": Out(1),
                "thresholds": In(data.ArrayLayout(signed(shape.sum_bits), shape.parameter_lanes)),
                "soon_done": Out(1),
                "decided": Out(DecidedSignature()),
                "done": Out(1),
                "last": Out(1),
                "margins": Out(
                    data.ArrayLayout(signed(shape.sum_bits + 1), shape.pe * shape.map_windows)
                ),
                **({"joins": In(1), "next_two_positions": Out(1)} if self._pairs else {}),
                **(
                    {
                        "thresholds_again": Out(1),
                        "thresholds_restart": Out(1),
                        "next_completes": Out(1),
                        "pools": Out(1),
                        "fires": Out(shape.pe * shape.map_windows),
                    }
                    if shape.map_words
                    else {}
                ),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        shape = self.shape

        # The steps on their way beside the popcount; the last ones meet the counts, one after the
        # other in each neighbourhood.
        steps = [self.step]
        for _ in range(self._count_cycles + shape.skew_cycles):
            later = Signal(step_layout(shape))
            m.d.sync += later.eq(steps[-1])
            steps.append(later)

        totals: list[list[Value]] = [[] for _ in range(shape.map_windows)]
        xnor: Value = self.xnor
        activations: Value = self.activations
        for number, lanes in enumerate(shape.neighbourhoods):
            if number:
                activations = delayed(m, activations, 1, f"activations_{number}")
            if shape.skew_cycles:
                xnor = delayed(m, xnor, 1, f"xnor_{number}")
            first = self._count_cycles + number
            for window in range(shape.map_windows):
                found = self._totals(
                    m,
                    lanes,
                    window,
                    xnor,
                    activations.word_select(window, shape.simd),
                    steps[first - 1 : first + 1],
                )
                # The neighbourhoods wait for the last of them.
                waits, name = shape.skew_cycles - number, f"totals_{number}{_of(window)}"
                totals[window].append(delayed(m, found, waits, name))

        layout = data.ArrayLayout(signed(shape.sum_bits), shape.pe)
        thresholds = self._thresholds(m, steps)
        opposites = Signal.like(self.margins, reset_less=True)
        m.d.comb += self.margins.as_value().eq(~opposites.as_value())
        for window, found in enumerate(totals):
            inverted = data.View(layout, Cat(found))
            m.d.sync += [
                opposites[window * shape.pe + neuron].eq(
                    self._compare(inverted[neuron], thresholds[neuron])
                )
                for neuron in range(shape.pe)
            ]

        m.d.comb += self.soon_done.eq(steps[-1].end)
        decides = steps[-1].end
        if shape.map_words:
            decides &= ~steps[-1].pooled
            self._pool(m, steps)
        m.d.sync += [
            self.decided.next_done.eq(decides),
            self.decided.next_last.eq(steps[-1].last),
            self.done.eq(self.decided.next_done),
            self.last.eq(self.decided.next_last),
        ]
        return m

    def _pool(self, m: Module, steps: list[data.View]) -> None:
        """Put together what a group answers over the windows that are pooled."""
        fired = Signal(self.shape.pe, reset_less=True)  # over one of the windows before
        here = Cat(~margin[-1] for margin in self.margins)
        fires: Value = fired | here[: self.shape.pe]
        if self._pairs:
            beside = here[self.shape.pe :]
            fires = Cat(fires | (beside & self._joins().replicate(self.shape.pe)), beside)
            m.d.sync += self.next_two_positions.eq(steps[-1].two_positions)
        evaluated, pooled = Signal(init=1), Signal()  # in this cycle, and in the next
        latest = len(steps) - self._wait_cycles - 1  # the last word of its thresholds is needed
        asks = steps[latest]
        m.d.comb += [
            self.fires.eq(fires),
            self.thresholds_again.eq(asks.end & asks.pooled),
            self.thresholds_restart.eq(asks.completes & ~asks.last),
        ]
        m.d.sync += [
            pooled.eq(steps[-1].pooled),
            self.pools.eq(pooled),
            evaluated.eq(self.decided.next_done | pooled),
            self.next_completes.eq(steps[-1].completes),
        ]
        with m.If(evaluated):
            m.d.sync += fired.eq(self._goes_on())

    def _joins(self) -> Value:
        """Return whether the two windows are pooled."""
        return self.joins

    def _goes_on(self) -> Value:
        """Return what of `fires` counts for the next window: all, until a group is decided."""
        return Mux(self.pools, self.fires[: self.shape.pe], 0)

    def _totals(
        self,
        m: Module,
        lanes: range,
        window: int,
        xnor: Value,
        activations: Value,
        steps: list[data.View],
    ) -> Value:
        """Return the sums of a neighbourhood over a window, inverted. The last of `steps` meets the
        counts, and the one before it comes a cycle earlier.

        A sum is there a cycle after the last step of its group. It is inverted, so that what would
        be subtracted from it is added: an iCE40 takes LUTs to invert it first.
        """
        shape = self.shape
        step = steps[-1]
        layout = data.ArrayLayout(signed(shape.sum_bits), len(lanes))
        total = Signal(layout, name=f"total_{lanes.start}{_of(window)}")
        inverted = Signal(layout, reset_less=True, name=f"inverted_{lanes.start}{_of(window)}")
        m.d.comb += total.as_value().eq(~inverted.as_value())
        keeps = shape.overlap_neurons and window == 0  # a layer by input has one
        partial = self._partial_sums(m, lanes, steps, inverted) if keeps else None
        adds = ~step.subtract
        for lane, neuron in enumerate(lanes):
            count = self._count(m, neuron, xnor, activations, _of(window))
            before = Mux(step.plane, Cat(C(1), inverted[lane]), inverted[lane])
            if partial is not None:
                before = Mux(step.partial, partial[lane], before)
            before = Mux(step.start, -1, before)
            m.d.sync += inverted[lane].eq(self._add(before[: shape.sum_bits], count, adds))
        return inverted.as_value()

    def _add(self, inverted: Value, count: Value, adds: Value) -> Value:
        """Return an inverted sum to which `count` is added, or from which it is taken if `adds` is
        0.

        ~(sum + count) = ~sum + ~count + 1, and the 1 enters as the carry below bit 0.
        """
        addend = count ^ adds.replicate(self.shape.sum_bits)
        return (Cat(C(1), inverted) + Cat(adds, addend))[1:]

    def _compare(self, inverted: Value, threshold: Value) -> Value:
        """Return ~(sum - threshold), which is ~sum + threshold, of one neuron."""
        return inverted + threshold

    def _weights(self, neuron: int) -> Value:
        """Return the weight word of one neuron of the group."""
        return self.weights.word_select(neuron, self.shape.simd)

    def _count(
        self, m: Module, neuron: int, xnor: Value, activations: Value, of_window: str
    ) -> Value:
        """Count the matches of one neuron."""
        m.submodules[f"popcount_{neuron}{of_window}"] = popcount = Popcount(self.shape.simd)
        weights = self._weights(neuron)
        # XNOR and AND differ where both bits are 0.
        both = weights & activations
        neither = ~(weights | activations)
        matches = Signal(self.shape.simd, reset_less=True)
        m.d.sync += matches.eq(both | (neither & xnor.replicate(self.shape.simd)))
        m.d.comb += popcount.bits.eq(matches)
        return popcount.count

    def _thresholds(self, m: Module, steps: list[data.View]) -> data.View:
        """Return all thresholds of a group, in the cycle after the end of its steps. The latest
        come straight from memory, and those read before wait here."""
        reads = self.shape.parameter_reads
        latest = len(steps) - self._wait_cycles
        ends = [step.end for step in steps[latest - reads : latest]]
        m.d.comb += self.need_thresholds.eq(Cat(ends).any())
        layout = data.ArrayLayout(signed(self.shape.sum_bits), self.shape.pe)
        read = self.thresholds.as_value()
        if reads == 1:
            return data.View(layout, read)
        waiting = Signal((reads - 1) * len(read), reset_less=True)
        everything = Cat(waiting, read)
        m.d.sync += waiting.eq(everything[len(read) :])
        return data.View(layout, everything)

    def _partial_sums(
        self, m: Module, lanes: range, steps: list[data.View], inverted: data.View
    ) -> list[Value]:
        """Put inverted sums aside after one word, and return those that the next goes on with."""
        shape = self.shape
        layout = data.ArrayLayout(range(shape.max_inputs + 1), len(lanes))
        ram = Ram(layout.size, shape.overlap_groups)
        m.submodules[f"partial_sums_{lanes.start}"] = ram
        before, now = steps
        group = Signal(range(shape.overlap_groups))
        next_group = Signal.like(group)
        m.d.comb += group.eq(Mux(before.first_group, 0, next_group))
        with m.If(before.partial):
            m.d.sync += next_group.eq(group + 1)
        m.d.comb += [ram.read_address.eq(group), ram.read_enable.eq(1)]

        now_group = Signal.like(group)
        added = Signal()  # `inverted` is of the group to write
        m.d.sync += [now_group.eq(group), ram.write_address.eq(now_group), added.eq(now.partial)]
        m.d.comb += ram.write_enable.eq(added)
        sums = data.View(layout, ram.write_data)
        m.d.comb += [sums[lane].eq(inverted[lane]) for lane in range(len(lanes))]
        # None of them is negative, so that the bits which are not kept are ones.
        ones = C(1).replicate(shape.sum_bits - layout.size // len(lanes))
        read = data.View(layout, ram.read_data)
        return [Cat(read[lane], ones) for lane in range(len(lanes))]


def _of(window: int) -> str:
    """Return what names have at their end that belong to one of two windows."""
    return "_beside" if window else ""
