"""Makes the activation of a hidden neuron from its sum: rectifies, multiplies, shifts, rounds."""

from amaranth.hdl import Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from stepnet.cores.mac.shape import RELU_CYCLES, SUM_BITS
from stepnet.networks.relu import LARGEST_ACTIVATION, LARGEST_SHIFT, MULTIPLIER_BITS

SHIFT_BITS = (LARGEST_SHIFT - 1).bit_length()
SCALED_BITS = SUM_BITS - 1 + MULTIPLIER_BITS


class Requantiser(wiring.Component):
    """Computes `stepnet.networks.relu.requantised`, `latency_cycles` from a sum to its activation,
    one in each cycle.

    With k the shift, `(x + 2^(k-1)) >> k` is `((x >> (k-1)) + 1) >> 1`, so that the number that is
    rounded has few bits.
    """

    latency_cycles = RELU_CYCLES
    """Cycles from a sum to its activation."""

    multiplier_cycles = 1
    """Cycles after a sum, from which on `multiplier` may be another one."""

    sum: Signal
    """24 bits, in: the signed sum of a neuron."""
    multiplier: Signal
    """8 bits, in: the layer's multiplier, with the sum."""
    shift: Signal
    """5 bits, in: the layer's shift less 1; it stays until `activation` is there."""
    activation: Signal
    """8 bits, out: the activation of the sum of `latency_cycles` before."""

    def __init__(self) -> None:
        super().__init__(
            {
                "sum": In(SUM_BITS),
                "multiplier": In(MULTIPLIER_BITS),
                "shift": In(SHIFT_BITS),
                "activation": Out(8),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        half = MULTIPLIER_BITS // 2
        # A negative sum is multiplied as the bits below its sign, and becomes 0 after that: the
        # multiplication is the longest path of the chip.
        unsigned, negative = self.sum[:-1], Signal(reset_less=True)
        low = Signal(SUM_BITS - 1 + half, reset_less=True)
        high = Signal(SUM_BITS - 1 + half, reset_less=True)
        scaled = Signal(SCALED_BITS, reset_less=True)
        coarse = Signal(SCALED_BITS, reset_less=True)
        fine = Signal(9, reset_less=True)  # twice the activation, the last bit decides rounding
        beyond = Signal(reset_less=True)
        fine_shift, coarse_shift = self.shift[:3], self.shift[3:]
        shifted = Signal(SCALED_BITS)
        rounded = Signal(9)
        m.d.comb += [
            shifted.eq(coarse >> fine_shift),
            rounded.eq(self._round(fine)),
        ]
        m.d.sync += [
            negative.eq(self.sum[-1]),
            low.eq(unsigned * self.multiplier[:half]),
            high.eq(unsigned * self.multiplier[half:]),
            scaled.eq(Mux(negative, 0, low + (high << half))),
            coarse.eq(scaled >> (coarse_shift << 3)),
            fine.eq(shifted),
            beyond.eq(shifted[9:].any()),
            self.activation.eq(Mux(beyond | rounded[8], LARGEST_ACTIVATION, rounded)),
        ]
        return m

    def _round(self, twice: Value) -> Value:
        """Return half of a number, up from halfway."""
        return (twice + 1) >> 1
