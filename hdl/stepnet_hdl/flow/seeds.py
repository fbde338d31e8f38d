"""Place and route with several seeds: a sweep, on the cores of this machine or on a cluster.

What is done is kept beside the build until the build is, so that one that was stopped goes on.
"""

from __future__ import annotations

import gzip
import json
import os
import shutil
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from stepnet.sweeps.cluster import Cluster, be_quiet
from stepnet.sweeps.errors import SweepError
from stepnet.sweeps.journal import POINTS, Entry, Journal
from stepnet.sweeps.local_workers import LocalWorkers
from stepnet.sweeps.point import Point
from stepnet.sweeps.run import Progress as SweepProgress
from stepnet.sweeps.run import run_sweep
from stepnet.sweeps.work import MOST_FILE_BYTES, Task
from stepnet.sweeps.workers import Workers
from stepnet_hdl.flow.build_plan import Plan
from stepnet_hdl.flow.place_and_route import (
    LOG,
    PACKED,
    PLACED_NETLIST,
    TOOL_FAILED,
    TOOL_REPORT,
    seed_task,
)
from stepnet_hdl.flow.report import Timing, slowest_clock
from stepnet_hdl.flow.tool_run import ToolFailedError
from stepnet_hdl.flow.tools import Tool

SWEEP = "seeds"
_SEED = "seed"
_WAIT_S = 60.0
"""How long a scheduler that is gone, or the first worker, is waited for."""


@dataclass(frozen=True)
class Placed:
    """One run of place and route.

    folder: with the tool's files, of which the netlist is compressed.
    report: nextpnr's own.
    """

    seed: int
    folder: Path
    report: dict[str, Any]
    timing: Timing

    @property
    def met(self) -> bool:
        """Whether its clock is met."""
        return self.timing.achieved_hz >= self.timing.constraint_hz


class _Seeds:
    """All seeds that are not done; or with `first` no more than it takes to know which is the first
    that meets the clock.

    placed: what is done, by seed.
    failed: why nextpnr failed, once it has.
    """

    def __init__(self, points: Mapping[int, Point], journal: Journal, *, first: bool) -> None:
        self.total = len(points)
        self.placed: dict[int, Placed] = {}
        self.failed: ToolFailedError | None = None
        self._journal = journal
        self._first = first
        for point in points.values():
            entry = journal.entries.get(point.key)
            if entry is not None and entry.done and not entry.result[TOOL_FAILED]:
                self.tell(entry)
        self._points = points
        self._left = deque(point for seed, point in points.items() if seed not in self.placed)

    @property
    def settled(self) -> bool:
        """See `Source.settled`."""
        if self.failed is not None:
            return True
        met = self.first_that_meets if self._first else None
        return met is not None and all(
            seed in self.placed for seed in self._points if seed < met.seed
        )

    @property
    def first_that_meets(self) -> Placed | None:
        """The run with the smallest seed that meets its clock, of those that are done."""
        return min((run for run in self.placed.values() if run.met), key=_seed_of, default=None)

    @property
    def best(self) -> Placed:
        """The fastest of those that are done."""
        return max(self.placed.values(), key=_rank)

    def next(self) -> Point | None:
        """See `Source.next`."""
        return self._left.popleft() if self._left else None

    def tell(self, entry: Entry) -> None:
        """See `Source.tell`."""
        folder = self._journal.folder / POINTS / entry.name
        reason = entry.error.removesuffix(".") or entry.result[TOOL_FAILED]
        if not reason and not (folder / TOOL_REPORT).is_file():
            reason = f"what nextpnr made is more than the {MOST_FILE_BYTES >> 20} MiB of a point"
        if reason:
            log = folder / LOG
            self.failed = ToolFailedError(reason, log.read_text() if log.is_file() else reason)
            return
        report = json.loads((folder / TOOL_REPORT).read_text(encoding="utf-8"))
        seed = int(entry.settings[_SEED])
        self.placed[seed] = Placed(seed, folder, report, slowest_clock(report))


