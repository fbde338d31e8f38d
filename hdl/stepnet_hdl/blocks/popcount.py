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
        m.d.comb += self.count.eq(_count(m, self.bits, self.latency_cycles, self.leaf_bits))
        return m


def _count(m: Module, bits: Value, latency_cycles: int, leaf_bits: int) -> Value:
    """Add the ones of `bits` in exactly `latency_cycles`."""
    count = Signal(range(len(bits) + 1), reset_less=True)
    if latency_cycles == 1:
        a, b, c = (*bits, *[C(0)] * (3 - len(bits)))
        m.d.sync += count.eq(Cat(a ^ b ^ c, (a & b) | (a & c) | (b & c)))
        return count
    if len(bits) <= leaf_bits:
        early = _count(m, bits, latency_cycles - 1, leaf_bits)
        m.d.sync += count.eq(early)
        return count
    half = len(bits) // 2  # the larger one of what is left beside the carry
    carry = bits[-1]
    for _ in range(latency_cycles - 1):
        delayed = Signal(reset_less=True)
        m.d.sync += delayed.eq(carry)
        carry = delayed
    low = _count(m, bits[:half], latency_cycles - 1, leaf_bits)
    high = _count(m, bits[half:-1], latency_cycles - 1, leaf_bits)
    # The carry enters below bit 0: (2 low + 1) + (2 high + carry) carries out of there if it is 1.
    m.d.sync += count.eq((Cat(C(1), low) + Cat(carry, high))[1:])
    return count
