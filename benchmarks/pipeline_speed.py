"""Sites and frequency of the pipeline on its own, placed and routed on an ECP5 of speed grade 6.

    python benchmarks/pipeline_speed.py [--only NAME] [--seeds N] [--json]

The whole core of a shipped network, from its pixels to its character register, takes an image in
every cycle. A register stands at each of its pins, the pixels' in one long shift register, because
a part has not as many pins as an image has pixels; these take no look-up tables. Sites are those of
nextpnr's TRELLIS_COMB, which a carry takes, too. Accuracies are those of the cards.

Where tables see pixels from all over the image, as in `ascii-lut`, wires and not tables are scarce,
and what nextpnr places side by side it cannot route. There the core works in neighbourhoods, and
idle look-up tables hold a part of the sites of each tile while cells are placed; they are gone
before these are routed, and the wires that lead there are free.
"""

from __future__ import annotations

import argparse
import itertools
import json
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from stepnet import LutNetwork
from stepnet.networks.shipped import load_lut_network
from stepnet_hdl.cores.pipeline.table_pipeline import TablePipeline
from stepnet_hdl.flow.tools import find_flow_tool
from stepnet_hdl.flow.verilog import to_rtlil


@dataclass(frozen=True)
class Case:
    """A network on a part.

    clock_hz: what nextpnr tries to reach.
    neighbourhoods: of the core.
    idle: on how many of the eight sites of a tile of an LFE5U-85F no cell is placed.
    """

    network: str
    part: str
    clock_hz: int
    neighbourhoods: int = 1
    idle: int = 0


CASES = (
    Case("digits-lut-compact", "LFE5U-25F", 300_000_000),
    Case("digits-lut", "LFE5U-25F", 300_000_000),
    Case("digits-lut-large", "LFE5U-25F", 300_000_000),
    Case("ascii-lut", "LFE5U-85F", 150_000_000, neighbourhoods=8, idle=5),
)

CLOCK_PIN = 'LOCATE COMP "clk" SITE "G2";\n'
"""The clock pin of a ULX3S: on the large part nextpnr may choose one from which no way leads to the
clock network."""

PART_OPTIONS = {
    "LFE5U-25F": ("--25k",),
    "LFE5U-85F": ("--85k", "--lpf", "clock.lpf"),
}
PLACED_ALONE = ("--no-route", "--write", "top.json")
ROUTED_ALONE = ("--no-pack", "--no-place", "--tmg-ripup")
"""What is too slow is routed again, and not only what is wanted twice; this ends if the clock that
is tried can be reached."""

OPTIONS = ("--lpf-allow-unconstrained", "--package", "CABGA381", "--speed", "6")
SYNTHESIS = (
    "read_rtlil top.il; synth_ecp5 -top top -nowidelut -run :map_ffs; "
    "dfflegalize -cell $_DFF_?_ 01 -cell $_DFFE_??_ 01; "
    "synth_ecp5 -top top -nowidelut -run map_ffs: -json top.json"
)
"""Registers are not reset by what is ANDed to their input, as Yosys would have it: the wire to the
reset of an adder's register is longer than the one to its look-up table."""


IDLE = "idle_lut_"
"""What the names of look-up tables begin with that nobody needs."""

COLUMNS = range(2, 125)
ROWS = [row for row in range(2, 94) if row % 12 != 10]
"""Where an LFE5U-85F has tiles of logic, 123 times 85 of eight look-up tables each; every twelfth
row has block RAMs and multipliers."""

SITES = ("A1", "B1", "C1", "D1", "A0", "B0", "C0", "D0")
"""The slice and the place in it of each look-up table of a tile, those first that are left idle."""


class BetweenRegisters(wiring.Component):
    """A `TablePipeline` whose pixels shift through a register, and few pins."""

    pixel: Signal
    """1 bit, in: enters the register of pixels."""
    valid: Signal
    """1 bit, in: what is in the register in the next cycle is an image, or with neighbourhoods
    what is in it now."""
    character: Signal
    """8 bits, out: the character register."""
    character_valid: Signal
    """1 bit, out: `character` is new."""

    def __init__(self, network: LutNetwork, neighbourhoods: int) -> None:
        self._core = TablePipeline(network, neighbourhoods=neighbourhoods)
        self.latency_cycles = self._core.latency_cycles
        self._used = [int(pixel) for pixel in network.pixels_used]
        super().__init__(
            {"pixel": In(1), "valid": In(1), "character": Out(8), "character_valid": Out(1)}
        )

    def elaborate(self, platform: object) -> Module:
        """Shift the pixels that are used, one a cycle."""
        m = Module()
        m.submodules.core = core = self._core
        shifted = Signal(len(self._used), reset_less=True)
        pixels, valid = shifted, Signal()
        m.d.sync += [shifted.eq(Cat(self.pixel, shifted)), valid.eq(self.valid)]
        if core.neighbourhoods > 1:
            # In a register that shifts, a pixel of the cycle before is the one beside it. Synthesis
            # would make one of that and of what a neighbourhood hands on, with a long wire.
            pixels = Signal(len(self._used), reset_less=True)
            with m.If(self.valid):
                m.d.sync += pixels.eq(shifted)
        for place, pixel in enumerate(self._used):
            m.d.comb += core.pixels[pixel].eq(pixels[place])
        m.d.comb += [
            core.valid.eq(valid),
            self.character.eq(core.character),
            self.character_valid.eq(core.character_valid),
        ]
        return m


