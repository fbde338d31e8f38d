"""Which words meet in the datapath, cycle by cycle."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, enum, wiring
from amaranth.lib.wiring import In, Out

from stepnet.engine import CODE_BITS, LAYER_HEADER, ROW_HEADER, EngineShape
from stepnet_hdl.collector import ReadoutNumber
from stepnet_hdl.datapath import Step

RowHeader = data.StructLayout(ROW_HEADER)
LayerHeader = data.StructLayout(LAYER_HEADER)


class Region(enum.Enum, shape=2):
    """The four parts of the activation memory: two images, and two layers' activations."""

    IMAGE_0 = 0
    IMAGE_1 = 1
    EVEN_LAYER = 2
    ODD_LAYER = 3


class Sequencer(wiring.Component):
    """Walks once through parameter and weight memory per image, one weight word per cycle.

    A layer takes 3 cycles to fetch its headers, one per weight word, and then waits until the
    datapath has decided its last neuron. In a tree it waits after every row, and two cycles more to
    find the next: from node n the walk goes on to 2n+1 or 2n+2.

    Members
    -------
    image_complete : Signal(2), in
        Per image buffer: an image is there. They are taken in turn.
    image_done : Signal(2), out
        Per image buffer, for one cycle: it may be overwritten.
    result_free : Signal(1), in
        The result of the next image has somewhere to go.
    parameter_address : Signal, out
    parameter_enable : Signal(1), out
        Reads the parameter memory.
    parameter : Signal(parameter_bits), in
        The word at `parameter_address`, one cycle after `parameter_enable`.
    need_threshold : Signal(1), in
        The datapath needs the next parameter in the next cycle.
    weight_address, activation_address : Signal, out
        The words that meet one cycle later.
    write_region : Signal(Region), out
        Where the activations of the current layer go.
    xnor : Signal(1), out
    step : Signal(Step), out
        One cycle after the addresses, together with the words.
    decided, last_decided : Signal(1), in
        A neuron has been decided; the last one of the layer has, and its activation is written.
    fires : Signal(1), in
        Its activation.
    last_layer : Signal(1), out
        The current layer gives the result.
    readout : Signal(ReadoutNumber), out
        And how: counts in the last layer.
    prefix : Signal(8), out
        Bits of the code above those of a tree.
    overrun : Signal(1), out
        The parameters ended before a last layer did; the current layer is taken for the last.
    start : Signal(1), out
        An image is taken up; high in the cycle before the first header is fetched.
    """

    image_complete: Signal
    image_done: Signal
    result_free: Signal
    parameter_address: Signal
    parameter_enable: Signal
    parameter: Signal
    need_threshold: Signal
    weight_address: Signal
    activation_address: Signal
    write_region: Signal
    xnor: Signal
    step: data.View
    decided: Signal
    last_decided: Signal
    fires: Signal
    last_layer: Signal
    readout: Signal
    prefix: Signal
    overrun: Signal
    start: Signal

    def __init__(self, shape: EngineShape) -> None:
        self.shape = shape
        self._row_word_bits = (shape.row_words - 1).bit_length()
        super().__init__(
            {
                "image_complete": In(2),
                "image_done": Out(2),
                "result_free": In(1),
                "parameter_address": Out(range(shape.parameter_words)),
                "parameter_enable": Out(1),
                "parameter": In(shape.parameter_bits),
                "need_threshold": In(1),
                "weight_address": Out(range(shape.weight_words)),
                "activation_address": Out(self._row_word_bits + 2),
                "write_region": Out(Region),
                "xnor": Out(1),
                "step": Out(Step),
                "decided": In(1),
                "last_decided": In(1),
                "fires": In(1),
                "last_layer": Out(1),
                "readout": Out(ReadoutNumber),
                "prefix": Out(CODE_BITS),
                "overrun": Out(1),
                "start": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        row = data.View(RowHeader, self.parameter[: RowHeader.size])
        layer = data.View(LayerHeader, self.parameter[: LayerHeader.size])

        image_buffer = Signal()  # the image being computed
        read_region = Signal(Region)
        last_word = Signal(self._row_word_bits)  # of a row
        last_plane = Signal(ROW_HEADER["weight_bits_minus_1"])
        word = Signal.like(last_word)
        plane = Signal.like(last_plane)  # counts down to the least significant
        rows_left = Signal(range(self.shape.max_inputs))
        is_tree = self.last_layer & (self.readout == ReadoutNumber.TREE)
        # Of a tree: the node just evaluated, its first weight word after the root's, and the words
        # of a row, which are counted while the root is evaluated.
        node = Signal(CODE_BITS)
        node_offset = Signal.like(self.weight_address)
        row_length = Signal(range(self.shape.row_words * self.shape.max_weight_bits + 1))
        is_root = Signal()
        went_right = Signal()
        m.d.comb += [
            self.activation_address.eq(Cat(word, read_region)),
            self.xnor.eq(last_plane == 0),
        ]

        step = Signal(Step)
        m.d.comb += [
            step.start.eq((word == 0) & (plane == last_plane)),
            step.plane.eq(word == 0),
            step.subtract.eq((plane == last_plane) & (last_plane != 0)),
            step.end.eq((word == last_word) & (plane == 0)),
            step.last.eq(step.end & (rows_left == 0)),
        ]
        m.d.sync += self.step.eq(0)

        fetch = Signal()
        m.d.comb += self.parameter_enable.eq(fetch | self.need_threshold)
        exhausted = Signal()  # the last word has been read
        with m.If(self.parameter_enable):
            m.d.sync += [
                self.parameter_address.eq(self.parameter_address + 1),
                exhausted.eq(self.parameter_address == self.shape.parameter_words - 1),
                self.overrun.eq(self.overrun | exhausted),
            ]

        with m.FSM():
            with m.State("WAIT"):
                complete = self.image_complete.bit_select(image_buffer, 1)
                m.d.comb += self.start.eq(complete & self.result_free)
                m.d.sync += [
                    self.parameter_address.eq(1),  # word 0 is not for the sequencer
                    self.weight_address.eq(0),
                    exhausted.eq(0),
                    self.overrun.eq(0),
                    read_region.eq(Mux(image_buffer, Region.IMAGE_1, Region.IMAGE_0)),
                    self.write_region.eq(Region.EVEN_LAYER),
                ]
                with m.If(self.start):
                    m.next = "ROW_HEADER"
            with m.State("ROW_HEADER"):
                m.d.comb += fetch.eq(1)
                m.next = "LAYER_HEADER"
            with m.State("LAYER_HEADER"):
                m.d.comb += fetch.eq(1)
                m.d.sync += [
                    last_word.eq(row.words_per_row_minus_1),
                    last_plane.eq(row.weight_bits_minus_1),
                    plane.eq(row.weight_bits_minus_1),
                    self.last_layer.eq(row.last_layer),
                ]
                m.next = "PREPARE"
            with m.State("PREPARE"):
                m.d.sync += [
                    rows_left.eq(layer.rows_minus_1),
                    self.readout.eq(layer.readout),
                    self.prefix.eq(self.parameter[-CODE_BITS:]),
                    word.eq(0),
                    node.eq(0),
                    node_offset.eq(0),
                    row_length.eq(0),
                    is_root.eq(1),
                ]
                m.next = "ISSUE"
            with m.State("ISSUE"):
                m.d.sync += [
                    self.step.eq(step),
                    self.weight_address.eq(self.weight_address + 1),
                    word.eq(word + 1),
                ]
                with m.If(word == last_word):
                    m.d.sync += [word.eq(0), plane.eq(plane - 1)]
                with m.If(is_root):
                    m.d.sync += row_length.eq(row_length + 1)
                with m.If(step.end):
                    m.d.sync += [
                        plane.eq(last_plane),
                        rows_left.eq(rows_left - 1),
                        is_root.eq(0),
                    ]
                    with m.If(step.last | is_tree):
                        m.next = "DRAIN"
            with m.State("DRAIN"):
                m.d.sync += went_right.eq(self.fires)
                with m.If(self.last_decided):
                    m.d.sync += [
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
                    with m.If(self.last_layer | self.overrun):
                        m.d.comb += self.image_done.eq(Mux(image_buffer, 0b10, 0b01))
                        m.d.sync += image_buffer.eq(~image_buffer)
                        m.next = "WAIT"
                with m.Elif(self.decided & is_tree):
                    m.next = "DESCEND"
            # Both addresses stand one row behind `node`, node + 1 rows after the root's; those of
            # its left child are node rows further on, and of its right child one more.
            with m.State("DESCEND"):
                m.d.sync += [
                    self.weight_address.eq(self.weight_address + node_offset),
                    self.parameter_address.eq(self.parameter_address + node),
                    node_offset.eq((node_offset << 1) + row_length),
                    node.eq((node << 1) + 1),
                ]
                m.next = "CHOOSE_CHILD"
            with m.State("CHOOSE_CHILD"):
                with m.If(went_right):
                    m.d.sync += [
                        self.weight_address.eq(self.weight_address + row_length),
                        self.parameter_address.eq(self.parameter_address + 1),
                        node_offset.eq(node_offset + row_length),
                        node.eq(node + 1),
                    ]
                m.next = "ISSUE"
        return m
