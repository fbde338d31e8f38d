"""How often the nets of chips for an iCE40UP5K toggle for an image, in synthesised netlists.

    python benchmarks/energy_toggles.py [--mac MAC.npz] [--images N] [DESIGN ...]

Simulates, as Verilator sees them, whole chips behind their link while pictures of digits are
inferred, and beside them the published designs with a multiplication in every cycle that energy.py
has currents of. What was counted goes to energy_toggles.json, design by design; energy.py makes
energies of it. The spiking core, which no UP5K has memory for, is the netlist for an ECP5, of which
there are no currents.

--mac: the network of the multiply-accumulate core; docs/mac.md says how it is trained.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import Out
from numpy.typing import NDArray

from stepnet.boards.board import Board
from stepnet.cores.engine.cycles import cycles_per_image
from stepnet.cores.mac.cycles import cycles_per_image as mac_cycles
from stepnet.cores.mac.program import MacNetwork, multiplications
from stepnet.files import write_text
from stepnet.networks import kinds
from stepnet.networks.kinds import AnyNetwork
from stepnet.networks.lut import LutNetwork
from stepnet.networks.relu import ReluNetwork
from stepnet.networks.shipped import load_any_network
from stepnet.networks.sigmoid import SigmoidNetwork
from stepnet.networks.spiking import SpikingNetwork
from stepnet_hdl.boards.catalogue import find_board
from stepnet_hdl.boards.mac_chips import mac_chip
from stepnet_hdl.boards.spiking_chips import spiking_chip
from stepnet_hdl.estimation.table_size import table_estimate
from stepnet_sim.chips.design import design_for
from stepnet_sim.chips.virtual_board import CYCLES_PER_RUN, VirtualBoardLink
from stepnet_sim.gates.bitstream import sample_images
from stepnet_sim.gates.models import gate_models
from stepnet_sim.gates.toggles import Netlist, activity, counted_chip, synthesised
from stepnet_sim.verification.levels.netlist import synthesis_command

RESULTS = Path(__file__).with_name("energy_toggles.json")
UP5K_BOARD, ECP5_BOARD = "icebreaker", "ulx3s-25f"
TIMEOUT_S = 300.0
COUNTED_CYCLES = 20_000
"""Of the published designs; their operands repeat after 256."""

NETWORKS = {
    "step engine, digits": ("digits", UP5K_BOARD),
    "pipeline, digits-lut-compact": ("digits-lut-compact", UP5K_BOARD),
    "table walk, digits-lut-small": ("digits-lut-small", UP5K_BOARD),
    "spiking core, digits-spiking": ("digits-spiking", ECP5_BOARD),
}
MAC = "multiply-accumulate core, 784-32-10"

PUBLISHED = {
    "counter": (False, "synth_ice40"),
    "multiplication in LUTs": (True, "synth_ice40"),
    "multiplication in a DSP block": (True, "synth_ice40 -dsp"),
}
"""tinyVision.ai's designs: with a multiplication or not, and how they are synthesised."""


class Published(wiring.Component):
    """What tinyVision.ai measured: a counter of 24 bits, and beside it, or not, two counters of 8
    bits, by threes and fives, whose product nobody takes but a pin."""

    character: Signal
    """8 bits, out: bit 0 is the pin."""

    def __init__(self, multiplies: bool) -> None:
        self.multiplies = multiplies
        super().__init__({"character": Out(8)})

    def elaborate(self, platform: object) -> Module:
        """Make the counters."""
        m = Module()
        count = Signal(24, reset_less=True)
        by_threes, by_fives = Signal(8, reset_less=True), Signal(8, reset_less=True)
        # It is never all ones, so that today's Yosys would leave it out.
        product = Signal(16, attrs={"keep": 1})
        m.d.sync += count.eq(count + 1)
        m.d.comb += self.character.eq(count[-1])
        if self.multiplies:
            m.d.sync += [by_threes.eq(by_threes + 3), by_fives.eq(by_fives + 5)]
            m.d.comb += [
                product.eq(by_threes * by_fives),
                self.character.eq(count[-1] | by_threes.all() | by_fives.all() | product.all()),
            ]
        return m


