"""Estimates of chips with a multiply-accumulate core or a spiking core, beside built ones."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from stepnet.cores.mac.cycles import cycles_per_image
from stepnet.errors import BuildError
from stepnet.networks.random_networks import random_relu_network, random_spiking_network
from stepnet.networks.shipped import load_spiking_network
from stepnet_hdl.boards.catalogue import find_board
from stepnet_hdl.boards.mac_chips import mac_chip
from stepnet_hdl.boards.spiking_chips import fitting_spiking
from stepnet_hdl.cli.estimate import estimate as estimate_command
from stepnet_hdl.estimation.core_size import core_estimate, spiking_size
from stepnet_hdl.estimation.size import LUT_ERROR
from stepnet_hdl.fpga.families.ecp5 import ECP5
from stepnet_hdl.fpga.parts import find_part

BENCHMARKS = Path(__file__).parents[3] / "benchmarks"
BUILT = json.loads((BENCHMARKS / "estimate_cores.json").read_text())


@pytest.fixture
def table(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import estimate_table

    yield estimate_table
    sys.modules.pop("estimate_table", None)


@pytest.fixture
def relu():
    return random_relu_network(np.random.default_rng(0), (784, 32, 10), height=28)


@pytest.fixture
def run():
    app = typer.Typer(rich_markup_mode=None)
    app.command()(estimate_command)
    return lambda *words: CliRunner().invoke(app, words)


@pytest.mark.parametrize("number", range(len(BUILT)))
def test_built_chips(table, number):
    row, core = BUILT[number], table.CORE_ROWS[number]
    assert (row["network"], row["board"], row["fitted"]) == (core.name, core.board, core.fitted)
    expected = core_estimate(core.make(), find_board(core.board))
    assert expected.luts == pytest.approx(row["luts"], rel=LUT_ERROR)
    assert expected.flip_flops == pytest.approx(row["flip_flops"], rel=LUT_ERROR)
    assert expected.dsps == row["dsps"]
    assert expected.single_port_rams == row["single_port_rams"]
    if expected.core == "spiking core":
        assert row["block_rams"] <= expected.block_rams <= row["block_rams"] + 6
    else:
        assert expected.block_rams == row["block_rams"]


def test_a_row_is_held_out_of_the_fit(table):
    assert [core.fitted for core in table.CORE_ROWS].count(False) == 1


def test_the_page_is_that_of_the_built_chips(table):
    page = (BENCHMARKS.parent / "docs" / "estimate.md").read_text()
    rows = [table.compared_core(*pair) for pair in zip(BUILT, table.CORE_ROWS, strict=True)]
    assert table.cores_section(rows) in page


def test_cycles_and_images_per_second(relu):
    board = find_board("icebreaker")
    found = core_estimate(relu, board)
    assert found.cycles == cycles_per_image(relu, mac_chip(relu, board).shape) == 1711
    assert found.clock_hz == 36_000_000
    assert found.images_per_s == pytest.approx(36e6 / 1711)
    spiking = core_estimate(load_spiking_network("digits-spiking"), find_board("ulx3s-25f"), 10**6)
    # 3 bytes of header, 4 ticks of 98, 2 of CRC, 2 of COBS and the zero; 10 bits each.
    assert spiking.link_images_per_s == pytest.approx(1e6 / 10 / 400, rel=1e-6)
    assert 1_000 < spiking.cycles < 51_375


def test_wider_potentials_and_more_kinds_of_neurons_take_more_luts():
    def luts(sizes, **others):
        network = random_spiking_network(
            np.random.default_rng(0), sizes, ticks=2, height=28, **others
        )
        return spiking_size(network, ECP5).luts

    assert luts((784, 32, 10)) < luts((784, 32, 10), weight_bits=8)
    assert luts((784, 32), weight_bits=4) < luts((784, 32, 10), weight_bits=4)


def test_boards_on_which_they_do_not_fit(relu):
    with pytest.raises(BuildError) as caught:
        core_estimate(relu, find_board("ice40hx8kbevn"))
    assert str(caught.value).startswith(
        "No multiply-accumulate core is made for the iCE40HX8K of ice40hx8kbevn; 'random' fits "
    )
    assert fitting_spiking(find_part("LFE5U-25F")) == ["digits-spiking"]
    assert fitting_spiking(find_part("iCE40UP5K")) == []


def test_command(run, relu, tmp_path):
    path = str(relu.save(tmp_path / "mac.npz"))
    lines = run("--network", path).stdout.splitlines()
    assert lines == [
        "Network random on icebreaker (iCE40UP5K): multiply-accumulate core.",
        "  LUTs              3,638 of 5,280",
        "  flip-flops        1,972 of 5,280",
        "  DSP blocks        8 of 8",
        "  block RAMs        27 of 30",
        "  single-port RAMs  4 of 4",
        "  clock             36 MHz",
        "  cycles            1,711",
        "  images/s          21,040",
        "  link              11,429 images/s",
    ]
    words = ("--network", "digits-spiking", "--board", "ulx3s-25f", "--json")
    as_json = json.loads(run(*words).stdout)
    assert (as_json["core"], as_json["part"]) == ("spiking core", "LFE5U-25F")
    assert as_json["images_per_s"] == pytest.approx(as_json["clock_hz"] / as_json["cycles"])
