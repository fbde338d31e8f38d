"""What came out of a build, read from what the tools report."""

from __future__ import annotations

import dataclasses
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stepnet.printable import printable
from stepnet_hdl.fpga.family import CellNames
from stepnet_hdl.fpga.parts import FAMILIES

_SUFFIXES = (*dict.fromkeys(mark for of in FAMILIES for mark in of.cells.suffixes), r"\$nextpnr")
_CELL_SUFFIX = re.compile(rf"_({'|'.join(_SUFFIXES)}).*")
"""What Yosys and nextpnr add to the name of the signal that a cell drives or feeds."""

_COPY_SUFFIX = re.compile(r"\$\d+")
"""What Amaranth adds to a name that another object of the same module has."""


@dataclass(frozen=True)
class PathStep:
    """One signal on the critical path.

    name: of the signal or cell, in the design's own names.
    after_ns: when it is reached.
    location: column and row of the cell on the chip.
    """

    name: str
    after_ns: float
    location: tuple[int, int]


@dataclass(frozen=True)
class Timing:
    """What nextpnr found for one clock.

    clock: its name in the design.
    achieved_hz: the largest frequency it would meet.
    constraint_hz: what it has to meet.
    path: the slowest one, from flip-flop to flip-flop.
    """

    clock: str
    achieved_hz: int
    constraint_hz: int
    path: tuple[PathStep, ...]


@dataclass(frozen=True, kw_only=True)
class BuildFigures:
    """What the tools made of a plan; figures are nextpnr's, for the placed and routed chip. The
    cache keeps them.

    bitstream_name: the name of the file to program.
    luts, flip_flops, block_rams, single_port_rams: used, and of how many. flip_flops is 0 where
        they share a cell with the LUTs.
    wire: what carries the bytes, "uart" or "spi"; pins are those of the package that it comes in
        at, by wire. On SPI `baud` is the highest clock of the line.
    oscillator: inside the part, that the clock comes from; None if it comes from a pin.
    max_frequency_hz: of the slowest clock; at least `clock_hz`, the one the board runs at.
    seed: of place and route, the best of `seeds_hz`, which has what each reached.
    critical_path: of the slowest clock.
    tools: each with its version and where it comes from.
    plan_digest: of all that the tools were given.
    seconds: by step; what it took when it was built.
    """

    part: str
    bitstream_name: str
    luts: int
    luts_available: int
    flip_flops: int
    flip_flops_available: int
    block_rams: int
    block_rams_available: int
    single_port_rams: int
    single_port_rams_available: int
    max_frequency_hz: int
    clock_hz: int
    oscillator: str | None = None
    baud: int
    wire: str = "uart"
    pins: dict[str, str] = dataclasses.field(default_factory=dict)
    seed: int
    seeds_hz: dict[int, int]
    critical_path: tuple[PathStep, ...]
    tools: tuple[str, ...]
    plan_digest: str
    seconds: dict[str, float]

    def to_json(self) -> str:
        """Return one JSON object, from which `figures_from_json` or `report_from_json` makes the
        same again."""
        return json.dumps(dataclasses.asdict(self), default=str, indent=1)


@dataclass(frozen=True, kw_only=True)
class BuildReport(BuildFigures):
    """What came of a request for a build: the figures, and where its files are for this one.

    board: its name, or module:Class, as it was asked for.
    network: the name of the network that is built in; None for none.
    bitstream: the file to program.
    picture: the placement, coloured by block.
    digests: SHA-256 of these two files, by name.
    cached: whether the result was there already.
    """

    board: str
    network: str | None
    bitstream: Path
    picture: Path
    digests: dict[str, str]
    cached: bool

    @property
    def spare(self) -> float:
        """The part of its frequency by which the clock is met; 0.05 is 5 %."""
        return self.max_frequency_hz / self.clock_hz - 1

    @property
    def utilisation(self) -> dict[str, tuple[int, int]]:
        """Cells of each kind that the part has: used, and of how many."""
        counts = {
            "LUTs": (self.luts, self.luts_available),
            "flip-flops": (self.flip_flops, self.flip_flops_available),
            "block RAMs": (self.block_rams, self.block_rams_available),
            "SPRAMs": (self.single_port_rams, self.single_port_rams_available),
        }
        return {kind: count for kind, count in counts.items() if count[1]}

    def to_text(self) -> str:
        """Return what a person reads, in some lines."""
        lines = [printable(f"{self.bitstream}: {self.board}, {self.part}")]
        lines += [f"  {name:<12}{printable(value)}" for name, value in self._facts()]
        lines.append("  critical path")
        for step in self.critical_path:
            column, row = step.location
            name = printable(step.name)
            lines.append(f"    {step.after_ns:6.2f} ns  {name}  (column {column}, row {row})")
        return "\n".join(lines)

    def _facts(self) -> list[tuple[str, str]]:
        facts = [
            (kind, f"{used} of {available} ({used / available:.0%})")
            for kind, (used, available) in self.utilisation.items()
        ]
        if self.network is not None:
            facts.insert(0, ("built in", self.network))
        facts += [
            (
                "clock",
                f"{self.clock_hz / 1e6:g} MHz, reaches {self.max_frequency_hz / 1e6:.1f} MHz "
                f"({self.spare:.0%} to spare)",
            ),
            *self._oscillator_in_words(),
            self._wire_in_words(),
            ("tools", ", ".join(self.tools)),
            ("seed", self._seeds_in_words()),
            ("time", self._time_in_words()),
        ]
        return facts

    def _wire_in_words(self) -> tuple[str, str]:
        if self.wire == "uart":
            return "serial", f"{self.baud} baud"
        pins = ", ".join(f"{wire} {pin}" for wire, pin in self.pins.items())
        return "SPI", f"mode 0, up to {self.baud / 1e6:g} MHz; {pins}"

    def _oscillator_in_words(self) -> list[tuple[str, str]]:
        if self.oscillator is None or self.wire == "spi":
            return []
        doubt = (
            f"{self.oscillator} inside the part, which may be 10 % off, while a serial line bears "
            "about 4 %; if the board does not answer, clock it from a crystal"
        )
        return [("oscillator", doubt)]

    def _seeds_in_words(self) -> str:
        if len(self.seeds_hz) == 1:
            return str(self.seed)
        worst_hz = min(self.seeds_hz.values())
        return f"{self.seed}, the best of {len(self.seeds_hz)}; the worst {worst_hz / 1e6:.1f} MHz"

    def _time_in_words(self) -> str:
        spent = ", ".join(f"{step} {seconds:.0f} s" for step, seconds in self.seconds.items())
        return f"from the cache; when it was built: {spent}" if self.cached else spent


