"""Counts how many tables of each group answer 1."""

from amaranth.hdl import C, Cat, Module, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from stepnet.networks.lut import Counts
from stepnet_hdl.blocks.parallel_counter import ParallelCounter, counter_latency_cycles


def sums_layout(counts: Counts) -> data.StructLayout:
    """One field `row_<number>` for each row, as wide as its largest count."""
    return data.StructLayout(
        {f"row_{row}": range(int(size) + 1) for row, size in enumerate(counts.sizes)}
    )


def counts_latency_cycles(counts: Counts) -> int:
    """Cycles from the answers to the counts, with registers."""
    return counter_latency_cycles(max(1, int(counts.sizes.max())))


class GroupCounts(wiring.Component):
    """Counts the ones of every group of tables, all groups in the same number of cycles.

    registered: counts with a register behind each adder, see `ParallelCounter`; otherwise the
    counts come in the same cycle, by carry chains, which is slow.
    """

    answers: Signal
    """`len(counts.groups)` bits, in: the answer of each table of the last layer, the first table
    lowest."""
    sums: data.View
    """`sums_layout`, out: the counts of what was in `answers` `latency_cycles` before."""

    def __init__(self, counts: Counts, *, registered: bool = True) -> None:
        self.counts = counts
        self.registered = registered
        self.latency_cycles = counts_latency_cycles(counts) if registered else 0
        super().__init__({"answers": In(len(counts.groups)), "sums": Out(sums_layout(counts))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        groups = self.counts.groups.tolist()
        for row, size in enumerate(self.counts.sizes.tolist()):
            if not size:
                continue
            members = Cat(self.answers[table] for table, at in enumerate(groups) if at == row)
            if self.registered:
                m.submodules[f"count_{row}"] = counter = ParallelCounter(
                    size, latency_cycles=self.latency_cycles
                )
                m.d.comb += counter.bits.eq(members)
                count: Value = counter.count
            else:
                count = _count_at_once(m, members, f"row_{row}")
            m.d.comb += self.sums[f"row_{row}"].eq(count)
        return m


def _count_at_once(m: Module, bits: Value, name: str) -> Value:
    """The ones of `bits`, by a tree of carry chains that take a third bit as their carry."""
    if len(bits) <= 1:
        return bits
    count = Signal(range(len(bits) + 1), name=name)
    half = len(bits) // 2
    low = _count_at_once(m, bits[:half], f"{name}_low")
    if len(bits) % 2:
        high = _count_at_once(m, bits[half:-1], f"{name}_high")
        # The last bit enters below bit 0: (2 low + 1) + (2 high + bit) carries if it is 1.
        m.d.comb += count.eq((Cat(C(1), low) + Cat(bits[-1], high))[1:])
    else:
        m.d.comb += count.eq(low + _count_at_once(m, bits[half:], f"{name}_high"))
    return count
