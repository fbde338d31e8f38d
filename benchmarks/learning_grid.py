"""Train the networks that docs/learning.md compares: every rule, readout and kind of weights.

    python benchmarks/learning_grid.py RUNS [--data-dir FOLDER] [--jobs 2] [--scheduler tcp://...]

A sweep in the folder RUNS: each network is trained with `stepnet train`, with three seeds. What is
done is left alone and what was stopped goes on, so the command can be repeated. All of it takes
about half an hour on two cores.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from pathlib import Path

from stepnet.cli.sweep import task_of
from stepnet.sweeps.cluster import Cluster
from stepnet.sweeps.grid import Grid
from stepnet.sweeps.journal import Journal
from stepnet.sweeps.local_workers import LocalWorkers
from stepnet.sweeps.point import Point, Value
from stepnet.sweeps.results import write_results
from stepnet.sweeps.run import Progress, run_sweep

NAME = "learning"
SEEDS = (0, 1, 2)

COMMON: Mapping[str, Mapping[str, Value]] = {
    "mnist": {"data": "mnist", "ink-threshold": 64, "epochs": 3},
    "unipen": {"data": "unipen", "clean": True, "ink-threshold": 64, "epochs": 2},
}
"""What all networks of one data set share."""

SHAPES = {"mnist": "128,64", "unipen": "512,256,128"}

READOUTS = ("bits", "tree", "nearest")


def points(data_dir: Path | None) -> Iterator[Point]:
    """All of them, for each seed."""
    where: dict[str, Value] = {} if data_dir is None else {"data-dir": str(data_dir.resolve())}
    for seed in SEEDS:
        for name, options in _networks():
            data = name.partition("-")[0]
            called = f"{name}-{seed}"
            settings = {**COMMON[data], **options, **where, "seed": seed, "name": called}
            yield Point("train", settings, called=called)


def _networks() -> Iterator[tuple[str, dict[str, Value]]]:
    for readout in READOUTS:
        for data, hidden in SHAPES.items():
            shape: dict[str, Value] = {"readout": readout, "hidden": hidden}
            layers = hidden.count(",") + 2
            wider_last = ",".join(["1"] * (layers - 1) + ["8"])
            yield f"{data}-surrogate-1+8-{readout}", {**shape, "weight-bits": wider_last}
            # One hidden layer, as in the exercise; the sigmoid network has the same shape.
            wide: dict[str, Value] = {"readout": readout, "hidden": "512"}
            yield f"{data}-delta-8-{readout}", {**wide, "rule": "delta"}
            yield f"{data}-sigmoid-8-{readout}", {**wide, "rule": "sigmoid"}
            yield f"{data}-wide-8-{readout}", {**wide, "weight-bits": "8"}
    shape = {"hidden": SHAPES["mnist"]}
    for weights in ("1", "ternary", "4", "8"):
        yield f"mnist-surrogate-{weights}-bits", {**shape, "weight-bits": weights}
    yield "mnist-deep-sigmoid-8-bits", {**shape, "rule": "sigmoid"}
    for surrogate in ("straight-through", "sigmoid", "arctan", "triangle"):
        yield (
            f"mnist-{surrogate}-1+8-bits",
            {**shape, "weight-bits": "1,1,8", "surrogate": surrogate},
        )


def main() -> None:
    """Train all that is missing, `--jobs` at a time or on a cluster."""
    parser = argparse.ArgumentParser(description="Train the networks of docs/learning.md.")
    parser.add_argument("runs", type=Path)
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--scheduler")
    arguments = parser.parse_args()
    told = 0

    def watch(progress: Progress) -> None:
        nonlocal told
        if progress.done + progress.failed > told:
            told = progress.done + progress.failed
            entry = progress.last[-1]
            print(f"{progress.before + told}/{progress.total} {entry.name} {entry.error}".rstrip())

    with Journal(arguments.runs, NAME) as journal:
        done = {key for key, entry in journal.entries.items() if entry.done}
        all_points = list(points(arguments.data_dir))
        if arguments.scheduler:
            workers = Cluster(arguments.scheduler, wait_s=60.0, say=print)
        else:
            workers = LocalWorkers(arguments.jobs, journal.work_folder)
        try:
            progress = run_sweep(
                Grid(all_points, done),
                workers,
                journal,
                lambda point: task_of(point, Path()),
                len(done),
                watch,
            )
        finally:
            workers.close()
            write_results(arguments.runs / "results.csv", journal.entries.values())
    if progress.failed:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