def published(name: str) -> dict[str, Any]:
    """What the nets of a published design do in a cycle."""
    multiplies, synthesis = PUBLISHED[name]
    netlist = synthesised(Published(multiplies), synthesis)
    chip = counted_chip(netlist, gate_models(find_board(UP5K_BOARD)).cells())
    found = activity(netlist, chip, lambda: chip.run(bytearray(), COUNTED_CYCLES))
    chip.close()
    return {
        "cells": netlist.logic_cells,
        "routed_toggles_per_cycle": found.routed_toggles / found.cycles,
        "unsettled_toggles_per_cycle": unsettled_toggles(netlist, 1_000),
    }


def unsettled_toggles(netlist: Netlist, cycles: int) -> float | None:
    """Toggles of routed nets in a cycle if each LUT takes a unit of time and a carry none, from
    all registers at 0; None for a netlist with other cells than LUTs, carries and flip-flops.

    All cycles are computed together: what a net was before the edge is what it settled to in the
    cycle before.
    """
    cells = netlist.cells.values()
    kinds_of_cells = {cell["type"] for cell in cells}
    if not kinds_of_cells <= {"SB_LUT4", "SB_CARRY", "SB_DFF"}:
        return None
    values: dict[int | str, NDArray[np.bool_]] = {
        bit: np.zeros(cycles, np.bool_)
        for cell in cells
        for bits in cell["connections"].values()
        for bit in bits
    }
    values |= {"0": np.zeros(cycles, np.bool_), "1": np.ones(cycles, np.bool_)}
    registers = [cell for cell in cells if cell["type"] == "SB_DFF"]
    state = {cell["connections"]["Q"][0]: False for cell in registers}
    held = {net: np.zeros(cycles, np.bool_) for net in state}
    combinational = _in_order([cell for cell in cells if cell["type"] != "SB_DFF"], set(state))
    one: dict[int | str, Any] = {"0": False, "1": True}
    for cycle in range(cycles):  # what the registers hold in each cycle
        one |= state
        for cell in combinational:
            net, value = _output(cell, one)
            one[net] = value
        for net, value in state.items():
            held[net][cycle] = value
        state = {
            cell["connections"]["Q"][0]: bool(one[cell["connections"]["D"][0]])
            for cell in registers
        }
    values |= held
    for cell in combinational:
        net, value = _output(cell, values)
        values[net] = value
    now = {net: np.roll(value, 1) for net, value in values.items()}  # before the edge
    now |= {"0": values["0"], "1": values["1"]}
    routed = netlist.routed_nets()
    toggles = sum(int((now[net] != held[net])[1:].sum()) for net in held if net in routed)
    now |= held
    while True:
        for cell in combinational:
            if cell["type"] == "SB_CARRY":
                net, value = _output(cell, now)
                now[net] = value
        later = dict(_output(cell, now) for cell in combinational if cell["type"] == "SB_LUT4")
        changed = {net: now[net] != value for net, value in later.items()}
        toggles += sum(int(changed[net][1:].sum()) for net in later if net in routed)
        if not any(change[1:].any() for change in changed.values()):
            return toggles / (cycles - 1)
        now |= later


def _in_order(cells: list[Any], known: set[int | str]) -> list[Any]:
    """Cells, each after those that drive its inputs."""
    known = known | {"0", "1", "x"}
    ordered: list[Any] = []
    while cells:
        ready = [cell for cell in cells if all(bit in known for bit in _inputs(cell))]
        ordered += ready
        known |= {cell["connections"][_output_port(cell)][0] for cell in ready}
        cells = [cell for cell in cells if cell not in ready]
    return ordered


def _inputs(cell: Any) -> list[int | str]:
    ports = ("I0", "I1", "I2", "I3") if cell["type"] == "SB_LUT4" else ("I0", "I1", "CI")
    return [cell["connections"][port][0] for port in ports]


