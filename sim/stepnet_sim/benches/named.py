"""Benches by what a user calls them: one that comes with Stepnet, a file, or a folder of files."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from stepnet_sim.benches.bench_runner import BENCHES, bench_results, build_benches
from stepnet_sim.benches.own_bench import BenchFileError, BenchRun, run_file
from stepnet_sim.benches.results import read_results
from stepnet_sim.benches.simulator import WAVES_FILE

SIMULATOR = "verilator"

PATTERN = "bench_*.py"
"""What the benches of a folder are called."""


class Bench(Protocol):
    """A bench that can be run."""

    @property
    def name(self) -> str:
        """What its folder and its results are called."""
        ...

    def run(self, folder: Path, progress: Callable[[str], None], *, waves: bool) -> BenchRun:
        """Run all its tests; a test that fails is no error.

        folder: for Verilog, compiled simulation, log and waves.
        progress: is told what takes long, in a sentence without a full stop.
        waves: record every signal.

        Raises MissingToolError if there is no compiler, and BenchError or BenchFileError if the
        bench cannot be run.
        """
        ...


@dataclass(frozen=True)
class _ShippedBench:
    name: str

    def run(self, folder: Path, progress: Callable[[str], None], *, waves: bool) -> BenchRun:
        folder = folder.absolute()
        progress(f"Compiling what the bench {self.name!r} tests, and running it")
        build_benches(SIMULATOR, folder, [self.name], waves=True)
        results = bench_results(self.name, SIMULATOR, folder, waves=waves)
        recorded = folder / WAVES_FILE if waves else None
        return BenchRun(self.name, tuple(read_results(results, None)), folder, recorded)


@dataclass(frozen=True)
class _BenchFile:
    path: Path

    @property
    def name(self) -> str:
        return self.path.stem

    def run(self, folder: Path, progress: Callable[[str], None], *, waves: bool) -> BenchRun:
        progress(f"Compiling what {self.path.name!r} tests, and running it")
        return run_file(self.path, folder, waves=waves)


def find_benches(names: Iterable[str]) -> list[Bench]:
    """The benches that `names` stand for, each once, in their order.

    names: of `BENCHES`, of files, or of folders with files like `PATTERN`.

    Raises BenchFileError if there is no such bench, with the nearest names, or none in a folder.
    """
    return list(dict.fromkeys(bench for name in names for bench in _benches(name)))


def _benches(name: str) -> Iterator[Bench]:
    path = Path(name)
    if name in BENCHES:
        yield _ShippedBench(name)
    elif path.is_file():
        yield _BenchFile(path)
    elif path.is_dir():
        files = sorted(path.glob(PATTERN))
        if not files:
            raise BenchFileError(
                f"The folder {name!r} has no bench; name the files with your tests {PATTERN}."
            )
        yield from map(_BenchFile, files)
    else:
        near = difflib.get_close_matches(name, BENCHES, n=3)
        hint = (
            f"did you mean {' or '.join(near)}?"
            if near
            else f"name one of {', '.join(BENCHES)}, a Python file, or a folder."
        )
        raise BenchFileError(f"There is no bench {name!r} and no file of that name; {hint}")
