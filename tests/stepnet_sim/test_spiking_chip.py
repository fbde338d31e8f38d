"""A spiking network on the virtual board: images become spikes, and readings come back."""

from dataclasses import asdict, replace

import numpy as np
import pytest

from stepnet import open_board
from stepnet.cli.comparison import compare
from stepnet.errors import BoardError, BuildError, NetworkError
from stepnet.networks import spiking
from stepnet.networks.random_networks import random_images, random_spiking_network
from stepnet_hdl.boards.catalogue import find_board
from stepnet_hdl.boards.spiking_chips import spiking_chip
from stepnet_hdl.cli.flash import flash
from stepnet_sim.chips.design import design_for
from stepnet_sim.chips.verilated import missing_compiler

NETWORK = random_spiking_network(np.random.default_rng(6), (48, 20, 10), ticks=4, height=6)


@pytest.mark.slow
@pytest.mark.skipif(missing_compiler() is not None, reason=f"{missing_compiler()} is not installed")
def test_the_virtual_board_reads_what_the_reference_reads(tmp_path):
    images = random_images(np.random.default_rng(7), NETWORK, 40)
    codes = spiking.infer(NETWORK, images)
    path = NETWORK.save(tmp_path / "spiking.npz")
    with open_board("sim", path) as board:
        readings = list(board.infer_many(images))
        assert [ord(reading.character) for reading in readings] == codes.tolist()
        assert [reading.margin for reading in readings] == spiking.margin(NETWORK, images).tolist()
        counts = spiking.spike_counts(NETWORK, images)
        assert [reading.spikes for reading in readings] == [count.total for count in counts]
        assert len({reading.spikes for reading in readings}) > 10
        compared = list(compare(board, list(images[:2])))
        assert [comparison.numpy_spikes for comparison in compared] == counts[:2]
        assert compared[1].as_json()["numpy_spikes"] == asdict(counts[1])
        assert compared[1].agrees
        assert compared[1].as_json()["spikes"] == counts[1].total
        one_more = replace(compared[1].reading, spikes=counts[1].total + 1)
        assert not replace(compared[1], reading=one_more).agrees
        with pytest.raises(BoardError) as caught:
            board.load("digits")
    assert str(caught.value) == (
        "The board at 'sim' has another network built in and cannot be loaded with 'digits'; name "
        "the network that it has, or build a bitstream with this one."
    )


def test_an_engine_cannot_be_loaded_with_one():
    with open_board("sim", "digits") as board, pytest.raises(BoardError) as caught:
        board.load(NETWORK)
    assert str(caught.value) == (
        "The board at 'sim' takes networks that do not spike, and cannot be loaded with the "
        "spiking network 'random'; build a bitstream that is this network, with `stepnet build "
        "--network`, or name another one."
    )


def test_where_it_does_not_fit():
    with pytest.raises(BuildError) as caught:
        spiking_chip(NETWORK, find_board("icebreaker"))
    sentence = str(caught.value)
    start = "No spiking core is made for the iCE40UP5K of icebreaker; 'random' fits "
    assert sentence.startswith(start)
    assert "ulx3s-25f" in sentence
    wide = random_spiking_network(np.random.default_rng(1), (1024, 640, 10), ticks=2, height=32)
    with pytest.raises(BuildError) as caught:
        spiking_chip(wide, find_board("ulx3s-25f"))
    sentence = str(caught.value)
    assert sentence.startswith("Network 'random' does not fit ulx3s-25f: it takes ")
    assert "block RAMs of 56; 'random' fits " in sentence
    many = replace(wide, ticks=17)
    with pytest.raises(BuildError) as caught:
        spiking_chip(many, find_board("ulx3s-85f"))
    assert str(caught.value) == (
        "Network 'random' does not fit ulx3s-85f: an image is 17 times 1024 spikes, which are more "
        "than the 2048 bytes of its receive buffer; train it with fewer ticks."
    )


def test_no_bitstream_that_is_another_network_comes(tmp_path):
    path = NETWORK.save(tmp_path / "own.npz")
    with pytest.raises(BuildError) as caught:
        flash("ulx3s-25f", network=str(path), dry_run=True)
    assert str(caught.value) == (
        "No bitstream that is the spiking network 'random' comes for ulx3s-25f; build one with: "
        f"stepnet build --board ulx3s-25f --network {path}, and name it with --bitstream."
    )


def test_it_has_no_widths():
    with pytest.raises(NetworkError) as caught:
        design_for(NETWORK, "32x4")
    assert str(caught.value) == (
        "The network 'random' spikes and runs on no engine; leave its SIMD and PE out."
    )
