"""Arrays out of an .npz that somebody else may have made.

An .npz is a zip of .npy files, and both say how large they want to become. So sizes and headers are
looked at first, and only then is anything unpacked: a file of some kilobytes must not take
gigabytes. Nothing is ever unpickled, and of zip's many ways to pack only the two are taken in which
numpy writes.
"""

from __future__ import annotations

import errno
import io
import math
import os
import warnings
import zipfile
from collections.abc import Collection
from typing import Any, BinaryIO

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from stepnet.files import open_regular

PACKINGS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)

MOST_MEMBERS = 1000
MOST_DIRECTORY_BYTES = 1 << 20
"""How long the list of a zip's members may be, which zipfile reads as a whole."""

MOST_HEADER_BYTES = 1 << 14
"""How long the header of an array may be: more than numpy reads."""

CHUNK_BYTES = 1 << 20

KINDS = "biufUS"
"""The kinds of numpy's types that an array may have: numbers, truth values and text, but neither
objects nor structures."""

_SUFFIX = ".npy"


class ArchiveError(ValueError):
    """The file holds no arrays as numpy writes them, or is damaged."""


class ArchiveTooLargeError(ArchiveError):
    """The arrays would take more memory than they may.

    wanted_bytes: what they say.
    """

    def __init__(self, wanted_bytes: int) -> None:
        super().__init__(f"The arrays take {wanted_bytes} bytes.")
        self.wanted_bytes = wanted_bytes


def read_arrays(
    path: str | os.PathLike[str],
    most_bytes: int,
    wanted: Collection[str] | None = None,
    *,
    packed: bool = True,
) -> dict[str, NDArray[Any]]:
    """The arrays of an .npz by their names; they may be written to.

    most_bytes: that all together may take in memory.
    wanted: names of those that are read, if they are there; all if None.
    packed: compressed arrays are taken too; without it only those that `numpy.savez` writes.

    Raises OSError if the file cannot be read or is no regular file, ArchiveTooLargeError before
    anything is unpacked, and ArchiveError for everything else.
    """
    with open_regular(path) as file:
        try:
            return _read(file, most_bytes, wanted, PACKINGS if packed else PACKINGS[:1])
        except ArchiveError:
            raise
        except OSError as error:
            if error.errno not in (None, errno.EINVAL):  # zipfile follows whatever offset is given
                raise
            raise ArchiveError(str(error)) from error
        except Exception as error:
            # zipfile, zlib and numpy answer damage with errors of a dozen kinds.
            raise ArchiveError(f"{type(error).__name__}: {error}") from error


def read_array(content: bytes) -> NDArray[Any]:
    """The array in the bytes of one .npy file; it cannot be written to.

    Raises ArchiveError if they are none.
    """
    try:
        header_bytes, shape, columns_first, dtype = _read_header(io.BytesIO(content), len(content))
    except ArchiveError:
        raise
    except Exception as error:
        # numpy answers damage with errors of several kinds.
        raise ArchiveError(f"{type(error).__name__}: {error}") from error
    order = "F" if columns_first else "C"
    return np.ndarray(shape, dtype, content, header_bytes, order=order)


def most_unpacked_bytes(path: str | os.PathLike[str], at_least: int, ratio: int) -> int:
    """What a file may become when it is unpacked: `at_least`, or `ratio` times its size.

    Raises OSError if there is no such file.
    """
    return max(at_least, ratio * os.stat(path).st_size)  # noqa: PTH116 - also of a string


def _read(
    file: BinaryIO, most_bytes: int, wanted: Collection[str] | None, packings: Collection[int]
) -> dict[str, NDArray[Any]]:
    reader: Any = _Reader(file)
    with zipfile.ZipFile(reader) as archive:
        reader.most_bytes = None
        members = {
            info.filename.removesuffix(_SUFFIX): info
            for info in archive.infolist()
            if info.filename.endswith(_SUFFIX)
            and (wanted is None or info.filename.removesuffix(_SUFFIX) in wanted)
        }
        if len(archive.infolist()) > MOST_MEMBERS:
            raise ArchiveError(f"There are {len(archive.infolist())} members.")
        for name, info in members.items():
            if info.compress_type not in packings:
                raise ArchiveError(f"The member {name!r} is packed by method {info.compress_type}.")
        wanted_bytes = sum(info.file_size for info in members.values())
        if wanted_bytes > most_bytes + MOST_HEADER_BYTES * len(members):
            raise ArchiveTooLargeError(wanted_bytes)
        # Headers may say something else than the directory, so all are looked at before any array.
        for info in members.values():
            with archive.open(info) as member:
                _read_header(member, info.file_size)
        return {name: _read_array(archive, info) for name, info in members.items()}


class _Reader:
    """A file of which nothing larger than `most_bytes` is read at once, for zipfile."""

    def __init__(self, file: BinaryIO) -> None:
        self.most_bytes: int | None = MOST_DIRECTORY_BYTES
        self.seek = file.seek
        self.tell = file.tell
        self._file = file

    def read(self, size: int = -1) -> bytes:
        if self.most_bytes is None:
            return self._file.read(size)
        most = self.most_bytes + 1
        content = self._file.read(most if size < 0 else min(size, most))
        if len(content) == most:
            raise ArchiveError("The list of members is too long.")
        return content

    def seekable(self) -> bool:
        return True


def _read_header(
    member: Any, member_bytes: int
) -> tuple[int, tuple[int, ...], bool, np.dtype[Any]]:
    """Bytes of the header, shape, whether columns come first, and type of an array.

    member_bytes: of header and array, which have to be all that it takes.
    """
    start = io.BytesIO(member.read(min(member_bytes, MOST_HEADER_BYTES)))
    version = npy.read_magic(start)
    with warnings.catch_warnings(action="ignore"):  # about headers of Python 2
        match version:
            case (1, 0):
                shape, columns_first, dtype = npy.read_array_header_1_0(start)
            case (2, 0):
                shape, columns_first, dtype = npy.read_array_header_2_0(start)
            case _:
                raise ArchiveError(f"An array has the version {version}.")
    if dtype.kind not in KINDS or dtype.hasobject or dtype.itemsize == 0:
        raise ArchiveError(f"An array is of {dtype}.")
    if any(length < 0 for length in shape):
        raise ArchiveError(f"An array has the shape {shape}.")
    if start.tell() + math.prod(shape) * dtype.itemsize != member_bytes:
        raise ArchiveError(f"An array of {dtype} with the shape {shape} has another size.")
    return start.tell(), shape, columns_first, dtype


def _read_array(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> NDArray[Any]:
    content = bytearray(info.file_size)
    filled = 0
    with archive.open(info) as member:
        while chunk := member.read(CHUNK_BYTES):
            content[filled : filled + len(chunk)] = chunk
            filled += len(chunk)
            if filled > info.file_size:
                raise ArchiveError("A member is longer than the zip says.")
    if filled != info.file_size:
        raise ArchiveError("A member is shorter than the zip says.")
    header_bytes, shape, columns_first, dtype = _read_header(io.BytesIO(content), info.file_size)
    order = "F" if columns_first else "C"
    return np.ndarray(shape, dtype, content, header_bytes, order=order)