def figures_from_json(text: str) -> BuildFigures:
    """Return what `BuildFigures.to_json` wrote; ValueError, KeyError, TypeError or AttributeError
    if it is something else."""
    return BuildFigures(**_figures(json.loads(text)))


def report_from_json(text: str) -> BuildReport:
    """Return what `BuildReport.to_json` wrote; errors as in `figures_from_json`."""
    fields = _figures(json.loads(text))
    fields["bitstream"] = Path(fields["bitstream"])
    fields["picture"] = Path(fields["picture"])
    return BuildReport(**fields)


def _figures(fields: dict[str, Any]) -> dict[str, Any]:
    """The fields of a JSON object, those of `BuildFigures` in their own types."""
    path = [
        PathStep(step["name"], step["after_ns"], tuple(step["location"]))
        for step in fields["critical_path"]
    ]
    return fields | {
        "seeds_hz": {int(seed): hz for seed, hz in fields["seeds_hz"].items()},
        "tools": tuple(fields["tools"]),
        "critical_path": tuple(path),
    }


def cells(report: dict[str, Any], name: str | None) -> tuple[int, int]:
    """The cells of a kind in nextpnr's report, used and available; 0 of 0 for None and for a kind
    that the part lacks."""
    counts = report["utilization"].get(name, {"used": 0, "available": 0})
    return counts["used"], counts["available"]


def luts(report: dict[str, Any], names: CellNames) -> tuple[int, int]:
    """The LUTs in nextpnr's report whose places are taken, and how many the part has."""
    used = sum(places * cells(report, name)[0] for name, places in names.luts.items())
    return used, cells(report, next(iter(names.luts)))[1]


def slowest_clock(report: dict[str, Any]) -> Timing:
    """The clock in nextpnr's report that comes closest to missing its constraint, or misses it by
    most."""
    clock, fmax = min(
        report["fmax"].items(), key=lambda item: item[1]["achieved"] / item[1]["constraint"]
    )
    path = next(
        (
            path["path"]
            for path in report["critical_paths"]
            if path["from"].endswith(clock) and path["to"].endswith(clock)
        ),
        [],
    )
    return Timing(
        own_name(clock),
        round(fmax["achieved"] * 1e6),
        round(fmax["constraint"] * 1e6),
        _path_steps(path),
    )


def own_name(cell: str) -> str:
    """The signal or block of the design that a cell is named after.

    `engine.weights$98.spram_0_1_RAM` is `engine.weights.spram_0_1`; `a.b_SB_LUT4_O_3_I2` is `a.b`.
    """
    return _COPY_SUFFIX.sub("", _CELL_SUFFIX.sub("", cell))


def _path_steps(path: list[dict[str, Any]]) -> tuple[PathStep, ...]:
    """Where the path goes, one step for all cells in a row that have the same own name."""
    steps: list[PathStep] = []
    after_ns = 0.0
    for segment in path:
        after_ns += segment["delay"]
        if segment["type"] == "clk-skew":
            continue  # no place on the path: it names its two ends
        end = segment["to"]
        column, row = end["loc"]
        step = PathStep(own_name(end["cell"]), round(after_ns, 2), (column, row))
        if steps and steps[-1].name == step.name:
            steps.pop()
        steps.append(step)
    return tuple(steps)
