"""The level `chip`: the whole chip as Verilog, through its serial pins, against the reference."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stepnet.networks.network import Network, Readout
from stepnet.networks.random_networks import random_network
from stepnet.networks.shipped import load_network
from stepnet_sim.chips.chip_library import chip_library
from stepnet_sim.chips.design import Design, design_for
from stepnet_sim.chips.verilated import VerilatedChip
from stepnet_sim.gates.bitstream import sample_images
from stepnet_sim.verification.ladder import Outcome
from stepnet_sim.verification.through_link import Running, compare

NETWORK = "digits"
CONVOLVING = "digits-conv"

SEED = 1

RANDOM_NETWORKS = (
    ((300, 70, 130, 8), (1, 3, 8), Readout.BITS),
    ((200, 65, 63), (2, 1), Readout.TREE),
    ((129, 40, 26), (1, 4), Readout.NEAREST),
)
"""Layer sizes, weight bits and readout: one of each readout, and sizes that fill no word."""

IMAGES = 40


def run(
    folder: Path, progress: Callable[[str], None], boards: Sequence[str] = ()
) -> Iterator[Outcome]:
    """One chip with serial pins runs a shipped network and random ones, and one with convolutions a
    shipped network that has some."""
    del boards  # they are not about any one board
    design = Design(uart=True)
    rng = np.random.default_rng(SEED)
    shipped = load_network(NETWORK)
    yield checked(design, shipped, sample_images(shipped, IMAGES), progress)
    for sizes, weight_bits, readout in RANDOM_NETWORKS:
        network = random_network(rng, sizes, weight_bits, readout)
        images = rng.integers(0, 2, (IMAGES, network.height, network.width)).astype(np.bool_)
        yield checked(design, network, images, progress)
    convolving = load_network(CONVOLVING)
    with_maps = design_for(convolving, uart=True)
    yield checked(with_maps, convolving, sample_images(convolving, IMAGES), progress)


def checked(
    design: Design,
    network: Network,
    images: NDArray[np.generic],
    progress: Callable[[str], None],
) -> Outcome:
    """Compare the chip's answers with the reference, from power-on."""
    started_s = time.monotonic()
    with Running(VerilatedChip(chip_library(design, progress))) as running:
        progress(f"Inferring {len(images)} images through the serial pins")
        answered = compare(running, design, network, images)
    sizes = "-".join(map(str, network.sizes))
    return Outcome(
        f"chip at its pins, {sizes}, {network.readout.value}",
        "the reference, and its cycles",
        f"{answered.images} images",
        time.monotonic() - started_s,
        answered.cycles,
        answered.disagreement,
    )
