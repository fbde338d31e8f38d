"""The output registers of an ECP5's block RAMs, which Yosys does not use by itself.

A block RAM offers a word 5.8 ns after the clock edge, half a nanosecond after the next one through
the register that lies in it (nextpnr's timing of speed grade 6). A register of its own behind a
`ram.Ram`, of no use to anything else, moves in there.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

Cells = dict[str, dict[str, Any]]

_PLAIN = {"CLKMUX": "CLK", "REGSET": "RESET"}
"""Parameters of a flip-flop that takes what comes at a rising edge, and holds 0 at power-on as an
output register does."""


def use_output_registers(netlist: Path) -> int:
    """Move flip-flops of a netlist for nextpnr-ecp5 into its block RAMs; returns how many.

    netlist: as Yosys writes it with `write_json`; it is changed.

    A port of a RAM changes only if each of its bits that is used at all goes to one plain flip-flop
    with the RAM's clock and to nothing else.
    """
    design = json.loads(netlist.read_text(encoding="utf-8"))
    moved = sum(_move(module) for module in design["modules"].values())
    if moved:
        netlist.write_text(json.dumps(design), encoding="utf-8")
    return moved


def _move(module: Mapping[str, Any]) -> int:
    cells: Cells = module["cells"]
    uses: Counter[int | str] = Counter()
    for port in module["ports"].values():
        uses.update(port["bits"])
    behind: dict[int | str, str] = {}  # the flip-flop that takes a bit
    for name, cell in cells.items():
        for port, bits in cell["connections"].items():
            if cell["port_directions"][port] != "output":
                uses.update(bits)
            if cell["type"] == "TRELLIS_FF" and port == "DI":
                behind[bits[0]] = name
    moved = 0
    for ram in [cell for cell in cells.values() if cell["type"] == "DP16KD"]:
        for ports in _read_ports(ram):
            outputs = _used_outputs(ram, ports, uses)
            if outputs and all(
                uses[bit] == 1 and bit in behind and _is_plain(cells[behind[bit]], ram, ports)
                for bit in outputs.values()
            ):
                enables = {_enable(cells[behind[bit]]) for bit in outputs.values()}
                if len(enables) > 1:
                    continue
                (enable,) = enables
                for output, bit in outputs.items():
                    flip_flop = cells.pop(behind[bit])
                    ram["connections"][output] = flip_flop["connections"]["Q"]
                for port in ports:
                    ram["parameters"][f"REGMODE_{port}"] = "OUTREG"
                    ram["connections"][f"OCE{port}"] = [enable]
                moved += len(outputs)
    return moved


def _read_ports(ram: Mapping[str, Any]) -> tuple[str, ...]:
    """The ports that read apart from each other, by the letters of their outputs. At 36 bits port B
    reads with the outputs of both."""
    return ("BA",) if int(ram["parameters"]["DATA_WIDTH_B"], 2) == 36 else ("B", "A")


def _used_outputs(
    ram: Mapping[str, Any], ports: str, uses: Counter[int | str]
) -> dict[str, int | str]:
    outputs = {
        output: bits[0]
        for output, bits in ram["connections"].items()
        if output.startswith(tuple(f"DO{port}" for port in ports)) and bits
    }
    return {output: bit for output, bit in outputs.items() if uses[bit]}


def _enable(flip_flop: Mapping[str, Any]) -> int | str:
    if _parameters(flip_flop)["CEMUX"] == "CE":
        return flip_flop["connections"]["CE"][0]
    return "1"


def _is_plain(flip_flop: Mapping[str, Any], ram: Mapping[str, Any], ports: str) -> bool:
    """Whether the flip-flop does what the output register of the ports does."""
    parameters, connections, port = _parameters(flip_flop), flip_flop["connections"], ports[0]
    return (
        all(parameters.get(name) == value for name, value in _PLAIN.items())
        and parameters["CEMUX"] in ("1", "CE")
        and connections.get("LSR", ["0"]) == ["0"]
        and connections["CLK"] == ram["connections"][f"CLK{port}"]
        and ram["parameters"][f"CLK{port}MUX"] == f"CLK{port}"
        and ram["connections"][f"RST{port}"] == ["0"]
    )


def _parameters(cell: Mapping[str, Any]) -> dict[str, str]:
    # Yosys' JSON marks text that looks like a binary number with a space at its end.
    return {name: value.strip() for name, value in cell["parameters"].items()}
