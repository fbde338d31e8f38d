"""Damaged and forged files into everything that reads one: each is read, or refused in a sentence.

Networks of every kind, data sets, checkpoints, and what lies in a cache: files as they are written,
with bits flipped, pieces cut out, doubled and mixed, numbers of the archive's format replaced; and
files made on purpose, with arrays of odd types and sizes, headers of other types under a digest
that is right, pickles, and archives that want to become a thousand times as large.
"""

from __future__ import annotations

import io
import json
import os
import random
import shutil
import struct
import zipfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stepnet.data import sets
from stepnet.data.sets import Dataset
from stepnet.errors import StepnetError
from stepnet.learning.config import Config
from stepnet.learning.run import Run
from stepnet.networks.lut import Counts, LutLayer, LutNetwork
from stepnet.networks.network import Layer, Network
from stepnet.networks.network_file import content_digest
from stepnet.networks.shipped import load_any_network
from stepnet.networks.sigmoid import SigmoidLayer, SigmoidNetwork
from stepnet_hdl.flow.build import FIGURES
from stepnet_hdl.flow.cache import DIGESTS, BuildCache
from stepnet_hdl.flow.delivery import Delivery

BOMB_BYTES = 64 << 20
"""What a bomb wants to become; made once, because packing it takes half a second."""

FORGED_SHARE = 0.3
"""Of the files of an archive's kind: made on purpose, instead of damaged."""

INTERESTING = (0, 1, 0x7F, 0x80, 0xFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF)

Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Outcome:
    """What became of the files.

    files: by what they are. refused: in a sentence. failures: with anything else, as text.
    executed: a pickle was run.
    """

    files: Counter[str]
    refused: int
    failures: list[str]
    executed: bool


class Trap:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> tuple[Callable[..., object], tuple[str]]:
        return os.mkdir, (str(self._path),)


