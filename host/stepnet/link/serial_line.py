"""The arithmetic of the serial line: 8 data bits, least significant first, no parity, one stop bit.

Host, gateware and benches take it from here.
"""

from __future__ import annotations

import math
from fractions import Fraction

from stepnet.errors import BuildError

DEFAULT_BAUD = 1_000_000
"""The rate of a board of whose USB chip nothing is known."""

BITS_PER_BYTE = 10
"""How many bits a byte takes on the line: a start bit, eight data bits and a stop bit."""

MIN_DIVISOR = 3
"""The fewest clock cycles that a bit may last; see `sample_cycles`."""

STEPS_PER_CYCLE = 8
"""A bit lasts a whole number of eighths of a cycle on average: some bits of a byte are a cycle
longer than others."""

MAX_BAUD_ERROR = 0.02
"""How far the board's rate may be off. Over the 9.5 bits to the middle of the stop bit the two ends
may drift apart by half a bit, 5 %, of which the board may use this much."""

CHOSEN_BAUD_ERROR = 0.005
"""How far a rate may be off that is chosen, and not forced by an oscillator."""


def divisor_for(clock_hz: float, baud: int) -> Fraction:
    """How many clock cycles a bit lasts on average: whole ones if they are within
    `CHOSEN_BAUD_ERROR`, else eighths. BuildError if nothing comes close enough."""
    divisor = Fraction(round(clock_hz / baud))
    if not divisor or abs(clock_hz / divisor / baud - 1) > CHOSEN_BAUD_ERROR:
        divisor = Fraction(round(STEPS_PER_CYCLE * clock_hz / baud), STEPS_PER_CYCLE)
    if divisor < MIN_DIVISOR:
        raise BuildError(
            f"A clock of {clock_hz / 1e6:g} MHz is too slow for {baud} baud: a bit needs at least "
            f"{MIN_DIVISOR} cycles; choose at most {int(clock_hz / MIN_DIVISOR)} baud or a faster "
            "clock."
        )
    error = abs(clock_hz / divisor / baud - 1)
    if error > MAX_BAUD_ERROR:
        raise BuildError(
            f"A clock of {clock_hz / 1e6:g} MHz cannot make {baud} baud: dividing it by "
            f"{float(divisor):g} is {error:.1%} off, and at most {MAX_BAUD_ERROR:.0%} is allowed; "
            f"choose {round(clock_hz / divisor)} baud or another clock."
        )
    return divisor


def edge_cycles(divisor: Fraction | int) -> list[int]:
    """When each bit of a byte begins that a chip sends, and when the last one ends, in cycles from
    the start bit: 11 numbers, each the whole cycle that is nearest to where the edge belongs."""
    return [math.floor(bit * divisor + Fraction(1, 2)) for bit in range(BITS_PER_BYTE + 1)]


def sample_cycles(divisor: Fraction | int) -> list[int]:
    """When a chip samples each bit of a byte, in cycles from the one in which it sees the line low
    for the first time: 10 numbers, each the last whole cycle before the middle of its bit.

    It sees the start bit up to a cycle after that began, half a cycle on average, so that what is
    before the middle by the chip's count is in the middle on the line, to half a cycle. How much
    that leaves for errors says `spare_cycles`.
    """
    return [math.ceil((bit + Fraction(1, 2)) * divisor) - 1 for bit in range(BITS_PER_BYTE)]


def spare_cycles(divisor: Fraction | int, error: float) -> float:
    """By how many clock cycles an edge may come too early or too late beside its start bit, and
    every bit still be sampled right, if the other end's bits are up to `error` too long or short.

    A chip that sees the start bit `late` cycles after it began, 0 < late <= 1, samples bit number n
    at `late + sample_cycles[n]`. On the line that bit lasts from `n * length` to `(n + 1) * length`
    with `length = divisor * (1 +- error)`. With 3 cycles to a bit and 2 %, the stop bit is sampled
    after 28 to 29 cycles and lasts from 27.54 at the latest to 29.4 at the earliest, so that 0.4
    cycles are left, 13 % of a bit.
    """
    spare = math.inf
    for bit, sample in enumerate(sample_cycles(divisor)):
        begins = bit * divisor * (1 + Fraction(error))
        ends = (bit + 1) * divisor * (1 - Fraction(error))
        spare = min(spare, float(sample - begins), float(ends - (sample + 1)))
    return spare


def byte_cycles(divisor: Fraction | int) -> int:
    """How many clock cycles a byte takes on a line without a pause: its ten bits, rounded up."""
    return math.ceil(BITS_PER_BYTE * divisor)
