"""Temporary files and folders that go away, those of a process that was killed too.

Whoever makes one holds a lock on it, which the system lets go when the process ends, however it
ends; and it gets its name only when it is locked. So what nobody holds is a leftover, and the next
one who makes something beside it removes it. Only what bears this module's marks is ever removed.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
import tempfile
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex

try:
    import fcntl
except ImportError:  # Windows, where leftovers stay
    fcntl = None

MARKER = ".stepnet-temporary"
"""The file in a temporary folder that is locked while the folder is in use."""

_FOLDER = re.compile(r"stepnet-[0-9a-f]{16}")
_PART = re.compile(r"\.(?P<name>.+)\.[0-9a-f]{16}\.stepnet-part", re.DOTALL)
_NOT_NAMED = ".stepnet-new-"
"""How the name begins of what is not locked yet; a process that is killed just then leaves it."""


@contextmanager
def temporary_folder(parent: str | os.PathLike[str] | None = None) -> Generator[Path]:
    """A folder of one's own that is removed at the end, mode 0700.

    parent: where, the system's place for temporary files if None. What earlier ones left there
    because their process was killed is removed first.

    Raises OSError if it cannot be made.
    """
    place = Path(tempfile.gettempdir() if parent is None else parent)
    _sweep_folders(place)
    folder = Path(tempfile.mkdtemp(dir=place, prefix=_NOT_NAMED))
    try:
        with (folder / MARKER).open("wb") as marker:
            _hold(marker.fileno())
            folder = folder.rename(place / f"stepnet-{token_hex(8)}")
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def open_part(path: Path) -> tuple[int, Path]:
    """A new file beside `path`, open for writing, that may take its place; its name too.

    Its mode is what the umask leaves. Parts of `path` whose writer was killed are removed.

    Raises OSError if it cannot be made.
    """
    _sweep_parts(path)
    new = path.with_name(f"{_NOT_NAMED}{token_hex(8)}")
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    handle = os.open(new, flags, 0o666)
    _hold(handle)
    if fcntl is None:  # Windows renames no open file, and sweeps none
        return handle, new
    return handle, new.rename(path.with_name(f".{path.name}.{token_hex(8)}.stepnet-part"))


def _hold(handle: int) -> None:
    if fcntl is not None:
        with suppress(OSError):  # a file system without locks: then nothing there is swept either
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _sweep_folders(place: Path) -> None:
    """Remove the temporary folders in `place` that nobody holds."""
    for name in _names(place):
        if _FOLDER.fullmatch(name) and _is_leftover(place / name / MARKER):
            shutil.rmtree(place / name, ignore_errors=True)


def _sweep_parts(path: Path) -> None:
    for name in _names(path.parent):
        found = _PART.fullmatch(name)
        if found and found["name"] == path.name and _is_leftover(path.with_name(name)):
            with suppress(OSError):
                path.with_name(name).unlink()


def _names(folder: Path) -> list[str]:
    """What lies in a folder; nothing if that cannot be seen."""
    try:
        return os.listdir(folder)  # noqa: PTH208 - of /tmp, which may hold very many
    except OSError:
        return []


def _is_leftover(marker: Path) -> bool:
    """Whether a marker is a file of this user that no process holds."""
    if fcntl is None:
        return False
    try:
        handle = os.open(marker, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        found = os.fstat(handle)
        if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid():
            return False
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    else:
        return True
    finally:
        os.close(handle)
