"""iCE40 chips as Verilog: models of their cells, and what a bitstream does, read from its bits.

Project IceStorm's iceunpack and icebox_vlog do most of it: look-up tables, flip-flops, carries,
block RAM with its contents, pins and every wire between them. Two things are left to do here: the
UP5K's single-port RAMs, which icebox_vlog leaves out, and the PLL, whose place a clock input takes.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stepnet.errors import BuildError, MissingToolError
from stepnet.programs import run_program
from stepnet.temporary import temporary_folder
from stepnet_sim.gates.cells import yosys_models

if TYPE_CHECKING:
    from stepnet_hdl.boards.catalogue import BoardType

MEMORY_PORTS = {"ADDRESS": 14, "DATAIN": 16, "MASKWREN": 4, "DATAOUT": 16}
"""Buses of an SB_SPRAM256KA and their widths; its other ports are single wires."""

MEMORY_WIRES = ("WREN", "CHIPSELECT", "CLOCK", "STANDBY", "SLEEP", "POWEROFF")

_PLL = re.compile(r"SB_PLL40_\w+ #\(.*?\) PLL_\w+ \((?P<ports>.*?)\);", re.DOTALL)
_PORT = re.compile(r"\.(\w+)\((.*?)\)")
_WIRE = re.compile(r"^(?:wire|reg) ([^ ;]+)")
_PLACE = re.compile(r"^// \((\d+), (\d+), '([^']+)'\)")

WRAPPER = """
module chip (input clk, input rst, input rx_pin, output tx_pin, output [7:0] character);
  // The PLL locks some cycles after power-on, as on the board.
  reg [5:0] cycles = 0;
  wire locked = cycles[5];
  always @(posedge clk) cycles <= locked ? cycles : cycles + 1;
  bitstream bitstream (.rx_pin(rx_pin), .tx_pin(tx_pin), .clock_pin(clk), .pll_clock(clk),
    .pll_locked(locked));
  assign character = 0;
endmodule
"""


def cell_models() -> str:
    """Verilog of the cells that synthesis maps to, in one text: Yosys' own."""
    return yosys_models("ice40/cells_sim.v")


def bitstream_verilog(bitstream: Path, board: BoardType) -> str:
    """Verilog of a bitstream for an iCE40 board: module `chip` as harness.cpp drives it, with the
    serial pins of `board`, its clock after the PLL, and models of the cells.

    Raises MissingToolError, with the command that installs it, if Project IceStorm is missing, and
    BuildError if the file is no bitstream.
    """
    iceunpack, icebox_vlog, icebox = icestorm_files()
    platform: Any = board.platform
    with temporary_folder() as folder:
        unpacked = folder / "unpacked.asc"
        _run([os.fspath(iceunpack), os.fspath(bitstream), os.fspath(unpacked)], bitstream)
        names = {"rx_pin": "rx", "tx_pin": "tx", "clock_pin": "clock"}
        pins = folder / "pins.pcf"
        pins.write_text("".join(f"set_io {net} {board.pins[pin]}\n" for net, pin in names.items()))
        options = ["-n", "bitstream", "-p", os.fspath(pins), "-d", platform.package.lower()]
        verilog = _run([os.fspath(icebox_vlog), *options, os.fspath(unpacked)], bitstream)
        script = Path(__file__).with_name("icebox_memories.py")
        memories = json.loads(
            _run([sys.executable, os.fspath(script), os.fspath(unpacked)], bitstream, icebox.parent)
        )
    verilog = add_memories(replace_pll(declare_ports(verilog)), memories)
    # icebox_vlog connects every port, and what it leaves open is open on the chip.
    models = f"`define NO_ICE40_DEFAULT_ASSIGNMENTS\n{cell_models()}\n"
    return models + verilog + WRAPPER


def icestorm_files() -> tuple[Path, Path, Path]:
    """Project IceStorm's iceunpack, its icebox_vlog and the module icebox, which decide what a
    bitstream becomes.

    Raises MissingToolError, with the command that installs them, if one is missing.
    """
    iceunpack, icebox_vlog = (_find_icestorm(name) for name in ("iceunpack", "icebox_vlog"))
    # The module lies beside the script, wherever a distribution put both.
    return iceunpack, icebox_vlog, icebox_vlog.resolve().with_name("icebox.py")


