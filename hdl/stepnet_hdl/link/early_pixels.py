"""Gives the pixels of an image to the core while its frame is still arriving."""

from amaranth.hdl import Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from stepnet.link.messages import Request
from stepnet_hdl.link.packet_buffer import FrameByte


class Preview(wiring.Component):
    """Offers the pixels of an INFER to the core before the frame's CRC has come, each byte
    `latency_cycles` after the receive buffer took it.

    It does so if the way to the core is free right before the first pixel: no packet waits before
    this one or is being answered. If the frame turns out to be broken or of another length, or if
    the core does not take a byte at once, the image is cancelled. A good frame whose image was not
    given to the core whole is read from the receive buffer once more.
    """

    latency_cycles = 1
    """Cycles from a byte's way into the receive buffer to its offer."""

    outcome_cycles = 3
    """Cycles from a frame's end on its way into the receive buffer until `passed_on` or `cancel`
    tells what became of its image, at most."""

    byte: data.View
    """`FrameByte`, in: the byte that is offered to the receive buffer."""
    byte_taken: Signal
    """1 bit, in: the receive buffer takes `byte` in this cycle."""
    dropped: Signal
    """1 bit, in: the receive buffer did not keep the frame whose end it took in the cycle
    before."""
    free: Signal
    """1 bit, in: a network is loaded, and nothing else is on its way to the core."""
    last_pixels: Signal
    """1 bit, in: the next byte that the core takes is the last one of an image."""
    pixels: stream.Interface
    """Stream of 8 bits, out: bytes of an image, each for one cycle only, `latency_cycles` after the
    receive buffer took it, whether the core takes it or not."""
    tentative: Signal
    """1 bit, out: pixels of a frame that has not ended have been given to the core."""
    cancel: Signal
    """1 bit, out: the image whose pixels were given to the core is void. It is 1 for one cycle, and
    once more if the frame ends right after."""
    passed_on: Signal
    """1 bit, out: the core has all pixels of the packet that comes next."""
    packet_ends: Signal
    """1 bit, in: the packet that `passed_on` speaks of is dealt with."""

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
                "cancel": Out(1),
                "passed_on": Out(1),
                "packet_ends": In(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Follow the bytes of a frame. It is one function because it is one state machine: each of
        its states hands on to the next what the few registers in front of them hold."""
        m = Module()
        # Registered, because all of it comes from far and goes far.
        free, cancel, dropped = Signal(), Signal(), Signal()
        byte, end = Signal(), Signal()
        data = Signal.like(self.pixels.p, reset_less=True)
        m.d.sync += [
            free.eq(self.free),
            self.cancel.eq(cancel),
            dropped.eq(self.dropped),
            byte.eq(self.byte_taken & ~self.byte.end),
            end.eq(self.byte_taken & self.byte.end),
            data.eq(self.byte.data),
        ]
        m.d.comb += self.pixels.p.eq(data)
        with m.If(self.packet_ends):
            m.d.sync += self.passed_on.eq(0)

        offers = Signal()  # pixels that come, in the state PIXELS only
        m.d.comb += self.pixels.valid.eq(byte & offers)

        outcome = Signal()  # of a frame whose pixels were taken: `dropped` speaks of it
        m.d.sync += outcome.eq(0)
        with m.If(outcome):
            m.d.comb += cancel.eq(dropped)
            m.d.sync += [self.passed_on.eq(~dropped), self.tentative.eq(dropped)]

        def leave_at_the_end() -> None:
            with m.If(end):
                m.d.comb += cancel.eq(self.tentative)
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
                    m.d.comb += cancel.eq(self.tentative)
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
                    m.d.comb += cancel.eq(1)
                    m.next = "SKIP"
                with m.If(end):
                    m.d.sync += outcome.eq(1)
                    m.next = "KIND"
            with m.State("SKIP"):
                leave_at_the_end()
        # The image stays tentative until the core has been told, which takes a register more.
        cancelled = Signal()
        m.d.sync += cancelled.eq(self.cancel)
        with m.If(cancelled):
            m.d.sync += self.tentative.eq(0)
        return m
