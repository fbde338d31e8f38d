"""Consistent Overhead Byte Stuffing: frames without zeros, closed by a zero.

A frame is cut into blocks at its zeros. Each block becomes a code byte, one more than the number of
its bytes, and the bytes themselves; the code says where the next zero was. A block of 254 bytes
(code 0xFF) ends without a zero. After S. Cheshire and M. Baker, "Consistent Overhead Byte
Stuffing", IEEE/ACM Transactions on Networking 7(2), 1999.
"""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, memory, stream, wiring
from amaranth.lib.wiring import In, Out

from stepnet_hdl.blocks.streams import PacketByte

Token = data.StructLayout({"data": 8, "end": 1, "broken": 1})
"""One decoded byte; or, with `end`, the end of a frame, which is `broken` if its closing zero cut a
block short."""

FULL_BLOCK_CODE = 0xFF
"""The code byte of a block of 254 bytes, which ends without a zero."""

MAX_PACKET_BYTES = 254
"""Longest packet that the encoder takes: with its code byte and the closing zero it fills the
buffer, and it is at most one block of code 0xFF."""


class CobsDecoder(wiring.Component):
    """Turns the bytes of frames into tokens: takes a byte per cycle, and gives its token
    `latency_cycles` later.

    Every byte gives at most one token, because the zero between two blocks is given when the next
    code arrives. Zeros that follow a closing zero give no token.
    """

    latency_cycles = 1
    """Cycles from taking a byte to the offer of its token."""

    bytes: stream.Interface
    """Stream of 8 bits, in: what came over the wire."""
    tokens: stream.Interface
    """Stream of `Token`, out: the decoded bytes of each frame, and its end."""

    def __init__(self) -> None:
        super().__init__({"bytes": In(stream.Signature(8)), "tokens": Out(stream.Signature(Token))})

    def elaborate(self, platform: object) -> Module:
        m = Module()

        byte = self.bytes.p
        token = self.tokens.p
        block_left = Signal(8)
        at_code = Signal(init=1)  # `block_left` is 0; a register, because much hangs on it
        in_frame = Signal()
        zero_is_due = Signal()  # the block before the next code ends in a zero

        closes = byte == 0
        m.d.comb += self.bytes.ready.eq(~self.tokens.valid | self.tokens.ready)
        with m.If(self.bytes.ready):
            m.d.sync += self.tokens.valid.eq(0)
            with m.If(self.bytes.valid):
                m.d.sync += [
                    token.data.eq(Mux(at_code, 0, byte)),
                    token.end.eq(closes),
                    token.broken.eq(~at_code),
                    self.tokens.valid.eq(Mux(closes, in_frame, ~at_code | zero_is_due)),
                    in_frame.eq(~closes),
                    block_left.eq(Mux(closes, 0, Mux(at_code, byte, block_left) - 1)),
                    at_code.eq(closes | Mux(at_code, byte == 1, block_left == 1)),
                ]
                with m.If(closes):
                    m.d.sync += zero_is_due.eq(0)
                with m.Elif(at_code):
                    m.d.sync += zero_is_due.eq(byte != FULL_BLOCK_CODE)
        return m


class CobsEncoder(wiring.Component):
    """Turns packets of 1 to `MAX_PACKET_BYTES` bytes into frames, the closing zero included.

    A packet is gathered in one 256 x 8 block RAM, where each code is written once its block is
    complete. It takes a byte per cycle. The first byte of the frame is offered `latency_cycles`
    after the packet's last one was taken, and the others every `byte_cycles`. The next packet is
    taken from the cycle after the closing zero was.
    """

    latency_cycles = 5
    """Cycles from taking the last byte of a packet to the offer of the first byte of its frame."""

    byte_cycles = 3
    """Cycles from one byte of a frame to the next, if each is taken at once."""

    packets: stream.Interface
    """Stream of `PacketByte`, in: packets of 1 to `MAX_PACKET_BYTES` bytes; a longer one gives a
    broken frame."""
    bytes: stream.Interface
    """Stream of 8 bits, out: what goes over the wire."""

    def __init__(self) -> None:
        super().__init__(
            {"packets": In(stream.Signature(PacketByte)), "bytes": Out(stream.Signature(8))}
        )

    def elaborate(self, platform: object) -> Module:
        """Gather a packet, then send it. It is one function because both halves share the memory
        and the registers that point into it."""
        m = Module()

        # Like the storage of a `PacketBuffer`: no word is read in the cycle in which it is written.
        m.submodules.buffer = buffer = memory.Memory(
            shape=8, depth=256, init=[], attrs={"no_rw_check": "1"}
        )
        # A cycle after it is decided, because a block RAM may be far away.
        write_port = buffer.write_port()
        write_enable = Signal()
        write_address, write_data = Signal(8), Signal(8)
        m.d.sync += [
            write_port.en.eq(write_enable),
            write_port.addr.eq(write_address),
            write_port.data.eq(write_data),
        ]
        read_port = buffer.read_port(domain="comb")

        end = Signal(8, init=1)  # where the next byte goes
        # Where the code of the block in progress goes; a cycle late after a zero, because it comes
        # from far.
        code_at, settled_code_at, zero_at = Signal(8), Signal(8), Signal(8)
        after_zero = Signal()
        m.d.comb += code_at.eq(Mux(after_zero, zero_at, settled_code_at))
        m.d.sync += [settled_code_at.eq(code_at), zero_at.eq(end), after_zero.eq(0)]
        code = Signal(8, init=1)
        position = Signal(8)  # of the byte to send
        is_last = Signal()  # that is the closing zero
        m.d.sync += is_last.eq(position == end)

        m.d.comb += [
            write_address.eq(code_at),
            write_data.eq(code),
            read_port.addr.eq(position),
        ]
        # Two registers, which an ECP5 has inside its block RAM: it is slow without the second one.
        fetched, offered = Signal(8, reset_less=True), Signal(8, reset_less=True)
        m.d.sync += offered.eq(fetched)
        m.d.comb += self.bytes.p.eq(offered)
        with m.FSM():
            with m.State("GATHER"):
                m.d.comb += self.packets.ready.eq(1)
                with m.If(self.packets.valid):
                    m.d.comb += write_enable.eq(1)
                    m.d.sync += end.eq(end + 1)
                    with m.If(self.packets.p.data == 0):
                        m.d.sync += [after_zero.eq(1), code.eq(1)]
                    with m.Else():
                        m.d.comb += [
                            write_address.eq(end),
                            write_data.eq(self.packets.p.data),
                        ]
                        m.d.sync += code.eq(code + 1)
                    with m.If(self.packets.p.last):
                        m.next = "LAST_CODE"
            with m.State("LAST_CODE"):
                m.d.comb += write_enable.eq(1)
                m.d.sync += [settled_code_at.eq(end), code.eq(0)]
                m.next = "CLOSE"
            with m.State("CLOSE"):
                # The closing zero is written like one more code.
                m.d.comb += write_enable.eq(1)
                m.next = "FETCH"
            with m.State("FETCH"):
                m.d.sync += fetched.eq(read_port.data)
                m.next = "TAKE"
            with m.State("TAKE"):
                m.d.sync += [settled_code_at.eq(0), code.eq(1)]
                m.next = "OFFER"
            with m.State("OFFER"):
                m.d.comb += self.bytes.valid.eq(1)
                with m.If(self.bytes.ready):
                    m.d.sync += position.eq(position + 1)
                    m.next = "FETCH"
                    with m.If(is_last):
                        m.d.sync += [position.eq(0), end.eq(1)]
                        m.next = "GATHER"
        return m
