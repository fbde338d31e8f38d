"""How often the nets of a synthesised chip toggle, counted by Verilator while it computes.

A netlist of Yosys is written as Verilog in which each net has a number, whatever it was called, so
that none is counted twice. Verilator notes in SAIF (Switching Activity Interchange Format, IEEE
1801) how often each net changes from one cycle to the next. Cells have no delay there: what a net
does before it settles is not seen.
"""

from __future__ import annotations

import ctypes
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from amaranth.back import rtlil  # pyright: ignore[reportAttributeAccessIssue] - not in the stubs

from stepnet.errors import BuildError
from stepnet.programs import run_program
from stepnet.temporary import temporary_folder
from stepnet_hdl.flow.tools import find_flow_tool
from stepnet_sim.chips.verilated import COMPILE_OPTIONS, VerilatedChip, find_or_compile

if TYPE_CHECKING:
    from amaranth.lib.wiring import Component

COUNTING_OPTIONS = ("--trace-saif", "--trace-depth", "1")
"""Of Verilator: count, but only the chip's own nets, not those inside of the models of cells."""

PREAMBLE = """`timescale 1ps/1ps
/* verilator lint_off SPECIFYIGN */
/* verilator lint_off INITIALDLY */
"""

CHIP_PORTS = {
    **{"clk": 1, "rst": 1, "rx__valid": 1, "rx__payload": 8, "tx__ready": 1},
    **{"rx__ready": 1, "tx__valid": 1, "tx__payload": 8, "character": 8},
}
"""Ports that harness.cpp drives and reads, with their widths; a design may lack some of them."""

READ_ENABLES = {"SB_RAM40_4K": ("RE", "RCLKE"), "SB_SPRAM256KA": ("CHIPSELECT",)}
"""The ports of a memory that are all 1 in the cycles in which it is read, or, of a single-port RAM,
written."""

CARRIES = {("SB_CARRY", "CO"), ("CCU2C", "COUT")}
"""Ports whose nets run along a column of logic cells, beside the routing."""

PAIRED = {"SB_LUT4": ("SB_DFF", "D"), "LUT4": ("TRELLIS_FF", "DI"), "CCU2C": ("TRELLIS_FF", "DI")}
"""Cells that share a logic cell with a flip-flop which alone takes their output: what the types of
such flip-flops start with, and at which port they take it."""

_NET = re.compile(r"\(net_(\d+)\s+\(T0 \d+\)\s+\(T1 (\d+)\)(?:\s+\(T[XZB] \d+\))*\s+\(TC (\d+)\)")


@dataclass(frozen=True)
class Netlist:
    """A synthesised chip: what `write_json` of Yosys has of its top.

    cells: by name, each with its type, parameters and connections.
    """

    ports: Mapping[str, Any]
    cells: Mapping[str, Any]

    def count(self, start: str) -> int:
        """How many cells are of a type that begins with `start`."""
        return sum(cell["type"].startswith(start) for cell in self.cells.values())

    @property
    def logic_cells(self) -> int:
        """How many logic cells of an iCE40 the netlist fills: a LUT and its flip-flop share one.
        Carries without a LUT are left out, so that place and route needs some more."""
        paired = len(self._inside_logic_cells())
        return self.count("SB_LUT4") + self.count("SB_DFF") - paired

    def routed_nets(self) -> set[int]:
        """The nets that leave the logic cell that drives them: no carries, and no output of a LUT
        that only its flip-flop takes."""
        local = self._inside_logic_cells()
        carries = {
            bit
            for cell in self.cells.values()
            for port, bits in cell["connections"].items()
            if (cell["type"], port) in CARRIES
            for bit in bits
        }
        return self.drivers().keys() - local - carries

    def drivers(self) -> dict[int, str]:
        """The type of the cell that drives each net, by the number of the net."""
        return {
            bit: cell["type"]
            for cell in self.cells.values()
            for port, bits in cell["connections"].items()
            if cell["port_directions"][port] == "output"
            for bit in bits
            if isinstance(bit, int)
        }

    def _inside_logic_cells(self) -> set[int]:
        sinks: dict[int, list[tuple[str, str]]] = {}
        for cell in self.cells.values():
            for port, bits in cell["connections"].items():
                if cell["port_directions"][port] == "input":
                    for bit in bits:
                        sinks.setdefault(bit, []).append((cell["type"], port))
        for details in self.ports.values():
            for bit in details["bits"]:
                sinks.setdefault(bit, []).append(("port", ""))
        drivers = self.drivers()
        inside: set[int] = set()
        for net, taken in sinks.items():
            flip_flop = PAIRED.get(drivers.get(net, ""))
            if flip_flop is not None and len(taken) == 1:
                (kind, port) = taken[0]
                if kind.startswith(flip_flop[0]) and port == flip_flop[1]:
                    inside.add(net)
        return inside


@dataclass(frozen=True)
class Activity:
    """What the nets of a chip did.

    cycles: how many clock cycles were counted.
    toggles: of all nets together. Verilator takes them as 0 before, so that a net which is 1 at the
        start has one toggle more.
    routed_toggles: of those that leave their logic cell, see `Netlist.routed_nets`.
    memory_cycles: for each type of memory, the cycles in which one is used, of all together.
    """

    cycles: int
    toggles: int
    routed_toggles: int
    memory_cycles: Mapping[str, int]


class CountedChip(VerilatedChip):
    """A simulated netlist that counts."""

    def count(self, path: Path) -> None:
        """Count from now on, into a SAIF file."""
        with self._running() as handle:
            start = self._library.stepnet_count
            start.restype, start.argtypes = None, [ctypes.c_void_p, ctypes.c_char_p]
            start(handle, os.fsencode(path))

    def stop_counting(self) -> None:
        """End the SAIF file."""
        with self._running() as handle:
            stop = self._library.stepnet_stop_counting
            stop.restype, stop.argtypes = None, [ctypes.c_void_p]
            stop(handle)