def _output_port(cell: Any) -> str:
    return "O" if cell["type"] == "SB_LUT4" else "CO"


def _output(cell: Any, values: dict[int | str, Any]) -> tuple[int, Any]:
    """The net that a cell drives, and its value."""
    inputs = [np.asarray(values[bit]) for bit in _inputs(cell)]
    net = cell["connections"][_output_port(cell)][0]
    if cell["type"] == "SB_CARRY":
        a, b, carry = inputs
        return net, (a & b) | (carry & (a | b))
    table = np.array([digit == "1" for digit in reversed(cell["parameters"]["LUT_INIT"])])
    return net, table[sum(bit.astype(int) << place for place, bit in enumerate(inputs))]


def chip_of(network: AnyNetwork, board_name: str, images_wanted: int) -> dict[str, Any]:
    """What the nets of the chip for a network do for an image, link and all, on an average.

    Raises AssertionError if it does not read what the reference reads.
    """
    board = find_board(board_name)
    design = design_for(network, board_name)
    netlist = synthesised(design.component(), synthesis_command(board), board.platform())
    chip = counted_chip(netlist, gate_models(board).cells())
    images = sample_images(network, images_wanted)
    link = VirtualBoardLink(chip, CYCLES_PER_RUN)
    with Board(link, network, TIMEOUT_S, where="the netlist") as running:
        codes: list[int] = []

        def infer() -> None:
            codes.extend(reading.code for reading in running.infer_many(images, placed=True))

        found = activity(netlist, chip, infer)
    assert codes == kinds.infer(network, images).tolist()
    is_up5k = board_name == UP5K_BOARD
    return {
        "network": network.name,
        "part": board.part.name,
        "images": len(images),
        "luts": netlist.count("LUT4") + netlist.count("SB_LUT4"),
        "cells": netlist.logic_cells if is_up5k else None,
        "clock_hz": design.clock_hz,
        "cycles": _core_cycles(network, board_name, images),
        "simulated_cycles": found.cycles / len(images),
        "routed_toggles": found.routed_toggles / len(images),
        "products": _products(network),
        "memory_cycles": {kind: count / len(images) for kind, count in found.memory_cycles.items()},
    }


def _products(network: AnyNetwork) -> int:
    """The products of 8 x 8 bits in DSP blocks for an image."""
    return multiplications(network) if isinstance(network, MacNetwork) else 0


def _core_cycles(network: AnyNetwork, board_name: str, images: NDArray[np.uint8]) -> float:
    """The cycles of an image in the core, on an average."""
    board = find_board(board_name)
    match network:
        case SpikingNetwork():
            return float(np.mean(spiking_chip(network, board).image_cycles(network, images)))
        case ReluNetwork() | SigmoidNetwork():
            return mac_cycles(network, mac_chip(network, board).shape)
        case LutNetwork():
            return table_estimate(network, board).latency_cycles
        case _:
            return cycles_per_image(network, board.settings.shape)


def main() -> None:
    """Count, and write what was counted after each design."""
    parser = argparse.ArgumentParser(description="Toggles of nets for an image.")
    parser.add_argument("designs", nargs="*", metavar="DESIGN", help="those of the file, by name")
    parser.add_argument("--mac", type=Path, help="a ReLU network")
    parser.add_argument("--images", type=int, default=5)
    arguments = parser.parse_args()
    count: dict[str, Callable[[], dict[str, Any]]] = {
        name: (lambda name=name: published(name)) for name in PUBLISHED
    }
    networks = dict(NETWORKS) | ({MAC: (arguments.mac, UP5K_BOARD)} if arguments.mac else {})
    for name, (network, board) in networks.items():
        count[name] = lambda network=network, board=board: chip_of(
            load_any_network(network), board, arguments.images
        )
    results = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    for name in arguments.designs or count:
        results[name] = count[name]()
        print(name, results[name], flush=True)
        write_text(RESULTS, json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
