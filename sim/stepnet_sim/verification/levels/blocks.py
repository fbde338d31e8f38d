"""The level `blocks`: every bench under Verilator, and what the benches exercised."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from stepnet_sim.benches.bench_runner import (
    BENCHES,
    build_benches,
    check_bench,
    code_coverage_file,
    functional_coverage_file,
)
from stepnet_sim.benches.coverage import POINTS, missed, read_hits
from stepnet_sim.benches.simulator import BenchError
from stepnet_sim.verification.code_coverage import read_counts
from stepnet_sim.verification.ladder import Outcome

SIMULATOR = "verilator"

EXPECTED = {
    "popcount": "int.bit_count, to the cycle",
    "uart": "the line's levels, to the cycle",
    "engine": "the reference, to the cycle",
    "chip": "a model of the board",
    "pipeline": "the reference, to the cycle",
    "mac": "the reference, to the cycle",
    "spiking": "the reference, to the cycle",
}
"""What each bench compares the gateware with."""


def run(
    folder: Path, progress: Callable[[str], None], boards: Sequence[str] = ()
) -> Iterator[Outcome]:
    """The benches one after the other, then functional and code coverage."""
    del boards  # they are not about any one board
    progress("Compiling the benches")
    build_dir = folder.absolute()
    build_benches(SIMULATOR, build_dir, code_coverage=True)
    for name in BENCHES:
        progress(f"Running the bench {name!r}")
        yield checked(name, build_dir)
    yield from functional_coverage(build_dir)
    yield from code_coverage(build_dir)


def checked(name: str, build_dir: Path) -> Outcome:
    """Run one bench."""
    started_s = time.monotonic()
    cases, disagreement = "", ""
    try:
        cases = f"{check_bench(name, SIMULATOR, build_dir)} tests"
    except BenchError as error:
        disagreement = str(error)
    seconds = time.monotonic() - started_s
    return Outcome(f"bench {name}", EXPECTED[name], cases, seconds, None, disagreement)


def functional_coverage(build_dir: Path) -> Iterator[Outcome]:
    """An outcome for each point; a bin that no bench exercised is a hole in them, and fails."""
    hits: Counter[tuple[str, str]] = Counter()
    for name in BENCHES:
        hits += read_hits(functional_coverage_file(name, build_dir))
    for point, bins in POINTS.items():
        holes = missed(hits, point)
        counted = ", ".join(f"{value} {hits[point, value]}" for value in bins)
        yield Outcome(
            f"exercised, {point}",
            f"{len(bins)} bins",
            counted,
            0.0,
            disagreement=f"never exercised: {', '.join(holes)}" if holes else "",
        )


def code_coverage(build_dir: Path) -> Iterator[Outcome]:
    """An outcome for each block, as figures to look at: reset values and unused widths keep them
    below 100 %.
    """
    files = [code_coverage_file(name, build_dir) for name in BENCHES]
    for block, coverage in read_counts(path for path in files if path.exists()).items():
        yield Outcome(
            f"code, {block}",
            "branches and toggles",
            f"{coverage.lines} of branches, {coverage.toggles} of toggles",
            0.0,
        )
