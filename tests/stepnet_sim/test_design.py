"""Which chip a virtual board is: the iCEBreaker's, that of a named board, or one that is large
enough."""

import dataclasses
import sys

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from stepnet import Layer, Network, open_board
from stepnet.cli import main, make_app
from stepnet.cli.options import with_engine
from stepnet.cores.engine.cycles import cycles_per_image
from stepnet.cores.engine.memory_image import check_fits
from stepnet.errors import BuildError, NetworkError
from stepnet.networks.shipped import load_lut_network, load_network, names
from stepnet_hdl.boards.catalogue import find_board
from stepnet_hdl.estimation.engine_choice import board_with, choose_engine
from stepnet_hdl.shipping.manifest import CONVOLUTIONS, folder_of, read_manifest
from stepnet_sim.chips.design import Design, design_for
from stepnet_sim.cli import sim


@pytest.mark.parametrize("name", names())
def test_every_shipped_network_fits_the_chip_that_is_made_for_it(name):
    network = load_network(name)
    design = design_for(network)
    check_fits(network, design.shape)
    is_larger = network.convolves or name in ("digits-large", "exercise")
    assert (design != Design()) == is_larger
    # Larger memories and nothing else: as many weights per cycle, in as many cycles.
    memories = ("weight_words", "parameter_words", "max_sum_bits", "max_inputs", "map_words")
    ours = {field: getattr(Design().shape, field) for field in memories}
    assert dataclasses.replace(design.shape, **ours) == Design().shape


def test_without_a_network_it_is_the_icebreakers():
    chip = find_board("icebreaker").settings
    design = design_for(uart=True, baud=3_000_000)
    assert design == Design(
        chip.shape, chip.clock_hz, chip.buffer_bytes, chip.coded_images, uart=True, baud=3_000_000
    )


def test_like_a_board_it_is_the_chip_of_that_board():
    board = find_board("ulx3s-25f")
    settings = board.settings
    expected = Design(settings.shape, board.clock_hz, settings.buffer_bytes, baud=board.baud)
    assert design_for(like="ulx3s-25f") == expected
    # Whether it holds the network or not.
    assert design_for(load_network("ascii"), "ulx3s-25f") == expected


def test_like_a_board_it_takes_convolutions_if_the_network_has_them():
    network = load_network("digits-conv")
    shipped = read_manifest(folder_of("icebreaker", CONVOLUTIONS))
    design = design_for(network, "icebreaker")
    assert (design.shape, design.clock_hz) == (shipped.shape, shipped.clock_hz)
    assert (design.buffer_bytes, design.baud) == (shipped.buffer_bytes, shipped.baud)
    # No bitstream comes that holds it: what `stepnet build --engine-for` would make.
    board = find_board("tangnano9k")
    picked = board_with(choose_engine(network, board), board)
    design = design_for(network, "tangnano9k")
    assert (design.shape, design.clock_hz) == (picked.settings.shape, picked.clock_hz)
    with pytest.raises(BuildError) as caught:
        design_for(load_network("ascii-conv"), "ulx3s-25f")
    assert str(caught.value) == (
        "No engine for network 'ascii-conv' fits the LFE5U-25F of ulx3s-25f: the smallest takes "
        "70 of 56 block RAMs; use a smaller network or a larger board."
    )


def test_a_network_that_no_engine_holds():
    layer = Layer(np.ones((7, 8192), np.int8), np.zeros(7, np.int32))
    with pytest.raises(NetworkError) as caught:
        design_for(Network("wide", (layer,), width=64, height=128))
    assert str(caught.value) == (
        "An engine of SIMD 64 cannot take 8192 inputs; choose a multiple of 64 up to 4096."
    )


def widths_of(design):
    return design.shape.simd, design.shape.pe


@pytest.mark.parametrize("name", ["digits", "exercise", "letters"])
def test_an_engine_of_any_widths_holds_what_the_usual_one_does(name):
    network = load_network(name)
    design = design_for(network, "32x4", uart=True, baud=3_000_000)
    check_fits(network, design.shape)
    assert (widths_of(design), design.uart, design.baud) == ((32, 4), True, 3_000_000)
    assert design.shape.weight_memory_bits >= Design().shape.weight_memory_bits
    assert design.clock_hz == Design().clock_hz


def test_as_wide_as_the_usual_one_an_engine_takes_the_same_cycles():
    network = load_network("digits")
    for cycles_per_byte in (None, 1, 420):
        assert cycles_per_image(
            network, design_for(like="64x1").shape, cycles_per_byte
        ) == cycles_per_image(network, Design().shape, cycles_per_byte)
    assert cycles_per_image(network, design_for(like="1024x64").shape) < 100


@pytest.mark.parametrize(
    ("widths", "sentence"),
    [
        ("33x1", "An engine cannot have SIMD 33; choose a multiple of 8 from 8 to 1024."),
        ("8x9", "An engine of SIMD 8 cannot have PE 9; choose 1 to 8."),
        ("2048x1", "An engine cannot have SIMD 2048; choose a multiple of 8 from 8 to 1024."),
    ],
)
def test_widths_that_no_engine_has(widths, sentence):
    with pytest.raises(NetworkError) as caught:
        open_board(f"sim:{widths}")
    assert str(caught.value) == sentence


def test_tables_run_on_no_engine():
    with pytest.raises(NetworkError) as caught:
        design_for(load_lut_network("digits-lut"), "32x4")
    assert str(caught.value) == (
        "The network 'digits-lut' is of look-up tables and runs on no engine; leave its SIMD and "
        "PE out."
    )


@pytest.mark.parametrize(
    ("given", "board"), [((32, 4), "sim:32x4"), ((None, 4), "sim:64x4"), ((32, None), "sim:32x1")]
)
def test_widths_on_the_command_line(given, board):
    assert with_engine("sim", *given) == board
    assert with_engine("/dev/ttyUSB1", None, None) == "/dev/ttyUSB1"


def test_widths_of_a_board_that_has_its_own():
    with pytest.raises(typer.BadParameter) as caught:
        with_engine("sim:ulx3s-25f", None, 4)
    assert str(caught.value) == (
        "the engine of 'sim:ulx3s-25f' is as wide as it is; leave --pe out, or choose --board sim."
    )


def test_an_unknown_board():
    with pytest.raises(BuildError) as caught:
        open_board("sim:icebraker")
    assert str(caught.value) == "There is no board 'icebraker'; did you mean icebreaker?"


def test_a_board_that_is_too_small_for_an_engine():
    with pytest.raises(BuildError, match="No engine fits the iCE40HX1K of icestick"):
        open_board("sim:icestick")


def test_a_network_that_the_named_board_does_not_hold_is_refused_before_anything_is_built():
    app = make_app()
    if not any(command.name == "sim" for command in app.registered_commands):
        app.command(name="sim")(sim)
    arguments = ["sim", "--pty", "--like", "tangnano9k", "--network", "ascii"]
    result = CliRunner().invoke(app, arguments)
    assert isinstance(result.exception, NetworkError)
    assert str(result.exception).startswith("Network 'ascii' does not fit the engine: ")
    assert result.output == ""


def test_a_board_that_is_like_another_has_its_engine(monkeypatch, capsys):
    words = ["stepnet", "sim", "--pty", "--like", "icebreaker", "--simd", "32"]
    monkeypatch.setattr(sys, "argv", words)
    with pytest.raises(SystemExit) as left:
        main()
    assert left.value.code == 2
    assert capsys.readouterr().err == (
        "stepnet: Invalid value for --like: a board like icebreaker has an engine as wide as it "
        "is; leave --like or --simd and --pe out.\n"
    )
