"""Runs one point, here or on a worker of a cluster, in a process of its own.

The process has one thread for arithmetic, so that as many as there are cores do not fight for them,
and so that the result is the same to the bit wherever it is computed.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from stepnet.errors import MissingToolError
from stepnet.programs import run_program

MOST_FILE_BYTES = 256 << 20
"""All files of a point together; what is larger is no result of a command."""

ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}

KILLED_EXIT_CODE = 128
"""An exit code above it tells that a signal ended the process."""

_PREFIX = "stepnet: "


@dataclass(frozen=True)
class Task:
    """What a worker is told of a point.

    name: of the point, and of what it makes.
    words: the command line without the program, with all that it needs to leave its files in the
        folder in which it runs and its result as JSON on stdout.
    environment: variables that it gets beside those of the worker.
    files: what it reads, by name, in the folder in which it runs.
    module: the program, as Python's -m takes it.
    """

    name: str
    words: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict[str, str])
    files: Mapping[str, bytes] = field(default_factory=dict[str, bytes])
    module: str = "stepnet"


@dataclass(frozen=True)
class Outcome:
    """What became of a point.

    result: what the command printed, from JSON; empty if it failed.
    error: why it failed, in one sentence; empty if it did not.
    exit_code: of the process.
    seconds: that it took.
    worker: the machine and the process that ran it.
    files: what it left, by path.
    """

    result: Mapping[str, Any]
    error: str
    exit_code: int
    seconds: float
    worker: str
    files: Mapping[str, bytes] = field(default_factory=dict[str, bytes])

    @property
    def killed(self) -> bool:
        """Whether its process was killed, which says nothing of the point."""
        return self.exit_code < 0 or self.exit_code > KILLED_EXIT_CODE

    @property
    def worker_lacks_something(self) -> bool:
        """Whether it failed for a package or a tool that its worker does not have."""
        return self.exit_code == MissingToolError.exit_code


def run_task(
    task: Task,
    folder: Path,
    started: Callable[[Callable[[], None]], object] = lambda end: None,
) -> Outcome:
    """Run a point in `folder` to its end, and take what it left there out of it.

    folder: made if it is not there; what an earlier process left there is gone on with, so that a
        training which was killed goes on after its last whole pass.
    started: is given a function with which another thread ends the process.

    Raises OSError if the folder cannot be used.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in task.files.items():
        (folder / name).write_bytes(content)
    start_s = time.perf_counter()
    done = run_program(
        [sys.executable, "-m", task.module, *task.words],
        cwd=folder,
        env={**os.environ, **ONE_THREAD, **task.environment},
        started=started,
    )
    seconds = round(time.perf_counter() - start_s, 3)
    worker = f"{socket.gethostname()}:{os.getpid()}"
    if done.returncode:
        return Outcome(
            {}, _sentence(done.returncode, done.stderr), done.returncode, seconds, worker
        )
    result = _result(done.stdout)
    if result is None:
        error = f"The command printed no JSON object but {done.stdout[:80]!r}; give it --json."
        return Outcome({}, error, 1, seconds, worker)
    files = _files(folder)
    shutil.rmtree(folder, ignore_errors=True)
    return Outcome(result, "", 0, seconds, worker, files)


def _result(out: str) -> dict[str, Any] | None:
    """The JSON object in the last line of what a command printed."""
    lines = out.strip().splitlines()
    try:
        found: object = json.loads(lines[-1] if lines else "")
    except ValueError:
        try:
            found = json.loads(out)
        except ValueError:
            return None
    return cast(dict[str, Any], found) if isinstance(found, dict) else None


def _sentence(exit_code: int, err: str) -> str:
    """What a command that failed said last."""
    if exit_code < 0 or exit_code > KILLED_EXIT_CODE:
        return f"The process was killed (exit code {exit_code}), perhaps for want of memory."
    lines = [line for line in err.strip().splitlines() if line]
    told = [line for line in lines if line.startswith(_PREFIX)]
    return (told or lines or [f"The command ended with exit code {exit_code}."])[-1].removeprefix(
        _PREFIX
    )


def _files(folder: Path) -> dict[str, bytes]:
    """Everything below a folder by its path there."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    if sum(path.stat().st_size for path in paths) > MOST_FILE_BYTES:
        return {}
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}
