"""Says which words of weights and activations meet in the datapath, cycle by cycle."""

from collections.abc import Iterable

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import data, enum, wiring
from amaranth.lib.wiring import In, Out

from stepnet.cores.engine.cycles import MAP_DISTANCE_CYCLES, MAP_HEADER_CYCLES
from stepnet.cores.engine.shape import MAP_HEADERS, ROW_HEADER, EngineShape
from stepnet_hdl.cores.engine.datapath import Decided, DecidedSignature, step_layout
from stepnet_hdl.cores.engine.layer_walk import LayerHeader, LayerWalk, TreeHeader
from stepnet_hdl.cores.engine.map_walk import MapHeader, MapWalk
from stepnet_hdl.cores.engine.pixel_intake import ImageBuffers, ImageBuffersSignature
from stepnet_hdl.cores.engine.readout import (
    ReadoutNumber,
    ReadoutSteering,
    ReadoutSteeringSignature,
)
from stepnet_hdl.cores.engine.tree_walk import TreeWalk

RowHeader = data.StructLayout(ROW_HEADER)


class Region(enum.Enum, shape=2):
    """The four parts of the activation memory: two images, and the activations of two layers that
    take turns."""

    IMAGE_0 = 0
    IMAGE_1 = 1
    EVEN_LAYER = 2
    ODD_LAYER = 3


class ParameterRead(wiring.PureInterface):
    """The way to the parameter memory. Directions are those of the sequencer."""

    address: Signal
    """`range(parameter_words)`, out: which word of the parameter memory to read."""
    enable: Signal
    """1 bit, out: the word at `address` is read in this cycle."""
    value: Signal
    """`parameter_bits` bits, in: the first value of the word, `read_cycles` after `enable`."""
    need_thresholds: Signal
    """1 bit, in: the datapath needs the next word `read_cycles` later."""
    again: Signal
    """1 bit, in: with `map_words`, with the last word of thresholds of a group, the
    same ones are needed next."""
    restart: Signal
    """1 bit, in: with `map_words`, with the last word of thresholds of a group, those
    of the first group are needed next."""


class ParameterReadSignature(wiring.Signature):
    """The signature of `ParameterRead`."""

    def __init__(self, shape: EngineShape) -> None:
        super().__init__(
            {
                "address": Out(range(shape.parameter_words)),
                "enable": Out(1),
                "value": In(shape.parameter_bits),
                "need_thresholds": In(1),
                **({"again": In(1), "restart": In(1)} if shape.map_words else {}),
            }
        )

    def create(self, *, path: Iterable[str | int] = (), src_loc_at: int = 0) -> ParameterRead:
        return ParameterRead(self, path=tuple(path), src_loc_at=1 + src_loc_at)


class WindowSteering(wiring.PureInterface):
    """What a sequencer and a `PixelWindow` tell each other. Directions are those of the
    sequencer."""

    begin: Signal
    """1 bit, out: a convolution over an image begins, whose pixels are there; `header` tells of it
    from the next cycle on."""
    header: data.View
    """`MapHeader`, out: what the layer looks at; it stays until the layer is over."""
    taken: Signal
    """1 bit, out: the position is done with; without meaning in other layers."""
    last_position: Signal
    """1 bit, out: the position is the last one."""
    below: Signal
    """1 bit, out: the window is one of the lower two that are pooled."""
    beside: Signal
    """1 bit, out: the window is one of the right two that are pooled."""
    read_address: Signal
    """`range(row_words)`, in: the word of pixels that the window needs."""
    ready: Signal
    """1 bit, in: the windows of a position are there."""
    in_use: Signal
    """1 bit, out: the activations are those of the window."""
    outside: Signal
    """1 bit, out: there are no activations in the place that was addressed in the cycle before."""
    outside_beside: Signal
    """1 bit, out: with `map_windows` 2, there are none in the place beside it."""
    joins: Signal
    """1 bit, out: with `map_windows` 2, the layer is a convolution that is pooled."""


