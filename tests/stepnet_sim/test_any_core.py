"""A core of twenty lines behind the whole chip, its virtual board and `infer()`."""

import numpy as np
import pytest
from amaranth.hdl import C, Cat, Module, Signal

from stepnet.boards.board import Board
from stepnet.boards.held_network import built_in_digest
from stepnet.errors import BoardError
from stepnet.link.exchange import Exchange, Message
from stepnet.link.messages import Core, Refusal, Request
from stepnet.networks.network import Readout
from stepnet.networks.random_networks import random_network
from stepnet_hdl.cores.interface import InferenceCore
from stepnet_sim.chips.design import Design, OtherCore
from stepnet_sim.chips.interpreted import InterpretedChip
from stepnet_sim.chips.virtual_board import INTERPRETED_CYCLES_PER_RUN, VirtualBoardLink

NETWORK = random_network(np.random.default_rng(1), (16, 7), (1,), Readout.BITS)
OTHER = random_network(np.random.default_rng(2), (16, 7), (1,), Readout.BITS)


class FirstPixel(InferenceCore):
    """Reads "0" or "1": the first pixel of images of two bytes."""

    def __init__(self):
        super().__init__(Core.PIPELINE, built_in_digest=built_in_digest(NETWORK))

    def elaborate(self, platform):
        m = Module()
        first, taken, waits = Signal(), Signal(), Signal()
        m.d.comb += [
            self.image_bytes.eq(2),
            self.pixels.ready.eq(~waits),
            self.last_pixels.eq(taken),
            self.character.eq(Cat(first, C(0b001_1000, 7))),
            self.readings.p.code.eq(self.character),
            self.readings.valid.eq(waits & ~self.tentative),
        ]
        with m.If(self.pixels.valid & self.pixels.ready):
            m.d.sync += [taken.eq(~taken), waits.eq(taken)]
            with m.If(~taken):
                m.d.sync += first.eq(self.pixels.p[0])
        with m.If(self.cancel | (self.readings.valid & self.readings.ready)):
            m.d.sync += [taken.eq(0), waits.eq(0)]
        return m


@pytest.fixture
def link():
    chip = InterpretedChip(Design(buffer_bytes=64, core=OtherCore("first pixel", FirstPixel)))
    link = VirtualBoardLink(chip, INTERPRETED_CYCLES_PER_RUN)
    yield link
    link.close()


def test_it_infers(link):
    with Board(link, NETWORK) as board:
        assert (board.identity.core, board.identity.loaded) == (Core.PIPELINE, 1)
        assert board.identity.simd == 0
        images = np.random.default_rng(3).integers(0, 2, (8, NETWORK.height, NETWORK.width)) == 1
        found = "".join(reading.character for reading in board.infer_many(images))
        assert found == "".join(str(int(image[0, 0])) for image in images)
        assert board.statistics.loads == 0


def test_it_takes_no_other_network(link):
    with Board(link, NETWORK, where="the chip") as board:
        with pytest.raises(BoardError) as caught:
            board.load(OTHER)
        assert str(caught.value) == (
            "The board at 'the chip' has another network built in and cannot be loaded with "
            "'random'; name the network that it has, or build a bitstream with this one."
        )
        assert board.infer(np.ones((NETWORK.height, NETWORK.width), bool)).character == "1"


def test_requests_that_it_does_not_know_are_refused(link):
    exchange = Exchange(link, "the chip", 60.0)
    for request, body in (
        (Request.CLEAR, b""),
        (Request.LOAD, bytes(6)),
        (Request.COMMIT, built_in_digest(NETWORK).to_bytes(4, "little")),
    ):
        refused = Message(request, body)
        exchange.send([refused])
        exchange.settle()
        assert refused.refusal == Refusal.UNKNOWN_KIND
    # And nothing of it has changed anything.
    answered = Message(Request.INFER, b"\1\0")
    exchange.send([answered])
    exchange.settle()
    assert answered.answer[3:4] == b"1"


def test_a_core_without_a_network_that_takes_none():
    sentence = "A core that takes no network needs one built in; give its digest."
    with pytest.raises(ValueError, match=f"^{sentence}$"):
        InferenceCore.__init__(object.__new__(FirstPixel), Core.PIPELINE)
