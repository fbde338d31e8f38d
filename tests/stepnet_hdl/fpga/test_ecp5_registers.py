"""Registers that move into the block RAMs of an ECP5."""

import json

import pytest

from stepnet_hdl.fpga.families.ecp5_registers import use_output_registers

CLOCK, OTHER_CLOCK, ENABLE = 2, 3, 4


def block_ram(outputs, width=18):
    """A block RAM that is read at port B; outputs: nets by their names."""
    connections = {"CLKA": [CLOCK], "CLKB": [CLOCK], "RSTA": ["0"], "RSTB": ["0"], "OCEB": ["0"]}
    connections |= {name: [bit] for name, bit in outputs.items()}
    return {
        "type": "DP16KD",
        "parameters": {
            "DATA_WIDTH_B": f"{width:032b}",
            "REGMODE_A": "NOREG",
            "REGMODE_B": "NOREG",
            "CLKAMUX": "CLKA",
            "CLKBMUX": "CLKB",
        },
        "port_directions": {
            name: "output" if name.startswith("DO") else "input" for name in connections
        },
        "connections": connections,
    }


def flip_flop(taken, given, **changes):
    """A plain flip-flop; changes: of parameters and of connections."""
    parameters = {"CEMUX": "1 ", "CLKMUX": "CLK", "LSRMUX": "LSR", "REGSET": "RESET"}
    connections = {"CLK": [CLOCK], "DI": [taken], "LSR": ["0"], "Q": [given]}
    for name, value in changes.items():
        (parameters if name in parameters else connections)[name] = value
    return {
        "type": "TRELLIS_FF",
        "parameters": parameters,
        "port_directions": {name: "output" if name == "Q" else "input" for name in connections},
        "connections": connections,
    }


@pytest.fixture
def moved(tmp_path):
    """How many flip-flops move in a netlist of these cells, and its cells afterwards."""

    def move(cells, ports=()):
        path = tmp_path / "netlist.json"
        top = {"cells": cells, "ports": {"port": {"bits": list(ports)}}}
        path.write_text(json.dumps({"modules": {"top": top}}))
        count = use_output_registers(path)
        return count, json.loads(path.read_text())["modules"]["top"]["cells"]

    return move


def test_register_moves_into_its_ram(moved):
    count, cells = moved(
        {
            "ram": block_ram({"DOB0": 10, "DOB1": 11, "DOB2": 12}),  # nothing takes 12
            "low": flip_flop(10, 20),
            "high": flip_flop(11, 21),
            "next": flip_flop(20, 30),
        }
    )
    assert count == 2
    assert set(cells) == {"ram", "next"}
    ram = cells["ram"]
    assert (ram["parameters"]["REGMODE_A"], ram["parameters"]["REGMODE_B"]) == ("NOREG", "OUTREG")
    assert [ram["connections"][name] for name in ("DOB0", "DOB1", "OCEB")] == [[20], [21], ["1"]]


def test_enable_moves_too(moved):
    register = flip_flop(10, 20, CEMUX="CE", CE=[ENABLE])
    count, cells = moved({"ram": block_ram({"DOB0": 10}), "register": register})
    assert count == 1
    assert cells["ram"]["connections"]["OCEB"] == [ENABLE]


def test_wide_port_reads_with_the_outputs_of_both(moved):
    wide = block_ram({"DOA0": 10, "DOB0": 11}, width=36)
    cells = {"ram": wide, "low": flip_flop(10, 20), "high": flip_flop(11, 21)}
    count, found = moved(cells)
    assert count == 2
    parameters, connections = found["ram"]["parameters"], found["ram"]["connections"]
    assert parameters["REGMODE_A"] == parameters["REGMODE_B"] == "OUTREG"
    assert connections["OCEA"] == connections["OCEB"] == ["1"]


@pytest.mark.parametrize(
    "register",
    [
        flip_flop(10, 20, CLK=[OTHER_CLOCK]),
        flip_flop(10, 20, CLKMUX="INV"),
        flip_flop(10, 20, LSR=[5]),
        flip_flop(10, 20, REGSET="SET"),
        flip_flop(10, 20, CEMUX="INV", CE=[ENABLE]),
        flip_flop(9, 20, M=[10]),
    ],
    ids=["another clock", "falling edge", "reset", "1 at power-on", "inverted enable", "no DI"],
)
def test_other_registers_stay(moved, register):
    cells = {"ram": block_ram({"DOB0": 10}), "register": register}
    assert moved(cells) == (0, cells)


@pytest.mark.parametrize("width", [18, 36])
def test_all_outputs_move_or_none(moved, width):
    cells = {
        "ram": block_ram({"DOA0": 11, "DOB0": 10}, width),
        "register": flip_flop(10, 20),
        "user": flip_flop(31, 21, CE=[11]),
    }
    assert moved(cells)[0] == (1 if width == 18 else 0)


def test_enables_have_to_be_the_same(moved):
    cells = {
        "ram": block_ram({"DOB0": 10, "DOB1": 11}),
        "low": flip_flop(10, 20, CEMUX="CE", CE=[ENABLE]),
        "high": flip_flop(11, 21),
    }
    assert moved(cells) == (0, cells)


def test_output_with_another_use_stays(moved):
    cells = {"ram": block_ram({"DOB0": 10}), "register": flip_flop(10, 20)}
    assert moved(cells, ports=[10])[0] == 0
    assert moved(cells | {"second": flip_flop(10, 21)})[0] == 0


def test_ram_with_a_reset_keeps_its_register(moved):
    ram = block_ram({"DOB0": 10})
    ram["connections"]["RSTB"] = [5]
    assert moved({"ram": ram, "register": flip_flop(10, 20)})[0] == 0
