"""How a sweep scales: two workers against one, and what 100 workers would do with 10,000 points.

    python benchmarks/sweep_scaling.py [--points 16] [--only-calculate] [--json]

First the same points are run with `stepnet sweep` by one process and by two, and compared to the
bit; that needs two idle cores, and the load before is told. Then it is measured what a point costs
the sweep itself, of which there is one however many workers there are: handing it to Dask's
scheduler, taking its result with a network's file, and keeping it on the disk; with scheduler,
worker and sweep in one process, which is more than they cost in three. With that a simulation plays
many workers: each takes a point, which takes a time drawn around a mean, and the sweep serves one
result after the other.
"""

from __future__ import annotations

import argparse
import csv
import heapq
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from stepnet.sweeps.cluster import PLACES_PER_THREAD, Cluster
from stepnet.sweeps.grid import Grid
from stepnet.sweeps.journal import Journal
from stepnet.sweeps.point import Point
from stepnet.sweeps.run import run_sweep
from stepnet.sweeps.work import Outcome, Task

CHEAP_POINTS = 500
FILE_BYTES = 50_000
"""Of the network that a point leaves: about `digits-medium`."""

POINTS = 10_000
WORKERS = (1, 2, 10, 100, 1000)
MEANS_S = (10.0, 60.0, 600.0)
"""How long a point takes on the mean."""

SPREAD = 0.3
"""Standard deviation of the logarithm of a point's time."""

SWEEP = """
[sweep]
command = "train"
name = "scaling"

[fixed]
data = "scaling.npz"
rule = "delta"
hidden = "128"
epochs = 2

[grid]
seed = {seeds}
"""


def two_against_one(points: int, folder: Path) -> dict[str, object]:
    """The same points by one process and by two."""
    draw = np.random.default_rng(0)
    images = draw.integers(0, 256, (4000, 28, 28), dtype=np.uint8)
    labels = draw.integers(48, 58, 4000).astype(np.uint8)
    np.savez(folder / "scaling.npz", images=images, labels=labels)
    path = folder / "scaling.toml"
    path.write_text(SWEEP.format(seeds=list(range(points))))
    seconds: dict[int, float] = {}
    digests: dict[int, list[str]] = {}
    load_before = os.getloadavg()[0]
    for jobs in (1, 2):
        output = folder / f"jobs-{jobs}"
        words = ["sweep", str(path), "--output", str(output), "--jobs", str(jobs)]
        start_s = time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", "stepnet", *words], check=True, capture_output=True, cwd=folder
        )
        seconds[jobs] = time.perf_counter() - start_s
        with (output / "results.csv").open(newline="") as file:
            digests[jobs] = [row["result.digest"] for row in csv.DictReader(file)]
    return {
        "points": points,
        "load_before": round(load_before, 2),
        "one_s": round(seconds[1], 1),
        "two_s": round(seconds[2], 1),
        "speedup": round(seconds[1] / seconds[2], 2),
        "same_to_the_bit": digests[1] == digests[2] and len(set(digests[1])) == points,
    }


def cheap(task: Task) -> Outcome:
    """A point that costs its worker nothing."""
    return Outcome({"accuracy": 0.5}, "", 0, 0.0, "here", {"network.npz": bytes(FILE_BYTES)})


def cost_s(folder: Path) -> float:
    """Seconds that a point costs the sweep, scheduler and worker in the same process."""
    distributed: Any = import_module("distributed")
    points = [Point("train", {"seed": seed}) for seed in range(CHEAP_POINTS)]
    with (
        distributed.LocalCluster(
            n_workers=1, threads_per_worker=8, processes=False, dashboard_address=None
        ) as cluster,
        Journal(folder, "cheap") as journal,
    ):
        workers = Cluster(cluster.scheduler_address, 10.0, run=cheap)
        start_s = time.perf_counter()
        progress = run_sweep(
            Grid(points, ()), workers, journal, lambda point: Task(point.name, point.words), 0
        )
        passed_s = time.perf_counter() - start_s
        workers.close()
    if progress.done != CHEAP_POINTS:
        raise SystemExit("Some points failed.")
    return passed_s / CHEAP_POINTS


@dataclass(frozen=True)
class Played:
    """A sweep that was simulated.

    efficiency: the part of the workers' time in which they ran points.
    """

    workers: int
    mean_s: float
    hours: float
    efficiency: float


def play(workers: int, mean_s: float, each_s: float, seed: int = 0) -> Played:
    """Simulate `POINTS` points, of which each costs the sweep `each_s` when it ends.

    As in `Cluster`, so many points are handed out as there are places, and the next one only when
    the sweep has taken a result; a worker with none waiting is idle.
    """
    draw = random.Random(seed)
    shift = -SPREAD * SPREAD / 2
    took = [mean_s * draw.lognormvariate(shift, SPREAD) for _ in range(POINTS)]
    waiting = min(POINTS, PLACES_PER_THREAD * workers)  # that are handed out
    next_point = waiting
    idle = workers
    begun = 0
    running: list[float] = []
    now_s = free_s = 0.0
    handed: list[float] = [0.0] * waiting
    while begun < POINTS or running:
        # Workers take what is handed out, in its order, as soon as it is there.
        while idle and begun < len(handed):
            heapq.heappush(running, max(now_s, handed[begun]) + took[begun])
            idle -= 1
            begun += 1
        now_s = heapq.heappop(running)
        idle += 1
        free_s = max(free_s, now_s) + each_s
        if next_point < POINTS:
            handed.append(free_s)
            next_point += 1
    total_s = max(now_s, free_s)
    return Played(workers, mean_s, round(total_s / 3600, 2), sum(took) / (workers * total_s))


def measure(points: int, only_calculate: bool) -> dict[str, object]:
    """All figures."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        compared = None if only_calculate else two_against_one(points, folder)
        each_s = cost_s(folder / "cheap")
    played = [play(workers, mean_s, each_s) for mean_s in MEANS_S for workers in WORKERS]
    return {
        "two_against_one": compared,
        "cost_ms_per_point": round(1e3 * each_s, 2),
        "saturated_at_workers": {f"{mean_s:g} s": round(mean_s / each_s) for mean_s in MEANS_S},
        "simulated": [{**vars(each), "efficiency": round(each.efficiency, 4)} for each in played],
    }


def main() -> None:
    """Print the figures, or one JSON object."""
    parser = argparse.ArgumentParser(description="How a sweep scales.")
    parser.add_argument("--points", type=int, default=16)
    parser.add_argument("--only-calculate", action="store_true", help="leave the trainings out")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args()
    result = measure(arguments.points, arguments.only_calculate)
    if arguments.json:
        print(json.dumps(result))
        return
    print(f"two against one: {result['two_against_one']}")
    print(f"a point costs the sweep {result['cost_ms_per_point']} ms")
    print(f"saturated at workers: {result['saturated_at_workers']}")
    for each in result["simulated"] if isinstance(result["simulated"], list) else []:
        print(
            f"{each['mean_s']:>5g} s a point, {each['workers']:>5} workers: {each['hours']:>8} h, "
            f"{each['efficiency']:.1%} busy"
        )


if __name__ == "__main__":
    main()
