"""Passes the pixels of an image on while its frame is still arriving."""

from amaranth.hdl import Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from stepnet.link.messages import Request
from stepnet_hdl.link.packet_buffer import FrameByte


class Preview(wiring.Component):
    """Offers the pixels of an INFER to the core before the frame's CRC has come.

    That is done for a frame that finds the way to the core free: no packet before it waits or is
    being answered right before its first pixel. A frame that turns out to be broken, of another
    length, or faster than the core takes pixels, is aborted; where it is a good one it goes the
    usual way.

    Members
    -------
    byte : Signal(FrameByte), in
    byte_taken : Signal(1), in
        What the receive buffer takes in this cycle.
    dropped : Signal(1), in
        One cycle after the end of a frame: it was not kept.
    free : Signal(1), in
        A network is loaded, and nothing is on its way to the core.
    last_pixels : Signal(1), in
        The next pixels are an image's last ones.
    pixels : stream of 8 bits, out
        Valid for one cycle only, the one after the byte was taken.
    tentative : Signal(1), out
        Pixels of a frame that has not ended have been offered.
    abort : Signal(1), out
        1 for one cycle: the image is void.
    done : Signal(1), out
        The pixels of the packet that comes next have all been passed on.
    forget : Signal(1), in
        That packet has been taken.
    """

    byte: data.View
    byte_taken: Signal
    dropped: Signal
    free: Signal
    last_pixels: Signal
    pixels: stream.Interface
    tentative: Signal
    abort: Signal
    done: Signal
    forget: Signal

    def __init__(self) -> None:
        super().__init__(
            {
                "byte": In(FrameByte),
                "byte_taken": In(1),
                "dropped": In(1),
                "free": In(1),
                "last_pixels": In(1),
                "pixels": Out(stream.Signature(8)),
                "tentative": Out(1),
                "abort": Out(1),
                "done": Out(1),
                "forget": In(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        # Registered, because all of it comes from far and goes far.
        free, abort, dropped = Signal(), Signal(), Signal()
        byte, end = Signal(), Signal()
        data = Signal.like(self.pixels.p, reset_less=True)
        m.d.sync += [
            free.eq(self.free),
            self.abort.eq(abort),
            dropped.eq(self.dropped),
            byte.eq(self.byte_taken & ~self.byte.end),
            end.eq(self.byte_taken & self.byte.end),
            data.eq(self.byte.data),
        ]
        m.d.comb += self.pixels.p.eq(data)
        with m.If(self.forget):
            m.d.sync += self.done.eq(0)

        offers = Signal()  # pixels that come, in the state PIXELS only
        m.d.comb += self.pixels.valid.eq(byte & offers)

        outcome = Signal()  # of a frame whose pixels were taken: `dropped` speaks of it
        m.d.sync += outcome.eq(0)
        with m.If(outcome):
            m.d.comb += abort.eq(dropped)
            m.d.sync += [self.done.eq(~dropped), self.tentative.eq(dropped)]

        def leave_at_the_end() -> None:
            with m.If(end):
                m.d.comb += abort.eq(self.tentative)
                m.next = "KIND"

        with m.FSM():
            with m.State("KIND"), m.If(byte):
                m.next = "SKIP"
                with m.If(data == Request.INFER):
                    m.next = "SEQUENCE_LOW"
            with m.State("SEQUENCE_LOW"):
                leave_at_the_end()
                with m.If(byte):
                    m.next = "SEQUENCE_HIGH"
            with m.State("SEQUENCE_HIGH"):
                leave_at_the_end()
                with m.If(byte):
                    m.d.sync += offers.eq(free)
                    m.next = "PIXELS"
            with m.State("PIXELS"):
                leave_at_the_end()
                with m.If(end):
                    m.d.sync += offers.eq(0)
                with m.Elif(~byte):
                    m.d.sync += offers.eq(offers | free)
                with m.Elif(offers & self.pixels.ready):
                    m.d.sync += self.tentative.eq(1)
                    with m.If(self.last_pixels):
                        m.d.sync += offers.eq(0)
                        m.next = "CRC_HIGH"
                with m.Else():
                    m.d.comb += abort.eq(self.tentative)
                    m.d.sync += offers.eq(0)
                    m.next = "SKIP"
            with m.State("CRC_HIGH"):
                leave_at_the_end()
                with m.If(byte):
                    m.next = "CRC_LOW"
            with m.State("CRC_LOW"):
                leave_at_the_end()
                with m.If(byte):
                    m.next = "END"
            with m.State("END"):
                with m.If(byte):
                    m.d.comb += abort.eq(1)
                    m.next = "SKIP"
                with m.If(end):
                    m.d.sync += outcome.eq(1)
                    m.next = "KIND"
            with m.State("SKIP"):
                leave_at_the_end()
        aborted = Signal()  # so late, because the engine is told of it through a register
        m.d.sync += aborted.eq(self.abort)
        with m.If(aborted):
            m.d.sync += self.tentative.eq(0)
        return m
