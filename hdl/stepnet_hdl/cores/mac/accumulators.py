"""The sums: one in each lane, and a second row of registers from which they are taken in turn."""

from amaranth.hdl import Module, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from stepnet.cores.mac.shape import SUM_BITS
from stepnet_hdl.cores.mac.products import PRODUCT_BITS


class Accumulators(wiring.Component):
    """Adds the products of each lane up. At the end of a group all sums move on into a shift
    register, which gives one of them in each cycle while the next group is added up.
    """

    products: Signal
    """`16 * lanes` bits, in: a signed product for each lane."""
    add: Signal
    """1 bit, in: add the products in this cycle."""
    capture: Signal
    """1 bit, in: the sums are whole; they move on, and new ones begin with 0. It never comes with
    `add`."""
    clear: Signal
    """1 bit, in: new sums begin with 0."""
    shift: Signal
    """1 bit, in: `sum` is that of the next lane from the next cycle on."""
    sum: Signal
    """24 bits, out: the signed sum of lane 0 in the cycle after `capture`, and of further lanes
    after each `shift`."""

    def __init__(self, lanes: int) -> None:
        self.lanes = lanes
        super().__init__(
            {
                "products": In(PRODUCT_BITS * lanes),
                "add": In(1),
                "capture": In(1),
                "clear": In(1),
                "shift": In(1),
                "sum": Out(SUM_BITS),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        waiting = [
            Signal(SUM_BITS, name=f"waiting_{lane}", reset_less=True) for lane in range(self.lanes)
        ]
        m.d.comb += self.sum.eq(waiting[0])
        for lane in range(self.lanes):
            total = Signal(SUM_BITS, name=f"total_{lane}", reset_less=True)
            product = self.products.word_select(lane, PRODUCT_BITS).as_signed()
            with m.If(self._begins()):
                m.d.sync += total.eq(0)
            with m.Elif(self.add):
                m.d.sync += total.eq(total + product)
            with m.If(self.capture):
                m.d.sync += waiting[lane].eq(total)
            with m.Elif(self.shift):
                m.d.sync += waiting[lane].eq(waiting[lane + 1] if lane + 1 < self.lanes else 0)
        return m

    def _begins(self) -> Value:
        """Whether new sums begin with 0."""
        return self.capture | self.clear
