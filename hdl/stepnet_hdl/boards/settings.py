"""The chip that suits each part: its engine, its buffer and its clock, chosen by measuring."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from stepnet.cores.engine.shape import EngineShape
from stepnet.errors import BuildError
from stepnet_hdl.fpga.parts import Part


@dataclass(frozen=True, kw_only=True)
class ChipSettings:
    """The chip for a part.

    shape: of the engine.
    buffer_bytes: of the link's receive buffer.
    answers_in_luts: saves a block RAM, see `endpoint.Endpoint`.
    coded_images: it takes coded images as well, see `endpoint.Endpoint`.
    clock_hz: the largest clock that the chip meets on the part with 5 % to spare. A board runs at
        what it can make up to that.
    """

    shape: EngineShape
    buffer_bytes: int = 2048
    answers_in_luts: bool = False
    coded_images: bool = True
    clock_hz: int


_ICE40_HX8K = ChipSettings(
    shape=EngineShape(
        simd=16,
        pe=4,
        max_inputs=1024,
        weight_words=1792,
        parameter_words=256,
        max_sum_bits=16,
        weight_memory="registered",
    ),
    buffer_bytes=512,
    answers_in_luts=True,
    clock_hz=112_000_000,
)


_ECP5_25F = ChipSettings(
    shape=EngineShape(
        simd=144,
        pe=8,
        max_inputs=1152,
        weight_words=512,
        parameter_words=256,
        parameter_lanes=4,
        max_sum_bits=18,
        weight_memory="registered",
        overlap_neurons=256,
    ),
    answers_in_luts=True,
    clock_hz=120_000_000,
)


_ECP5_45F = ChipSettings(
    shape=EngineShape(
        simd=144,
        pe=16,
        max_inputs=1152,
        weight_words=512,
        parameter_words=512,
        parameter_lanes=4,
        max_sum_bits=18,
        weight_memory="registered",
        overlap_neurons=576,
    ),
    buffer_bytes=4096,
    answers_in_luts=True,
    clock_hz=75_000_000,
)


_ECP5_85F = ChipSettings(
    shape=EngineShape(
        simd=72,
        pe=24,
        max_inputs=1152,
        weight_words=2048,
        parameter_words=1024,
        parameter_lanes=4,
        max_sum_bits=18,
        weight_memory="registered",
    ),
    answers_in_luts=True,
    clock_hz=90_000_000,
)


_ARORA = ChipSettings(
    shape=EngineShape(
        simd=72,
        pe=8,
        max_inputs=1008,
        weight_words=1024,
        parameter_words=1024,
        parameter_lanes=4,
        max_sum_bits=18,
        overlap_neurons=256,
    ),
    clock_hz=60_000_000,
)


SETTINGS = {
    "iCE40UP5K": ChipSettings(
        shape=EngineShape(
            simd=64,
            max_inputs=1024,
            weight_words=16384,
            parameter_words=2048,
            weight_memory="single_port",
            max_sum_bits=16,
            overlap_neurons=1024,
        ),
        buffer_bytes=4096,
        clock_hz=42_000_000,
    ),
    "iCE40HX8K": _ICE40_HX8K,
    "iCE40HX4K": _ICE40_HX8K,  # the same die
    "iCE40LP8K": dataclasses.replace(_ICE40_HX8K, clock_hz=70_000_000),  # slower
    "LFE5U-12F": _ECP5_25F,  # the same die
    "LFE5U-25F": _ECP5_25F,
    "LFE5UM-25F": _ECP5_25F,
    "LFE5UM5G-25F": _ECP5_25F,
    "LFE5U-45F": _ECP5_45F,
    "LFE5UM-45F": _ECP5_45F,
    "LFE5UM5G-45F": dataclasses.replace(_ECP5_45F, clock_hz=170_000_000),  # always speed 8
    "LFE5U-85F": _ECP5_85F,
    "LFE5UM-85F": _ECP5_85F,
    "LFE5UM5G-85F": _ECP5_85F,
    "GW1NR-9C": ChipSettings(
        shape=EngineShape(
            simd=64,
            max_inputs=1024,
            weight_words=4096,
            parameter_words=1024,
            max_sum_bits=16,
            overlap_neurons=1024,
        ),
        clock_hz=27_000_000,
    ),
    "GW2A-18C": _ARORA,
    "GW2AR-18C": _ARORA,
    "GW5A-25A": _ARORA,
}
"""The chip that suits each part, by the part's name. A part of `PARTS` without a row is too small
for any engine and its link."""


def settings_for(part: Part, board: str | None = None) -> ChipSettings:
    """The chip that suits a part.

    board: the board's name, for the error; None for no board.

    Raises BuildError, with the parts that are large enough, if no engine fits it.
    """
    if part.name not in SETTINGS:
        raise BuildError(
            f"No engine fits the {part.name}{f' of {board}' if board else ''}, which has "
            f"{part.luts:,} LUTs and {part.memory_bits // 1024} kbit of memory; take a board with "
            f"one of {', '.join(SETTINGS)}, or a network of look-up tables that `stepnet boards` "
            "lists for it."
        )
    return SETTINGS[part.name]
