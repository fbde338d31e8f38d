"""Finds the rows of a tree in the memories."""

from amaranth.hdl import Array, C, Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from stepnet.cores.engine.shape import EngineShape


class TreeWalk(wiring.Component):
    """Follows the bits of a code from the root of its tree, row by row, and says how far the
    addresses of weights and parameters have to move to reach the next row.

    Row n is neuron `n % pe` of group `n // pe`, and its children are rows 2n+1 and 2n+2. So the
    child of the row in lane l of group g is found by `x = 2l + 1 + bit`: it lies in lane `x % pe`
    of group `2g + x // pe`.
    """

    latency_cycles = 1
    """Cycles from `descend` to the strides and the lane of the child."""

    begin: Signal
    """1 bit, in: a layer begins, and the next words to be read are its first."""
    count: Signal
    """1 bit, in: a weight word is issued, so that its address grows by `weight_stride`."""
    fetch: Signal
    """1 bit, in: a parameter word is read, so that its address grows by `parameter_stride`."""
    first_row: Signal
    """1 bit, in: the issued weight word belongs to the first row."""
    descend: Signal
    """1 bit, in: go on to a child of the current row; all words of the row's group have been issued
    and read."""
    jump: Signal
    """1 bit, in: 1 in the cycle after `descend`: both addresses grow by their strides, and are then
    those of the first words of the child's group."""
    bit: Signal
    """1 bit, in: the child that `descend` goes on to: the first or the second."""
    weight_stride: Signal
    """`range(weight_words)`, out: by how much the weight address grows, modulo two to the power of
    its width: 1, or `latency_cycles` after `descend` what leads to the child's group."""
    parameter_stride: Signal
    """`range(parameter_words)`, out: by how much the parameter address grows, modulo two to the
    power of its width: 1, or `latency_cycles` after `descend` what leads to the child's group."""
    lane: Signal
    """`range(pe)`, out: the place of the current row in its group."""

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

        # Looked up, because a sum and its comparison would be two chains of carries in front of the
        # strides' own.
        children = range(1, 2 * shape.pe + 1)
        at = Cat(self.bit, self.lane)
        child_lane = Array(child % shape.pe for child in children)[at]
        one_further = Array(child // shape.pe >= 1 for child in children)[at]
        two_further = Array(child // shape.pe == 2 for child in children)[at]

        # The offsets are those of group g + 1, and the child's group is g + 1 of them further, but
        # for this many words less.
        def less(words: Value) -> Value:
            return Mux(two_further, 0, Mux(one_further, words, words << 1))

        with m.If(self.descend):
            m.d.sync += [
                self.lane.eq(child_lane),
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
