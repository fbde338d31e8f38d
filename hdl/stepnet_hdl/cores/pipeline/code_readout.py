"""Makes the character's code from the counts of all rows."""

from amaranth.hdl import C, Cat, Module, Mux, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from stepnet.cores.engine.shape import CODE_BITS
from stepnet.networks.lut import LutNetwork
from stepnet.networks.network import Readout
from stepnet_hdl.cores.pipeline.group_counts import sums_layout
from stepnet_hdl.cores.pipeline.largest_count import LargestCount, largest_latency_cycles


def readout_latency_cycles(network: LutNetwork) -> int:
    """Cycles from the counts to the code, with registers."""
    match network.readout:
        case Readout.BITS:
            return 1
        case Readout.TREE:
            return network.rows.bit_length()
        case Readout.NEAREST:
            return largest_latency_cycles(network.rows) + 1


class CodeReadout(wiring.Component):
    """Reads the counts as `stepnet.networks.reference.read_out` reads margins.

    With `bits` every row compares its count with its threshold. With `tree` all rows do, and half
    of them drop out with each bit of the code that is known. With `nearest` the row of the
    `LargestCount` tells the code.

    registered: a register behind each comparison and each choice; otherwise the code comes in the
    same cycle.
    """

    sums: data.View
    """`sums_layout`, in: the count of every row."""
    code: Signal
    """8 bits, out: the character's code for the `sums` of `latency_cycles` before."""

    def __init__(self, network: LutNetwork, *, registered: bool = True) -> None:
        self.network = network
        self.registered = registered
        self.latency_cycles = readout_latency_cycles(network) if registered else 0
        super().__init__({"sums": In(sums_layout(network.counts)), "code": Out(CODE_BITS)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        match self.network.readout:
            case Readout.BITS:
                code = self._keep(m, Cat(self._fires()), "bits")
            case Readout.TREE:
                code = self._walk(m)
            case Readout.NEAREST:
                code = self._largest(m)
        m.d.comb += self.code.eq(code)
        return m

    def _keep(self, m: Module, value: Value, name: str) -> Value:
        """Return the value, behind a register if there is one."""
        if not self.registered:
            return value
        kept = Signal(value.shape(), name=name, reset_less=True)
        m.d.sync += kept.eq(value)
        return kept

    def _fires(self) -> list[Value]:
        thresholds = self.network.counts.thresholds.tolist()
        sizes = self.network.counts.sizes.tolist()
        found: list[Value] = []
        for row, (threshold, size) in enumerate(zip(thresholds, sizes, strict=True)):
            if 0 < threshold <= size:
                found.append(self.sums[f"row_{row}"] >= threshold)
            else:
                found.append(C(threshold <= 0, 1))
        return found

    def _walk(self, m: Module) -> Value:
        """Keep, of the rows in heap order, the half below the side that was taken."""
        rows = [self._keep(m, row, f"row_{number}") for number, row in enumerate(self._fires())]
        known = C(int(self.network.code_prefix or "0", 2), len(self.network.code_prefix))
        code: Value = known
        while len(rows) > 1:
            bit = rows[0]
            depth = len(rows).bit_length()
            left = [row for level in range(1, depth) for row in _below(rows, level, 0)]
            right = [row for level in range(1, depth) for row in _below(rows, level, 1)]
            code = self._keep(m, Cat(bit, code), f"code_{depth}")
            rows = [
                self._keep(m, Mux(bit, one, zero), f"rows_{depth}_{number}")
                for number, (zero, one) in enumerate(zip(left, right, strict=True))
            ]
        return Cat(rows[0], code)

    def _largest(self, m: Module) -> Value:
        """The code of the row that leads over its threshold by the most, the first on a tie."""
        m.submodules.largest = largest = LargestCount(
            self.network.counts, registered=self.registered
        )
        m.d.comb += largest.sums.eq(self.sums)
        codes = Cat(C(int(code), CODE_BITS) for code in self.network.codes)
        return self._keep(m, codes.word_select(largest.row, CODE_BITS), "code")


def _below(rows: list[Value], level: int, side: int) -> list[Value]:
    """Return the rows of one level of a heap that lie below the root's child on one side."""
    first = (1 << level) - 1
    half = 1 << (level - 1)
    return rows[first + side * half : first + (side + 1) * half]
