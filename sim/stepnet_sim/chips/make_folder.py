"""Folders in which make works: Verilator's makefiles take a space in a path for the end of it."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from stepnet.errors import BuildError
from stepnet.temporary import temporary_folder

_ENDS_A_PATH = re.compile(r"[\s#$%&'\"()*:;<>?\[\]`{|}!]")
"""What stands for something else to make, or to the shell that it starts."""


def make_takes(path: Path) -> bool:
    """Whether no part of an absolute path, except for a drive, means something else to make."""
    return not any(_ENDS_A_PATH.search(part) for part in path.absolute().parts[1:])


@contextmanager
def folder_for_make(wanted: Path) -> Generator[Path]:
    """A temporary folder in which make works: in `wanted`, or else among the system's own.

    Raises BuildError if make works in neither.
    """
    places = (wanted, Path(tempfile.gettempdir()), Path("/tmp"))
    place = next((place for place in places if make_takes(place) and place.is_dir()), None)
    if place is None:
        raise BuildError(
            f"Nothing can be compiled in {str(wanted)!r} or {tempfile.gettempdir()!r}, because "
            "make takes no path with a space or a sign such as $ in it; name a folder without "
            "them in TMPDIR."
        )
    with temporary_folder(place) as folder:
        yield folder


def within(folder: Path, path: Path) -> Path:
    """A path to what lies at `path` that make takes: a link in `folder`, if it needs one."""
    if make_takes(path):
        return path
    link = folder / f"link_{len(list(folder.iterdir()))}{path.suffix}"
    link.symlink_to(path.absolute())
    return link
