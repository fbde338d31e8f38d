"""docs/learning.md and its plot, from the results of benchmarks/learning_grid.py.

    python benchmarks/learning_report.py RUNS

Needs matplotlib. What the page says in words is in learning_report.md beside this file; every
figure in it comes from the runs.
"""

from __future__ import annotations

import argparse
import csv
import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from string import Template

from stepnet.files import write_text
from stepnet.networks import shipped as networks

HERE = Path(__file__).parent
DOCS = HERE.parent / "docs"
READOUTS = ("bits", "tree", "nearest")
DATA = ("mnist", "unipen")
COLUMNS = tuple(
    f"result.{name}" for name in ("accuracy", "float_accuracy", "seconds", "weight_bits_total")
)
"""Of the table of results that are read."""

ROWS = {
    "surrogate-1+8": "surrogate, 1 bit, last layer 8",
    "wide-8": "surrogate, one hidden layer of 512, 8 bits",
    "delta-8": "delta, one hidden layer of 512, 8 bits",
    "sigmoid-8": "sigmoid, one hidden layer of 512, 8-bit twin",
}
"""Networks with all three readouts, by the middle of their runs' names."""

WEIGHTS = {
    "surrogate-1": "1 bit",
    "surrogate-1+8": "1 bit, last layer 8",
    "surrogate-ternary": "ternary",
    "surrogate-4": "4 bits",
    "surrogate-8": "8 bits",
}

SURROGATES = {
    "straight-through-1+8": "straight-through",
    "surrogate-1+8": "hard-tanh",
    "sigmoid-1+8": "sigmoid",
    "arctan-1+8": "arctan",
    "triangle-1+8": "triangle",
}


@dataclass(frozen=True)
class Figure:
    """What all seeds of one network came to.

    accuracies: exact codes on the test part, 0 to 1, one for each seed. float_accuracies: of the
    float network before its rounding, rule sigmoid only. seconds: of training, the mean.
    """

    accuracies: tuple[float, ...]
    float_accuracies: tuple[float, ...]
    seconds: float
    weight_bits_total: int

    @property
    def mean(self) -> float:
        """In per cent."""
        return 100 * statistics.mean(self.accuracies)

    @property
    def deviation(self) -> float:
        """Sample standard deviation, in points."""
        return 100 * statistics.stdev(self.accuracies) if len(self.accuracies) > 1 else 0.0

    def __str__(self) -> str:
        return f"{self.mean:.2f} ± {self.deviation:.2f}"


def read_runs(runs: Path) -> dict[str, Figure]:
    """The finished runs of a folder, those that differ in their seed together, by name."""
    results: dict[str, list[dict[str, float]]] = {}
    with (runs / "results.csv").open(newline="") as file:
        for row in sorted(csv.DictReader(file), key=lambda row: row["point"]):
            name = row["point"].rpartition("-")[0]
            told = {
                column.removeprefix("result."): float(row[column])
                for column in COLUMNS
                if row.get(column)
            }
            if not row["error"]:
                results.setdefault(name, []).append(told)
    return {
        name: Figure(
            tuple(result["accuracy"] for result in found),
            tuple(result["float_accuracy"] for result in found if "float_accuracy" in result),
            statistics.mean(result["seconds"] for result in found),
            int(found[0]["weight_bits_total"]),
        )
        for name, found in results.items()
    }


def rules_table(figures: Mapping[str, Figure], data: str) -> str:
    """Rule x readout of one data set."""
    lines = [
        "| rule and weights | `bits` | `tree` | `nearest` | weights | training |",
        "|---|---|---|---|---|---|",
    ]
    for middle, label in ROWS.items():
        row = [figures[f"{data}-{middle}-{readout}"] for readout in READOUTS]
        cells = [label, *map(str, row)]
        cells += [f"{row[0].weight_bits_total / 1000:,.0f} kbit", f"{row[0].seconds:.0f} s"]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def single_table(figures: Mapping[str, Figure], rows: Mapping[str, str], what: str) -> str:
    """One column of MNIST, readout bits."""
    lines = [f"| {what} | accuracy, % | weights | training |", "|---|---|---|---|"]
    for middle, label in rows.items():
        figure = figures[f"mnist-{middle}-bits"]
        size = f"{figure.weight_bits_total / 1000:,.0f} kbit"
        lines.append(f"| {label} | {figure} | {size} | {figure.seconds:.0f} s |")
    return "\n".join(lines)


