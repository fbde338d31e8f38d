"""What the chip for a network runs at on a board, and its serial line, whatever its core."""

from __future__ import annotations

from stepnet.cores.mac.program import MacNetwork
from stepnet.networks.kinds import AnyNetwork
from stepnet.networks.lut import LutNetwork
from stepnet.networks.spiking import SpikingNetwork
from stepnet_hdl.boards.catalogue import BoardType
from stepnet_hdl.boards.mac_chips import mac_chip
from stepnet_hdl.boards.rates import best_baud
from stepnet_hdl.boards.spi_pins import spi_hz_for
from stepnet_hdl.boards.spiking_chips import spiking_chip
from stepnet_hdl.boards.table_chips import table_chip
from stepnet_hdl.boards.wire import Wire


def rate_and_clock_hz(
    network: AnyNetwork | None,
    board: BoardType,
    wire: Wire,
    baud: int | None = None,
    clock_hz: int | None = None,
) -> tuple[int, int]:
    """The bits per second of the line to the chip for `network` on `board`, and what that runs at.

    baud, clock_hz: wished; None for what suits.

    Raises BuildError if no core fits, or an SPI line cannot have the rate that is wished; whether
    the board's USB chip makes a rate says `rates.check_baud`.
    """
    if wire is Wire.SPI:
        clock_hz = clock_hz or clock_hz_for(network, board, None)
        return spi_hz_for(clock_hz, baud), clock_hz
    baud = baud or baud_for(network, board, clock_hz)
    return baud, clock_hz or clock_hz_for(network, board, baud)


def clock_hz_for(network: AnyNetwork | None, board: BoardType, baud: int | None) -> int:
    """What the chip for `network` runs at on `board`, or an engine without one; BuildError if no
    core fits.

    baud: of its serial line; None for a chip on SPI.
    """
    return board.clock_hz_up_to(_limit_hz(network, board), baud)


def baud_for(network: AnyNetwork | None, board: BoardType, clock_hz: int | None = None) -> int:
    """The rate of the serial line of the chip for `network` on `board`, or of an engine without
    one; BuildError if no core fits.

    clock_hz: the clock that the chip has to have; None for what suits.
    """
    if clock_hz is not None:
        return best_baud(board.name, lambda baud: clock_hz)
    return board.baud_up_to(_limit_hz(network, board))


def _limit_hz(network: AnyNetwork | None, board: BoardType) -> int:
    """The largest clock that the chip meets."""
    if isinstance(network, LutNetwork):
        return table_chip(network, board.part).limit_hz
    if isinstance(network, MacNetwork):
        return mac_chip(network, board).clock_hz
    if isinstance(network, SpikingNetwork):
        return spiking_chip(network, board).clock_hz
    return board.settings.clock_hz
