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
_ANOTHER = 0x5A
_QUIET_CYCLES = 6
"""How long after a byte the receiver may take to offer it."""


class ReceivesEveryByte(Harness):
    """A byte comes out unchanged, and nothing else does.

    Whatever byte it is; in whatever part of a clock cycle it begins; with bits that are all up to
    `MAX_BAUD_ERROR` too long, or too short; and with any of its edges late by `spare_cycles`, also
    that of the start bit, beside which the others are early then. These are the ends of what may
    be: when a bit is sampled, and when it begins and ends, is linear in all of them.

    divisor: clock cycles to a bit, a multiple of an eighth.
    after_another: the byte follows another one, at once or after a pause. Here only start bits may
        be late: what matters is when the receiver is ready for the second one.
    """

    slow: Signal
    within_cycle: Signal
    late: Signal
    start: Signal
    data: Signal

    def __init__(self, divisor: Fraction | int, *, after_another: bool) -> None:
        self._divisor = Fraction(divisor)
        self._bytes = 1 + after_another
        steps = self._divisor * STEPS
        error = Fraction(MAX_BAUD_ERROR)
        self._shortest = math.ceil(steps * (1 - error))
        self._longest = math.floor(steps * (1 + error))
        self._jitter = math.floor(spare_cycles(divisor, MAX_BAUD_ERROR) * STEPS) - 1
        super().__init__(
            {
                "slow": In(1),
                "within_cycle": In(2),
                "late": In(BITS_PER_BYTE + 1),
                "start": In(1),
                "data": In(8),
            }
        )

    @staticmethod
    def cycles(divisor: Fraction | int, *, after_another: bool) -> int:
        """Enough cycles for the bytes, as slow as may be, with a short pause."""
        line = (1 + after_another) * byte_cycles(divisor) * (1 + MAX_BAUD_ERROR)
        return math.ceil(line) + (1 + after_another) * _QUIET_CYCLES

    def claims(self, m: Module) -> None:
        """Drive the line, and compare what the receiver offers to a reader who always takes it."""
        m.submodules.dut = dut = uart.UartReceiver(self._divisor)
        m.d.comb += dut.bytes.ready.eq(1)
        hold(m, self.slow, self.within_cycle, self.late, self.data)
        length = Mux(self.slow, self._longest, self._shortest)
        passed = Array([0, STEPS // 3, 2 * STEPS // 3, STEPS - 1])[self.within_cycle]

        sending, bit = Signal(), Signal(range(BITS_PER_BYTE))
        number, edges = Signal(range(3)), Signal(range(BITS_PER_BYTE + 1))
        free = number == self._bytes - 1
        # Until the edge at the end of the bit would come if it were not late; below 0 if it is.
        left = Signal(range(-STEPS - self._jitter, self._longest + STEPS))
        expected, due = Signal(8), Signal()
        quiet = Signal(range(_QUIET_CYCLES + 1))

        byte = Mux(free, self.data, _ANOTHER)
        of_a_start = (edges == 0) | (edges == BITS_PER_BYTE)
        late = self.late.bit_select(edges, 1) & (of_a_start | (self._bytes == 1))
        jitter = Mux(late, self._jitter, 0)
        start = (number == 0) | (free & self.start)
        with m.If(sending):
            m.d.sync += left.eq(left - STEPS)
            with m.If(left - STEPS + jitter <= 0):
                m.d.sync += [left.eq(left - STEPS + length), bit.eq(bit + 1), edges.eq(edges + 1)]
                # By then the byte before this one has to be out.
                with m.If(bit == 1):
                    m.d.comb += claim(~due)
                    m.d.sync += [expected.eq(byte), due.eq(1)]
                with m.If(bit == _STOP):
                    m.d.sync += [bit.eq(0), edges.eq(1), number.eq(number + 1)]
                    m.d.sync += sending.eq(~free & self.start)
        with m.Elif(start):
            m.d.sync += [left.eq(length - passed - jitter), sending.eq(1), edges.eq(1)]
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
