"""Says what a request asks for, from its header and its length, before its body is taken."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from stepnet.link.messages import COMMIT, HEADER, LOAD, Request
from stepnet_hdl.blocks.streams import PacketByte

Header = data.StructLayout({name: 8 * size for name, size in HEADER.fields.items()})
"""The fields of a request's header, as `messages.HEADER` has them."""

TARGET_BYTES = LOAD.size - HEADER.size
"""Bytes at the start of a LOAD's body that say where its words go."""

_KINDS = [kind for kind in Request if kind is not Request.INFER_CODED]
"""An INFER_CODED that the board knows is an INFER when it comes here, see `coded_images`."""

Asked = data.StructLayout({kind.name.lower(): 1 for kind in _KINDS})
"""One bit for each `Request` but INFER_CODED, by its name; all are 0 if the kind is unknown."""


class RequestHeader(wiring.Component):
    """Shifts the header of a request in, byte by byte, and says what the request asks for.

    Its outputs hold from `latency_cycles` after the last byte of a header was taken until the first
    byte of the next one is.
    """

    latency_cycles = 1
    """Cycles from taking the last byte of a header until the outputs speak of it."""

    packets: stream.Interface
    """Stream of `PacketByte`, in: the bytes of the header, and no others; it is always ready."""
    bytes_after: Signal
    """16 bits, in: how many bytes of the packet follow the one that is offered."""
    image_bytes: Signal
    """16 bits, in: how many bytes make an image for the loaded network."""
    sequence: Signal
    """16 bits, out: the request's sequence number, which its answer repeats."""
    asked: data.View
    """`Asked`, out: the kind of the request."""
    has_body: Signal
    """1 bit, out: bytes follow the header."""
    body_is_words: Signal
    """1 bit, out: what follows the header is long enough for a LOAD: a target and at least one byte
    of words."""
    body_is_digest: Signal
    """1 bit, out: what follows the header is as long as the digest of a COMMIT."""
    body_is_image: Signal
    """1 bit, out: what follows the header is as long as an image, or nothing follows and images
    have no bytes."""

    def __init__(self) -> None:
        super().__init__(
            {
                "packets": In(stream.Signature(PacketByte, always_ready=True)),
                "bytes_after": In(16),
                "image_bytes": In(16),
                "sequence": Out(16),
                "asked": Out(Asked),
                "has_body": Out(1),
                "body_is_words": Out(1),
                "body_is_digest": Out(1),
                "body_is_image": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        header = Signal(Header)
        m.d.comb += self.sequence.eq(header.sequence)
        with m.If(self.packets.valid):
            # Bytes enter at the top: as the last one comes, the kind is still in the middle.
            kind = header.as_value()[8:16]
            m.d.sync += [
                header.eq(Cat(header.as_value()[8:], self.packets.p.data)),
                self.asked.eq(Cat(kind == request for request in _KINDS)),
                self.has_body.eq(~self.packets.p.last),
                self.body_is_words.eq(self.bytes_after > TARGET_BYTES),
                self.body_is_digest.eq(self.bytes_after == COMMIT.fields["digest"]),
                self.body_is_image.eq(self.bytes_after == self.image_bytes),
            ]
        return m
