"""Chips with a network built in: they answer from power-on, and take another one all the same."""

from contextlib import contextmanager

import numpy as np
import pytest

from stepnet.boards.board import Board
from stepnet.boards.identity import read_identity
from stepnet.cores.engine.memory_image import memory_image
from stepnet.cores.engine.shape import EngineShape
from stepnet.errors import BuildError, NetworkError
from stepnet.link.exchange import Exchange, Message
from stepnet.link.messages import Refusal, Request
from stepnet.networks import reference
from stepnet.networks.network import Readout
from stepnet.networks.random_networks import random_network
from stepnet_hdl.boards.catalogue import find_board
from stepnet_sim.chips import verilated
from stepnet_sim.chips.design import Design
from stepnet_sim.chips.interpreted import InterpretedChip
from stepnet_sim.chips.verilated import VerilatedChip, missing_compiler
from stepnet_sim.chips.virtual_board import INTERPRETED_CYCLES_PER_RUN, VirtualBoardLink
from stepnet_sim.verification.levels import netlist
from stepnet_sim.verification.through_link import Running, compare

SHAPES = {
    "one neuron at a time": EngineShape(16, 256, 256, 64),
    "lanes": EngineShape(32, 128, 64, 48, pe=4, parameter_lanes=2, max_sum_bits=16),
}

TIMEOUT_S = 60.0

BUILT_IN = random_network(np.random.default_rng(1), (40, 18, 7), (1, 2), Readout.BITS)
OTHER = random_network(np.random.default_rng(2), (24, 9, 7), (1, 1), Readout.BITS)


def images_for(network, count=3):
    shape = (count, network.height, network.width)
    return np.random.default_rng(3).integers(0, 2, shape) == 1


@contextmanager
def chip_link(shape):
    chip = InterpretedChip(Design(shape, 24_000_000, 256, network=BUILT_IN))
    link = VirtualBoardLink(chip, INTERPRETED_CYCLES_PER_RUN)
    yield link
    link.close()


def ask(exchange, request, body=b""):
    return exchange.ask(Message(request, body), timeout_s=TIMEOUT_S)


@pytest.mark.slow
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_it_answers_from_power_on_and_takes_another(shape):
    with chip_link(shape) as link:
        board = Board(link, BUILT_IN, TIMEOUT_S)
        image = memory_image(BUILT_IN, shape)
        assert (board.identity.loaded, board.identity.digest) == (1, image.digest)
        assert board.identity.image_bytes == 5
        for network, loads in ((BUILT_IN, 0), (OTHER, 1), (BUILT_IN, 2)):
            board.load(network)
            images = images_for(network)
            found = [reading.code for reading in board.infer_many(images)]
            assert found == reference.infer(network, images).tolist()
            assert board.statistics.loads == loads
            assert board.identity.digest == memory_image(network, shape).digest


def test_clear_forgets_it():
    with chip_link(SHAPES["lanes"]) as link:
        exchange = Exchange(link, "the chip", TIMEOUT_S)
        assert read_identity(ask(exchange, Request.IDENTIFY), "the chip").loaded
        ask(exchange, Request.CLEAR)
        identity = read_identity(ask(exchange, Request.IDENTIFY), "the chip")
        assert (identity.loaded, identity.digest) == (0, 0)
        refused = Message(Request.INFER, bytes(5))
        exchange.send([refused])
        exchange.settle()
        assert refused.refusal == Refusal.NOTHING_LOADED


def test_single_port_memory_cannot_be_filled():
    shape = EngineShape(16, 256, 256, 64, weight_memory="single_port")
    with pytest.raises(BuildError) as caught:
        Design(shape, network=BUILT_IN).component()
    assert str(caught.value) == (
        "A bitstream cannot fill single-port RAM, so that no network can be built into an engine "
        "that has its weights there; build it with weights in block RAM."
    )


def test_a_network_that_does_not_fit():
    with pytest.raises(NetworkError) as caught:
        Design(EngineShape(16, 256, 32, 64), network=BUILT_IN).component()
    assert str(caught.value) == (
        "Network 'random' does not fit the engine: with layer 0 it needs 54 weight words of 16 "
        "bits, the engine has 32; use a smaller network or an engine of a larger shape."
    )


@pytest.mark.slow
@pytest.mark.skipif(missing_compiler() is not None, reason=f"needs {missing_compiler()}")
@pytest.mark.parametrize(
    ("board", "cell"),
    [("ice40hx8kbevn", "SB_RAM40_4K"), ("ulx3s-25f", "DP16KD"), ("tangnano9k", "DPX9B")],
)
def test_synthesis_keeps_it_in_block_ram_where_another_can_be_loaded(
    board, cell, tmp_path, monkeypatch
):
    # A cache of its own, so that the netlist is made.
    monkeypatch.setattr(verilated.platformdirs, "user_cache_path", lambda name: tmp_path / "cache")
    design = Design(SHAPES["lanes"], 24_000_000, 256, network=BUILT_IN)
    library = netlist.netlist_library(find_board(board), design, tmp_path, lambda message: None)
    assert cell in (tmp_path / "netlist.v").read_text()
    with Running(VerilatedChip(library)) as running:
        for network in (BUILT_IN, OTHER):
            answered = compare(running, design, network, images_for(network))
            assert answered.disagreement == ""
