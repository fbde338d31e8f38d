"""Train the networks that docs/learning.md compares: every rule, readout and kind of weights.

    python benchmarks/learning_grid.py RUNS [--data-dir FOLDER] [--jobs 2]

Each network is trained with `stepnet train` into a run folder in RUNS, with three seeds. Runs that
are done are left alone and stopped ones go on, so the command can be repeated. All of it takes
about half an hour on two cores.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

SEEDS = (0, 1, 2)

COMMON = {
    "mnist": "--data mnist --ink-threshold 64 --epochs 3",
    "unipen": "--data unipen --clean --ink-threshold 64 --epochs 2",
}
"""What all networks of one data set share."""

SHAPES = {"mnist": "128,64", "unipen": "512,256,128"}

READOUTS = ("bits", "tree", "nearest")


@dataclass(frozen=True)
class Entry:
    """One network to train: the name of its folder, and the options of `stepnet train`."""

    name: str
    options: str


def entries() -> Iterator[Entry]:
    """All of them, for each seed."""
    for seed in SEEDS:
        for name, options in _networks():
            data = name.partition("-")[0]
            yield Entry(f"{name}-{seed}", f"{COMMON[data]} {options} --seed {seed}")


def _networks() -> Iterator[tuple[str, str]]:
    for readout in READOUTS:
        for data, hidden in SHAPES.items():
            shape = f"--readout {readout} --hidden {hidden}"
            layers = hidden.count(",") + 2
            wider_last = ",".join(["1"] * (layers - 1) + ["8"])
            yield f"{data}-surrogate-1+8-{readout}", f"{shape} --weight-bits {wider_last}"
            # One hidden layer, as in the exercise; the sigmoid network has the same shape.
            wide = f"--readout {readout} --hidden 512"
            yield f"{data}-delta-8-{readout}", f"{wide} --rule delta"
            yield f"{data}-sigmoid-8-{readout}", f"{wide} --rule sigmoid"
            yield f"{data}-wide-8-{readout}", f"{wide} --weight-bits 8"
    shape = f"--hidden {SHAPES['mnist']}"
    for weights in ("1", "ternary", "4", "8"):
        yield f"mnist-surrogate-{weights}-bits", f"{shape} --weight-bits {weights}"
    yield "mnist-deep-sigmoid-8-bits", f"{shape} --rule sigmoid"
    for surrogate in ("straight-through", "sigmoid", "arctan", "triangle"):
        yield (
            f"mnist-{surrogate}-1+8-bits",
            f"{shape} --weight-bits 1,1,8 --surrogate {surrogate}",
        )


def train(entry: Entry, runs: Path, data_dir: Path | None) -> None:
    """Train one network, unless that is done."""
    folder = runs / entry.name
    if (folder / "result.json").exists():
        return
    command = [sys.executable, "-m", "stepnet", "train", *entry.options.split()]
    command += ["--name", entry.name, "--run", str(folder), "--json"]
    command += ["--output", str(runs / f"{entry.name}.npz")]
    if data_dir:
        command += ["--data-dir", str(data_dir)]
    one_thread = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(command, env=one_thread, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{entry.name}: {done.stderr}")
    print(entry.name, flush=True)


def main() -> None:
    """Train all that is missing, `--jobs` at a time."""
    parser = argparse.ArgumentParser(description="Train the networks of docs/learning.md.")
    parser.add_argument("runs", type=Path)
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--jobs", type=int, default=2)
    arguments = parser.parse_args()
    arguments.runs.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(arguments.jobs) as pool:
        for _ in pool.map(
            lambda entry: train(entry, arguments.runs, arguments.data_dir), entries()
        ):
            pass


if __name__ == "__main__":
    main()
