"""Walks through the layers of a network: which word of weights, which activation, and when."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from stepnet.cores.mac.shape import ENDS_BIT, SETTLES_BIT, MacShape

GROUP_BITS = 8
FLAG_BITS = 2


class MacSequencer(wiring.Component):
    """Computes an image layer by layer, and in a layer group by group: a step of it in each cycle
    in which the weight memory is through with the word before. A reset gives the image up.
    """

    start: Signal
    """1 bit, in: an image is in memory from the next cycle on."""
    settled: Signal
    """1 bit, in: all sums that have left the lanes have had their effect."""
    drained: Signal
    """1 bit, in: in this cycle the last sum of the group is taken from the lanes, if one is."""
    word: Signal
    """`8 * lanes` bits, in: the word of weights of `WeightMemory.latency_cycles` before."""
    best: Signal
    """`range(256 * lanes)`, in: the number of the neuron that wins, two cycles after the last
    group is drained."""
    address: Signal
    """`range(weight_words)`, out: the word to read."""
    is_wide: Signal
    """1 bit, out: the word at `address` takes a single read."""
    upper: Signal
    """1 bit, out: this is the word's second read."""
    reads: Signal
    """1 bit, out: with this read the word at `address` is wanted and whole."""
    index: Signal
    """16 bits, out: the step."""
    is_input: Signal
    """1 bit, out: the step has an input of the layer; otherwise a constant one."""
    is_one: Signal
    """1 bit, out: that constant input is 1; otherwise it is the largest one."""
    of_pixels: Signal
    """1 bit, out: the layer's inputs are pixels."""
    parity: Signal
    """1 bit, out: in which half of the memory the layer's inputs lie; its answers go to the
    other."""
    multiplies: Signal
    """1 bit, out: in this cycle a step is read."""
    captures: Signal
    """1 bit, out: in this cycle a group is complete."""
    multiplier: Signal
    """`multiplier_bits` bits, out: of the group that was complete last, from the cycle after that
    on."""
    shift: Signal
    """6 bits, out: likewise."""
    choice: Signal
    """8 bits, out: likewise; 0 but for sigmoids."""
    neurons_minus_1: Signal
    """`range(lanes)`, out: likewise, its neurons less 1."""
    first_group: Signal
    """1 bit, out: likewise, it was the first one of its layer."""
    last_layer: Signal
    """1 bit, out: likewise, its layer is the last one."""
    answers_parity: Signal
    """1 bit, out: likewise, the half of the memory that its answers go to."""
    code: Signal
    """8 bits, out: the character's code, while `computed`."""
    computed: Signal
    """1 bit, out: the image is computed; it stays 1 until `finish`."""
    overrun: Signal
    """1 bit, out: while `computed`: the network ran off the end of the memory."""
    finish: Signal
    """1 bit, in: the code was taken."""

    def __init__(self, shape: MacShape) -> None:
        self.shape = shape
        self.multiplier_bits = 16 if shape.sigmoid else 8
        self._fields = data.StructLayout(
            {name: 8 * size for name, size in shape.layer_header.items()}
        )
        super().__init__(
            {
                "start": In(1),
                "settled": In(1),
                "drained": In(1),
                "word": In(8 * shape.lanes),
                "best": In(GROUP_BITS + shape.lane_bits),
                "address": Out(range(shape.weight_words)),
                "is_wide": Out(1),
                "upper": Out(1),
                "reads": Out(1),
                "index": Out(16),
                "is_input": Out(1),
                "is_one": Out(1),
                "of_pixels": Out(1),
                "parity": Out(1),
                "multiplies": Out(1),
                "captures": Out(1),
                "multiplier": Out(self.multiplier_bits),
                "shift": Out(8 - FLAG_BITS),
                "choice": Out(8),
                "neurons_minus_1": Out(range(shape.lanes)),
                "first_group": Out(1),
                "last_layer": Out(1),
                "answers_parity": Out(1),
                "code": Out(8),
                "computed": Out(1),
                "overrun": Out(1),
                "finish": In(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """One machine: its states stand in the order of a layer's words, and all share the counters
        above them, so it is not cut."""
        m = Module()
        shape = self.shape
        place = Signal(range(shape.weight_words + 1))  # of the next word to read
        layer = Signal(self._fields)
        steps_left = Signal(self._fields["steps_minus_1"].width)
        inputs_left = Signal(self._fields["inputs"].width)
        groups_left = Signal(GROUP_BITS)
        group_is_first = Signal()
        reading = Signal()  # a word, whole or half
        ends = layer.shift[ENDS_BIT]
        # Known a word early, so that no comparison is in the way of a read.
        beyond = Signal()
        wide_words = shape.weight_words if shape.wide_words is None else shape.wide_words
        m.d.comb += [
            self.address.eq(place),
            self.reads.eq(reading & (self.is_wide | self.upper)),
            self.code.eq(self.word.word_select(self.best[: shape.lane_bits], 8)),
        ]
        with m.If(reading):
            m.d.sync += self.upper.eq(~self.reads)
        with m.If(self.reads & ~beyond):
            m.d.sync += [
                place.eq(place + 1),
                self.is_wide.eq(place < wide_words - 1),
                beyond.eq(place == shape.weight_words - 1),
            ]

        with m.FSM():
            with m.State("IDLE"):
                m.d.sync += [
                    place.eq(1),
                    self.is_wide.eq(wide_words > 1),
                    beyond.eq(0),
                    self.of_pixels.eq(1),
                    self.parity.eq(1),
                    self.overrun.eq(0),
                ]
                with m.If(self.start):
                    m.next = "HEADER"
            with m.State("HEADER"):
                m.d.comb += reading.eq(~beyond)
                with m.If(self.reads):
                    m.next = "FETCH"
                with m.If(beyond):
                    m.d.sync += self.overrun.eq(1)
                    m.next = "COMPUTED"
            with m.State("FETCH"):
                m.next = "TAKE"
            with m.State("TAKE"):
                fetched = data.View(self._fields, self.word[: self._fields.size])
                m.d.sync += [
                    layer.eq(fetched),
                    groups_left.eq(fetched.groups_minus_1),
                    steps_left.eq(fetched.steps_minus_1),
                    inputs_left.eq(fetched.inputs),
                    self.is_input.eq(1),
                    self.is_one.eq(0),
                    self.index.eq(0),
                    group_is_first.eq(1),
                ]
                m.next = "STEPS"
                with m.If(fetched.shift[SETTLES_BIT]):
                    m.next = "SETTLE"
            with m.State("SETTLE"), m.If(self.settled):
                m.next = "STEPS"
            with m.State("STEPS"):
                m.d.comb += [reading.eq(1), self.multiplies.eq(self.reads)]
                with m.If(self.reads):
                    # What is compared is there a step early, so that no comparison is in the way.
                    m.d.sync += [
                        steps_left.eq(steps_left - 1),
                        inputs_left.eq(inputs_left - 1),
                        self.index.eq(self.index + 1),
                        self.is_input.eq(self.is_input & (inputs_left != 1)),
                        self.is_one.eq(steps_left == 1),
                    ]
                    with m.If(self.is_one):
                        m.next = "CAPTURE"
                with m.If(beyond):
                    m.d.sync += self.overrun.eq(1)
                    m.next = "COMPUTED"
            with m.State("CAPTURE"):
                m.d.comb += self.captures.eq(1)
                is_last_group = groups_left == 0
                if shape.sigmoid:
                    m.d.sync += [
                        self.multiplier[8:].eq(layer.multiplier_high),
                        self.choice.eq(layer.choice),
                    ]
                m.d.sync += [
                    self.multiplier[:8].eq(layer.multiplier),
                    self.shift.eq(layer.shift),
                    self.neurons_minus_1.eq(
                        Mux(is_last_group, layer.last_neurons_minus_1, shape.lanes - 1)
                    ),
                    self.first_group.eq(group_is_first),
                    self.last_layer.eq(ends),
                    self.answers_parity.eq(~self.parity),
                    groups_left.eq(groups_left - 1),
                    group_is_first.eq(0),
                    steps_left.eq(layer.steps_minus_1),
                    inputs_left.eq(layer.inputs),
                    self.is_input.eq(1),
                    self.is_one.eq(0),
                    self.index.eq(0),
                ]
                m.next = "STEPS"
                with m.If(is_last_group):
                    m.d.sync += [self.of_pixels.eq(0), self.parity.eq(~self.parity)]
                    m.next = "HEADER"
                    with m.If(ends):
                        m.next = "DRAIN"
            with m.State("DRAIN"), m.If(self.drained):
                m.next = "COMPARE"
            with m.State("COMPARE"):
                m.next = "CHOOSE"
            with m.State("CHOOSE"):
                m.d.sync += place.eq(place + self.best[shape.lane_bits :])
                m.next = "AIM"
            with m.State("AIM"):
                m.d.sync += self.is_wide.eq(place < wide_words)
                m.next = "CODE"
            with m.State("CODE"):
                m.d.comb += reading.eq(1)
                with m.If(self.reads):
                    m.next = "LAST_FETCH"
            with m.State("LAST_FETCH"):
                m.next = "COMPUTED"
            with m.State("COMPUTED"):
                m.d.comb += self.computed.eq(1)
                with m.If(self.finish):
                    m.next = "IDLE"
        return m
