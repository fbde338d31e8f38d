"""Step networks: handwriting in, ASCII out, one bit per neuron.

    >>> import stepnet
    >>> with stepnet.open_board("sim") as board:
    ...     reading = board.infer(image)

`Network` is a network and its file, `reference` what it computes, `open_board` the way to a board
that computes it, `open_pool` to several.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stepnet import reference
    from stepnet.board import Board, Reading, open_board
    from stepnet.errors import StepnetError
    from stepnet.network import Layer, Network, Readout
    from stepnet.pool import Pool, open_pool

__all__ = [
    "Board",
    "Layer",
    "Network",
    "Pool",
    "Reading",
    "Readout",
    "StepnetError",
    "open_board",
    "open_pool",
    "reference",
]

_HOMES = {
    "Board": "stepnet.board",
    "Layer": "stepnet.network",
    "Network": "stepnet.network",
    "Pool": "stepnet.pool",
    "Reading": "stepnet.board",
    "Readout": "stepnet.network",
    "StepnetError": "stepnet.errors",
    "open_board": "stepnet.board",
    "open_pool": "stepnet.pool",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, because numpy alone takes a tenth of a second."""
    if name == "reference":
        return import_module("stepnet.reference")
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'stepnet' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
