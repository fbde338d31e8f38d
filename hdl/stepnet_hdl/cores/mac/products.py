"""The multipliers: a weight of each lane times the activation that all of them share."""

from amaranth.hdl import C, Cat, ClockSignal, Instance, Module, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from stepnet_hdl.fpga.parts import part_of

WEIGHT_BITS = 8
ACTIVATION_BITS = 8
PRODUCT_BITS = 16


class Products(wiring.Component):
    """Multiplies in `lanes` lanes, `latency_cycles` from factors to products, new ones each cycle.

    A part with SB_MAC16 makes two products in each of those, with registers of its own. Elsewhere
    synthesis finds a multiplier for each lane, or makes one of LUTs.
    """

    latency_cycles = 2
    """Cycles from the factors to their products."""

    weights: Signal
    """`8 * lanes` bits, in: a signed weight for each lane, lane 0 lowest."""
    activation: Signal
    """8 bits, in: the unsigned factor of all lanes."""
    products: Signal
    """`16 * lanes` bits, out: the signed product of each lane."""

    def __init__(self, lanes: int) -> None:
        self.lanes = lanes
        super().__init__(
            {
                "weights": In(WEIGHT_BITS * lanes),
                "activation": In(ACTIVATION_BITS),
                "products": Out(PRODUCT_BITS * lanes),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        part = part_of(platform)
        if part is not None and part.name == "iCE40UP5K":
            for pair in range(self.lanes // 2):
                m.submodules[f"dsp_{pair}"] = two_products(
                    self.weights.word_select(pair, 2 * WEIGHT_BITS),
                    self.activation,
                    self.products.word_select(pair, 2 * PRODUCT_BITS),
                )
            return m
        activation = Signal(ACTIVATION_BITS, reset_less=True)
        m.d.sync += activation.eq(self.activation)
        for lane in range(self.lanes):
            weight = Signal(WEIGHT_BITS, name=f"weight_{lane}", reset_less=True)
            product = Signal(PRODUCT_BITS, name=f"product_{lane}", reset_less=True)
            m.d.sync += [
                weight.eq(self.weights.word_select(lane, WEIGHT_BITS)),
                product.eq(weight.as_signed() * activation),
            ]
            m.d.comb += self.products.word_select(lane, PRODUCT_BITS).eq(product)
        return m


def two_products(weights: Value, activation: Value, products: Value) -> Instance:
    """An SB_MAC16 as two multipliers of 8 x 8 bits, with a register behind the factors and one
    behind the products (Lattice FPGA-TN-02007).

    weights: 16 bits, two signed weights. activation: 8 bits, unsigned. products: 32 bits, out.
    """
    low = C(0, 1)
    return Instance(
        "SB_MAC16",
        p_A_REG=C(1, 1),
        p_B_REG=C(1, 1),
        p_TOP_8x8_MULT_REG=C(1, 1),
        p_BOT_8x8_MULT_REG=C(1, 1),
        p_TOPOUTPUT_SELECT=C(0b10, 2),  # the products themselves
        p_BOTOUTPUT_SELECT=C(0b10, 2),
        p_MODE_8x8=C(1, 1),
        p_A_SIGNED=C(1, 1),
        p_B_SIGNED=C(0, 1),
        i_CLK=ClockSignal(),
        i_CE=C(1, 1),
        i_A=weights,
        i_B=Cat(activation, activation),
        i_C=C(0, 16),
        i_D=C(0, 16),
        **{f"i_{letter}HOLD": low for letter in "ABCD"},
        **{f"i_{name}": low for name in _UNUSED},
        o_O=products,
    )


_UNUSED = (
    *("IRSTTOP", "IRSTBOT", "ORSTTOP", "ORSTBOT", "OLOADTOP", "OLOADBOT", "OHOLDTOP", "OHOLDBOT"),
    *("ADDSUBTOP", "ADDSUBBOT", "CI", "ACCUMCI", "SIGNEXTIN"),
)
"""Inputs of SB_MAC16's adders and resets, which stay 0."""
