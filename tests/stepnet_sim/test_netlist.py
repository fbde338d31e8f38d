"""A small chip's netlist of each family against the reference, and what a difference says."""

import re

import numpy as np
import pytest

from stepnet.cores.engine.shape import EngineShape
from stepnet.networks.network import Readout
from stepnet.networks.random_networks import (
    random_network,
    random_relu_network,
    random_sigmoid_network,
    random_spiking_network,
)
from stepnet_hdl.boards.catalogue import find_board
from stepnet_sim.chips import verilated
from stepnet_sim.chips.chip_library import chip_library
from stepnet_sim.chips.design import Design
from stepnet_sim.chips.verilated import VerilatedChip, missing_compiler
from stepnet_sim.gates import ecp5, gowin, ice40
from stepnet_sim.verification import through_link
from stepnet_sim.verification.levels import netlist
from stepnet_sim.verification.through_link import Running, compare

pytestmark = pytest.mark.skipif(
    missing_compiler() is not None, reason=f"needs {missing_compiler()}, which is not installed"
)

SINGLE_PORT = EngineShape(16, 256, 256, 64, weight_memory="single_port")

IMAGES = 5


@pytest.fixture(scope="module")
def network():
    return random_network(np.random.default_rng(1), (40, 18, 7), (1, 2), Readout.BITS)


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(2).integers(0, 2, (IMAGES, 1, 40)) == 1


@pytest.mark.slow
def test_netlist_infers_like_the_reference(network, images, tmp_path, cache):
    """Those of an ECP5 and of a Gowin part are in test_built_in.py."""
    design = Design(SINGLE_PORT, 24_000_000, 256)
    board = find_board("icebreaker")
    library = netlist.netlist_library(board, design, tmp_path, lambda message: None)
    text = (tmp_path / "netlist.v").read_text()
    assert all(cell in text for cell in ("SB_RAM40_4K", "SB_SPRAM256KA"))
    with Running(VerilatedChip(library)) as running:
        answered = compare(running, design, network, images)
    assert answered.disagreement == ""
    assert answered.images == IMAGES


@pytest.mark.slow
def test_netlist_of_a_spiking_network_infers_like_the_reference(tmp_path, cache):
    rng = np.random.default_rng(6)
    network = random_spiking_network(rng, (48, 20, 10), ticks=3, height=8)
    board = find_board("ulx3s-25f")
    outcome = netlist.checked_spiking(board, network, IMAGES, tmp_path, lambda message: None)
    assert outcome.disagreement == ""
    assert outcome.cases == f"{IMAGES} images"
    assert "DP16KD" in (tmp_path / "netlist.v").read_text()


@pytest.mark.slow
@pytest.mark.parametrize("make", [random_relu_network, random_sigmoid_network])
def test_netlist_of_a_core_that_multiplies_infers_like_the_reference(make, tmp_path, cache):
    network = make(np.random.default_rng(6), (48, 20, 10), 6)
    board = find_board("icebreaker")
    outcome = netlist.checked_mac(board, network, IMAGES, tmp_path, lambda message: None)
    assert outcome.disagreement == ""
    assert outcome.cases == f"{IMAGES} images"
    assert (tmp_path / "netlist.v").read_text().count("SB_MAC16") >= 8


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """A cache of its own, so that the netlist is made."""
    folder = tmp_path / "cache"
    monkeypatch.setattr(verilated.platformdirs, "user_cache_path", lambda name: folder)
    return folder


def test_options_are_those_of_the_build():
    assert netlist.synthesis_command(find_board("icebreaker")) == "synth_ice40"
    assert netlist.synthesis_command(find_board("ulx3s-25f")) == "synth_ecp5 -nowidelut"
    assert netlist.synthesis_command(find_board("tangnano20k")) == "synth_gowin -family gw2a"


@pytest.mark.parametrize(
    ("models", "cells"),
    [
        (ice40.cell_models, ("SB_LUT4", "SB_RAM40_4K", "SB_SPRAM256KA")),
        (ecp5.cell_models, ("LUT4", "CCU2C", "TRELLIS_FF", "DP16KD", "MULT18X18D")),
        (gowin.cell_models, ("LUT4", "ALU", "DFFRE", "SPX9", "DPB", "DPX9B", "SDPB", "SDPX9B")),
    ],
)
def test_models_are_whole_and_none_is_there_twice(models, cells):
    text = models()
    assert "`include" not in text
    for cell in cells:
        assert len(re.findall(rf"module {cell}\s*\(", text)) == 1, cell


@pytest.mark.slow
def test_disagreement_names_image_and_place(network, images, monkeypatch):
    right = through_link.reference.infer

    def wrong_in_the_third(network, batch):
        codes = right(network, batch)
        codes[2] ^= 0b101
        return codes

    design = Design()
    monkeypatch.setattr(through_link.reference, "infer", wrong_in_the_third)
    with Running(VerilatedChip(chip_library(design))) as running:
        answered = compare(running, design, network, images)
    code = int(right(network, images)[2])
    assert answered.images == 3
    assert answered.disagreement == (
        f"image 2: the character is {code:#04x} instead of {code ^ 0b101:#04x}; the engine's "
        "source decides every neuron as it has to, and what differs is bit 0, 2 of the register, "
        "out of layer 1"
    )
