"""ECP5 chips as Verilog: models of their cells, and what nextpnr placed and routed.

That is the last netlist before the bitstream's own format, and no tool turns that back into one:
look-up tables, carries, flip-flops and block RAMs as they are configured on the chip, with every
multiplexer in front of them set. The PLL's place takes a clock input.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stepnet.errors import BuildError
from stepnet_sim.gates.cells import without, yosys_models

if TYPE_CHECKING:
    from stepnet_hdl.boards.catalogue import BoardType

BLOCK_RAM_MODEL = Path(__file__).with_name("dp16kd.v")
MULTIPLIER_MODEL = Path(__file__).with_name("mult18x18d.v")

WRAPPER = """
module chip (input clk, input rst, input rx_pin, output tx_pin, output [7:0] character);
  // The PLL locks some cycles after power-on, as on the board.
  reg [5:0] cycles = 0;
  wire locked = cycles[5];
  always @(posedge clk) cycles <= locked ? cycles : cycles + 1;
  routed routed (clk, locked, rx_pin, tx_pin);
  assign character = 0;
endmodule
"""

PORTS = {"uart_0__rx__io": "rx_pin", "uart_0__tx__io": "tx_pin"}
"""Amaranth's names of the serial pins, and those of the wrapper."""


def cell_models() -> str:
    """Verilog of the cells that synthesis maps to, in one text: Yosys' own, and the block RAM and
    the multiplier that it lacks."""
    models = without(yosys_models("ecp5/cells_sim.v"), "DP16KD", "MULT18X18D")
    return models + BLOCK_RAM_MODEL.read_text() + MULTIPLIER_MODEL.read_text()


def routed_verilog(netlist: Path, board: BoardType) -> str:
    """Verilog of a netlist that nextpnr-ecp5 wrote, compressed with gzip: module `chip` as
    harness.cpp drives it, with models of the block RAM.

    Raises BuildError if the netlist has a cell or a mode that is not known here.
    """
    modules = json.loads(gzip.decompress(netlist.read_bytes()))["modules"]
    (top,) = (module for module in modules.values() if "top" in module["attributes"])
    lines = [f"wire n{bit};" for bit in sorted(_nets(top))]
    for name, cell in top["cells"].items():
        kind = cell["type"]
        if kind not in CELLS:
            raise BuildError(
                f"The netlist for {board.name} has a cell of kind {kind!r}, of which there is no "
                "model; verify its synthesised netlist instead."
            )
        lines += CELLS[kind](_Cell(name, cell))
    for port, details in top["ports"].items():
        bit = details["bits"][0]
        if details["direction"] == "input":
            lines.append(f"assign n{bit} = {PORTS.get(port, 'clk')};")
        elif port in PORTS:
            lines.append(f"assign {PORTS[port]} = n{bit};")
    body = "\n".join(lines)
    head = "module routed (input clk, input locked, input rx_pin, output tx_pin);\n"
    return f"{BLOCK_RAM_MODEL.read_text()}\n{head}{body}\nendmodule\n{WRAPPER}"


class _Cell:
    """A cell of the netlist, with its multiplexers."""

    def __init__(self, name: str, cell: Mapping[str, Any]) -> None:
        self.name = name
        self.connections: Mapping[str, list[int | str]] = cell["connections"]
        self.directions: Mapping[str, str] = cell["port_directions"]
        # Yosys' JSON marks text that looks like a binary number with a space at its end.
        self.parameters = {key: value.strip() for key, value in cell["parameters"].items()}

    def has(self, port: str) -> bool:
        """Whether anything is connected."""
        return bool(self.connections.get(port))

    def output(self, port: str) -> str | None:
        """The net that a port drives; None if none."""
        return f"n{self.connections[port][0]}" if self.has(port) else None

    def input(self, port: str, unconnected: str = "1'b1") -> str:
        """What arrives at a port, after its multiplexer. An unrouted wire of an ECP5 is 1."""
        chosen = self.parameters.get(f"{port}MUX", port)
        if chosen in ("0", "1"):
            return f"1'b{chosen}"
        net = f"n{self.connections[port][0]}" if self.has(port) else unconnected
        return f"!{net}" if chosen == "INV" else net


def _comb(cell: _Cell) -> list[str]:
    """Whatever its mode makes of it."""
    mode = cell.parameters.get("MODE", "LOGIC")
    if mode not in COMB_MODES:
        raise BuildError(
            f"The cell {cell.name!r} is in mode {mode}, of which there is no model; verify the "
            "synthesised netlist instead."
        )
    return COMB_MODES[mode](cell)


def _table(cell: _Cell) -> str:
    a, b, c, d = (cell.input(port) for port in "ABCD")
    return f"16'b{cell.parameters['INITVAL']} >> {{{d}, {c}, {b}, {a}}}"


def _lut(cell: _Cell) -> list[str]:
    table = _table(cell)
    lines: list[str] = []
    if output := cell.output("F"):
        lines.append(f"assign {output} = {table};")
    if output := cell.output("OFX"):
        low, high = ("FXA", "FXB") if cell.has("FXA") else ("F", "F1")
        below = cell.input(low) if low == "FXA" else f"1'({table})"
        lines.append(f"assign {output} = {cell.input('M')} ? {cell.input(high)} : {below};")
    return lines


