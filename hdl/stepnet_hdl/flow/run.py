"""Runs the tools: synthesis once, place and route for every seed, packing for the best."""

from __future__ import annotations

import json
import os
import re
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stepnet.errors import BuildError
from stepnet.programs import run_program
from stepnet_hdl.flow.build_plan import Plan
from stepnet_hdl.flow.report import Timing, slowest_clock
from stepnet_hdl.flow.tools import Tool

TOOL_REPORT = "nextpnr.json"
PLACED_NETLIST = "stepnet.pnr.json"
LOG = "stepnet.log"


@dataclass(frozen=True)
class Progress:
    """Where a build is: the step that begins, and how many of how many are done."""

    step: str
    done: int
    total: int


@dataclass(frozen=True)
class Placed:
    """One run of place and route.

    folder: with the tool's files.
    report: nextpnr's own.
    """

    seed: int
    folder: Path
    report: dict[str, Any]
    timing: Timing


@dataclass(frozen=True)
class Built:
    """What the tools made.

    bitstream: the file to program.
    best: the run of place and route that it comes from.
    seeds_hz: the frequency that each seed reached.
    seconds: by step.
    """

    bitstream: Path
    best: Placed
    seeds_hz: dict[int, int]
    seconds: dict[str, float]


class ToolFailedError(BuildError):
    """A tool of the flow failed.

    log: everything that it printed or wrote into its logs.
    """

    def __init__(self, reason: str, log: str) -> None:
        super().__init__(reason)
        self.log = log


def run_flow(
    plan: Plan,
    tools: Mapping[str, Tool],
    folder: Path,
    *,
    seeds: Sequence[int],
    first_seed: bool = False,
    progress: Callable[[Progress], None],
) -> Built:
    """Make the bitstream of `plan` in `folder`; the best seed is the one with the fastest clock, or
    with `first_seed` the first that meets the clock, if one does.

    tools: by the names that the plan has for them.
    seeds: of place and route, in rising order, as many at a time as there are cores.

    Raises ToolFailedError if a tool fails.
    """
    total = 2 + len(seeds)
    seconds: dict[str, float] = {}
    for name, content in plan.files.items():
        (folder / name).write_text(content)

    started_s = time.monotonic()
    progress(Progress(f"Synthesis with {tools[plan.synthesis[0]]}", 0, total))
    _run(plan.synthesis, tools, folder)
    if plan.netlist_pass is not None:
        plan.netlist_pass(folder / plan.netlist_name)
    seconds["synthesis"] = time.monotonic() - started_s

    started_s = time.monotonic()
    placer = tools[plan.place_and_route[0]]
    progress(Progress(f"Place and route with {placer}", 1, total))
    placed: list[Placed] = []
    # Without a choice to make all may run at once; the first that meets the clock is looked for in
    # the order of the seeds, as many at a time as there are cores.
    at_once = min(len(seeds), os.cpu_count() or 1)
    waves = [seeds[n : n + at_once] for n in range(0, len(seeds), at_once)]
    for wave in waves if first_seed else [seeds]:
        placed += _place_all(plan, tools, folder, wave, progress, total - 2, placed)
        if first_seed and (met := _first_that_meets(placed)):
            placed = [run for run in placed if run.seed <= met.seed]
            break
    seconds["place and route"] = time.monotonic() - started_s

    started_s = time.monotonic()
    best = (_first_that_meets(placed) if first_seed else None) or max(placed, key=_rank)
    progress(Progress(f"Packing with {tools[plan.packing[0]]}", total - 1, total))
    _run(plan.packing, tools, best.folder)
    seconds["packing"] = time.monotonic() - started_s
    return Built(
        best.folder / plan.bitstream_name,
        best,
        {run.seed: run.timing.achieved_hz for run in sorted(placed, key=lambda run: run.seed)},
        seconds,
    )


def _place_all(
    plan: Plan,
    tools: Mapping[str, Tool],
    folder: Path,
    seeds: Sequence[int],
    progress: Callable[[Progress], None],
    seed_count: int,
    before: Sequence[Placed],
) -> list[Placed]:
    """Place and route with some of `seed_count` seeds, as many at a time as there are cores.

    before: the runs with earlier seeds, of which the progress tells too.
    """
    placed: list[Placed] = []
    with ThreadPoolExecutor(min(len(seeds), os.cpu_count() or 1)) as pool:
        runs = [pool.submit(_place_and_route, plan, tools, folder, seed) for seed in seeds]
        try:
            for run in as_completed(runs):
                placed.append(run.result())
                best = max([*before, *placed], key=_rank)
                progress(
                    Progress(
                        f"Place and route, best so far {best.timing.achieved_hz / 1e6:.1f} MHz",
                        1 + len(before) + len(placed),
                        2 + seed_count,
                    )
                )
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return placed


def _first_that_meets(placed: Sequence[Placed]) -> Placed | None:
    """The run with the smallest seed that meets its clock; None if none does."""
    met = (run for run in placed if run.timing.achieved_hz >= run.timing.constraint_hz)
    return min(met, key=lambda run: run.seed, default=None)


def _rank(placed: Placed) -> tuple[float, int]:
    """Faster is better; of equally fast ones the first seed, whichever was ready first."""
    return placed.timing.achieved_hz / placed.timing.constraint_hz, -placed.seed


def _place_and_route(plan: Plan, tools: Mapping[str, Tool], folder: Path, seed: int) -> Placed:
    own_folder = folder / f"seed-{seed}"
    own_folder.mkdir()
    for path in folder.iterdir():
        if path.is_file():
            shutil.copy(path, own_folder)
    # A clock that is not met is no failure yet: another seed may meet it.
    command = [*plan.place_and_route, "--seed", str(seed), "--report", TOOL_REPORT]
    command.append("--timing-allow-fail")
    if "--write" not in command:
        command += ["--write", PLACED_NETLIST]
    _run(command, tools, own_folder)
    report = json.loads((own_folder / TOOL_REPORT).read_text(encoding="utf-8"))
    return Placed(seed, own_folder, report, slowest_clock(report))


def _run(command: Sequence[str], tools: Mapping[str, Tool], folder: Path) -> None:
    name, *arguments = command
    done = run_program([tools[name].path, *arguments], cwd=folder)
    if done.returncode:
        logs = [path.read_text(errors="replace") for path in _logs(folder)]
        log = "\n".join([*logs, done.stdout, done.stderr])
        raise ToolFailedError(f"{name}: {_first_error(log)}", log)


def _logs(folder: Path) -> list[Path]:
    return sorted([*folder.glob("*.rpt"), *folder.glob("*.tim")])


def _first_error(log: str) -> str:
    """What a tool says of its first error, with the indented lines that go on with it: those that
    come after are what the first one led to."""
    found = re.search(
        r"^.*?\berror: *(.*(?:\n[ \t]+\S.*)*)$", log, flags=re.IGNORECASE | re.MULTILINE
    )
    return " ".join(found[1].split()) if found else "it did not say why"
