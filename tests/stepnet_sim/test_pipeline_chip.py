"""A network of look-up tables as a chip: the pipeline behind the link, on a virtual board."""

from dataclasses import replace

import numpy as np
import pytest

from stepnet.boards.board import Board
from stepnet.boards.held_network import built_in_digest
from stepnet.errors import BoardError, BuildError
from stepnet.link.messages import Core
from stepnet.networks import lut
from stepnet.networks.lut import Counts, LutLayer, LutNetwork
from stepnet.networks.network import Readout
from stepnet.networks.random_networks import random_network
from stepnet.networks.shipped import load_lut_network
from stepnet_hdl.cores.table_walk.table_walk import TableWalk
from stepnet_sim.chips.design import Design, OtherCore, design_for
from stepnet_sim.chips.interpreted import InterpretedChip
from stepnet_sim.chips.virtual_board import INTERPRETED_CYCLES_PER_RUN, VirtualBoardLink

RNG = np.random.default_rng(1)
NETWORK = LutNetwork(
    "tables",
    (LutLayer(RNG.integers(0, 36, (40, 4)), RNG.integers(0, 1 << 16, 40), 36),),
    6,
    6,
    readout=Readout.NEAREST,
    counts=Counts(np.arange(40) % 10, np.zeros(10, np.int32)),
)


@pytest.fixture(params=["pipeline", "table walk"])
def board(request):
    design = design_for(NETWORK)
    assert design.network is NETWORK
    if request.param == "table walk":
        design = replace(design, core=OtherCore("table walk", lambda: TableWalk(NETWORK)))
    chip = InterpretedChip(design)
    with Board(
        VirtualBoardLink(chip, INTERPRETED_CYCLES_PER_RUN), NETWORK, 60.0, where="the chip"
    ) as board:
        yield board


def test_it_infers_and_is_its_network(board):
    identity = board.identity
    assert (identity.core, identity.loaded) == (Core.PIPELINE, 1)
    assert identity.digest == built_in_digest(NETWORK)
    images = np.random.default_rng(2).integers(0, 2, (12, 6, 6)) == 1
    readings = list(board.infer_many(images, placed=True))
    assert [reading.code for reading in readings] == lut.infer(NETWORK, images).tolist()
    assert {reading.margin for reading in readings} == {0}


def test_it_takes_no_other(board):
    step = random_network(np.random.default_rng(1), (36, 7), (1,))
    with pytest.raises(BoardError, match="built in and cannot be loaded with 'random'"):
        board.load(step)


def test_an_engine_takes_no_tables():
    link = VirtualBoardLink(InterpretedChip(Design()), INTERPRETED_CYCLES_PER_RUN)
    with pytest.raises(BoardError) as caught:
        Board(link, NETWORK, 60.0, where="the chip")
    assert str(caught.value) == (
        "The board at 'the chip' has an engine, which cannot be loaded with 'tables', a network of "
        "look-up tables; build a bitstream that is this network, with `stepnet build --network`, "
        "or name a step network."
    )


def test_a_virtual_board_like_one_that_is_too_small_for_an_engine():
    network = load_lut_network("digits-lut-small")
    design = design_for(network, "icestick")
    assert (design.clock_hz, design.buffer_bytes) == (96_000_000, 512)
    with pytest.raises(BuildError, match=r"'digits-lut' does not fit icestick: it takes about"):
        design_for(load_lut_network("digits-lut"), "icestick")
