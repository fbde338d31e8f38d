"""The chip that is one network of look-up tables, on each part: its core, its size, its clock."""

from __future__ import annotations

import enum
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache

from stepnet.cores.engine.shape import CODE_BITS
from stepnet.cores.pipeline.stored_images import StoredImages
from stepnet.cores.pipeline.structure import pipeline_structure
from stepnet.cores.table_walk.contents import walk_shape
from stepnet.errors import BuildError
from stepnet.networks.lut import LutNetwork
from stepnet.networks.shipped import load_lut_network, lut_names
from stepnet_hdl.boards.catalogue import BoardType, all_boards
from stepnet_hdl.boards.settings import SETTINGS
from stepnet_hdl.fpga.parts import Part
from stepnet_hdl.fpga.ram_mapping import map_ram

FEW_BLOCK_RAMS = 16
"""A part with no more of them gets a small receive buffer, the layouts of answers in LUTs, and no
coded images."""

ANSWER_LUTS = 100
"""What the layouts of answers take in LUTs."""

CODED_IMAGES_LUTS = 75
"""What undoing coded images takes."""

FILLED = 0.95
"""What part of its LUTs place and route can fill."""

WALK_HZ = {"iCE40HX1K": 96_000_000, "iCE40LP1K": 12_000_000, "GW1N-1": 27_000_000}
"""The clock of a table walk, by the part, on parts without an engine; on others it is that of the
engine, whose link is the same."""

UNREGISTERED_HZ = 12_000_000
"""The clock of a pipeline without registers between its stages."""


class TableCore(enum.StrEnum):
    """The cores that are a network of look-up tables."""

    PIPELINE = "pipeline"
    TABLE_WALK = "table walk"


@dataclass(frozen=True)
class TableChip:
    """A chip with one network of look-up tables on a part.

    core: its kind.
    registered: for a pipeline, as of `Pipeline`.
    luts: an estimate of what nextpnr counts.
    block_rams: exactly.
    buffer_bytes: of the link's receive buffer.
    answers_in_luts, coded_images: see `endpoint.Endpoint`.
    limit_hz: the largest clock that it is built for; a board runs at what it can make up to that.
    """

    part: Part
    core: TableCore
    registered: bool
    luts: int
    block_rams: int
    buffer_bytes: int
    answers_in_luts: bool
    coded_images: bool
    limit_hz: int

    @property
    def usable_luts(self) -> int:
        """How many LUTs of the part can be filled."""
        return int(FILLED * self.part.luts)

    @property
    def fits(self) -> bool:
        """Whether the part is large enough."""
        return self.luts <= self.usable_luts and self.block_rams <= self.part.block_rams


def table_chip(network: LutNetwork, part: Part) -> TableChip:
    """The chip for `network` on `part`: the pipeline if it fits, or the table walk if that does;
    if neither fits, the pipeline all the same."""
    chips = list(_chips(network, part))
    return next((chip for chip in chips if chip.fits), chips[0])


def fitting_tables(part: Part) -> list[str]:
    """The shipped networks of look-up tables that a chip of `part` can be, by name."""
    return [name for name, network in _shipped().items() if table_chip(network, part).fits]


def check_tables(network: LutNetwork, board: BoardType) -> TableChip:
    """The chip for `network` on `board`.

    Raises BuildError if the part is too small, with how many LUTs it lacks, what would fit the
    board, and which boards the network would fit.
    """
    chip = table_chip(network, board.part)
    if chip.fits:
        return chip
    holds = fitting_tables(board.part)
    others = [name for name, other in all_boards().items() if table_chip(network, other.part).fits]
    raise BuildError(
        f"Network {network.name!r} does not fit {board.name}: it takes about {chip.luts:,} LUTs, "
        f"{chip.luts - chip.usable_luts:,} more than can be filled of the {board.part.luts:,} of "
        f"the {board.device}; of the shipped networks of look-up tables {board.name} takes "
        f"{', '.join(holds) or 'none'}, and {network.name!r} fits "
        f"{', '.join(others) or 'no board'}."
    )


def check_bench(stored: StoredImages, board: BoardType) -> TableChip:
    """The chip on `board` that measures itself with `stored`.

    Raises BuildError if the network does not fit as a pipeline, or the images do not fit beside it.
    """
    chip = check_tables(stored.network, board)
    if chip.core is not TableCore.PIPELINE:
        raise BuildError(
            f"On {board.name} network {stored.network.name!r} is a {chip.core}, which takes an "
            "image in thousands of cycles, and the link brings it sooner; choose a board on which "
            "it is a pipeline, such as ulx3s-25f."
        )
    memories = ((CODE_BITS, len(stored)), (len(stored.network.pixels_used), len(stored)))
    of_images = sum(map_ram(board.part.family, *memory).block_rams for memory in memories)
    if chip.block_rams + of_images > board.part.block_rams:
        raise BuildError(
            f"{len(stored):,} images of {len(stored.network.pixels_used)} pixels take {of_images} "
            f"block RAMs, and {board.name} has {board.part.block_rams - chip.block_rams} left; "
            "choose a larger board, or data with fewer images."
        )
    return replace(chip, block_rams=chip.block_rams + of_images)


def _chips(network: LutNetwork, part: Part) -> Iterator[TableChip]:
    family, costs = part.family, part.family.table_costs
    few = part.block_rams <= FEW_BLOCK_RAMS
    buffer_bytes = 512 if few else 2048
    buffers = ((8, buffer_bytes), (8, 256))
    # The read of a block RAM would be the longest path of a chip that is all registers.
    answers_in_luts = few or costs.registered
    link_luts = costs.link + ANSWER_LUTS * answers_in_luts + CODED_IMAGES_LUTS * (not few)
    of_buffers = sum(map_ram(family, *buffer).block_rams for buffer in buffers)
    link_rams = of_buffers + (not answers_in_luts)
    limit_hz = WALK_HZ.get(part.name) or SETTINGS[part.name].clock_hz
    made_of = pipeline_structure(network)
    luts = (
        link_luts
        + made_of.pixels * costs.pixel
        + made_of.pixel_bytes * costs.pixel_byte
        + made_of.tables
        + made_of.adders * costs.adder
        + made_of.judged_bits * costs.judged_bit
        + made_of.chosen_bits * costs.chosen_bit
    )

    def chip(core: TableCore, luts: float, block_rams: int, limit_hz: int) -> TableChip:
        return TableChip(
            part,
            core,
            costs.registered,
            round(luts),
            block_rams,
            buffer_bytes,
            answers_in_luts,
            not few,
            limit_hz,
        )

    pipeline_hz = limit_hz if costs.registered else UNREGISTERED_HZ
    yield chip(TableCore.PIPELINE, luts, link_rams, pipeline_hz)
    shape = walk_shape(network)
    memories = ((1, 2 * shape.half), (shape.word_bits, shape.words))
    walk_rams = sum(map_ram(family, *memory).block_rams for memory in memories)
    yield chip(TableCore.TABLE_WALK, link_luts + costs.walk, link_rams + walk_rams, limit_hz)


@cache
def _shipped() -> dict[str, LutNetwork]:
    return {name: load_lut_network(name) for name in lut_names()}
