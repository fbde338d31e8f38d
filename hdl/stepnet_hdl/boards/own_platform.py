"""Looks at a platform that somebody wrote, so that each mistake is a sentence with the way out.

Amaranth finds most mistakes too, but in the middle of a build, one by one, and as an exception of
its own. `check_platform` asks before anything is made: is it a platform at all, are part, package,
clock and UART what a chip needs, and is no pin taken twice.
"""

from __future__ import annotations

from typing import Any

from amaranth.build import Platform, Subsignal

from stepnet.errors import BuildError
from stepnet_hdl.fpga.families.ecp5 import ECP5
from stepnet_hdl.fpga.families.ice40 import ICE40
from stepnet_hdl.fpga.parts import Part
from stepnet_hdl.fpga.pll import comes_from_a_pin

SLOWEST_CLOCK_HZ = 1_000_000
"""A frequency below is most likely one that was given in MHz."""

UART_WORDS = ("rx", "tx", "rxd", "txd", "uart", "serial", "usb_uart")
"""What people call a serial line or its wires."""


def check_platform(
    name: str, platform_class: type[Platform], part: Part, *, needs_uart: bool = True
) -> None:
    """Raise BuildError, with one sentence, if no chip can be built for a platform.

    name: how the platform was named.
    needs_uart: False for a board that is only estimated.
    """
    if part.packages and getattr(platform_class, "package", None) not in part.packages:
        package = getattr(platform_class, "package", None)
        raise BuildError(
            f"The board {name!r} has the package {package!r}, which the {part.name} does not come "
            f"in or the open tools do not know; its package is one of {', '.join(part.packages)}."
        )
    if part.family is ECP5 and getattr(platform_class, "speed", None) not in ("6", "7", "8"):
        raise BuildError(
            f"The board {name!r} has the speed {getattr(platform_class, 'speed', None)!r}; an ECP5 "
            "has speed '6', '7' or '8', as text."
        )
    platform: Any = _made(name, platform_class)
    _check_clock(name, platform, part)
    if needs_uart:
        _check_uart(name, platform)
        _check_pins(name, platform)


def _made(name: str, platform_class: type[Platform]) -> Platform:
    try:
        return platform_class()
    except Exception as error:  # whatever a class of somebody else does
        raise BuildError(
            f"No platform can be made of {name!r} ({type(error).__name__}: {error}); correct it "
            "after the example in docs/boards.md."
        ) from error


def _check_clock(name: str, platform: Any, part: Part) -> None:
    clock = platform.default_clk
    named = sorted({resource.name for resource in platform.resources.values() if resource.clock})
    if not clock:
        raise BuildError(
            f"The board {name!r} names no clock; let its default_clk be the name of a resource "
            f"with a Clock{_among(named)}{_oscillators(part)}."
        )
    if not comes_from_a_pin(platform):
        _check_oscillator(name, platform, part, named)
        return
    if platform.lookup(clock).clock is None:
        raise BuildError(
            f"The clock {clock!r} of the board {name!r} has no frequency; add one in Hz to its "
            "resource, like Clock(12e6)."
        )
    frequency_hz = platform.default_clk_frequency
    if frequency_hz < SLOWEST_CLOCK_HZ:
        raise BuildError(
            f"The clock {clock!r} of the board {name!r} has {frequency_hz:g} Hz, too few for a "
            "serial line; give its frequency in Hz, like Clock(12e6)."
        )


def _check_oscillator(name: str, platform: Any, part: Part, named: list[str]) -> None:
    """The default clock is no resource: it has to be an oscillator inside the part."""
    clock = platform.default_clk
    if clock not in part.oscillators:
        raise BuildError(
            f"The board {name!r} has the default_clk {clock!r}, but no resource of that name; name "
            f"one with a Clock{_among(named)}{_oscillators(part)}."
        )
    try:
        frequency_hz = platform.default_clk_frequency
        if part.family is ICE40 and clock == "SB_HFOSC" and platform.hfosc_div not in range(4):
            raise ValueError(f"hfosc_div is {platform.hfosc_div!r}")
    except Exception as error:  # Amaranth's own, and what a class of somebody else does
        setting = OSCILLATOR_SETTINGS[clock]
        raise BuildError(
            f"The oscillator {clock} of the board {name!r} has no frequency ({error}); {setting}."
        ) from error
    if frequency_hz < SLOWEST_CLOCK_HZ:
        raise BuildError(
            f"The oscillator {clock} of the board {name!r} has {frequency_hz:g} Hz, too few for a "
            "serial line; choose another default_clk."
        )


OSCILLATOR_SETTINGS = {
    "SB_HFOSC": "give the class hfosc_div, 0 for 48 MHz up to 3 for 6 MHz",
    "SB_LFOSC": "choose SB_HFOSC",
    "OSCG": "give the class oscg_div, 2 to 128, by which 310 MHz are divided",
    "OSC": "give the class osc_frequency, in Hz",
}
"""What says the frequency of each oscillator inside a part, as the end of a sentence."""


def _check_uart(name: str, platform: Any) -> None:
    others = sorted({resource.name for resource in platform.resources.values()} - {"uart"})
    uart: Any = platform.resources.get(("uart", 0))
    if uart is None:
        if any(resource_name == "uart" for resource_name, _ in platform.resources):
            raise BuildError(
                f"The board {name!r} has a resource 'uart', but none with the number 0; give its "
                "serial line the number 0."
            )
        like = [other for other in others if other in UART_WORDS]
        raise BuildError(
            f"The board {name!r} has no resource 'uart', but {' and '.join(map(repr, like))}; make "
            "of it UARTResource(0, rx=..., tx=...), as docs/boards.md shows."
        )
    wires: dict[str, Any] = {
        wire.name: wire  # pyright: ignore[reportAttributeAccessIssue] (the stubs lack it)
        for wire in uart.ios
        if isinstance(wire, Subsignal)
    }
    for wire, direction in (("rx", "i"), ("tx", "o")):
        if wire not in wires:
            has = " and ".join(map(repr, wires)) or "no wires by name"
            raise BuildError(
                f"The resource 'uart' of the board {name!r} has {has}, but no {wire!r}; declare it "
                "as UARTResource(0, rx=..., tx=...), as docs/boards.md shows."
            )
        pins: Any = wires[wire].ios[0]
        if isinstance(pins, Subsignal) or len(pins) != 1:
            raise BuildError(
                f"The wire {wire!r} of the resource 'uart' of the board {name!r} has not exactly "
                "one pin; give it one."
            )
        if pins.dir not in (direction, "io"):
            raise BuildError(
                f"The wire {wire!r} of the resource 'uart' of the board {name!r} has the direction "
                f"{pins.dir!r}; it is {direction!r} as the FPGA sees it: rx is what comes from the "
                "host."
            )


def _check_pins(name: str, platform: Any) -> None:
    """What a chip cannot do without can be requested: pins are there, and each is taken once. Where
    a light shares one of them there is no light."""
    for resource in (*([platform.default_clk] if comes_from_a_pin(platform) else []), "uart"):
        try:
            platform.request(resource, 0, dir="-")
        except Exception as error:  # Amaranth's own, of several kinds
            raise BuildError(
                f"The pins of {resource!r} of the board {name!r} cannot be used ({error}); give "
                "clock and UART pins of their own, which the connectors that they name have."
            ) from error


def _among(named: list[str]) -> str:
    return f", which is one of {', '.join(named)}" if named else ""


def _oscillators(part: Part) -> str:
    if not part.oscillators:
        return ""
    return f", or the oscillator inside the {part.name}, {' or '.join(part.oscillators)}"
