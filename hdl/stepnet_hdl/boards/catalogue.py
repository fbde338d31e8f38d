"""Boards that can carry Stepnet: the platforms of amaranth-boards, and what their parts hold."""

from __future__ import annotations

import dataclasses
import difflib
import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias, TypeGuard

import amaranth_boards
from amaranth.build import Platform
from amaranth.lib.io import DifferentialPort
from amaranth.vendor import GowinPlatform, LatticeECP5Platform, LatticeICE40Platform

from stepnet.cores.engine.shape import EngineShape
from stepnet.errors import BuildError
from stepnet.link.serial_line import DEFAULT_BAUD
from stepnet_hdl.fpga.clocks import fastest_clock_hz
from stepnet_hdl.fpga.gowin import with_himbaechel

OpenPlatform: TypeAlias = (
    type[LatticeICE40Platform] | type[LatticeECP5Platform] | type[GowinPlatform]
)
"""A platform class whose toolchain is open."""

ICE40_BLOCK_RAM_BITS = 4096
ECP5_BLOCK_RAM_BITS = GOWIN_BLOCK_RAM_BITS = 18 * 1024


@dataclass(frozen=True)
class Fpga:
    """What a part has.

    luts: of four inputs.
    block_rams, block_ram_bits: how many, and the bits of each.
    single_port_bits: of memory with one port, in all.
    """

    luts: int
    block_rams: int
    block_ram_bits: int
    single_port_bits: int = 0

    @property
    def memory_bits(self) -> int:
        """Bits of all memory."""
        return self.block_rams * self.block_ram_bits + self.single_port_bits


@dataclass(frozen=True, kw_only=True)
class Part(Fpga):
    """An FPGA and the chip that suits it.

    shape: of the engine.
    buffer_bytes: of the link's receive buffer.
    answers_in_luts: saves a block RAM, see `endpoint.Endpoint`.
    clock_hz: the largest clock that the chip meets on it with 5 % to spare. A board runs at what it
    can make up to that.
    """

    shape: EngineShape
    buffer_bytes: int = 2048
    answers_in_luts: bool = False
    clock_hz: int


