"""Finds the neuron with the largest sum among those that come one after the other."""

from amaranth.hdl import Module, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from stepnet.cores.mac.shape import SUM_BITS


class LargestSum(wiring.Component):
    """Keeps the number of the largest sum so far, the first one of equals.

    index_bits: width of that number.
    """

    sum: Signal
    """24 bits, signed, in: a sum."""
    take: Signal
    """1 bit, in: `sum` is the next one."""
    restart: Signal
    """1 bit, in: the next sum is number 0. It never comes with `take`."""
    index: Signal
    """`index_bits` bits, out: the number of the largest sum that was taken before this cycle."""

    def __init__(self, index_bits: int) -> None:
        self.index_bits = index_bits
        super().__init__(
            {"sum": In(SUM_BITS), "take": In(1), "restart": In(1), "index": Out(index_bits)}
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        largest = Signal(SUM_BITS, reset_less=True)
        number = Signal(self.index_bits)
        first = Signal(init=1)
        with m.If(self.take):
            m.d.sync += [number.eq(number + 1), first.eq(0)]
            with m.If(first | self._wins(largest)):
                m.d.sync += [largest.eq(self.sum), self.index.eq(number)]
        with m.If(self.restart):
            m.d.sync += [number.eq(0), first.eq(1)]
        return m

    def _wins(self, largest: Value) -> Value:
        """Whether the sum is the largest one from now on."""
        return self.sum.as_signed() > largest.as_signed()
