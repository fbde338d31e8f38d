"""Data sets of handwritten characters: where they lie, what they hold, how they are split.

`load("mnist")`, `load("unipen")` and `load("my/characters.npz")` all give a `Split`: one data set
to train on and one to measure on. Where writers are known they are on one side only, because
characters of one writer on both sides make a score that no new writer will see.

Sources: MNIST by Y. LeCun, C. Cortes and C. Burges (CC BY-SA 3.0); UNIPEN train_r01_v07,
doi 10.5281/zenodo.1195803 (CC BY 4.0), its pen strokes rendered at 28 x 28.
"""

from __future__ import annotations

import gzip
import hashlib
import importlib
import io
import os
import re
import time
import zlib
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO, Self, cast

import numpy as np
import platformdirs
from numpy.typing import NDArray

from stepnet.archives import (
    ArchiveError,
    ArchiveTooLargeError,
    most_unpacked_bytes,
    read_arrays,
)
from stepnet.errors import DataError, MissingToolError
from stepnet.files import read_limited, read_stream
from stepnet.networks.readout import NO_CHARACTER

DATA_DIR_VARIABLE = "STEPNET_DATA"
TEST_FRACTION = 0.15
"""The part that is kept for measuring of a data set that has no test part of its own."""

SPLIT_SEED = 0

COLUMNS = ("images", "labels", "writer", "clean")
"""The arrays of a data set's file."""

MOST_BYTES = 2 << 30
"""How large a data set may be, which is kept in memory as a whole."""

MOST_PACKED_BYTES = 48 << 20
MOST_PACKED_RATIO = 24
"""What a packed data set may become: so much, or so many times its size if that is more. Grey
characters pack to a fifth, characters of one bit to a twentieth; what is made to fill the memory,
to a thousandth."""


@dataclass(frozen=True)
class IdxFile:
    """One gzipped file of MNIST.

    md5: the MD5 of what is in it, because the file itself depends on how it was packed.
    """

    name: str
    md5: str


MOST_IDX_BYTES = 64 << 20
"""How large a file of MNIST may be, packed or not: the largest has 45 MiB."""

DOWNLOAD_S = 900.0
"""How long the download of one file may take: the largest has 10 MiB."""

CHUNK_BYTES = 1 << 14


MNIST_FILES = {
    "train": (
        IdxFile("train-images-idx3-ubyte.gz", "6bbc9ace898e44ae57da46a324031adb"),
        IdxFile("train-labels-idx1-ubyte.gz", "a25bea736e30d166cdddb491f175f624"),
    ),
    "test": (
        IdxFile("t10k-images-idx3-ubyte.gz", "2646ac647ad5339dbf082846283269ea"),
        IdxFile("t10k-labels-idx1-ubyte.gz", "27ae3e4e09519cfbb04c329615203637"),
    ),
}
MNIST_MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
)
MNIST_ATTRIBUTION = (
    "MNIST database of handwritten digits by Y. LeCun, C. Cortes and C. J. C. Burges, CC BY-SA 3.0"
)
UNIPEN_FILE = "unipen_train_28.npz"
UNIPEN_ATTRIBUTION = (
    "UNIPEN train_r01_v07 by the International Unipen Foundation, doi 10.5281/zenodo.1195803, "
    "CC BY 4.0"
)


