"""Files that are read with a limit, and files that appear whole or not at all."""

from __future__ import annotations

import errno
import hashlib
import io
import os
import select
import stat
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from stepnet.temporary import open_part

_KINDS = (
    (stat.S_ISFIFO, "it is a pipe"),
    (stat.S_ISSOCK, "it is a socket"),
    (stat.S_ISCHR, "it is a device"),
    (stat.S_ISBLK, "it is a device"),
)


PIPE_SILENT_S = 5.0
PIPE_S = 60.0
PIPE_BYTES = 1 << 16

CHUNK_BYTES = 1 << 20


class NotAFileError(OSError):
    """What is at a path is no regular file: a pipe, a socket, a device."""


def open_regular(path: str | os.PathLike[str]) -> BinaryIO:
    """A regular file, open for reading.

    Opening a pipe would wait until somebody writes into it, and a device may have no end; so
    neither is opened.

    Raises NotAFileError, IsADirectoryError for a folder, and any other OSError of the system.
    """
    path = os.fspath(path)
    _check_regular(os.stat(path).st_mode, path)  # noqa: PTH116 - of a string
    # It may have become another one since.
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    try:
        _check_regular(os.fstat(handle).st_mode, path)
        return os.fdopen(handle, "rb")
    except BaseException:
        os.close(handle)
        raise


def open_file_or_pipe(path: str | os.PathLike[str], most_bytes: int) -> BinaryIO:
    """A regular file, or what comes out of a named pipe until its writer closes it.

    A pipe has `PIPE_SILENT_S` for its next byte, and `PIPE_S` for all.

    Raises OSError as `open_regular`, with the number EFBIG if a pipe gives more than `most_bytes`,
    and TimeoutError if one takes too long.
    """
    path = os.fspath(path)
    if not stat.S_ISFIFO(os.stat(path).st_mode):  # noqa: PTH116 - of a string
        return open_regular(path)
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        return io.BytesIO(_read_pipe(handle, path, most_bytes))
    finally:
        os.close(handle)


def _read_pipe(handle: int, path: str, most_bytes: int) -> bytes:
    content = bytearray()
    end_s = time.monotonic() + PIPE_S
    pipe = select.poll()
    pipe.register(handle, select.POLLIN)
    while True:
        left_s = min(end_s - time.monotonic(), PIPE_SILENT_S)
        if left_s <= 0 or not pipe.poll(left_s * 1000):
            raise TimeoutError(errno.ETIMEDOUT, "it is a pipe that nobody fills", path)
        chunk = os.read(handle, PIPE_BYTES)
        if not chunk:
            return bytes(content)
        content += chunk
        if len(content) > most_bytes:
            raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), path)


def read_limited(path: str | os.PathLike[str], most_bytes: int) -> bytes:
    """The content of a regular file of at most `most_bytes`.

    Raises OSError as `open_regular`, and with the number EFBIG if the file is larger.
    """
    with open_regular(path) as file:
        return read_stream(file, most_bytes, os.fspath(path))


def read_stream(file: BinaryIO, most_bytes: int, name: str) -> bytes:
    """All of an open file, which is at most `most_bytes`; OSError EFBIG if there is more.

    name: that the error carries.
    """
    content = file.read(most_bytes + 1)
    if len(content) > most_bytes:
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), name)
    return content


def read_text(path: str | os.PathLike[str], most_bytes: int) -> str:
    """`read_limited` for UTF-8; UnicodeDecodeError, which is a ValueError, if it is none."""
    return read_limited(path, most_bytes).decode()


def sha256_of(path: str | os.PathLike[str]) -> str:
    """The SHA-256 of a regular file, in hexadecimal digits; OSError as `open_regular`."""
    digest = hashlib.sha256()
    with open_regular(path) as file:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def write_whole(path: str | os.PathLike[str], write: Callable[[BinaryIO], object]) -> Path:
    """Let `write` fill a file beside `path`, which then takes its place; returns the path.

    Whatever `write` raises, and Ctrl-C, leave what was at `path` as it was; so does a loss of
    power, after which there is the old file or the new one. A file that was there keeps its mode,
    a new one has what the umask leaves. Where `path` is a link, the file that it names is replaced.

    Raises OSError if the folder does not exist or cannot be written to, or if what is at `path` is
    no regular file.
    """
    path = Path(path)
    place = path.resolve() if path.is_symlink() else path
    mode = _mode_of(place)
    handle, part = open_part(place)
    try:
        with os.fdopen(handle, "w+b") as file:
            write(file)
            if mode is not None:
                part.chmod(mode)
            file.flush()
            os.fsync(file.fileno())
            # Still open, so that it is held until it is in its place; Windows renames no open file.
            if os.name == "posix":
                part.replace(place)
        if os.name != "posix":
            part.replace(place)
        sync_folder(place.parent)
    except BaseException:
        with suppress(OSError):
            part.unlink()
        raise
    return path


def write_text(path: str | os.PathLike[str], text: str) -> Path:
    """`write_whole` for text, as UTF-8."""
    return write_whole(path, lambda file: file.write(text.encode()))


def claim_folder(folder: Path, marker: str) -> None:
    """Make a folder whose files may be written over and removed, because all are one's own.

    marker: name of the file that says so, and that is written into a new or empty folder.

    Raises FileExistsError if the folder holds anything and no marker, and any other OSError of the
    system.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if (folder / marker).exists():
        return
    if any(folder.iterdir()):
        raise FileExistsError(errno.EEXIST, "it holds files of somebody else", os.fspath(folder))
    write_text(folder / marker, "What is in this folder is made anew and removed by stepnet.\n")


def sync_folder(folder: Path) -> None:
    """Have the names in a folder survive a loss of power, where the system can be asked to."""
    if os.name != "posix":
        return
    with suppress(OSError):  # some file systems sync no folders
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _mode_of(path: Path) -> int | None:
    """The permissions of the file at `path`; None if there is none."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return None
    _check_regular(mode, os.fspath(path))
    return stat.S_IMODE(mode)


def _check_regular(mode: int, path: str) -> None:
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    for is_kind, sentence in _KINDS:
        if is_kind(mode):
            raise NotAFileError(errno.EINVAL, sentence, path)
