"""The arithmetic of an SPI line: mode 0, most significant bit first, eight clock pulses to a byte.

Host, gateware and benches take it from here.
"""

from __future__ import annotations

from stepnet.errors import BuildError

BITS_PER_BYTE = 8
"""How many clock pulses of the host a byte takes: SPI has no start and no stop bits."""

IDLE_BYTE = 0x00
"""What either end sends while it has nothing to say. It ends a frame, and frames without content
say nothing, so that any number of them does no harm between frames. Neither end sends one within a
frame."""

MOST_SPI_HZ = 20_000_000
"""The highest clock of the line. From a falling edge of the clock the board has half a period, 25
ns, to show its next bit to the host."""

CYCLES_PER_BYTE = 4
"""The fewest clock cycles of the chip that a byte may last. It takes 3 until a byte has passed from
the host's clock to the chip's, and 1 because the two do not know of each other."""


def fastest_spi_hz(clock_hz: int) -> int:
    """The highest clock of the line that a chip with a clock of `clock_hz` follows."""
    return min(MOST_SPI_HZ, BITS_PER_BYTE * clock_hz // CYCLES_PER_BYTE)


def check_spi_rate(clock_hz: int, spi_hz: int) -> None:
    """Raise BuildError if no line runs at `spi_hz`, or a chip with a clock of `clock_hz` does not
    follow it."""
    if spi_hz > MOST_SPI_HZ:
        raise BuildError(
            f"An SPI line of {spi_hz / 1e6:g} MHz is faster than a board answers; choose at most "
            f"{MOST_SPI_HZ / 1e6:g} MHz."
        )
    if spi_hz > fastest_spi_hz(clock_hz):
        raise BuildError(
            f"A clock of {clock_hz / 1e6:g} MHz is too slow for an SPI line of {spi_hz / 1e6:g} "
            f"MHz: a byte needs at least {CYCLES_PER_BYTE} cycles; choose at most "
            f"{fastest_spi_hz(clock_hz) / 1e6:g} MHz or a faster clock."
        )
