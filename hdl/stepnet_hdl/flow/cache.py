"""Results of earlier builds, by digest."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

import platformdirs
from filelock import FileLock

import stepnet
import stepnet_hdl
from stepnet.files import write_text


class BuildCache:
    """Folders with results, each under the digest of all that decided it.

    A digest can be found by a cheaper key as well, so that a build that was done before needs no
    design to be generated: see `source_key`.

    folder: where; the user's cache if None.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder or platformdirs.user_cache_path("stepnet") / "builds"

    def entry(self, digest: str) -> Path | None:
        """The folder of a result, if there is one."""
        folder = self._folder / digest
        return folder if folder.is_dir() else None

    def add(self, digest: str, fill: Callable[[Path], None]) -> Path:
        """Let `fill` make the files of a result in a folder, which then becomes the entry.

        Another process that adds the same waits, and finds the entry. Whatever `fill` raises leaves
        no entry.
        """
        locks = self._folder / "locks"
        locks.mkdir(parents=True, exist_ok=True)
        entry = self._folder / digest
        with FileLock(locks / digest):
            if not entry.is_dir():
                with tempfile.TemporaryDirectory(dir=self._folder, prefix=".build-") as temporary:
                    made = Path(temporary, "entry")
                    made.mkdir()
                    fill(made)
                    shutil.move(made, entry)
        return entry

    def remember(self, key: str, digest: str, tools: Iterable[str]) -> None:
        """From now on `key` finds `digest`, as long as the tools are the same."""
        index = self._folder / "keys"
        index.mkdir(parents=True, exist_ok=True)
        write_text(index / f"{key}.json", json.dumps({"digest": digest, "tools": list(tools)}))

    def recall(self, key: str, tool: Callable[[str], str]) -> Path | None:
        """The result that was remembered for `key`.

        tool: gives the tool of a name as it is now, in the words in which it was remembered.
        """
        try:
            known = json.loads((self._folder / "keys" / f"{key}.json").read_text())
        except (OSError, ValueError):
            return None
        if any(tool(words.partition(" ")[0]) != words for words in known["tools"]):
            return None
        return self.entry(known["digest"])


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
