"""The arithmetic of the serial line: 8 data bits, least significant first, no parity, one stop bit.

Host, gateware and benches take it from here.
"""

from stepnet.errors import BuildError

DEFAULT_BAUD = 1_000_000

BITS_PER_BYTE = 10
"""How many bits a byte takes on the line: a start bit, eight data bits and a stop bit."""

MIN_DIVISOR = 4
"""The fewest clock cycles that a bit may last."""

MAX_BAUD_ERROR = 0.02
"""How far the board's rate may be off. Over the 9.5 bits to the middle of the stop bit the two ends
may drift apart by half a bit, 5 %, of which the board may use this much."""


def divisor_for(clock_hz: float, baud: int) -> int:
    """How many clock cycles a bit lasts; BuildError if no whole number comes close enough."""
    divisor = round(clock_hz / baud)
    if divisor < MIN_DIVISOR:
        raise BuildError(
            f"A clock of {clock_hz / 1e6:g} MHz is too slow for {baud} baud: a bit needs at least "
            f"{MIN_DIVISOR} cycles; choose at most {int(clock_hz / MIN_DIVISOR)} baud or a faster "
            "clock."
        )
    error = abs(clock_hz / divisor / baud - 1)
    if error > MAX_BAUD_ERROR:
        raise BuildError(
            f"A clock of {clock_hz / 1e6:g} MHz cannot make {baud} baud: dividing it by {divisor} "
            f"is {error:.1%} off, and at most {MAX_BAUD_ERROR:.0%} is allowed; choose "
            f"{round(clock_hz / divisor)} baud or another clock."
        )
    return divisor
