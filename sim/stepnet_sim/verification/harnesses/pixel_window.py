"""The window that moves over an image against the windows of the convolution."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
from amaranth.hdl import Array, C, Cat, Module, Signal, Value
from amaranth.lib.wiring import In

from stepnet.cores.engine.shape import EngineShape
from stepnet.errors import NetworkError
from stepnet.networks.convolution import POOL, STRIDES, Convolution
from stepnet_hdl.blocks.delay import delayed
from stepnet_hdl.cores.engine import pixel_window
from stepnet_hdl.cores.engine.map_walk import MapHeader
from stepnet_sim.verification.formal import Harness, claim, given, hold


@dataclass(frozen=True)
class _Place:
    """Which window is evaluated: of the position in column x, with pairs in columns 2 x and
    2 x + 1, and row y; with pooling the one beside or below its first one."""

    x: Signal
    y: Signal
    beside: Signal
    below: Signal
    over: Signal


def _convolutions(height: int, width: int, max_kernel: int) -> Iterator[Convolution]:
    """All that there are over such an image, with windows of which each sees a pixel."""
    for kernel in range(1, max_kernel + 1):
        for stride, padding, pool in itertools.product(STRIDES, range(kernel), (False, True)):
            with suppress(NetworkError):
                yield Convolution(height, width, 1, kernel, stride, padding, pool)


class GathersEveryWindow(Harness):
    """Where a position is ready, the window that `below` and `beside` tell is in `word` after
    `read_cycles`; with `map_windows` 2 so is the one beside, if there is one.

    It is claimed for every image of so many pixels, every convolution over it with a kernel of 1 or
    2, and windows that are evaluated as often and as long as one likes.
    """

    MAX_KERNEL = 2

    image: Signal
    case: Signal
    leaves: Signal
    again: Signal

    def __init__(self, height: int, width: int, map_windows: int) -> None:
        self.shape = EngineShape(
            8, max_inputs=16, weight_words=16, map_words=2, map_windows=map_windows
        )
        assert self.shape.max_kernel == self.MAX_KERNEL
        self._pairs = map_windows > 1
        self._cases = list(_convolutions(height, width, self.shape.max_kernel))
        image_bytes = -(-height * width // 8)
        self._words = self.shape.image_words(image_bytes)
        # At which bit the last word begins, which is filled up from its end on.
        last_bytes = image_bytes - (self._words - 1) * self.shape.weight_bytes
        self._origin = self.shape.simd - 8 * last_bytes
        super().__init__(
            {
                "image": In(height * width),
                "case": In(range(len(self._cases))),
                "leaves": In(1),
                "again": In(1),
            }
        )

    @classmethod
    def cycles(cls, height: int, width: int) -> int:
        """How many cycles an image takes that nobody waits with: a pixel in each, padding included,
        and a few for the words that they come from.
        """
        beside = 2 * (cls.MAX_KERNEL - 1)
        return (height + beside) * (width + beside) + 8

    def claims(self, m: Module) -> None:
        """The image is there from the first cycle on; `leaves` says when a window is done with, and
        `again` that after the last one of a position the first one comes again, for the next group
        of neurons.
        """
        hold(m, self.image, self.case)
        m.d.comb += given(self.case < len(self._cases))
        m.submodules.dut = dut = pixel_window.PixelWindow(self.shape)
        began = Signal()
        m.d.sync += began.eq(1)
        m.d.comb += dut.begin.eq(~began)
        self._describe(m, dut)
        self._feed(m, dut)
        longest = max(max(c.out_width, c.out_height) for c in self._cases)
        place = _Place(Signal(range(longest)), Signal(range(longest)), Signal(), Signal(), Signal())
        self._follow(m, dut, place)

        cycles = self.shape.read_cycles
        is_there = delayed(m, dut.ready, cycles, "is_there")
        lone = Signal()
        for window in range(self.shape.map_windows):
            expected = Signal(self.shape.max_kernel**2, name=f"expected_{window}")
            self._expect(m, place, window, expected, lone)
            late = delayed(m, expected, cycles, f"late_{window}")
            seen = dut.word.word_select(window, self.shape.simd)
            is_none = delayed(m, lone, cycles, "is_none") if window else C(0)
            m.d.comb += claim(~is_there | is_none | (seen == late))
        m.d.comb += claim(~(dut.ready & place.over))

    def _describe(self, m: Module, dut: Any) -> None:
        """Give the header of the convolution."""
        with m.Switch(self.case):
            for number, over in enumerate(self._cases):
                header = MapHeader.const(
                    {
                        "window": {
                            "kernel_minus_1": over.kernel - 1,
                            "stride_minus_1": over.stride - 1,
                            "pool": int(over.pool),
                            "padding": over.padding,
                        },
                        "sides": {
                            "width_minus_1": over.width - 1,
                            "height_minus_1": over.height - 1,
                        },
                        "positions": {
                            "across_minus_1": over.out_width - 1,
                            "down_minus_1": over.out_height - 1,
                        },
                        "pitch": {"pitch": self._words - 1},
                        "origin": {"origin": self._origin},
                    }
                )
                with m.Case(number):
                    m.d.comb += dut.header.eq(header)

    def _feed(self, m: Module, dut: Any) -> None:
        """Give the word of pixels that is asked for."""
        simd, last = self.shape.simd, self._words - 1
        whole, bits = self.image[: last * simd], self.image[last * simd :]
        words = [whole.word_select(at, simd) for at in range(last)]
        found = Array([*words, Cat(C(0, self._origin), bits)])[dut.read_address]
        read = Signal(simd)
        m.d.comb += read.eq(found)
        m.d.comb += dut.read_data.eq(delayed(m, read, self.shape.read_cycles, "read"))

    def _follow(self, m: Module, dut: Any, place: _Place) -> None:
        """Go from window to window and from position to position."""
        pool = dut.header.window.pool
        across, down = dut.header.positions.across_minus_1, dut.header.positions.down_minus_1
        pairs = ~pool if self._pairs else C(0)
        in_last_column = place.x == (across >> pairs)
        in_last_window = ~pool | (place.below & (place.beside | self._pairs))
        m.d.comb += [
            given(~self.leaves | dut.ready),
            dut.below.eq(place.below),
            dut.beside.eq(place.beside),
            dut.taken.eq(self.leaves & in_last_window & ~self.again),
            dut.last_position.eq(in_last_column & (place.y == down)),
        ]
        with m.If(self.leaves):
            if self._pairs:
                m.d.sync += place.below.eq(pool & ~place.below)
            else:
                m.d.sync += place.beside.eq(pool & ~place.beside)
                m.d.sync += place.below.eq(pool & (place.below ^ place.beside))
        with m.If(dut.taken):
            m.d.sync += place.x.eq(place.x + 1)
            with m.If(in_last_column):
                m.d.sync += [place.x.eq(0), place.y.eq(place.y + 1)]
            with m.If(dut.last_position):
                m.d.sync += place.over.eq(1)

    def _expect(
        self, m: Module, place: _Place, window: int, expected: Signal, lone: Signal
    ) -> None:
        """Look up what a window shows, and whether the second of two is none of the map's."""
        with m.Switch(self.case):
            for number, over in enumerate(self._cases):
                with m.Case(number), m.Switch(Cat(place.beside, place.below, place.x, place.y)):
                    for at in self._places(over):
                        x, y, beside, below = at
                        column, row = self._window_of(over, at, window)
                        with m.Case(beside | below << 1 | x << 2 | y << 2 + len(place.x)):
                            if column < over.windows_across:
                                m.d.comb += expected.eq(self._shown(over, row, column))
                            else:
                                m.d.comb += lone.eq(1)

    def _places(self, over: Convolution) -> Iterator[tuple[int, int, int, int]]:
        """The x, y, beside and below of every evaluation of a group."""
        pairs = self._pairs and not over.pool
        across = -(-over.out_width // 2) if pairs else over.out_width
        besides = range(POOL if over.pool and not self._pairs else 1)
        return itertools.product(
            range(across), range(over.out_height), besides, range(over.pool_side)
        )

    def _window_of(
        self, over: Convolution, at: tuple[int, int, int, int], window: int
    ) -> tuple[int, int]:
        """The column and the row of a window among those of the convolution."""
        x, y, beside, below = at
        across = POOL if over.pool or self._pairs else 1
        return across * x + beside + window, over.pool_side * y + below

    def _shown(self, over: Convolution, row: int, column: int) -> Value:
        """The pixels of a window in a square of `max_kernel` whose last rows and columns it is."""
        numbers = np.arange(1, over.n_in + 1, dtype=np.uint8)[np.newaxis]
        window = over.windows(numbers)[0, row, column].reshape(over.kernel, over.kernel)
        before = self.shape.max_kernel - over.kernel
        square = np.pad(window, ((before, 0), (before, 0)))
        pixels = Cat(C(0, 1), self.image)
        return Cat(pixels[int(number)] for number in square.flat)
