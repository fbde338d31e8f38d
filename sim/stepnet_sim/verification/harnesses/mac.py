"""The stages of the multiply-accumulate core against their formulas."""

from amaranth.hdl import Module, Mux, Signal, Value
from amaranth.lib.wiring import In

from stepnet.cores.mac.shape import SHIFT_BITS, SUM_BITS
from stepnet.networks.relu import LARGEST_ACTIVATION, MULTIPLIER_BITS
from stepnet_hdl.blocks.delay import delayed
from stepnet_hdl.cores.mac import accumulators, largest_sum, products, requantiser
from stepnet_sim.verification.formal import Harness, claim, given, hold

LANES = 2


class RequantisesEverySum(Harness):
    """`activation` is `min((max(sum, 0) * m + 2^(k-1)) >> k, 255)` of the sum of `latency_cycles`
    before, for a sum per cycle, and for any m and k that stay.

    The harness multiplies by halves of m, as the block does; a simulation compares that with the
    product.
    """

    sum: Signal
    multiplier: Signal
    shift_minus_1: Signal

    def __init__(self) -> None:
        super().__init__(
            {
                "sum": In(SUM_BITS),
                "multiplier": In(MULTIPLIER_BITS),
                "shift_minus_1": In(SHIFT_BITS),
            }
        )

    def claims(self, m: Module) -> None:
        """Compare from the cycle on in which the first sum is through."""
        m.submodules.dut = dut = requantiser.Requantiser()
        hold(m, self.multiplier, self.shift_minus_1)
        # Of a shift by 32 nobody speaks.
        m.d.comb += given(self.shift_minus_1 != (1 << SHIFT_BITS) - 1)
        m.d.comb += [
            dut.sum.eq(self.sum),
            dut.multiplier.eq(self.multiplier),
            dut.shift_minus_1.eq(self.shift_minus_1),
        ]
        bits = self.sum[:-1]
        half = MULTIPLIER_BITS // 2
        low, high = self.multiplier[:half], self.multiplier[half:]
        product = Mux(self.sum[-1], 0, bits * low + ((bits * high) << half))
        halfway = Value.cast(1) << self.shift_minus_1
        scaled = Signal(requantiser.SCALED_BITS + 1)
        m.d.comb += scaled.eq((product + halfway) >> (self.shift_minus_1 + 1))
        answer = Mux(scaled > LARGEST_ACTIVATION, LARGEST_ACTIVATION, scaled)
        expected = delayed(m, answer[:8], dut.latency_cycles, "expected")
        through = Signal(range(dut.latency_cycles + 1))
        with m.If(through != dut.latency_cycles):
            m.d.sync += through.eq(through + 1)
        with m.Else():
            m.d.comb += claim(dut.activation == expected)


class AddsALaneUp(Harness):
    """Each sum that leaves the lanes is the sum of the products of its lane since the last
    `capture` or `clear`.
    """

    weights: Signal
    activation: Signal
    add: Signal
    capture: Signal
    clear: Signal
    shift: Signal

    def __init__(self) -> None:
        super().__init__(
            {
                "weights": In(products.WEIGHT_BITS * LANES),
                "activation": In(products.ACTIVATION_BITS),
                "add": In(1),
                "capture": In(1),
                "clear": In(1),
                "shift": In(1),
            }
        )

    def claims(self, m: Module) -> None:
        """Keep the sums beside the block, from factors that are as old as its products."""
        m.submodules.products = multipliers = products.Products(LANES)
        m.submodules.dut = dut = accumulators.Accumulators(LANES)
        m.d.comb += given(~(self.add & self.capture))
        m.d.comb += [
            multipliers.weights.eq(self.weights),
            multipliers.activation.eq(self.activation),
            dut.products.eq(multipliers.products),
            dut.add.eq(self.add),
            dut.capture.eq(self.capture),
            dut.clear.eq(self.clear),
            dut.shift.eq(self.shift),
        ]
        age = multipliers.latency_cycles
        weights = delayed(m, self.weights, age, "weights")
        activation = delayed(m, self.activation, age, "activation")
        captured, shifted = Signal(), Signal()
        m.d.sync += [captured.eq(self.capture), shifted.eq(captured & self.shift & ~self.capture)]
        started = Signal()  # sums have a beginning
        kept = [Signal(SUM_BITS, name=f"kept_{lane}") for lane in range(LANES)]
        whole = [Signal(SUM_BITS, name=f"whole_{lane}") for lane in range(LANES)]
        begun = Signal()
        m.d.sync += begun.eq(begun | self.clear | self.capture)
        with m.If(self.capture):
            m.d.sync += started.eq(begun)
        for lane in range(LANES):
            weight = weights.word_select(lane, products.WEIGHT_BITS).as_signed()
            with m.If(self.clear | self.capture):
                m.d.sync += kept[lane].eq(0)
            with m.Elif(self.add):
                m.d.sync += kept[lane].eq(kept[lane] + weight * activation)
            with m.If(self.capture):
                m.d.sync += whole[lane].eq(kept[lane])
        with m.If(started & captured):
            m.d.comb += claim(dut.sum == whole[0])
        with m.If(started & shifted):
            m.d.comb += claim(dut.sum == whole[1])


class FindsTheLargestSum(Harness):
    """`index` is the number of the first sum that no other one exceeds, of those since `restart`.

    count: how many sums the harness looks back at.
    """

    sum: Signal
    take: Signal
    restart: Signal

    def __init__(self, count: int) -> None:
        self.count = count
        super().__init__({"sum": In(SUM_BITS), "take": In(1), "restart": In(1)})

    def claims(self, m: Module) -> None:
        """Keep all sums, and compare each with the one that wins."""
        m.submodules.dut = dut = largest_sum.LargestSum(4)
        m.d.comb += given(~(self.take & self.restart))
        m.d.comb += given(self.sum != largest_sum.SMALLEST)
        m.d.comb += [dut.sum.eq(self.sum), dut.take.eq(self.take), dut.restart.eq(self.restart)]
        taken = Signal(range(self.count + 1))
        sums = [Signal(SUM_BITS, name=f"sum_{number}") for number in range(self.count)]
        with m.If(self.take & (taken != self.count)):
            m.d.sync += taken.eq(taken + 1)
        m.d.comb += given(~(self.take & (taken == self.count)))
        with m.If(self.restart):
            m.d.sync += taken.eq(0)
        best = Signal(SUM_BITS)
        for number, kept in enumerate(sums):
            with m.If(self.take & (taken == number)):
                m.d.sync += kept.eq(self.sum)
            with m.If(dut.index == number):
                m.d.comb += best.eq(kept)
        waits = Signal()  # the last sum has not had its effect
        m.d.sync += waits.eq(self.take)
        with m.If((taken != 0) & ~waits):
            m.d.comb += claim(dut.index < taken)
        for number, kept in enumerate(sums):
            with m.If((number < taken) & ~waits):
                m.d.comb += claim(
                    Mux(
                        number < dut.index,
                        kept.as_signed() < best.as_signed(),
                        kept.as_signed() <= best.as_signed(),
                    )
                )
