"""The stages of the multiply-accumulate core against their formulas."""

from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib.wiring import In

from stepnet.cores.mac.program import Choice
from stepnet.cores.mac.shape import SUM_BITS
from stepnet.networks.relu import LARGEST_ACTIVATION, MULTIPLIER_BITS
from stepnet.networks.sigmoid import LARGEST_SHIFT, TABLE
from stepnet.networks.sigmoid import MULTIPLIER_BITS as SIGMOID_MULTIPLIER_BITS
from stepnet_hdl.blocks.delay import delayed
from stepnet_hdl.cores.mac import (
    accumulators,
    choice,
    largest_sum,
    products,
    requantiser,
    sigmoid,
)
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
    shift: Signal

    def __init__(self) -> None:
        super().__init__(
            {
                "sum": In(SUM_BITS),
                "multiplier": In(MULTIPLIER_BITS),
                "shift": In(requantiser.SHIFT_BITS),
            }
        )

    def claims(self, m: Module) -> None:
        """Compare from the cycle on in which the first sum is through."""
        m.submodules.dut = dut = requantiser.Requantiser()
        hold(m, self.multiplier, self.shift)
        # Of a shift by 32 nobody speaks.
        m.d.comb += given(self.shift != (1 << requantiser.SHIFT_BITS) - 1)
        m.d.comb += [
            dut.sum.eq(self.sum),
            dut.multiplier.eq(self.multiplier),
            dut.shift.eq(self.shift),
        ]
        bits = self.sum[:-1]
        half = MULTIPLIER_BITS // 2
        low, high = self.multiplier[:half], self.multiplier[half:]
        product = Mux(self.sum[-1], 0, bits * low + ((bits * high) << half))
        halfway = Value.cast(1) << self.shift
        scaled = Signal(requantiser.SCALED_BITS + 1)
        m.d.comb += scaled.eq((product + halfway) >> (self.shift + 1))
        answer = Mux(scaled > LARGEST_ACTIVATION, LARGEST_ACTIVATION, scaled)
        expected = delayed(m, answer[:8], dut.latency_cycles, "expected")
        through = Signal(range(dut.latency_cycles + 1))
        with m.If(through != dut.latency_cycles):
            m.d.sync += through.eq(through + 1)
        with m.Else():
            m.d.comb += claim(dut.activation == expected)


class LooksEverySumUp(Harness):
    """`activation` is `TABLE[clamp(128 + (m sum >> k), 0, 255)]` of the sum of `latency_cycles`
    before, for a sum per cycle, and for any m up to 2^15 and any k that stay.

    The harness multiplies by parts of m, as the block does; a simulation compares that with the
    product.
    """

    sum: Signal
    multiplier: Signal
    shift: Signal

    def __init__(self) -> None:
        super().__init__(
            {
                "sum": In(SUM_BITS),
                "multiplier": In(sigmoid.FACTOR_BITS),
                "shift": In(sigmoid.SHIFT_BITS),
            }
        )

    def claims(self, m: Module) -> None:
        """Compare from the cycle on in which the first sum is through."""
        m.submodules.dut = dut = sigmoid.Sigmoid()
        hold(m, self.multiplier, self.shift)
        m.d.comb += given(self.multiplier <= 1 << SIGMOID_MULTIPLIER_BITS)
        m.d.comb += given(self.shift <= LARGEST_SHIFT)
        m.d.comb += [
            dut.sum.eq(self.sum),
            dut.multiplier.eq(self.multiplier),
            dut.shift.eq(self.shift),
        ]
        product = Signal(signed(sigmoid.PRODUCT_BITS))
        parts = (
            (self.sum.as_signed() * self.multiplier[at : at + 4]) << at
            for at in range(0, sigmoid.FACTOR_BITS, 4)
        )
        m.d.comb += product.eq(sum(parts, Const(0)))
        place = Signal(signed(sigmoid.PRODUCT_BITS + 1))
        m.d.comb += place.eq((product >> self.shift) + len(TABLE) // 2)
        clamped = Mux(place < 0, 0, Mux(place >= len(TABLE), len(TABLE) - 1, place))
        answer = Array(TABLE.tolist())[clamped[:8]]
        expected = delayed(m, answer, dut.latency_cycles, "expected")
        through = Signal(range(dut.latency_cycles + 1))
        with m.If(through != dut.latency_cycles):
            m.d.sync += through.eq(through + 1)
        with m.Else():
            m.d.comb += claim(dut.activation == expected)


class ChoosesANumber(Harness):
    """`index` is, by `choice`, the bits that say which of seven sums since `restart` are not
    negative; or the leaf of the heap that they lead to; or what `LargestSum` says of them.
    """

    COUNT = 7

    sum: Signal
    take: Signal
    choice: Signal

    def __init__(self) -> None:
        super().__init__({"sum": In(SUM_BITS), "take": In(1), "choice": In(choice.CHOICE_BITS)})

    def claims(self, m: Module) -> None:
        """Keep all sums, and compute each number of them all at once."""
        m.submodules.dut = dut = choice.ChosenNumber(8)
        hold(m, self.choice)
        m.d.comb += given(self.choice <= max(Choice))
        m.d.comb += [dut.sum.eq(self.sum), dut.take.eq(self.take), dut.choice.eq(self.choice)]
        taken, waited = Signal(range(self.COUNT + 1)), Signal(range(dut.latency_cycles + 1))
        sums = [Signal(SUM_BITS, name=f"sum_{number}") for number in range(self.COUNT)]
        whole = taken == self.COUNT
        m.d.comb += given(~(self.take & whole))
        with m.If(self.take):
            m.d.sync += taken.eq(taken + 1)
            with m.Switch(taken):
                for number, kept in enumerate(sums):
                    with m.Case(number):
                        m.d.sync += kept.eq(self.sum)
        with m.If(whole & (waited != dut.latency_cycles)):
            m.d.sync += waited.eq(waited + 1)
        fires = Cat(~kept[-1] for kept in sums)
        second = Mux(fires[0], fires[2], fires[1])
        third = Array(fires[at] for at in range(3, 7))[Cat(second, fires[0])]
        m.submodules.largest = largest = largest_sum.LargestSum(8)
        m.d.comb += [largest.sum.eq(self.sum), largest.take.eq(self.take)]
        with m.If(whole & (waited == dut.latency_cycles)), m.Switch(self.choice):
            with m.Case(Choice.BITS):
                m.d.comb += claim(dut.index == fires)
            with m.Case(Choice.HEAP):
                m.d.comb += claim(dut.index == Cat(third, second, fires[0], 1))
            with m.Default():
                m.d.comb += claim(dut.index == largest.index)


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
