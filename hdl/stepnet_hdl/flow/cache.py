"""Results that took long, by the digest of all that decided them: in folders that are private, and
checked each time that one is used."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import shutil
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import platformdirs
from filelock import FileLock, Timeout

import stepnet
import stepnet_hdl
from stepnet.errors import BuildError
from stepnet.files import read_limited, sha256_of, sync_folder, write_text
from stepnet.temporary import temporary_folder
from stepnet_hdl.flow.private_folder import make_private

DIGESTS = "digests.json"
"""The file in an entry that has the SHA-256 of each other one."""

MOST_JSON_BYTES = 1 << 20

LOCK_S = 3600.0
"""How long another process may take to make what this one wants too."""


class Cache:
    """Folders with results, each under the digest of all that decided it.

    An entry is found only if each of its files has the SHA-256 that it had when it was made, and
    entries are on the disk before they are there: neither a flipped bit nor a loss of power is
    taken for a result.

    folder: where.
    root: the topmost folder that is Stepnet's own, for `make_private`; `folder` if None.

    All methods raise BuildError if the folder cannot be used or is not private.
    """

    def __init__(self, folder: Path, root: Path | None = None) -> None:
        self._folder = folder
        self._root = root or folder

    def entry(self, digest: str) -> Path | None:
        """The folder of a result, if there is a whole one."""
        with self._usable(to_write=False):
            entry = self._folder / digest
            return entry if _is_whole(entry) else None

    def add(self, digest: str, fill: Callable[[Path], None]) -> Path:
        """Let `fill` make the files of a result in a folder, which then becomes the entry.

        Another process that adds the same waits, and finds the entry; a damaged one is replaced.
        Whatever `fill` raises leaves no entry.
        """
        with self._usable(to_write=True):
            locks = self._folder / "locks"
            locks.mkdir(exist_ok=True)
            entry = self._folder / digest
            with FileLock(locks / digest, timeout=LOCK_S):
                if _is_whole(entry):
                    return entry
                with temporary_folder(self._folder) as temporary:
                    made = temporary / "entry"
                    made.mkdir()
                    fill(made)
                    _seal(made)
                    _remove(entry)
                    made.replace(entry)
                    sync_folder(self._folder)
                shutil.rmtree(self.unfinished(digest), ignore_errors=True)
        return entry

    def unfinished(self, digest: str) -> Path:
        """A folder for what is done of a result that is being made, so that the next one who adds
        it goes on; gone when the result is there."""
        return self._folder / "unfinished" / digest

    @contextmanager
    def _usable(self, *, to_write: bool) -> Generator[None]:
        """The folder, private; what the system refuses in it is a BuildError."""
        try:
            if to_write or self._folder.is_dir():
                make_private(self._folder, self._root)
            yield
        except Timeout:
            raise BuildError(
                f"Another process has been making what is wanted in {str(self._folder)!r} for an "
                "hour; end it, and try again."
            ) from None
        except OSError as error:
            raise BuildError(
                f"The cache {str(self._folder)!r} cannot be used ({error.strerror or error}); make "
                "room there, or name another folder in XDG_CACHE_HOME."
            ) from error


class BuildCache(Cache):
    """The cache of builds.

    A digest can be found by a cheaper key as well, so that a build that was done before needs no
    design to be generated: see `source_key`.

    folder: where; in the user's cache if None.
    """

    def __init__(self, folder: Path | None = None) -> None:
        if folder is not None:
            super().__init__(folder)
        else:
            root = platformdirs.user_cache_path("stepnet")
            super().__init__(root / "builds", root)

    def remember(self, key: str, digest: str, tools: Iterable[str]) -> None:
        """From now on `key` finds `digest`, as long as the tools are the same."""
        index = self._folder / "keys"
        with suppress(OSError):  # the next one takes longer
            index.mkdir(exist_ok=True)
            write_text(index / f"{key}.json", json.dumps({"digest": digest, "tools": list(tools)}))

    def recall(self, key: str, tool: Callable[[str], str]) -> Path | None:
        """The result that was remembered for `key`.

        tool: gives the tool of a name as it is now, in the words in which it was remembered.
        """
        with self._usable(to_write=False):
            known = _read_json(self._folder / "keys" / f"{key}.json")
        digest, tools = known.get("digest"), known.get("tools")
        if not (isinstance(digest, str) and digest.isalnum() and isinstance(tools, list)):
            return None
        try:
            if any(tool(words.partition(" ")[0]) != words for words in tools):
                return None
        except (AttributeError, KeyError):  # no text, or a tool that nobody knows
            return None
        return self.entry(digest)


def source_key(*settings: object) -> str:
    """SHA-256 of everything that decides a build plan, known before it is generated: settings,
    every source of Stepnet, Amaranth's versions and its settings in the environment."""
    hasher = hashlib.sha256()
    for package in (Path(str(module.__file__)).parent for module in (stepnet, stepnet_hdl)):
        for path in sorted(package.rglob("*.py")):
            hasher.update(f"{path.relative_to(package)}\0".encode())
            hasher.update(path.read_bytes())
    versions = [importlib.metadata.version(name) for name in ("amaranth", "amaranth-boards")]
    environment = sorted(item for item in os.environ.items() if item[0].startswith("AMARANTH_"))
    hasher.update(repr((settings, versions, environment)).encode())
    return hasher.hexdigest()


def _seal(folder: Path) -> None:
    """Write the digests of all files in a folder, and have all of it survive a loss of power."""
    digests = {path.name: sha256_of(path) for path in folder.iterdir()}
    write_text(folder / DIGESTS, json.dumps(digests))
    for name in digests:
        with (folder / name).open("rb") as file:
            os.fsync(file.fileno())
    sync_folder(folder)


def _is_whole(folder: Path) -> bool:
    """Whether a folder holds the files that it was sealed with, and no other."""
    digests = _read_json(folder / DIGESTS)
    try:
        names = {path.name for path in folder.iterdir()} - {DIGESTS}
        return bool(names) and digests == {name: sha256_of(folder / name) for name in names}
    except OSError:
        return False


def _remove(entry: Path) -> None:
    """Remove a damaged entry, whatever it is."""
    if entry.is_dir() and not entry.is_symlink():
        shutil.rmtree(entry)
    else:
        entry.unlink(missing_ok=True)


def _read_json(path: Path) -> dict[str, Any]:
    """The object in a file of JSON; empty if there is none."""
    try:
        content = json.loads(read_limited(path, MOST_JSON_BYTES))
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}
