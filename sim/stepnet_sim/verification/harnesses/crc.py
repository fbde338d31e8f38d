"""Amaranth's CRC processors against the definition, bit by bit.

After R. Williams, "A Painless Guide to CRC Error Detection Algorithms", 1993: the register is
shifted once per bit of the message, and where a 1 falls out the polynomial is subtracted.
"""

from amaranth.hdl import C, Module, Mux, Signal, Value
from amaranth.lib import crc  # pyright: ignore[reportAttributeAccessIssue] - not in the stubs
from amaranth.lib.crc.catalog import CRC16_IBM_3740, CRC32_ISO_HDLC
from amaranth.lib.wiring import In

from stepnet_sim.verification.formal import Harness, claim


def _crc16_register(byte: Value, register: Value) -> Value:
    """CRC-16/IBM-3740: most significant bit first, polynomial 0x1021."""
    register = (register ^ (byte << 8))[:16]
    for _ in range(8):
        register = ((register << 1) ^ Mux(register[15], C(0x1021, 16), 0))[:16]
    return register


def _crc32_register(byte: Value, register: Value) -> Value:
    """CRC-32/ISO-HDLC: least significant bit first, polynomial 0x04C11DB7 reversed."""
    register = register ^ byte
    for _ in range(8):
        register = (register >> 1) ^ Mux(register[0], C(0xEDB88320, 32), 0)
    return register


_DEFINITIONS = {
    16: (CRC16_IBM_3740, _crc16_register, 0, 0),
    32: (CRC32_ISO_HDLC, _crc32_register, 0xFFFFFFFF, 0xDEBB20E3),
}
"""For each width: the parameters of the CRC in use, the definition of one step, the number with
which the register is inverted at the output, and the register that is left by a message which ends
with its own CRC."""


class TakesAByte(Harness):
    """In any state, a byte changes `crc` as the definition says, and no byte leaves it as it is.

    In the cycles after the first, one bit of the result is compared per cycle: a solver decides 32
    sums modulo 2 one by one in no time, but not all of them together.

    bits: 16 or 32.
    """

    byte: Signal
    valid: Signal

    def __init__(self, bits: int) -> None:
        self.bits = bits
        super().__init__({"byte": In(8), "valid": In(1)})

    def claims(self, m: Module) -> None:
        """Follow `crc`, which is the register or its complement, by one step."""
        catalog, step, inverted, residue = _DEFINITIONS[self.bits]
        m.submodules.dut = dut = crc.Processor(catalog(data_width=8))
        register = dut.crc ^ inverted
        after = Signal(self.bits)
        started = Signal()
        bit = Signal(range(self.bits))
        m.d.comb += dut.data.eq(self.byte)
        with m.If(~started):
            m.d.comb += [
                dut.valid.eq(self.valid),
                claim(dut.match_detected == (register == residue)),
            ]
            m.d.sync += [
                started.eq(1),
                after.eq(Mux(self.valid, step(self.byte, register), register)),
            ]
        with m.Else():
            m.d.comb += claim(register.bit_select(bit, 1) == after.bit_select(bit, 1))
            m.d.sync += bit.eq(bit + 1)


class StartsAnew(Harness):
    """`start` takes the initial value 0xFFFF or 0xFFFFFFFF, and with `valid` the byte after it."""

    byte: Signal
    valid: Signal

    def __init__(self, bits: int) -> None:
        self.bits = bits
        super().__init__({"byte": In(8), "valid": In(1)})

    def claims(self, m: Module) -> None:
        """One step of a processor that always starts."""
        catalog, step, inverted, _ = _DEFINITIONS[self.bits]
        m.submodules.dut = dut = crc.Processor(catalog(data_width=8))
        m.d.comb += [dut.data.eq(self.byte), dut.valid.eq(self.valid), dut.start.eq(1)]
        ones = C((1 << self.bits) - 1, self.bits)
        after = Signal(self.bits)
        started = Signal()
        m.d.sync += [started.eq(1), after.eq(Mux(self.valid, step(self.byte, ones), ones))]
        with m.If(started):
            m.d.comb += claim(dut.crc ^ inverted == after)