@dataclass(frozen=True, eq=False)
class Dataset:
    """Pictures of single characters and what they mean.

    images: (N, height, width) uint8, ink bright on 0, N at least 1.
    labels: (N,) uint8 character codes.
    writer: (N,) integers that tell writers apart, or None where they are unknown.
    clean: (N,) bool, False where a label looks wrong, or None where nobody looked.

    Raises DataError if a shape or a type is another.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.uint8]
    writer: NDArray[np.integer[Any]] | None = None
    clean: NDArray[np.bool_] | None = None

    def __post_init__(self) -> None:
        if self.images.dtype != np.uint8 or self.images.ndim != 3 or 0 in self.images.shape:
            raise DataError(
                f"The images are {self.images.dtype} of shape {self.images.shape}; "
                "give uint8 grey values of shape (N, height, width), none of them 0."
            )
        labels = self.labels
        if labels.ndim == 1 and len(labels) == self.images.shape[-1] != len(self.images):
            raise DataError(
                f"The images have shape {self.images.shape} for {len(labels)} labels: their axes "
                "are in another order; give np.moveaxis(images, -1, 0), which is (N, height, "
                "width)."
            )
        if labels.dtype.kind not in "iu" or labels.shape != self.images.shape[:1]:
            raise DataError(
                f"The labels are {labels.dtype} of shape {labels.shape}; give "
                f"{len(self.images)} integers, the character code of each image."
            )
        if labels.min() < 0 or labels.max() > 255:
            worst = labels.min() if labels.min() < 0 else labels.max()
            raise DataError(
                f"The label {worst} is no character code; labels are codes from 0 to 255."
            )
        object.__setattr__(self, "labels", labels.astype(np.uint8))
        for name, column, kinds, what in (
            ("writer", self.writer, "iu", "integers"),
            ("clean", self.clean, "b", "bool values"),
        ):
            if column is not None and (
                column.dtype.kind not in kinds or column.shape != labels.shape
            ):
                raise DataError(
                    f"The array {name!r} is {column.dtype} of shape {column.shape}; "
                    f"give {len(self.images)} {what}, one per image, or leave it out."
                )

    def __len__(self) -> int:
        return len(self.images)

    @cached_property
    def alphabet(self) -> str:
        """The characters that occur, in the order of their codes."""
        return "".join(chr(code) for code in np.unique(self.labels))

    @property
    def characters(self) -> str:
        """The alphabet without code 0, the label of images that show no character."""
        return self.alphabet.replace(NO_CHARACTER, "")

    def select(self, which: NDArray[np.integer[Any]] | NDArray[np.bool_]) -> Self:
        """The samples that `which` names, by index or by mask."""
        return type(self)(
            self.images[which],
            self.labels[which],
            None if self.writer is None else self.writer[which],
            None if self.clean is None else self.clean[which],
        )

    def with_others(self, others: Self) -> Self:
        """The samples of both, these first; a column that either lacks is left out."""

        def joined(own: NDArray[Any] | None, other: NDArray[Any] | None) -> NDArray[Any] | None:
            return None if own is None or other is None else np.concatenate([own, other])

        return type(self)(
            np.concatenate([self.images, others.images]),
            np.concatenate([self.labels, others.labels]),
            joined(self.writer, others.writer),
            joined(self.clean, others.clean),
        )

    def showing(self, alphabet: str) -> Self:
        """The samples that show a character of `alphabet`.

        Raises DataError if there is none of one of the characters.
        """
        for character in alphabet:
            if character not in self.alphabet:
                raise DataError(
                    f"No image of the data set shows {character!r}; leave it out of the "
                    "characters, or choose another data set."
                )
        return self.select(np.isin(self.labels, [ord(character) for character in alphabet]))

    def cleaned(self) -> Self:
        """The samples whose label looks right; all of them where nobody looked.

        Raises DataError if there is none.
        """
        if self.clean is None:
            return self
        if not self.clean.any():
            raise DataError("No label of the data set is marked as clean; use all of its samples.")
        return self.select(self.clean)

    def hold_out(self, fraction: float, seed: int) -> tuple[Self, Self]:
        """Two parts without overlap: what stays, and about `fraction` of the samples.

        Whole writers are held out where writers are known, single samples otherwise; which ones
        depends on `seed` alone. Raises DataError if either part would be empty.
        """
        units = np.arange(len(self)) if self.writer is None else self.writer
        members = np.unique(units)
        # Asked first, as no number of members comes of what is no number.
        count = round(fraction * len(members)) if 0 < fraction < 1 else 0
        if not 0 < count < len(members):
            what = "images" if self.writer is None else "writers"
            raise DataError(
                f"A part of {fraction} cannot be held out of {len(members)} {what}; "
                "both parts need at least one."
            )
        held = np.random.default_rng(seed).permutation(members)[:count]
        mask = np.isin(units, held)
        return self.select(~mask), self.select(mask)


@dataclass(frozen=True)
class Split:
    """A data set in two parts: `train` to learn from, `test` to measure on once.

    attribution: who made it and under which licence, as far as it is known.
    """

    name: str
    train: Dataset
    test: Dataset
    attribution: str = "unknown"

    def part(self, name: str) -> Dataset:
        """The part called "train" or "test", or with "all" both; DataError for any other name."""
        if name not in ("train", "test", "all"):
            raise DataError(f"There is no part {name!r} of a data set; choose train, test or all.")
        if name == "all":
            return self.train.with_others(self.test)
        return self.train if name == "train" else self.test


def data_folder(data_dir: str | os.PathLike[str] | None = None) -> Path:
    """The folder of data sets: `data_dir`, else that in STEPNET_DATA, else the user's cache."""
    chosen = data_dir or os.environ.get(DATA_DIR_VARIABLE)
    return Path(chosen) if chosen else platformdirs.user_cache_path("stepnet") / "data"


