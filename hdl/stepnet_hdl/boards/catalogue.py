"""Boards that can carry Stepnet: those of amaranth-boards, and those of `platforms`."""

from __future__ import annotations

import difflib
import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from types import ModuleType
from typing import Any

import amaranth_boards
from amaranth.build import Platform
from amaranth.lib.io import DifferentialPort

from stepnet.cores.engine.shape import EngineShape
from stepnet.errors import BuildError
from stepnet_hdl.boards import platforms
from stepnet_hdl.boards.own_platform import UART_WORDS, check_platform
from stepnet_hdl.boards.rates import best_baud
from stepnet_hdl.boards.settings import SETTINGS, ChipSettings, settings_for
from stepnet_hdl.fpga.clocks import fastest_clock_hz
from stepnet_hdl.fpga.parts import Part, part_name_of, part_of
from stepnet_hdl.fpga.pll import comes_from_a_pin


@dataclass(frozen=True)
class BoardType:
    """A board by its name, Amaranth's platform class for it, and its part.

    chip: the chip to build for it; None for the one that suits the part.
    """

    name: str
    platform: type[Platform]
    part: Part
    chip: ChipSettings | None = None

    @property
    def device(self) -> str:
        """The part's name."""
        return self.part.name

    @property
    def is_too_small(self) -> bool:
        """Whether no engine fits the part."""
        return self.device not in SETTINGS

    @property
    def settings(self) -> ChipSettings:
        """The chip to build; BuildError if none is chosen, and none fits the part."""
        return self.chip or settings_for(self.part, self.name)

    def with_engine(
        self, shape: EngineShape, clock_hz: int, buffer_bytes: int | None = None
    ) -> BoardType:
        """The board with a chip that has this engine, meets this clock, and has a receive buffer of
        so many bytes; as many as before if they are not given."""
        buffer_bytes = buffer_bytes or self.settings.buffer_bytes
        chip = replace(self.settings, shape=shape, clock_hz=clock_hz, buffer_bytes=buffer_bytes)
        return replace(self, chip=chip)

    @property
    def clock_hz(self) -> int:
        """What the chip runs at on this board, at the rate that the board's line has."""
        return self.clock_hz_for(self.baud)

    @property
    def baud(self) -> int:
        """The rate of the serial line of an engine's chip: see `rates.best_baud`."""
        return self.baud_up_to(self.settings.clock_hz)

    def baud_up_to(self, limit_hz: int) -> int:
        """The rate of the serial line of a chip that meets a clock of `limit_hz`."""
        return best_baud(self.name, lambda baud: self.clock_hz_up_to(limit_hz, baud))

    def clock_hz_for(self, baud: int) -> int:
        """What an engine's chip runs at on this board: see `clocks.fastest_clock_hz`."""
        return self.clock_hz_up_to(self.settings.clock_hz, baud)

    def clock_hz_up_to(self, limit_hz: int, baud: int | None) -> int:
        """What a chip runs at that meets a clock of `limit_hz`: see `clocks.fastest_clock_hz`."""
        return fastest_clock_hz(self._instance, limit_hz, baud)

    @property
    def oscillator_hz(self) -> int:
        """The board's default clock."""
        return round(self._instance.default_clk_frequency)

    @property
    def oscillator(self) -> str | None:
        """The oscillator inside the part that is the default clock; None if that has a pin."""
        return None if comes_from_a_pin(self._instance) else self._instance.default_clk

    @cached_property
    def pins(self) -> dict[str, str]:
        """Names of the package's pins: `rx` and `tx` as the board sees them, and `clock` unless it
        comes from within the part."""
        platform: Any = self.platform()
        uart = platform.request("uart", 0, dir="-")
        pins = {"rx": pin_name(uart.rx), "tx": pin_name(uart.tx)}
        if comes_from_a_pin(platform):
            pins["clock"] = pin_name(platform.request(platform.default_clk, dir="-"))
        return pins

    @cached_property
    def _instance(self) -> Platform:
        return self.platform()


def all_boards() -> dict[str, BoardType]:
    """Every known board that has a UART and a part of `PARTS`, by name."""
    boards = {
        name: _board(name, platform, part)
        for name, platform in _platforms().items()
        if (part := part_of(platform)) is not None and _has_uart(platform)
    }
    return dict(sorted(boards.items()))


