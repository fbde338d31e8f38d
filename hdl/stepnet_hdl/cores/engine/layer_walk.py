"""Issues the weight words of a layer."""

from amaranth.hdl import Module, Mux, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from stepnet.cores.engine.cycles import MAP_DISTANCE_CYCLES, PAIR_DISTANCE_CYCLES
from stepnet.cores.engine.shape import (
    HEADER_BITS,
    LAYER_HEADER,
    ROW_HEADER,
    TREE_HEADER,
    EngineShape,
)
from stepnet_hdl.cores.engine.datapath import step_layout
from stepnet_hdl.cores.engine.readout import ReadoutNumber

LayerHeader = data.StructLayout(LAYER_HEADER)
TreeHeader = data.StructLayout(TREE_HEADER)


class LayerWalk(wiring.Component):
    """Issues the weight words of a layer, one per cycle, in the order in which they lie in the
    weight memory.

    That is group by group: the words of the first bit plane of a group, those of its next plane,
    and so on. A layer by input has one plane and is walked word by word: every group takes the
    first word of its row before any takes its second. In a tree the walk stops after each row,
    until `resume`. In a convolution it goes on with the first group at the next position, and a
    group is evaluated over every window that is pooled before the next group is.

    The first word of a group waits until its activations are there. It also keeps a distance to the
    group before where thresholds take longer to read than weights, and in the last layer, whose
    neurons the readout takes one by one.
    """

    latency_cycles = 1
    """Cycles from `begin` or `resume` to the first word, if nothing is waited for."""

    step_cycles = 1
    """Cycles from the issue of a word to its `step`."""

    begin: Signal
    """1 bit, in: a layer begins, and its first word is issued `latency_cycles` later at the
    earliest."""
    resume: Signal
    """1 bit, in: the next row of a tree begins, and its first word is issued `latency_cycles` later
    at the earliest."""
    header: Signal
    """16 bits, in: the second header word of the layer, a `LayerHeader` or `TreeHeader`, while
    `begin` is 1."""
    last_word: Signal
    """`range(row_words)`, in: how many words a row has, minus one; it stays from `begin` to the end
    of the layer."""
    last_plane: Signal
    """3 bits, in: how many bits a weight has, minus one; it stays from `begin` to the end of the
    layer."""
    by_input: Signal
    """1 bit, in: the layer is computed by input; it stays from `begin` to the end of the layer."""
    xnor: Signal
    """1 bit, in: the layer has 1-bit weights; it stays from `begin` to the end of the layer."""
    last_layer: Signal
    """1 bit, in: the layer is the last one of its network; it stays from `begin` to the end of the
    layer."""
    all_words_are_there: Signal
    """1 bit, in: all activations that the layer takes are in memory."""
    image_words: Signal
    """`range(row_words)`, in: how many words of the image are in memory while `all_words_are_there`
    is 0; at least as many as a layer by input has issued."""
    image_word_comes: Signal
    """1 bit, in: one more word of the image is in memory from the next cycle on."""
    issue: Signal
    """1 bit, out: a weight word is issued in this cycle."""
    word: Signal
    """`range(row_words)`, out: which word of activations the issued weight word meets."""
    windows_left: Signal
    """1 bit, in: with `map_words`, the issued word belongs to a window that is not the
    last of those that are pooled."""
    positions_left: Signal
    """1 bit, in: with `map_words`, the issued word belongs to a position that is not
    the last one."""
    two_positions: Signal
    """1 bit, in: with `map_windows` 2, the issued word is evaluated at two positions."""
    writes_often: Signal
    """1 bit, in: with `map_windows` 2, each position of two takes several words of answers; their
    groups are two cycles apart, so that a word of each can be written."""
    over_map: Signal
    """1 bit, in: with `map_words`, the layer is a convolution over a map."""
    window_is_there: Signal
    """1 bit, in: with `map_words`, the first word of a window may be issued."""
    ends_plane: Signal
    """1 bit, out: with `map_words`, the issued word is the last one of a row."""
    ends_evaluation: Signal
    """1 bit, out: with `map_words`, the issued word is the last one of a row, in all
    bit planes."""
    in_last_group: Signal
    """1 bit, out: with `map_words`, the issued word belongs to the last group."""
    step: data.View
    """`step_layout`, out: what the weight word that was issued in the cycle before is to its group;
    all zeros if none was."""
    is_tree: Signal
    """1 bit, out: the layer is a tree, known from the cycle after `begin` on."""
    first_row: Signal
    """1 bit, out: the issued word belongs to the first group of the layer, or to the first row of a
    tree."""
    rows_left: Signal
    """`range(max_inputs)`, out: how many rows of the layer follow the first row of the group whose
    word is issued. It stays after the last group."""

    def __init__(self, shape: EngineShape) -> None:
        self.shape = shape
        super().__init__(
            {
                "begin": In(1),
                "resume": In(1),
                "header": In(HEADER_BITS),
                "last_word": In(range(shape.row_words)),
                "last_plane": In(ROW_HEADER["weight_bits_minus_1"]),
                "by_input": In(1),
                "xnor": In(1),
                "last_layer": In(1),
                "all_words_are_there": In(1),
                "image_words": In(range(shape.row_words)),
                "image_word_comes": In(1),
                "issue": Out(1),
                "word": Out(range(shape.row_words)),
                "step": Out(step_layout(shape)),
                "is_tree": Out(1),
                "first_row": Out(1),
                "rows_left": Out(range(shape.max_inputs)),
                **(
                    {
                        "over_map": In(1),
                        "windows_left": In(1),
                        "positions_left": In(1),
                        "window_is_there": In(1),
                        "ends_plane": Out(1),
                        "ends_evaluation": Out(1),
                        "in_last_group": Out(1),
                    }
                    if shape.map_words
                    else {}
                ),
                **(
                    {"two_positions": In(1), "writes_often": In(1)} if shape.map_windows > 1 else {}
                ),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        word = self.word
        in_last_word = Signal()
        plane = Signal.like(self.last_plane)  # counts down to the least significant
        in_last_group = Signal()
        last_of_row = in_last_word & (plane == 0)
        ends_group, ends_layer = last_of_row, last_of_row & in_last_group
        if self.shape.map_words:
            ends_group = last_of_row & ~self.windows_left
            ends_layer = ends_group & in_last_group & ~self.positions_left

        step = Signal(step_layout(self.shape))
        m.d.comb += [
            step.start.eq((word == 0) & (plane == self.last_plane)),
            step.plane.eq(word == 0),
            step.subtract.eq((plane == self.last_plane) & ~self.xnor),
            step.end.eq(last_of_row),
            step.last.eq(ends_layer),
            step.partial.eq(self.by_input),
            step.first_group.eq(self.first_row),
        ]
        if self.shape.map_words:
            m.d.comb += [
                step.pooled.eq(last_of_row & self.windows_left),
                step.completes.eq(ends_group & in_last_group),
                self.ends_plane.eq(in_last_word),
                self.ends_evaluation.eq(last_of_row),
                self.in_last_group.eq(in_last_group),
            ]
        if self.shape.map_windows > 1:
            m.d.comb += step.two_positions.eq(self.two_positions)
        m.d.sync += self.step.eq(0)
        with m.If(self.issue):
            m.d.sync += self.step.eq(step)

        issuing = Signal()  # words of the layer, or of a row of a tree, are left
        with m.If(self.issue & (step.last | (step.end & self.is_tree))):
            m.d.sync += issuing.eq(0)
        with m.If(self.begin | self.resume):
            m.d.sync += issuing.eq(1)

        # By input every group takes a word before the next one is theirs.
        next_word = Signal()
        m.d.comb += next_word.eq(self.issue & (~self.by_input | in_last_group))
        self._count_words(m, next_word, in_last_word)
        may_issue = self._may_issue(m, next_word, last_of_row)
        m.d.comb += self.issue.eq(issuing & may_issue)

        with m.If(self.begin | (self.issue & (self.by_input | last_of_row))):
            m.d.sync += plane.eq(self.last_plane)
        with m.Elif(self.issue & in_last_word):
            m.d.sync += plane.eq(plane - 1)
        next_group = self.issue & (self.by_input | ends_group) & ~step.last
        self._count_groups(m, next_group, in_last_group)
        return m

    def _count_words(self, m: Module, next_word: Signal, in_last_word: Signal) -> None:
        word = self.word
        word_before_last = Signal.like(word)
        is_only_word = self.last_word == 0
        with m.If(self.begin):
            m.d.sync += [
                word.eq(0),
                word_before_last.eq(self.last_word - 1),
                in_last_word.eq(is_only_word),
            ]
        with m.Elif(next_word):
            m.d.sync += [
                word.eq(Mux(in_last_word, 0, word + 1)),
                in_last_word.eq(Mux(in_last_word, is_only_word, word == word_before_last)),
            ]

    def _may_issue(self, m: Module, next_word: Signal, last_of_row: Value) -> Value:
        """Return whether a word may be issued. The first word of a group waits for activations, and
        for its distance to the group before; the others follow it at once."""
        shape, maps = self.shape, self.shape.map_words > 0
        at_row = Signal()  # the next word is the first of a row, unless `by_input`
        with m.If(self.begin):
            m.d.sync += at_row.eq(1)
        with m.Elif(self.issue):
            m.d.sync += at_row.eq(last_of_row)
        begins_group = self.by_input | at_row

        word_is_there = Signal()
        is_missing = Mux(
            next_word, self.image_words == self.word + 1, self.image_words == self.word
        )
        m.d.sync += word_is_there.eq(self.image_word_comes | ~is_missing)

        farthest = max(shape.pe, shape.parameter_reads, MAP_DISTANCE_CYCLES if maps else 1)
        distance = Signal(range(farthest))  # still to keep
        with m.If(self.begin):
            m.d.sync += distance.eq(0)
        with m.Elif(self.issue & begins_group & (~self.by_input | last_of_row)):
            apart: Value | int = shape.parameter_reads
            if shape.map_windows > 1:
                apart = Mux(self.writes_often, max(apart, PAIR_DISTANCE_CYCLES), apart)
            if maps:
                far = max(shape.parameter_reads, MAP_DISTANCE_CYCLES)
                apart = Mux(self.over_map, far, apart)
            m.d.sync += distance.eq(Mux(self.last_layer, shape.group_distance, apart) - 1)
        with m.Elif(distance != 0):
            m.d.sync += distance.eq(distance - 1)

        is_there = self.all_words_are_there | (self.by_input & word_is_there)
        if shape.map_words:
            is_there &= self.window_is_there
        return ~begins_group | (is_there & (distance == 0))

    def _count_groups(self, m: Module, next_group: Value, in_last_group: Signal) -> None:
        shape = self.shape
        layer = data.View(LayerHeader, self.header[: LayerHeader.size])
        tree = data.View(TreeHeader, self.header[: TreeHeader.size])
        is_tree = self.last_layer & (layer.readout == ReadoutNumber.TREE)
        rows_minus_1 = Mux(is_tree, tree.rows_minus_1, layer.rows_minus_1)
        fits_group = Mux(is_tree, tree.rows_minus_1 == 0, layer.rows_minus_1 < shape.pe)
        rows = Signal.like(self.rows_left)  # after the first of the layer
        is_only_group = Signal()
        rows_left = self.rows_left
        with m.If(self.begin):
            m.d.sync += [
                self.is_tree.eq(is_tree),
                rows.eq(rows_minus_1),
                rows_left.eq(rows_minus_1),
                is_only_group.eq(fits_group),
                in_last_group.eq(fits_group),
                self.first_row.eq(1),
            ]
        with m.Elif(next_group):
            is_next_last = Mux(self.is_tree, rows_left == 1, rows_left < 2 * shape.pe)
            m.d.sync += [
                rows_left.eq(Mux(in_last_group, rows, rows_left - Mux(self.is_tree, 1, shape.pe))),
                in_last_group.eq(Mux(in_last_group, is_only_group, is_next_last)),
                self.first_row.eq(in_last_group),
            ]
