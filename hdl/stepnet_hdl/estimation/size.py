"""How large and how fast a chip becomes, before anything is built.

Memories are exact: `ram_mapping` does what synthesis does. LUTs and flip-flops are counted from the
structure, with coefficients fitted to built chips; docs/estimate.md has both beside each other.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from stepnet.cores.engine.shape import EngineShape
from stepnet_hdl.boards.settings import settings_for
from stepnet_hdl.cores.engine.structure import (
    Memory,
    memories,
    popcount_structure,
    single_port_rams,
    skew_flip_flops,
)
from stepnet_hdl.fpga.family import Family
from stepnet_hdl.fpga.parts import Part, find_part
from stepnet_hdl.fpga.ram_mapping import map_ram

LUT_ERROR = 0.15
"""How far the LUTs of a built chip may be from the estimate, either way."""

FRAME_BLOCK_RAMS = 1
"""Block RAMs that every chip has, for the frame that is being encoded."""

ANSWER_BLOCK_RAMS = 1
"""The layouts of answers, where they do not take LUTs instead."""

ANSWER_LUTS = 100
"""What they take then, measured on the HX8K."""

CODED_IMAGES_LUTS = 75
"""What undoing coded images takes, on an iCE40 and about as much elsewhere."""


LINK_PART = 0.56
"""Part of `LutCosts.chip` that link, pins and clock take: 1,096 of 1,940 in the chip for the
iCE40LP8K, by the names of the placed cells. Of other families it is taken to be the same."""

MAPS_PERIOD = 1.3
"""By how much convolutions make the period longer: 138.9 MHz became 108.5 in a ULX3S 25F's chip of
SIMD 32 and PE 32, and 46.7 became 33.6 to 38.3 in an iCEBreaker's of SIMD 16 and PE 4."""

CHIP_FLIP_FLOPS = 900
"""What does not grow with the engine takes so many: link, endpoint, sequencer, readout."""


@dataclass(frozen=True)
class Estimate:
    """What a chip takes of a part, and what its clock reaches.

    part: its name in `parts.PARTS`.
    shape: of the engine.
    luts: as nextpnr counts them, see `CellNames.luts`; of iCE40 logic cells.
    flip_flops: on iCE40 they share their cells with the LUTs.
    block_rams, single_port_rams: exactly.
    frequency_hz: that nextpnr would report for the slowest clock, at the slowest speed grade.
    engine_luts, engine_block_rams: those of `luts` and of `block_rams` that the engine takes,
        without link, pins and clock.
    """

    part: str
    shape: EngineShape
    luts: int
    flip_flops: int
    block_rams: int
    single_port_rams: int
    frequency_hz: int
    engine_luts: int
    engine_block_rams: int

    @property
    def shares(self) -> dict[str, tuple[int, int]]:
        """What it takes, and how much of that the part has."""
        part = find_part(self.part)
        return {
            "LUTs": (self.luts, part.luts),
            "block RAMs": (self.block_rams, part.block_rams),
            "single-port RAMs": (self.single_port_rams, part.single_port_rams),
        }

    @property
    def fullness(self) -> float:
        """The largest of its shares; infinite where the part has nothing of what it takes."""
        return max(
            (needed / available if available else math.inf)
            for needed, available in self.shares.values()
            if needed
        )

    @property
    def too_small(self) -> str | None:
        """What the part has too little of, in words; None if the chip fits, even if it comes out
        `LUT_ERROR` larger."""
        for name, (needed, available) in self.shares.items():
            limit = available / (1 + LUT_ERROR) if name == "LUTs" else available
            if needed > limit:
                return f"{needed:,} of {available:,} {name}"
        return None


def estimate(shape: EngineShape, part_name: str, buffer_bytes: int | None = None) -> Estimate:
    """What a `chip.SerialChip` with an engine of `shape` becomes on a part of `parts.PARTS`.

    buffer_bytes: of the link's receive buffer; None for that of the chip which suits the part.

    Raises BuildError if there is no such part, or if it is too small for any engine.
    """
    part = find_part(part_name)
    settings = settings_for(part)
    answers_in_luts = settings.answers_in_luts
    has_single_port = part.single_port_rams > 0
    buffer_bytes = buffer_bytes or settings.buffer_bytes
    found = memories(shape, part.family, buffer_bytes, has_single_port=has_single_port)
    luts = _luts(shape, part.family, found)
    buffer, *of_engine = found
    return Estimate(
        part=part.name,
        shape=shape,
        luts=round(luts)
        + ANSWER_LUTS * answers_in_luts
        + CODED_IMAGES_LUTS * settings.coded_images,
        flip_flops=_flip_flops(shape)
        + skew_flip_flops(shape)
        + sum(memory.register_bits for memory in found),
        block_rams=FRAME_BLOCK_RAMS
        + (0 if answers_in_luts else ANSWER_BLOCK_RAMS)
        + buffer.block_rams
        + sum(memory.block_rams for memory in of_engine),
        single_port_rams=single_port_rams(shape) if has_single_port else 0,
        frequency_hz=_frequency_hz(shape, part),
        engine_luts=round(luts - LINK_PART * part.family.lut_costs.chip),
        engine_block_rams=sum(memory.block_rams for memory in of_engine),
    )


def _luts(shape: EngineShape, family: Family, found: Sequence[Memory]) -> float:
    per = family.lut_costs
    popcount = popcount_structure(shape.simd)
    neuron = (
        popcount.leaf_luts
        + per.chain_bit * popcount.adder_bits
        + per.chain * popcount.adders
        + per.delay * popcount.delays
        + per.sum_bit * shape.sum_bits
        + per.partial_bit * (shape.max_inputs.bit_length() if shape.overlap_neurons else 0)
    )
    if shape.pe > 1:
        neuron += per.waiting_bit * shape.sum_bits
    return (
        per.chip
        + (per.maps if shape.map_words else 0)
        + per.word_bit * shape.simd * shape.map_windows
        + shape.pe * shape.map_windows * neuron
        + per.delay
        * (
            _waiting_threshold_bits(shape)
            + skew_flip_flops(shape)
            + sum(memory.lone_register_bits for memory in found)
        )
        + per.mux_bit * sum(memory.mux_bits for memory in found)
        + family.luts_per_lut_ram * sum(memory.lut_rams for memory in found)
    )


def _flip_flops(shape: EngineShape) -> int:
    margin_bits = shape.sum_bits + 1
    neuron = popcount_structure(shape.simd).flip_flops + shape.sum_bits + margin_bits
    if shape.pe > 1:
        neuron += margin_bits  # waits for its turn in the readout
    words = (1 + shape.map_windows) * shape.simd  # of the intake and of the collector
    return (
        CHIP_FLIP_FLOPS
        + words
        + shape.pe * shape.map_windows * neuron
        + _waiting_threshold_bits(shape)
    )


def _waiting_threshold_bits(shape: EngineShape) -> int:
    """Thresholds that wait until all of their group have been read."""
    return (shape.parameter_reads - 1) * shape.parameter_lanes * shape.sum_bits


def _frequency_hz(shape: EngineShape, part: Part) -> int:
    speed = part.family.speed_of(part.name)
    period_ns = speed.base_ns + speed.doubling_ns * math.log2(shape.simd * shape.pe / 64)
    if shape.weight_memory == "registered":
        period_ns -= speed.registered_ns
    elif map_ram(part.family, shape.simd, shape.weight_words).banks > 1:
        period_ns += speed.banks_ns
    if shape.map_words:
        period_ns *= MAPS_PERIOD
    return round(1e9 / period_ns)