class FileFuzzer:
    """Makes files in `folder`, which has to be empty, and has them read.

    networks: whole network files, one of each kind.
    """

    def __init__(self, folder: Path, networks: list[Path], seed: int) -> None:
        self._random = random.Random(seed)
        self._folder = folder
        self._canary = folder / "executed"
        self._config = Config(rule="delta", hidden=(4,), epochs=2)
        self._dataset = _small_dataset(seed)
        self._checkpoint = self._make_checkpoint(folder / "run")
        self._cache = BuildCache(folder / "cache")
        self._entry = self._cache.add("0123", _fill_entry)
        self._cache.remember("key", "0123", ["yosys 1.0"])
        data = folder / "data.npz"
        images, labels = self._dataset.images, self._dataset.labels
        np.savez_compressed(data, images=images, labels=labels)
        self._readers: dict[str, tuple[list[bytes], Callable[[bytes], object]]] = {
            "network": ([path.read_bytes() for path in networks], self._read_network),
            "data": ([data.read_bytes()], self._read_data),
            "checkpoint": ([self._checkpoint], self._read_checkpoint),
            "cache": ([path.read_bytes() for path in self._entry.iterdir()], self._read_cache),
        }
        self._bombs = [_bomb(name) for name in ("weights_0", "images", "state_w0")]

    def run(self, count: int) -> Outcome:
        """Have `count` files read, as many of each kind."""
        files: Counter[str] = Counter()
        failures: list[str] = []
        refused = 0
        for number in range(count):
            kind = list(self._readers)[number % len(self._readers)]
            originals, read = self._readers[kind]
            content = self._make(kind, originals)
            files[kind] += 1
            try:
                read(content)
            except StepnetError as error:
                refused += 1
                if not _is_sentence(str(error)):
                    failures.append(f"{kind} {number}: no sentence: {error}")
            except Exception as error:  # which is what is looked for
                failures.append(f"{kind} {number}: {type(error).__name__}: {error}")
        return Outcome(files, refused, failures, self._canary.exists())

    # What the files are

    def _make(self, kind: str, originals: list[bytes]) -> bytes:
        original = self._random.choice(originals)
        if kind != "cache" and self._random.random() < FORGED_SHARE:
            return self._forge(original)
        content = bytearray(original)
        for _ in range(self._random.choice((1, 1, 2, 5))):
            self._damage(content, originals)
        return bytes(content)

    def _damage(self, content: bytearray, originals: list[bytes]) -> None:
        if not content:
            return
        draw = self._random
        place = draw.randrange(len(content))
        run = slice(place, place + draw.choice((1, 4, 30, 300)))
        match draw.randrange(8):
            case 0:
                content[place] ^= 1 << draw.randrange(8)
            case 1:
                content[place] = draw.randrange(256)
            case 2:
                del content[run]
            case 3:
                content[place:place] = content[run]
            case 4:
                del content[place:]
            case 5:
                content[run] = bytes(len(content[run]))
            case 6:
                other = draw.choice(originals)
                start = draw.randrange(len(other))
                content[run] = other[start : start + len(content[run])]
            case _:
                self._change_zip_field(content)

    def _change_zip_field(self, content: bytearray) -> None:
        """Another number somewhere in what a zip says of itself."""
        draw = self._random
        starts = [
            place for mark in (b"PK\1\2", b"PK\3\4", b"PK\5\6") for place in _places(content, mark)
        ]
        if not starts:
            return
        place = draw.choice(starts) + draw.randrange(4, 46)
        size, code = draw.choice(((2, "<H"), (4, "<I")))
        if place + size <= len(content):
            value = draw.choice((*INTERESTING, draw.randrange(1 << 32)))
            struct.pack_into(code, content, place, value % (1 << 8 * size))

    def _forge(self, original: bytes) -> bytes:
        """An archive with the members of another one, some of them odd."""
        draw = self._random
        if draw.random() < 0.05:
            return draw.choice(self._bombs)
        with np.load(io.BytesIO(original)) as file:
            arrays = {name: file[name] for name in file.files}
        if draw.random() < 0.5 and "header" in arrays:
            return _saved(self._with_another_header(arrays))
        members = {name: _npy(array) for name, array in arrays.items()}
        name = draw.choice(list(members))
        match draw.randrange(5):
            case 0:
                del members[name]
            case 1:
                members[name] = self._odd_member()
            case 2:
                members[name] = _npy(self._odd_array(arrays[name]))
            case 3:
                members[f"{name}.txt"] = members.pop(name)
            case _:
                members[draw.choice(list(members))] = members[name]
        packing = draw.choice((0, 8, 8, 12, 14))
        return _zipped(members, packing)

    def _with_another_header(self, arrays: Arrays) -> Arrays:
        """A header that says something else, and a digest that fits it."""
        draw = self._random
        header = json.loads(str(arrays.pop("header")[()]))
        version = arrays.pop("schema_version")
        arrays.pop("digest")
        entry = draw.choice([*header, "kind", "more"])
        odd = (None, 0, -1, 1.5, 10**30, "", "x", [], [1], [[1]], {}, {"a": 1}, True, "\x1b[2J")
        header[entry] = draw.choice(odd)
        text = json.dumps(header)
        told = {"schema_version": version, "header": np.array(text)}
        return {**told, "digest": np.array(content_digest(text, arrays)), **arrays}

    def _odd_member(self) -> bytes:
        pickled = _npy(np.array([Trap(self._canary)], dtype=object))
        huge = _header("{'descr': '<f8', 'fortran_order': False, 'shape': (99999999999,)}")
        code = _header("__import__('os').mkdir('" + str(self._canary) + "')")
        deep = _header("(" * 90 + ")" * 20)
        return self._random.choice((pickled, huge, code, deep, b"", b"no array", pickled[:-5]))

    def _odd_array(self, array: NDArray[Any]) -> NDArray[Any]:
        draw = self._random
        match draw.randrange(7):
            case 0:
                kinds = ("f2", "c8", "U3", "S2", "?", ">i8", "M8[s]")
                kind = draw.choice(("U3", "S2") if array.dtype.kind == "U" else kinds)
                with np.errstate(all="ignore"):
                    return array.astype(kind)
            case 1:
                return array.reshape(-1)[: draw.randrange(3)]
            case 2:
                return np.asfortranarray(array)
            case 3:
                return array[np.newaxis]
            case 4:
                return np.array(draw.choice((np.nan, np.inf, -1, 10**18, "text")))
            case 5:
                return np.zeros((0, *array.shape), array.dtype)
            case _:
                return np.repeat(array.reshape(-1), 7)

    # Who reads them

    def _read_network(self, content: bytes) -> object:
        return load_any_network(self._written(content))

    def _read_data(self, content: bytes) -> object:
        return sets.load(self._written(content))

    def _read_checkpoint(self, content: bytes) -> object:
        run = self._folder / "run"
        (run / "checkpoint.npz").write_bytes(content)
        return Run.open(run, self._config, self._dataset, {})

    def _read_cache(self, content: bytes) -> object:
        """In the place of some file of an entry, of a key, or of a report in a user's folder."""
        entry = self._entry
        files = [*entry.iterdir(), self._folder / "cache" / "keys" / "key.json"]
        path = self._random.choice(files)
        before = path.read_bytes()
        path.write_bytes(content)
        found = self._cache.entry("0123")
        self._cache.recall("key", {"yosys": "yosys 1.0"}.__getitem__)
        changed = path.parent == entry and path.name != DIGESTS and content != before
        if found is not None and changed:
            raise AssertionError(f"A changed {path.name} is taken for the result.")
        path.write_bytes(before)
        folder = self._folder / "build"
        folder.mkdir(exist_ok=True)
        (folder / "report.json").write_bytes(content)
        return Delivery(folder)

    def _written(self, content: bytes) -> Path:
        path = self._folder / "read.npz"
        path.write_bytes(content)
        return path

    def _make_checkpoint(self, folder: Path) -> bytes:
        """That of a run after its first pass."""
        from stepnet.learning.delta import DeltaLearner

        shutil.rmtree(folder, ignore_errors=True)
        run = Run.open(folder, self._config, self._dataset, {})
        record = {"epoch": 1, "loss": 0.5, "accuracy": 0.5, "seconds": 1.0}
        run.keep(record, DeltaLearner(self._config, self._dataset).state())
        return (folder / "checkpoint.npz").read_bytes()


