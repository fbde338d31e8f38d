"""ReLU and sigmoid networks on a virtual board: loaded, inferred, and what other boards say."""

import numpy as np
import pytest

from stepnet.boards.board import Board, open_board
from stepnet.cores.mac.cycles import cycles_per_image
from stepnet.cores.mac.layout import weight_image, words_needed
from stepnet.cores.mac.shape import MacShape
from stepnet.errors import BoardError, BuildError, NetworkError
from stepnet.link.messages import Core
from stepnet.networks import kinds, relu
from stepnet.networks.network import Readout
from stepnet.networks.random_networks import (
    random_network,
    random_relu_network,
    random_sigmoid_network,
)
from stepnet_hdl.boards.catalogue import find_board
from stepnet_hdl.boards.mac_chips import MAC_CHIPS, mac_chip
from stepnet_hdl.cores.mac.mac import Mac
from stepnet_hdl.flow.build import BuildSettings, EngineWish, board_of
from stepnet_hdl.flow.build_plan import make_plan
from stepnet_sim.chips.design import Design, OtherCore, design_for
from stepnet_sim.chips.interpreted import InterpretedChip
from stepnet_sim.chips.virtual_board import INTERPRETED_CYCLES_PER_RUN, VirtualBoardLink

NETWORK = random_relu_network(np.random.default_rng(1), (24, 12, 6), height=4)
OTHER = random_relu_network(np.random.default_rng(2), (24, 12, 6), height=4)
STEPS = random_network(np.random.default_rng(3), (24, 7), (1,), Readout.BITS, height=4)
SIGMOIDS = random_sigmoid_network(np.random.default_rng(2), (24, 12, 6), height=4)
LARGE = random_relu_network(np.random.default_rng(4), (784, 200, 10), height=28)
IMAGES = np.random.default_rng(3).integers(0, 2, (8, 4, 6)) == 1
SHAPE = MacShape(
    lanes=8,
    weight_words=words_needed(NETWORK, MacShape(lanes=8, weight_words=2)),
    max_pixels=32,
    max_hidden=16,
)


@pytest.fixture
def link():
    core = OtherCore("multiply-accumulate", lambda: Mac(SHAPE, NETWORK))
    chip = InterpretedChip(Design(buffer_bytes=128, core=core))
    link = VirtualBoardLink(chip, INTERPRETED_CYCLES_PER_RUN)
    yield link
    link.close()


@pytest.mark.slow
def test_it_infers_what_is_built_in_and_then_what_is_loaded(link):
    with Board(link, NETWORK, timeout_s=60, where="the chip") as board:
        assert (board.identity.core, board.identity.loaded) == (Core.MAC, 1)
        assert board.identity.digest == weight_image(NETWORK, SHAPE).digest
        assert board.statistics.loads == 0
        for network in (NETWORK, OTHER):
            board.load(network)
            readings = list(board.infer_many(IMAGES, placed=True))
            codes = [reading.code for reading in readings]
            assert codes == relu.infer(network, IMAGES).tolist()
            assert {reading.cycles for reading in readings} == {cycles_per_image(network, SHAPE)}
        assert board.statistics.loads == 1
        with pytest.raises(BoardError) as caught:
            board.load(STEPS)
        assert str(caught.value) == (
            "The board at 'the chip' has a multiply-accumulate core, which computes ReLU networks, "
            "and cannot be loaded with the step network 'random'; flash a bitstream that `stepnet "
            "build --network` makes for it, or name another network."
        )

        with pytest.raises(BoardError) as caught:
            board.load(SIGMOIDS)
        assert str(caught.value) == (
            "The board at 'the chip' has a multiply-accumulate core, which computes ReLU networks, "
            "and cannot be loaded with the sigmoid network 'random'; flash a bitstream that "
            "`stepnet build --network` makes for it, or name another network."
        )


