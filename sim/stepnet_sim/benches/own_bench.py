"""A bench of one's own: a component, and a file with cocotb's tests for it.

    >>> from stepnet_sim import run_bench
    >>> run_bench(Popcount(8), "bench_popcount.py", waves=True)

`stepnet verify --bench FILE` does the same for a file that also says which component it tests, in a
function `component` that returns it.
"""

from __future__ import annotations

import importlib.util
import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from amaranth.lib import wiring

from stepnet.errors import MissingToolError, StepnetError
from stepnet_hdl.flow.verilog import to_rtlil, to_verilog
from stepnet_sim.benches.results import TestResult, read_results
from stepnet_sim.benches.simulator import (
    DEFAULT_SEED,
    WAVES_FILE,
    BenchError,
    compile_verilog,
    missing_tool,
    run_tests,
)

SIMULATOR = "verilator"

TOP = "dut"
"""The module of the component, by the name that it has in a test."""

COMPONENT = "component"
"""The function of a bench that returns what it tests."""


class BenchFileError(StepnetError):
    """A file cannot be run as a bench."""


@dataclass(frozen=True)
class BenchRun:
    """A bench that ran to its end.

    tests: what came of each test.
    folder: where the Verilog, the compiled simulation and the log are.
    waves: the file with every signal; None if they were not recorded.
    """

    name: str
    tests: tuple[TestResult, ...]
    folder: Path
    waves: Path | None

    @property
    def failed(self) -> tuple[TestResult, ...]:
        """The tests that failed."""
        return tuple(test for test in self.tests if not test.passed)

    def __str__(self) -> str:
        """How many tests pass, then every failure, and where the waves are."""
        passed = len(self.tests) - len(self.failed)
        told = [f"{self.name}: {passed} of {len(self.tests)} tests pass", *map(str, self.failed)]
        if self.waves is not None:
            told.append(f"Every signal is in {str(self.waves)!r}, for GTKWave or Surfer.")
        return "\n".join(told)


class FailedTestsError(BenchError):
    """Tests of a bench failed; the message shows each of them.

    run: all that came of the bench.
    """

    def __init__(self, run: BenchRun) -> None:
        super().__init__(str(run))
        self.run = run


def run_bench(
    component: wiring.Component,
    module: str | os.PathLike[str],
    *,
    waves: bool = False,
    folder: str | os.PathLike[str] | None = None,
    seed: int = DEFAULT_SEED,
) -> BenchRun:
    """Run a file's cocotb tests on a component, as Verilog under Verilator.

    In a test `dut` is the component: `dut.bits` is its port `bits`, `dut.pixels__valid` the member
    `valid` of its port `pixels`, and `dut.clk` and `dut.rst` are its clock and reset, if it has
    any. What was compiled once is compiled again only if the component has changed.

    component: what is tested; any `amaranth.lib.wiring.Component`.
    module: the file with the tests, such as `__file__`.
    waves: record every signal, in the file that `BenchRun.waves` names.
    folder: for Verilog, compiled simulation, log and waves; build/benches/NAME if None.
    seed: what `cocotb.RANDOM_SEED` is made of.

    Raises FailedTestsError if a test fails: its message shows the failing assert. Raises
    BenchFileError if the file has no tests or cannot be imported, or if the component is none or
    cannot be elaborated, MissingToolError if there is no C++ compiler, BenchError if the simulation
    breaks off.
    """
    __tracebackhide__ = True  # under pytest what failed is in the bench, and not here
    check_compiler()
    path = Path(module).resolve()
    check_tests(path, imported(path))
    run = run_on(component, path, Path(folder or Path("build", "benches", path.stem)), waves, seed)
    if run.failed:
        raise FailedTestsError(run)
    return run


