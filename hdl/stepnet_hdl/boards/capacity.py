"""Which networks which boards hold, loaded or built in."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from stepnet.cores.engine.cycles import cycles_per_image
from stepnet.cores.engine.memory_image import check_fits, memory_image
from stepnet.cores.engine.shape import ADDRESS_BITS, EngineShape
from stepnet.errors import BuildError, NetworkError
from stepnet.networks.network import Network
from stepnet.networks.shipped import load_network, names
from stepnet_hdl.boards.catalogue import BoardType, all_boards


def fitting_networks(shape: EngineShape) -> list[str]:
    """The shipped networks that an engine holds, by name."""
    return [name for name in names() if fits(load_network(name), shape)]


def boards_for(network: Network) -> list[dict[str, object]]:
    """The boards whose engine holds a network, by name, for `stepnet import` to show: `board`,
    `cycles` per image, `clock_hz` of the chip, and `images_per_s` that it computes."""
    cycles: dict[EngineShape, int | None] = {}
    found: list[dict[str, object]] = []
    for board in all_boards().values():
        if board.is_too_small:
            continue
        shape = board.settings.shape
        if shape not in cycles:
            cycles[shape] = cycles_per_image(network, shape) if fits(network, shape) else None
        taken = cycles[shape]
        if taken is not None:
            clock_hz = board.clock_hz
            found.append(
                {
                    "board": board.name,
                    "cycles": taken,
                    "clock_hz": clock_hz,
                    "images_per_s": clock_hz / taken,
                }
            )
    return found


def check_network(network: Network, board: str, shapes: Iterable[tuple[str, EngineShape]]) -> None:
    """See that a network fits a board's engine.

    shapes: of all boards, by name, `board` among them.

    Raises BuildError if it does not, with the memory that is too small and by how much, and what
    would fit the board and which boards the network would fit, or of a network with convolutions
    how to find an engine for it.
    """
    by_board = dict(shapes)
    reason = _misfit(network, board, by_board[board])
    if reason is not None and network.convolves:
        raise BuildError(
            f"{reason}; `stepnet estimate --board {board} --network {network.name}` tells which "
            "engine to build for it."
        )
    if reason is not None:
        holds = ", ".join(fitting_networks(by_board[board])) or "no shipped network"
        others = [name for name, shape in by_board.items() if fits(network, shape)]
        raise BuildError(
            f"{reason}; {board} holds {holds}, and {network.name!r} fits "
            f"{', '.join(others) or 'no board'}."
        )


def _misfit(network: Network, board: str, shape: EngineShape) -> str | None:
    """Why the network does not fit, as a sentence without its end; None if it does."""
    words = 1 << ADDRESS_BITS - shape.weight_lane_bits
    ample = replace(shape, weight_words=words, parameter_words=1 << 16, max_sum_bits=0)
    try:
        image = memory_image(network, ample)
    except NetworkError as error:
        return str(error).partition(";")[0]
    weight_memory = "single-port RAM" if shape.weight_memory == "single_port" else "block RAM"
    weight_words = len(image.weights) // shape.pe
    parameter_words = len(image.parameters) // shape.parameter_lanes
    for needed, has, what in (
        (weight_words, shape.weight_words, f"weight words of {shape.simd * shape.pe} bits"),
        (parameter_words, shape.parameter_words, "parameter words"),
    ):
        if needed > has:
            memory = weight_memory if "weight" in what else "block RAM"
            return (
                f"Network {network.name!r} does not fit {board}: it needs {needed:,} {what}, "
                f"{needed - has:,} more than the {has:,} that the engine has in {memory}"
            )
    try:
        check_fits(network, shape)
    except NetworkError as error:
        return str(error).partition(";")[0]
    return None


def fits(network: Network, shape: EngineShape) -> bool:
    """Whether an engine holds the network."""
    try:
        check_fits(network, shape)
    except NetworkError:
        return False
    return True


def check_built_in(network: Network, board: BoardType) -> None:
    """See that a board's bitstream can hold a network.

    Raises BuildError, with the boards that can, if the weights are in single-port RAM, which no
    bitstream fills, and as `check_network` if the network does not fit.
    """
    shapes = {
        other.name: other.settings.shape
        for other in all_boards().values()
        if not other.is_too_small and other.settings.shape.weight_memory != "single_port"
    }
    shape = board.settings.shape
    if shape.weight_memory == "single_port":
        others = [name for name, other in shapes.items() if fits(network, other)]
        elsewhere = f", or build for {', '.join(others)}" if others else ""
        wish = ""
        if network.convolves:
            wish = f" but with --goal images --engine-for {network.name}"
        raise BuildError(
            f"No network can be built into {board.name}, because its weights are in single-port "
            f"RAM, which a bitstream cannot fill; build without --network{wish} and load "
            f"{network.name!r} over the link{elsewhere}."
        )
    check_network(network, board.name, {**shapes, board.name: shape}.items())