def declare_ports(verilog: str) -> str:
    """Add inputs `pll_clock` and `pll_locked`. Ports are declared apart from the module's head,
    because icebox_vlog declares each a second time, as a wire or as a register."""
    found = re.search(r"module bitstream \((.*?)\);", verilog)
    declarations = ["input pll_clock", "input pll_locked"]
    declarations += (found[1] if found else "").split(", ")
    names = ", ".join(declaration.split()[1] for declaration in declarations)
    head = f"module bitstream ({names});\n" + "".join(f"{one};\n" for one in declarations)
    return re.sub(r"module bitstream \(.*?\);", lambda _: head, verilog, count=1)


def replace_pll(verilog: str) -> str:
    """Let `pll_clock` and `pll_locked` drive what the PLL drives, if there is one."""
    found = _PLL.search(verilog)
    if found is None:
        return verilog
    ports = dict(_PORT.findall(found["ports"]))
    drivers = {"PLLOUTGLOBAL": "pll_clock", "PLLOUTCORE": "pll_clock", "LOCK": "pll_locked"}
    assignments = [
        f"assign {ports[port]} = {driver};" for port, driver in drivers.items() if port in ports
    ]
    return verilog[: found.start()] + "\n".join(assignments) + verilog[found.end() :]


def add_memories(verilog: str, memories: list[dict[str, list[int | str]]]) -> str:
    """Add the single-port RAMs that `icebox_memories.py` lists, connected at their places."""
    if not memories:
        return verilog
    nets = _nets_by_place(verilog)

    def net(memory: dict[str, list[int | str]], port: str) -> str:
        column, row, wire = memory[port]
        # An input that nothing drives is 0.
        return nets.get((int(column), int(row), str(wire)), "" if "DATAOUT" in port else "1'b0")

    instances: list[str] = []
    for number, memory in enumerate(memories):
        connections = [f".{port}({net(memory, port)})" for port in MEMORY_WIRES]
        for port, width in MEMORY_PORTS.items():
            bits = [net(memory, f"{port}_{bit}") for bit in reversed(range(width))]
            # A concatenation has no empty place, so that an unused output gets a wire.
            unused = [f"unused_{number}_{bit}" for bit, name in enumerate(bits) if not name]
            instances += [f"wire {name};" for name in unused]
            bits = [name or unused.pop(0) for name in bits]
            connections.append(f".{port}({{{', '.join(bits)}}})")
        instances.append(f"SB_SPRAM256KA memory_{number} ({', '.join(connections)});")
    end = verilog.rindex("endmodule")
    return verilog[:end] + "\n".join(instances) + "\n" + verilog[end:]


def _nets_by_place(verilog: str) -> dict[tuple[int, int, str], str]:
    """The net at every place that icebox_vlog's comments name: they follow the net's line."""
    nets: dict[tuple[int, int, str], str] = {}
    current = ""
    for line in verilog.splitlines():
        if found := _WIRE.match(line):
            current = found[1]
        elif found := _PLACE.match(line):
            nets[int(found[1]), int(found[2]), found[3]] = current
    return nets


def _find_icestorm(name: str) -> Path:
    path = shutil.which(name)
    if path is None:
        raise MissingToolError(
            f"The tool {name!r} of Project IceStorm is missing; install it, on Debian with: "
            "sudo apt-get install fpga-icestorm."
        )
    return Path(path)


def _run(command: list[str], bitstream: Path, python_path: Path | None = None) -> str:
    environment = dict(os.environ)
    if python_path is not None:
        environment["PYTHONPATH"] = os.fspath(python_path)
    done = run_program(command, env=environment)
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:]
        raise BuildError(
            f"The bitstream {str(bitstream)!r} cannot be unpacked by {Path(command[0]).name} "
            f"({' '.join(last) or 'it did not say why'}); build it again."
        )
    return done.stdout
