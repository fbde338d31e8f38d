"""Where the rows of a tree lie."""

from amaranth.hdl import C, Module, Mux, Signal, Value, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from stepnet.cores.engine.shape import EngineShape


class TreeWalk(wiring.Component):
    """Follows the bits of a code from the root of its tree, row by row.

    Row n is neuron `n % pe` of group `n // pe`, and its children are rows 2n+1 and 2n+2: from group
    g and lane l on, `x = 2l + 1 + bit` lies in lane `x % pe` of group `2g + x // pe`.
    """

    begin: Signal
    """1 bit, in: a layer begins: its first words come next."""
    count: Signal
    """1 bit, in: a weight word is issued; a parameter word is read: its address grows by its
    stride."""
    fetch: Signal
    """1 bit, in: a weight word is issued; a parameter word is read: its address grows by its
    stride."""
    first_row: Signal
    """1 bit, in: the weight word belongs to the first row."""
    descend: Signal
    """1 bit, in: go on to a child; all words of the row's group have been issued and read."""
    jump: Signal
    """1 bit, in: in the next cycle: both addresses grow by their strides, and are then those of the
    child's group."""
    bit: Signal
    """1 bit, in: to the second one."""
    weight_stride: Signal
    """Out: what the addresses grow by, modulo their range: 1, or in the cycle after `descend` what
    leads to the first words of a group."""
    parameter_stride: Signal
    """Out: what the addresses grow by, modulo their range: 1, or in the cycle after `descend` what
    leads to the first words of a group."""
    lane: Signal
    """Signal(range(pe)), out: the row's place in its group."""

    def __init__(self, shape: EngineShape) -> None:
        self.shape = shape
        super().__init__(
            {
                "begin": In(1),
                "count": In(1),
                "fetch": In(1),
                "first_row": In(1),
                "descend": In(1),
                "jump": In(1),
                "bit": In(1),
                "weight_stride": Out(range(shape.weight_words)),
                "parameter_stride": Out(range(shape.parameter_words)),
                "lane": Out(range(shape.pe)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        shape = self.shape
        # How far the addresses are from where the layer begins.
        weight_offset = Signal.like(self.weight_stride)
        parameter_offset = Signal.like(self.parameter_stride)
        m.d.sync += [self.weight_stride.eq(1), self.parameter_stride.eq(1)]
        with m.If(self.count | self.jump):
            m.d.sync += weight_offset.eq(weight_offset + self.weight_stride)
        with m.If(self.fetch | self.jump):
            m.d.sync += parameter_offset.eq(parameter_offset + self.parameter_stride)

        length = shape.row_words * shape.max_weight_bits
        minus_row_length = Signal(signed(length.bit_length() + 1))
        with m.If(self.count & self.first_row):
            m.d.sync += minus_row_length.eq(minus_row_length - 1)

        child = Signal(range(2 * shape.pe + 1))  # counted from the first lane of group 2g
        m.d.comb += child.eq((self.lane << 1) + 1 + self.bit)
        one_further, two_further = child >= shape.pe, child == 2 * shape.pe

        # The offsets are those of group g + 1, and the child's group is g + 1 of them further, but
        # for this many words less.
        def less(words: Value) -> Value:
            return Mux(two_further, 0, Mux(one_further, words, words << 1))

        with m.If(self.descend):
            m.d.sync += [
                self.lane.eq(Mux(two_further, 0, Mux(one_further, child - shape.pe, child))),
                self.weight_stride.eq(weight_offset + less(minus_row_length)),
                self.parameter_stride.eq(parameter_offset + less(C(-shape.parameter_reads))),
            ]
        with m.If(self.begin):
            m.d.sync += [
                weight_offset.eq(0),
                parameter_offset.eq(0),
                minus_row_length.eq(0),
                self.lane.eq(0),
            ]
        return m
