"""Receives and sends frames: COBS and a CRC-16 around a message, as in `stepnet.link.frames`."""

from typing import Any

from amaranth.hdl import Module, ResetInserter, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.crc import Processor
from amaranth.lib.crc.catalog import CRC16_IBM_3740
from amaranth.lib.wiring import In, Out

from stepnet_hdl.blocks.streams import PacketByte
from stepnet_hdl.link.cobs import CobsDecoder, CobsEncoder
from stepnet_hdl.link.coded_images import CodedImages
from stepnet_hdl.link.packet_buffer import FrameByte, PacketBuffer, check_buffer_bytes


class FrameReceiver(wiring.Component):
    """Checks frames and offers the payloads of the good ones as packets.

    Frames wait in a `PacketBuffer`. Those that are broken, too short or too long for it are dropped
    whole and counted, and nothing of them is ever offered as a packet.

    `bytes` takes a byte per cycle but waits `good_frame_cycles` after a good frame and
    `broken_frame_cycles` after a broken one, before the second byte of the next; it never waits for
    `packets`. The first byte of a packet is offered `latency_cycles` after the closing zero was
    taken, further ones every cycle, with `packet_gap_cycles` between packets.

    buffer_bytes: size of that buffer. Raises BuildError if it is not in
        `packet_buffer.BUFFER_BYTES`.
    coded_images: each INFER_CODED becomes an INFER before it reaches the buffer. Then `bytes` waits
        for up to `CodedImages.byte_cycles` from one byte of a coded image to the next.
    """

    latency_cycles = 9
    """Cycles from taking the closing zero of a frame to the offer of the first byte of its packet.
    """

    packet_gap_cycles = 2
    """Cycles between packets that wait, if each byte is taken at once."""

    good_frame_cycles = 3
    """Cycles that `bytes` waits after a good frame."""

    broken_frame_cycles = 1
    """Cycles that `bytes` waits after a broken frame."""

    bytes: stream.Interface
    """Stream of 8 bits, in: what came over the wire."""
    packets: stream.Interface
    """Stream of `PacketByte`, out: the payloads of good frames, at least as long as a message's
    header, in order."""
    bytes_after: Signal
    """16 bits, out: how many bytes of the packet follow the one that is offered."""
    dropped_frames: Signal
    """8 bits, out: how many frames have been dropped since reset, modulo 256."""
    image_bytes: Signal
    """16 bits, in: how many bytes an image has; a port with `coded_images` only."""
    byte: data.View
    """`FrameByte`, out: the byte that is offered to the receive buffer."""
    byte_taken: Signal
    """1 bit, out: the receive buffer takes `byte` in this cycle."""
    dropped: Signal
    """1 bit, out: 1 for one cycle, after the end of a frame that is dropped was taken."""
    empty: Signal
    """1 bit, out: no whole packet waits in the receive buffer; a part of one may."""

    def __init__(self, buffer_bytes: int, *, coded_images: bool = False) -> None:
        check_buffer_bytes(buffer_bytes)
        self.buffer_bytes = buffer_bytes
        self.coded_images = coded_images
        super().__init__(
            {
                "bytes": In(stream.Signature(8)),
                "packets": Out(stream.Signature(PacketByte)),
                "bytes_after": Out(16),
                "dropped_frames": Out(8),
                **({"image_bytes": In(16)} if coded_images else {}),
                "byte": Out(FrameByte),
                "byte_taken": Out(1),
                "dropped": Out(1),
                "empty": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()

        m.submodules.decoder = decoder = CobsDecoder()
        m.submodules.buffer = buffer = PacketBuffer(self.buffer_bytes)
        wiring.connect(m, wiring.flipped(self.bytes), decoder.bytes)
        wiring.connect(m, buffer.packets, wiring.flipped(self.packets))

        frames = buffer.frames
        if self.coded_images:
            m.submodules.coded_images = coded_images = CodedImages(self.buffer_bytes)
            wiring.connect(m, coded_images.plain, buffer.frames)
            m.d.comb += coded_images.image_bytes.eq(self.image_bytes)
            frames = coded_images.coded

        token = decoder.tokens.p
        transfer = decoder.tokens.valid & decoder.tokens.ready
        byte_taken = buffer.frames.valid & buffer.frames.ready if self.coded_images else transfer
        end_of_frame = Signal()
        # Typed as Any because amaranth-stubs leave this module of Amaranth out.
        crc: Any = Processor(CRC16_IBM_3740(data_width=8))
        m.submodules.crc = ResetInserter(end_of_frame)(crc)
        m.d.comb += [
            crc.data.eq(token.data),
            crc.valid.eq(transfer),
            end_of_frame.eq(transfer & token.end),
            frames.p.data.eq(token.data),
            frames.p.end.eq(token.end),
            frames.p.good.eq(crc.match_detected & ~token.broken),
            frames.valid.eq(decoder.tokens.valid),
            decoder.tokens.ready.eq(frames.ready),
            self.bytes_after.eq(buffer.bytes_after),
            self.byte.eq(buffer.frames.p),
            self.byte_taken.eq(byte_taken),
            self.dropped.eq(buffer.dropped),
            self.empty.eq(buffer.empty),
        ]
        m.d.sync += self.dropped_frames.eq(self.dropped_frames + buffer.dropped)
        return m


class FrameTransmitter(wiring.Component):
    """Sends packets of 1 to 252 bytes as frames.

    A packet is gathered before it is sent. The first byte of the frame is offered `latency_cycles`
    after the packet's last one was taken, and the others every `byte_cycles`. The next packet is
    taken from the cycle after the closing zero was.
    """

    latency_cycles = 7
    """Cycles from taking the last byte of a packet to the offer of the first byte of its frame."""

    byte_cycles = 3
    """Cycles from one byte of a frame to the next, if each is taken at once."""

    packets: stream.Interface
    """Stream of `PacketByte`, in: the payloads to send, of 1 to 252 bytes."""
    bytes: stream.Interface
    """Stream of 8 bits, out: what goes over the wire."""

    def __init__(self) -> None:
        super().__init__(
            {"packets": In(stream.Signature(PacketByte)), "bytes": Out(stream.Signature(8))}
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()

        m.submodules.encoder = encoder = CobsEncoder()
        wiring.connect(m, encoder.bytes, wiring.flipped(self.bytes))

        end_of_frame = Signal()
        crc: Any = Processor(CRC16_IBM_3740(data_width=8))
        m.submodules.crc = ResetInserter(end_of_frame)(crc)
        m.d.comb += crc.data.eq(self.packets.p.data)

        framed = encoder.packets
        with m.FSM():
            with m.State("PAYLOAD"):
                m.d.comb += [
                    framed.p.data.eq(self.packets.p.data),
                    framed.valid.eq(self.packets.valid),
                    self.packets.ready.eq(framed.ready),
                    crc.valid.eq(self.packets.valid & framed.ready),
                ]
                with m.If(crc.valid & self.packets.p.last):
                    m.next = "CRC_HIGH"
            with m.State("CRC_HIGH"):
                m.d.comb += [framed.p.data.eq(crc.crc[8:]), framed.valid.eq(1)]
                with m.If(framed.ready):
                    m.next = "CRC_LOW"
            with m.State("CRC_LOW"):
                m.d.comb += [
                    framed.p.data.eq(crc.crc[:8]),
                    framed.p.last.eq(1),
                    framed.valid.eq(1),
                    end_of_frame.eq(framed.ready),
                ]
                with m.If(framed.ready):
                    m.next = "PAYLOAD"
        return m
