"""Makes the activation of a sigmoid neuron from its sum: multiplies, shifts, looks it up."""

from amaranth.hdl import Module, Mux, Signal, Value, signed
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from stepnet.cores.mac.shape import SIGMOID_CYCLES, SUM_BITS
from stepnet.networks.sigmoid import LARGEST_SHIFT, MULTIPLIER_BITS, TABLE

FACTOR_BITS = MULTIPLIER_BITS + 1
SHIFT_BITS = LARGEST_SHIFT.bit_length()
PRODUCT_BITS = SUM_BITS + FACTOR_BITS
_INDEX_BITS = 8
_PART_BITS = 4
"""Bits of the multiplier that a sum is multiplied with at once, so that no cycle is long where
multiplications take LUTs."""


class Sigmoid(wiring.Component):
    """Computes the activation that `stepnet.networks.sigmoid` specifies, `latency_cycles` from a
    sum to its activation, one in each cycle.
    """

    latency_cycles = SIGMOID_CYCLES
    """Cycles from a sum to its activation."""

    multiplier_cycles = 1
    """Cycles after a sum, from which on `multiplier` may be another one."""

    sum: Signal
    """24 bits, in: the signed sum of a neuron, its bias with it."""
    multiplier: Signal
    """16 bits, in: the layer's multiplier, up to 2^15, with the sum."""
    shift: Signal
    """6 bits, in: the layer's shift; it stays until `activation` is there."""
    activation: Signal
    """8 bits, out: the activation of the sum of `latency_cycles` before."""

    def __init__(self) -> None:
        super().__init__(
            {
                "sum": In(SUM_BITS),
                "multiplier": In(FACTOR_BITS),
                "shift": In(SHIFT_BITS),
                "activation": Out(8),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        parts: list[Value] = []
        for number in range(FACTOR_BITS // _PART_BITS):
            part = Signal(signed(SUM_BITS + _PART_BITS), name=f"part_{number}", reset_less=True)
            factor = self.multiplier.word_select(number, _PART_BITS)
            m.d.sync += part.eq(self.sum.as_signed() * factor)
            parts.append(part)
        low, high = (Signal(signed(SUM_BITS + 2 * _PART_BITS), reset_less=True) for _ in range(2))
        product, coarse = (Signal(signed(PRODUCT_BITS), reset_less=True) for _ in range(2))
        fine_shift, coarse_shift = self.shift[:3], self.shift[3:]
        steps = Signal(signed(PRODUCT_BITS))  # of the table, from its middle
        inside = Signal(_INDEX_BITS, reset_less=True)
        above, below = Signal(reset_less=True), Signal(reset_less=True)
        index = Signal(_INDEX_BITS, reset_less=True)
        m.submodules.table = table = Memory(shape=8, depth=len(TABLE), init=TABLE.tolist())
        entry = table.read_port(domain="comb")
        m.d.comb += [steps.eq(coarse >> fine_shift), entry.addr.eq(index)]
        m.d.sync += [
            low.eq(parts[0] + (parts[1] << _PART_BITS)),
            high.eq(parts[2] + (parts[3] << _PART_BITS)),
            product.eq(low + (high << 2 * _PART_BITS)),
            coarse.eq(product >> (coarse_shift << 3)),
            # The middle is half of the table, which turns the sign into the index's highest bit.
            inside.eq(steps[:_INDEX_BITS] ^ 1 << _INDEX_BITS - 1),
            above.eq(self._is_above(steps)),
            below.eq(steps[-1] & ~steps[_INDEX_BITS - 1 :].all()),
            index.eq(Mux(above, len(TABLE) - 1, Mux(below, 0, inside))),
            self.activation.eq(entry.data),
        ]
        return m

    def _is_above(self, steps: Value) -> Value:
        """Whether so many steps from its middle are behind the table's end."""
        return ~steps[-1] & steps[_INDEX_BITS - 1 :].any()
