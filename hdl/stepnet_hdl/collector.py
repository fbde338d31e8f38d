"""Where decided neurons go: their bits into words of activations, or into the character."""

from amaranth.hdl import Cat, Module, Signal, signed
from amaranth.lib import enum, wiring
from amaranth.lib.wiring import In, Out

from stepnet.engine import CODE_BITS, READOUTS, EngineShape
from stepnet.network import Readout


class ReadoutNumber(enum.Enum, shape=2):
    """Readouts as `stepnet.engine.LAYER_HEADER` numbers them."""

    BITS = READOUTS.index(Readout.BITS)
    TREE = READOUTS.index(Readout.TREE)
    NEAREST = READOUTS.index(Readout.NEAREST)


class Collector(wiring.Component):
    """Gathers one neuron per `done`.

    `word`, `write` and `code` are combinational: a word is written in the cycle that completes it.
    The last word of a layer ends at the top bit; what is below its first activation is 0.

    Members
    -------
    done, last : Signal(1), in
        A neuron is decided, and whether it is the last of its layer.
    margin : Signal(signed(sum_bits + 1)), in
        It fires if this is not negative.
    row_code : Signal(8), in
        Its character, for the readout `nearest`.
    fires : Signal(1), out
    word : Signal(simd), out
    word_address : Signal(range(row_words)), out
    write : Signal(1), out
        `word` is complete.
    readout : Signal(ReadoutNumber), in
    prefix : Signal(8), in
        For the readout `tree`: what stands above the bits of the tree.
    code : Signal(8), out
        The character so far; complete in the cycle of `last`. With readout `bits` neuron k is
        bit k and what is beyond bit 7 is dropped; with `tree` every neuron is a bit below the ones
        before; with `nearest` it is the code of the largest margin, the first one on a tie.
    """

    done: Signal
    last: Signal
    margin: Signal
    row_code: Signal
    fires: Signal
    word: Signal
    word_address: Signal
    write: Signal
    readout: Signal
    prefix: Signal
    code: Signal

    def __init__(self, shape: EngineShape) -> None:
        self.shape = shape
        super().__init__(
            {
                "done": In(1),
                "last": In(1),
                "margin": In(signed(shape.sum_bits + 1)),
                "row_code": In(CODE_BITS),
                "fires": Out(1),
                "word": Out(shape.simd),
                "word_address": Out(range(shape.row_words)),
                "write": Out(1),
                "readout": In(ReadoutNumber),
                "prefix": In(CODE_BITS),
                "code": Out(CODE_BITS),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.d.comb += self.fires.eq(self.margin >= 0)
        self._collect_word(m)
        self._collect_code(m)
        return m

    def _collect_word(self, m: Module) -> None:
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
        with m.If(self.done & self.last):
            m.d.sync += self.word_address.eq(0)

    def _collect_code(self, m: Module) -> None:
        position = Signal(CODE_BITS, init=1)  # of the neuron; 0 from the ninth on
        first = Signal(init=1)
        so_far = Signal(CODE_BITS)
        largest = Signal.like(self.margin)
        larger = first | (self.margin > largest)
        with m.Switch(self.readout):
            with m.Case(ReadoutNumber.BITS):
                m.d.comb += self.code.eq(so_far | (position & self.fires.replicate(CODE_BITS)))
            with m.Case(ReadoutNumber.TREE):
                with m.If(first):
                    m.d.comb += self.code.eq(Cat(self.fires, self.prefix))
                with m.Else():
                    m.d.comb += self.code.eq(Cat(self.fires, so_far))
            with m.Default():
                with m.If(larger):
                    m.d.comb += self.code.eq(self.row_code)
                with m.Else():
                    m.d.comb += self.code.eq(so_far)
        with m.If(self.done):
            m.d.sync += [so_far.eq(self.code), position.eq(position << 1), first.eq(0)]
            with m.If(larger):
                m.d.sync += largest.eq(self.margin)
        with m.If(self.done & self.last):
            m.d.sync += [so_far.eq(0), position.eq(1), first.eq(1)]
