"""Undoes the coding of an image while its frame is arriving, as `stepnet.link.pixel_coding` has it."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from stepnet.link.messages import HEADER, Request
from stepnet.link.pixel_coding import GROUP_BYTES
from stepnet_hdl.link.packet_buffer import FrameByte, check_buffer_bytes

_KIND_DIFFERS = Request.INFER_CODED ^ Request.INFER
"""What turns one kind into the other."""


class CodedImages(wiring.Component):
    """Makes an INFER of each INFER_CODED, byte by byte, and passes every other frame on as it is.

    A byte that needs no undoing is passed on in the cycle in which it is offered. A byte that says
    which bytes of its group are not 0 gives none by itself, and a 0 takes a cycle of its own, so
    that a byte of a coded image is taken at most `byte_cycles` after the one before it.

    What comes after the last byte of an image is passed on as it is: its CRC, or what makes the
    INFER too long. A frame that ends before its image does gives an INFER that is too short, or a
    packet without a whole header. So no frame makes more than `GROUP_BYTES` times its bytes, and
    none holds up the next.

    buffer_bytes: size of the receive buffer behind it; BuildError if there is none of that size. An
        image that it cannot hold is not undone rightly.
    """

    byte_cycles = GROUP_BYTES + 3
    """Cycles from taking a byte of a coded image until the next byte is taken, at most, if `plain`
    is taken at once."""

    coded: stream.Interface
    """Stream of `FrameByte`, in: the bytes of each frame, CRC included, and its end."""
    plain: stream.Interface
    """Stream of `FrameByte`, out: the same frames with images as they are."""
    image_bytes: Signal
    """16 bits, in: how many bytes an image has as it is."""

    def __init__(self, buffer_bytes: int) -> None:
        check_buffer_bytes(buffer_bytes)
        self.buffer_bytes = buffer_bytes
        super().__init__(
            {
                "coded": In(stream.Signature(FrameByte)),
                "plain": Out(stream.Signature(FrameByte)),
                "image_bytes": In(16),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Count the header, then the bytes of the image. It is one function because each of its few
        registers depends on most of the others."""
        m = Module()
        header_left = Signal(range(HEADER.size + 1), init=HEADER.size)
        is_coded = Signal()  # the frame is an INFER_CODED
        in_image = Signal()  # bytes of a coded image are still to be made
        in_group = Signal()  # of the bytes that `mask` speaks of, some are still to be made
        mask = Signal(GROUP_BYTES)  # bit 0: the next byte of the group is not 0
        made = Signal(range(self.buffer_bytes))  # bytes of the image

        group_bits = (GROUP_BYTES - 1).bit_length()
        in_last_group = Signal()  # `made` has reached the group in which the image ends
        m.d.sync += in_last_group.eq(
            made[group_bits:] == self.image_bytes[group_bits : len(made)]
        )
        settled = Signal()  # `in_last_group` speaks of the group that begins
        m.d.sync += settled.eq(1)

        coded, plain = self.coded, self.plain
        is_zero = in_group & ~mask[0]
        begins_group = in_image & ~in_group
        at_kind = header_left == HEADER.size
        has_coded_kind = coded.p.data == Request.INFER_CODED
        # A CRC or an end that follows a whole group at once waits until `in_image` is 0.
        passes = ~begins_group | (coded.p.end & settled)
        m.d.comb += [
            plain.valid.eq(is_zero | (coded.valid & passes)),
            plain.p.data.eq(Mux(is_zero, 0, coded.p.data)),
            plain.p.end.eq(coded.p.end & ~is_zero),
            plain.p.good.eq(coded.p.good & ~is_zero),
        ]
        with m.If(at_kind & has_coded_kind):
            m.d.comb += plain.p.data.eq(coded.p.data ^ _KIND_DIFFERS)

        image_ends_group = in_last_group & (made[:group_bits] + 1 == self.image_bytes[:group_bits])
        is_full_group = made[:group_bits] == GROUP_BYTES - 1
        is_whole = in_last_group & (self.image_bytes[:group_bits] == 0)
        with m.If(begins_group):
            takes_mask = settled & ~coded.p.end & ~is_whole
            m.d.comb += coded.ready.eq(takes_mask | (coded.p.end & settled & plain.ready))
            with m.If(takes_mask & coded.valid):
                m.d.sync += [mask.eq(coded.p.data), in_group.eq(1)]
            with m.If(settled & is_whole):
                m.d.sync += in_image.eq(0)
        with m.Else():
            m.d.comb += coded.ready.eq(plain.ready & ~is_zero)

        moves = plain.valid & plain.ready
        with m.If(moves & in_group):
            m.d.sync += [mask.eq(mask >> 1), made.eq(made + 1)]
            with m.If(is_full_group | image_ends_group):
                m.d.sync += [in_group.eq(0), settled.eq(0)]
            with m.If(image_ends_group):
                m.d.sync += in_image.eq(0)
        with m.If(moves & (header_left != 0)):
            m.d.sync += header_left.eq(header_left - 1)
            with m.If(at_kind):
                m.d.sync += is_coded.eq(has_coded_kind)
            with m.If(header_left == 1):
                m.d.sync += in_image.eq(is_coded)
        with m.If(moves & plain.p.end):
            m.d.sync += [
                header_left.eq(HEADER.size),
                in_image.eq(0),
                in_group.eq(0),
                made.eq(0),
            ]
        return m
