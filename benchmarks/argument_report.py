"""docs/argument.md and its plots, from files of what was measured.

    python benchmarks/argument_report.py

Takes the step engine's figures from the manifests of the shipped bitstreams, accuracies and memory
from the networks' own files, energies from benchmarks/energy.py, drift from analogue_accuracy.json,
spikes from spiking_cycles.json, and everything else, with the command that measured it, from
argument.json. What the page says in words is in argument_report.md. Needs matplotlib.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Any

from energy import MARLANN_J, counted, fit, fit_nets, image_energy
from matplotlib.figure import Figure

from stepnet.cores.engine.cycles import cycles_per_image
from stepnet.cores.engine.memory_image import check_fits, layer_weight_words
from stepnet.errors import NetworkError
from stepnet.files import write_text
from stepnet.networks.shipped import load_network
from stepnet_hdl.shipping.manifest import read_manifest, shipped_folder

HERE = Path(__file__).parent
DOCS = HERE.parent / "docs"
UP5K = "iCE40UP5K"
ENGINE_BOARDS = ("icebreaker", "ice40hx8kbevn", "ulx3s-12f")
ENGINE_NETWORKS = ("digits", "digits-medium")
TIMES = {"0": 0.0, "1min": 1.0, "1hour": 60.0, "1day": 1440.0, "1month": 43800.0, "1year": 525600.0}
"""Minutes after programming."""

DRIFT = {
    "thresholds drift along, one factor for each layer": "digits",
    "thresholds fixed": "digits, fixed",
    "drift along, and trained for it": "taught",
}
"""The rows of analogue_accuracy.json that are shown, by what they are."""

COUNTED_AS = {
    ("step engine", "digits", UP5K): "step engine, digits",
    ("multiply-accumulate core", "784-32-10, 8-bit weights", UP5K): (
        "multiply-accumulate core, 784-32-10"
    ),
    ("pipeline", "digits-lut-compact", UP5K): "pipeline, digits-lut-compact",
    ("spiking core, events", "784-256-10, 4 ticks", "LFE5U-25F"): "spiking core, digits-spiking",
}
"""The entries of energy_toggles.json, by core, network and part."""

COLOURS = ("#d97706", "#2563a8", "#4d7c0f", "#9333ea", "#57534e")


@dataclass(frozen=True)
class Chip:
    """What a core on a part comes to, with one network.

    memory_bits: of weights or truth tables. luts, dsps: None if nobody measured them.
    cycles: from one image to the next, in the core. operations: multiplications, matches or tables
    for one image. bits_moved: out of the memory of weights, for one image; None if not counted.
    """

    core: str
    network: str
    accuracy: float
    memory_bits: int
    part: str
    luts: int | None
    dsps: int | None
    clock_hz: int
    cycles: int
    operations: int
    bits_moved: int | None
    command: str

    @property
    def images_per_s(self) -> float:
        """In the core; a line brings fewer."""
        return self.clock_hz / self.cycles

    @property
    def _counted(self) -> dict[str, Any] | None:
        return counted().get(COUNTED_AS.get((self.core, self.network, self.part), ""))

    @property
    def toggles(self) -> float | None:
        """Of all nets that leave a logic cell, for one image; None if nobody counted them."""
        found = self._counted
        return None if found is None else found["routed_toggles"]

    @property
    def energy_j(self) -> tuple[float, float] | None:
        """The bounds for an image, as benchmarks/energy.py has them; None where there are no
        measurements of the part."""
        if self.part != UP5K or self.luts is None:
            return None
        constants, found = fit(), self._counted
        if found is not None:
            return image_energy(constants, fit_nets(constants), found).interval_j
        low_j = constants.static_w / self.clock_hz + constants.clock_j
        low_j += self.luts * constants.cell_j
        return low_j * self.cycles, max(MARLANN_J.values()) * self.cycles


def engine_chips() -> Iterable[Chip]:
    """The step engine of shipped bitstreams with networks that fit."""
    for board in ENGINE_BOARDS:
        manifest = read_manifest(shipped_folder(board))
        shape = manifest.shape
        for name in ENGINE_NETWORKS:
            network = load_network(name)
            try:
                check_fits(network, shape)
            except NetworkError:
                continue
            words = sum(layer_weight_words(network, layer, shape) for layer in network.layers)
            yield Chip(
                core="step engine",
                network=name,
                accuracy=float(network.card["accuracy"].split()[0]),
                memory_bits=network.weight_bits_total,
                part=manifest.part,
                luts=manifest.utilisation["LUTs"][0],
                dsps=0,
                clock_hz=manifest.clock_hz,
                cycles=cycles_per_image(network, shape),
                operations=sum(layer.weights.size for layer in network.layers),
                bits_moved=words * shape.simd * shape.pe,
                command=f"stepnet bench --board {board} --network {name}",
            )


def table(chips: Sequence[Chip]) -> str:
    """The chips, a line each."""
    lines = [
        "| core | network | right | memory, kbit | LUTs | DSPs | MHz | cycles | images/s | "
        "operations | kbit moved | toggles | uJ per image |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for chip in chips:
        energy = chip.energy_j
        cells = (
            chip.core,
            chip.network,
            f"{chip.accuracy:.2%}",
            f"{chip.memory_bits / 1000:,.0f}",
            "-" if chip.luts is None else f"{chip.luts:,}",
            "-" if chip.dsps is None else str(chip.dsps),
            f"{chip.clock_hz / 1e6:.4g}",
            f"{chip.cycles:,}",
            f"{chip.images_per_s:,.0f}",
            f"{chip.operations:,}",
            "-" if chip.bits_moved is None else f"{chip.bits_moved / 1000:,.0f}",
            "-" if chip.toggles is None else f"{chip.toggles:,.0f}",
            "no data" if energy is None else f"{energy[0] * 1e6:.2g} to {energy[1] * 1e6:.2g}",
        )
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def published_tables(found: dict[str, Any]) -> str:
    """What others measured on chips of their own."""
    lines = ["| chip | right | uJ per image | conditions | source |", "|---|---|---|---|---|"]
    lines += [
        f"| {row['chip']} | {row['accuracy']:.1%} | {row['energy_j'] * 1e6:.3g} | "
        f"{row['conditions']} | {row['source']} |"
        for row in found["published"]
    ]
    lines += [
        f"| {row['chip']} | - | - | {row['says']}: {row['why']} | {row['source']} |"
        for row in found["not_comparable"]
    ]
    return "\n".join(lines)


def drift_table(found: dict[str, Any]) -> str:
    """How an analogue array that holds `digits` reads after a time: mean of ten programmings."""
    lines = ["| | " + " | ".join(TIMES) + " |", "|---" * (len(TIMES) + 1) + "|"]
    for name, key in DRIFT.items():
        means = [statistics.mean(found[key]["accuracies"][time]) for time in TIMES]
        lines.append(f"| {name} | " + " | ".join(f"{mean:.2%}" for mean in means) + " |")
    return "\n".join(lines)


def ticks_table(found: dict[str, Any]) -> str:
    """What a spiking network has read after each tick."""
    lines = ["| ticks | right | spikes per image |", "|---|---|---|"]
    lines += [
        f"| {row['ticks']} | {row['right']:.2%} | {row['spikes']:,.0f} |" for row in found["ticks"]
    ]
    return "\n".join(lines)


def plot_accuracy(chips: Sequence[Chip], path: Path) -> None:
    """Accuracy over LUTs, over memory and over energy."""
    figure = Figure(figsize=(11, 3.6), layout="constrained")
    axes = figure.subplots(1, 3, sharey=True)
    cores = list(dict.fromkeys(chip.core for chip in chips))
    for core, colour in zip(cores, COLOURS, strict=False):
        of_core = [chip for chip in chips if chip.core == core]
        with_luts = [chip for chip in of_core if chip.luts is not None]
        style: dict[str, Any] = {"color": colour, "s": 34, "label": core}
        accuracies = [100 * chip.accuracy for chip in with_luts]
        axes[0].scatter([chip.luts for chip in with_luts], accuracies, **style)
        accuracies = [100 * chip.accuracy for chip in of_core]
        axes[1].scatter([chip.memory_bits / 1000 for chip in of_core], accuracies, **style)
        for chip in of_core:
            if energy := chip.energy_j:
                low, high = (1e6 * each for each in energy)
                axes[2].plot([low, high], [100 * chip.accuracy] * 2, color=colour, lw=3)
    titles = {
        "LUTs": (2000, 5000, 10_000),
        "kbit of memory": (30, 100, 300, 1000),
        "uJ per image, iCE40UP5K": (0.2, 1, 5, 20),
    }
    for axis, (title, ticks) in zip(axes, titles.items(), strict=True):
        axis.set_xscale("log")
        axis.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
        axis.set_xticks([], minor=True)
        axis.set_xlabel(title)
        axis.grid(alpha=0.3)
    axes[0].set_ylabel("right, % of MNIST's test images")
    handles, labels = axes[1].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), fontsize=8)
    figure.savefig(path, dpi=120)


def plot_time(analogue: dict[str, Any], spiking: dict[str, Any], path: Path) -> None:
    """Drift over time, and accuracy over spikes."""
    figure = Figure(figsize=(8.5, 3.4), layout="constrained")
    drift, spikes = figure.subplots(1, 2)
    for (name, key), colour, line in zip(DRIFT.items(), COLOURS, ("o-", "s-", "x--"), strict=False):
        accuracies = analogue[key]["accuracies"]
        means = [100 * statistics.mean(accuracies[time]) for time in TIMES]
        drift.plot(range(len(TIMES)), means, line, color=colour, label=name)
    drift.set_xticks(range(len(TIMES)), list(TIMES), fontsize=8)
    drift.set_ylabel("right, %")
    drift.set_xlabel("after programming")
    drift.legend(fontsize=7)
    rows = spiking["ticks"]
    spikes.plot([row["spikes"] for row in rows], [100 * row["right"] for row in rows], "o-")
    for row in rows:
        place = (row["spikes"], 100 * row["right"])
        spikes.annotate(
            str(row["ticks"]), place, (0, -14), textcoords="offset points", fontsize=8, ha="center"
        )
    spikes.set_xlabel("spikes per image; at each point the ticks")
    spikes.set_ylim(0, 103)
    for axis in (drift, spikes):
        axis.grid(alpha=0.3)
    figure.savefig(path, dpi=120)


def measured(name: str) -> Any:
    """A file of what was measured, beside this one."""
    return json.loads((HERE / name).read_text(encoding="utf-8"))


def all_chips() -> list[Chip]:
    """Those of shipped bitstreams, and those that argument.json has."""
    return [*engine_chips(), *(Chip(**chip) for chip in measured("argument.json")["chips"])]


def page() -> str:
    """The page, from argument_report.md and the tables."""
    chips, found = all_chips(), measured("argument.json")
    parts = list(dict.fromkeys(chip.part for chip in chips))
    tables = "\n\n".join(
        f"### {part}\n\n{table([chip for chip in chips if chip.part == part])}" for part in parts
    )
    commands = "\n".join(
        f"- {chip.core}, {chip.network}, {chip.part}: `{chip.command}`" for chip in chips
    )
    return Template((HERE / "argument_report.md").read_text(encoding="utf-8")).substitute(
        tables=tables,
        published=published_tables(found),
        drift=drift_table(measured("analogue_accuracy.json")),
        ticks=ticks_table(measured("spiking_cycles.json")),
        commands=commands,
    )


def main() -> None:
    """Write the page and both plots."""
    write_text(DOCS / "argument.md", page())
    plot_accuracy(all_chips(), DOCS / "argument_accuracy.png")
    analogue, spiking = measured("analogue_accuracy.json"), measured("spiking_cycles.json")
    plot_time(analogue, spiking, DOCS / "argument_time.png")


if __name__ == "__main__":
    main()
