"""Gathers the windows of a first convolution from the pixels of an image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from amaranth.hdl import C, Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from stepnet.cores.engine.shape import MOST_MAP_SIDE, EngineShape
from stepnet_hdl.blocks.delay import delayed
from stepnet_hdl.blocks.ram import Ram
from stepnet_hdl.cores.engine.map_walk import PLACE_BITS, MapHeader

MOST_STRIDE = 2


@dataclass(frozen=True)
class _Pixel:
    """The pixel of an image that was read last.

    place, next_place: the numbers of its column and of the next pixel's.
    ends_position: the windows of a position end with it.
    missing: how many columns the second of two windows would need beyond it; not 0 only where its
        position lies beside the last one.
    """

    value: Signal
    place: Signal
    next_place: Signal
    ends_position: Signal
    missing: Signal


class PixelWindow(wiring.Component):
    """Moves a window over an image, pixel by pixel, and stops at every position of a convolution.

    The image is read once, row by row with the pixels of its padding. The pixels above the one
    that is read are kept for every column, so that a column of the window comes with each pixel.
    The columns shift through a square that holds the windows that are pooled, and with
    `map_windows` 2 those of two positions that are evaluated at once. The last of an odd number in
    a row is evaluated alone.

    The windows of a position that are not pooled leave the square when they are evaluated, so that
    it moves on meanwhile; those that are pooled stay in it.

    A step takes a cycle. The first step takes in a pixel alone, and reading a word of pixels takes
    `read_cycles` more.
    """

    begin: Signal
    """1 bit, in: an image is there from now on, and `header` tells from the next cycle on what is
    looked at."""
    header: data.View
    """`MapHeader`, in: what the layer looks at; it stays until the layer is over."""
    cancel: Signal
    """1 bit, in: the windows of this image are not needed."""
    taken: Signal
    """1 bit, in: the position is done with, from the next cycle on; without meaning while no image
    is looked at."""
    last_position: Signal
    """1 bit, in: the position is the last one."""
    below: Signal
    """1 bit, in: the window is one of the lower two that are pooled."""
    beside: Signal
    """1 bit, in: the window is one of the right two that are pooled; 0 with `map_windows` 2."""
    read_address: Signal
    """`range(row_words)`, out: the word of pixels that is needed."""
    read_data: Signal
    """`simd` bits, in: the word at the `read_address` of `read_cycles` cycles before."""
    ready: Signal
    """1 bit, out: the windows of a position are there."""
    word: Signal
    """`simd * map_windows` bits, out: the window that `below` and `beside` told `read_cycles`
    cycles before, as `memory_image` has it: a square of `max_kernel` bits; then the one beside
    it."""

    def __init__(self, shape: EngineShape) -> None:
        self.shape = shape
        self._pairs = shape.map_windows > 1
        super().__init__(
            {
                "begin": In(1),
                "header": In(MapHeader),
                "cancel": In(1),
                "taken": In(1),
                "last_position": In(1),
                "below": In(1),
                "beside": In(1),
                "read_address": Out(range(shape.row_words)),
                "read_data": In(shape.simd),
                "ready": Out(1),
                "word": Out(shape.simd * shape.map_windows),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        begins = Signal()  # `header` is there
        m.d.sync += begins.eq(self.begin)
        active = Signal()
        stands = Signal()  # the windows of a position are in the square
        held = Signal()  # and those of one that is evaluated in `word`
        waits = Signal(range(self.shape.read_cycles + 1))  # for a word of pixels
        advance, leaves = Signal(), Signal()
        pool = self.header.window.pool
        m.d.comb += [
            advance.eq(active & ~stands & (waits == 0)),
            leaves.eq(stands & ~held & ~pool),
        ]
        with m.If(active & ~stands & (waits != 0)):
            m.d.sync += waits.eq(waits - 1)

        pixel = self._read_pixels(m, begins, advance, waits)
        square = self._shift_columns(m, begins, advance, pixel)
        missing = Signal.like(pixel.missing)  # where the square stands
        comes = advance & pixel.ends_position
        with m.If(comes):
            m.d.sync += [stands.eq(1), self.ready.eq(1), missing.eq(pixel.missing)]
        with m.If(leaves):
            m.d.sync += [stands.eq(0), held.eq(1)]
        with m.If(self.taken):
            m.d.sync += [held.eq(0), self.ready.eq(comes | (stands & held))]
            with m.If(pool):
                m.d.sync += stands.eq(0)
        with m.If(begins):
            m.d.sync += [active.eq(1), waits.eq(self.shape.read_cycles)]
        with m.If((self.taken & self.last_position) | self.cancel):
            m.d.sync += [active.eq(0), stands.eq(0), held.eq(0), self.ready.eq(0)]
        self._choose_windows(m, square, leaves | pool, missing)
        return m

    def _read_pixels(self, m: Module, begins: Signal, advance: Signal, waits: Signal) -> _Pixel:
        """Take in one pixel with every step, and return it."""
        shape, header = self.shape, self.header
        padding = header.window.padding
        row, column = Signal(signed(PLACE_BITS)), Signal(signed(PLACE_BITS))
        place = Signal(range(MOST_MAP_SIDE))  # of the column, from 0 up
        bit = Signal(range(shape.simd))
        # What is constant in a layer, and what the next pixel will be, is worked out beforehand.
        last_column = Signal.like(column)
        in_rows, in_columns = Signal(), Signal()
        in_last_word = Signal()
        next_row, next_column = Signal.like(row), Signal.like(column)
        ends_row = Signal()
        inside = in_rows & in_columns
        m.d.sync += [
            last_column.eq(header.sides.width_minus_1 + padding),
            in_last_word.eq(self.read_address + 1 == header.pitch.pitch),
        ]
        m.d.comb += [
            ends_row.eq(column == last_column),
            next_column.eq(Mux(ends_row, -padding, column + 1)),
            next_row.eq(Mux(ends_row, row + 1, row)),
        ]

        missing = Signal(range(MOST_STRIDE + 1))
        pixel = _Pixel(Signal(), Signal.like(place), place, Signal(), missing)
        with m.If(advance):
            m.d.sync += [
                pixel.value.eq(inside & self.read_data.bit_select(bit, 1)),
                pixel.place.eq(place),
                column.eq(next_column),
                row.eq(next_row),
                in_columns.eq(~next_column[-1] & (next_column <= header.sides.width_minus_1)),
                in_rows.eq(~next_row[-1] & (next_row <= header.sides.height_minus_1)),
                place.eq(Mux(ends_row, 0, place + 1)),
            ]
            with m.If(inside):
                m.d.sync += bit.eq(bit + 1)
                with m.If(bit == shape.simd - 1):
                    m.d.sync += [
                        bit.eq(Mux(in_last_word, header.origin.origin, 0)),
                        self.read_address.eq(self.read_address + 1),
                        waits.eq(shape.read_cycles),
                    ]
        with m.If(begins):
            only_word = header.pitch.pitch == 0
            m.d.sync += [
                row.eq(-padding),
                column.eq(-padding),
                in_rows.eq(padding == 0),
                in_columns.eq(padding == 0),
                place.eq(0),
                bit.eq(Mux(only_word, header.origin.origin, 0)),
                self.read_address.eq(0),
            ]

        new_row = advance & ends_row
        pool = header.window.pool
        rows_left = self._count_down(m, begins, new_row, pool, "rows")
        two_across: Value | int = 1 if self._pairs else pool
        columns_left = self._count_down(m, begins | new_row, advance, two_across, "columns")
        ends_windows: Value = columns_left == 0
        if self._pairs:
            ends_windows |= ends_row & ~pool & ~header.positions.across_minus_1[0]
        with m.If(advance):
            m.d.sync += [
                pixel.ends_position.eq((rows_left == 0) & ends_windows),
                pixel.missing.eq(columns_left),
            ]
        with m.If(begins):
            m.d.sync += pixel.ends_position.eq(0)
        return pixel

    def _count_down(
        self, m: Module, restart: Value, step: Value, two: Value | int, name: str
    ) -> Signal:
        """Return in how many rows, or columns, the windows of the next position end.

        two: there are two of them this way.
        """
        window = self.header.window
        # The first windows end when all of them have been seen.
        between = Mux(window.stride_minus_1, 2, 1)
        first = window.kernel_minus_1 + Mux(two, between, 0)
        left = Signal(range(16), name=f"{name}_left")
        ends = left == 0
        with m.If(step):
            m.d.sync += left.eq(Mux(ends, Mux(two, between << 1, between) - 1, left - 1))
        with m.If(restart):
            m.d.sync += left.eq(first)
        return left

    def _shift_columns(
        self,
        m: Module,
        begins: Signal,
        advance: Signal,
        pixel: _Pixel,
    ) -> list[Signal]:
        """Put each pixel below those above it, as a new last column of the square; return its
        columns, the last one last."""
        side = self.shape.max_kernel + MOST_STRIDE
        m.submodules.above = above = Ram(side - 1, MOST_MAP_SIDE)
        is_there = Signal()  # `pixel` is one of this image
        columns = [Signal(side, name=f"column_{number}", reset_less=True) for number in range(side)]
        last = Cat(above.read_data, pixel.value)
        with m.If(advance):
            m.d.sync += is_there.eq(1)
            m.d.sync += [
                column.eq(beside)
                for column, beside in zip(columns, [*columns[1:], last], strict=True)
            ]
        with m.If(begins):
            m.d.sync += is_there.eq(0)
        m.d.comb += [
            above.read_enable.eq(advance),
            above.read_address.eq(pixel.next_place),
            above.write_enable.eq(advance & is_there),
            above.write_address.eq(pixel.place),
            above.write_data.eq(last[1:]),
        ]
        return columns

    def _choose_windows(
        self, m: Module, square: list[Signal], renews: Value, missing: Signal
    ) -> None:
        """Cut the window that is evaluated out of the square, or the two, where `renews` is 1."""
        window = self.header.window
        stride = Mux(window.stride_minus_1, 2, 1)
        # How far the window lies before the last column, and above the last row.
        before, above = Signal(range(MOST_STRIDE + 1)), Signal(range(MOST_STRIDE + 1))
        m.d.comb += [
            before.eq(
                stride - missing if self._pairs else Mux(window.pool & ~self.beside, stride, 0)
            ),
            above.eq(Mux(window.pool & ~self.below, stride, 0)),
        ]
        cut = [self._cut(m, square, before, above, "")]
        if self._pairs:
            cut.append(self._cut(m, square, C(0, 2), above, "_beside"))
        bits = self.shape.max_kernel**2
        words = [
            Signal(bits, reset_less=True, name=name)
            for name in ("window", "window_beside")[: self.shape.map_windows]
        ]
        m.d.comb += [
            self.word.word_select(number, self.shape.simd).eq(word)
            for number, word in enumerate(words)
        ]
        with m.If(delayed(m, renews, self.shape.read_cycles - 1, "renews")):
            m.d.sync += [word.eq(found) for word, found in zip(words, cut, strict=True)]

    def _cut(
        self, m: Module, square: list[Signal], before: Value, above: Value, of_window: str
    ) -> Value:
        """Return the window so far before the last column and above the last row, in which what a
        smaller kernel does not see is 0, a cycle before it is in `word`."""
        window = self.header.window
        kernel = self.shape.max_kernel
        columns: list[Value] = [_choose(before, square[number:]) for number in range(kernel)]
        between = self.shape.read_cycles - 1  # the first register, if there are two
        columns = [
            delayed(m, column, between, f"chosen_{number}{of_window}")
            for number, column in enumerate(columns)
        ]
        late_above = delayed(m, above, between, f"above{of_window}")
        is_seen = [window.kernel_minus_1 >= kernel - 1 - number for number in range(kernel)]
        bits = [
            _choose(late_above, [columns[across][down + row] for row in range(MOST_STRIDE + 1)])
            & is_seen[across]
            & is_seen[down]
            for down in range(kernel)
            for across in range(kernel)
        ]
        return Cat(bits)


def _choose(distance: Value, choices: Sequence[Value]) -> Value:
    """Return which of the `choices`, the one that is so far before the last of three."""
    return Mux(distance == 0, choices[2], Mux(distance == 1, choices[1], choices[0]))