def run_file(path: Path, folder: Path, *, waves: bool = False) -> BenchRun:
    """Run a bench whose function `component` says what it tests; a test that fails is no error.

    Raises otherwise what `run_bench` raises, and BenchFileError if there is no such function.
    """
    check_compiler()
    path = path.resolve()
    bench = imported(path)
    check_tests(path, bench)
    make = getattr(bench, COMPONENT, None)
    if not callable(make):
        raise BenchFileError(
            f"The bench {path.name!r} does not say what it tests; write a function {COMPONENT}() "
            "in it that returns an Amaranth component."
        )
    try:
        component: Any = make()
    except Exception as error:
        raise BenchFileError(
            f"The function {COMPONENT}() of {path.name!r} fails ({_told(error)}); "
            "have it return an Amaranth component."
        ) from error
    return run_on(component, path, folder, waves, DEFAULT_SEED)


def run_on(component: Any, path: Path, folder: Path, waves: bool, seed: int) -> BenchRun:
    """Run the tests of a file that has some on a component; see `run_bench`."""
    if not isinstance(component, wiring.Component):
        raise BenchFileError(
            f"What {path.name!r} tests is {_kind(component)} and has no ports; "
            "give it a component, a class derived from amaranth.lib.wiring.Component."
        )
    try:
        rtlil = to_rtlil(component, TOP)
    except Exception as error:
        raise BenchFileError(
            f"The component {type(component).__name__} of {path.name!r} cannot be elaborated "
            f"({_told(error)}); correct it there."
        ) from error
    folder = folder.absolute()
    compile_verilog(SIMULATOR, to_verilog(rtlil), TOP, folder, waves=True)
    with _importable(path):
        results = run_tests(SIMULATOR, path.stem, TOP, folder, path.stem, seed=seed, waves=waves)
    recorded = folder / WAVES_FILE if waves else None
    return BenchRun(path.stem, tuple(read_results(results, path)), folder, recorded)


def check_compiler() -> None:
    """Raise MissingToolError if there is no C++ compiler; before a component is made in vain."""
    if (missing := missing_tool(SIMULATOR)) is not None:
        raise MissingToolError(
            f"A bench needs {missing}, which this machine lacks; install g++ and make."
        )


def imported(path: Path) -> ModuleType:
    """The module in a file; raises BenchFileError if there is none or it cannot be imported."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None or not path.is_file():
        raise BenchFileError(
            f"There is no bench {str(path)!r}; name a Python file with tests of cocotb's."
        )
    module = importlib.util.module_from_spec(spec)
    with _importable(path):
        try:
            spec.loader.exec_module(module)
        except Exception as error:
            raise BenchFileError(
                f"The bench {path.name!r} cannot be imported ({_told(error)}); correct it there."
            ) from error
    return module


def check_tests(path: Path, bench: ModuleType) -> None:
    """Raise BenchFileError if a bench has no test, which a simulation would say much later."""
    from cocotb import _decorators  # it has no public name for what its decorators make

    kinds = (_decorators.Test, _decorators.TestGenerator)
    if not any(isinstance(each, kinds) for each in vars(bench).values()):
        raise BenchFileError(
            f"The file {path.name!r} has no test; write @cocotb.test() above an async function."
        )


@contextmanager
def _importable(path: Path) -> Iterator[None]:
    """Let a file be imported by its name, here and in what is started meanwhile."""
    sys.path.insert(0, str(path.parent))
    try:
        yield
    finally:
        sys.path.remove(str(path.parent))


def _told(error: Exception) -> str:
    """What an exception says in a line, and where it was raised."""
    if isinstance(error, SyntaxError):
        return f"{type(error).__name__} in line {error.lineno}: {error.msg}"
    places = traceback.extract_tb(error.__traceback__)
    # A library that was called wrongly is no place to correct anything.
    own = [each for each in places if not each.filename.startswith("<")]
    own = [each for each in own if "site-packages" not in Path(each.filename).parts] or places
    place = own[-1]
    said = " ".join(str(error).split())
    return f"{type(error).__name__} in line {place.lineno} of {Path(place.filename).name}: {said}"


def _kind(value: Any) -> str:
    """What a value is, in words."""
    return "nothing" if value is None else f"of the class {type(value).__name__}"