def load(source: str | os.PathLike[str], data_dir: str | os.PathLike[str] | None = None) -> Split:
    """The data set `source`, in its two parts.

    source: "mnist", with its own test part; "unipen", split by writer; or the path of a .npz with
    `images` (N, height, width) uint8 and `labels` (N,) character codes, and if known `writer` (N,)
    and `clean` (N,), split by writer where it has writers, else by sample.
    data_dir: see `data_folder`. MNIST is downloaded into it where it is missing.

    Splits are the same every time. Raises DataError if files are missing, damaged or of another
    form, and MissingToolError if a download needs a package that is not installed.
    """
    folder = data_folder(data_dir)
    if str(source) == "mnist":
        _fetch_mnist(home := _mnist_home(folder))
        train, test = (_load_mnist(part, home) for part in ("train", "test"))
        return Split("mnist", train, test, MNIST_ATTRIBUTION)
    if str(source) == "unipen":
        path = folder / UNIPEN_FILE
        if not path.is_file():
            raise DataError(
                f"The data set unipen needs the file {UNIPEN_FILE} in the folder {str(folder)!r}; "
                f"put it there, or name its folder with --data-dir or {DATA_DIR_VARIABLE}."
            )
        return _split("unipen", read_dataset(path), UNIPEN_ATTRIBUTION)
    path = Path(source)
    if path.suffix != ".npz":
        raise DataError(
            f"There is no data set {str(source)!r}; "
            "choose mnist, unipen, or the path of a .npz file."
        )
    return _split(path.stem, read_dataset(path))


def parse_characters(text: str) -> str:
    """The characters that a text such as "0-9A-Fx" names, in the order of their codes.

    A minus between two characters means all from one to the other; at either end, itself. Raises
    DataError for an empty text, or a range that runs backwards.
    """
    if not text:
        raise DataError("No characters are named; give some, like 0-9A-Z.")
    codes: set[int] = set()
    for first, last, single in re.findall(r"(.)-(.)|(.)", text, re.DOTALL):
        if last and last < first:
            raise DataError(f"The characters {first}-{last} run backwards; write {last}-{first}.")
        codes.update(range(ord(first), ord(last) + 1) if last else [ord(single)])
    return "".join(map(chr, sorted(codes)))


def _split(name: str, dataset: Dataset, attribution: str = "unknown") -> Split:
    train, test = dataset.hold_out(TEST_FRACTION, SPLIT_SEED)
    return Split(name, train, test, attribution)


def read_dataset(path: Path) -> Dataset:
    """All samples of one .npz, which is as `load` describes it; DataError as there."""
    try:
        most_bytes = most_unpacked_bytes(path, MOST_PACKED_BYTES, MOST_PACKED_RATIO)
        columns = read_arrays(path, min(most_bytes, MOST_BYTES), COLUMNS)
    except FileNotFoundError:
        raise DataError(
            f"There is no data file {str(path)!r}; choose mnist, unipen, or a .npz that exists."
        ) from None
    except OSError as error:
        raise DataError(
            f"The data file {str(path)!r} cannot be read ({error.strerror or error}); "
            "name a .npz that you may read."
        ) from error
    except ArchiveTooLargeError as error:
        raise DataError(
            f"The data file {str(path)!r} would take {error.wanted_bytes / 2**20:,.0f} MiB of "
            "memory, which is more than characters pack into so small a file; write it with "
            f"numpy.savez, which does not pack, in files of at most {MOST_BYTES >> 20:,} MiB."
        ) from error
    except ArchiveError as error:
        raise DataError(
            f"The data file {str(path)!r} is no .npz of plain arrays or is damaged; "
            "write it with numpy.savez_compressed."
        ) from error
    for name in ("images", "labels"):
        if name not in columns:
            raise DataError(
                f"The data file {str(path)!r} has no array {name!r}; "
                "it needs images (N, height, width) and labels (N,)."
            )
    try:
        return Dataset(**columns)
    except DataError as error:
        raise DataError(f"The data file {str(path)!r} cannot be used. {error}") from None