def small_networks(folder: Path, seed: int) -> list[Path]:
    """A file of each kind of network."""
    draw = np.random.default_rng(seed)
    weights = draw.choice([-1, 1], (7, 30))
    step = Network("step", (Layer(weights, weights.sum(axis=1) // 2),), 6, 5)
    real = draw.normal(size=(7, 31)).astype(np.float32)
    sigmoid = SigmoidNetwork("sigmoid", (SigmoidLayer(real[:, :30], real[:, 30]),), 6, 5)
    tables = LutLayer(draw.integers(0, 30, (21, 4)), draw.integers(0, 1 << 16, 21), 30)
    counts = Counts(np.arange(21) % 7, np.ones(7, dtype=int))
    lut = LutNetwork("lut", (tables,), 6, 5, counts=counts)
    return [network.save(folder / f"{network.name}.npz") for network in (step, sigmoid, lut)]


def _small_dataset(seed: int) -> Dataset:
    draw = np.random.default_rng(seed)
    images = draw.integers(0, 256, (20, 6, 5), dtype=np.uint8)
    return Dataset(images, np.array([48, 49] * 10, np.uint8))


def _fill_entry(folder: Path) -> None:
    (folder / "stepnet.bin").write_bytes(random.Random(0).randbytes(1000))
    (folder / FIGURES).write_text(json.dumps({"bitstream_name": "stepnet.bin", "luts": 7}))


def _is_sentence(text: str) -> bool:
    return text.isprintable() and text.endswith(".") and "Traceback" not in text


def _places(content: bytearray, mark: bytes) -> list[int]:
    places: list[int] = []
    place = content.find(mark)
    while place >= 0:
        places.append(place)
        place = content.find(mark, place + 1)
    return places


def _npy(array: NDArray[Any]) -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array(file, array, allow_pickle=True)
    return file.getvalue()


def _header(text: str) -> bytes:
    content = text.encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(content)) + content


def _zipped(members: dict[str, bytes], packing: int) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", packing) as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy", content)
    return file.getvalue()


def _saved(arrays: Arrays) -> bytes:
    file = io.BytesIO()
    np.savez_compressed(file, allow_pickle=False, **arrays)
    return file.getvalue()


def _bomb(name: str) -> bytes:
    """A small archive with one array that wants to be large."""
    shape = f"(1, {BOMB_BYTES >> 20}, {1 << 20})"
    file = io.BytesIO()
    with (
        zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open(f"{name}.npy", "w") as member,
    ):
        member.write(_header(f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}}}"))
        for _ in range(BOMB_BYTES >> 20):
            member.write(bytes(1 << 20))
    return file.getvalue()
