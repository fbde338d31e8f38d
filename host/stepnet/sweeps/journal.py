"""What a sweep has done, kept so that it goes on after whatever happens.

The folder of a sweep has `journal.jsonl`, a line for each point that is done or failed, on the disk
before the next one begins; `points/`, a folder of each with what it made; and `work/`, where points
are under way. A line that was cut off by a loss of power is left out, and its point is done anew.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self, cast

from stepnet.files import write_whole
from stepnet.sweeps.errors import SweepError
from stepnet.sweeps.point import Point, Value
from stepnet.sweeps.work import Outcome

try:
    import fcntl
except ImportError:  # Windows, where two at a time are not noticed
    fcntl = None

JOURNAL, POINTS, WORK = "journal.jsonl", "points", "work"

FORMAT = 1


@dataclass(frozen=True)
class Entry:
    """A point that is done, or that failed.

    settings: the options that it was given.
    result: what its command printed; empty if it failed.
    error: why it failed; empty if it did not.
    seconds, worker: as in `Outcome`.
    """

    key: str
    name: str
    command: str
    settings: Mapping[str, Value]
    result: Mapping[str, Any]
    error: str
    seconds: float
    worker: str

    @property
    def done(self) -> bool:
        """Whether it did not fail; one that failed is tried again by the next run."""
        return not self.error


class Journal:
    """The journal of one sweep; a context manager, which lets it go at its end.

    entries: the last of each point, by key, in the order in which they were done.
    """

    def __init__(self, folder: Path, sweep: str, *, keep_files: bool = True) -> None:
        """Begin the journal in `folder`, or take up the one that is there.

        sweep: the name of the sweep, which the journal has to be of.
        keep_files: keep what points make.

        Raises SweepError if it is of another sweep, none at all, or in use, or cannot be written.
        """
        self.folder = folder
        self.entries: dict[str, Entry] = {}
        self._path = folder / JOURNAL
        self._keep_files = keep_files
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._file = self._path.open("a+b", buffering=0)
        except OSError as error:
            raise self._not_written(error) from error
        try:
            self._lock()
            self._read(sweep)
        except BaseException:
            self._file.close()
            raise

    def keep(self, point: Point, outcome: Outcome) -> Entry:
        """Note what became of a point, and keep what it made.

        Raises SweepError if that cannot be written; then the journal is as it was.
        """
        entry = Entry(
            key=point.key,
            name=point.name,
            command=point.text,
            settings=dict(point.settings),
            result=dict(outcome.result),
            error=outcome.error,
            seconds=outcome.seconds,
            worker=outcome.worker,
        )
        try:
            if self._keep_files and outcome.files:
                self._keep(self.folder / POINTS / point.name, outcome.files)
            self._append(vars(entry))
        except OSError as error:
            raise self._not_written(error) from error
        self.entries.pop(entry.key, None)
        self.entries[entry.key] = entry
        return entry

    def work_folder(self, name: str) -> Path:
        """Where the point of this name runs on this machine."""
        return self.folder / WORK / name

    def close(self) -> None:
        """Let the folder go."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _lock(self) -> None:
        if fcntl is None:
            return
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise SweepError(
                f"Another process runs the sweep in {str(self.folder)!r}; wait until it ends, or "
                "name another folder with --output."
            ) from None

    def _read(self, sweep: str) -> None:
        """Take up what is there; what follows the last whole line is cut off."""
        self._file.seek(0)
        content = self._file.read()
        whole = content[: content.rfind(b"\n") + 1]
        if len(whole) < len(content):
            self._file.truncate(len(whole))
        lines = whole.splitlines()
        if not lines:
            others = [path.name for path in self.folder.iterdir() if path.name != JOURNAL]
            if others and not content:  # else its first line was cut off
                self._path.unlink()
                other = min(others)
                raise SweepError(
                    f"The folder {str(self.folder)!r} holds a {other} that no sweep has made; name "
                    "another one with --output."
                )
            self._append({"sweep": sweep, "format": FORMAT})
            return
        try:
            head, *entries = [cast(dict[str, Any], json.loads(line)) for line in lines]
            theirs = str(head["sweep"])
            self.entries = {str(entry["key"]): Entry(**entry) for entry in entries}
        except (ValueError, KeyError, TypeError, AttributeError):
            raise SweepError(
                f"The file {str(self._path)!r} is no journal of a sweep or is damaged; move it "
                "away, or name another folder with --output."
            ) from None
        if theirs != sweep:
            raise SweepError(
                f"The results in {str(self.folder)!r} are of the sweep {theirs!r} and not of "
                f"{sweep!r}; name another folder with --output."
            )

    def _append(self, told: Mapping[str, Any]) -> None:
        """Add a line, whole or not at all."""
        end = self._file.seek(0, os.SEEK_END)
        unwritten = json.dumps(told).encode() + b"\n"
        try:
            while unwritten:
                unwritten = unwritten[self._file.write(unwritten) :]
            os.fsync(self._file.fileno())
        except OSError:
            self._file.truncate(end)
            raise

    def _keep(self, folder: Path, files: Mapping[str, bytes]) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        for name, content in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, lambda file, content=content: file.write(content))

    def _not_written(self, error: OSError) -> SweepError:
        return SweepError(
            f"The results in {str(self.folder)!r} cannot be written ({error.strerror or error}); "
            f"make room there, and the same command goes on: {self._done} points are done and kept."
        )

    @property
    def _done(self) -> int:
        return sum(entry.done for entry in self.entries.values())
