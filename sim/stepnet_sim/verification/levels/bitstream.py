"""The level `bitstream`: bitstreams that come with Stepnet, taken apart and run through their
serial pins.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from stepnet.networks.kinds import AnyNetwork
from stepnet.networks.shipped import load_any_network
from stepnet_hdl.shipping.manifest import (
    CONVOLUTIONS,
    read_manifest,
    shipped_boards,
    shipped_folder,
)
from stepnet_sim.gates.bitstream import sample_images, verify_shipped, with_noise
from stepnet_sim.verification.ladder import Outcome

BOARDS = ("icebreaker",)

NETWORK = "digits"

CONVOLVING_NETWORK = "digits-conv"
"""Runs where a bitstream comes whose engine takes convolutions."""

IMAGES = 20

NOISE = 3
"""Images that go over the line as they are, so that their cycles are known."""


def run(
    folder: Path, progress: Callable[[str], None], boards: Sequence[str] = ()
) -> Iterator[Outcome]:
    """Identify, load and infer with the bitstreams of each board.

    boards: boards with an iCE40 or an ECP5 that a bitstream comes with; `BOARDS` if none are given.
    One without an engine is not loaded, but is the network of its manifest; one that an engine with
    convolutions comes for, too, runs both.

    Raises what `verify_shipped` raises.
    """
    del folder  # nothing is left to look at
    for board in boards or BOARDS:
        built_in = read_manifest(shipped_folder(board)).network
        names = [built_in or NETWORK]
        if board in shipped_boards(CONVOLUTIONS):
            names.append(CONVOLVING_NETWORK)
        for name in names:
            yield _outcome(board, load_any_network(name), progress)


def _outcome(board: str, network: AnyNetwork, progress: Callable[[str], None]) -> Outcome:
    images = with_noise(sample_images(network, IMAGES), NOISE)
    found = verify_shipped(board, network, images, progress)
    return Outcome(
        f"bitstream of {board}, {network.name}",
        "the reference",
        f"{found.images} images",
        found.seconds,
        found.cycles,
        f"{found.different} images differ in character or cycles" if found.different else "",
    )
