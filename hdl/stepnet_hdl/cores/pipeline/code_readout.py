"""Makes the character's code from the counts of all rows."""

from amaranth.hdl import C, Cat, Module, Mux, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from stepnet.cores.engine.shape import CODE_BITS
from stepnet.networks.lut import LutNetwork
from stepnet.networks.network import Readout
from stepnet_hdl.cores.pipeline.group_counts import sums_layout


class CodeReadout(wiring.Component):
    """Reads the counts as `stepnet.networks.reference.read_out` reads margins.

    With `bits` every row compares its count with its threshold. With `tree` all rows do, and half
    of them drop out with each bit of the code that is known. With `nearest` pairs of rows compete,
    the winners in pairs again.

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
        steps = {
            Readout.BITS: 1,
            Readout.TREE: network.rows.bit_length(),
            Readout.NEAREST: (network.rows - 1).bit_length() or 1,
        }
        self.latency_cycles = steps[network.readout] if registered else 0
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
        counts = self.network.counts
        thresholds = counts.thresholds.tolist()
        # What all thresholds have in common decides nothing.
        lowest = max(thresholds)
        leads: list[Value] = [
            self.sums[f"row_{row}"] + (lowest - threshold)
            for row, threshold in enumerate(thresholds)
        ]
        codes: list[Value] = [C(int(code), CODE_BITS) for code in self.network.codes]
        level = 0
        while len(leads) > 1:
            pairs = list(zip(leads[::2], leads[1::2], codes[::2], codes[1::2], strict=False))
            left_leads, left_codes = leads[2 * len(pairs) :], codes[2 * len(pairs) :]
            leads, codes = [], []
            for number, (first, second, first_code, second_code) in enumerate(pairs):
                overtakes = second > first
                name = f"{level}_{number}"
                leads.append(self._keep(m, Mux(overtakes, second, first), f"lead_{name}"))
                codes.append(self._keep(m, Mux(overtakes, second_code, first_code), f"code_{name}"))
            leads += [self._keep(m, lead, f"lead_{level}_last") for lead in left_leads]
            codes += [self._keep(m, code, f"code_{level}_last") for code in left_codes]
            level += 1
        return codes[0] if level else self._keep(m, codes[0], "code")


def _below(rows: list[Value], level: int, side: int) -> list[Value]:
    """Return the rows of one level of a heap that lie below the root's child on one side."""
    first = (1 << level) - 1
    half = 1 << (level - 1)
    return rows[first + side * half : first + (side + 1) * half]
