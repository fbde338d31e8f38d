"""Bytes over two wires: 8 data bits, least significant first, no parity, one stop bit."""

import itertools
from collections.abc import Sequence
from fractions import Fraction

from amaranth.hdl import Array, C, Cat, Module, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.cdc import FFSynchronizer
from amaranth.lib.wiring import In, Out

from stepnet.link.serial_line import BITS_PER_BYTE, edge_cycles, sample_cycles

_DATA_BITS = 8


class UartReceiver(wiring.Component):
    """Takes bytes from a serial line of `divisor` (at least 3) clock cycles per bit on average.

    Every bit is sampled at its middle, in the cycles that `sample_cycles` says, and the start bit
    has to be low there as well. A byte whose stop bit is 0 is dropped, and the next start bit is
    looked for once the line is 1 again.

    A serial line cannot wait: one byte is held for the reader, and a byte that arrives while the
    one before it is still unread is dropped. A byte is offered `latency_cycles`, some 9.5 bit times
    and 3, after `rx` falls for its start bit.

    divisor: a multiple of an eighth.
    """

    rx: Signal
    """1 bit, in: the serial line, 1 when idle. It is asynchronous, and synchronised by two
    flip-flops."""
    bytes: stream.Interface
    """Stream of 8 bits, out: the bytes received."""

    def __init__(self, divisor: Fraction | int) -> None:
        self.divisor = divisor
        super().__init__({"rx": In(1), "bytes": Out(stream.Signature(8))})

    @property
    def latency_cycles(self) -> int:
        """Cycles from the fall of `rx` for a start bit to the offer of its byte."""
        return self._samples[-1] + 3

    @property
    def _samples(self) -> list[int]:
        return sample_cycles(self.divisor)

    def elaborate(self, platform: object) -> Module:
        m = Module()

        line = Signal(init=1)
        m.submodules.synchronizer = FFSynchronizer(self.rx, line, init=1)

        first, *later = _intervals([0, *self._samples])
        timer = Signal(range(max(later)))
        sample = timer == 0
        bits = Signal(_DATA_BITS)
        bits_left = Signal(range(_DATA_BITS))

        to_first_bit, *to_next = later
        m.d.sync += timer.eq(timer - 1)
        with m.If(sample):
            m.d.sync += timer.eq(_chosen(to_next[::-1], bits_left) - 1)

        with m.If(self.bytes.ready):
            m.d.sync += self.bytes.valid.eq(0)

        with m.FSM():
            with m.State("IDLE"):
                m.d.sync += timer.eq(first - 1)
                with m.If(~line):
                    m.next = "START"
            with m.State("START"):
                m.d.sync += bits_left.eq(_DATA_BITS - 1)
                with m.If(sample):
                    m.d.sync += timer.eq(to_first_bit - 1)
                    with m.If(line):
                        m.next = "IDLE"
                    with m.Else():
                        m.next = "DATA"
            with m.State("DATA"), m.If(sample):
                m.d.sync += [bits.eq(Cat(bits[1:], line)), bits_left.eq(bits_left - 1)]
                with m.If(bits_left == 0):
                    m.next = "STOP"
            with m.State("STOP"), m.If(sample):
                with m.If(line & (~self.bytes.valid | self.bytes.ready)):
                    m.d.sync += [self.bytes.p.eq(bits), self.bytes.valid.eq(1)]
                # A fast host's next start bit may be near: wait only for a line that is still low.
                with m.If(line):
                    m.next = "IDLE"
                with m.Else():
                    m.next = "RELEASE"
            with m.State("RELEASE"), m.If(line):
                m.next = "IDLE"
        return m


class UartTransmitter(wiring.Component):
    """Sends bytes on a serial line of `divisor` (at least 3) clock cycles per bit on average.

    The start bit appears `latency_cycles` after the transfer of a byte, and a byte takes
    `byte_cycles`. Its edges come when `edge_cycles` says.

    divisor: a multiple of an eighth.
    """

    latency_cycles = 1
    """Cycles from the transfer of a byte to its start bit."""

    bytes: stream.Interface
    """Stream of 8 bits, in: the bytes to send."""
    tx: Signal
    """1 bit, out: the serial line, 1 when idle, straight from a flip-flop."""

    def __init__(self, divisor: Fraction | int) -> None:
        self.divisor = divisor
        super().__init__({"bytes": In(stream.Signature(8)), "tx": Out(1)})

    @property
    def byte_cycles(self) -> int:
        """Cycles from the transfer of a byte until the next can be transferred."""
        return edge_cycles(self.divisor)[-1] + 1

    def elaborate(self, platform: object) -> Module:
        m = Module()

        lengths = _intervals(edge_cycles(self.divisor))
        timer = Signal(range(max(lengths)))
        bits = Signal(BITS_PER_BYTE, init=-1)
        bits_left = Signal(range(BITS_PER_BYTE + 1))
        # By how many bits are left, the one on the line among them: how long the next one lasts.
        after = [lengths[0], lengths[0], *lengths[:0:-1]]

        m.d.comb += [self.tx.eq(bits[0]), self.bytes.ready.eq(bits_left == 0)]
        with m.If(self.bytes.ready):
            m.d.sync += timer.eq(lengths[0] - 1)
            with m.If(self.bytes.valid):
                m.d.sync += [
                    bits.eq(Cat(C(0, 1), self.bytes.p, C(1, 1))),
                    bits_left.eq(BITS_PER_BYTE),
                ]
        with m.Else():
            m.d.sync += timer.eq(timer - 1)
            with m.If(timer == 0):
                m.d.sync += [
                    timer.eq(_chosen(after, bits_left) - 1),
                    bits.eq(Cat(bits[1:], C(1, 1))),
                    bits_left.eq(bits_left - 1),
                ]
        return m


def _intervals(cycles: Sequence[int]) -> list[int]:
    """From each number to the next one."""
    return [after - before for before, after in itertools.pairwise(cycles)]


def _chosen(lengths: Sequence[int], number: Signal) -> Value:
    """The length of this number; a constant if all are the same."""
    return Value.cast(lengths[0] if len(set(lengths)) == 1 else Array(lengths)[number])