def _lut_ram(cell: _Cell) -> list[str]:
    """A LUT whose table is written at a clock edge and read at any time.

    Bit 0 of the address is input D, and bit 3 is A, as nextpnr connects them (ecp5/cells.cc).
    """
    output = cell.output("F")
    if output is None:
        return []
    edge = "negedge" if cell.parameters["WCKMUX"] == "INV" else "posedge"
    written, read = (
        ", ".join(cell.input(port) for port in ports)
        for ports in (("WAD0", "WAD2", "WAD1", "WAD3"), "DCBA")
    )
    ram = f"{output}_ram"
    return [
        f"reg [15:0] {ram} = 16'b{cell.parameters['INITVAL']};",
        f"always @({edge} n{cell.connections['WCK'][0]}) "
        f"if ({cell.input('WRE')}) {ram}[{{{written}}}] <= {cell.input('WD')};",
        f"assign {output} = {ram}[{{{read}}}];",
    ]


def _lut_ram_write(cell: _Cell) -> list[str]:
    """What the LUTs of a RAM share: write address and data, as nextpnr wires them through."""
    return [
        f"assign {output} = {cell.input(port)};"
        for name, port in LUT_RAM_WRITE.items()
        if (output := cell.output(name))
    ]


def _carry(cell: _Cell) -> list[str]:
    """Half of a carry, after Yosys' model CCU2C."""
    table, init = _table(cell), cell.parameters["INITVAL"]
    a, b = cell.input("A"), cell.input("B")
    lines: list[str] = []
    inject = cell.parameters["CCU2_INJECT1"] == "YES"
    carry = cell.input("FCI")
    if output := cell.output("F"):
        added = "1'b0" if inject else carry
        lines.append(f"assign {output} = 1'({table}) ^ {added};")
    if output := cell.output("FCO"):
        generate = "1'b0" if inject else f"1'(4'b{init[-4:]} >> {{{b}, {a}}})"
        lines.append(f"assign {output} = 1'({table}) ? {carry} : {generate};")
    return lines


def _flip_flop(cell: _Cell) -> list[str]:
    output = cell.output("Q")
    if output is None:
        return []
    value = "1'b1" if cell.parameters["REGSET"] == "SET" else "1'b0"
    data = cell.input("DI" if cell.parameters["SD"] == "1" else "M")
    reset = cell.input("LSR") if cell.has("LSR") else "1'b0"
    enable = cell.input("CE") if cell.has("CE") else "1'b1"
    edge = "negedge" if cell.parameters["CLKMUX"] == "INV" else "posedge"
    clock = f"n{cell.connections['CLK'][0]}"
    state = f"{output}_q"
    update = f"if ({reset}) {state} <= {value}; else if ({enable}) {state} <= {data};"
    sensitive = f"{edge} {clock}"
    if cell.parameters.get("SRMODE") == "ASYNC":
        sensitive += f" or {'negedge' if reset.startswith('!') else 'posedge'} {reset.lstrip('!')}"
    elif cell.parameters.get("SRMODE") == "CE_OVER_LSR":
        update = f"if ({enable}) {state} <= {reset} ? {value} : {data};"
    return [
        f"reg {state} = {value};",
        f"assign {output} = {state};",
        f"always @({sensitive}) {update}",
    ]


def _block_ram(cell: _Cell) -> list[str]:
    parameters: list[str] = []
    for key, value in cell.parameters.items():
        if key.endswith("MUX"):
            continue  # resolved here
        if key.startswith("INITVAL"):
            parameters.append(f".{key}(320'b{value})")
        elif key.startswith("DATA_WIDTH"):
            parameters.append(f".{key}({int(value, 2)})")
        else:
            parameters.append(f'.{key}("{value}")')
    connections = [
        f".{port}({cell.input(port) if direction == 'input' else cell.output(port) or ''})"
        for port, direction in cell.directions.items()
    ]
    name = "".join(character if character.isalnum() else "_" for character in cell.name)
    return [f"DP16KD #({', '.join(parameters)}) ram_{name} ({', '.join(connections)});"]


def _pll(cell: _Cell) -> list[str]:
    drivers = {"CLKOP": "clk", "CLKOS": "clk", "LOCK": "locked"}
    return [
        f"assign {output} = {driver};"
        for port, driver in drivers.items()
        if (output := cell.output(port))
    ]


def _pin(cell: _Cell) -> list[str]:
    """A pin is in the end one wire: the pad is net B."""
    if cell.parameters["DIR"] == "INPUT":
        return [f"assign {cell.output('O')} = {cell.output('B')};"]
    return [f"assign {cell.output('B')} = {cell.input('I')};"]


def _clock_buffer(cell: _Cell) -> list[str]:
    return [f"assign {cell.output('CLKO')} = {cell.input('CLKI')};"]


COMB_MODES: Mapping[str, Callable[[_Cell], list[str]]] = {
    "LOGIC": _lut,
    "CCU2": _carry,
    "DPRAM": _lut_ram,
    "RAMW_BLOCK": lambda cell: [],  # its place is taken by a RAM's write port
}

LUT_RAM_WRITE = {
    **{"WADO0": "D0", "WADO1": "B0", "WADO2": "C0", "WADO3": "A0"},
    **{"WDO0": "C1", "WDO1": "A1", "WDO2": "D1", "WDO3": "B1"},
}
"""Outputs of a TRELLIS_RAMW, and the inputs that they repeat (nextpnr, ecp5/cells.cc)."""

CELLS: Mapping[str, Callable[[_Cell], list[str]]] = {
    "TRELLIS_COMB": _comb,
    "TRELLIS_RAMW": _lut_ram_write,
    "TRELLIS_FF": _flip_flop,
    "DP16KD": _block_ram,
    "EHXPLLL": _pll,
    "TRELLIS_IO": _pin,
    "DCCA": _clock_buffer,
}


def _nets(top: Mapping[str, Any]) -> set[int]:
    """Every net: what a cell or a pin is connected to."""
    bits = {bit for details in top["ports"].values() for bit in details["bits"]}
    for cell in top["cells"].values():
        for nets in cell["connections"].values():
            bits.update(net for net in nets if isinstance(net, int))
    return bits
