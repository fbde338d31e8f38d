"""The networks that come with Stepnet, and how a name or a path becomes a network."""

from __future__ import annotations

import os
from pathlib import Path

from stepnet.errors import NetworkError
from stepnet.networks.kinds import AnyNetwork, load
from stepnet.networks.network import Network

_FOLDER = Path(__file__).parent


def names() -> list[str]:
    """The names of the shipped networks, sorted."""
    return sorted(path.stem for path in _FOLDER.glob("*.npz"))


def load_network(name_or_path: str | os.PathLike[str]) -> Network:
    """A shipped network by its name, or any step network by the path of its .npz file.

    A shipped name wins over a file of that name in the current folder; write `./digits` for the
    file. Raises NetworkError if there is neither, or the file is no step network.
    """
    return Network.load(_file(name_or_path))


def load_any_network(name_or_path: str | os.PathLike[str]) -> AnyNetwork:
    """As `load_network`, and networks of every other kind too."""
    return load(_file(name_or_path))


def _file(name_or_path: str | os.PathLike[str]) -> Path:
    """Where the network lies; NetworkError if it is neither a shipped name nor like a file."""
    given = str(name_or_path)
    if given in names():
        return _FOLDER / f"{given}.npz"
    path = Path(name_or_path)
    if path.suffix != ".npz" and not path.exists():
        raise NetworkError(
            f"There is no network {given!r}; choose one of {', '.join(names())}, "
            "or name a .npz file that `stepnet train` wrote."
        )
    return path
