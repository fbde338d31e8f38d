"""What the chip for a network runs at on a board, whatever its core."""

from __future__ import annotations

from stepnet.networks.kinds import BoardNetwork
from stepnet.networks.lut import LutNetwork
from stepnet.networks.relu import ReluNetwork
from stepnet.networks.spiking import SpikingNetwork
from stepnet_hdl.boards.catalogue import BoardType
from stepnet_hdl.boards.mac_chips import mac_chip
from stepnet_hdl.boards.spiking_chips import spiking_chip
from stepnet_hdl.boards.table_chips import table_chip


def clock_hz_for(network: BoardNetwork | None, board: BoardType, baud: int) -> int:
    """What the chip for `network` runs at on `board`, or an engine without one; BuildError if no
    core fits."""
    if isinstance(network, LutNetwork):
        return board.clock_hz_up_to(table_chip(network, board.part).limit_hz, baud)
    if isinstance(network, ReluNetwork):
        return board.clock_hz_up_to(mac_chip(network, board).clock_hz, baud)
    if isinstance(network, SpikingNetwork):
        return board.clock_hz_up_to(spiking_chip(network, board).clock_hz, baud)
    return board.clock_hz_for(baud)
