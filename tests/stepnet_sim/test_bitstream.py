"""A bitstream itself, unpacked and run through its serial pins."""

import dataclasses
import shutil

import numpy as np
import pytest

from stepnet.errors import BuildError, MissingToolError
from stepnet.networks.placing import Placing
from stepnet.networks.shipped import load_network
from stepnet.pictures.picture import normalise
from stepnet.samples import sample_pictures
from stepnet_hdl.boards.catalogue import find_board
from stepnet_sim.chips.verilated import missing_compiler
from stepnet_sim.gates import ice40
from stepnet_sim.gates.bitstream import (
    bitstream_link,
    sample_images,
    verify_shipped,
    with_noise,
)
from stepnet_sim.gates.ice40 import bitstream_verilog
from stepnet_sim.gates.models import bitstream_model, gate_models

IMAGES = 20

needs_icestorm = pytest.mark.skipif(
    shutil.which("icebox_vlog") is None, reason="Project IceStorm is not installed"
)

UNPACKED = """
module bitstream (input rx_pin, output tx_pin, input clock_pin);

wire n1;
// (0, 1, 'clk')
// (3, 0, 'glb_netwk_0')

reg n2 = 0;
// (0, 1, 'lutff_0/in_3')

wire n3;
// (0, 1, 'slf_op_0')

SB_PLL40_PAD #(
  .DIVR(4'b0000)
) PLL_12_31 (
  .PACKAGEPIN(n8),
  .PLLOUTCORE(n9),
  .PLLOUTGLOBAL(n1),
  .LOCK(n4),
  .BYPASS(n5)
);
endmodule
"""


@pytest.mark.slow
@needs_icestorm
@pytest.mark.skipif(missing_compiler() is not None, reason="there is no C++ compiler")
def test_shipped_bitstream_answers_as_the_reference_does():
    network = load_network("digits")
    images = with_noise(sample_images(network, IMAGES), 3)
    run = verify_shipped("icebreaker", network, images)
    assert (run.images, run.different) == (IMAGES + 3, 0)


def test_samples_are_placed_as_the_network_learned_them():
    paths = [path for path, _ in sample_pictures()]
    images = sample_images(load_network("ascii"), len(paths) + 1)
    placed = [normalise(path, placing=Placing.UNIPEN) for path in [*paths, paths[0]]]
    assert np.array_equal(images, placed)
    assert not np.array_equal(images, sample_images(load_network("digits"), len(paths) + 1))


@needs_icestorm
def test_file_that_is_no_bitstream(tmp_path):
    path = tmp_path / "stepnet.bin"
    path.write_bytes(b"no bitstream")
    with pytest.raises(BuildError, match=r"^The bitstream '.*stepnet\.bin' cannot be unpacked by "):
        bitstream_verilog(path, find_board("icebreaker"))


def test_icestorm_is_missing(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingToolError) as caught:
        bitstream_verilog(tmp_path / "stepnet.bin", find_board("icebreaker"))
    assert str(caught.value) == (
        "The tool 'iceunpack' of Project IceStorm is missing; install it, on Debian with: sudo "
        "apt-get install fpga-icestorm."
    )


def test_other_families_cannot_be_unpacked(tmp_path):
    board = find_board("tangnano9k")
    path = tmp_path / "stepnet.fs"
    path.write_bytes(b"bits")
    with pytest.raises(BuildError) as caught:
        bitstream_link(board, path, clock_hz=board.clock_hz, baud=1_000_000)
    assert str(caught.value) == (
        "The bitstream of tangnano9k cannot be simulated, because what unpacks one of its family "
        "leaves out the block RAMs; name a board with one of iCE40, ECP5."
    )


@pytest.mark.parametrize("ask", [gate_models, bitstream_model])
def test_a_family_without_models(ask):
    board = find_board("icebreaker")
    family = dataclasses.replace(board.part.family, name="New")
    board = dataclasses.replace(board, part=dataclasses.replace(board.part, family=family))
    with pytest.raises(BuildError) as caught:
        ask(board)
    assert str(caught.value) == (
        "The gates of icebreaker cannot be simulated, because there are no models of the New; name "
        "a board with one of iCE40, ECP5, GW1N, GW2A, GW5A."
    )


def test_clock_input_takes_the_place_of_the_pll():
    verilog = ice40.replace_pll(ice40.declare_ports(UNPACKED))
    assert "SB_PLL40_PAD" not in verilog
    for assignment in ("n1 = pll_clock", "n9 = pll_clock", "n4 = pll_locked"):
        assert f"assign {assignment};" in verilog
    assert "module bitstream (pll_clock, pll_locked, rx_pin, tx_pin, clock_pin);" in verilog
    assert "output tx_pin;" in verilog


def test_single_port_memory_is_connected_by_its_places():
    places = {"CLOCK": [0, 1, "clk"], "DATAIN_0": [0, 1, "lutff_0/in_3"]}
    places |= {f"DATAIN_{bit}": [0, 9, "nowhere"] for bit in range(1, 16)}
    places |= {f"{bus}_{bit}": [0, 9, "nowhere"] for bus in ("ADDRESS",) for bit in range(14)}
    places |= {f"MASKWREN_{bit}": [0, 9, "nowhere"] for bit in range(4)}
    places |= {f"DATAOUT_{bit}": [0, 9, "nowhere"] for bit in range(1, 16)}
    places |= {wire: [0, 9, "nowhere"] for wire in ice40.MEMORY_WIRES if wire != "CLOCK"}
    places["DATAOUT_0"] = [0, 1, "slf_op_0"]
    verilog = ice40.add_memories(UNPACKED, [places])
    (instance,) = [line for line in verilog.splitlines() if "SB_SPRAM256KA" in line]
    assert ".CLOCK(n1)" in instance
    assert ".WREN(1'b0)" in instance
    assert "1'b0, n2})" in instance  # DATAIN, bit 0 last
    assert "unused_0_14, n3})" in instance  # DATAOUT
    assert verilog.rstrip().endswith("endmodule")
