"""Which chip a virtual board is: the iCEBreaker's, that of a named board, or one that is large
enough."""

import dataclasses

import numpy as np
import pytest
from typer.testing import CliRunner

from stepnet import Layer, Network, open_board
from stepnet.cli import make_app
from stepnet.cores.engine.memory_image import check_fits
from stepnet.errors import BuildError, NetworkError
from stepnet.networks.shipped import load_network, names
from stepnet_hdl.boards.catalogue import find_board
from stepnet_sim.chips.design import Design, design_for
from stepnet_sim.cli import sim


@pytest.mark.parametrize("name", names())
def test_every_shipped_network_fits_the_chip_that_is_made_for_it(name):
    network = load_network(name)
    design = design_for(network)
    check_fits(network, design.shape)
    is_larger = name in ("digits-large", "exercise")
    assert (design != Design()) == is_larger
    # Larger memories and nothing else: as many weights per cycle, in as many cycles.
    memories = ("weight_words", "parameter_words", "max_sum_bits", "max_inputs")
    ours = {field: getattr(Design().shape, field) for field in memories}
    assert dataclasses.replace(design.shape, **ours) == Design().shape


def test_without_a_network_it_is_the_icebreakers():
    chip = find_board("icebreaker").settings
    design = design_for(uart=True, baud=3_000_000)
    assert design == Design(chip.shape, chip.clock_hz, chip.buffer_bytes, True, 3_000_000)


def test_like_a_board_it_is_the_chip_of_that_board():
    board = find_board("ulx3s-25f")
    expected = Design(board.settings.shape, board.clock_hz, board.settings.buffer_bytes)
    assert design_for(like="ulx3s-25f") == expected
    # Whether it holds the network or not.
    assert design_for(load_network("ascii"), "ulx3s-25f") == expected


def test_a_network_that_no_engine_holds():
    layer = Layer(np.ones((7, 8192), np.int8), np.zeros(7, np.int32))
    with pytest.raises(NetworkError) as caught:
        design_for(Network("wide", (layer,), width=64, height=128))
    assert str(caught.value) == (
        "An engine of SIMD 64 cannot take 8192 inputs; choose a multiple of 64 up to 4096."
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
