"""Where a board's SPI line comes in, and how fast it is: at a connector that is free, or where its
platform says so."""

from __future__ import annotations

from typing import Any

from amaranth.build import Attrs, Pins, PinsN, Resource, Subsignal

from stepnet.errors import BuildError
from stepnet.link.spi_line import check_spi_rate, fastest_spi_hz
from stepnet_hdl.boards.catalogue import BoardType, pin_name

RESOURCE = "spi"
"""What the resource is called, on a platform of one's own too."""

_WIRES = ("cs", "copi", "cipo", "clk")

_PMOD = ("1", "2", "3", "4")
"""Of a Pmod connector (Digilent Pmod Interface Specification 1.3.1, type 2: SPI)."""

_CONNECTORS: dict[tuple[str, int], dict[tuple[str, ...], tuple[str, ...]]] = {
    ("pmod", 0): {
        _PMOD: (
            *("icebreaker", "icestick", "nandlandgo"),
            *("ecpix545", "ecpix585", "tangprimer20kdock"),
        )
    },
    ("pmod", 1): {_PMOD: ("icesugar", "blackice", "blackiceii")},  # number 0 has the UART
    ("pmod", 2): {_PMOD: ("icesugarnano",)},  # the others have clock and UART
    ("gpio", 0): {
        ("0+", "1+", "2+", "3+"): ("ulx3s-12f", "ulx3s-25f", "ulx3s-45f", "ulx3s-85f"),
        # Where a Raspberry Pi has CE0, MOSI, MISO and SCLK.
        ("8", "10", "9", "11"): ("icepizero1-3",),
        ("10", "11", "12", "13"): ("tinyfpgabx",),
    },
}
"""Connectors of amaranth-boards' platforms and their pins, in the order of `_WIRES`, by boards."""

SPI_PINS = {
    board: (connector, pins)
    for connector, by_pins in _CONNECTORS.items()
    for pins, boards in by_pins.items()
    for board in boards
}
"""The connector of a board and its pins, by the board's name."""


def spi_hz_for(clock_hz: int, wished_hz: int | None = None) -> int:
    """The highest clock of the SPI line that a chip is built for; BuildError if it cannot be
    `wished_hz`."""
    if wished_hz is not None:
        check_spi_rate(clock_hz, wished_hz)
    return wished_hz or fastest_spi_hz(clock_hz)


def request_spi(board: BoardType, platform: Any) -> Any:
    """The ports `cs`, `copi`, `cipo` and `clk` of the SPI line on an instance of a board's
    platform.

    Raises BuildError if the board has no pins for it.
    """
    own = platform.resources.get((RESOURCE, 0))
    if own is None:
        platform.add_resources([_resource(board)])
    else:
        _check_own(board, own)
    return platform.request(RESOURCE, 0, dir="-")


def spi_pins(board: BoardType) -> dict[str, str]:
    """Names of the package's pins, by wire; BuildError if the board has none for SPI."""
    ports = request_spi(board, board.platform())
    return {wire: pin_name(getattr(ports, wire)) for wire in _WIRES}


def _resource(board: BoardType) -> Resource:
    if board.name not in SPI_PINS:
        raise BuildError(
            f"No pins for SPI are known of the board {board.name!r}; derive a platform from "
            f"{board.platform.__module__}:{board.platform.__name__} that adds an SPIResource(0, "
            'role="peripheral", ...) on pins of your choice, as docs/boards.md shows, and name it '
            "as module:Class."
        )
    connector, (cs, copi, cipo, clk) = SPI_PINS[board.name]
    family = board.part.family
    return Resource(
        RESOURCE,
        0,
        # A cable that is not there selects nothing.
        Subsignal("cs", PinsN(cs, dir="i", conn=connector), Attrs(**family.pull_up)),
        Subsignal("clk", Pins(clk, dir="i", conn=connector)),
        Subsignal("copi", Pins(copi, dir="i", conn=connector)),
        Subsignal("cipo", Pins(cipo, dir="oe", conn=connector)),
        Attrs(**family.input_output),
    )


def _check_own(board: BoardType, resource: Any) -> None:
    parts: list[Any] = [part for part in resource.ios if isinstance(part, Subsignal)]
    directions = {part.name: part.ios[0].dir for part in parts if part.name in _WIRES}
    if directions != {"cs": "i", "copi": "i", "cipo": "oe", "clk": "i"}:
        raise BuildError(
            f"The resource {RESOURCE!r} of the board {board.name!r} is not that of a peripheral "
            "with all four wires; declare it as SPIResource(0, cs_n=..., clk=..., copi=..., "
            'cipo=..., role="peripheral").'
        )
