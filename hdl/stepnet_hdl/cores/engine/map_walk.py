"""Walks over a map: which word of activations each weight word of a convolution meets."""

from amaranth.hdl import Module, Mux, Signal, Value, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from stepnet.cores.engine.cycles import MAP_DISTANCE_CYCLES
from stepnet.cores.engine.shape import (
    MAP_HEADERS,
    ORIGIN_HEADER,
    PITCH_HEADER,
    POSITIONS_HEADER,
    SIDES_HEADER,
    WINDOW_HEADER,
    EngineShape,
)

MapHeader = data.StructLayout(
    {
        "window": data.StructLayout(WINDOW_HEADER),
        "sides": data.StructLayout(SIDES_HEADER),
        "positions": data.StructLayout(POSITIONS_HEADER),
        "pitch": data.StructLayout(PITCH_HEADER),
        "origin": data.StructLayout(ORIGIN_HEADER),
    }
)
"""All words of `MAP_HEADERS`, in their order."""

assert len(MapHeader.members) == len(MAP_HEADERS)

SIDE_BITS = SIDES_HEADER["width_minus_1"]
PLACE_BITS = SIDE_BITS + 2
"""Width of a row or a column as a signed number that may lie beside the map."""


class MapWalk(wiring.Component):
    """Follows the weight words of a convolution over the map below.

    At every position of the map of answers, one after another in a row and row by row, each group
    of neurons is evaluated over one window, or with pooling over four: the upper left one, the one
    beside it and the two below. In a window the words are taken row by row.

    With `map_windows` 2 a word also meets the window beside the one that is walked. In a map that
    is pooled that is the second one of its row. In another it is that of the next position, so that
    every second position is gone to; beside the last of an odd number there is none.

    `address`, `outside` and the flags are those of the next word to be issued, and change with
    `issue`. What comes after a window is worked out beforehand, so that over a map the first words
    of two windows are at least `distance_cycles` apart.
    """

    distance_cycles = MAP_DISTANCE_CYCLES
    """The fewest cycles from the first word of a window of a map to that of the next."""

    begin: Signal
    """1 bit, in: a layer begins, of which `header` tells from the next cycle on; its first word is
    issued after that."""
    header: data.View
    """`MapHeader`, in: what the layer looks at; it stays until the layer is over."""
    issue: Signal
    """1 bit, in: a weight word of the layer is issued in this cycle."""
    ends_plane: Signal
    """1 bit, in: the word is the last one of its window."""
    ends_evaluation: Signal
    """1 bit, in: the word is the last one over its window, of all bit planes."""
    in_last_group: Signal
    """1 bit, in: the word belongs to the last group of neurons."""
    address: Signal
    """`range(region_words)`, out: which word of activations the weight word meets."""
    outside: Signal
    """1 bit, out: the weight word meets no activations, but those of a position beside the map."""
    address_beside: Signal
    """`range(region_words)`, out: with `map_windows` 2, `address` in the window beside."""
    outside_beside: Signal
    """1 bit, out: with `map_windows` 2, `outside` in the window beside."""
    two_positions: Signal
    """1 bit, out: with `map_windows` 2, the window beside is that of another position."""
    below: Signal
    """1 bit, out: the window is one of the lower two that are pooled."""
    beside: Signal
    """1 bit, out: the window is one of the right two that are pooled."""
    last_window: Signal
    """1 bit, out: the window is the last of those that are pooled."""
    last_position: Signal
    """1 bit, out: the position is the last one of the map of answers."""

    def __init__(self, shape: EngineShape) -> None:
        self.shape = shape
        self._address_bits = (shape.region_words - 1).bit_length()
        self._pairs = shape.map_windows > 1
        super().__init__(
            {
                "begin": In(1),
                "header": In(MapHeader),
                "issue": In(1),
                "ends_plane": In(1),
                "ends_evaluation": In(1),
                "in_last_group": In(1),
                "address": Out(self._address_bits),
                "outside": Out(1),
                "below": Out(1),
                "beside": Out(1),
                "last_window": Out(1),
                "last_position": Out(1),
                **(
                    {
                        "address_beside": Out(self._address_bits),
                        "outside_beside": Out(1),
                        "two_positions": Out(1),
                    }
                    if self._pairs
                    else {}
                ),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        window, pitch = self.header.window, self.header.pitch.pitch
        stride_2 = window.stride_minus_1
        begins = Signal()  # `header` is there
        m.d.sync += begins.eq(self.begin)
        last_below = self.below if self._pairs else self.below & self.beside
        m.d.comb += self.last_window.eq(~window.pool | last_below)

        # What happens with the word that is issued now.
        next_window, next_position, next_row = Signal(), Signal(), Signal()
        ends_row, in_last_across, in_last_down = self._count_positions(m, begins, next_position)
        m.d.comb += [
            next_window.eq(self.issue & self.ends_evaluation),
            next_position.eq(next_window & self.last_window & self.in_last_group),
            next_row.eq(next_position & in_last_across),
            self.last_position.eq(in_last_across & in_last_down),
        ]
        with m.If(next_window):
            if self._pairs:
                m.d.sync += self.below.eq(window.pool & ~self.below)
            else:
                m.d.sync += [
                    self.beside.eq(window.pool & ~self.beside),
                    self.below.eq(window.pool & (self.below ^ self.beside)),
                ]
        with m.If(begins):
            m.d.sync += [self.beside.eq(0), self.below.eq(0)]

        words = window.words_minus_1 + 1
        column_words = Mux(stride_2, words << 1, words)
        row_words = Mux(stride_2, pitch << 1, pitch)
        stride = Mux(stride_2, 2, 1)
        # Where the position and its row begin, nobody needs at once.
        was_position = Signal()
        was_row = Signal()
        m.d.sync += [was_position.eq(next_position), was_row.eq(next_row)]
        moves = (begins, next_window, was_position, was_row)
        ends = (self.in_last_group, ends_row)
        first = self._follow(
            m, "address", self.header.origin.origin, column_words, row_words, moves, ends
        )
        column = self._follow(m, "column", -window.padding, stride, 0, moves, ends)
        row = self._follow(m, "row", -window.padding, 0, stride, moves, ends)
        at_column, at_row = self._walk_window(m, begins, first, column, row)
        m.d.comb += self.outside.eq(self._is_outside(at_column, at_row))
        if self._pairs:
            lone = in_last_across & ~self.header.positions.across_minus_1[0]
            words_beside = Signal.like(self.address)
            m.d.sync += words_beside.eq(column_words)
            m.d.comb += [
                self.two_positions.eq(~window.pool & ~lone),
                self.address_beside.eq(self.address + words_beside),
                self.outside_beside.eq(self._is_outside(at_column + stride, at_row)),
            ]
        return m

    def _count_positions(
        self, m: Module, begins: Signal, next_position: Signal
    ) -> tuple[Value, Signal, Signal]:
        """Count the positions of the map of answers; return whether the position is in the last
        column, the same a cycle later, and whether it is in the last row."""
        positions = self.header.positions
        across_minus_1: Value = positions.across_minus_1
        if self._pairs:
            pool = self.header.window.pool
            across_minus_1 = Mux(pool, across_minus_1, across_minus_1 >> 1)
        across = Signal(SIDE_BITS)  # that follow
        down = Signal(SIDE_BITS)
        # A cycle late, which is before a position ends.
        in_last_across = Signal()
        in_last_down = Signal()
        ends_row = across == 0
        m.d.sync += [in_last_across.eq(ends_row), in_last_down.eq(down == 0)]
        with m.If(next_position):
            m.d.sync += across.eq(across - 1)
            with m.If(in_last_across):
                m.d.sync += [across.eq(across_minus_1), down.eq(down - 1)]
        with m.If(begins):
            m.d.sync += [
                across.eq(across_minus_1),
                down.eq(positions.down_minus_1),
            ]
        return ends_row, in_last_across, in_last_down

    def _follow(
        self,
        m: Module,
        name: str,
        origin: Value,
        across: Value | int,
        down: Value | int,
        moves: tuple[Signal, Signal, Signal, Signal],
        ends: tuple[Value, Value],
    ) -> tuple[Value, Value]:
        """Follow a number from window to window; return what it is for the window of the word that
        is issued, and for the next window, which is known `distance_cycles` after a window begins.

        across, down: by how much it grows from a window to the one beside and below it.
        """
        begins, next_window, was_position, was_row = moves
        in_last_group, in_last_across = ends
        pool = self.header.window.pool
        two_across = 1 if self._pairs else pool  # windows of a position, or positions
        bits = self._address_bits if name == "address" else PLACE_BITS
        shape = bits if name == "address" else signed(bits)
        now = Signal(shape, name=f"{name}_of_window")
        corner = Signal(shape, name=f"{name}_of_position")
        row_start = Signal(shape, name=f"{name}_of_row")
        # Two registers: which number, and how much comes on top of it; then their sum.
        step = Signal(bits, name=f"{name}_step")
        base = Signal(shape, name=f"{name}_base")
        following = Signal(shape, name=f"{name}_following")
        m.d.sync += [base.eq(corner), step.eq(0), following.eq(base + step)]
        goes_beside: Value | int = 0 if self._pairs else ~self.beside
        with m.If(~self.last_window & goes_beside):
            m.d.sync += [base.eq(now), step.eq(across)]
        with m.Elif(~self.last_window):
            m.d.sync += step.eq(down)
        with m.Elif(in_last_group & in_last_across):
            m.d.sync += [base.eq(row_start), step.eq(Mux(pool, down << 1, down))]
        with m.Elif(in_last_group):
            m.d.sync += step.eq(Mux(two_across, across << 1, across))
        with m.If(next_window):
            m.d.sync += now.eq(following)
        with m.If(was_position):
            m.d.sync += corner.eq(following)
        with m.If(was_row):
            m.d.sync += row_start.eq(following)
        with m.If(begins):
            m.d.sync += [now.eq(origin), corner.eq(origin), row_start.eq(origin)]
        return now, following

    def _walk_window(
        self,
        m: Module,
        begins: Signal,
        first: tuple[Value, Value],
        column: tuple[Value, Value],
        row: tuple[Value, Value],
    ) -> tuple[Signal, Signal]:
        """Go through the words of a window; return in which column and row of the map each lies."""
        header = self.header
        kernel_minus_1 = header.window.kernel_minus_1
        row_start = Signal.like(self.address)  # the first word of this row of the window
        next_row_start = Signal.like(self.address)
        m.d.sync += next_row_start.eq(row_start + header.pitch.pitch)
        word = Signal.like(header.window.words_minus_1)  # of its position
        seen_across = Signal.like(kernel_minus_1)  # positions of this row of the window before
        at_column = Signal(signed(PLACE_BITS))
        at_row = Signal(signed(PLACE_BITS))

        ends_place = word == header.window.words_minus_1
        ends_row = ends_place & (seen_across == kernel_minus_1)
        with m.If(self.issue):
            m.d.sync += [self.address.eq(self.address + 1), word.eq(word + 1)]
            with m.If(ends_place):
                m.d.sync += [
                    word.eq(0),
                    seen_across.eq(seen_across + 1),
                    at_column.eq(at_column + 1),
                ]
            with m.If(ends_row):
                m.d.sync += [
                    self.address.eq(next_row_start),
                    row_start.eq(next_row_start),
                    seen_across.eq(0),
                    at_column.eq(column[0]),
                    at_row.eq(at_row + 1),
                ]
            with m.If(self.ends_plane):
                again = [Mux(self.ends_evaluation, then, now) for now, then in (first, column, row)]
                m.d.sync += [
                    self.address.eq(again[0]),
                    row_start.eq(again[0]),
                    at_column.eq(again[1]),
                    at_row.eq(again[2]),
                ]
        with m.If(begins):
            m.d.sync += [
                self.address.eq(header.origin.origin),
                row_start.eq(header.origin.origin),
                word.eq(0),
                seen_across.eq(0),
                at_column.eq(-header.window.padding),
                at_row.eq(-header.window.padding),
            ]
        return at_column, at_row

    def _is_outside(self, column: Value, row: Value) -> Value:
        """Return whether a place lies beside the map."""
        sides = self.header.sides
        return (
            (column < 0) | (row < 0) | (column > sides.width_minus_1) | (row > sides.height_minus_1)
        )
