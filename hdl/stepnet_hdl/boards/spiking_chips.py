"""The chip with a spiking core on each part whose memories have the ports for it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stepnet.cores.spiking.contents import SpikingShape, spiking_shape
from stepnet.cores.spiking.cycles import Walk, image_cycles
from stepnet.errors import BuildError
from stepnet.link.exchange import MESSAGE_OVERHEAD_BYTES
from stepnet.link.messages import INFER
from stepnet.networks.shipped import load_spiking_network, spiking_names
from stepnet.networks.spiking import Rows, SpikingNetwork, encode
from stepnet_hdl.boards.catalogue import BoardType, all_boards
from stepnet_hdl.fpga.parts import Part
from stepnet_hdl.fpga.ram_mapping import map_ram


@dataclass(frozen=True)
class SpikingChip:
    """A chip with one spiking network.

    lanes, walk: of the core.
    block_rams: that the core's memories take.
    buffer_bytes: of the link's receive buffer.
    answers_in_luts, coded_images: see `endpoint.Endpoint`.
    clock_hz: the largest clock that it is built for; a board runs at what it can make up to that.
    """

    lanes: int
    walk: Walk
    block_rams: int
    buffer_bytes: int
    answers_in_luts: bool
    clock_hz: int
    coded_images: bool = True

    def image_cycles(self, network: SpikingNetwork, images: NDArray[np.generic]) -> list[int]:
        """The cycles of each image in the core, if the chip is `network`; images as for
        `stepnet.networks.spiking.encode`."""
        shape = spiking_shape(network, self.lanes)
        return image_cycles(network, shape, self.walk, encode(network, images)).tolist()


LANES = 16
BUFFER_BYTES = 2048
LINK_BLOCK_RAMS = 3
"""Of the link, on a part of the ECP5 family."""

CLOCK_HZ = 60_000_000
FAMILY = "ECP5"


def spiking_chip(network: SpikingNetwork, board: BoardType) -> SpikingChip:
    """The chip on `board` that is `network`.

    Raises BuildError, with the boards that would do, if there is none for the board's part, or if
    the network does not fit.
    """
    chip = _chip(network)
    needed = chip.block_rams + LINK_BLOCK_RAMS
    if board.part.family.name != FAMILY:
        reason = f"No spiking core is made for the {board.part.name} of {board.name}"
    elif needed > board.part.block_rams:
        reason = (
            f"Network {network.name!r} does not fit {board.name}: it takes {needed} block RAMs of "
            f"{board.part.block_rams}"
        )
    elif not _fits_buffer(spiking_shape(network, LANES)):
        raise BuildError(
            f"Network {network.name!r} does not fit {board.name}: an image is "
            f"{network.ticks} times {network.height * network.width} spikes, which are more than "
            f"the {BUFFER_BYTES} bytes of its receive buffer; train it with fewer ticks."
        )
    else:
        return chip
    others = [name for name, other in all_boards().items() if _fits(network, other.part)]
    raise BuildError(f"{reason}; {network.name!r} fits {', '.join(others) or 'no board'}.")


def spiking_memories(network: SpikingNetwork, shape: SpikingShape) -> list[tuple[int, int]]:
    """Width and depth of each memory of the core of `shape` that is `network`."""
    neuron_bits = shape.potential_bits + shape.leak_bits
    memories = [
        (shape.weight_bits * shape.lanes, shape.weight_words),
        (shape.lanes, shape.spike_words),
        (shape.potential_bits * shape.lanes, shape.groups),
        (neuron_bits * shape.lanes, shape.groups),
    ]
    if network.asked is Rows.SPIKES:
        memories.append((network.ticks.bit_length() * shape.lanes, shape.layers[-1].groups))
    return memories


def _chip(network: SpikingNetwork) -> SpikingChip:
    memories = spiking_memories(network, spiking_shape(network, LANES))
    family = next(board.part.family for board in all_boards().values() if _is_ecp5(board.part))
    rams = sum(map_ram(family, width, depth).block_rams for width, depth in memories)
    return SpikingChip(LANES, Walk.EVENTS, rams, BUFFER_BYTES, True, CLOCK_HZ)


def fitting_spiking(part: Part) -> list[str]:
    """The shipped spiking networks that a chip of `part` can be, by name."""
    return [name for name in spiking_names() if _fits(load_spiking_network(name), part)]


def _fits_buffer(shape: SpikingShape) -> bool:
    message_bytes = INFER.size + shape.ticks * shape.tick_bytes + MESSAGE_OVERHEAD_BYTES
    return message_bytes <= BUFFER_BYTES


def _is_ecp5(part: Part) -> bool:
    return part.family.name == FAMILY


def _fits(network: SpikingNetwork, part: Part) -> bool:
    return _is_ecp5(part) and _chip(network).block_rams + LINK_BLOCK_RAMS <= part.block_rams
