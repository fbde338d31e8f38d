"""The top module of a board: its clock, its wire's pins, and a light when a network is loaded."""

from functools import partial
from typing import Any

from amaranth.build.res import ResourceError
from amaranth.hdl import Module
from amaranth.lib import io, wiring

from stepnet.cores.mac.program import MacNetwork
from stepnet.cores.pipeline.stored_images import StoredImages
from stepnet.networks.kinds import AnyNetwork
from stepnet.networks.lut import LutNetwork
from stepnet.networks.spiking import SpikingNetwork
from stepnet_hdl.boards.catalogue import BoardType
from stepnet_hdl.boards.chip_clocks import clock_hz_for
from stepnet_hdl.boards.mac_chips import mac_chip
from stepnet_hdl.boards.spi_pins import request_spi
from stepnet_hdl.boards.spiking_chips import spiking_chip
from stepnet_hdl.boards.table_chips import check_bench, table_chip
from stepnet_hdl.boards.wire import Wire
from stepnet_hdl.chip.chip import (
    SerialChip,
    SpiChip,
    engine_for,
    mac_core,
    spiking_core,
    table_core,
)
from stepnet_hdl.cores.pipeline.pipeline_bench import PipelineBench
from stepnet_hdl.fpga.clocks import add_clock_domain, pll_for


class BoardTop(wiring.Component):
    """A `SerialChip` on any board with a `uart` resource, or a `SpiChip` on one with pins for SPI.

    It has no ports but the board's pins.

    board: decides the engine's shape, or which core a network of look-up tables is, and the size of
        the receive buffer.
    baud: bits per second on the serial line, BuildError if the clock does not divide into it; the
        highest on an SPI line.
    clock_hz: clock of the chip; None for what suits board and baud. BuildError if no PLL makes it.
    network: the network that is loaded from power-on; None for none. The whole chip is made for a
        network of look-up tables, and for a ReLU network a multiply-accumulate core, which
        single-port RAM leaves empty.
    stored: makes it a chip that measures itself, whatever `network` is; BuildError if it does not
        fit.
    wire: between host and chip; BuildError if the board has no pins for it.
    """

    def __init__(
        self,
        board: BoardType,
        baud: int,
        clock_hz: int | None = None,
        network: AnyNetwork | None = None,
        stored: StoredImages | None = None,
        wire: Wire = Wire.UART,
    ) -> None:
        if stored is not None:
            settings = check_bench(stored, board)
            core = PipelineBench(stored, registered=settings.registered)
            network = stored.network
        elif isinstance(network, LutNetwork):
            settings = table_chip(network, board.part)
            core = table_core(network, settings)
        elif isinstance(network, MacNetwork):
            settings = mac_chip(network, board)
            core = mac_core(network, settings)
        elif isinstance(network, SpikingNetwork):
            settings = spiking_chip(network, board)
            core = spiking_core(network, settings)
        else:
            settings = board.settings
            core = engine_for(network, settings.shape)
        on_spi = wire is Wire.SPI
        self.clock_hz = clock_hz or clock_hz_for(network, board, None if on_spi else baud)
        self._board = board
        self._baud = baud
        self._pll = pll_for(board.platform(), self.clock_hz)
        on_uart = partial(SerialChip, baud=baud, coded_images=settings.coded_images)
        face = SpiChip if on_spi else on_uart
        self.chip = face(
            core,
            self.clock_hz,
            buffer_bytes=settings.buffer_bytes,
            answers_in_luts=settings.answers_in_luts,
        )
        super().__init__({})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        if self._pll is not None:
            add_clock_domain(m, platform, self._pll)
        m.submodules.chip = chip = self.chip

        if isinstance(chip, SpiChip):
            self._connect_spi(m, platform, chip)
        else:
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

    def _connect_spi(self, m: Module, platform: Any, chip: SpiChip) -> None:
        """Connect the wires of the SPI line, whose clock the tools are told of. The board speaks
        only while it is selected, so that others may be on the line."""
        spi = request_spi(self._board, platform)
        m.submodules.cs_buffer = cs_buffer = io.Buffer(io.Direction.Input, spi.cs)
        m.submodules.clk_buffer = clk_buffer = io.Buffer(io.Direction.Input, spi.clk)
        m.submodules.copi_buffer = copi_buffer = io.Buffer(io.Direction.Input, spi.copi)
        m.submodules.cipo_buffer = cipo_buffer = io.Buffer(io.Direction.Output, spi.cipo)
        platform.add_clock_constraint(spi.clk.io, self._baud)
        m.d.comb += [
            chip.sck.eq(clk_buffer.i),
            chip.selected.eq(cs_buffer.i),
            chip.copi.eq(copi_buffer.i),
            cipo_buffer.o.eq(chip.cipo),
            cipo_buffer.oe.eq(cs_buffer.i),
        ]
