"""Where the shipped networks lie, and which file a name or a path means.

Step networks lie in the folder shipped, networks of look-up tables in its folder lut, spiking ones
in its folder spiking.
"""

from __future__ import annotations

import os
from pathlib import Path

from stepnet.errors import NetworkError

_FOLDER = Path(__file__).parent / "shipped"
_LUT_FOLDER = _FOLDER / "lut"
_SPIKING_FOLDER = _FOLDER / "spiking"


def names() -> list[str]:
    """The names of the shipped step networks, which an engine can be loaded with, sorted."""
    return _names(_FOLDER)


def lut_names() -> list[str]:
    """The names of the shipped networks of look-up tables, sorted."""
    return _names(_LUT_FOLDER)


def spiking_names() -> list[str]:
    """The names of the shipped spiking networks, sorted."""
    return _names(_SPIKING_FOLDER)


def all_names() -> list[str]:
    """The names of all shipped networks, sorted."""
    return sorted([*names(), *lut_names(), *spiking_names()])


def network_file(name_or_path: str | os.PathLike[str]) -> Path:
    """Where the network lies: a shipped one by its name, else the path itself.

    A shipped name wins over a file of that name in the current folder; write `./digits` for the
    file. Raises NetworkError if it is neither a shipped name nor like a file.
    """
    given = str(name_or_path)
    for folder in (_FOLDER, _LUT_FOLDER, _SPIKING_FOLDER):
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


def _names(folder: Path) -> list[str]:
    return sorted(path.stem for path in folder.glob("*.npz"))
