"""Finds the row with the largest count: pairs of rows compete, the winners in pairs again."""

from __future__ import annotations

from dataclasses import dataclass

from amaranth.hdl import C, Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from stepnet.networks.lut import Counts
from stepnet_hdl.cores.pipeline.group_counts import sums_layout

DIGIT_BITS = 2
"""Counts are compared digit by digit, each of so many bits, so that a look-up table of four inputs
compares two digits."""

ROUND_CYCLES = 3
"""A round of pairs: its digits are compared, then joined, and then the winner is chosen."""


def largest_latency_cycles(rows: int) -> int:
    """Cycles that it takes to find the largest of so many counts."""
    return ROUND_CYCLES * (rows - 1).bit_length()


@dataclass(frozen=True)
class _Lead:
    """A row that has won so far: by how much it leads over its threshold, and which of all rows
    that this place stands for it is."""

    lead: Value
    number: list[Value]


class LargestCount(wiring.Component):
    """Gives the number of the row whose count leads over its threshold by the most, the first on a
    tie.

    registered: with registers, at most two look-up tables lie between two of them; otherwise the
    number comes in the same cycle.
    """

    sums: data.View
    """`sums_layout`, in: the count of every row."""
    row: Signal
    """`range(rows)`, out: the number of the row for the `sums` of `latency_cycles` before."""

    def __init__(self, counts: Counts, *, registered: bool = True) -> None:
        self.counts = counts
        self.registered = registered
        self.latency_cycles = largest_latency_cycles(counts.rows) if registered else 0
        super().__init__({"sums": In(sums_layout(counts)), "row": Out(range(counts.rows))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        thresholds = self.counts.thresholds.tolist()
        # What all thresholds have in common decides nothing.
        lowest = max(thresholds)
        leads = [
            _Lead(_raised(self.sums[f"row_{row}"], lowest - threshold), [])
            for row, threshold in enumerate(thresholds)
        ]
        level = 0
        while len(leads) > 1:
            winners = [
                self._winner(m, first, second, f"{level}_{pair}")
                for pair, (first, second) in enumerate(zip(leads[::2], leads[1::2], strict=False))
            ]
            for alone in leads[2 * len(winners) :]:
                kept = [*alone.number, C(0, 1)]
                winners.append(self._delayed(m, _Lead(alone.lead, kept), f"{level}_last"))
            leads = winners
            level += 1
        m.d.comb += self.row.eq(Cat(leads[0].number))
        return m

    def _winner(self, m: Module, first: _Lead, second: _Lead, name: str) -> _Lead:
        """The one that leads by more: the pair's bit above those that told rows apart before."""
        overtakes = self._overtakes(m, first.lead, second.lead, name)
        first = self._delayed(m, first, f"first_{name}", ROUND_CYCLES - 1)
        second = self._delayed(m, second, f"second_{name}", ROUND_CYCLES - 1)
        lead = self._keep(m, Mux(overtakes, second.lead, first.lead), f"lead_{name}")
        number = [
            self._keep(m, Mux(overtakes, b, a), f"number_{name}_{place}")
            for place, (a, b) in enumerate(zip(first.number, second.number, strict=True))
        ]
        return _Lead(lead, [*number, self._keep(m, overtakes, f"overtakes_{name}")])

    def _overtakes(self, m: Module, first: Value, second: Value, name: str) -> Value:
        """Whether `second` is larger: its digits are, from the highest down."""
        if not self.registered:
            return second > first
        bits = max(len(first), len(second))
        larger = self._on_a_tie()
        for place in range(0, bits, DIGIT_BITS):
            a, b = first[place : place + DIGIT_BITS], second[place : place + DIGIT_BITS]
            above = self._keep(m, b > a, f"above_{name}_{place}")
            equal_or_above = self._keep(m, b >= a, f"not_below_{name}_{place}")
            larger = above | (equal_or_above & larger)
        return self._keep(m, larger, f"larger_{name}")

    def _on_a_tie(self) -> Value:
        """Whether the second of two rows wins that lead by as much."""
        return C(0, 1)

    def _delayed(self, m: Module, lead: _Lead, name: str, cycles: int = ROUND_CYCLES) -> _Lead:
        value, number = lead.lead, lead.number
        for cycle in range(cycles if self.registered else 0):
            value = self._keep(m, value, f"{name}_lead_{cycle}")
            number = [
                self._keep(m, bit, f"{name}_number_{cycle}_{place}")
                for place, bit in enumerate(number)
            ]
        return _Lead(value, number)

    def _keep(self, m: Module, value: Value, name: str) -> Value:
        """The value, behind a register if there is one; a constant as it is."""
        if not self.registered or isinstance(value, Const):
            return value
        kept = Signal(value.shape(), name=name, reset_less=True)
        m.d.sync += kept.eq(value)
        return kept


def _raised(count: Value, by: int) -> Value:
    return count + by if by else count
