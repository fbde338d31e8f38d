"""The benches that come with Stepnet: makes Verilog of the gateware, compiles it, and has cocotb
drive it.

`stepnet verify` and the tests call it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cocotb_tools.check_results import get_results

from stepnet_hdl.flow.verilog import to_rtlil, to_verilog
from stepnet_sim.benches import designs
from stepnet_sim.benches.coverage import COVERAGE_VARIABLE
from stepnet_sim.benches.simulator import (
    DEFAULT_SEED,
    BenchError,
    check_tools,
    compile_verilog,
    run_tests,
)

BENCHES = tuple(designs.PARTS)
"""The names of all benches."""

TOP = "bench_top"

CODE_COVERAGE_OPTIONS = ("--coverage-line", "--coverage-toggle")


def build_benches(
    simulator: str,
    build_dir: Path,
    benches: Sequence[str] = BENCHES,
    *,
    code_coverage: bool = False,
    waves: bool = False,
) -> None:
    """Compile the gateware that the benches test, once for all of them.

    simulator: one of `SIMULATORS`.
    build_dir: where Verilog, compiled simulation and log go; nothing is written elsewhere.
    benches: the benches that will be run. Under Icarus, which compiles quickly and simulates all
        that is there, one alone runs several times as fast as beside the others.
    code_coverage: count, under Verilator, which parts of the Verilog are exercised: each bench then
        leaves its counts in `code_coverage_file`.
    waves: make the benches able to record every signal, under Verilator.

    Raises MissingToolError if the simulator or its compiler is missing, BenchError if it fails.
    """
    check_tools(simulator)
    compile_verilog(
        simulator,
        to_verilog(to_rtlil(designs.top(benches), TOP)),
        TOP,
        build_dir,
        CODE_COVERAGE_OPTIONS if code_coverage else (),
        waves=waves,
    )


def bench_results(
    name: str,
    simulator: str,
    build_dir: Path,
    seed: int = DEFAULT_SEED,
    *,
    waves: bool = False,
) -> Path:
    """Run all tests of one bench; returns cocotb's results as XML.

    name: one of `BENCHES`.
    simulator, build_dir, waves: the same as for `build_benches`; log and results go to `build_dir`.
    seed: decides all stimuli.

    Raises BenchError if the simulation breaks off.
    """
    coverage = f"+verilator+coverage+file+{code_coverage_file(name, build_dir)}"
    return run_tests(
        simulator,
        f"stepnet_sim.benches.bench_{name}",
        TOP,
        build_dir,
        name,
        seed=seed,
        plusargs=[coverage] if simulator == "verilator" else [],
        variables={COVERAGE_VARIABLE: str(functional_coverage_file(name, build_dir))},
        waves=waves,
    )


def check_bench(name: str, simulator: str, build_dir: Path, seed: int = DEFAULT_SEED) -> int:
    """Run all tests of one bench as `bench_results` does; returns how many there were.

    Raises BenchError if a test fails or the simulation breaks off.
    """
    tests, failures = get_results(bench_results(name, simulator, build_dir, seed))
    if failures:
        log = build_dir / f"{name}.log"
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