def readout_table(figures: Mapping[str, Figure]) -> str:
    """What the code costs against nearest, and how much of it tree wins back."""
    lines = [
        "| data | rule and weights | cost of `bits` | of it won back by `tree` |",
        "|---|---|---|---|",
    ]
    for data in DATA:
        for middle, label in ROWS.items():
            bits, tree, nearest = (figures[f"{data}-{middle}-{r}"].mean for r in READOUTS)
            cost = nearest - bits
            won = f"{tree - bits:+.2f} points"
            if cost > 0.5:
                won += f", {(tree - bits) / cost:.0%}"
            lines.append(f"| {data} | {label} | {cost:.2f} points | {won} |")
    return "\n".join(lines)


def twin_table(figures: Mapping[str, Figure]) -> str:
    """The sigmoid network before and after its rounding to 8 bits."""
    lines = ["| data | readout | float, % | 8-bit twin, % |", "|---|---|---|---|"]
    for data in DATA:
        for readout in READOUTS:
            twin = figures[f"{data}-sigmoid-8-{readout}"]
            float_mean = 100 * statistics.mean(twin.float_accuracies)
            lines.append(f"| {data} | {readout} | {float_mean:.2f} | {twin.mean:.2f} |")
    return "\n".join(lines)


def shipped_table() -> str:
    """The networks in the package, by what their cards say."""
    lines = [
        "| network | layers | readout | characters | weights | accuracy, and the data |",
        "|---|---|---|---|---|---|",
    ]
    for name in networks.names():
        network = networks.load_network(name)
        cells = [
            f"`{name}`",
            "-".join(map(str, network.sizes)),
            network.readout,
            str(len(network.characters)),
            f"{network.weight_bits_total / 1000:,.0f} kbit",
            f"{network.card['accuracy']}; {network.card['data']}",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def draw(figures: Mapping[str, Figure], path: Path) -> None:
    """Accuracy of each readout under each rule, with every seed as a point."""
    from matplotlib.figure import Figure as Picture

    from stepnet.files import write_whole

    picture = Picture(figsize=(8.6, 3.6), dpi=160, layout="constrained")
    colours = {"bits": "#c8501e", "tree": "#8a9a3a", "nearest": "#1f5a94"}
    for axes, data in zip(picture.subplots(1, 2), DATA, strict=True):
        for place, middle in enumerate(ROWS):
            for offset, readout in zip((-0.26, 0, 0.26), READOUTS, strict=True):
                figure = figures[f"{data}-{middle}-{readout}"]
                x = place + offset
                axes.bar(
                    x,
                    figure.mean,
                    0.24,
                    color=colours[readout],
                    label=readout if place == 0 and data == DATA[0] else None,
                )
                points = [100 * accuracy for accuracy in figure.accuracies]
                axes.plot([x] * len(points), points, ".", color="#222222", markersize=3)
        lowest = min(figures[f"{data}-{m}-{r}"].mean - 2 for m in ROWS for r in READOUTS)
        axes.set_ylim(5 * (lowest // 5), 100 if data == "mnist" else None)
        axes.set_xticks(
            range(len(ROWS)),
            [
                "surrogate\n1 + 8 bit",
                "surrogate\n512, 8 bit",
                "delta\n512, 8 bit",
                "sigmoid\n512, 8 bit",
            ],
            fontsize=7,
        )
        title = {"mnist": "MNIST, 10 digits", "unipen": "UNIPEN, 94 characters, unseen writers"}
        axes.set_title(title[data], fontsize=9, loc="left")
        axes.set_ylabel("exactly the right code, %", fontsize=8)
        axes.tick_params(axis="y", labelsize=7)
        axes.spines[["top", "right"]].set_visible(False)
    picture.legend(loc="outside lower center", ncols=3, frameon=False, fontsize=8)
    write_whole(path, lambda file: picture.savefig(file, format="png", metadata={"Software": None}))


def main() -> None:
    """Write the page and the plot."""
    parser = argparse.ArgumentParser(description="Write docs/learning.md from run folders.")
    parser.add_argument("runs", type=Path)
    figures = read_runs(parser.parse_args().runs)
    values = {
        "mnist_rules": rules_table(figures, "mnist"),
        "unipen_rules": rules_table(figures, "unipen"),
        "weights": single_table(figures, WEIGHTS, "weights"),
        "surrogates": single_table(figures, SURROGATES, "slope"),
        "readouts": readout_table(figures),
        "twins": twin_table(figures),
        "shipped": shipped_table(),
    }
    values |= {
        name.replace("-", "_").replace("+", "p"): f"{figure.mean:.2f}"
        for name, figure in figures.items()
    }
    page = Template((HERE / "learning_report.md").read_text(encoding="utf-8"))
    write_text(DOCS / "learning.md", page.substitute(values))
    draw(figures, DOCS / "learning.png")
    print(f"docs/learning.md: {len(figures)} networks")


if __name__ == "__main__":
    main()
