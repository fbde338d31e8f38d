"""Folders that nobody else can have put anything into, for what is trusted later without a look.

What is found in a cache is programmed into boards and run in this process. So a cache is used only
where no other user of the machine could have written.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from stepnet.errors import BuildError

MODE = 0o700


def make_private(folder: Path, root: Path) -> None:
    """Make `folder` and what is missing above it; `root` is one above it, or itself.

    Raises BuildError if `folder`, or one between it and `root`, belongs to another user or may be
    written by one, or if another user could put another folder in the place of `root`; OSError if
    it cannot be made.
    """
    root.parent.mkdir(parents=True, exist_ok=True)
    inner = [*reversed([path for path in folder.parents if path.is_relative_to(root)]), folder]
    for path in inner:
        path.mkdir(mode=MODE, exist_ok=True)
    if os.name != "posix":
        return
    for path in inner:
        status = path.stat()
        if status.st_uid != os.geteuid():
            raise _not_trusted(path, "belongs to another user")
        if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise _not_trusted(path, "may be written by other users")
    for path in root.resolve().parents:
        mode = path.stat().st_mode
        # In a folder such as /tmp nobody moves what belongs to somebody else.
        if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
            raise _not_trusted(path, "may be written by every user")


def _not_trusted(folder: Path, reason: str) -> BuildError:
    return BuildError(
        f"Nothing is taken from the cache {str(folder)!r}, because it {reason}; delete it, or name "
        "a folder of your own in XDG_CACHE_HOME."
    )
