"""Gathers the activations of hidden layers into the words that the next layer reads."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from stepnet.cores.engine.shape import EngineShape
from stepnet_hdl.cores.engine.datapath import Decided, DecidedSignature


class Collector(wiring.Component):
    """Gathers the activations of groups of `pe` neurons into words of `simd` bits, one group per
    decision.

    A group enters the word at the top and moves those before it down. A word is complete with its
    last group, or with the last group of its layer; what lies below its first group is then 0. It
    is written in the cycle in which the activations of the group that completes it are there.
    """

    latency_cycles = 1
    """Cycles from the announcement of a group to the writing of the word that it completes."""

    decided: Decided
    """`Decided`, in: the datapath announces that a group is decided in the next cycle."""
    next_completes: Signal
    """1 bit, in: with `map_words`, the group that `decided` announces is the last one
    of its layer, or at its position of a map, and the next one starts a new word."""
    fires: Signal
    """`pe` bits, in: the activations of the group that `decided` announced in the cycle before, the
    first neuron lowest."""
    word: Signal
    """`simd` bits, out: the word of activations that is written while `write` is 1."""
    word_address: Signal
    """`range(region_words)`, out: the place of `word` among the words of its layer."""
    write: Signal
    """1 bit, out: `word` is complete, and goes into the activation memory in this cycle."""

    def __init__(self, shape: EngineShape) -> None:
        self.shape = shape
        super().__init__(
            {
                "decided": In(DecidedSignature()),
                "fires": In(shape.pe),
                "word": Out(shape.simd),
                "word_address": Out(range(shape.region_words)),
                "write": Out(1),
                **({"next_completes": In(1)} if shape.map_words else {}),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        groups = self.shape.groups_per_word
        done = Signal()  # a group is decided in this cycle
        clears = Signal(init=1)  # after a word, and before the first one
        gathered = Signal(self.shape.simd, reset_less=True)
        m.d.comb += self.word.eq(Cat(gathered[self.shape.pe :], self.fires))
        with m.If(done):
            m.d.sync += gathered.eq(self.word)
        with m.If(clears):
            m.d.sync += gathered.eq(0)

        # What happens is settled a cycle before, because it has a long way to go.
        group = Signal(range(groups))
        next_address = Signal.like(self.word_address)
        ends_place = self.next_completes if self.shape.map_words else self.decided.next_last
        completes = ends_place | (group == groups - 1)
        m.d.sync += [
            done.eq(self.decided.next_done),
            self.write.eq(self.decided.next_done & completes),
            clears.eq(self.decided.next_done & completes),
        ]
        with m.If(self.decided.next_done):
            m.d.sync += [
                group.eq(Mux(completes, 0, group + 1)),
                self.word_address.eq(next_address),
            ]
            with m.If(completes):
                m.d.sync += next_address.eq(Mux(self.decided.next_last, 0, next_address + 1))
        return m
