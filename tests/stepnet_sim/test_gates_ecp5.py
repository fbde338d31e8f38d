"""Netlists that nextpnr-ecp5 wrote, as Verilog: a small one, cell by cell."""

import gzip
import json

import pytest

from stepnet.errors import BuildError
from stepnet_hdl.boards.catalogue import find_board
from stepnet_sim.gates.ecp5 import routed_verilog

PORTS = {
    "uart_0__rx__io": {"direction": "input", "bits": [1]},
    "uart_0__tx__io": {"direction": "output", "bits": [2]},
    "clk25_0__io": {"direction": "input", "bits": [3]},
    "led_0__io": {"direction": "output", "bits": [4]},
}


def cell(kind, parameters, inputs=None, outputs=None):
    directions = {port: "input" for port in inputs or {}}
    directions |= {port: "output" for port in outputs or {}}
    connections = {**(inputs or {}), **(outputs or {})}
    return {
        "type": kind,
        "parameters": parameters,
        "port_directions": directions,
        "connections": {port: [net] if net else [] for port, net in connections.items()},
    }


@pytest.fixture
def lines(tmp_path):
    """The lines of Verilog that a cell becomes."""

    def lines(of):
        top = {"attributes": {"top": "1"}, "ports": PORTS, "cells": {"c": of}}
        path = tmp_path / "stepnet.pnr.json.gz"
        path.write_bytes(gzip.compress(json.dumps({"modules": {"top": top}}).encode()))
        verilog = routed_verilog(path, find_board("ulx3s-25f"))
        return [line for line in verilog.splitlines() if "n9" in line or "DP16KD #" in line]

    return lines


def test_lut_with_an_input_that_nothing_drives(lines):
    lut = cell("TRELLIS_COMB", {"INITVAL": "1000000000000000"}, {"A": 5, "B": None}, {"F": 9})
    assert lines(lut)[1:] == ["assign n9 = 16'b1000000000000000 >> {1'b1, 1'b1, 1'b1, n5};"]


@pytest.mark.parametrize(("inject", "added"), [("NO", "n7"), ("YES", "1'b0")])
def test_carry(lines, inject, added):
    parameters = {"MODE": "CCU2", "INITVAL": "0000000000001010", "CCU2_INJECT1": inject}
    carry = cell("TRELLIS_COMB", parameters, {"A": 5, "B": 6, "FCI": 7}, {"F": 9})
    table = "16'b0000000000001010 >> {1'b1, 1'b1, n6, n5}"
    assert lines(carry)[1:] == [f"assign n9 = 1'({table}) ^ {added};"]


def test_flip_flop_with_its_multiplexers(lines):
    parameters = {"REGSET": "SET", "SD": "0 ", "CLKMUX": "CLK", "LSRMUX": "INV", "CEMUX": "1 "}
    parameters["SRMODE"] = "LSR_OVER_CE"
    flip_flop = cell("TRELLIS_FF", parameters, {"M": 5, "LSR": 6, "CLK": 3}, {"Q": 9})
    assert lines(flip_flop)[1:] == [
        "reg n9_q = 1'b1;",
        "assign n9 = n9_q;",
        "always @(posedge n3) if (!n6) n9_q <= 1'b1; else if (1'b1) n9_q <= n5;",
    ]


def test_block_ram_has_its_multiplexers_resolved(lines):
    parameters = {"DATA_WIDTH_A": "1001", "REGMODE_A": "NOREG", "ADA0MUX": "0 ", "WEAMUX": "INV"}
    ram = cell("DP16KD", parameters, {"ADA0": 5, "WEA": None, "CEA": 6}, {"DOA0": 9})
    (instance,) = [line for line in lines(ram) if "DP16KD #" in line]
    assert '.DATA_WIDTH_A(9), .REGMODE_A("NOREG")' in instance
    assert ".ADA0(1'b0), .WEA(!1'b1), .CEA(n6), .DOA0(n9)" in instance


def test_lut_ram(lines):
    parameters = {"MODE": "DPRAM", "INITVAL": "0" * 16, "WCKMUX": "INV", "WREMUX": "WRE"}
    write = {"WCK": 3, "WRE": 6, "WD": 7, "WAD3": 13, "WAD2": 12, "WAD1": 11, "WAD0": 10}
    ram = cell("TRELLIS_COMB", parameters, {**write, "D": 18, "C": 17, "B": 16, "A": 15}, {"F": 9})
    assert lines(ram)[1:] == [
        "reg [15:0] n9_ram = 16'b0000000000000000;",
        "always @(negedge n3) if (n6) n9_ram[{n10, n12, n11, n13}] <= n7;",
        "assign n9 = n9_ram[{n18, n17, n16, n15}];",
    ]


def test_write_port_of_a_lut_ram(lines):
    ports = cell("TRELLIS_RAMW", {}, {"B0": 5, "D1": 6}, {"WADO1": 90, "WDO2": 91, "WDO3": None})
    assert lines(ports) == ["wire n90;", "wire n91;", "assign n90 = n5;", "assign n91 = n6;"]


def test_lut_whose_place_is_taken(lines):
    assert lines(cell("TRELLIS_COMB", {"MODE": "RAMW_BLOCK"}, {}, {"F": 9})) == ["wire n9;"]


def test_mode_without_a_model(lines):
    with pytest.raises(BuildError) as caught:
        lines(cell("TRELLIS_COMB", {"MODE": "ROM256"}))
    assert str(caught.value) == (
        "The cell 'c' is in mode ROM256, of which there is no model; verify the synthesised "
        "netlist instead."
    )


def test_cell_without_a_model(lines):
    with pytest.raises(BuildError) as caught:
        lines(cell("MULT18X18D", {}))
    assert str(caught.value) == (
        "The netlist for ulx3s-25f has a cell of kind 'MULT18X18D', of which there is no model; "
        "verify its synthesised netlist instead."
    )
