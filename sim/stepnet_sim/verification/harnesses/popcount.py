"""The popcount against the sum of its bits."""

from amaranth.hdl import Module, Signal, Value
from amaranth.lib.wiring import In

from stepnet_hdl.blocks import popcount
from stepnet_sim.verification.formal import Harness, claim


class CountsEveryWord(Harness):
    """`count` is the number of ones in the word of `latency_cycles` before, for a word per cycle.

    in_halves: the order in which the harness adds: from the first bit to the last, or in halves as
        the tree does, with the bit that is left. Both give the same number, but for a wide word
        the solver needs the second.
    """

    word: Signal

    def __init__(self, width: int, *, in_halves: bool = False) -> None:
        self.width = width
        self._in_halves = in_halves
        super().__init__({"word": In(width)})

    def claims(self, m: Module) -> None:
        """Compare from the cycle on in which the first word is through."""
        m.submodules.dut = dut = popcount.Popcount(self.width)
        m.d.comb += dut.bits.eq(self.word)
        word: Value = self.word
        through = Signal(range(dut.latency_cycles + 1))
        for _ in range(dut.latency_cycles):
            delayed = Signal(self.width)
            m.d.sync += delayed.eq(word)
            word = delayed
        ones = _ones_in_halves(word) if self._in_halves else sum(word, start=Value.cast(0))
        with m.If(through == dut.latency_cycles):
            m.d.comb += claim(dut.count == ones)
        with m.Else():
            m.d.sync += through.eq(through + 1)


def _ones_in_halves(word: Value) -> Value:
    if len(word) <= 3:
        return sum(word, start=Value.cast(0))
    half = len(word) // 2
    return _ones_in_halves(word[:half]) + _ones_in_halves(word[half:-1]) + word[-1]