@pytest.mark.slow
@pytest.mark.parametrize("readout", Readout)
def test_sigmoid_networks_of_every_readout_on_the_virtual_icebreaker(readout):
    sizes = {Readout.BITS: (784, 32, 7), Readout.TREE: (784, 24, 31)}.get(readout, (784, 32, 10))
    prefix = "011" if readout is Readout.TREE else ""
    network = random_sigmoid_network(np.random.default_rng(7), sizes, 28, readout, prefix)
    images = np.random.default_rng(8).integers(0, 2, (12, 28, 28)) == 1
    with open_board("sim", network) as board:
        assert board.identity.core == Core.MAC_SIGMOID
        readings = list(board.infer_many(images, placed=True))
        with pytest.raises(BoardError) as caught:
            board.load(NETWORK)
    codes = [reading.code for reading in readings]
    assert codes == kinds.infer(network, images).tolist()
    assert len(set(codes)) > 2
    cycles = cycles_per_image(network, mac_chip(network, find_board("icebreaker")).shape)
    assert {reading.cycles for reading in readings} == {cycles}
    assert str(caught.value) == (
        "The board at 'sim' has a multiply-accumulate core, which computes sigmoid networks, and "
        "cannot be loaded with the ReLU network 'random'; flash a bitstream that `stepnet build "
        "--network` makes for it, or name another network."
    )


@pytest.mark.slow
def test_an_engine_does_not_take_it():
    with open_board("sim") as board, pytest.raises(BoardError) as caught:
        board.load(NETWORK)
    assert str(caught.value) == (
        "The board at 'sim' has an engine, which computes step networks, and cannot be loaded with "
        "the ReLU network 'random'; flash a bitstream that `stepnet build --network` makes for it, "
        "or name another network."
    )


@pytest.mark.slow
def test_the_virtual_board_of_the_icebreaker():
    network = random_relu_network(np.random.default_rng(7), (784, 32, 10), height=28)
    images = np.random.default_rng(8).integers(0, 2, (12, 28, 28)) == 1
    with open_board("sim", network) as board:
        readings = list(board.infer_many(images, placed=True))
    assert [reading.code for reading in readings] == relu.infer(network, images).tolist()
    cycles = cycles_per_image(network, MAC_CHIPS["iCE40UP5K"].shape)
    assert {reading.cycles for reading in readings} == {cycles}


@pytest.mark.slow
def test_the_chip_of_the_icebreaker_uses_all_its_multipliers_and_single_port_rams():
    plan = make_plan(find_board("icebreaker"), baud=1_000_000, network=NETWORK)
    cells = "".join(plan.files.values())
    assert cells.count("cell \\SB_MAC16 ") == 8
    assert cells.count("cell \\SB_SPRAM256KA ") == 4


def test_a_network_that_does_not_fit_a_board():
    with pytest.raises(BuildError) as caught:
        mac_chip(LARGE, find_board("icebreaker"))
    assert str(caught.value) == (
        "Network 'random' does not fit the multiply-accumulate core of icebreaker: layer 0 has 200 "
        "neurons, the core holds the answers of 128; 'random' fits no board."
    )


def test_a_board_without_multipliers():
    with pytest.raises(BuildError) as caught:
        mac_chip(NETWORK, find_board("icestick"))
    told, _, boards = str(caught.value).partition("; ")
    assert told == "No multiply-accumulate core is made for the iCE40HX1K of icestick"
    assert "icebreaker" in boards
    assert "ulx3s-25f" in boards


def test_a_network_of_the_other_kind_is_not_built_with_an_engine():
    settings = BuildSettings("icebreaker", engine=EngineWish())
    with pytest.raises(BuildError) as caught:
        board_of(settings, NETWORK)
    assert str(caught.value) == (
        "The network 'random' multiplies 8-bit weights and takes no engine; leave out --goal, "
        "--simd and --pe, or name a step network."
    )


def test_an_engine_of_any_width_does_not_take_it():
    with pytest.raises(NetworkError) as caught:
        design_for(NETWORK, "64x2")
    assert str(caught.value) == (
        "The network 'random' multiplies 8-bit weights and runs on no engine; leave its SIMD and "
        "PE out."
    )


def test_a_virtual_board_that_is_too_small():
    with pytest.raises(NetworkError) as caught:
        design_for(LARGE)
    assert str(caught.value) == (
        "Network 'random' does not fit the multiply-accumulate core: layer 0 has 200 neurons, the "
        "core holds the answers of 128; train with fewer --hidden neurons."
    )