def place_with_seeds(
    plan: Plan,
    tool: Tool,
    folder: Path,
    seeds: Sequence[int],
    workers: Workers,
    journal: Journal,
    *,
    first_seed: bool,
    say: Callable[[str, int], None],
) -> tuple[Placed, dict[int, int]]:
    """Place and route the netlist in `folder` with some seeds: the run with the fastest clock, or
    with `first_seed` the first that meets the clock, if one does, and what each seed reached, in
    hertz, up to the one that settled it. The run's folder is in `folder`, with all that packing
    needs.

    tool: for it.
    workers: who run it, see `open_workers`.
    journal: of this plan, these tools and seeds alone, see `open_journal`.
    say: is told, in a sentence without a full stop, how it goes, and how many seeds are done.

    Raises ToolFailedError if nextpnr fails, WorkersError if no workers are left that could run it.
    """
    files = {
        path.name: path.read_bytes()
        for path in folder.iterdir()
        if any(path.name in word for word in plan.place_and_route)
    }
    points = {
        seed: Point("place-and-route", {_SEED: seed}, called=f"{plan.digest[:12]}-seed-{seed}")
        for seed in sorted(seeds)
    }
    elsewhere = isinstance(workers, Cluster)

    def task_of(point: Point) -> Task:
        seed = int(point.settings[_SEED])
        return seed_task(point.name, plan.place_and_route, tool, files, seed, elsewhere=elsewhere)

    source = _Seeds(points, journal, first=first_seed)
    told = before = len(source.placed)

    def watch(progress: SweepProgress) -> None:
        nonlocal told
        if len(source.placed) > told:
            told = len(source.placed)
            best_mhz = source.best.timing.achieved_hz / 1e6
            say(f"Place and route, best so far {best_mhz:.1f} MHz", told)

    run_sweep(source, workers, journal, task_of, before, watch)
    if source.failed is not None:
        raise source.failed
    chosen = (source.first_that_meets if first_seed else None) or source.best
    wanted = source.placed.values()
    if first_seed and chosen.met:
        wanted = [run for run in wanted if run.seed <= chosen.seed]
    reached_hz = {run.seed: run.timing.achieved_hz for run in sorted(wanted, key=_seed_of)}
    return replace(chosen, folder=_for_packing(folder, chosen)), reached_hz


def open_journal(kept: Path) -> Journal:
    """The journal in the folder `kept`; a new one if what is there is none."""
    try:
        return Journal(kept, SWEEP)
    except SweepError:
        shutil.rmtree(kept, ignore_errors=True)
        return Journal(kept, SWEEP)


def open_workers(
    scheduler: str | None, seed_count: int, journal: Journal, say: Callable[[str], None]
) -> Workers:
    """Who runs place and route: the workers of the Dask scheduler at that address, or if it is None
    this machine, which does as many at a time as it has cores.

    say: is told, in a sentence without a full stop, what is waited for.

    Raises WorkersError if the scheduler is not there, or it or a worker has another version.
    """
    if scheduler is None:
        return LocalWorkers(min(seed_count, os.cpu_count() or 1), journal.work_folder)
    be_quiet()  # what it logs of a lost connection is said in a sentence
    return Cluster(scheduler, _WAIT_S, say)


def _seed_of(placed: Placed) -> int:
    return placed.seed


def _rank(placed: Placed) -> tuple[float, int]:
    """Faster is better; of equally fast ones the first seed, whichever was ready first."""
    return placed.timing.achieved_hz / placed.timing.constraint_hz, -placed.seed


def _for_packing(folder: Path, placed: Placed) -> Path:
    """A folder with all that synthesis and this run left."""
    own_folder = folder / f"seed-{placed.seed}"
    shutil.copytree(placed.folder, own_folder)
    for path in folder.iterdir():
        if path.is_file():
            shutil.copy(path, own_folder)
    packed = (own_folder / (PLACED_NETLIST + PACKED)).read_bytes()
    (own_folder / PLACED_NETLIST).write_bytes(gzip.decompress(packed))
    return own_folder
