"""Boards that can carry Stepnet: the platforms of amaranth-boards, and what their parts hold."""

from __future__ import annotations

import difflib
import importlib
import inspect
import pkgutil
from dataclasses import dataclass
from typing import TypeAlias, TypeGuard

import amaranth_boards
from amaranth.build import Platform
from amaranth.vendor import LatticeECP5Platform, LatticeICE40Platform

from stepnet.engine import EngineShape
from stepnet.errors import BuildError

OpenPlatform: TypeAlias = type[LatticeICE40Platform] | type[LatticeECP5Platform]
"""A platform class whose toolchain is open."""


@dataclass(frozen=True)
class Part:
    """An FPGA and the chip that suits it.

    luts, block_rams: what it has; LUTs of four inputs.
    shape: of the engine.
    buffer_bytes: of the link's receive buffer.
    clock_hz: what a PLL makes of the board's oscillator; 0 takes the oscillator as it is.
    """

    luts: int
    block_rams: int
    shape: EngineShape
    buffer_bytes: int = 2048
    clock_hz: int = 0


_ICE40_HX8K = Part(7_680, 32, EngineShape(16, 1024, 6656, 256, 4), buffer_bytes=512)
_ECP5_25F = Part(24_288, 56, EngineShape(64, 2048, 8192, 1024))
_ECP5_45F = Part(43_848, 108, EngineShape(64, 2048, 16384, 2048))
_ECP5_85F = Part(83_640, 208, EngineShape(64, 2048, 47104, 4096))

PARTS = {
    "iCE40UP5K": Part(
        5_280,
        30,
        EngineShape(
            simd=64,
            max_inputs=1024,
            weight_words=16384,
            parameter_words=2048,
            weight_memory="single_port",
            max_sum_bits=16,
            overlap_neurons=1024,
        ),
        clock_hz=24_000_000,
    ),
    "iCE40HX8K": _ICE40_HX8K,
    "iCE40HX4K": _ICE40_HX8K,  # the same die
    "LFE5U-12F": _ECP5_25F,  # the same die
    "LFE5U-25F": _ECP5_25F,
    "LFE5UM-25F": _ECP5_25F,
    "LFE5UM5G-25F": _ECP5_25F,
    "LFE5U-45F": _ECP5_45F,
    "LFE5UM-45F": _ECP5_45F,
    "LFE5UM5G-45F": _ECP5_45F,
    "LFE5U-85F": _ECP5_85F,
    "LFE5UM-85F": _ECP5_85F,
    "LFE5UM5G-85F": _ECP5_85F,
}
"""Parts by the name that Amaranth's platforms give them. Sizes: Lattice FPGA-DS-02008 (iCE40
UltraPlus), FPGA-DS-02029 (iCE40 LP/HX; the HX4K opened by the free tools), FPGA-DS-02012 (ECP5)."""


@dataclass(frozen=True)
class Board:
    """A board by its name, its platform class and its part."""

    name: str
    platform: OpenPlatform

    @property
    def device(self) -> str:
        """The part's name."""
        return self.platform.device

    @property
    def part(self) -> Part:
        """What the part holds."""
        return PARTS[self.device]

    @property
    def clock_hz(self) -> int:
        """What the chip runs at on this board."""
        return self.part.clock_hz or round(self.platform().default_clk_frequency)


def all_boards() -> dict[str, Board]:
    """Every board of amaranth-boards that has a UART and a part in `PARTS`, by name."""
    boards: dict[str, Board] = {}
    for module_info in pkgutil.iter_modules(amaranth_boards.__path__):
        if module_info.ispkg:
            continue
        module = importlib.import_module(f"amaranth_boards.{module_info.name}")
        for _, platform in inspect.getmembers(module, inspect.isclass):
            if platform.__module__ == module.__name__ and _carries(platform):
                name = _board_name(platform)
                boards[name] = Board(name, platform)
    return dict(sorted(boards.items()))


def find_board(name: str) -> Board:
    """The board called `name`, or of the platform class `module:Class`.

    Raises BuildError with the nearest names if there is none.
    """
    if ":" in name:
        return _own_board(name)
    boards = all_boards()
    if name not in boards:
        near = difflib.get_close_matches(name, boards, n=3, cutoff=0.7)
        hint = f"did you mean {' or '.join(near)}?" if near else "`stepnet boards` lists all."
        raise BuildError(f"There is no board {name!r}; {hint}")
    return boards[name]


def _own_board(name: str) -> Board:
    module_name, _, class_name = name.partition(":")
    try:
        platform = getattr(importlib.import_module(module_name), class_name)
    except (ImportError, AttributeError) as error:
        raise BuildError(
            f"The platform {name!r} cannot be imported ({error}); name it as module:Class of a "
            "module that Python finds."
        ) from error
    if not (inspect.isclass(platform) and _carries(platform)):
        raise BuildError(
            f"The platform {name!r} cannot carry Stepnet; it has to be an Amaranth platform with a "
            f"resource 'uart' and one of the parts {', '.join(PARTS)}."
        )
    return Board(class_name, platform)


def _carries(platform: type) -> TypeGuard[OpenPlatform]:
    return (
        issubclass(platform, Platform)
        and getattr(platform, "device", None) in PARTS
        and any(resource.name == "uart" for resource in platform.resources)
    )


def _board_name(platform: type) -> str:
    """ULX3S_85F_Platform becomes ulx3s-85f."""
    return platform.__name__.removesuffix("Platform").strip("_").replace("_", "-").lower()
