"""The stages of the pipeline against their formulas, one thing in each cycle."""

import numpy as np
from amaranth.hdl import Const, Module, Signal, Value
from amaranth.lib.wiring import In

from stepnet.networks.lut import TABLE_BITS, Counts, LutLayer
from stepnet_hdl.blocks import parallel_counter
from stepnet_hdl.cores.pipeline import largest_count, table_layer
from stepnet_sim.verification.formal import Harness, claim


def _from_the_cycle_on(m: Module, latency_cycles: int, word: Value) -> tuple[Value, Value]:
    """The word of `latency_cycles` before, and whether there was one."""
    through = Signal(range(latency_cycles + 1))
    with m.If(through != latency_cycles):
        m.d.sync += through.eq(through + 1)
    for _ in range(latency_cycles):
        delayed = Signal(len(word))
        m.d.sync += delayed.eq(word)
        word = delayed
    return word, through == latency_cycles


class CountsWithAdders(Harness):
    """The count of a `ParallelCounter` is the number of ones in the word."""

    word: Signal

    def __init__(self, width: int) -> None:
        self.width = width
        super().__init__({"word": In(width)})

    def claims(self, m: Module) -> None:
        """Compare with the sum of the bits."""
        m.submodules.dut = dut = parallel_counter.ParallelCounter(self.width)
        m.d.comb += dut.bits.eq(self.word)
        word, there = _from_the_cycle_on(m, dut.latency_cycles, self.word)
        with m.If(there):
            m.d.comb += claim(dut.count == sum(word, start=Value.cast(0)))


class LooksEveryTableUp(Harness):
    """The answers of a `TableLayer` are `table >> (a0 + 2 a1 + 4 a2 + 8 a3) & 1`.

    The tables are chosen at random, with wires that repeat and inputs that change nothing.
    """

    bits: Signal

    N_IN = 7

    def __init__(self, tables: int) -> None:
        rng = np.random.default_rng(tables)
        truth = rng.integers(0, 1 << TABLE_BITS, tables)
        truth[:4] = (0xAAAA, 0x5555, 0xFFFF, 0xCCAA)
        self.layer = LutLayer(rng.integers(0, self.N_IN, (tables, 4)), truth, self.N_IN)
        super().__init__({"bits": In(self.N_IN)})

    def claims(self, m: Module) -> None:
        """Shift each table by its address."""
        m.submodules.dut = dut = table_layer.TableLayer(self.layer)
        m.d.comb += dut.bits.eq(self.bits)
        bits, there = _from_the_cycle_on(m, dut.latency_cycles, self.bits)
        for number, (table, wires) in enumerate(
            zip(self.layer.tables.tolist(), self.layer.wires.tolist(), strict=True)
        ):
            a0, a1, a2, a3 = (bits[wire] for wire in wires)
            address = a0 + 2 * a1 + 4 * a2 + 8 * a3
            with m.If(there):
                m.d.comb += claim(dut.answers[number] == (Const(table, TABLE_BITS) >> address)[0])


class FindsTheLargest(Harness):
    """The row of a `LargestCount` leads over its threshold by more than all before it, and by no
    less than all behind it.
    """

    counts: Signal

    def __init__(self, thresholds: tuple[int, ...], size: int) -> None:
        rows = len(thresholds)
        self.declared = Counts(np.repeat(np.arange(rows), size), np.array(thresholds))
        self.count_bits = size.bit_length()
        super().__init__({"counts": In(rows * self.count_bits)})

    def claims(self, m: Module) -> None:
        """Compare the row with every other."""
        m.submodules.dut = dut = largest_count.LargestCount(self.declared)
        m.d.comb += dut.sums.eq(self.counts)
        counts, there = _from_the_cycle_on(m, dut.latency_cycles, self.counts)
        leads = [
            counts.word_select(row, self.count_bits) - threshold
            for row, threshold in enumerate(self.declared.thresholds.tolist())
        ]
        for found, lead in enumerate(leads):
            with m.If(there & (dut.row == found)):
                for row, other in enumerate(leads):
                    m.d.comb += claim(lead > other if row < found else lead >= other)
        with m.If(there):
            m.d.comb += claim(dut.row < len(leads))