_ICE40_HX8K = Part(
    *(7_680, 32, ICE40_BLOCK_RAM_BITS),
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
_ECP5_25F = Part(
    *(24_288, 56, ECP5_BLOCK_RAM_BITS),
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
_ECP5_45F = Part(
    *(43_848, 108, ECP5_BLOCK_RAM_BITS),
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
    answers_in_luts=True,
    clock_hz=75_000_000,
)
_ECP5_85F = Part(
    *(83_640, 208, ECP5_BLOCK_RAM_BITS),
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

PARTS = {
    "iCE40UP5K": Part(
        *(5_280, 30, ICE40_BLOCK_RAM_BITS),
        single_port_bits=4 * 256 * 1024,
        shape=EngineShape(
            simd=64,
            max_inputs=1024,
            weight_words=16384,
            parameter_words=2048,
            weight_memory="single_port",
            max_sum_bits=16,
            overlap_neurons=1024,
        ),
        clock_hz=42_000_000,
    ),
    "iCE40HX8K": _ICE40_HX8K,
    "iCE40HX4K": _ICE40_HX8K,  # the same die
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
    "GW1NR-9C": Part(
        *(8_640, 26, GOWIN_BLOCK_RAM_BITS),
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
    "GW2A-18C": Part(
        *(20_736, 46, GOWIN_BLOCK_RAM_BITS),
        shape=EngineShape(64, 1024, 8192, 1024),
        clock_hz=27_000_000,
    ),
}
"""Parts by the name that Amaranth's platforms give them; of Gowin's, the family. Sizes: Lattice
FPGA-DS-02008 (iCE40 UltraPlus), FPGA-DS-02029 (iCE40 LP/HX; the HX4K opened by the free tools),
FPGA-DS-02012 (ECP5), Gowin DS117 (GW1NR), DS102 (GW2A)."""

SMALL_PARTS = {
    "iCE40HX1K": Fpga(1_280, 16, ICE40_BLOCK_RAM_BITS),
    "iCE40LP1K": Fpga(1_280, 16, ICE40_BLOCK_RAM_BITS),
    "GW1N-1": Fpga(1_152, 4, GOWIN_BLOCK_RAM_BITS),
}
"""Parts of boards with a UART that are too small for any engine and its link. Sizes: Lattice
FPGA-DS-02029, Gowin DS100."""


@dataclass(frozen=True)
class Board:
    """A board by its name, its platform class and its part."""

    name: str
    platform: OpenPlatform

    @property
    def device(self) -> str:
        """The part's name."""
        return _device(self.platform) or ""

    @property
    def fpga(self) -> Fpga:
        """What the part has."""
        return PARTS.get(self.device) or SMALL_PARTS[self.device]

    @property
    def is_too_small(self) -> bool:
        """Whether no engine fits the part."""
        return self.device not in PARTS

    @property
    def part(self) -> Part:
        """The part and the chip that suits it; BuildError if none fits."""
        if self.is_too_small:
            raise BuildError(
                f"No engine fits the {self.device} of {self.name}, which has {self.fpga.luts:,} "
                f"LUTs and {self.fpga.memory_bits // 1024} kbit of memory; take a board with one "
                f"of {', '.join(PARTS)}."
            )
        return PARTS[self.device]

    @property
    def clock_hz(self) -> int:
        """What the chip runs at on this board, at the usual baud rate."""
        return self.clock_hz_for(DEFAULT_BAUD)

    def clock_hz_for(self, baud: int) -> int:
        """What the chip runs at on this board: see `clocking.fastest_clock_hz`."""
        return fastest_clock_hz(self._instance, self.part.clock_hz, baud)

    @property
    def oscillator_hz(self) -> int:
        """The board's default clock."""
        return round(self._instance.default_clk_frequency)

    @cached_property
    def pins(self) -> dict[str, str]:
        """Names of the package's pins: `rx` and `tx` as the board sees them, and `clock` unless it
        comes from within the part."""
        platform: Any = self.platform()
        uart = platform.request("uart", 0, dir="-")
        pins = {"rx": _pin_name(uart.rx), "tx": _pin_name(uart.tx)}
        if any(resource.name == platform.default_clk for resource in self.platform.resources):
            pins["clock"] = _pin_name(platform.request(platform.default_clk, dir="-"))
        return pins

    @cached_property
    def _instance(self) -> Platform:
        return self.platform()


def all_boards() -> dict[str, Board]:
    """Every board of amaranth-boards that has a UART and a part of `PARTS` or `SMALL_PARTS`, by
    name."""
    boards = {
        board.name: board
        for platform in _platforms()
        if _has_open_part(platform) and _has_uart(platform)
        for board in [_board(_board_name(platform), platform)]
    }
    return dict(sorted(boards.items()))


def find_board(name: str) -> Board:
    """The board called `name`, or of the platform class `module:Class`.

    Raises BuildError if there is none, with the nearest names, and if it has no UART.
    """
    if ":" in name:
        return _own_board(name)
    boards = all_boards()
    if name in boards:
        return boards[name]
    for platform in _platforms():
        if _board_name(platform) == name and _has_open_part(platform):
            raise _no_uart(name, platform)
    near = difflib.get_close_matches(name, boards, n=3, cutoff=0.7)
    hint = f"did you mean {' or '.join(near)}?" if near else "`stepnet boards` lists all."
    raise BuildError(f"There is no board {name!r}; {hint}")


def _own_board(name: str) -> Board:
    module_name, _, class_name = name.partition(":")
    try:
        platform = getattr(importlib.import_module(module_name), class_name)
    except (ImportError, AttributeError) as error:
        raise BuildError(
            f"The platform {name!r} cannot be imported ({error}); name it as module:Class of a "
            "module that Python finds, for instance in a folder that PYTHONPATH names."
        ) from error
    if not (inspect.isclass(platform) and _has_open_part(platform)):
        raise BuildError(
            f"The platform {name!r} cannot carry Stepnet; it has to be an Amaranth platform with "
            f"one of the parts {', '.join(PARTS)}."
        )
    if not _has_uart(platform):
        raise _no_uart(name, platform)
    return _board(class_name, platform)


def _no_uart(name: str, platform: OpenPlatform) -> BuildError:
    return BuildError(
        f"The board {name!r} has no resource 'uart'; derive a platform from "
        f"{platform.__module__}:{platform.__name__} that adds a UARTResource on pins of your "
        "choice, as docs/boards.md shows, and name it as module:Class."
    )


def _board(name: str, platform: OpenPlatform) -> Board:
    return Board(name, with_himbaechel(platform) if _is_gowin(platform) else platform)


def _platforms() -> Iterator[type]:
    """Every class of amaranth-boards."""
    for module_info in pkgutil.iter_modules(amaranth_boards.__path__):
        if module_info.ispkg:
            continue
        module = importlib.import_module(f"amaranth_boards.{module_info.name}")
        for _, platform in inspect.getmembers(module, inspect.isclass):
            if platform.__module__ == module.__name__ and issubclass(platform, Platform):
                yield platform


def _pin_name(port: Any) -> str:
    """Of a port of one wire, or the positive one of a pair."""
    wire = port.p if isinstance(port, DifferentialPort) else port.io
    return wire.metadata[0].name


def _is_gowin(platform: type) -> TypeGuard[type[GowinPlatform]]:
    return issubclass(platform, GowinPlatform)


def _device(platform: type) -> str | None:
    """What `PARTS` calls the platform's part; None for a class without a part of its own."""
    name = getattr(platform, "family" if _is_gowin(platform) else "device", None)
    return name if isinstance(name, str) else None


def _has_open_part(platform: type) -> TypeGuard[OpenPlatform]:
    device = _device(platform)
    return issubclass(platform, Platform) and (device in PARTS or device in SMALL_PARTS)


def _has_uart(platform: OpenPlatform) -> bool:
    return any(resource.name == "uart" for resource in platform.resources)


def _board_name(platform: type) -> str:
    """ULX3S_85F_Platform becomes ulx3s-85f."""
    return platform.__name__.removesuffix("Platform").strip("_").replace("_", "-").lower()
