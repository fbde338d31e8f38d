"""The meter on the serial line, and that streaming leaves no gaps on it."""

from contextlib import closing

import numpy as np
import pytest

from stepnet.boards.board import Board
from stepnet.cores.engine.memory_image import image_bytes
from stepnet.cores.engine.shape import EngineShape
from stepnet.link.frames import encode_frame
from stepnet.link.messages import INFER
from stepnet.networks import reference
from stepnet.networks.random_networks import random_images, random_network
from stepnet_sim.chips.chip_library import chip_library
from stepnet_sim.chips.design import Design
from stepnet_sim.chips.metered import MeteredLink
from stepnet_sim.chips.verilated import VerilatedChip, missing_compiler

DESIGN = Design(
    shape=EngineShape(8, max_inputs=256, weight_words=512, parameter_words=32),
    buffer_bytes=256,
    uart=True,
    baud=3_000_000,
)
IMAGES = 100
TIMEOUT_S = 60.0

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        missing_compiler() is not None, reason=f"{missing_compiler()} is not installed"
    ),
]


@pytest.fixture(scope="module")
def network():
    return random_network(np.random.default_rng(1), (240, 7), (1,))


@pytest.fixture(scope="module")
def link():
    chip = VerilatedChip(chip_library(DESIGN, print))
    with closing(MeteredLink(chip, DESIGN)) as link:
        yield link


@pytest.fixture(scope="module")
def board(link, network):
    return Board(link, network, TIMEOUT_S)


@pytest.fixture(scope="module")
def images(network):
    return random_images(np.random.default_rng(2), network, IMAGES)


def frames_cycles(link, network):
    """What the frames of all images take on the wire; a host in doubt may send a little more."""
    return IMAGES * len(encode_frame(bytes(INFER.size + image_bytes(network)))) * link.byte_cycles


def test_streaming_uses_95_percent_of_the_wire(link, board, network, images):
    link.restart()
    codes = [reading.code for reading in board.infer_many(images)]
    assert codes == list(reference.infer(network, images))
    frames = frames_cycles(link, network)
    assert frames <= link.use.busy_cycles <= 1.03 * frames
    assert link.use.waiting_cycles == 0
    assert frames >= 0.95 * link.use.cycles


def test_one_image_after_the_other_leaves_gaps(link, board, network, images):
    link.restart()
    readings = [board.infer(image) for image in images]
    use = link.use
    frames = frames_cycles(link, network)
    assert frames <= use.busy_cycles <= 1.03 * frames
    # The wire to the chip rests while the engine works and the answer comes back.
    gap_cycles = readings[0].cycles + 12 * link.byte_cycles
    assert (IMAGES - 1) * gap_cycles <= use.waiting_cycles <= IMAGES * 1.3 * gap_cycles
    assert gap_cycles <= use.tail_cycles <= 1.3 * gap_cycles


def test_a_delay_beyond_the_window_leaves_gaps(link, board, network, images):
    """The window is 6 images of 0.13 ms here."""
    link.restart(host_delay_s=0.0003)
    assert len(list(board.infer_many(images))) == IMAGES
    assert link.use.waiting_cycles <= 0.01 * link.use.cycles
    link.restart(host_delay_s=0.003)
    assert len(list(board.infer_many(images))) == IMAGES
    assert link.use.waiting_cycles >= 0.5 * link.use.cycles
