"""Where the bits of decided neurons go: into words of activations, or into the character."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from stepnet.engine import EngineShape


class Collector(wiring.Component):
    """Gathers one activation per `done`.

    `word` and `write` are combinational: a word is written in the cycle that completes it. The last
    word of a layer ends at the top bit; what is below its first activation is 0.

    Members
    -------
    done, fires, last : Signal(1), in
        A neuron is decided, its activation, and whether it is the last of its layer.
    word : Signal(simd), out
    word_address : Signal(range(row_words)), out
    write : Signal(1), out
        `word` is complete.
    code : Signal(8), out
        Neuron k of the layer is bit k; complete in the cycle of `last`. Bit 8 and on are dropped.
    """

    done: Signal
    fires: Signal
    last: Signal
    word: Signal
    word_address: Signal
    write: Signal
    code: Signal

    def __init__(self, shape: EngineShape) -> None:
        self.shape = shape
        super().__init__(
            {
                "done": In(1),
                "fires": In(1),
                "last": In(1),
                "word": Out(shape.simd),
                "word_address": Out(range(shape.row_words)),
                "write": Out(1),
                "code": Out(8),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        simd = self.shape.simd

        gathered = Signal(simd)
        bit = Signal(range(simd))
        m.d.comb += [
            self.word.eq(Cat(gathered[1:], self.fires)),
            self.write.eq(self.done & (self.last | (bit == simd - 1))),
        ]
        with m.If(self.done):
            m.d.sync += [gathered.eq(self.word), bit.eq(bit + 1)]
        with m.If(self.write):
            m.d.sync += [gathered.eq(0), bit.eq(0), self.word_address.eq(self.word_address + 1)]

        position = Signal(8, init=1)
        code = Signal(8)
        m.d.comb += self.code.eq(code | (position & self.fires.replicate(8)))
        with m.If(self.done):
            m.d.sync += [code.eq(self.code), position.eq(position << 1)]
        with m.If(self.done & self.last):
            m.d.sync += [code.eq(0), position.eq(1), self.word_address.eq(0)]
        return m
