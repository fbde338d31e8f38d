"""Boards that can carry Stepnet: the platforms of amaranth-boards, and what their parts hold."""

from __future__ import annotations

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

from stepnet.errors import BuildError
from stepnet.link.serial_line import DEFAULT_BAUD
from stepnet_hdl.boards.settings import PARTS, Part
from stepnet_hdl.fpga.clocks import fastest_clock_hz
from stepnet_hdl.fpga.gowin import with_himbaechel
from stepnet_hdl.fpga.parts import SMALL_PARTS, Fpga

OpenPlatform: TypeAlias = (
    type[LatticeICE40Platform] | type[LatticeECP5Platform] | type[GowinPlatform]
)
"""A platform class whose toolchain is open."""


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
