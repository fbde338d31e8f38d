"""Gathers the activations of hidden layers into the words that the next layer reads."""

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from stepnet.cores.engine.shape import ORIGIN_HEADER, EngineShape
from stepnet_hdl.cores.engine.datapath import Decided, DecidedSignature


class Collector(wiring.Component):
    """Gathers the activations of groups of `pe` neurons into words of `simd` bits, one group per
    decision.

    A group enters the word at the top and moves those before it down. A word is complete with its
    last group, or with the last group of its layer; what lies below its first group is then 0. It
    is written in the cycle in which the activations of the group that completes it are there.

    With `map_windows` 2 a group may be decided at two positions at once. Then the word of the
    second one is written a cycle after that of the first, as many places behind it as the answers
    at a position take.
    """

    latency_cycles = 1
    """Cycles from the announcement of a group to the writing of the word that it completes."""

    decided: Decided
    """`Decided`, in: the datapath announces that a group is decided in the next cycle."""
    next_completes: Signal
    """1 bit, in: with `map_words`, the group that `decided` announces is the last one
    of its layer, or at its position of a map, and the next one starts a new word."""
    next_two_positions: Signal
    """1 bit, in: with `map_windows` 2, the group that `decided` announces is so at two
    positions."""
    answer_words_minus_1: Signal
    """4 bits, in: with `map_windows` 2, how many words the answers at a position take, minus one;
    it stays until the layer is over."""
    fires: Signal
    """`pe * map_windows` bits, in: the activations of the group that `decided` announced in the
    cycle before, the first neuron lowest, then those at the second of two positions."""
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
                "fires": In(shape.pe * shape.map_windows),
                "word": Out(shape.simd),
                "word_address": Out(range(shape.region_words)),
                "write": Out(1),
                **({"next_completes": In(1)} if shape.map_words else {}),
                **(
                    {
                        "next_two_positions": In(1),
                        "answer_words_minus_1": In(ORIGIN_HEADER["answer_words_minus_1"]),
                    }
                    if shape.map_windows > 1
                    else {}
                ),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        pairs = self.shape.map_windows > 1
        groups = self.shape.groups_per_word
        done = Signal()  # a group is decided in this cycle
        clears = Signal(init=1)  # after a word, and before the first one
        gathered = Signal(self.shape.simd, reset_less=True)
        # What is written: the word of the first of two positions, or the only one.
        word, place, writes = self.word, self.word_address, self.write
        if pairs:
            word, place, writes = Signal.like(word), Signal.like(place), Signal()
        m.d.comb += word.eq(Cat(gathered[self.shape.pe :], self.fires[: self.shape.pe]))
        with m.If(done):
            m.d.sync += gathered.eq(word)
        with m.If(clears):
            m.d.sync += gathered.eq(0)

        # What happens is settled a cycle before, because it has a long way to go.
        group = Signal(range(groups))
        next_address = Signal.like(self.word_address)
        places: Value | int = 1  # to the next word
        ends_place = self.next_completes if self.shape.map_words else self.decided.next_last
        completes = ends_place | (group == groups - 1)
        if pairs:
            both = ends_place & self.next_two_positions
            places = Mux(both, self.answer_words_minus_1 + 2, 1)
        m.d.sync += [
            done.eq(self.decided.next_done),
            writes.eq(self.decided.next_done & completes),
            clears.eq(self.decided.next_done & completes),
        ]
        with m.If(self.decided.next_done):
            m.d.sync += [
                group.eq(Mux(completes, 0, group + 1)),
                place.eq(next_address),
            ]
            with m.If(completes):
                m.d.sync += next_address.eq(Mux(self.decided.next_last, 0, next_address + places))
        if pairs:
            m.d.comb += [self.word.eq(word), self.word_address.eq(place), self.write.eq(writes)]
            self._write_second(m, done, writes, place)
        return m

    def _write_second(self, m: Module, done: Signal, writes: Signal, place: Signal) -> None:
        """Write the word of the second position a cycle after that of the first.

        No other word comes in that cycle: groups whose answers take several words are at least
        `PAIR_DISTANCE_CYCLES` apart, and so are positions.
        """
        pe = self.shape.pe
        after_word = Signal(init=1)  # what has been gathered is a word, or none yet
        two_positions = Signal()
        second_place = Signal.like(place)
        gathered = Signal(self.shape.simd, reset_less=True)
        m.d.sync += [
            after_word.eq(writes),
            two_positions.eq(self.next_two_positions),
            second_place.eq(place + self.answer_words_minus_1 + 1),
        ]
        left = gathered & ~after_word.replicate(len(gathered))
        with m.If(done):
            m.d.sync += gathered.eq(Cat(left[pe:], self.fires[pe:]))
        with m.Else():
            m.d.sync += gathered.eq(left)
        writes_second = Signal()
        m.d.sync += writes_second.eq(writes & two_positions)
        with m.If(writes_second):
            m.d.comb += [
                self.word.eq(gathered),
                self.word_address.eq(second_place),
                self.write.eq(1),
            ]
