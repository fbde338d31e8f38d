"""How large and how fast a chip becomes, before anything is built.

Memories are exact: `ram_mapping` does what synthesis does. LUTs and flip-flops are counted from the
structure, with coefficients fitted to built chips; docs/estimate.md has both beside each other.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatch

from stepnet.cores.engine.shape import EngineShape
from stepnet.errors import BuildError
from stepnet_hdl.boards.settings import PARTS
from stepnet_hdl.cores.engine.structure import (
    Memory,
    memories,
    popcount_structure,
    single_port_rams,
    skew_flip_flops,
)
from stepnet_hdl.fpga.families import ECP5, ICE40, Family, family_of
from stepnet_hdl.fpga.parts import SPRAM_BITS, SPRAM_WORDS
from stepnet_hdl.fpga.ram_mapping import map_ram

LUT_ERROR = 0.15
"""How far the LUTs of a built chip may be from the estimate, either way."""

FRAME_BLOCK_RAMS = 1
"""Of every chip: the frame that is being encoded."""

ANSWER_BLOCK_RAMS = 1
"""The layouts of answers, where they do not take LUTs instead."""

ANSWER_LUTS = 100
"""What they take then, measured on the HX8K."""


CHIP_FLIP_FLOPS = 900
"""Of what does not grow with the engine: link, endpoint, sequencer, readout."""


@dataclass(frozen=True)
class _Coefficients:
    """LUT sites by what they belong to.

    chip: what every chip has: link, endpoint, sequencer, readout.
    word_bit: of SIMD: intake, collector, and the mux in front of the activation memory.
    chain_bit, chain: of the popcount's adders, and what every one of them takes beside.
    delay: a flip-flop without logic in front of it.
    sum_bit: of a neuron: accumulator and comparison; `waiting_bit` its turn in the readout.
    partial_bit: of a neuron whose sum waits in memory between words.
    mux_bit: of the muxes behind banked memories.
    """

    chip: float
    word_bit: float
    chain_bit: float
    chain: float
    delay: float
    sum_bit: float
    waiting_bit: float
    partial_bit: float
    mux_bit: float


@dataclass(frozen=True)
class _Speed:
    """The period of the slowest clock: `base_ns` and more for every doubling of SIMD * PE.

    registered_ns: less with memories that are read through a second register.
    banks_ns: more without, where a mux joins banks of weights.
    """

    base_ns: float
    doubling_ns: float
    registered_ns: float = 0
    banks_ns: float = 0


_COEFFICIENTS = {
    ICE40: _Coefficients(
        chip=1940,
        word_bit=3,
        chain_bit=1,
        chain=0.5,
        delay=1,
        sum_bit=4.5,
        waiting_bit=1,
        partial_bit=1,
        mux_bit=0.67,
    ),
    ECP5: _Coefficients(
        chip=1750,
        word_bit=1,
        chain_bit=1,
        chain=4,
        delay=0,
        sum_bit=4.5,
        waiting_bit=1,
        partial_bit=1,
        mux_bit=0.67,
    ),
}
"""Fitted to the chips of benchmarks/estimate_table.json."""

_SPEEDS = {
    "iCE40UP*": _Speed(base_ns=21.4, doubling_ns=0.6),
    "iCE40HX*": _Speed(base_ns=8.4, doubling_ns=0.1, banks_ns=1.1),
    "LFE5U*-85F": _Speed(base_ns=10.4, doubling_ns=0.2, registered_ns=1.5),
    "LFE5UM5G*": _Speed(base_ns=5.85, doubling_ns=0.13, registered_ns=1.24),
    "LFE5U*": _Speed(base_ns=9.0, doubling_ns=0.2, registered_ns=1.9),
}
"""By the part's name, for its slowest speed grade; fitted to the same chips and, for the 85F, whose
ways are long, to that of the ULX3S and the largest of benchmarks/gateware.py. The LFE5UM5G, which
has the fastest grade only, is fitted to the one chip of the ECPIX."""


@dataclass(frozen=True)
class Estimate:
    """What a chip takes of a part, and what its clock reaches.

    part: its name in `boards.PARTS`.
    shape: of the engine.
    luts: as nextpnr counts them: LUT4 sites, of iCE40 logic cells.
    flip_flops: on iCE40 they share their cells with the LUTs.
    block_rams, single_port_rams: exactly.
    frequency_hz: that nextpnr would report for the slowest clock.
    """

    part: str
    shape: EngineShape
    luts: int
    flip_flops: int
    block_rams: int
    single_port_rams: int
    frequency_hz: int

    @property
    def shares(self) -> dict[str, tuple[int, int]]:
        """What it takes, and how much of that the part has."""
        part = PARTS[self.part]
        return {
            "LUTs": (self.luts, part.luts),
            "block RAMs": (self.block_rams, part.block_rams),
            "single-port RAMs": (
                self.single_port_rams,
                part.single_port_bits // (SPRAM_WORDS * SPRAM_BITS),
            ),
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


def estimate(shape: EngineShape, part: str) -> Estimate:
    """What a `chip.SerialChip` with an engine of `shape` becomes on a part of `boards.PARTS`.

    Raises BuildError for a part of a family without an estimate.
    """
    family = family_of(part)
    if family not in _COEFFICIENTS:
        raise BuildError(
            f"There is no estimate for the {part}; choose a board with an iCE40 or an ECP5."
        )
    has_single_port = PARTS[part].single_port_bits > 0
    answers_in_luts = PARTS[part].answers_in_luts
    found = memories(shape, family, PARTS[part].buffer_bytes, has_single_port=has_single_port)
    return Estimate(
        part=part,
        shape=shape,
        luts=round(_luts(shape, family, found)) + ANSWER_LUTS * answers_in_luts,
        flip_flops=_flip_flops(shape)
        + skew_flip_flops(shape)
        + sum(memory.register_bits for memory in found),
        block_rams=FRAME_BLOCK_RAMS
        + (0 if answers_in_luts else ANSWER_BLOCK_RAMS)
        + sum(memory.block_rams for memory in found),
        single_port_rams=single_port_rams(shape) if has_single_port else 0,
        frequency_hz=_frequency_hz(shape, part),
    )


def _luts(shape: EngineShape, family: Family, found: Sequence[Memory]) -> float:
    per = _COEFFICIENTS[family]
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
        + per.word_bit * shape.simd
        + shape.pe * neuron
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
    words = 2 * shape.simd  # of the intake and of the collector
    return CHIP_FLIP_FLOPS + words + shape.pe * neuron + _waiting_threshold_bits(shape)


def _waiting_threshold_bits(shape: EngineShape) -> int:
    """Thresholds that wait until all of their group have been read."""
    return (shape.parameter_reads - 1) * shape.parameter_lanes * shape.sum_bits


def _frequency_hz(shape: EngineShape, part: str) -> int:
    speed = next(speed for name, speed in _SPEEDS.items() if fnmatch(part, name))
    period_ns = speed.base_ns + speed.doubling_ns * math.log2(shape.simd * shape.pe / 64)
    if shape.weight_memory == "registered":
        period_ns -= speed.registered_ns
    elif map_ram(family_of(part), shape.simd, shape.weight_words).banks > 1:
        period_ns += speed.banks_ns
    return round(1e9 / period_ns)
