"""Step networks: handwriting in, ASCII out, one bit per neuron.

    >>> import stepnet
    >>> with stepnet.open_board("sim") as board:
    ...     reading = board.infer(image)

`Network` is a network and its file, `reference` what it computes, `open_board` the way to a board
that computes it, `open_board_async` the same for asyncio, `open_pool` the way to several boards.
`from_onnx`, `from_keras` and `from_torch` take over networks of other tools.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stepnet.boards.async_board import AsyncBoard, open_board_async
    from stepnet.boards.board import Board, open_board
    from stepnet.boards.identity import Identity
    from stepnet.boards.pool import Pool, open_pool
    from stepnet.boards.reading import Reading
    from stepnet.data import evaluation
    from stepnet.errors import (
        BoardError,
        FormatError,
        ImageError,
        LinkBrokenError,
        LinkError,
        LinkTimeoutError,
        MissingToolError,
        NetworkError,
        RefusedError,
        StepnetError,
    )
    from stepnet.formats.importing import from_keras, from_onnx, from_torch
    from stepnet.link.tally import Statistics
    from stepnet.networks import reference
    from stepnet.networks.lut import Counts, LutLayer, LutNetwork
    from stepnet.networks.network import Layer, Network, Readout
    from stepnet.pictures import picture, text_line

__all__ = [
    "AsyncBoard",
    "Board",
    "BoardError",
    "Counts",
    "FormatError",
    "Identity",
    "ImageError",
    "Layer",
    "LinkBrokenError",
    "LinkError",
    "LinkTimeoutError",
    "LutLayer",
    "LutNetwork",
    "MissingToolError",
    "Network",
    "NetworkError",
    "Pool",
    "Reading",
    "Readout",
    "RefusedError",
    "Statistics",
    "StepnetError",
    "evaluation",
    "from_keras",
    "from_onnx",
    "from_torch",
    "open_board",
    "open_board_async",
    "open_pool",
    "picture",
    "reference",
    "text_line",
]

_HOMES = {
    "boards.async_board": ("AsyncBoard", "open_board_async"),
    "boards.board": ("Board", "open_board"),
    "boards.identity": ("Identity",),
    "boards.pool": ("Pool", "open_pool"),
    "boards.reading": ("Reading",),
    "data": ("evaluation",),
    "errors": (
        "BoardError",
        "FormatError",
        "ImageError",
        "LinkBrokenError",
        "LinkError",
        "LinkTimeoutError",
        "MissingToolError",
        "NetworkError",
        "RefusedError",
        "StepnetError",
    ),
    "formats.importing": ("from_keras", "from_onnx", "from_torch"),
    "link.tally": ("Statistics",),
    "networks": ("reference",),
    "networks.lut": ("Counts", "LutLayer", "LutNetwork"),
    "networks.network": ("Layer", "Network", "Readout"),
    "pictures": ("picture", "text_line"),
}
"""Where the public names are at home; some of them are modules."""

_HOME = {name: f"stepnet.{home}" for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, because numpy alone takes a tenth of a second."""
    if name not in _HOME:
        raise AttributeError(f"module 'stepnet' has no attribute {name!r}")
    home = import_module(_HOME[name])
    return getattr(home, name, None) or import_module(f"{_HOME[name]}.{name}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