class WindowSteeringSignature(wiring.Signature):
    """The signature of `WindowSteering`."""

    def __init__(self, shape: EngineShape) -> None:
        super().__init__(
            {
                "begin": Out(1),
                "header": Out(MapHeader),
                "taken": Out(1),
                "last_position": Out(1),
                "below": Out(1),
                "beside": Out(1),
                "read_address": In(range(shape.row_words)),
                "ready": In(1),
                "in_use": Out(1),
                "outside": Out(1),
                **({"outside_beside": Out(1), "joins": Out(1)} if shape.map_windows > 1 else {}),
            }
        )

    def create(self, *, path: Iterable[str | int] = (), src_loc_at: int = 0) -> WindowSteering:
        return WindowSteering(self, path=tuple(path), src_loc_at=1 + src_loc_at)


class _State:
    """What the sequencer remembers from state to state, and tells `LayerWalk` and `TreeWalk`."""

    def __init__(self, words: LayerWalk) -> None:
        self.idle = Signal(init=1)
        """No image is being computed; a register beside the state, because it goes far."""
        self.image_buffer = Signal()
        """The number of the buffer whose image is computed."""
        self.image_is_there = Signal()
        """At least the first word of that image is in its buffer."""
        self.in_first_layer = Signal()
        self.read_region = Signal(Region)
        self.fetch = Signal()
        """A header or a code is read in this cycle."""
        self.prepare = Signal()
        """The second header of a layer is there, and the layer begins."""
        self.jump = Signal()
        """The addresses go on to the next row of a tree."""
        self.went_right = Signal()
        # What the first header of the layer says:
        self.last_word = Signal.like(words.last_word)
        self.last_plane = Signal.like(words.last_plane)
        self.by_input = Signal()
        self.convolution = Signal()
        """The layer is a convolution; only in a shape that has them, as what follows."""
        self.fetch_map = Signal()
        """One of the other headers of a convolution is read in this cycle."""
        self.window_is_there = Signal()
        """A convolution may go on to the window that is next."""


