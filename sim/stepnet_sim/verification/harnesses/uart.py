"""The UART receiver behind a line whose rate is off and whose edges jitter."""

import math
from fractions import Fraction

from amaranth.hdl import Array, Cat, Module, Mux, Signal
from amaranth.lib.wiring import In

from stepnet.link.serial_line import BITS_PER_BYTE, MAX_BAUD_ERROR, byte_cycles, spare_cycles
from stepnet_hdl.link import uart
from stepnet_sim.verification.formal import Harness, claim, hold

STEPS = 100
"""How finely time is divided: the parts of a clock cycle."""

_STOP = BITS_PER_BYTE - 1
_EDGES = 2 * (BITS_PER_BYTE + 1)
_QUIET_CYCLES = 6
"""How long after a byte the receiver may take to offer it."""


class ReceivesEveryByte(Harness):
    """A byte comes out unchanged, and nothing else does; and so does the next one, after a pause or
    none.

    Whatever the bytes are; in whatever part of a clock cycle the first one begins, and in whatever
    cycle after it the second; with bits that are all up to `MAX_BAUD_ERROR` too long, or too short;
    and with any of the edges late by `spare_cycles`, also that of a start bit, beside which the
    others are early then. These are the ends of what may be: when a bit is sampled, and when it
    begins and ends, is linear in all of them.

    divisor: clock cycles to a bit, a multiple of an eighth.
    """

    slow: Signal
    within_cycle: Signal
    late: Signal
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
                "slow": In(1),
                "within_cycle": In(2),
                "late": In(_EDGES),
                "start": In(1),
                "data": In(16),
            }
        )

    @staticmethod
    def two_bytes_cycles(divisor: Fraction | int) -> int:
        """Enough cycles for two bytes with a short pause, each as slow as may be."""
        return math.ceil(2 * byte_cycles(divisor) * (1 + MAX_BAUD_ERROR)) + 2 * _QUIET_CYCLES

    def claims(self, m: Module) -> None:
        """Drive the line, and compare what the receiver offers to a reader who always takes it."""
        m.submodules.dut = dut = uart.UartReceiver(self._divisor)
        m.d.comb += dut.bytes.ready.eq(1)
        hold(m, self.slow, self.within_cycle, self.late, self.data)
        length = Mux(self.slow, self._longest, self._shortest)
        passed = Array([0, STEPS // 3, 2 * STEPS // 3, STEPS - 1])[self.within_cycle]

        sending, bit = Signal(), Signal(range(BITS_PER_BYTE))
        number, edges = Signal(range(3)), Signal(range(_EDGES))
        # Until the edge at the end of the bit would come if it were not late; below 0 if it is.
        left = Signal(range(-STEPS - self._jitter, self._longest + STEPS))
        expected, due = Signal(8), Signal()
        quiet = Signal(range(_QUIET_CYCLES + 1))

        byte = self.data.word_select(number[0], 8)
        jitter = Mux(self.late.bit_select(edges, 1), self._jitter, 0)
        start = (number == 0) | ((number == 1) & self.start)
        with m.If(sending):
            m.d.sync += left.eq(left - STEPS)
            with m.If(left - STEPS + jitter <= 0):
                m.d.sync += [left.eq(left - STEPS + length), bit.eq(bit + 1), edges.eq(edges + 1)]
                # By then the byte before this one has to be out.
                with m.If(bit == 1):
                    m.d.comb += claim(~due)
                    m.d.sync += [expected.eq(byte), due.eq(1)]
                with m.If(bit == _STOP):
                    m.d.sync += [bit.eq(0), number.eq(number + 1)]
                    m.d.sync += sending.eq((number == 0) & self.start)
        with m.Elif(start):
            m.d.sync += [left.eq(length - passed - jitter), sending.eq(1), edges.eq(edges + 1)]
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
