"""Training of networks: `train(Config(...), dataset)` gives a `stepnet.Network`, or a
`stepnet.LutNetwork` with rule lut.

`Config` holds the settings, `Run` is a folder that keeps a record and checkpoints, and `Progress`
is what a callback is told meanwhile. Nothing here prints.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stepnet.learning.config import Config, Progress
    from stepnet.learning.run import Run
    from stepnet.learning.training import train

__all__ = ["Config", "Progress", "Run", "train"]

_HOME = {"Config": "config", "Progress": "config", "Run": "run", "train": "training"}
"""The module of each public name."""


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, because numpy alone takes a tenth of a second."""
    if name not in _HOME:
        raise AttributeError(f"module 'stepnet.learning' has no attribute {name!r}")
    return getattr(import_module(f"stepnet.learning.{_HOME[name]}"), name)
