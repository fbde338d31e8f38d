"""COBS decoder and encoder against the definition of the code.

The definition is written over positions, not as a state machine: position 0 of a frame holds a
code, and every code says how far the next one is.
"""

from functools import reduce
from operator import or_

from amaranth.hdl import Array, C, Module, Mux, Signal, Value
from amaranth.lib.wiring import In

from stepnet_hdl.link import cobs
from stepnet_sim.verification.formal import Harness, claim, given, hold


def stuffed(packet: list[Value], size: Value) -> list[Value]:
    """The frame of the first `size` bytes of `packet`, of at most 253; its first `size + 2` bytes
    count.

    Position 0, and each position in which the packet has a zero, hold the distance to the next
    zero; the end of the packet counts as one.
    """
    is_zero = [C(1), *((byte == 0) | (at >= size) for at, byte in enumerate(packet)), C(1)]
    frame: list[Value] = []
    for at in range(len(packet) + 1):
        distance: Value = C(len(packet) + 1 - at)
        for further in reversed(range(at + 1, len(packet) + 1)):
            distance = Mux(is_zero[further], further - at, distance)
        frame.append(distance if at == 0 else Mux(is_zero[at], distance, packet[at - 1]))
    frame.append(C(0, 8))
    return [Mux(size + 1 == at, 0, byte) for at, byte in enumerate(frame)]


class _Feeds(Harness):
    """Sends a closing zero and then bytes to a decoder in any state; follows the tokens.

    Byte and reader pause as the solver likes. Of what was in the decoder before, at most one token
    may come out after the zero was taken, and is left out.
    """

    offer: Signal
    ready: Signal
    _dut: cobs.CobsDecoder

    def _feed(self, m: Module, frame: list[Value], length: Value) -> tuple[Value, Value, Value]:
        """The number of the frame's next token; whether it is taken in this cycle; and whether all
        bytes are in and no token is left.
        """
        m.submodules.dut = dut = self._dut = cobs.CobsDecoder()
        synchronised = Signal()
        flushed = Signal()
        sent = Signal(range(len(frame) + 1))
        received = Signal(range(len(frame) + 1))
        all_sent = sent == length
        m.d.comb += [
            dut.bytes.p.eq(Mux(synchronised, Array(frame)[sent], 0)),
            dut.bytes.valid.eq(self.offer & ~all_sent),
            dut.tokens.ready.eq(self.ready),
        ]
        with m.If(dut.bytes.valid & dut.bytes.ready):
            m.d.sync += synchronised.eq(1)
            with m.If(synchronised):
                m.d.sync += sent.eq(sent + 1)
        is_old = ~flushed & (sent == 0)
        with m.If(synchronised & (self.ready | ~dut.tokens.valid)):
            m.d.sync += flushed.eq(1)
        taken = synchronised & dut.tokens.valid & self.ready & ~is_old
        with m.If(taken):
            m.d.sync += received.eq(received + 1)
        return received, taken, synchronised & all_sent & ~dut.tokens.valid


class DecodesEveryPacket(_Feeds):
    """decode(encode(packet)) is the packet, for every packet of up to `max_bytes`."""

    packet: Signal
    size: Signal
    offer: Signal
    ready: Signal

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        super().__init__(
            {
                "packet": In(8 * max_bytes),
                "size": In(range(max_bytes + 1)),
                "offer": In(1),
                "ready": In(1),
            }
        )

    def claims(self, m: Module) -> None:
        """The tokens are the packet's bytes and one sound end, no fewer and no more."""
        hold(m, self.packet, self.size)
        m.d.comb += given(self.size <= self._max_bytes)
        packet: list[Value] = [self.packet.word_select(at, 8) for at in range(self._max_bytes)]
        received, taken, over = self._feed(m, stuffed(packet, self.size), self.size + 2)
        token = self._dut.tokens.p
        with m.If(taken & (received == self.size)):
            m.d.comb += [claim(token.end), claim(~token.broken)]
        with m.Elif(taken):
            m.d.comb += [
                claim(received < self.size),
                claim(~token.end),
                claim(token.data == Array(packet)[received]),
            ]
        with m.If(over):
            m.d.comb += claim(received == self.size + 1)


