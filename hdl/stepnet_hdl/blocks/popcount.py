"""Counting the ones of a word."""

from amaranth.hdl import C, Cat, Module, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from stepnet.cores.engine.shape import popcount_latency_cycles


class Popcount(wiring.Component):
    """Counts the ones of a word in a pipelined tree of adders. It takes a word every cycle and
    gives its count `latency_cycles` later.

    A leaf is a full adder over three bits in two LUTs. Every adder above takes the counts of two
    halves and one more bit in its carry input, so that `2^k - 1` bits need `k - 1` levels of carry
    chains and no bit costs an adder of its own.

    width: bits of a word.
    leaf_bits: bits that a leaf counts, 3 or 1. With 1 the full adders are left to the carry chains
        too. On iCE40 that saves LUTs, but takes more cells, because a chain of one bit needs a cell
        to enter and one to leave it.
    latency_cycles: cycles from a word to its count; with more than the tree needs, its leaves wait.
        None for as few as it needs.
    """

    bits: Signal
    """`width` bits, in: the word whose ones are counted."""
    count: Signal
    """`range(width + 1)`, out: how many bits were 1 in the word that came `latency_cycles`
    before."""

    def __init__(
        self, width: int, leaf_bits: int = 3, *, latency_cycles: int | None = None
    ) -> None:
        self.width = width
        self.leaf_bits = leaf_bits
        self.latency_cycles = latency_cycles or popcount_latency_cycles(width, leaf_bits)
        super().__init__({"bits": In(width), "count": Out(range(width + 1))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.d.comb += self.count.eq(self._count(m, self.bits, self.latency_cycles))
        return m

    def _count(self, m: Module, bits: Value, latency_cycles: int) -> Value:
        """Add the ones of `bits` in exactly `latency_cycles`."""
        count = Signal(range(len(bits) + 1), reset_less=True)
        if latency_cycles == 1:
            a, b, c = (*bits, *[C(0)] * (3 - len(bits)))
            m.d.sync += count.eq(Cat(a ^ b ^ c, (a & b) | (a & c) | (b & c)))
            return count
        if len(bits) <= self.leaf_bits:
            return self._wait(m, self._count(m, bits, latency_cycles - 1))
        half = len(bits) // 2  # the larger one of what is left beside the carry
        carry = bits[-1]
        for _ in range(latency_cycles - 1):
            carry = self._wait(m, carry)
        low = self._count(m, bits[:half], latency_cycles - 1)
        high = self._count(m, bits[half:-1], latency_cycles - 1)
        m.d.sync += count.eq(self._add(low, high, carry))
        return count

    def _wait(self, m: Module, value: Value) -> Value:
        """Return `value` a cycle later."""
        waited = Signal.like(value, reset_less=True)
        m.d.sync += waited.eq(value)
        return waited

    def _add(self, low: Value, high: Value, carry: Value) -> Value:
        """Return `low + high + carry`, in one chain of carries.

        The carry enters below bit 0: (2 low + 1) + (2 high + carry) carries out of there if it is
        1.
        """
        return (Cat(C(1), low) + Cat(carry, high))[1:]
