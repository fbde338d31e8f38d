"""How large and how fast a chip becomes that is a network of look-up tables."""

from __future__ import annotations

from dataclasses import dataclass

from stepnet.networks.lut import LutNetwork
from stepnet_hdl.boards.catalogue import BoardType
from stepnet_hdl.boards.chip_clocks import baud_for, clock_hz_for
from stepnet_hdl.boards.table_chips import TableChip, TableCore, table_chip
from stepnet_hdl.cores.pipeline.pipeline import pipeline_latency_cycles
from stepnet_hdl.cores.table_walk.table_walk import walk_latency_cycles
from stepnet_hdl.estimation.speed import link_images_per_s


@dataclass(frozen=True)
class TableEstimate:
    """The chip that is a network on a board, and how fast it is.

    chip: which core it has, and its size: LUTs are an estimate, within 15 % of built chips.
    clock_hz: that the chip is built for.
    latency_cycles: from the last pixel to the register, exactly.
    link_images_per_s: that the serial line carries; the core is faster.
    """

    board: str
    network: str
    chip: TableChip
    clock_hz: int
    latency_cycles: int
    link_images_per_s: float

    @property
    def latency_s(self) -> float:
        """`latency_cycles` as a time."""
        return self.latency_cycles / self.clock_hz

    @property
    def shares(self) -> dict[str, tuple[int, int]]:
        """What the chip takes, and how much of that the part has."""
        chip = self.chip
        return {
            "LUTs": (chip.luts, chip.part.luts),
            "block RAMs": (chip.block_rams, chip.part.block_rams),
        }


def table_estimate(network: LutNetwork, board: BoardType, baud: int | None = None) -> TableEstimate:
    """Tell size and speed of the chip that is `network` on `board`, whether it fits or not.

    baud: of the serial line; None for the board's own.
    """
    baud = baud or baud_for(network, board)
    chip = table_chip(network, board.part)
    if chip.core is TableCore.TABLE_WALK:
        latency_cycles = walk_latency_cycles(network)
    else:
        latency_cycles = pipeline_latency_cycles(network, registered=chip.registered)
    return TableEstimate(
        board.name,
        network.name,
        chip,
        clock_hz_for(network, board, baud),
        latency_cycles,
        link_images_per_s(network, baud),
    )