def synthesised(component: Component, synthesis: str, platform: object = None) -> Netlist:
    """The netlist that Yosys makes of a component.

    synthesis: its command, without the name of the top, such as "synth_ice40".
    platform: what `elaborate` is given.

    Raises MissingToolError if there is no Yosys, BuildError if it fails.
    """
    text = rtlil.convert(component, name="chip", platform=platform, emit_src=False)
    with temporary_folder() as folder:
        (folder / "chip.il").write_text(text, encoding="utf-8")
        script = f"read_rtlil chip.il; {synthesis} -top chip; write_json netlist.json"
        done = run_program([find_flow_tool("yosys").path, "-q", "-p", script], cwd=folder)
        if done.returncode:
            last = (done.stderr or done.stdout).strip().splitlines()[-1:]
            raise BuildError(f"The synthesis failed ({' '.join(last) or 'it said nothing'}).")
        modules = json.loads((folder / "netlist.json").read_text(encoding="utf-8"))["modules"]
    # What begins with $ is a note of Yosys' about scopes and no cell.
    cells = {
        name: cell
        for name, cell in modules["chip"]["cells"].items()
        if not cell["type"].startswith("$")
    }
    return Netlist(modules["chip"]["ports"], cells)


def counted_chip(netlist: Netlist, models: str) -> CountedChip:
    """A simulation of `netlist`, compiled unless it was before. models: Verilog of its cells.

    Raises BuildError if it cannot be compiled.
    """
    verilog = PREAMBLE + numbered_verilog(netlist) + models
    options = f"{COMPILE_OPTIONS} -O0"
    library = find_or_compile("toggles", [verilog], options, lambda: verilog, COUNTING_OPTIONS)
    return CountedChip(library)


def numbered_verilog(netlist: Netlist) -> str:
    """Module `chip`, with the ports that harness.cpp drives and a wire `net_N` for net N."""
    nets = {bit for details in netlist.ports.values() for bit in details["bits"]}
    for cell in netlist.cells.values():
        nets.update(bit for bits in cell["connections"].values() for bit in bits)
    ports = dict(CHIP_PORTS)
    ports |= {name: len(details["bits"]) for name, details in netlist.ports.items()}
    inputs = {"clk", "rst", "rx__valid", "rx__payload", "tx__ready"}
    lines = [
        f"  {'input' if name in inputs else 'output'} [{width - 1}:0] {name}"
        for name, width in ports.items()
    ]
    body = [f"wire net_{net};" for net in sorted(net for net in nets if isinstance(net, int))]
    for name in ports:
        bits = netlist.ports[name]["bits"] if name in netlist.ports else None
        if name in inputs:
            body += [
                f"assign {_net(bit)} = {name}[{place}];" for place, bit in enumerate(bits or [])
            ]
        else:
            body.append(f"assign {name} = {_together(bits) if bits else 0};")
    body += [_instance(number, cell) for number, cell in enumerate(netlist.cells.values())]
    return "module chip (\n" + ",\n".join(lines) + "\n);\n" + "\n".join(body) + "\nendmodule\n"


def _instance(number: int, cell: Mapping[str, Any]) -> str:
    parameters = ", ".join(
        f".{name}({_parameter(value)})" for name, value in cell["parameters"].items()
    )
    connections = ", ".join(
        f".{port}({_together(bits)})" for port, bits in cell["connections"].items()
    )
    return f"{cell['type']} #({parameters}) cell_{number} ({connections});"


def _parameter(value: str) -> str:
    """Yosys writes numbers in binary digits, and marks text that looks like one by a space."""
    if re.fullmatch("[01xz]+", value):
        return f"{len(value)}'b{value}"
    return f'"{value.strip()}"'


def _net(bit: int | str) -> str:
    return f"net_{bit}" if isinstance(bit, int) else f"1'b{bit}"


def _together(bits: list[int | str]) -> str:
    return "{" + ", ".join(_net(bit) for bit in reversed(bits)) + "}"


def activity(netlist: Netlist, chip: CountedChip, run: Callable[[], object]) -> Activity:
    """What the nets do while `run` drives the chip."""
    with temporary_folder() as folder:
        before = chip.cycles
        chip.count(folder / "chip.saif")
        run()
        chip.stop_counting()
        cycles = chip.cycles - before
        text = (folder / "chip.saif").read_text(encoding="utf-8")
    return read_activity(netlist, text, cycles)


def read_activity(netlist: Netlist, saif: str, cycles: int) -> Activity:
    """The activity in a SAIF file of `cycles` clock cycles, with one unit of time for each."""
    toggles = {net: changes for net, _, changes in _counts(saif)}
    high = {net: ones for net, ones, _ in _counts(saif)}
    driven = netlist.drivers().keys() & toggles.keys()
    routed = netlist.routed_nets()
    memory_cycles: dict[str, int] = {}
    for cell in netlist.cells.values():
        if cell["type"] not in READ_ENABLES:
            continue
        enables = [cell["connections"][port][0] for port in READ_ENABLES[cell["type"]]]
        ones = [cycles if bit == "1" else high.get(bit, 0) for bit in enables]
        memory_cycles[cell["type"]] = memory_cycles.get(cell["type"], 0) + min(ones)
    return Activity(
        cycles,
        sum(toggles[net] for net in driven),
        sum(toggles[net] for net in driven & routed),
        memory_cycles,
    )


def _counts(saif: str) -> Iterator[tuple[int, int, int]]:
    """Number, time at 1 and changes of each net."""
    for found in _NET.finditer(saif):
        yield int(found[1]), int(found[2]), int(found[3])
