"""Finds the neuron with the largest sum among those that come one after the other."""

from amaranth.hdl import Module, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from stepnet.cores.mac.shape import SUM_BITS

SMALLEST = 1 << SUM_BITS - 1
"""A sum below all that a network which fits has."""


class LargestSum(wiring.Component):
    """Keeps the number of the largest sum so far, the first one of equals; no sum is the smallest
    number of 24 bits.

    index_bits: width of that number.
    """

    latency_cycles = 2
    """Cycles from a sum to an `index` that takes it into account."""

    sum: Signal
    """24 bits, in: a signed sum."""
    take: Signal
    """1 bit, in: `sum` is the next one."""
    restart: Signal
    """1 bit, in: the next sum is number 0. It never comes with `take`."""
    index: Signal
    """`index_bits` bits, out: the number of the largest sum that was taken `latency_cycles` ago
    or before."""

    def __init__(self, index_bits: int) -> None:
        self.index_bits = index_bits
        super().__init__(
            {"sum": In(SUM_BITS), "take": In(1), "restart": In(1), "index": Out(index_bits)}
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        largest = Signal(SUM_BITS, init=SMALLEST)
        number = Signal(self.index_bits)
        # What is compared stands in registers, because its enables go far.
        candidate = Signal(SUM_BITS, reset_less=True)
        candidate_number = Signal(self.index_bits, reset_less=True)
        compares = Signal()
        m.d.sync += [
            candidate.eq(self.sum),
            candidate_number.eq(number),
            compares.eq(self.take),
        ]
        with m.If(self.take):
            m.d.sync += number.eq(number + 1)
        with m.If(compares & self._wins(candidate, largest)):
            m.d.sync += [largest.eq(candidate), self.index.eq(candidate_number)]
        with m.If(self.restart):
            m.d.sync += [number.eq(0), largest.eq(SMALLEST), compares.eq(0)]
        return m

    def _wins(self, candidate: Value, largest: Value) -> Value:
        """Whether a sum is the largest one from now on."""
        return candidate.as_signed() > largest.as_signed()
