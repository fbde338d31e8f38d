"""Where decided neurons of hidden layers go: into words of activations."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from stepnet.engine import EngineShape


class Collector(wiring.Component):
    """Gathers one group of `pe` activations per `done`.

    `word` and `write` are combinational: a word is written in the cycle that completes it. Groups
    enter at the top; what is below the first one of a word is 0.

    Members
    -------
    done, last : Signal(1), in
        A group is decided, and whether it is the last of its layer.
    fires : Signal(pe), in
        Its activations, the first neuron lowest.
    word : Signal(simd), out
    word_address : Signal(range(row_words)), out
    write : Signal(1), out
        `word` is complete.
    """

    done: Signal
    last: Signal
    fires: Signal
    word: Signal
    word_address: Signal
    write: Signal

    def __init__(self, shape: EngineShape) -> None:
        self.shape = shape
        super().__init__(
            {
                "done": In(1),
                "last": In(1),
                "fires": In(shape.pe),
                "word": Out(shape.simd),
                "word_address": Out(range(shape.row_words)),
                "write": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        groups = self.shape.groups_per_word
        gathered = Signal(self.shape.simd)
        group = Signal(range(groups))
        # Known beforehand, because `write` has a long way to go.
        completes = Signal(init=groups == 1)
        m.d.comb += [
            self.word.eq(Cat(gathered[self.shape.pe :], self.fires)),
            self.write.eq(self.done & (self.last | completes)),
        ]
        with m.If(self.done):
            m.d.sync += [
                gathered.eq(self.word),
                group.eq(group + 1),
                completes.eq(group == groups - 2),
            ]
        with m.If(self.write):
            m.d.sync += [
                gathered.eq(0),
                group.eq(0),
                completes.eq(groups == 1),
                self.word_address.eq(self.word_address + 1),
            ]
        with m.If(self.done & self.last):
            m.d.sync += self.word_address.eq(0)
        return m