def results(case: Case, seeds: range) -> Iterator[dict[str, Any]]:
    """What came out for each seed."""
    network = load_lut_network(case.network)
    with tempfile.TemporaryDirectory(prefix="stepnet-") as name:
        folder = Path(name)
        platform = SimpleNamespace(device=case.part)
        top = BetweenRegisters(network, case.neighbourhoods)
        (folder / "clock.lpf").write_text(CLOCK_PIN)
        (folder / "top.il").write_text(to_rtlil(top, "top", platform))
        _run([find_flow_tool("yosys").path, "-q", "-p", SYNTHESIS], folder)
        netlist = (folder / "top.json").read_text()
        for seed in seeds:
            command = [
                find_flow_tool("nextpnr-ecp5").path,
                *(*OPTIONS, *PART_OPTIONS[case.part]),
                *("--json", "top.json", "--seed", str(seed), "--report", "report.json"),
                *("--freq", str(case.clock_hz / 1e6), "--timing-allow-fail", "-q"),
            ]
            (folder / "top.json").write_text(netlist)
            if case.idle:
                (folder / "top.json").write_text(_with_idle_luts(netlist, case.idle))
                _run([*command, *PLACED_ALONE], folder)
                placed = (folder / "top.json").read_text()
                (folder / "top.json").write_text(_without_idle_luts(placed))
                command += ROUTED_ALONE
            _run(command, folder)
            found = json.loads((folder / "report.json").read_text())
            yield _result(case, network, top.latency_cycles, seed, found)


def _with_idle_luts(netlist: str, idle: int) -> str:
    """Yosys' netlist with a look-up table more on `idle` of the sites of every tile."""
    design = json.loads(netlist)
    cells = design["modules"]["top"]["cells"]
    for row, column, (letter, place) in itertools.product(ROWS, COLUMNS, SITES[:idle]):
        cells[f"{IDLE}{row}_{column}_{letter}{place}"] = {
            "type": "LUT4",
            "parameters": {"INIT": "0" * 16},
            "attributes": {"keep": "1", "BEL": f"X{column}/Y{row}/SLICE{letter}.K{place}"},
            "port_directions": {**dict.fromkeys("ABCD", "input"), "Z": "output"},
            "connections": {port: [] for port in "ABCDZ"},
        }
    return json.dumps(design)


def _without_idle_luts(placed: str) -> str:
    """nextpnr's netlist without what `_with_idle_luts` added, for router2, which alone routes again
    what is too slow."""
    design = json.loads(placed)
    top = design["modules"]["top"]
    top["cells"] = {name: cell for name, cell in top["cells"].items() if not name.startswith(IDLE)}
    # A placed netlist brings the options that it was placed with, and they come first.
    top["settings"]["router"] = "router2"
    return json.dumps(design)


def _result(
    case: Case, network: LutNetwork, latency_cycles: int, seed: int, found: dict[str, Any]
) -> dict[str, Any]:
    (clock,) = found["fmax"].values()
    used = {kind: count["used"] for kind, count in found["utilization"].items()}
    slowest = [
        f"{step['to']['cell']} ({step['delay']:.2f} ns)"
        for step in found["critical_paths"][0]["path"]
    ]
    return {
        "network": case.network,
        "part": case.part,
        "seed": seed,
        "sites": used["TRELLIS_COMB"],
        "flip_flops": used["TRELLIS_FF"],
        "frequency_mhz": round(clock["achieved"], 1),
        "latency_cycles": latency_cycles,
        "accuracy": float(network.card["accuracy"].split()[0]),
        "slowest": " > ".join(slowest),
    }


def _run(command: list[str], folder: Path) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        told = (done.stdout + done.stderr)[-2000:]
        raise SystemExit(f"{command[0]} ended with {done.returncode}:\n{told}")


def main() -> None:
    """Print a line per network and seed, or one JSON object."""
    parser = argparse.ArgumentParser(description="Size and frequency of the pipeline.")
    parser.add_argument("--only", default="", help="the network of this name")
    parser.add_argument("--seeds", type=int, default=1, help="place-and-route seeds, from 1 on")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args()
    found: list[dict[str, Any]] = []
    for case in CASES:
        if arguments.only in ("", case.network):
            for result in results(case, range(1, arguments.seeds + 1)):
                found.append(result)
                if not arguments.json:
                    print(
                        ", ".join(f"{name} {value}" for name, value in result.items()), flush=True
                    )
    if arguments.json:
        print(json.dumps({"pipelines": found}))


if __name__ == "__main__":
    main()
