"""Where the last layer becomes a character."""

from amaranth.hdl import C, Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import data, enum, wiring
from amaranth.lib.wiring import In, Out

from stepnet.cores.engine.shape import CODE_BITS, READOUTS, EngineShape
from stepnet.networks.network import Readout as NetworkReadout


class ReadoutNumber(enum.Enum, shape=2):
    """Readouts as `stepnet.cores.engine.shape.LAYER_HEADER` numbers them."""

    BITS = READOUTS.index(NetworkReadout.BITS)
    TREE = READOUTS.index(NetworkReadout.TREE)
    NEAREST = READOUTS.index(NetworkReadout.NEAREST)


class Readout(wiring.Component):
    """Takes groups of decided neurons, one neuron per cycle, and makes the code of them.

    `finished` comes two cycles after the last neuron was taken: with a PE of 1 that is two cycles
    after `last`. Groups are at least `pe` cycles apart.

    Members
    -------
    next_done, next_last : Signal(1), in
        A group is decided in the next cycle, and whether it is the last one of its layer.
    last_layer : Signal(1), in
        That is the last layer; groups of others do not count.
    margins : array of pe signed(sum_bits + 1), in
        Of the group, in the next cycle. A neuron fires if its margin is not negative.
    rows_left : Signal, in
        How many neurons follow the first of the last group.
    kind : Signal(ReadoutNumber), in
    lane : Signal, in
        Of a tree: which neuron of the group counts.
    prefix : Signal(8), in
        Of a tree: what is in the code before its first bit.
    code : Signal(8), out
        With readout `bits` neuron k is bit k and what is beyond bit 7 is dropped; with `tree` every
        neuron is a bit below the ones before. Holds from `finished` on until the next group.
    winner : Signal, out
        With readout `nearest` the number of the row with the largest margin, the first on a tie.
    margin : Signal(sum_bits + 1), out
        How far any one sum may move before the code changes; holds from one cycle after
        `finished` on. All ones if there is only one row and readout `nearest`.
    finished : Signal(1), out
    """

    next_done: Signal
    next_last: Signal
    last_layer: Signal
    margins: data.View
    rows_left: Signal
    kind: Signal
    lane: Signal
    prefix: Signal
    code: Signal
    winner: Signal
    margin: Signal
    finished: Signal

    def __init__(self, shape: EngineShape) -> None:
        self.shape = shape
        super().__init__(
            {
                "next_done": In(1),
                "next_last": In(1),
                "last_layer": In(1),
                "margins": In(data.ArrayLayout(signed(shape.sum_bits + 1), shape.pe)),
                "rows_left": In(range(shape.pe)),
                "kind": In(ReadoutNumber),
                "lane": In(range(shape.pe)),
                "prefix": In(CODE_BITS),
                "code": Out(CODE_BITS),
                "winner": Out(CODE_BITS),
                "margin": Out(shape.sum_bits + 1),
                "finished": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        row = Signal(signed(self.shape.sum_bits + 1))
        take = Signal()
        last = Signal()
        done, done_last = Signal(), Signal()
        m.d.sync += [
            done.eq(self.next_done & self.last_layer),
            done_last.eq(self.next_done & self.last_layer & self.next_last),
        ]
        m.d.comb += row.eq(self.margins[0])
        if self.shape.pe == 1:
            m.d.comb += [take.eq(done), last.eq(done_last)]
        else:
            self._one_by_one(m, done, done_last, row, take, last)
        # Margins come from far, and what is made of them is long: one cycle for each.
        opposite = Signal(len(row), reset_less=True)
        taken, taken_last = Signal(), Signal()
        m.d.sync += [opposite.eq(~row), taken.eq(take), taken_last.eq(last)]
        self._collect(m, opposite, taken, taken_last)
        m.d.sync += self.finished.eq(taken_last)
        return m

    def _one_by_one(
        self,
        m: Module,
        done: Signal,
        done_last: Signal,
        row: Signal,
        take: Signal,
        last: Signal,
    ) -> None:
        """The first neuron of a group passes at once, the others wait their turn."""
        waiting = Signal(self.margins.shape(), reset_less=True)
        lane = Signal(range(self.shape.pe))
        chosen_lane = Signal.like(lane)  # of a tree
        in_last_group = Signal()
        is_tree = Signal()  # the kind is there long before
        m.d.sync += is_tree.eq(self.kind == ReadoutNumber.TREE)
        last_lane = Mux(is_tree, self.shape.pe - 1, self.rows_left)
        ends = lane == last_lane
        with m.If(done):
            m.d.comb += [take.eq(~is_tree | (self.lane == 0)), last.eq(done_last & ends)]
            m.d.sync += [
                waiting.eq(Value.cast(self.margins) >> len(row)),
                lane.eq(1),
                chosen_lane.eq(self.lane),
                in_last_group.eq(done_last),
            ]
        with m.Elif(lane != 0):
            m.d.comb += [
                row.eq(waiting[0]),
                take.eq(~is_tree | (lane == chosen_lane)),
                last.eq(in_last_group & ends),
            ]
            m.d.sync += [waiting.eq(Value.cast(waiting) >> len(row)), lane.eq(lane + 1)]
        with m.If(last | (lane == self.shape.pe - 1)):
            m.d.sync += lane.eq(0)

    def _collect(self, m: Module, opposite: Signal, take: Signal, last: Signal) -> None:
        """`opposite` is the complement of the row's margin, which subtracts without inverters."""
        first = Signal(init=1)
        fires = opposite[-1]
        position = Signal(CODE_BITS, init=1)  # of the neuron; 0 from the ninth on
        number = Signal(CODE_BITS)
        is_nearest = self.kind == ReadoutNumber.NEAREST

        # With their signs inverted margins compare as unsigned numbers do, by the carry alone.
        largest = Signal(len(opposite))
        behind = (Cat(C(1), largest) + Cat(C(1), opposite[:-1], ~fires))[1:]  # largest - row
        overtakes = ~behind[-1]
        with m.If(take):
            m.d.sync += [first.eq(0), position.eq(position << 1), number.eq(number + 1)]
            with m.If(first | overtakes):
                m.d.sync += [largest.eq(Cat(~opposite[:-1], fires)), self.winner.eq(number)]
            with m.If(self.kind == ReadoutNumber.TREE):
                m.d.sync += self.code.eq(Cat(fires, Mux(first, self.prefix, self.code)))
            with m.Else():
                bit = position & fires.replicate(CODE_BITS)
                m.d.sync += self.code.eq(Mux(first, 0, self.code) | bit)
        with m.If(last):
            m.d.sync += [first.eq(1), position.eq(1), number.eq(0)]

        # A sum may fall by its distance, or rise by one less: at the threshold a neuron fires, and
        # of equal rows the first one wins. `margin > room` is the carry of a sum again.
        distance, negative = Signal(len(opposite)), Signal()
        taken, alone, overtaken = Signal(), Signal(), Signal()
        room = distance ^ negative.replicate(len(distance))
        is_closer = (self.margin + ~room)[-1]
        m.d.sync += [
            taken.eq(take),
            distance.eq(Mux(is_nearest, behind[:-1], opposite)),
            negative.eq(Mux(is_nearest, overtakes, fires)),
            alone.eq(first & is_nearest),
            overtaken.eq(first | (is_nearest & overtakes)),
        ]
        with m.If(taken & (overtaken | is_closer)):
            m.d.sync += self.margin.eq(room | alone.replicate(len(self.margin)))
