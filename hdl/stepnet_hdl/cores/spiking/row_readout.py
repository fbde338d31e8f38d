"""Makes the character's code from the rows of the readout, one after the other."""

from amaranth.hdl import C, Cat, Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from stepnet.cores.engine.shape import CODE_BITS
from stepnet.networks.network import Readout
from stepnet.networks.spiking import SpikingNetwork


class RowReadout(wiring.Component):
    """Takes a row in each cycle, the first one first, and reads them as
    `stepnet.networks.reference.read_out` does.

    network: which network's rows they are.
    width: of an excess.
    """

    restart: Signal
    """1 bit, in: the next row is the first one of an image."""
    takes: Signal
    """1 bit, in: `excess` is the next row's."""
    excess: Signal
    """`signed(width)`, in: by how much the row exceeds what it is compared with."""
    code: Signal
    """8 bits, out: the code of the rows taken so far."""
    margin: Signal
    """`width` bits, out: with readout nearest how far one row may move before the code changes, of
    two rows or more; else 0."""

    def __init__(self, network: SpikingNetwork, width: int) -> None:
        self.network = network
        super().__init__(
            {
                "restart": In(1),
                "takes": In(1),
                "excess": In(signed(width)),
                "code": Out(CODE_BITS),
                "margin": Out(width),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        row = Signal(range(self.network.rows + 1))
        with m.If(self.takes):
            m.d.sync += row.eq(row + 1)
        match self.network.readout:
            case Readout.BITS:
                self._collect(m)
            case Readout.TREE:
                self._walk(m, row)
            case Readout.NEAREST:
                self._compare(m, row)
        with m.If(self.restart):
            m.d.sync += row.eq(0)
        return m

    def _collect(self, m: Module) -> None:
        """Row k is bit k."""
        bits = Signal(self.network.rows)
        with m.If(self.takes):
            m.d.sync += bits.eq(Cat(bits[1:], self.excess >= 0))
        m.d.comb += self.code.eq(bits)

    def _walk(self, m: Module, row: Signal) -> None:
        """Of the rows in heap order those count that the bits before them lead to."""
        prefix = self.network.code_prefix
        start = C(int(prefix or "0", 2), CODE_BITS)
        next_row = Signal(range(2 * self.network.rows + 2))
        bit = self.excess >= 0
        with m.If(self.takes & (row == next_row)):
            m.d.sync += [
                self.code.eq(Cat(bit, self.code)),
                next_row.eq(2 * next_row + 1 + bit),
            ]
        with m.If(self.restart):
            m.d.sync += [self.code.eq(start), next_row.eq(0)]

    def _compare(self, m: Module, row: Signal) -> None:
        """The first of the largest rows wins. The margin is kept against the strongest other one,
        which has to come up by one more if it is before the winner."""
        best, rival = Signal(self.excess.shape()), Signal(signed(len(self.excess) + 1))
        codes = Cat(C(int(code), CODE_BITS) for code in self.network.codes)
        is_first = row == 0
        wins = is_first | (self.excess > best)
        with m.If(self.takes):
            with m.If(wins):
                m.d.sync += [best.eq(self.excess), self.code.eq(codes.word_select(row, CODE_BITS))]
            with m.If(is_first):
                m.d.sync += rival.eq(-(1 << len(self.excess) - 1))
            with m.Elif(wins):
                m.d.sync += rival.eq(best + 1)
            with m.Elif(self.excess > rival):
                m.d.sync += rival.eq(self.excess)
        m.d.comb += self.margin.eq(Mux(row > 1, best - rival, 0))
