"""Accuracy of networks in arrays of phase-change memory over the time since programming.

    python benchmarks/analogue_accuracy.py [--measure [WHAT ...]] [--data-dir FOLDER] [--json]

What was measured is in benchmarks/analogue_accuracy.json; from there docs/analogue.png is drawn in
a second. --measure measures anew, all or what is named, on MNIST's 10,000 test images; some minutes
for all. Every network is programmed ten times, and each programming is read after every time.
--taught measures a network that learned for arrays too, such as one of `stepnet train --analogue`.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from stepnet.analogue import SECONDS, ArraySettings, Thresholds, memory
from stepnet.data import sets
from stepnet.data.evaluation import accuracy, score
from stepnet.data.sets import Dataset
from stepnet.files import write_text
from stepnet.networks.network import Network
from stepnet.plots.drawing import (
    BLUE,
    GREY,
    GRID,
    INK,
    ORANGE,
    TEXT_POINTS,
    new_figure,
    quieten,
    save,
)

HERE = Path(__file__).parent
MEASURED = HERE / "analogue_accuracy.json"
PICTURE = HERE.parent / "docs" / "analogue.png"
PROGRAMMINGS = 10
GREEN = "#3a7d44"
TIMES = {
    "0": 0.0,
    "1min": SECONDS["min"],
    "1hour": SECONDS["hour"],
    "1day": SECONDS["day"],
    "1month": SECONDS["month"],
    "1year": SECONDS["year"],
}
LAST = {"1year": SECONDS["year"]}


class Case(NamedTuple):
    """A network in arrays of a kind, read after some times."""

    network: str
    settings: ArraySettings
    times: dict[str, float]


def fixed(**more: Any) -> ArraySettings:
    """Thresholds outside the arrays."""
    return ArraySettings(thresholds=Thresholds.FIXED, **more)


CASES = {
    "digits": Case("digits", ArraySettings(), TIMES),
    "digits, fixed": Case("digits", fixed(), TIMES),
    "digits, calibrated after a day": Case(
        "digits", fixed(calibrated_after_s=SECONDS["day"]), TIMES
    ),
    "digits-medium": Case("digits-medium", ArraySettings(), LAST),
    "digits, calibrated after a year": Case(
        "digits", fixed(calibrated_after_s=SECONDS["year"]), LAST
    ),
    **{
        f"digits, ADC of {bits} bits": Case(
            "digits", fixed(calibrated_after_s=SECONDS["year"], adc_bits=bits), LAST
        )
        for bits in (4, 5, 6, 8)
    },
    **{
        f"digits, DAC of {bits} bits": Case(
            "digits", fixed(calibrated_after_s=SECONDS["year"], dac_bits=bits), LAST
        )
        for bits in (3, 4, 6)
    },
    **{
        f"digits, {ohm:g} ohm, {rows} x {columns}": Case(
            "digits", ArraySettings(wire_ohm=ohm, tile_rows=rows, tile_columns=columns), LAST
        )
        for ohm, rows, columns in (
            (0.0, 256, 256),
            (0.15, 512, 256),
            (0.15, 1024, 256),
            (0.35, 256, 256),
            (1.0, 256, 256),
        )
    },
}
"""What is measured, by name."""


def measure(case: Case, images: Dataset) -> dict[str, Any]:
    """The accuracies of the network, 0 to 1: of its integers, and of each programming by time."""
    network = Network.load(case.network)
    found: dict[str, list[float]] = {after: [] for after in case.times}
    for number in range(PROGRAMMINGS):
        random = np.random.default_rng([0, number])
        programmed = memory("pcm").program(network, case.settings, random)
        for after, seconds in case.times.items():
            reader = programmed.after(seconds, random)
            found[after].append(accuracy(network, images, reader.infer))
    return {
        "digest": network.digest,
        "digital": score(network, images).accuracy,
        "accuracies": found,
    }


def lines(name: str, row: dict[str, Any]) -> Iterator[str]:
    """The row of a table for each time."""
    for after, accuracies in row["accuracies"].items():
        mean, deviation = 100 * np.mean(accuracies), 100 * np.std(accuracies, ddof=1)
        yield (
            f"{name:45} {after:7} {mean:6.2f} +- {deviation:.2f} %, digital "
            f"{100 * row['digital']:.2f} %"
        )


def draw(measured: dict[str, Any]) -> Path:
    """Accuracy over time, with bands of a standard deviation either way."""
    figure = new_figure(6.4, 3.8)
    axes = figure.subplots()
    figure.subplots_adjust(left=0.1, right=0.97, bottom=0.14, top=0.96)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color=GRID, linewidth=0.7)
    axes.set_axisbelow(True)
    for name, label, colour, style, first in (
        ("taught", "taught for arrays, thresholds in rows", GREEN, "-", "0"),
        ("digits", "digits, thresholds in rows", BLUE, "-", "0"),
        ("digits, fixed", "digits, thresholds fixed", GREY, ":", "0"),
        (
            "digits, calibrated after a day",
            "the same, calibrated after a day",
            ORANGE,
            "--",
            "1day",
        ),
    ):
        if name not in measured:
            continue
        times = [after for after in TIMES if TIMES[after] >= TIMES[first]]
        values = 100 * np.array([measured[name]["accuracies"][after] for after in times])
        # The first reading is drawn at the first second.
        seconds = np.maximum(1.0, [TIMES[after] for after in times])
        mean, deviation = values.mean(axis=1), values.std(axis=1, ddof=1)
        axes.fill_between(
            seconds, mean - deviation, mean + deviation, color=colour, alpha=0.2, lw=0
        )
        axes.plot(seconds, mean, style, color=colour, label=label, marker="o", markersize=3)
    axes.set_xscale("log")
    axes.set_xticks(
        np.maximum(1.0, list(TIMES.values())),
        ["programmed", "minute", "hour", "day", "month", "year"],
    )
    axes.minorticks_off()
    axes.set_ylim(84, 97)
    axes.set_xlabel("time since programming")
    axes.set_ylabel("exact codes of MNIST's test images (%)")
    axes.legend(loc="lower left", frameon=False, fontsize=TEXT_POINTS, labelcolor=INK)
    quieten(axes)
    return save(figure, PICTURE)


def main() -> None:
    """Measure what was asked for, and draw all that is known."""
    parser = argparse.ArgumentParser(description="Accuracy in arrays over time.")
    parser.add_argument("--measure", nargs="*", metavar="WHAT", help="measure anew")
    parser.add_argument("--taught", metavar="NPZ", help="a network that learned for arrays")
    parser.add_argument("--data-dir", help="folder of the data sets")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args()
    known = json.loads(MEASURED.read_text(encoding="utf-8")) if MEASURED.exists() else {}
    cases = dict(CASES)
    if arguments.taught is not None:
        cases["taught"] = Case(arguments.taught, ArraySettings(), TIMES)
    wanted = [] if arguments.measure is None else arguments.measure or [*CASES]
    wanted += ["taught"] if arguments.taught is not None else []
    images = sets.load("mnist", arguments.data_dir).test if wanted else None
    for name in wanted:
        assert images is not None
        known[name] = measure(cases[name], images)
        write_text(MEASURED, json.dumps(known, indent=2) + "\n")
    draw(known)
    if arguments.json:
        print(json.dumps(known))
        return
    for name, row in known.items():
        print("\n".join(lines(name, row)))


if __name__ == "__main__":
    main()
