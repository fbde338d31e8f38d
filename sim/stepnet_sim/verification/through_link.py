"""Asks a simulated chip over its link and compares its answers with the reference.

The rungs of the ladder that simulate a netlist or a bitstream use it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from stepnet.boards.board import Board, Reading
from stepnet.boards.identity import shape_fields
from stepnet.cores.engine.cycles import cycles_per_image
from stepnet.cores.engine.shape import CODE_BITS, EngineShape
from stepnet.cores.mac.program import MacNetwork
from stepnet.link.serial_line import byte_cycles, divisor_for
from stepnet.networks import kinds, reference
from stepnet.networks.lut import LutNetwork
from stepnet.networks.network import Network
from stepnet.networks.spiking import SpikingNetwork
from stepnet_sim.chips.design import Design
from stepnet_sim.chips.verilated import VerilatedChip
from stepnet_sim.chips.virtual_board import CYCLES_PER_RUN, VirtualBoardLink
from stepnet_sim.verification.first_difference import first_difference

TIMEOUT_S = 120.0
"""How long any one answer may take; a simulation of gates is slow."""


class Running:
    """A simulated chip with a link to it, closed at the end of a `with` block."""

    def __init__(self, chip: VerilatedChip) -> None:
        self.chip = chip
        self.link = VirtualBoardLink(chip, CYCLES_PER_RUN)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.link.close()


@dataclass(frozen=True)
class Answered:
    """What a chip answered.

    images: how many images it was asked, up to the first wrong answer.
    cycles: how many cycles of its clock all of it took, loading included.
    disagreement: the first image that differs, with what is known of the place; "" for none.
    """

    images: int
    cycles: int
    disagreement: str


def compare_built_in(
    running: Running,
    network: LutNetwork | SpikingNetwork | MacNetwork,
    expected_cycles: Sequence[int],
    images: NDArray[Any],
) -> Answered:
    """Infer `images` with a chip that is `network`, or is loaded with it; otherwise as `compare`.

    expected_cycles: of each image.
    """
    codes = kinds.infer(network, images).tolist()
    board = Board(running.link, network, TIMEOUT_S, where="the simulated chip")
    expected = zip(images, codes, expected_cycles, strict=True)
    for number, (image, code, cycles) in enumerate(expected):
        what = _difference(running, board.infer(image, placed=True), code, cycles)
        if what:
            return Answered(number + 1, running.chip.cycles, f"image {number}: {what}")
    return Answered(len(images), running.chip.cycles, "")


def compare(running: Running, design: Design, network: Network, images: NDArray[Any]) -> Answered:
    """Identify the chip, load `network` and infer `images`.

    Characters and cycles have to be those of the reference, and the character register has to hold
    the character of the last image.
    """
    codes = reference.infer(network, images).tolist()
    pace = byte_cycles(divisor_for(design.clock_hz, design.baud)) if design.uart else 1
    expected_cycles = cycles_per_image(network, design.shape, pace)
    board = Board(running.link, network, TIMEOUT_S, where="the simulated chip")
    if shape_fields(board.identity.shape) != shape_fields(design.shape):
        return Answered(0, running.chip.cycles, f"it says that it is {board.identity.shape}")
    for number, (image, code) in enumerate(zip(images, codes, strict=True)):
        reading = board.infer(image, placed=True)
        what = _difference(running, reading, code, expected_cycles)
        if not what:
            continue
        where = _place(network, design.shape, image, code ^ reading.code)
        return Answered(number + 1, running.chip.cycles, f"image {number}: {what}; {where}")
    return Answered(len(images), running.chip.cycles, "")


def _difference(running: Running, reading: Reading, code: int, cycles: int) -> str:
    """What is wrong with a reading; "" for nothing."""
    if reading.code != code:
        return f"the character is {reading.code:#04x} instead of {code:#04x}"
    if reading.cycles != cycles:
        return f"it takes {reading.cycles} cycles instead of {cycles}"
    if running.chip.character != code:
        return f"the register holds {running.chip.character:#04x} instead of {code:#04x}"
    return ""


def _place(
    network: Network, shape: EngineShape, image: NDArray[np.generic], wrong_bits: int
) -> str:
    """Where an image goes wrong, as far as that is known: the place in the engine's source, or if
    that is sound, the wrong bits of the register.
    """
    difference = first_difference(network, shape, image)
    if difference is not None:
        return str(difference)
    sound = "the engine's source decides every neuron as it has to"
    if not wrong_bits:
        return sound
    bits = ", ".join(str(bit) for bit in range(CODE_BITS) if wrong_bits >> bit & 1)
    layer = len(network.layers) - 1
    return f"{sound}, and what differs is bit {bits} of the register, out of layer {layer}"