class DecodesEveryString(_Feeds):
    """Any `length` bytes without a zero, and a zero: what they hold, and whether they are broken.

    A byte is a code if the code before it says so. A code gives a zero, but the first one gives
    nothing; any other byte gives itself; and the frame is broken if the closing zero is not where a
    code would be. Codes that reach beyond the string are all alike, so that length + 1 stands for
    those up to 255.
    """

    string: Signal
    offer: Signal
    ready: Signal

    def __init__(self, length: int) -> None:
        self._length = length
        super().__init__({"string": In(8 * length), "offer": In(1), "ready": In(1)})

    def claims(self, m: Module) -> None:
        """Token k belongs to byte k + 1, and the last one to the closing zero."""
        hold(m, self.string)
        string: list[Value] = [self.string.word_select(at, 8) for at in range(self._length)]
        m.d.comb += [given(byte != 0) for byte in string]
        is_code: list[Value] = [C(1)]
        for at in range(1, self._length + 1):
            is_code.append(
                reduce(or_, (is_code[code] & (string[code] == at - code) for code in range(at)))
            )
        received, taken, over = self._feed(m, [*string, C(0, 8)], C(self._length + 1))
        token = self._dut.tokens.p
        data = Array(
            [Mux(code, 0, byte) for code, byte in zip(is_code[1:], string[1:], strict=False)]
        )
        with m.If(taken & (received == self._length - 1)):
            m.d.comb += [claim(token.end), claim(token.broken == ~is_code[self._length])]
        with m.Elif(taken):
            m.d.comb += [
                claim(received < self._length - 1),
                claim(~token.end),
                claim(token.data == data[received]),
            ]
        with m.If(over):
            m.d.comb += claim(received == self._length)


class DecodesFullBlocks(Harness):
    """A packet of `size` bytes other than zero, 253 to 507: a block of 254 ends without a zero.

    A byte is taken in every cycle, and the token to it is there in the next.
    """

    FULL_BLOCK = 254

    content: Signal

    def __init__(self, size: int) -> None:
        self._size = size
        super().__init__({"content": In(8)})

    def claims(self, m: Module) -> None:
        """One or two blocks; the second one's code gives nothing."""
        m.d.comb += given(self.content != 0)
        m.submodules.dut = dut = cobs.CobsDecoder()
        first = min(self._size, self.FULL_BLOCK)
        second = self._size - first
        codes = {0: first + 1, 1 + first: second + 1} if second else {0: first + 1}
        closing = self._size + len(codes)
        position = Signal(range(closing + 2))
        m.d.comb += [dut.tokens.ready.eq(1), dut.bytes.valid.eq(1), claim(dut.bytes.ready)]
        gives_content = Signal()
        gives_end = Signal()
        content = Signal(8)
        m.d.sync += [
            content.eq(self.content),
            gives_content.eq(0),
            gives_end.eq(position == closing),
        ]
        with m.Switch(position):
            for at, code in codes.items():
                with m.Case(at):
                    m.d.comb += dut.bytes.p.eq(code)
            with m.Case(closing, closing + 1):
                m.d.comb += dut.bytes.p.eq(0)
            with m.Default():
                m.d.comb += dut.bytes.p.eq(self.content)
                m.d.sync += gives_content.eq(1)
        with m.If(position <= closing):
            m.d.sync += position.eq(position + 1)
        m.d.comb += claim(dut.tokens.valid == (gives_content | gives_end))
        with m.If(gives_content):
            m.d.comb += [claim(dut.tokens.p.data == content), claim(~dut.tokens.p.end)]
        with m.If(gives_end):
            m.d.comb += [claim(dut.tokens.p.end), claim(~dut.tokens.p.broken)]


class EncodesEveryPacket(Harness):
    """The encoder's bytes are the frame, for every packet of 1 to `max_bytes`."""

    packet: Signal
    size: Signal
    offer: Signal
    ready: Signal

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        super().__init__(
            {
                "packet": In(8 * max_bytes),
                "size": In(range(max_bytes + 1)),
                "offer": In(1),
                "ready": In(1),
            }
        )

    def claims(self, m: Module) -> None:
        """The bytes that come are those of the frame, in order."""
        hold(m, self.packet, self.size)
        m.d.comb += [given(self.size >= 1), given(self.size <= self._max_bytes)]
        m.submodules.dut = dut = cobs.CobsEncoder()
        packet: list[Value] = [self.packet.word_select(at, 8) for at in range(self._max_bytes)]
        frame = stuffed(packet, self.size)
        sent = Signal(range(len(frame) + 1))
        received = Signal(range(len(frame) + 1))
        m.d.comb += [
            dut.packets.p.data.eq(Array(packet)[sent]),
            dut.packets.p.last.eq(sent + 1 == self.size),
            dut.packets.valid.eq(self.offer & (sent != self.size)),
            dut.bytes.ready.eq(self.ready),
        ]
        with m.If(dut.packets.valid & dut.packets.ready):
            m.d.sync += sent.eq(sent + 1)
        with m.If(dut.bytes.valid):
            m.d.comb += [
                claim(received < self.size + 2),
                claim(dut.bytes.p == Array(frame)[received]),
            ]
            with m.If(self.ready):
                m.d.sync += received.eq(received + 1)
