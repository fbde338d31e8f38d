"""Counting the ones of a constant word by full adders alone, for counts as fast as a look-up table.

A full adder takes three bits of one weight and gives one of that weight and one of the next: two
look-up tables, and one bit less (L. Dadda, "Some schemes for parallel multipliers", Alta Frequenza
34, 1965). A carry chain does that in half the cells, but each chain loses some at its ends, and
short ones lose more than they save.
"""

from amaranth.hdl import Cat, Module, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out


def adders_per_cycle(width: int) -> list[list[tuple[int, bool]]]:
    """What `ParallelCounter` does with a word of `width` bits: for each cycle and each weight, how
    many full adders there are, and whether a half adder follows.

    Two bits that are left of a weight wait for a third, until no more can come: only then a half
    adder takes them.
    """
    bits = [width]
    cycles: list[list[tuple[int, bool]]] = []
    while max(bits) > 1:
        cycle: list[tuple[int, bool]] = []
        after: list[int] = [0] * (len(bits) + 1)
        settled = True  # no weight below carries any more
        for weight, count in enumerate(bits):
            full = count // 3
            half = settled and count == 2
            settled = settled and count <= 1
            cycle.append((full, half))
            after[weight] += count - 2 * full - half
            after[weight + 1] += full + half
        cycles.append(cycle)
        bits = after if after[-1] else after[:-1]
    return cycles


def counter_latency_cycles(width: int) -> int:
    """Cycles from a word of `width` bits to its count, at least."""
    return len(adders_per_cycle(width))


class ParallelCounter(wiring.Component):
    """Counts the ones of a word. It takes a word every cycle; one look-up table lies between two
    registers.

    width: bits of a word, at least 1.
    latency_cycles: from a word to its count; None for as few as it needs.
    """

    bits: Signal
    """`width` bits, in: the word whose ones are counted."""
    count: Signal
    """`range(width + 1)`, out: how many bits were 1 in the word that came `latency_cycles`
    before."""

    def __init__(self, width: int, *, latency_cycles: int | None = None) -> None:
        self.width = width
        self._adders = adders_per_cycle(width)
        least = len(self._adders)
        self.latency_cycles = least if latency_cycles is None else latency_cycles
        if self.latency_cycles < least:
            raise ValueError(f"{width} bits are not counted in {latency_cycles} cycles.")
        super().__init__({"bits": In(width), "count": Out(range(width + 1))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        columns: list[list[Value]] = [list(self.bits)]
        waiting: list[list[tuple[int, bool]]] = [[]] * (self.latency_cycles - len(self._adders))
        for number, cycle in enumerate([*self._adders, *waiting]):
            after: list[list[Value]] = [[] for _ in range(len(columns) + 1)]
            for weight, bits in enumerate(columns):
                full, half = cycle[weight] if cycle else (0, False)
                name = f"cycle_{number}_weight_{weight}"
                groups = [bits[3 * adder : 3 * adder + 3] for adder in range(full)]
                left = bits[3 * full :]
                if half:
                    groups, left = [left], []
                for adder, group in enumerate(groups):
                    total, carry = self._half_adder(*group) if half else self._full_adder(*group)
                    after[weight].append(_keep(m, total, f"{name}_{adder}_sum"))
                    after[weight + 1].append(_keep(m, carry, f"{name}_{adder}_carry"))
                for place, bit in enumerate(left):
                    after[weight].append(_keep(m, bit, f"{name}_left_{place}"))
            columns = after if after[-1] else after[:-1]
        m.d.comb += self.count.eq(Cat(*(bit for (bit,) in columns)))
        return m

    def _half_adder(self, a: Value, b: Value) -> tuple[Value, Value]:
        """Return sum and carry of two bits."""
        return a ^ b, a & b

    def _full_adder(self, a: Value, b: Value, c: Value) -> tuple[Value, Value]:
        """Return sum and carry of three bits."""
        return a ^ b ^ c, (a & b) | (a & c) | (b & c)


def _keep(m: Module, value: Value, name: str) -> Value:
    kept = Signal(name=name, reset_less=True)
    m.d.sync += kept.eq(value)
    return kept
