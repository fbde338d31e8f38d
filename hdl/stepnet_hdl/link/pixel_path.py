"""Takes an image's bytes to the core, either early or through the receive buffer."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from stepnet_hdl.link.early_pixels import Preview
from stepnet_hdl.link.packet_buffer import FrameByte

PIXEL_CYCLES = 2
"""Cycles that each byte of an image takes when it is read from the receive buffer."""


class PixelPath(wiring.Component):
    """Gives the core each image once: while its frame arrives, or from its packet afterwards.

    A byte is offered to the core `latency_cycles` after it was taken. Bytes of a packet pass
    through a register, so that nothing from inside the core reaches the packets in the same cycle;
    that takes `PIXEL_CYCLES` a byte.
    """

    latency_cycles = 1
    """Cycles from taking a byte, of a frame or of a packet, to its offer to the core."""

    frame_byte: data.View
    """`FrameByte`, in: the byte that is offered to the receive buffer."""
    frame_byte_taken: Signal
    """1 bit, in: the receive buffer takes `frame_byte` in this cycle."""
    frame_dropped: Signal
    """1 bit, in: the receive buffer did not keep the frame whose end it took in the cycle
    before."""
    free: Signal
    """1 bit, in: a network is loaded, and nothing else is on its way to the core."""
    packet_byte: Signal
    """8 bits, in: the byte that the receive buffer offers."""
    packet_byte_taken: Signal
    """1 bit, in: `packet_byte` is taken in this cycle."""
    packet_is_image: Signal
    """1 bit, in: `packet_byte` is a byte of an image."""
    packet_ready: Signal
    """1 bit, out: a byte of a packet may be taken in this cycle."""
    packet_ends: Signal
    """1 bit, in: the packet of an image has been taken whole."""
    last_pixels: Signal
    """1 bit, in: the next byte that the core takes is the last one of an image."""
    pixels: stream.Interface
    """Stream of 8 bits, out: the bytes of images, to the core. Bytes of a frame that has not ended
    are offered for one cycle only."""
    tentative: Signal
    """1 bit, out: the frame of the image in progress has not ended, so that the image may still be
    cancelled."""
    cancel: Signal
    """1 bit, out: the image that was given to the core early is void. It is 1 for one cycle, and
    once more if the frame ends right after."""

    def __init__(self) -> None:
        super().__init__(
            {
                "frame_byte": In(FrameByte),
                "frame_byte_taken": In(1),
                "frame_dropped": In(1),
                "free": In(1),
                "packet_byte": In(8),
                "packet_byte_taken": In(1),
                "packet_is_image": In(1),
                "packet_ready": Out(1),
                "packet_ends": In(1),
                "last_pixels": In(1),
                "pixels": Out(stream.Signature(8)),
                "tentative": Out(1),
                "cancel": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.preview = preview = Preview()
        m.d.comb += [
            preview.byte.eq(self.frame_byte),
            preview.byte_taken.eq(self.frame_byte_taken),
            preview.dropped.eq(self.frame_dropped),
            preview.free.eq(self.free),
            preview.last_pixels.eq(self.last_pixels),
            preview.packet_ends.eq(self.packet_ends),
            preview.pixels.ready.eq(self.pixels.ready),
            self.tentative.eq(preview.tentative),
            self.cancel.eq(preview.cancel),
        ]
        byte = Signal(8)
        waits = Signal()  # `byte` has to reach the core
        m.d.comb += [
            self.packet_ready.eq(~waits),
            self.pixels.p.eq(Mux(waits, byte, preview.pixels.p)),
            self.pixels.valid.eq(waits | preview.pixels.valid),
        ]
        with m.If(self.pixels.ready):
            m.d.sync += waits.eq(0)
        with m.If(~waits):
            m.d.sync += byte.eq(self.packet_byte)
        with m.If(self.packet_byte_taken):
            m.d.sync += waits.eq(self.packet_is_image & ~preview.passed_on)
        return m