def _mnist_home(folder: Path) -> Path:
    """Where MNIST's files are or go: `folder` itself if any of them is there, else mnist/ in it."""
    names = [file.name for files in MNIST_FILES.values() for file in files]
    return folder if any((folder / name).is_file() for name in names) else folder / "mnist"


def _load_mnist(part: str, home: Path) -> Dataset:
    image_file, label_file = MNIST_FILES[part]
    images = read_idx(home / image_file.name, image_file.md5)
    labels = read_idx(home / label_file.name, label_file.md5)
    return Dataset(images, labels + np.uint8(ord("0")))


def read_idx(path: Path, md5: str) -> NDArray[np.uint8]:
    """A gzipped IDX file of unsigned bytes whose raw content has this MD5.

    IDX: two zero bytes, the type (8: unsigned byte), the number of dimensions, each dimension as
    a big-endian 32-bit number, then the values.
    """
    try:
        raw = _unpacked(read_limited(path, MOST_IDX_BYTES))
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(
            f"The file {str(path)!r} is no gzip file or is damaged; delete it and fetch it again."
        ) from error
    found = hashlib.md5(raw, usedforsecurity=False).hexdigest()
    if found != md5:
        raise DataError(
            f"The file {str(path)!r} does not hold the MNIST data: the MD5 of its content is "
            f"{found} instead of {md5}; delete it and fetch it again."
        )
    dimensions = np.frombuffer(raw, dtype=">u4", count=raw[3], offset=4)
    return np.frombuffer(raw, dtype=np.uint8, offset=4 + 4 * raw[3]).reshape(dimensions)


def _unpacked(content: bytes) -> bytes:
    """What a gzip file holds; OSError if that is more than `MOST_IDX_BYTES`."""
    with gzip.open(io.BytesIO(content)) as file:
        return read_stream(cast(BinaryIO, file), MOST_IDX_BYTES, "gzip")


class _Meter:
    """What pooch tells how far it is; ends a download that is too long or too slow.

    total: bytes, as the mirror says.
    """

    total = 0

    def __init__(self) -> None:
        self._end_s = time.monotonic() + DOWNLOAD_S
        self._left_bytes = MOST_IDX_BYTES

    def update(self, count: int) -> None:
        self._left_bytes -= count
        if self._left_bytes < 0 or time.monotonic() > self._end_s:
            raise OSError("The download is too long or too slow.")

    def reset(self) -> None:
        self._left_bytes = self.total  # the update that follows names all of them

    def close(self) -> None:
        pass


def _fetch_mnist(folder: Path) -> None:
    """Download the files of MNIST that `folder` lacks."""
    wanted = [file for files in MNIST_FILES.values() for file in files]
    missing = [file.name for file in wanted if not (folder / file.name).is_file()]
    if not missing:
        return
    with suppress(OSError):
        # Built chips lie beside the data sets, and are trusted in a folder of one's own alone.
        cache = platformdirs.user_cache_path("stepnet")
        if folder.is_relative_to(cache):
            cache.parent.mkdir(parents=True, exist_ok=True)
            cache.mkdir(mode=0o700, exist_ok=True)
    try:
        pooch: Any = importlib.import_module("pooch")  # it carries no complete types
    except ImportError:
        raise MissingToolError(
            f"The data set mnist lacks {', '.join(missing)} in {str(folder)!r}, and the download "
            'needs the package pooch; install it with pip install "stepnet[train]", or put the '
            f"files there from {MNIST_MIRRORS[0]}."
        ) from None
    pooch.get_logger().setLevel("ERROR")
    for name in missing:
        for mirror in MNIST_MIRRORS:
            try:
                # What counts is the raw content, which reading checks.
                pooch.retrieve(
                    mirror + name,
                    known_hash=None,
                    fname=name,
                    path=str(folder),
                    downloader=pooch.HTTPDownloader(progressbar=_Meter(), chunk_size=CHUNK_BYTES),
                )
                break
            except (OSError, ValueError):
                continue
        else:
            raise DataError(
                f"The data set mnist lacks {', '.join(missing)} in {str(folder)!r} and the "
                f"download failed; put the files there from {MNIST_MIRRORS[0]}, or name their "
                f"folder with --data-dir or {DATA_DIR_VARIABLE}."
            )
