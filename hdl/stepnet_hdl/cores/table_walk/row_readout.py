"""Makes the character's code from answers that come one after the other."""

from amaranth.hdl import C, Cat, Module, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from stepnet.cores.engine.shape import CODE_BITS
from stepnet.networks.lut import LutNetwork
from stepnet.networks.network import Readout


class RowReadout(wiring.Component):
    """Counts the answers of one row after the other, and reads the counts as
    `stepnet.networks.reference.read_out` reads margins.

    A count begins at a value that has the row's threshold in it, so that all rows are judged
    alike: with `nearest` by who is ahead of the best one so far, otherwise by one bit.
    """

    judge_cycles = 2
    """Cycles from the last answer to `code`."""

    restart: Signal
    """1 bit, in: the next answer is the first one of an image."""
    answer: Signal
    """1 bit, in: the answer of a table."""
    counts: Signal
    """1 bit, in: `answer` counts for the row whose turn it is; at most every other cycle."""
    row_ends: Signal
    """1 bit, in: with `counts`, this is the row's last answer."""
    code: Signal
    """8 bits, out: the character's code, `judge_cycles` after the last answer of the last row."""

    def __init__(self, network: LutNetwork, row_tables: int) -> None:
        self.network = network
        thresholds = network.counts.thresholds.tolist()
        if network.readout is Readout.NEAREST:
            self._starts = [1 + max(thresholds) - threshold for threshold in thresholds]
            self._bits = (max(self._starts) + row_tables).bit_length()
        else:
            # The highest bit tells whether the threshold is reached.
            above = row_tables.bit_length()
            self._starts = [
                (1 << above) - min(max(threshold, 0), row_tables + 1) for threshold in thresholds
            ]
            self._bits = above + 1
        super().__init__(
            {
                "restart": In(1),
                "answer": In(1),
                "counts": In(1),
                "row_ends": In(1),
                "code": Out(CODE_BITS),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        rows = self.network.rows
        row = Signal(range(rows))
        count = Signal(self._bits)
        ended = Signal()  # `count` is that of the whole row
        next_row = Signal(range(rows + 1))
        m.d.comb += next_row.eq(row + 1)
        m.d.sync += ended.eq(self.counts & self.row_ends)
        with m.If(self.counts):
            m.d.sync += count.eq(count + self.answer)
        with m.If(ended):
            m.d.sync += [row.eq(next_row), count.eq(_entry(self._starts, next_row, self._bits))]
        match self.network.readout:
            case Readout.BITS:
                self._shift(m, ended, count[-1])
            case Readout.TREE:
                self._descend(m, ended, row, count[-1])
            case Readout.NEAREST:
                self._compare(m, ended, row, count)
        with m.If(self.restart):
            m.d.sync += [row.eq(0), ended.eq(0), count.eq(self._starts[0])]
        return m

    def _shift(self, m: Module, ended: Signal, fires: Value) -> None:
        """Row k is bit k."""
        bits = Signal(self.network.rows)
        with m.If(ended):
            m.d.sync += bits.eq(Cat(bits[1:], fires))
        m.d.comb += self.code.eq(bits)

    def _descend(self, m: Module, ended: Signal, row: Signal, fires: Value) -> None:
        """A row counts if it is the child that its parent chose; parents come before children."""
        on_path = Signal(range(2 * self.network.rows + 1))
        prefix = int(self.network.code_prefix or "0", 2)
        code = Signal(CODE_BITS)
        with m.If(ended & (row == on_path)):
            m.d.sync += [on_path.eq(2 * row + 1 + fires), code.eq(Cat(fires, code))]
        with m.If(self.restart):
            m.d.sync += [on_path.eq(0), code.eq(prefix)]
        m.d.comb += self.code.eq(code)

    def _compare(self, m: Module, ended: Signal, row: Signal, count: Signal) -> None:
        """The first row of those that lead by the most."""
        best, best_row = Signal.like(count), Signal.like(row)
        with m.If(ended & (count > best)):
            m.d.sync += [best.eq(count), best_row.eq(row)]
        with m.If(self.restart):
            m.d.sync += best.eq(0)
        m.d.comb += self.code.eq(_entry(self.network.codes.tolist(), best_row, CODE_BITS))


def _entry(table: list[int], index: Value, bits: int) -> Value:
    return Cat(C(entry, bits) for entry in table).word_select(index, bits)
