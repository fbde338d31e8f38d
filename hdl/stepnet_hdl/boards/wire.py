"""The wires between host and chip."""

from __future__ import annotations

import enum


class Wire(enum.StrEnum):
    """What carries the bytes: a serial line, or SPI with the board as its peripheral."""

    UART = "uart"
    SPI = "spi"
