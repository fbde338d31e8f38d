"""The walk over a map against the formula for where each word of a window lies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from amaranth.hdl import Module, Mux, Signal, Value
from amaranth.lib import data
from amaranth.lib.wiring import In

from stepnet.cores.engine.shape import EngineShape
from stepnet_hdl.cores.engine import map_walk
from stepnet_hdl.cores.engine.map_walk import MapHeader
from stepnet_sim.verification.formal import Harness, claim, given, hold
from stepnet_sim.verification.mutants import driven, opened

MOST_POSITIONS = 4
"""Positions of a row, or pairs of them, and rows, of the maps of answers."""

MOST_WORDS = 4
"""Words of activations of a position of the map below."""

MAP_WORDS = 32
"""Words of the map below, around which addresses wrap."""


@dataclass(frozen=True)
class _Window:
    """Which window: of the position in column x, with pairs in columns 2 x and 2 x + 1, and row y
    of the map of answers; with pooling the one beside or below its first one."""

    x: Value
    y: Value
    beside: Value
    below: Value


@dataclass(frozen=True)
class _Word:
    """Which word of a window, and the counts around it."""

    window: _Window
    group: Signal
    plane: Signal
    row: Signal
    column: Signal
    word: Signal

    @property
    def counts(self) -> tuple[Value, ...]:
        """All that is counted."""
        of = self.window
        in_window = self.group, self.plane, self.row, self.column, self.word
        return of.x, of.y, of.beside, of.below, *in_window


class WalksOverEveryMap(Harness):
    """Word w of row r and column c of a window meets word

        origin + (s W_y + r) pitch + (s W_x + c) words + w

    of the map below, s the stride and (W_x, W_y) the column and row of the window; without pooling
    that is (x, y), with it (2 x + beside, 2 y + below). The word is outside where column
    `s W_x + c - padding` or row `s W_y + r - padding` is none of the map. With `map_windows` 2
    every word also meets the one of the window beside, s columns further.

    It is claimed for `MOST_POSITIONS` rows of as many positions, or of pairs of them, of up to
    `MOST_WORDS` words each; for all kernels, strides, paddings, pitches and origins; for layers of
    up to 4 groups and 2 bit planes; and whatever pauses between words, where windows begin at least
    `distance_cycles` apart. The walk begins in any state.
    """

    header: data.View
    groups_minus_1: Signal
    planes_minus_1: Signal
    issue: Signal

    def __init__(self, map_windows: int) -> None:
        self.shape = EngineShape(
            8, max_inputs=64, weight_words=16, map_words=MAP_WORDS, map_windows=map_windows
        )
        self._pairs = map_windows > 1
        super().__init__(
            {
                "header": In(MapHeader),
                "groups_minus_1": In(2),
                "planes_minus_1": In(1),
                "issue": In(1),
            }
        )

    def claims(self, m: Module) -> None:
        """A layer begins in the first cycle, and words are issued from the third on."""
        header = self.header
        hold(m, header.as_value(), self.groups_minus_1, self.planes_minus_1)
        m.submodules.dut = dut = opened(map_walk.MapWalk, self.shape)
        cycle = Signal(range(3))
        with m.If(cycle != 2):
            m.d.sync += cycle.eq(cycle + 1)
        over = Signal()
        walks = (cycle == 2) & ~over
        m.d.comb += [
            dut.begin.eq(cycle == 0),
            dut.header.eq(header),
            dut.issue.eq(self.issue),
            given(self._last_x < MOST_POSITIONS),
            given(header.positions.down_minus_1 < MOST_POSITIONS),
            given(header.window.words_minus_1 < MOST_WORDS),
            given(~self.issue | walks),
        ]
        word = self._word()
        age = Signal(range(dut.distance_cycles))  # cycles since the first word could be issued
        moves_row = self._follow(m, dut, word, age, over)
        with m.If(walks):
            self._claim_ports(m, dut, word, age)
            self._claim_window(m, dut.inside, word, moves_row)
            self._claim_following(m, dut.inside, word, age, dut.distance_cycles)
        with m.If(cycle != 2):
            m.d.comb += [claim(count == 0) for count in (*word.counts, age, moves_row, over)]
        m.d.comb += claim((cycle == 0) | (driven(dut.inside, "begins") == (cycle == 1)))

    def _word(self) -> _Word:
        window = _Window(
            x=Signal(range(MOST_POSITIONS)),
            y=Signal(range(MOST_POSITIONS)),
            beside=Signal(),
            below=Signal(),
        )
        return _Word(
            window,
            group=Signal.like(self.groups_minus_1),
            plane=Signal.like(self.planes_minus_1),
            row=Signal.like(self.header.window.kernel_minus_1),
            column=Signal.like(self.header.window.kernel_minus_1),
            word=Signal(range(MOST_WORDS)),
        )

    def _follow(self, m: Module, dut: Any, at: _Word, age: Signal, over: Signal) -> Signal:
        """Count words, rows, planes, windows, groups and positions, from the inside out; return
        whether a row of a window has just begun."""
        window = self.header.window
        moves_row = Signal()
        ends_word = at.word == window.words_minus_1
        ends_row = ends_word & (at.column == window.kernel_minus_1)
        ends_plane = ends_row & (at.row == window.kernel_minus_1)
        ends_evaluation = ends_plane & (at.plane == self.planes_minus_1)
        ends_window = self.issue & ends_evaluation
        m.d.comb += [
            dut.ends_plane.eq(ends_plane),
            dut.ends_evaluation.eq(ends_evaluation),
            dut.in_last_group.eq(at.group == self.groups_minus_1),
            given(~ends_window | (age == dut.distance_cycles - 1)),
        ]
        m.d.sync += moves_row.eq(self.issue & ends_row)
        with m.If(self.issue):
            m.d.sync += at.word.eq(Mux(ends_word, 0, at.word + 1))
            with m.If(ends_word):
                m.d.sync += at.column.eq(Mux(ends_row, 0, at.column + 1))
            with m.If(ends_row):
                m.d.sync += at.row.eq(Mux(ends_plane, 0, at.row + 1))
            with m.If(ends_plane):
                m.d.sync += at.plane.eq(Mux(ends_evaluation, 0, at.plane + 1))
        with m.If(ends_window):
            following = self._next_window(at)
            of_window = at.window
            m.d.sync += [
                of_window.x.eq(following.x),
                of_window.y.eq(following.y),
                of_window.beside.eq(following.beside),
                of_window.below.eq(following.below),
            ]
            with m.If(self._is_last_window(of_window)):
                m.d.sync += at.group.eq(Mux(self._is_last_group(at), 0, at.group + 1))
                with m.If(self._is_last_group(at) & self._is_last_position(of_window)):
                    m.d.sync += over.eq(1)
        with m.If(ends_window):
            m.d.sync += age.eq(0)
        with m.Elif((age != dut.distance_cycles - 1) & ~dut.begin & ~driven(dut.inside, "begins")):
            m.d.sync += age.eq(age + 1)
        return moves_row

    def _claim_ports(self, m: Module, dut: Any, at: _Word, age: Signal) -> None:
        """Claim what the walk promises."""
        window, stride = at.window, self._stride
        column, row = self._column(window) + at.column, self._row(window) + at.row
        address = self._address(window) + at.row * self.header.pitch.pitch
        address += at.column * self._words + at.word
        m.d.comb += [
            claim(dut.address == self._wrapped(address)),
            claim(dut.outside == self._is_outside(column, row)),
            claim(dut.below == window.below),
            claim(dut.last_window == self._is_last_window(window)),
        ]
        with m.If(age != 0):
            m.d.comb += claim(dut.last_position == self._is_last_position(window))
        if self._pairs:
            address += stride * self._words
            m.d.comb += [
                claim(dut.address_beside == self._wrapped(address)),
                claim(dut.outside_beside == self._is_outside(column + stride, row)),
            ]
            with m.If(age != 0):
                is_odd = ~self.header.positions.across_minus_1[0]
                is_lone = self._is_last_column(window) & is_odd
                two_positions = ~self.header.window.pool & ~is_lone
                m.d.comb += claim(dut.two_positions == two_positions)
        else:
            m.d.comb += claim(dut.beside == window.beside)

    def _claim_window(self, m: Module, block: Module, at: _Word, moves_row: Signal) -> None:
        """Claim what the induction has to know of the registers for the place in the window."""
        header, window = self.header, at.window
        of_row = self._address(window) + at.row * header.pitch.pitch
        row_start = driven(block, "row_start")
        pool = header.window.pool
        m.d.comb += [
            claim(driven(block, "word") == at.word),
            claim(driven(block, "seen_across") == at.column),
            claim(driven(block, "at_column") == self._column(window) + at.column),
            claim(driven(block, "at_row") == self._row(window) + at.row),
            claim(row_start == self._wrapped(of_row)),
            claim(at.word <= header.window.words_minus_1),
            claim(at.column <= header.window.kernel_minus_1),
            claim(at.row <= header.window.kernel_minus_1),
            claim(at.plane <= self.planes_minus_1),
            claim(at.group <= self.groups_minus_1),
            claim(window.x <= self._last_x),
            claim(window.y <= header.positions.down_minus_1),
            claim(pool | ~(window.below | window.beside)),
            claim(~window.beside if self._pairs else 1),
        ]
        with m.If((at.word != 0) | (at.column != 0)):
            next_row = self._wrapped(of_row + header.pitch.pitch)
            m.d.comb += [
                claim(~moves_row),
                claim(driven(block, "next_row_start") == next_row),
            ]

    def _claim_following(
        self, m: Module, block: Module, at: _Word, age: Signal, distance_cycles: int
    ) -> None:
        """Claim what the induction has to know of the registers for the windows that follow."""
        window, following = at.window, self._next_window(at)
        position = _Window(window.x, window.y, Value.cast(0), Value.cast(0))
        row = _Window(Value.cast(0), window.y, Value.cast(0), Value.cast(0))
        was_position, was_row = driven(block, "was_position"), driven(block, "was_row")
        m.d.comb += [
            claim(driven(block, "across") == self._last_x - window.x),
            claim(driven(block, "down") == self.header.positions.down_minus_1 - window.y),
            claim((age == 0) | ~was_position),
            claim(was_position | ~was_row),
        ]
        with m.If(age != 0):
            m.d.comb += [
                claim(driven(block, "in_last_across") == self._is_last_column(window)),
                claim(driven(block, "in_last_down") == (driven(block, "down") == 0)),
            ]
        for name, formula in (
            ("address", lambda of: self._wrapped(self._address(of))),
            ("column", self._column),
            ("row", self._row),
        ):
            base, step, then = (driven(block, f"{name}_{n}") for n in ("base", "step", "following"))
            bits = len(then)
            m.d.comb += claim(driven(block, f"{name}_of_window") == formula(window))
            for late, register, of in (
                (was_position, f"{name}_of_position", position),
                (was_row, f"{name}_of_row", row),
            ):
                known = Mux(late, then, driven(block, register))
                m.d.comb += claim((known - formula(of))[:bits] == 0)
            with m.If(age >= distance_cycles - 2):
                m.d.comb += claim((base + step - formula(following))[:bits] == 0)
            with m.If(age == distance_cycles - 1):
                m.d.comb += claim(then == formula(following))

    @property
    def _stride(self) -> Value:
        return self.header.window.stride_minus_1 + 1

    @property
    def _words(self) -> Value:
        return self.header.window.words_minus_1 + 1

    @property
    def _last_x(self) -> Value:
        """Of a position, or without pooling of a pair of them."""
        last = self.header.positions.across_minus_1
        return Mux(self.header.window.pool, last, last >> 1) if self._pairs else last

    def _across(self, of: _Window) -> Value:
        """The column of a window among those of the layer."""
        if self._pairs:
            return 2 * of.x
        return Mux(self.header.window.pool, 2 * of.x + of.beside, of.x)

    def _down(self, of: _Window) -> Value:
        """The row of a window among those of the layer."""
        return Mux(self.header.window.pool, 2 * of.y + of.below, of.y)

    def _address(self, of: _Window) -> Value:
        """The first word of a window, not yet wrapped."""
        header = self.header
        down = self._wrapped(header.pitch.pitch) * self._stride * self._down(of)
        return header.origin.origin + down + self._words * self._stride * self._across(of)

    def _column(self, of: _Window) -> Value:
        """The first column of a window."""
        return self._stride * self._across(of) - self.header.window.padding

    def _row(self, of: _Window) -> Value:
        """The first row of a window."""
        return self._stride * self._down(of) - self.header.window.padding

    def _wrapped(self, address: Value) -> Value:
        return address[: (self.shape.region_words - 1).bit_length()]

    def _is_outside(self, column: Value, row: Value) -> Value:
        sides = self.header.sides
        is_inside = (column >= 0) & (column <= sides.width_minus_1)
        is_inside &= (row >= 0) & (row <= sides.height_minus_1)
        return ~is_inside

    def _is_last_window(self, of: _Window) -> Value:
        last = of.below if self._pairs else of.below & of.beside
        return ~self.header.window.pool | last

    def _is_last_group(self, at: _Word) -> Value:
        return at.group == self.groups_minus_1

    def _is_last_column(self, of: _Window) -> Value:
        return of.x == self._last_x

    def _is_last_position(self, of: _Window) -> Value:
        return self._is_last_column(of) & (of.y == self.header.positions.down_minus_1)

    def _next_window(self, at: _Word) -> _Window:
        """The window after this one: of the same position for the next group, then of the next."""
        of = at.window
        last_window = self._is_last_window(of)
        moves = last_window & self._is_last_group(at)
        ends_row = moves & self._is_last_column(of)
        to_right: Value = Value.cast(0) if self._pairs else ~last_window & ~of.beside
        below = ~last_window if self._pairs else ~last_window & (of.below | of.beside)
        return _Window(
            x=Mux(ends_row, 0, Mux(moves, of.x + 1, of.x)),
            y=Mux(ends_row, of.y + 1, of.y),
            beside=to_right,
            below=below,
        )
