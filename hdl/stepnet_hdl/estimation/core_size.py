"""How large and how fast the chips with a multiply-accumulate core or a spiking core become.

The first is the same chip for every network, so its size is that of the built one. The second is
counted from the network: operations as wide as a potential, of each lane, and LUT RAM; what else it
has is fitted to built chips. docs/estimate.md has both beside each other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from stepnet.boards.packing import network_input
from stepnet.cores.mac.cycles import cycles_per_image
from stepnet.cores.mac.program import MacNetwork
from stepnet.cores.spiking.contents import SpikingShape, spiking_shape
from stepnet.networks.spiking import Rows, SpikingLayer, SpikingNetwork
from stepnet.samples import sample_pictures
from stepnet_hdl.boards.catalogue import BoardType
from stepnet_hdl.boards.chip_clocks import baud_for, clock_hz_for
from stepnet_hdl.boards.mac_chips import mac_chip
from stepnet_hdl.boards.spiking_chips import (
    LANES,
    LINK_BLOCK_RAMS,
    spiking_chip,
    spiking_memories,
)
from stepnet_hdl.estimation.speed import link_images_per_s
from stepnet_hdl.fpga.family import Family
from stepnet_hdl.fpga.parts import Part
from stepnet_hdl.fpga.ram_mapping import map_ram

MULTIPLIERS = {"iCE40UP5K": 8, "-12F": 28, "-25F": 28, "-45F": 72, "-85F": 156}
"""DSP blocks of a part, by the end of its name (Lattice FPGA-DS-02008 and FPGA-DS-02012)."""

SPIKING_LUTS = 1158
"""What does not grow with a spiking core's network takes so many: link, walk, readout."""

SPIKING_FLIP_FLOPS = 523
"""Likewise in flip-flops."""

USUAL_OPERATIONS = 6
"""Operations of every lane: two adders, of which one subtracts the threshold, the comparison, and
three choices of what is added to, kept and written."""


class Size(NamedTuple):
    """What a chip takes, as of `CoreEstimate`."""

    luts: int
    flip_flops: int
    dsps: int
    block_rams: int
    single_port_rams: int


MAC_SIZES = {
    "iCE40": Size(3638, 1972, 8, 27, 4),
    "ECP5": Size(2833, 2297, 20, 35, 0),
}
"""The chip with a multiply-accumulate core for ReLU networks as it was built, by the family."""

SIGMOID_SIZES = {
    "iCE40": Size(4380, 2185, 8, 28, 4),
    "ECP5": Size(3201, 2517, 24, 35, 0),
}
"""Likewise the one for sigmoid networks."""


@dataclass(frozen=True)
class CoreEstimate:
    """A chip with a core that is no engine and no tables, for a network on a board.

    core: its kind. luts, flip_flops: within 15 % of built chips. dsps: DSP blocks. block_rams:
        exactly for the multiply-accumulate core, at most so many for the spiking core.
    clock_hz: that the chip is built for.
    cycles: of an image in the core; of a spiking network the mean over the shipped samples.
    link_images_per_s: that the serial line carries.
    """

    board: str
    network: str
    part: Part
    core: str
    luts: int
    flip_flops: int
    dsps: int
    block_rams: int
    single_port_rams: int
    clock_hz: int
    cycles: float
    link_images_per_s: float

    @property
    def images_per_s(self) -> float:
        """In the core."""
        return self.clock_hz / self.cycles

    @property
    def shares(self) -> dict[str, tuple[int, int]]:
        """What the chip takes, and how much of that the part has; flip-flops are as many as LUTs in
        these parts."""
        part = self.part
        taken = {
            "LUTs": (self.luts, part.luts),
            "flip-flops": (self.flip_flops, part.luts),
            "DSP blocks": (self.dsps, _multipliers(part)),
            "block RAMs": (self.block_rams, part.block_rams),
            "single-port RAMs": (self.single_port_rams, part.single_port_rams),
        }
        return {name: share for name, share in taken.items() if share[0] or name == "LUTs"}


