"""Which words meet in the datapath, cycle by cycle."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, enum, wiring
from amaranth.lib.wiring import In, Out

from stepnet.engine import CODE_BITS, LAYER_HEADER, ROW_HEADER, TREE_HEADER, EngineShape
from stepnet_hdl.datapath import Step
from stepnet_hdl.readout import ReadoutNumber
from stepnet_hdl.tree_walk import TreeWalk

RowHeader = data.StructLayout(ROW_HEADER)
LayerHeader = data.StructLayout(LAYER_HEADER)
TreeHeader = data.StructLayout(TREE_HEADER)


class Region(enum.Enum, shape=2):
    """The four parts of the activation memory: two images, and two layers' activations."""

    IMAGE_0 = 0
    IMAGE_1 = 1
    EVEN_LAYER = 2
    ODD_LAYER = 3


class Sequencer(wiring.Component):
    """Walks once through parameter and weight memory per image, one weight word per cycle.

    A layer takes 2 cycles and `read_cycles` to fetch its headers, one per weight word, and then
    waits until the datapath has decided its last group. Groups whose thresholds take longer to read
    than their weights, and groups of the last layer, which the readout takes neuron by neuron, keep
    the distance that needs. In a tree the walk waits after every row, and two cycles more to find
    the next: from node n it goes on to 2n+1 or 2n+2.

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
        row = data.View(RowHeader, self.parameter[: RowHeader.size])
        layer = data.View(LayerHeader, self.parameter[: LayerHeader.size])
        tree = data.View(TreeHeader, self.parameter[: TreeHeader.size])

        image_buffer = Signal()  # the image being computed
        read_region = Signal(Region)
        in_first_layer = Signal()
        by_input = Signal()
        last_word = Signal(self._row_word_bits)  # of a row
        last_plane = Signal(ROW_HEADER["weight_bits_minus_1"])
        word = Signal.like(last_word)
        word_before_last = Signal.like(last_word)
        in_last_word = Signal()
        is_only_word = last_word == 0
        plane = Signal.like(last_plane)  # counts down to the least significant
        rows = Signal(range(shape.max_inputs))  # after the first of the layer
        rows_left = Signal.like(rows)  # after the first of the group
        in_first_group = Signal()
        in_last_group = Signal()
        is_only_group = Signal()
        is_tree = Signal()
        is_nearest = self.last_layer & (self.readout == ReadoutNumber.NEAREST)
        m.d.comb += [
            self.activation_address.eq(Cat(word, read_region)),
            self.is_complete.eq(self.image_complete.bit_select(image_buffer, 1)),
            self.rows_left.eq(rows_left),
        ]

        # With `by_input` all groups take a word before the next word is theirs.
        first_of_row = (word == 0) & (plane == last_plane)
        last_of_row = in_last_word & (plane == 0)
        step = Signal(Step)
        m.d.comb += [
            step.start.eq(first_of_row),
            step.plane.eq(word == 0),
            step.subtract.eq((plane == last_plane) & ~self.xnor),
            step.end.eq(last_of_row),
            step.last.eq(last_of_row & in_last_group),
            step.partial.eq(by_input),
            step.first_group.eq(in_first_group),
        ]
        m.d.sync += self.step.eq(0)

        # When the first word of a group may meet it; the others follow it.
        at_row = Signal()  # the next word is the first of a row, unless `by_input`
        begins_group = by_input | at_row
        # Only the image after the latest complete one is being received.
        next_image = image_buffer ^ self.result
        image_is_there = Signal()  # at least its first word
        m.d.sync += image_is_there.eq(
            self.image_complete_next.bit_select(next_image, 1)
            | self.image_word_comes
            | (self.image_words != 0)
        )
        # No word is passed before it is there, so that `image_words` is never below `word`.
        moves_on = Signal()  # to the next word
        this_word_is_there = Signal()
        is_missing = Mux(moves_on, self.image_words == word + 1, self.image_words == word)
        m.d.sync += this_word_is_there.eq(self.image_word_comes | ~is_missing)
        # As `is_complete` or not in the first layer, neither of which changes right before the first
        # word of a layer.
        all_words_are_there = Signal()
        m.d.sync += all_words_are_there.eq(
            self.image_complete_next.bit_select(image_buffer, 1) | ~in_first_layer
        )
        word_is_there = all_words_are_there | (by_input & this_word_is_there)
        distance = Signal(range(max(shape.pe, shape.parameter_reads)))  # still to keep
        may_issue = ~begins_group | (word_is_there & (distance == 0))
        with m.If(distance != 0):
            m.d.sync += distance.eq(distance - 1)

        m.submodules.walk = walk = TreeWalk(shape)
        issue, fetch = Signal(), Signal()
        jump = Signal()  # to the row that a tree goes on with
        m.d.comb += walk.jump.eq(jump)
        m.d.sync += jump.eq(walk.descend)
        m.d.comb += self.parameter_enable.eq(fetch | self.need_thresholds)
        with m.If(issue | jump):
            m.d.sync += self.weight_address.eq(self.weight_address + walk.weight_stride)
        # The code of a winner follows as many others.
        stride = Mux(self.finished, self.winner, walk.parameter_stride)
        with m.If(self.parameter_enable | jump | self.finished):
            m.d.sync += self.parameter_address.eq(self.parameter_address + stride)
        with m.If(self.idle):
            m.d.sync += [
                self.weight_address.eq(0),
                self.parameter_address.eq(1),  # word 0 is not for the sequencer
            ]
        exhausted = Signal()  # the last word has been read
        with m.If(self.parameter_enable):
            m.d.sync += [
                exhausted.eq(self.parameter_address == shape.parameter_words - 1),
                self.overrun.eq(self.overrun | exhausted),
            ]

        went_right = Signal()
        m.d.comb += [
            walk.count.eq(issue),
            walk.fetch.eq(self.parameter_enable),
            walk.first_row.eq(in_first_group),
            walk.bit.eq(went_right),
            self.lane.eq(walk.lane),
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

        prepare, issuing = Signal(), Signal()
        m.d.sync += prepare.eq(0)
        m.d.comb += [walk.begin.eq(prepare), issue.eq(issuing & may_issue)]
        with m.If(issue):
            m.d.comb += moves_on.eq(Mux(by_input, in_last_group, 1))
            m.d.sync += [self.step.eq(step), at_row.eq(last_of_row)]
            with m.If(begins_group & (~by_input | last_of_row)):
                m.d.sync += distance.eq(
                    Mux(self.last_layer, shape.group_distance, shape.parameter_reads) - 1
                )
            with m.If(moves_on):
                m.d.sync += [
                    word.eq(Mux(in_last_word, 0, word + 1)),
                    in_last_word.eq(Mux(in_last_word, is_only_word, word == word_before_last)),
                ]
            with m.If(step.last | (step.end & is_tree)):
                m.d.sync += issuing.eq(0)
        with m.If(prepare):
            m.d.sync += [
                word.eq(0),
                word_before_last.eq(last_word - 1),
                in_last_word.eq(is_only_word),
                at_row.eq(1),
            ]
        with m.If(prepare | jump):
            m.d.sync += issuing.eq(1)

        ends_group = by_input | last_of_row
        with m.If(prepare | (issue & ends_group)):
            m.d.sync += plane.eq(last_plane)
        with m.Elif(issue & in_last_word):
            m.d.sync += plane.eq(plane - 1)
        with m.If(prepare):
            is_tree_next = self.last_layer & (layer.readout == ReadoutNumber.TREE)
            rows_next = Mux(is_tree_next, tree.rows_minus_1, layer.rows_minus_1)
            fits_group = Mux(
                is_tree_next, tree.rows_minus_1 == 0, layer.rows_minus_1 < shape.pe
            )
            m.d.sync += [
                is_tree.eq(is_tree_next),
                rows.eq(rows_next),
                rows_left.eq(rows_next),
                in_last_group.eq(fits_group),
                is_only_group.eq(fits_group),
                in_first_group.eq(1),
            ]
        with m.Elif(issue & ends_group & ~step.last):
            m.d.sync += [
                rows_left.eq(Mux(in_last_group, rows, rows_left - Mux(is_tree, 1, shape.pe))),
                in_last_group.eq(
                    Mux(
                        in_last_group,
                        is_only_group,
                        Mux(is_tree, rows_left == 1, rows_left < 2 * shape.pe),
                    )
                ),
                in_first_group.eq(in_last_group),
            ]

        # With the last group its activations have been written.
        layer_is_decided, row_is_decided = Signal(), Signal()
        m.d.sync += [
            layer_is_decided.eq(self.next_done & self.next_last),
            row_is_decided.eq(self.next_done & is_tree),
        ]

        with m.FSM():
            with m.State("WAIT"):
                m.d.comb += self.idle.eq(1)
                m.d.sync += [
                    distance.eq(0),
                    exhausted.eq(0),
                    self.overrun.eq(0),
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
                    m.next = "ROW_HEADER"
                    with m.If(self.last_layer):
                        m.next = "READ_OUT"
                    with m.Elif(self.overrun):
                        m.next = "RESULT"
                with m.Elif(row_is_decided):
                    m.next = "DESCEND"
            with m.State("DESCEND"):
                m.d.comb += walk.descend.eq(1)
                m.next = "FIND_ROW"
            with m.State("FIND_ROW"):
                m.next = "COMPUTE"
            with m.State("READ_OUT"), m.If(self.finished):
                m.next = "RESULT"
                with m.If(is_nearest):
                    m.next = "LOOK_UP"
            with m.State("LOOK_UP"):
                m.d.comb += fetch.eq(1)
                m.next = "RESULT" if shape.read_cycles == 1 else "LOOKED_UP"
            if shape.read_cycles == 2:
                with m.State("LOOKED_UP"):
                    m.next = "RESULT"
            with m.State("RESULT"):
                m.d.comb += [
                    self.result.eq(1),
                    self.image_done.eq(Mux(image_buffer, 0b10, 0b01)),
                ]
                m.d.sync += image_buffer.eq(~image_buffer)
                m.next = "WAIT"
        return m
