"""Which networks can be built into which boards."""

from __future__ import annotations

from stepnet.errors import BuildError
from stepnet.networks.network import Network
from stepnet_hdl.boards.capacity import check_network, fits
from stepnet_hdl.boards.catalogue import Board, all_boards


def check_built_in(network: Network, board: Board) -> None:
    """See that a board's bitstream can hold a network.

    Raises BuildError, with the boards that can, if the weights are in single-port RAM, which no
    bitstream fills, and as `check_network` if the network does not fit.
    """
    shapes = {
        other.name: other.part.shape
        for other in all_boards().values()
        if not other.is_too_small and other.part.shape.weight_memory != "single_port"
    }
    shape = board.part.shape
    if shape.weight_memory == "single_port":
        others = [name for name, other in shapes.items() if fits(network, other)]
        elsewhere = f", or build for {', '.join(others)}" if others else ""
        raise BuildError(
            f"No network can be built into {board.name}, because its weights are in single-port "
            "RAM, which a bitstream cannot fill; build without --network and load "
            f"{network.name!r} over the link{elsewhere}."
        )
    check_network(network, board.name, {**shapes, board.name: shape}.items())
