"""Makes the character code from the neurons of the last layer."""

from collections.abc import Iterable

from amaranth.hdl import C, Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import data, enum, wiring
from amaranth.lib.wiring import In, Out

from stepnet.cores.engine.shape import CODE_BITS, READOUTS, EngineShape
from stepnet.networks.network import Readout as NetworkReadout
from stepnet_hdl.cores.engine.datapath import Decided, DecidedSignature


class ReadoutNumber(enum.Enum, shape=2):
    """The kinds of readout, by the numbers that a layer's header has for them."""

    BITS = READOUTS.index(NetworkReadout.BITS)
    TREE = READOUTS.index(NetworkReadout.TREE)
    NEAREST = READOUTS.index(NetworkReadout.NEAREST)


class ReadoutSteering(wiring.PureInterface):
    """What the readout has to know of the last layer, and what comes of it. Directions are those of
    the sequencer."""

    last_layer: Signal
    """1 bit, out: the current layer is the last one of its network; the readout passes over all
    others."""
    kind: Signal
    """`ReadoutNumber`, out: how the neurons of the last layer become the code."""
    lane: Signal
    """`range(pe)`, out: in a tree the one neuron of a group that counts."""
    prefix: Signal
    """8 bits, out: in a tree the bits of the code above those that neurons decide."""
    rows_left: Signal
    """`range(pe)`, out: how many neurons of the last group follow its first one."""
    finished: Signal
    """1 bit, in: 1 for one cycle, when the code is complete or the winner is known."""
    winner: Signal
    """8 bits, in: with readout `nearest` the row with the largest margin, the first of them on a
    tie."""


class ReadoutSteeringSignature(wiring.Signature):
    """The signature of `ReadoutSteering`."""

    def __init__(self, shape: EngineShape) -> None:
        super().__init__(
            {
                "last_layer": Out(1),
                "kind": Out(ReadoutNumber),
                "lane": Out(range(shape.pe)),
                "prefix": Out(CODE_BITS),
                "rows_left": Out(range(shape.pe)),
                "finished": In(1),
                "winner": In(CODE_BITS),
            }
        )

    def create(self, *, path: Iterable[str | int] = (), src_loc_at: int = 0) -> ReadoutSteering:
        return ReadoutSteering(self, path=tuple(path), src_loc_at=1 + src_loc_at)


class Readout(wiring.Component):
    """Takes the groups of the last layer as they are decided, one neuron per cycle, and makes the
    character code.

    The first neuron of a group is taken in the cycle in which the group's margins are there, and
    the others in the cycles after it, so groups have to be at least `pe` cycles apart. In a tree
    one neuron of a group counts, and all take their turn. `steering.finished` and the code come
    `latency_cycles` after the last neuron was taken, its margin one cycle later.
    """

    latency_cycles = 2
    """Cycles from taking the last neuron to `steering.finished`, the code and the winner."""

    margin_cycles = 3
    """Cycles from taking the last neuron to the margin of the code."""

    decided: Decided
    """`Decided`, in: the datapath announces that a group is decided in the next cycle. Only groups
    of the last layer count."""
    margins: data.View
    """`ArrayLayout(signed(sum_bits + 1), pe)`, in: the margins of the group that `decided`
    announced in the cycle before, the first neuron lowest. A neuron fires if its margin is not
    negative."""
    steering: ReadoutSteering
    """`ReadoutSteering`, in: what the last layer means; it also tells when its code is there."""
    code: Signal
    """8 bits, out: the code, from `steering.finished` until the next group. With readout `bits`
    neuron k is bit k, and neurons after the eighth are dropped; with `tree` every neuron is a bit
    below those before it."""
    margin: Signal
    """`sum_bits + 1` bits, out: how far any one sum may move before the code changes,
    `margin_cycles` after the last neuron was taken. All ones if there is only one row and readout
    `nearest`."""

    def __init__(self, shape: EngineShape) -> None:
        self.shape = shape
        super().__init__(
            {
                "decided": In(DecidedSignature()),
                "margins": In(data.ArrayLayout(signed(shape.sum_bits + 1), shape.pe)),
                "steering": In(ReadoutSteeringSignature(shape)),
                "code": Out(CODE_BITS),
                "margin": Out(shape.sum_bits + 1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        row = Signal(signed(self.shape.sum_bits + 1))
        take = Signal()
        last = Signal()
        done, done_last = Signal(), Signal()
        m.d.sync += [
            done.eq(self.decided.next_done & self.steering.last_layer),
            done_last.eq(
                self.decided.next_done & self.steering.last_layer & self.decided.next_last
            ),
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
        m.d.sync += self.steering.finished.eq(taken_last)
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
        """Pass the first neuron of a group on at once, and let the others wait for their turn."""
        waiting = Signal(self.margins.shape(), reset_less=True)
        lane = Signal(range(self.shape.pe))
        chosen_lane = Signal.like(lane)  # of a tree
        in_last_group = Signal()
        is_tree = Signal()  # the kind is there long before
        m.d.sync += is_tree.eq(self.steering.kind == ReadoutNumber.TREE)
        last_lane = Mux(is_tree, self.shape.pe - 1, self.steering.rows_left)
        ends = lane == last_lane
        with m.If(done):
            m.d.comb += [take.eq(~is_tree | (self.steering.lane == 0)), last.eq(done_last & ends)]
            m.d.sync += [
                waiting.eq(Value.cast(self.margins) >> len(row)),
                lane.eq(1),
                chosen_lane.eq(self.steering.lane),
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
        """Make the code, the winner and the margin. `opposite` is the complement of the neuron's
        margin, which subtracts without inverters."""
        first = Signal(init=1)
        fires = opposite[-1]
        position = Signal(CODE_BITS, init=1)  # of the neuron; 0 from the ninth on
        number = Signal(CODE_BITS)
        is_nearest = self.steering.kind == ReadoutNumber.NEAREST

        # With their signs inverted margins compare as unsigned numbers do, by the carry alone.
        largest = Signal(len(opposite))
        behind = (Cat(C(1), largest) + Cat(C(1), opposite[:-1], ~fires))[1:]  # largest - row
        overtakes = ~behind[-1]
        with m.If(take):
            m.d.sync += [first.eq(0), position.eq(position << 1), number.eq(number + 1)]
            with m.If(first | overtakes):
                m.d.sync += [
                    largest.eq(Cat(~opposite[:-1], fires)),
                    self.steering.winner.eq(number),
                ]
            with m.If(self.steering.kind == ReadoutNumber.TREE):
                m.d.sync += self.code.eq(Cat(fires, Mux(first, self.steering.prefix, self.code)))
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