def core_estimate(
    network: MacNetwork | SpikingNetwork, board: BoardType, baud: int | None = None
) -> CoreEstimate:
    """Tell size and speed of the chip for `network` on `board`.

    baud: of the serial line; None for the board's own.

    Raises BuildError, with the boards that would do, if the network does not fit the board.
    """
    if isinstance(network, MacNetwork):
        chip = mac_chip(network, board)
        sizes = SIGMOID_SIZES if chip.shape.sigmoid else MAC_SIZES
        core, size = "multiply-accumulate core", sizes[board.part.family.name]
        cycles = float(cycles_per_image(network, chip.shape))
    else:
        spiking = spiking_chip(network, board)
        core, size = "spiking core", spiking_size(network, board.part.family)
        images = np.stack([network_input(network, path) for path, _ in sample_pictures()])
        cycles = float(np.mean(spiking.image_cycles(network, images)))
    baud = baud or baud_for(network, board)
    return CoreEstimate(
        board.name,
        network.name,
        board.part,
        core,
        *size,
        clock_hz_for(network, board, baud),
        cycles,
        link_images_per_s(network, baud),
    )


def spiking_size(network: SpikingNetwork, family: Family) -> Size:
    """What the chip that is `network` takes in LUTs, flip-flops, DSP blocks and memories."""
    shape = spiking_shape(network, LANES)
    memories = spiking_memories(network, shape)
    mapped = [map_ram(family, width, depth) for width, depth in memories]
    lut_rams = sum(each.lut_rams for each in mapped)
    muxes = sum(
        width * (each.banks - 1)
        for (width, _), each in zip(memories, mapped, strict=True)
        if each.block_rams
    )
    read_bits = sum(
        width for (width, _), each in zip(memories, mapped, strict=True) if each.lut_rams
    )
    lanes, bits = shape.lanes, shape.potential_bits
    row_bits = _row_bits(network, shape)
    luts = (
        SPIKING_LUTS
        + lanes * (_operations(network, shape) * bits + 2 * row_bits)
        + family.luts_per_lut_ram * lut_rams
        + family.lut_costs.mux_bit * muxes
    )
    flip_flops = (
        SPIKING_FLIP_FLOPS + lanes * (4 * bits + 1 + 2 * shape.leak_bits + row_bits) + read_bits
    )
    block_rams = sum(each.block_rams for each in mapped) + LINK_BLOCK_RAMS
    # The walk multiplies an input's number by the groups of its layer.
    dsps = int(len({layer.groups for layer in shape.layers}) > 1)
    return Size(round(luts), flip_flops, dsps, block_rams, 0)


def _row_bits(network: SpikingNetwork, shape: SpikingShape) -> int:
    if network.asked is Rows.POTENTIALS:
        return shape.potential_bits + 1
    return network.ticks.bit_length() + 1


def _operations(network: SpikingNetwork, shape: SpikingShape) -> int:
    """How many operations as wide as a potential a lane has, as `Potentials` makes them: layers
    that do the same after a comparison, or lose as much, share theirs."""
    last = network.layers[-1]
    asked = network.asked is Rows.POTENTIALS
    lowest = -(1 << shape.potential_bits - 1)

    def kept(layer: SpikingLayer) -> tuple[bool, int | None, int]:
        return asked and layer is last, layer.reset, layer.floor

    after = {kept(layer) for layer in network.layers}
    decays = {layer.decay_shift for layer in network.layers}
    choices = len(after) - 1 + len(decays) - 1
    resets = sum(not is_read for is_read, _, _ in after)
    floors = 2 * sum(floor > lowest for _, _, floor in after)
    lost = sum(shift not in (None, 0) for shift in decays)
    leaks = shape.leak_bits > 0
    return USUAL_OPERATIONS + choices + resets + floors + lost + leaks


def _multipliers(part: Part) -> int:
    return next((count for end, count in MULTIPLIERS.items() if part.name.endswith(end)), 0)
