"""Where the rows of a tree lie."""

from amaranth.hdl import C, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from stepnet.engine import EngineShape


class TreeWalk(wiring.Component):
    """Follows the bits of a code from the root of its tree, row by row.

    Row n is neuron `n % pe` of group `n // pe`, and its children are rows 2n+1 and 2n+2: from group
    g and lane l on, `x = 2l + 1 + bit` lies in lane `x % pe` of group `2g + x // pe`.

    Members
    -------
    begin : Signal(1), in
        A layer begins: its first words are at `weight_start` and `parameter_start`.
    weight_start, parameter_start : Signal, in
    count : Signal(1), in
        A weight word is issued; those of the first row are counted.
    first_row : Signal(1), in
        It belongs to the first row.
    descend : Signal(1), in
        Go on to a child; the addresses are its own from the next cycle on.
    bit : Signal(1), in
        To the second one.
    weight_address, parameter_address : Signal, out
        First words of the group of the current row.
    lane : Signal(range(pe)), out
        The row's place in its group.
    """

    begin: Signal
    weight_start: Signal
    parameter_start: Signal
    count: Signal
    first_row: Signal
    descend: Signal
    bit: Signal
    weight_address: Signal
    parameter_address: Signal
    lane: Signal

    def __init__(self, shape: EngineShape) -> None:
        self.shape = shape
        super().__init__(
            {
                "begin": In(1),
                "weight_start": In(range(shape.weight_words)),
                "parameter_start": In(range(shape.parameter_words)),
                "count": In(1),
                "first_row": In(1),
                "descend": In(1),
                "bit": In(1),
                "weight_address": Out(range(shape.weight_words)),
                "parameter_address": Out(range(shape.parameter_words)),
                "lane": Out(range(shape.pe)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        shape = self.shape
        weight_base = Signal.like(self.weight_start)
        parameter_base = Signal.like(self.parameter_start)
        # Of the group, in weight and in parameter words.
        weight_offset = Signal.like(self.weight_start)
        parameter_offset = Signal.like(self.parameter_start)
        row_length = Signal(range(shape.row_words * shape.max_weight_bits + 1))
        m.d.comb += [
            self.weight_address.eq(weight_base + weight_offset),
            self.parameter_address.eq(parameter_base + parameter_offset),
        ]
        with m.If(self.count & self.first_row):
            m.d.sync += row_length.eq(row_length + 1)

        child = Signal(range(2 * shape.pe + 1))  # counted from the first lane of group 2g
        m.d.comb += child.eq((self.lane << 1) + 1 + self.bit)
        one_further, two_further = child >= shape.pe, child == 2 * shape.pe

        def groups_further(words: Value) -> Value:
            return Mux(two_further, words << 1, Mux(one_further, words, 0))

        with m.If(self.descend):
            m.d.sync += [
                self.lane.eq(Mux(two_further, 0, Mux(one_further, child - shape.pe, child))),
                weight_offset.eq((weight_offset << 1) + groups_further(row_length)),
                parameter_offset.eq(
                    (parameter_offset << 1) + groups_further(C(shape.parameter_reads))
                ),
            ]
        with m.If(self.begin):
            m.d.sync += [
                weight_base.eq(self.weight_start),
                parameter_base.eq(self.parameter_start),
                weight_offset.eq(0),
                parameter_offset.eq(0),
                row_length.eq(0),
                self.lane.eq(0),
            ]
        return m
