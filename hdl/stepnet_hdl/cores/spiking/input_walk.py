"""Goes over the inputs of a layer and finds those that count."""

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from stepnet.cores.spiking.contents import SpikingShape
from stepnet.cores.spiking.cycles import Walk


class InputWalk(wiring.Component):
    """Takes words of spikes, and asks for the groups of each input that is walked over.

    After `begin` a word of spikes is expected in each cycle after one in which `fetch` is 1. An
    input takes a cycle for each group of the layer, a word without one that counts takes a cycle.
    `done` comes 4 cycles after `begin`, those for inputs and words not counted.

    walk: over all inputs, or only over those that spiked.
    """

    begin: Signal
    """1 bit, in: a layer begins; its sizes stay the same until `done`."""
    cancel: Signal
    """1 bit, in: the walk ends at once."""
    layer: Signal
    """`range(layers)`, in: which layer it is."""
    word: Signal
    """`lanes` bits, in: the spikes that were fetched, the first input lowest."""
    fetch: Signal
    """1 bit, out: the next word is wanted in the next cycle; `begin` wants the first one."""
    asks: Signal
    """1 bit, out: the weights of an input and a group are wanted."""
    weight: Signal
    """`range(weight_words)`, out: the place of those weights."""
    group: Signal
    """`range(groups of a layer)`, out: the group, in its layer."""
    spikes: Signal
    """1 bit, out: the input spiked, so the weights count."""
    done: Signal
    """1 bit, out: all inputs of the layer were asked for, before this cycle."""

    def __init__(self, shape: SpikingShape, walk: Walk) -> None:
        self.shape = shape
        self.walk = walk
        self._most_groups = max(layer.groups for layer in shape.layers)
        super().__init__(
            {
                "begin": In(1),
                "cancel": In(1),
                "layer": In(range(len(shape.layers))),
                "word": In(shape.lanes),
                "fetch": Out(1),
                "asks": Out(1),
                "weight": Out(range(shape.weight_words)),
                "group": Out(range(self._most_groups)),
                "spikes": Out(1),
                "done": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        shape = self.shape
        groups, first_weight = Signal(range(self._most_groups + 1)), Signal.like(self.weight)
        words, last_mask = self._sizes(m, groups, first_weight)
        # Three stages go on together: an input is chosen, its place is computed, it is asked for.
        goes_on = Signal()
        walking = Signal()
        words_left = Signal.like(words)
        waiting, spiked = Signal(shape.lanes), Signal(shape.lanes)
        fresh = Signal()  # the word came in the cycle before
        word_base = Signal(range(max(layer.input_words for layer in shape.layers) * shape.lanes))
        inputs = range(max(layer.n_in for layer in shape.layers))
        chosen = Signal(inputs)
        chosen_counts, chosen_spikes, chosen_ends = Signal(), Signal(), Signal()
        ends = Signal()
        row = Signal.like(self.weight)
        rest = waiting & (waiting - 1)
        has_input, is_last = waiting.any(), ~rest.any()
        refill = walking & goes_on & (words_left != 0) & (~has_input | is_last)
        lowest = waiting & ~rest
        m.d.comb += [
            goes_on.eq(~self.asks | (self.group == groups - 1)),
            self.fetch.eq(refill),
            self.weight.eq(row + self.group),
            self.done.eq(ends),
        ]
        with m.If(goes_on):
            m.d.sync += [
                waiting.eq(rest),
                fresh.eq(0),
                chosen.eq(word_base + _number(lowest)),
                chosen_counts.eq(has_input),
                chosen_spikes.eq((spiked & lowest).any()),
                chosen_ends.eq(walking & ~has_input & (words_left == 0) & ~fresh),
                row.eq(first_weight + chosen * groups),
                self.asks.eq(chosen_counts),
                self.spikes.eq(chosen_spikes),
                ends.eq(chosen_ends),
                self.group.eq(0),
            ]
            with m.If(refill):
                is_last_word = words_left == 1
                mask = Mux(is_last_word, last_mask, (1 << shape.lanes) - 1)
                m.d.sync += [
                    waiting.eq(mask & self.word if self.walk is Walk.EVENTS else mask),
                    spiked.eq(self.word),
                    fresh.eq(1),
                    words_left.eq(words_left - 1),
                    word_base.eq(Mux(words_left == words, 0, word_base + shape.lanes)),
                ]
            with m.If(chosen_ends):
                m.d.sync += [walking.eq(0), chosen_ends.eq(0)]
        with m.Else():
            m.d.sync += self.group.eq(self.group + 1)
        with m.If(self.begin | self.cancel):
            m.d.sync += [
                walking.eq(self.begin & ~self.cancel),
                words_left.eq(words),
                *(each.eq(0) for each in (waiting, fresh, chosen_counts, chosen_ends, ends)),
                self.asks.eq(0),
            ]
        return m

    def _sizes(self, m: Module, groups: Signal, first_weight: Signal) -> tuple[Signal, Signal]:
        """How many words of spikes the layer has, and which bits of its last word are inputs."""
        shape = self.shape
        words = Signal(range(max(layer.input_words for layer in shape.layers) + 1))
        last_mask = Signal(shape.lanes)
        with m.Switch(self.layer):
            for number, place in enumerate(shape.layers):
                inputs_of_last = place.n_in - (place.input_words - 1) * shape.lanes
                with m.Case(number):
                    m.d.comb += [
                        groups.eq(place.groups),
                        first_weight.eq(place.weights),
                        words.eq(place.input_words),
                        last_mask.eq((1 << inputs_of_last) - 1),
                    ]
        return words, last_mask


def _number(one_hot: Value) -> Value:
    """Which bit of it is 1; 0 if none is."""
    bits = range((len(one_hot) - 1).bit_length())
    return Cat(
        Cat(one_hot[lane] for lane in range(len(one_hot)) if lane >> bit & 1).any() for bit in bits
    )
