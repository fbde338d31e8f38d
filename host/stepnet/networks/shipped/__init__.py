"""The networks that come with Stepnet, and how a name or a path becomes a network.

Step networks lie in this folder, networks of look-up tables in its folder lut.
"""

from __future__ import annotations

import os
from pathlib import Path

from stepnet.errors import NetworkError
from stepnet.networks import kinds
from stepnet.networks.kinds import AnyNetwork, BoardNetwork
from stepnet.networks.lut import LutNetwork
from stepnet.networks.network import Network

_FOLDER = Path(__file__).parent
_LUT_FOLDER = _FOLDER / "lut"


def names() -> list[str]:
    """The names of the shipped step networks, which an engine can be loaded with, sorted."""
    return _names(_FOLDER)


def lut_names() -> list[str]:
    """The names of the shipped networks of look-up tables, sorted."""
    return _names(_LUT_FOLDER)


def all_names() -> list[str]:
    """The names of all shipped networks, sorted."""
    return sorted([*names(), *lut_names()])


def load_network(name_or_path: str | os.PathLike[str]) -> Network:
    """A shipped network by its name, or any step network by the path of its .npz file.

    A shipped name wins over a file of that name in the current folder; write `./digits` for the
    file. Raises NetworkError if there is neither, or the file is no step network.
    """
    return Network.load(_file(name_or_path))


def load_lut_network(name_or_path: str | os.PathLike[str]) -> LutNetwork:
    """Load a network of look-up tables; see `load_network`."""
    return LutNetwork.load(_file(name_or_path))


def load_board_network(name_or_path: str | os.PathLike[str]) -> BoardNetwork:
    """Load a network that a board can run: of step neurons or of look-up tables; see
    `load_network`.
    """
    return kinds.load_for_board(_file(name_or_path))


def load_any_network(name_or_path: str | os.PathLike[str]) -> AnyNetwork:
    """Load a network of any kind; see `load_network`."""
    return kinds.load(_file(name_or_path))


def _names(folder: Path) -> list[str]:
    return sorted(path.stem for path in folder.glob("*.npz"))


def _file(name_or_path: str | os.PathLike[str]) -> Path:
    """Where the network lies; NetworkError if it is neither a shipped name nor like a file."""
    given = str(name_or_path)
    for folder in (_FOLDER, _LUT_FOLDER):
        if given in _names(folder):
            return folder / f"{given}.npz"
    path = Path(name_or_path)
    if path.suffix != ".npz" and not path.exists():
        raise NetworkError(
            f"There is no network {given!r}; choose one of "
            f"{', '.join(all_names())}, "
            "or name a .npz file that `stepnet train` wrote."
        )
    return path