def find_board(name: str, *, needs_uart: bool = True) -> BoardType:
    """The board called `name`, or of the platform class `module:Class`.

    needs_uart: False for a board that nothing is built for, such as one that is estimated.

    Raises BuildError if there is none, with the nearest names; if its part is not one of `PARTS`,
    if a platform of one's own is no board that a chip can be built for, or if it needs a UART and
    has none.
    """
    if ":" in name:
        return _own_board(name, needs_uart)
    boards = all_boards()
    if name in boards:
        return boards[name]
    platform = _platforms().get(name)
    if platform is not None and part_name_of(platform) is not None:
        part = part_of(platform)
        if part is None:
            raise _unknown_part(name, platform)
        if needs_uart:
            raise _no_uart(name, platform)
        return _board(name, platform, part)
    near = difflib.get_close_matches(name, boards, n=3, cutoff=0.7)
    hint = f"did you mean {' or '.join(near)}?" if near else "`stepnet boards` lists all."
    raise BuildError(f"There is no board {name!r}; {hint}")


def _own_board(name: str, needs_uart: bool) -> BoardType:
    module_name, _, class_name = name.partition(":")
    try:
        platform = getattr(importlib.import_module(module_name), class_name)
    except Exception as error:  # whatever a module of somebody else does
        if not isinstance(error, ImportError | AttributeError):
            raise BuildError(
                f"The platform {name!r} cannot be imported ({type(error).__name__}: {error}); "
                "correct its module."
            ) from error
        raise BuildError(
            f"The platform {name!r} cannot be imported ({error}); name it as module:Class of a "
            "module that Python finds, for instance in a folder that PYTHONPATH names."
        ) from error
    if not (inspect.isclass(platform) and issubclass(platform, Platform)):
        raise BuildError(
            f"What {name!r} names is no board; it has to be a platform class of Amaranth with one "
            f"of the parts {', '.join(SETTINGS)}."
        )
    part = part_of(platform)
    if part is None:
        raise _unknown_part(name, platform)
    if needs_uart and not _has_something_like_a_uart(platform):
        raise _no_uart(name, platform)
    check_platform(name, part.family.adapted(platform), part, needs_uart=needs_uart)
    return _board(class_name, platform, part)


def _unknown_part(name: str, platform: type[Platform]) -> BuildError:
    return BuildError(
        f"The board {name!r} has the part {part_name_of(platform)!r}, which Stepnet does not know "
        f"or which no open tools build for; take a board with one of {', '.join(SETTINGS)}."
    )


def _no_uart(name: str, platform: type[Platform]) -> BuildError:
    return BuildError(
        f"The board {name!r} has no resource 'uart'; derive a platform from "
        f"{platform.__module__}:{platform.__name__} that adds a UARTResource on pins of your "
        "choice, as docs/boards.md shows, and name it as module:Class."
    )


def _board(name: str, platform: type[Platform], part: Part) -> BoardType:
    return BoardType(name, part.family.adapted(platform), part)


def _platforms() -> dict[str, type[Platform]]:
    """Every platform class of amaranth-boards and of `platforms`, by the name of the board."""
    return {
        _board_name(platform): platform
        for module in (*_modules(), platforms)
        for _, platform in inspect.getmembers(module, inspect.isclass)
        if platform.__module__ == module.__name__ and issubclass(platform, Platform)
    }


def _modules() -> Iterator[ModuleType]:
    """Every module of amaranth-boards."""
    for module_info in pkgutil.iter_modules(amaranth_boards.__path__):
        if not module_info.ispkg:
            yield importlib.import_module(f"amaranth_boards.{module_info.name}")


def pin_name(port: Any) -> str:
    """The pin of a port of one wire, or the positive one of a pair."""
    wire = port.p if isinstance(port, DifferentialPort) else port.io
    return wire.metadata[0].name


def _has_uart(platform: type[Platform]) -> bool:
    return any(resource.name == "uart" for resource in platform.resources)


def _has_something_like_a_uart(platform: type[Platform]) -> bool:
    """Whether a resource may be meant as the UART; `check_platform` says what of it."""
    try:
        return any(resource.name in ("uart", *UART_WORDS) for resource in platform.resources)
    except (TypeError, AttributeError):
        return True  # it has no resources at all, which is said there


def _board_name(platform: type[Platform]) -> str:
    """ULX3S_85F_Platform becomes ulx3s-85f."""
    return platform.__name__.removesuffix("Platform").strip("_").replace("_", "-").lower()