class Sequencer(wiring.Component):
    """Walks through the parameter and weight memories once per image, one weight word per cycle.

    The headers of a layer take `header_cycles`, then come its weight words (see `LayerWalk`), and
    the sequencer waits until the datapath has decided the last group. In a tree it waits after
    every row, and goes on from node n to 2n+1 or 2n+2 (see `TreeWalk`) `row_cycles` after that row
    was announced.

    Images are taken in turn, that of buffer 0 first. An image is taken up `start_cycles` after its
    first word of pixels came. Its first layer then waits for the others: for each in turn if it is
    computed by input, for all of them otherwise. The image is computed `result_cycles` after the
    readout has finished, with readout `nearest` `look_up_cycles` later.

    The headers of a convolution take `map_header_cycles` more. Its weights and thresholds are read
    again at every position of the map that it gives (see `MapWalk`). Over an image, whose pixels
    all have to be there, it waits at each position for the windows that a `PixelWindow` gathers.
    """

    start_cycles = 2
    """Cycles from `images.word_comes` for the first word of an image to the fetch of its first
    header, if the sequencer is idle and `result_free`."""

    layer_cycles = 2
    """Cycles from the announcement of a layer's last group to the fetch of the next layer's first
    header."""

    row_cycles = 4
    """Cycles from the announcement of a row of a tree to the first weight word of the next row."""

    result_cycles = 1
    """Cycles from `readout.finished` to `result`; `look_up_cycles` more with readout `nearest`."""

    images: ImageBuffers
    """`ImageBuffers`, in: which images are there; it also tells which are no longer needed."""
    cancel: Signal
    """1 bit, in: the sequencer is being reset, so that no image is done in this cycle."""
    result_free: Signal
    """1 bit, in: there is room for the result of the next image, so that it may be taken up."""
    parameters: ParameterRead
    """`ParameterRead`, out: reads headers and codes, and thresholds on behalf of the datapath."""
    weight_address: Signal
    """`range(weight_words)`, out: the weight word that is in the datapath `read_cycles` later."""
    window: WindowSteering
    """`WindowSteering`, out: with `map_words`, moves the window over an image."""
    activation_address: Signal
    """`(region_words - 1).bit_length() + 2` bits, out: the word of activations that meets this
    weight word, with its `Region` in the top two bits."""
    address_beside: Signal
    """`(region_words - 1).bit_length() + 2` bits, out: with `map_windows` 2, the word that the same
    weight word meets in the window beside, as in `activation_address`."""
    write_region: Signal
    """`Region`, out: where the activations of the current layer go."""
    xnor: Signal
    """1 bit, out: the current layer has 1-bit weights."""
    step: data.View
    """`step_layout`, out: what the weight word addressed in the cycle before is to its group; all
    zeros if there was none."""
    decided: Decided
    """`Decided`, in: the datapath announces that a group is decided in the next cycle."""
    fires: Signal
    """`pe` bits, in: the activations of the group that `decided` announced in the cycle before, the
    first neuron lowest."""
    readout: ReadoutSteering
    """`ReadoutSteering`, out: what the last layer means; it also takes in when its code is
    there."""
    overrun: Signal
    """1 bit, out: the parameter memory ended before a layer marked as the last, so that the current
    layer ends the image."""
    is_complete: Signal
    """1 bit, out: all pixels of the image being computed are there."""
    idle: Signal
    """1 bit, out: no image is being computed."""
    result: Signal
    """1 bit, out: 1 for one cycle, when the image is computed."""

    def __init__(self, shape: EngineShape) -> None:
        self.shape = shape
        self._region_word_bits = (shape.region_words - 1).bit_length()
        super().__init__(
            {
                "images": In(ImageBuffersSignature(shape)),
                "cancel": In(1),
                "result_free": In(1),
                "parameters": Out(ParameterReadSignature(shape)),
                "weight_address": Out(range(shape.weight_words)),
                "activation_address": Out(self._region_word_bits + 2),
                "write_region": Out(Region),
                "xnor": Out(1),
                "step": Out(step_layout(shape)),
                "decided": In(DecidedSignature()),
                "fires": In(shape.pe),
                "readout": Out(ReadoutSteeringSignature(shape)),
                "overrun": Out(1),
                "is_complete": Out(1),
                "idle": Out(1),
                "result": Out(1),
                **({"window": Out(WindowSteeringSignature(shape))} if shape.map_words else {}),
                **(
                    {"address_beside": Out(self._region_word_bits + 2)}
                    if shape.map_windows > 1
                    else {}
                ),
            }
        )

    @property
    def header_cycles(self) -> int:
        """Cycles from the fetch of a layer's first header to its first weight word, if its
        activations are there."""
        return 2 + self.shape.read_cycles

    @property
    def map_header_cycles(self) -> int:
        """Cycles that a convolution takes from the time at which a dense layer would issue its
        first word to its own first word, over a map."""
        return MAP_HEADER_CYCLES + self.shape.read_cycles

    @property
    def look_up_cycles(self) -> int:
        """Cycles that looking up the code of a winner takes."""
        return self.shape.read_cycles

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.layer = words = LayerWalk(self.shape)
        m.submodules.walk = walk = TreeWalk(self.shape)
        state = _State(words)
        m.d.sync += [state.prepare.eq(0), state.jump.eq(walk.descend), self.result.eq(0)]
        activation: Value = words.word
        map_walk: MapWalk | None = None
        if self.shape.map_words:
            m.submodules.map = map_walk = MapWalk(self.shape)
            activation = self._walk_map(m, state, words, map_walk)
        m.d.comb += [
            self.activation_address.eq(Cat(activation, state.read_region)),
            self.step.eq(words.step),
            self.readout.rows_left.eq(words.rows_left),
            self.readout.lane.eq(walk.lane),
            self.idle.eq(state.idle),
        ]
        self._steer_walks(m, state, words, walk)
        self._watch_images(m, state, words)
        self._move_addresses(m, state, words, walk)
        if map_walk is not None:
            self._repeat_weights(m, state, words, map_walk)
        with m.FSM():
            self._begin_layer(m, state)
            self._compute(m, state, words, walk)
            self._end_image(m, state)
        return m

    def _steer_walks(self, m: Module, state: _State, words: LayerWalk, walk: TreeWalk) -> None:
        m.d.comb += [
            words.begin.eq(state.prepare),
            words.last_word.eq(state.last_word),
            words.last_plane.eq(state.last_plane),
            words.by_input.eq(state.by_input),
            words.resume.eq(state.jump),
            words.header.eq(self.parameters.value),
            words.xnor.eq(self.xnor),
            words.last_layer.eq(self.readout.last_layer),
            words.image_words.eq(self.images.words),
            words.image_word_comes.eq(self.images.word_comes),
            walk.begin.eq(state.prepare),
            walk.count.eq(words.issue),
            walk.fetch.eq(self.parameters.enable),
            walk.first_row.eq(words.first_row),
            walk.jump.eq(state.jump),
            walk.bit.eq(state.went_right),
        ]

    def _watch_images(self, m: Module, state: _State, words: LayerWalk) -> None:
        """Follow which image is being computed, and how much of it is there: only the image after
        the latest complete one is being received."""
        images = self.images
        m.d.comb += self.is_complete.eq(images.complete.bit_select(state.image_buffer, 1))
        next_image = state.image_buffer ^ self.result
        m.d.sync += state.image_is_there.eq(
            images.complete_next.bit_select(next_image, 1) | images.word_comes | (images.words != 0)
        )
        # Neither changes right before the first word of a layer.
        all_words_are_there = Signal()
        m.d.sync += all_words_are_there.eq(
            images.complete_next.bit_select(state.image_buffer, 1) | ~state.in_first_layer
        )
        m.d.comb += words.all_words_are_there.eq(all_words_are_there)

    def _walk_map(self, m: Module, state: _State, words: LayerWalk, map_walk: MapWalk) -> Signal:
        """Read the headers of a convolution and follow its windows; return which word of
        activations the issued weight word meets."""
        window = self.window
        header_bits = MapHeader.size // len(MAP_HEADERS)
        headers = Signal(MapHeader)
        came = _later(m, state.fetch_map, self.shape.read_cycles)
        with m.If(came):
            taken_in = Cat(headers.as_value(), self.parameters.value[:header_bits])
            m.d.sync += headers.eq(taken_in[header_bits:])
        left = Signal(range(len(MAP_HEADERS) + 1))  # headers that are still to come
        begin = Signal()
        # So long it takes to know what follows the first window.
        followed = _later(m, begin, MAP_DISTANCE_CYCLES)
        in_image = state.in_first_layer
        may_begin = Signal()  # without a look at the windows over an image
        m.d.comb += begin.eq(came & (left == 1))
        with m.If(came):
            m.d.sync += left.eq(left - 1)
        with m.If(followed & ~in_image):
            m.d.sync += may_begin.eq(1)
        with m.If(state.prepare):
            m.d.sync += [left.eq(len(MAP_HEADERS)), may_begin.eq(~state.convolution)]

        window_waits = Signal()  # for the pixels of the image
        with m.If(followed & in_image):
            m.d.sync += window_waits.eq(1)
        with m.If(window.begin):
            m.d.sync += window_waits.eq(0)
        m.d.comb += [
            map_walk.begin.eq(begin),
            map_walk.header.eq(headers),
            map_walk.issue.eq(words.issue & state.convolution),
            map_walk.ends_plane.eq(words.ends_plane),
            map_walk.ends_evaluation.eq(words.ends_evaluation),
            map_walk.in_last_group.eq(words.in_last_group),
            words.windows_left.eq(state.convolution & ~map_walk.last_window),
            words.positions_left.eq(state.convolution & ~map_walk.last_position),
            words.over_map.eq(state.convolution & ~in_image),
            words.window_is_there.eq(may_begin | window.ready),
            window.begin.eq(window_waits & words.all_words_are_there),
            window.header.eq(headers),
            window.taken.eq(
                words.issue & words.ends_evaluation & map_walk.last_window & words.in_last_group
            ),
            window.last_position.eq(map_walk.last_position),
            window.below.eq(map_walk.below),
            window.beside.eq(map_walk.beside),
            window.in_use.eq(state.convolution & in_image),
        ]
        over_map = state.convolution & ~in_image
        m.d.sync += window.outside.eq(over_map & map_walk.outside)
        if self.shape.map_windows > 1:
            m.d.sync += window.outside_beside.eq(over_map & map_walk.outside_beside)
            m.d.comb += [
                words.two_positions.eq(state.convolution & map_walk.two_positions),
                words.writes_often.eq(
                    state.convolution
                    & ~headers.window.pool
                    & (headers.origin.answer_words_minus_1 != 0)
                ),
                window.joins.eq(state.convolution & headers.window.pool),
                self.address_beside.eq(Cat(map_walk.address_beside, state.read_region)),
            ]
        address = Signal(self._region_word_bits)
        m.d.comb += address.eq(words.word)
        with m.If(state.convolution):
            m.d.comb += address.eq(Mux(in_image, window.read_address, map_walk.address))
        return address

    def _repeat_weights(
        self, m: Module, state: _State, words: LayerWalk, map_walk: MapWalk
    ) -> None:
        """Go back to the weights of the same group, or to those of the first, and likewise to the
        thresholds, which are read later."""
        parameters = self.parameters
        first_weights, group_weights = (
            Signal.like(self.weight_address),
            Signal.like(self.weight_address),
        )
        begins_group = Signal()  # the next word is the first one of a group
        with m.If(words.issue):
            m.d.sync += begins_group.eq(words.ends_evaluation & map_walk.last_window)
        this_group = Mux(begins_group, self.weight_address, group_weights)
        m.d.sync += group_weights.eq(this_group)
        with m.If(state.prepare):
            m.d.sync += [first_weights.eq(self.weight_address), begins_group.eq(1)]
        with m.If(words.issue & words.ends_evaluation & state.convolution):
            with m.If(~map_walk.last_window):
                m.d.sync += self.weight_address.eq(this_group)
            with m.Elif(words.in_last_group & ~map_walk.last_position):
                m.d.sync += self.weight_address.eq(first_weights)

        first_thresholds = Signal.like(parameters.address)
        with m.If(state.fetch_map):
            m.d.sync += first_thresholds.eq(parameters.address + 1)
        with m.If(parameters.need_thresholds & parameters.again):
            back = self.shape.parameter_reads - 1
            m.d.sync += parameters.address.eq(parameters.address - back)
        with m.If(parameters.need_thresholds & parameters.restart):
            m.d.sync += parameters.address.eq(first_thresholds)

    def _move_addresses(self, m: Module, state: _State, words: LayerWalk, walk: TreeWalk) -> None:
        parameters, finished = self.parameters, self.readout.finished
        with m.If(words.issue | state.jump):
            m.d.sync += self.weight_address.eq(self.weight_address + walk.weight_stride)
        m.d.comb += parameters.enable.eq(state.fetch | parameters.need_thresholds)
        # The code of a winner follows as many others.
        stride = Mux(finished, self.readout.winner, walk.parameter_stride)
        with m.If(parameters.enable | state.jump | finished):
            m.d.sync += parameters.address.eq(parameters.address + stride)
        exhausted = Signal()  # the last word has been read
        with m.If(parameters.enable):
            m.d.sync += [
                exhausted.eq(parameters.address == self.shape.parameter_words - 1),
                self.overrun.eq(self.overrun | exhausted),
            ]
        with m.If(self.idle):
            m.d.sync += [
                self.weight_address.eq(0),
                parameters.address.eq(1),  # word 0 is not for the sequencer
                exhausted.eq(0),
                self.overrun.eq(0),
            ]

    def _begin_layer(self, m: Module, state: _State) -> None:
        """Wait for an image, then read the two headers of a layer."""
        two_cycles = self.shape.read_cycles == 2
        layer = data.View(LayerHeader, self.parameters.value[: LayerHeader.size])
        tree = data.View(TreeHeader, self.parameters.value[: TreeHeader.size])
        with m.State("WAIT"):
            m.d.sync += [
                state.read_region.eq(Mux(state.image_buffer, Region.IMAGE_1, Region.IMAGE_0)),
                self.write_region.eq(Region.EVEN_LAYER),
                state.in_first_layer.eq(1),
            ]
            with m.If(state.idle & self.result_free & state.image_is_there):
                m.d.sync += state.idle.eq(0)
                m.next = "ROW_HEADER"
        with m.State("ROW_HEADER"):
            m.d.comb += state.fetch.eq(1)
            m.next = "LAYER_HEADER"
        with m.State("LAYER_HEADER"):
            m.d.comb += state.fetch.eq(1)
            m.next = "DECODE" if two_cycles else "PREPARE"
            if not two_cycles:
                self._decode_row(m, state)
        if two_cycles:
            with m.State("DECODE"):
                self._decode_row(m, state)
                m.next = "PREPARE"
        with m.State("PREPARE"):
            m.d.sync += [self.readout.kind.eq(layer.readout), self.readout.prefix.eq(tree.prefix)]
            m.next = "COMPUTE"
            if self.shape.map_words:
                with m.If(state.convolution):
                    m.next = f"MAP_HEADER_{len(MAP_HEADERS)}"
        for left in range(len(MAP_HEADERS) if self.shape.map_words else 0, 0, -1):
            with m.State(f"MAP_HEADER_{left}"):
                m.d.comb += [state.fetch.eq(1), state.fetch_map.eq(1)]
                m.next = f"MAP_HEADER_{left - 1}" if left > 1 else "COMPUTE"

    def _decode_row(self, m: Module, state: _State) -> None:
        row = data.View(RowHeader, self.parameters.value[: RowHeader.size])
        is_binary = row.weight_bits_minus_1 == 0
        m.d.sync += [
            state.last_word.eq(row.words_per_row_minus_1),
            state.last_plane.eq(row.weight_bits_minus_1),
            self.xnor.eq(is_binary),
            self.readout.last_layer.eq(row.last_layer),
            state.prepare.eq(1),
        ]
        if self.shape.overlap_neurons:
            m.d.sync += state.by_input.eq(row.by_input & is_binary)
        if self.shape.map_words:
            m.d.sync += state.convolution.eq(row.convolution)

    def _compute(self, m: Module, state: _State, words: LayerWalk, walk: TreeWalk) -> None:
        """Wait until a layer is decided, or go from row to row of a tree."""
        # With the last group its activations have been written.
        layer_is_decided, row_is_decided = Signal(), Signal()
        m.d.sync += [
            layer_is_decided.eq(self.decided.next_done & self.decided.next_last),
            row_is_decided.eq(self.decided.next_done & words.is_tree),
        ]
        was_even = self.write_region == Region.EVEN_LAYER
        with m.State("COMPUTE"):
            m.d.sync += state.went_right.eq(self.fires.bit_select(walk.lane, 1))
            with m.If(layer_is_decided):
                m.d.sync += [
                    state.in_first_layer.eq(0),
                    state.read_region.eq(self.write_region),
                    self.write_region.eq(Mux(was_even, Region.ODD_LAYER, Region.EVEN_LAYER)),
                ]
                m.next = "ROW_HEADER"
                with m.If(self.readout.last_layer):
                    m.next = "READ_OUT"
                with m.Elif(self.overrun):
                    self._end(m)
            with m.Elif(row_is_decided):
                m.next = "DESCEND"
        with m.State("DESCEND"):
            m.d.comb += walk.descend.eq(1)
            m.next = "FIND_ROW"
        with m.State("FIND_ROW"):
            m.next = "COMPUTE"

    def _end_image(self, m: Module, state: _State) -> None:
        """Wait for the readout, and look up the code of a winner."""
        two_cycles = self.shape.read_cycles == 2
        with m.State("READ_OUT"), m.If(self.readout.finished):
            self._end(m)
            with m.If(self.readout.kind == ReadoutNumber.NEAREST):
                m.d.sync += self.result.eq(0)
                m.next = "LOOK_UP"
        with m.State("LOOK_UP"):
            m.d.comb += state.fetch.eq(1)
            if two_cycles:
                m.next = "LOOKED_UP"
            else:
                self._end(m)
        if two_cycles:
            with m.State("LOOKED_UP"):
                self._end(m)
        with m.State("RESULT"):
            done = Mux(state.image_buffer, 0b10, 0b01)
            m.d.comb += self.images.done.eq(Mux(self.cancel, 0, done))
            m.d.sync += [state.image_buffer.eq(~state.image_buffer), state.idle.eq(1)]
            m.next = "WAIT"

    def _end(self, m: Module) -> None:
        m.d.sync += self.result.eq(1)
        m.next = "RESULT"


def _later(m: Module, event: Signal, cycles: int) -> Signal:
    """Return an event so many cycles later, unless the image is dropped before."""
    for _ in range(cycles):
        later = Signal()
        m.d.sync += later.eq(event)
        event = later
    return event
