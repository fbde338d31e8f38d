"""Bytes over four wires: SPI in mode 0, most significant bit first. The board is the peripheral."""

from amaranth.hdl import ClockDomain, ClockSignal, Module, Mux, ResetSignal, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.cdc import FFSynchronizer
from amaranth.lib.wiring import In, Out

from stepnet.link.spi_line import BITS_PER_BYTE, CYCLES_PER_BYTE, IDLE_BYTE


class SpiPeripheral(wiring.Component):
    """Takes the bytes of an SPI line and sends others at the same time, whenever its controller
    wants them.

    The line's clock is a clock domain of its own, as fast as it likes as long as a byte lasts at
    least `min_byte_cycles` cycles of the chip's clock. It needs no phase, no even pace, and may
    stop at any time. What passes between the two domains are whole bytes.

    A byte counts with its eighth rising edge, both ways. If the controller ends the transaction
    before, what it sent of that byte is forgotten, and the byte that it did not hear to its end is
    sent again in the next transaction, from its first bit. So transactions may begin and end
    anywhere, and a frame may go on in the next one. `selected` may not change within 10 ns of an
    edge of `sck`.

    An SPI line cannot wait. One byte is held for the reader of `received`, and a byte that comes
    while that is still unread is dropped. If there is nothing to send when a byte has to be chosen,
    which is one byte ahead, it is `IDLE_BYTE`. So what `to_send` offers is on the line after one or
    two bytes more, without a gap if each byte is offered within `min_byte_cycles` after the one
    before it was taken.
    """

    min_byte_cycles = CYCLES_PER_BYTE
    """The fewest cycles of the chip's clock from the eighth rising edge of a byte to that of the
    next."""

    latency_cycles = 3
    """The most cycles from the eighth rising edge of a byte to the offer of that byte, and to the
    choice of the byte that is sent after the next one; at least one fewer."""

    sck: Signal
    """1 bit, in: the line's clock, 0 when idle. Both ends take a bit with its rise and show the
    next one with its fall. It is asynchronous."""
    selected: Signal
    """1 bit, in: the controller speaks to this board. It is asynchronous."""
    copi: Signal
    """1 bit, in: controller out, peripheral in."""
    cipo: Signal
    """1 bit, out: controller in, peripheral out; its first bit is there before `selected` rises."""
    received: stream.Interface
    """Stream of 8 bits, out: the bytes that came."""
    to_send: stream.Interface
    """Stream of 8 bits, in: the bytes to send. One is taken when the line has room for it."""

    def __init__(self) -> None:
        super().__init__(
            {
                "sck": In(1),
                "selected": In(1),
                "copi": In(1),
                "cipo": Out(1),
                "received": Out(stream.Signature(8)),
                "to_send": In(stream.Signature(8)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()

        # Domains of their own for what forgets when the transaction ends, and for what does not.
        m.domains.rise = ClockDomain(reset_less=True, local=True)
        m.domains.fall = ClockDomain(reset_less=True, local=True, clk_edge="neg")
        m.domains.count_rises = ClockDomain(async_reset=True, local=True)
        m.domains.note_falls = ClockDomain(async_reset=True, local=True, clk_edge="neg")
        for domain in ("rise", "fall", "count_rises", "note_falls"):
            m.d.comb += ClockSignal(domain).eq(self.sck)
        for domain in ("count_rises", "note_falls"):
            m.d.comb += ResetSignal(domain).eq(~self.selected)

        # Two bytes to send: the one on the line, and the next. `turn` says which is on the line; it
        # changes with the last bit of a byte, and that is all that the chip has to hear of.
        turn = Signal()
        pair = Signal(2 * BITS_PER_BYTE, init=IDLE_BYTE << BITS_PER_BYTE | IDLE_BYTE)
        byte = self._follow_the_line(m, turn=turn, pair=pair)

        turn_here, turn_before = Signal(), Signal()
        m.submodules.synchronizer = FFSynchronizer(turn, turn_here)
        m.d.sync += turn_before.eq(turn_here)
        byte_is_over = turn_here != turn_before

        with m.If(self.received.ready):
            m.d.sync += self.received.valid.eq(0)
        m.d.comb += self.to_send.ready.eq(byte_is_over)
        with m.If(byte_is_over):
            with m.If(~self.received.valid | self.received.ready):
                m.d.sync += [self.received.p.eq(byte), self.received.valid.eq(1)]
            m.d.sync += pair.word_select(turn_before, BITS_PER_BYTE).eq(
                Mux(self.to_send.valid, self.to_send.p, IDLE_BYTE)
            )
        return m

    def _follow_the_line(self, m: Module, *, turn: Signal, pair: Signal) -> Signal:
        """Take bits with the rises of the line's clock, and show them with its falls.

        Returns the byte that came, which stays until the next one is whole.
        """
        bits = Signal(BITS_PER_BYTE - 1)
        byte = Signal(BITS_PER_BYTE)
        count = Signal(range(BITS_PER_BYTE))  # of bits of this byte that passed
        m.d.count_rises += count.eq(count + 1)
        m.d.rise += bits.eq((bits << 1) | self.copi)
        with m.If(count == BITS_PER_BYTE - 1):
            m.d.rise += [byte.eq((bits << 1) | self.copi), turn.eq(~turn)]

        # The first bit of a transaction comes before any edge.
        shown = pair.word_select(turn, BITS_PER_BYTE)
        later, has_fallen = Signal(), Signal()
        m.d.fall += later.eq(shown.bit_select(~count, 1))
        m.d.note_falls += has_fallen.eq(1)
        m.d.comb += self.cipo.eq(Mux(has_fallen, later, shown[-1]))
        return byte
