"""Accuracy on MNIST over look-up tables of an ECP5: the shipped networks of tables and others.

    python benchmarks/pipeline_accuracy.py [--measure [NAME ...]] [--json]

What was measured is in benchmarks/pipeline_accuracy.json; from there docs/pipeline_accuracy.png is
drawn in a second. --measure synthesises the pipelines of shipped networks anew, all or those
named, whole cores from pixels to the character register, with Yosys alone; a network takes some
minutes. The accuracies are those of the cards: exact codes of the 10,000 test images.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
from pathlib import Path
from typing import NamedTuple

from stepnet import LutNetwork
from stepnet.files import write_text
from stepnet.networks.shipped import load_lut_network, lut_names
from stepnet.plots.drawing import BLUE, GREY, GRID, INK, TEXT_POINTS, new_figure, quieten, save
from stepnet_hdl.cores.pipeline.table_pipeline import TablePipeline
from stepnet_hdl.flow.tools import find_flow_tool
from stepnet_hdl.flow.verilog import to_rtlil

HERE = Path(__file__).parent
MEASURED = HERE / "pipeline_accuracy.json"
PICTURE = HERE.parent / "docs" / "pipeline_accuracy.png"

SYNTHESIS = "read_rtlil top.il; synth_ecp5 -top top -nowidelut; tee -q -o stat.json stat -json"


class Other(NamedTuple):
    """Somebody else's trained network, synthesised for the same part by the same tools."""

    name: str
    luts: int
    accuracy: float


OTHERS = (
    Other("KANELE", 12_638, 0.963),
    Other("TreeLUT, 1-bit pixels", 2_647, 0.960),
    Other("logic gates of a Tiny Tapeout chip", 7_453, 0.945),
)
"""LFE5U-25F, Yosys 0.70 with -nowidelut: KANELE's (arXiv:2512.12850) and TreeLUT's
(arXiv:2501.01511) published models, and the 256-pixel network of a difflogic chip."""


def measure(network: LutNetwork) -> dict[str, int]:
    """Cells of the network's whole core in Yosys's netlist, by kind."""
    with tempfile.TemporaryDirectory(prefix="stepnet-") as folder:
        text = to_rtlil(TablePipeline(network), "top")
        write_text(Path(folder, "top.il"), text)
        subprocess.run(
            [find_flow_tool("yosys").path, "-q", "-p", SYNTHESIS], cwd=folder, check=True
        )
        found = json.loads(Path(folder, "stat.json").read_text(encoding="utf-8"))
    cells = found["design"]["num_cells_by_type"]
    return {kind: cells.get(kind, 0) for kind in ("LUT4", "CCU2C", "TRELLIS_FF")}


def accuracy(network: LutNetwork) -> float:
    """What the card says of the test part."""
    return float(network.card["accuracy"].split()[0])


def draw(points: list[tuple[str, int, float]]) -> Path:
    """Accuracy over look-up tables; a carry cell of two bits takes the place of two of them.

    points: name, look-up tables and accuracy of each of our networks.
    """
    figure = new_figure(6.4, 3.8)
    axes = figure.subplots()
    figure.subplots_adjust(left=0.1, right=0.97, bottom=0.14, top=0.96)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color=GRID, linewidth=0.7)
    axes.set_axisbelow(True)
    text = {"fontsize": TEXT_POINTS, "xytext": (6, -3), "textcoords": "offset points"}
    ordered = sorted(points, key=lambda point: point[1])
    axes.plot([p[1] for p in ordered], [100 * p[2] for p in ordered], "o-", color=BLUE)
    for name, luts, part in ordered:
        axes.annotate(name, (luts, 100 * part), color=INK, **{**text, "xytext": (6, -11)})
    for other in OTHERS:
        axes.plot([other.luts], [100 * other.accuracy], "s", color=GREY)
        right = other.luts > 7_000
        side = {"ha": "right", "xytext": (-7, -3)} if right else {}
        axes.annotate(other.name, (other.luts, 100 * other.accuracy), color=INK, **{**text, **side})
    axes.set_xscale("log")
    ticks = (500, 1_000, 2_000, 5_000, 10_000)
    axes.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
    axes.set_xlim(400, 20_000)
    axes.minorticks_off()
    axes.set_xlabel("LUT4 and carry cells of the whole core, LFE5U, one image per cycle")
    axes.set_ylabel("exact codes of MNIST's test images (%)")
    quieten(axes)
    return save(figure, PICTURE)


def main() -> None:
    """Measure what was asked for, and draw all that is known."""
    parser = argparse.ArgumentParser(description="Accuracy over look-up tables.")
    parser.add_argument("--measure", nargs="*", metavar="NAME", help="synthesise networks anew")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args()
    known = json.loads(MEASURED.read_text(encoding="utf-8")) if MEASURED.exists() else {}
    if arguments.measure is not None:
        for name in arguments.measure or lut_names():
            network = load_lut_network(name)
            known[name] = {"digest": network.digest, **measure(network)}
            write_text(MEASURED, json.dumps(known, indent=2, sort_keys=True) + "\n")
    rows = {
        name: {**cells, "accuracy": accuracy(load_lut_network(name))}
        for name, cells in known.items()
        if cells["digest"] == load_lut_network(name).digest
    }
    points = [
        (name, row["LUT4"] + 2 * row["CCU2C"], row["accuracy"])
        for name, row in rows.items()
        if name.startswith("digits")
    ]
    draw(points)
    if arguments.json:
        print(json.dumps(rows))
        return
    for name, row in rows.items():
        print(
            f"{name}: {row['LUT4']:,} LUT4, {row['CCU2C']:,} CCU2C, {row['TRELLIS_FF']:,} "
            f"flip-flops, {row['accuracy']:.2%}"
        )


if __name__ == "__main__":
    main()
