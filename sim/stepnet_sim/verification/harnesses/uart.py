"""The UART receiver behind a line whose rate is off and whose edges jitter."""

import math
from fractions import Fraction

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib.wiring import In

from stepnet.link.serial_line import BITS_PER_BYTE, MAX_BAUD_ERROR, byte_cycles, spare_cycles
from stepnet_hdl.link import uart
from stepnet_sim.verification.formal import Harness, claim, given, hold

STEPS = 100
"""How finely time is divided: the parts of a clock cycle."""

_STOP = BITS_PER_BYTE - 1
_QUIET_CYCLES = 6
"""How long after a byte the receiver may take to offer it."""


class ReceivesEveryByte(Harness):
    """Every byte of a line comes out unchanged, and nothing else does, whatever the bytes are, the
    moments in which they begin, and the pauses between them.

    A bit may be up to `MAX_BAUD_ERROR` too long or too short, the same all the time. Beyond that
    each edge comes late by nothing or by `spare_cycles`, as the solver likes; that of a start bit
    too, beside which the others are early then. What lies between makes no difference: it is less
    than a cycle, so that the receiver sees the edge in one of the same two.

    divisor: clock cycles to a bit, a multiple of an eighth.
    """

    length: Signal
    late: Signal
    within_cycle: Signal
    start: Signal
    data: Signal

    def __init__(self, divisor: Fraction | int) -> None:
        self._divisor = Fraction(divisor)
        steps = self._divisor * STEPS
        error = Fraction(MAX_BAUD_ERROR)
        self._shortest = math.ceil(steps * (1 - error))
        self._longest = math.floor(steps * (1 + error))
        self._jitter = math.floor(spare_cycles(divisor, MAX_BAUD_ERROR) * STEPS) - 1
        super().__init__(
            {
                "length": In(range(self._longest + 1)),
                "late": In(1),
                "within_cycle": In(range(STEPS)),
                "start": In(1),
                "data": In(8),
            }
        )

    @staticmethod
    def two_bytes_cycles(divisor: Fraction | int) -> int:
        """Enough cycles for two bytes without a pause, each as slow as may be."""
        return math.ceil(2 * byte_cycles(divisor) * (1 + MAX_BAUD_ERROR)) + _QUIET_CYCLES

    def claims(self, m: Module) -> None:
        """Drive the line, and compare what the receiver offers to a reader who always takes it."""
        m.submodules.dut = dut = uart.UartReceiver(self._divisor)
        m.d.comb += [
            given((self.length >= self._shortest) & (self.length <= self._longest)),
            given(self.within_cycle < STEPS),
            dut.bytes.ready.eq(1),
        ]
        hold(m, self.length)

        sending, bit, byte = Signal(), Signal(range(BITS_PER_BYTE)), Signal(8)
        # Until the edge at the end of the bit would come without jitter; below 0 if it is late.
        left = Signal(range(-STEPS - self._jitter, self._longest + STEPS))
        expected, due = Signal(8), Signal()
        quiet = Signal(range(_QUIET_CYCLES + 1))

        jitter = Mux(self.late, self._jitter, 0)
        edge = sending & (left - STEPS + jitter <= 0)
        with m.If(sending):
            m.d.sync += left.eq(left - STEPS)
            with m.If(edge):
                m.d.sync += [left.eq(left - STEPS + self.length), bit.eq(bit + 1)]
                # By then the byte before this one has to be out.
                with m.If(bit == 1):
                    m.d.comb += claim(~due)
                    m.d.sync += [expected.eq(byte), due.eq(1)]
                with m.If(bit == _STOP):
                    m.d.sync += [bit.eq(0), sending.eq(self.start), byte.eq(self.data)]
        with m.Elif(self.start):
            passed = self.within_cycle + jitter
            m.d.sync += [left.eq(self.length - passed), sending.eq(1), bit.eq(0)]
            m.d.sync += byte.eq(self.data)
        levels = Cat(0, byte, 1)
        m.d.comb += dut.rx.eq(Mux(sending, levels.bit_select(bit, 1), 1))

        with m.If(dut.bytes.valid):
            m.d.comb += claim(due & (dut.bytes.p == expected))
            m.d.sync += due.eq(0)
        with m.If(sending):
            m.d.sync += quiet.eq(0)
        with m.Elif(quiet != _QUIET_CYCLES):
            m.d.sync += quiet.eq(quiet + 1)
        with m.Else():
            m.d.comb += claim(~due)
