"""Turns the sums of the last layer, which come one after the other, into the number that they
choose."""

from amaranth.hdl import Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from stepnet.cores.mac.program import Choice
from stepnet.cores.mac.shape import SUM_BITS
from stepnet_hdl.cores.mac.largest_sum import LargestSum

CHOICE_BITS = max(Choice).bit_length()


class ChosenNumber(wiring.Component):
    """The number that `stepnet.cores.mac.program.Choice` tells of, by whichever of its ways.

    index_bits: width of that number.
    """

    latency_cycles = LargestSum.latency_cycles
    """Cycles from a sum to an `index` that takes it into account."""

    sum: Signal
    """24 bits, in: a signed sum."""
    take: Signal
    """1 bit, in: `sum` is the next one."""
    restart: Signal
    """1 bit, in: the next sum is the first one. It never comes with `take`."""
    choice: Signal
    """2 bits, in: a `Choice`; it stays from the first sum until `index` was taken."""
    index: Signal
    """`index_bits` bits, out: the number by the sums that were taken `latency_cycles` ago or
    before."""

    def __init__(self, index_bits: int) -> None:
        self.index_bits = index_bits
        super().__init__(
            {
                "sum": In(SUM_BITS),
                "take": In(1),
                "restart": In(1),
                "choice": In(CHOICE_BITS),
                "index": Out(index_bits),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.largest = largest = LargestSum(self.index_bits)
        place = Signal(self.index_bits, init=1)  # of the next sum, counted from 1
        bit = Signal(self.index_bits, init=1)  # of the next sum
        bits = Signal(self.index_bits)
        node = Signal(self.index_bits, init=1)
        fires = ~self.sum[-1]
        m.d.comb += [
            largest.sum.eq(self.sum),
            largest.take.eq(self.take),
            largest.restart.eq(self.restart),
        ]
        with m.If(self.take):
            m.d.sync += [
                place.eq(place + 1),
                bit.eq(bit << 1),
                bits.eq(bits | Mux(fires, bit, 0)),
            ]
            with m.If(place == node):
                m.d.sync += node.eq(self._below(node, fires))
        with m.If(self.restart):
            m.d.sync += [place.eq(1), bit.eq(1), bits.eq(0), node.eq(1)]
        with m.Switch(self.choice):
            with m.Case(Choice.BITS):
                m.d.comb += self.index.eq(bits)
            with m.Case(Choice.HEAP):
                m.d.comb += self.index.eq(node)
            with m.Default():
                m.d.comb += self.index.eq(largest.index)
        return m

    def _below(self, node: Value, fires: Value) -> Value:
        """The node of the heap that a neuron chooses."""
        return node << 1 | fires
