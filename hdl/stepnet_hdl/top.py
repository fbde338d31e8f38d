"""The top of a board: clock, serial pins, and a light when a network is loaded."""

from typing import Any

from amaranth.build.res import ResourceError
from amaranth.hdl import Module
from amaranth.lib import io, wiring

from stepnet_hdl.boards import Board
from stepnet_hdl.chip import SerialChip
from stepnet_hdl.clocking import add_pll_domain


class BoardTop(wiring.Component):
    """A `SerialChip` on any board with a `uart` resource. It has no ports but the board's pins.

    board: decides the engine's shape, the buffer and the clock.
    baud: of the serial line; BuildError if the clock does not divide into it.
    """

    def __init__(self, board: Board, baud: int) -> None:
        self.board = board
        part = board.part
        self.chip = SerialChip(part.shape, board.clock_hz, baud, part.buffer_bytes)
        super().__init__({})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        if self.board.part.clock_hz:
            add_pll_domain(m, platform, self.board.clock_hz)
        m.submodules.chip = chip = self.chip

        uart = platform.request("uart", 0, dir="-")
        m.submodules.rx_buffer = rx_buffer = io.Buffer(io.Direction.Input, uart.rx)
        m.submodules.tx_buffer = tx_buffer = io.Buffer(io.Direction.Output, uart.tx)
        m.d.comb += [chip.rx_pin.eq(rx_buffer.i), tx_buffer.o.eq(chip.tx_pin)]

        try:
            led = platform.request("led", 0, dir="-")
        except ResourceError:
            return m  # a board without a light
        m.submodules.led_buffer = led_buffer = io.Buffer(io.Direction.Output, led)
        m.d.comb += led_buffer.o.eq(chip.loaded)
        return m
