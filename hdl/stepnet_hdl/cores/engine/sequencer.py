"""Which words meet in the datapath, cycle by cycle."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, enum, wiring
from amaranth.lib.wiring import In, Out

from stepnet.cores.engine.shape import CODE_BITS, ROW_HEADER, EngineShape
from stepnet_hdl.cores.engine.datapath import Step
from stepnet_hdl.cores.engine.layer_walk import LayerHeader, LayerWalk, TreeHeader
from stepnet_hdl.cores.engine.readout import ReadoutNumber
from stepnet_hdl.cores.engine.tree_walk import TreeWalk

RowHeader = data.StructLayout(ROW_HEADER)


class Region(enum.Enum, shape=2):
    """The four parts of the activation memory: two images, and two layers' activations."""

    IMAGE_0 = 0
    IMAGE_1 = 1
    EVEN_LAYER = 2
    ODD_LAYER = 3


class Sequencer(wiring.Component):
    """Walks once through parameter and weight memory per image, one weight word per cycle.

    A layer takes 2 cycles and `read_cycles` to fetch its headers, one per weight word, and then
    waits until the datapath has decided its last group: see `LayerWalk`. In a tree it waits after
    every row, and two cycles more to find the next: from node n it goes on to 2n+1 or 2n+2.

    The first image is taken up with its first word, and waits for the others: for each in turn in a
    layer that is computed by input, for all in another.

    Members
    -------
    image_complete, image_complete_next : Signal(2), in
        Per image buffer: an image is there; it will be in the next cycle. They are taken in turn,
        buffer 0 first.
    image_words : Signal, in
        How many words of the image being received are there.
    image_word_comes : Signal(1), in
        There is one more in the next cycle.
    image_done : Signal(2), out
        Per image buffer, for one cycle: it may be overwritten.
    result_free : Signal(1), in
        The result of the next image has somewhere to go.
    parameter_address : Signal, out
    parameter_enable : Signal(1), out
        Reads the parameter memory.
    parameter : Signal(parameter_bits), in
        The first value of the word at `parameter_address`, `read_cycles` after `parameter_enable`.
    need_thresholds : Signal(1), in
        The datapath needs the next parameter word `read_cycles` later.
    weight_address, activation_address : Signal, out
        The words that meet `read_cycles` later.
    write_region : Signal(Region), out
        Where the activations of the current layer go.
    xnor : Signal(1), out
    step : Signal(Step), out
        One cycle after the addresses.
    next_done, next_last : Signal(1), in
        A group is decided in the next cycle, and whether it is the last of its layer.
    fires : Signal(pe), in
        Its activations in the next cycle.
    finished : Signal(1), in
        The readout has all bits of the code, or the winner.
    winner : Signal(8), in
    rows_left, lane, last_layer, readout, prefix : Signal, out
        Of the current layer, as `Readout` wants them; the last three count in the last layer only.
    overrun : Signal(1), out
        The parameters ended before a last layer did; the current layer is taken for the last.
    is_complete : Signal(1), out
        All pixels of the image being computed are there.
    idle : Signal(1), out
        No image is being computed.
    result : Signal(1), out
        For one cycle: the image is computed.
    """

    image_complete: Signal
    image_complete_next: Signal
    image_words: Signal
    image_word_comes: Signal
    image_done: Signal
    result_free: Signal
    parameter_address: Signal
    parameter_enable: Signal
    parameter: Signal
    need_thresholds: Signal
    weight_address: Signal
    activation_address: Signal
    write_region: Signal
    xnor: Signal
    step: data.View
    next_done: Signal
    next_last: Signal
    fires: Signal
    finished: Signal
    winner: Signal
    rows_left: Signal
    lane: Signal
    last_layer: Signal
    readout: Signal
    prefix: Signal
    overrun: Signal
    is_complete: Signal
    idle: Signal
    result: Signal

    def __init__(self, shape: EngineShape) -> None:
        self.shape = shape
        self._row_word_bits = (shape.row_words - 1).bit_length()
        super().__init__(
            {
                "image_complete": In(2),
                "image_complete_next": In(2),
                "image_words": In(range(shape.row_words)),
                "image_word_comes": In(1),
                "image_done": Out(2),
                "result_free": In(1),
                "parameter_address": Out(range(shape.parameter_words)),
                "parameter_enable": Out(1),
                "parameter": In(shape.parameter_bits),
                "need_thresholds": In(1),
                "weight_address": Out(range(shape.weight_words)),
                "activation_address": Out(self._row_word_bits + 2),
                "write_region": Out(Region),
                "xnor": Out(1),
                "step": Out(Step),
                "next_done": In(1),
                "next_last": In(1),
                "fires": In(shape.pe),
                "finished": In(1),
                "winner": In(CODE_BITS),
                "rows_left": Out(range(shape.pe)),
                "lane": Out(range(shape.pe)),
                "last_layer": Out(1),
                "readout": Out(ReadoutNumber),
                "prefix": Out(CODE_BITS),
                "overrun": Out(1),
                "is_complete": Out(1),
                "idle": Out(1),
                "result": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        shape = self.shape
        m.submodules.layer = words = LayerWalk(shape)
        m.submodules.walk = walk = TreeWalk(shape)
        image_buffer = Signal()  # the image being computed
        read_region = Signal(Region)
        in_first_layer = Signal()
        fetch = Signal()  # a header, or a code
        prepare = Signal()  # the layer: its second header is there
        jump = Signal()  # to the row that a tree goes on with
        went_right = Signal()
        m.d.sync += [prepare.eq(0), jump.eq(walk.descend), self.result.eq(0)]

        is_nearest = self.last_layer & (self.readout == ReadoutNumber.NEAREST)
        m.d.comb += [
            words.begin.eq(prepare),
            words.resume.eq(jump),
            words.header.eq(self.parameter),
            words.xnor.eq(self.xnor),
            words.last_layer.eq(self.last_layer),
            words.image_words.eq(self.image_words),
            words.image_word_comes.eq(self.image_word_comes),
            walk.begin.eq(prepare),
            walk.count.eq(words.issue),
            walk.fetch.eq(self.parameter_enable),
            walk.first_row.eq(words.first_row),
            walk.jump.eq(jump),
            walk.bit.eq(went_right),
            self.activation_address.eq(Cat(words.word, read_region)),
            self.step.eq(words.step),
            self.rows_left.eq(words.rows_left),
            self.lane.eq(walk.lane),
            self.is_complete.eq(self.image_complete.bit_select(image_buffer, 1)),
            self.parameter_enable.eq(fetch | self.need_thresholds),
        ]

        # Only the image after the latest complete one is being received.
        next_image = image_buffer ^ self.result
        image_is_there = Signal()  # at least its first word
        m.d.sync += image_is_there.eq(
            self.image_complete_next.bit_select(next_image, 1)
            | self.image_word_comes
            | (self.image_words != 0)
        )
        # Neither changes right before the first word of a layer.
        all_words_are_there = Signal()
        m.d.sync += all_words_are_there.eq(
            self.image_complete_next.bit_select(image_buffer, 1) | ~in_first_layer
        )
        m.d.comb += words.all_words_are_there.eq(all_words_are_there)

        with m.If(words.issue | jump):
            m.d.sync += self.weight_address.eq(self.weight_address + walk.weight_stride)
        # The code of a winner follows as many others.
        stride = Mux(self.finished, self.winner, walk.parameter_stride)
        with m.If(self.parameter_enable | jump | self.finished):
            m.d.sync += self.parameter_address.eq(self.parameter_address + stride)
        exhausted = Signal()  # the last word has been read
        with m.If(self.parameter_enable):
            m.d.sync += [
                exhausted.eq(self.parameter_address == shape.parameter_words - 1),
                self.overrun.eq(self.overrun | exhausted),
            ]
        with m.If(self.idle):
            m.d.sync += [
                self.weight_address.eq(0),
                self.parameter_address.eq(1),  # word 0 is not for the sequencer
                exhausted.eq(0),
                self.overrun.eq(0),
            ]

        # With the last group its activations have been written.
        layer_is_decided, row_is_decided = Signal(), Signal()
        m.d.sync += [
            layer_is_decided.eq(self.next_done & self.next_last),
            row_is_decided.eq(self.next_done & words.is_tree),
        ]

        row = data.View(RowHeader, self.parameter[: RowHeader.size])
        layer = data.View(LayerHeader, self.parameter[: LayerHeader.size])
        tree = data.View(TreeHeader, self.parameter[: TreeHeader.size])
        last_word, last_plane = Signal.like(words.last_word), Signal.like(words.last_plane)
        by_input = Signal()
        m.d.comb += [
            words.last_word.eq(last_word),
            words.last_plane.eq(last_plane),
            words.by_input.eq(by_input),
        ]

        def decode_row() -> None:
            m.d.sync += [
                last_word.eq(row.words_per_row_minus_1),
                last_plane.eq(row.weight_bits_minus_1),
                self.xnor.eq(row.weight_bits_minus_1 == 0),
                self.last_layer.eq(row.last_layer),
                prepare.eq(1),
            ]
            if shape.overlap_neurons:
                m.d.sync += by_input.eq(row.by_input & (row.weight_bits_minus_1 == 0))
            m.next = "PREPARE"

        def end() -> None:
            m.d.sync += self.result.eq(1)
            m.next = "RESULT"

        with m.FSM():
            with m.State("WAIT"):
                m.d.comb += self.idle.eq(1)
                m.d.sync += [
                    read_region.eq(Mux(image_buffer, Region.IMAGE_1, Region.IMAGE_0)),
                    self.write_region.eq(Region.EVEN_LAYER),
                    in_first_layer.eq(1),
                ]
                with m.If(self.result_free & image_is_there):
                    m.next = "ROW_HEADER"
            with m.State("ROW_HEADER"):
                m.d.comb += fetch.eq(1)
                m.next = "LAYER_HEADER"
            with m.State("LAYER_HEADER"):
                m.d.comb += fetch.eq(1)
                if shape.read_cycles == 1:
                    decode_row()
                else:
                    m.next = "DECODE"
            if shape.read_cycles == 2:
                with m.State("DECODE"):
                    decode_row()
            with m.State("PREPARE"):
                m.d.sync += [self.readout.eq(layer.readout), self.prefix.eq(tree.prefix)]
                m.next = "COMPUTE"
            with m.State("COMPUTE"):
                m.d.sync += went_right.eq(self.fires.bit_select(walk.lane, 1))
                with m.If(layer_is_decided):
                    m.d.sync += [
                        in_first_layer.eq(0),
                        read_region.eq(self.write_region),
                        self.write_region.eq(
                            Mux(
                                self.write_region == Region.EVEN_LAYER,
                                Region.ODD_LAYER,
                                Region.EVEN_LAYER,
                            )
                        ),
                    ]
                    with m.If(self.last_layer):
                        m.next = "READ_OUT"
                    with m.Elif(self.overrun):
                        end()
                    with m.Else():
                        m.next = "ROW_HEADER"
                with m.Elif(row_is_decided):
                    m.next = "DESCEND"
            with m.State("DESCEND"):
                m.d.comb += walk.descend.eq(1)
                m.next = "FIND_ROW"
            with m.State("FIND_ROW"):
                m.next = "COMPUTE"
            with m.State("READ_OUT"), m.If(self.finished):
                with m.If(is_nearest):
                    m.next = "LOOK_UP"
                with m.Else():
                    end()
            with m.State("LOOK_UP"):
                m.d.comb += fetch.eq(1)
                if shape.read_cycles == 1:
                    end()
                else:
                    m.next = "LOOKED_UP"
            if shape.read_cycles == 2:
                with m.State("LOOKED_UP"):
                    end()
            with m.State("RESULT"):
                m.d.comb += self.image_done.eq(Mux(image_buffer, 0b10, 0b01))
                m.d.sync += image_buffer.eq(~image_buffer)
                m.next = "WAIT"
        return m
