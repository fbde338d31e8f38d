"""Step networks: handwriting in, ASCII out, one bit per neuron.

    >>> import stepnet
    >>> with stepnet.open_board("sim") as board:
    ...     reading = board.infer(image)

`Network` is a network and its file, `reference` what it computes, `open_board` the way to a board
that computes it, `open_board_async` the same for asyncio, `open_pool` the way to several boards.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stepnet import reference
    from stepnet.async_board import AsyncBoard, open_board_async
    from stepnet.board import Board, open_board
    from stepnet.errors import (
        BoardError,
        ImageError,
        LinkBrokenError,
        LinkError,
        LinkTimeoutError,
        MissingToolError,
        NetworkError,
        RefusedError,
        StepnetError,
    )
    from stepnet.identity import Identity
    from stepnet.network import Layer, Network, Readout
    from stepnet.pool import Pool, open_pool
    from stepnet.reading import Reading
    from stepnet.statistics import Statistics

__all__ = [
    "AsyncBoard",
    "Board",
    "BoardError",
    "Identity",
    "ImageError",
    "Layer",
    "LinkBrokenError",
    "LinkError",
    "LinkTimeoutError",
    "MissingToolError",
    "Network",
    "NetworkError",
    "Pool",
    "Reading",
    "Readout",
    "RefusedError",
    "Statistics",
    "StepnetError",
    "open_board",
    "open_board_async",
    "open_pool",
    "reference",
]

_MODULES = {
    "async_board": ("AsyncBoard", "open_board_async"),
    "board": ("Board", "open_board"),
    "errors": (
        "BoardError",
        "ImageError",
        "LinkBrokenError",
        "LinkError",
        "LinkTimeoutError",
        "MissingToolError",
        "NetworkError",
        "RefusedError",
        "StepnetError",
    ),
    "identity": ("Identity",),
    "network": ("Layer", "Network", "Readout"),
    "pool": ("Pool", "open_pool"),
    "reading": ("Reading",),
    "statistics": ("Statistics",),
}
_HOMES = {name: f"stepnet.{module}" for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, because numpy alone takes a tenth of a second."""
    if name == "reference":
        return import_module("stepnet.reference")
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'stepnet' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
