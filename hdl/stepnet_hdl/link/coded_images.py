"""Undoes the coding of images, that of `stepnet.link.pixel_coding`, while their frames arrive."""

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

    byte_cycles = GROUP_BYTES + 2
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
        registers depends on most of the others. What is offered and what is taken hang on registers
        of one bit each, because the paths through this block are long before and behind it."""
        m = Module()
        header_left = Signal(range(HEADER.size + 1), init=HEADER.size)
        is_coded = Signal()  # the frame is an INFER_CODED
        made = Signal(range(self.buffer_bytes))  # bytes of its image
        mask = Signal(GROUP_BYTES)  # bit 0: the next byte of the group is not 0
        in_group = Signal()  # of the bytes that `mask` speaks of, some are still to be made
        in_last_group = Signal()  # the image ends in the group

        # One of these is 1 at a time.
        passes = Signal(init=1)  # what comes is passed on
        gives_zero = Signal()  # a 0 is given, and nothing taken
        decides = Signal()  # a group is over: the next one begins, or the image is whole
        at_mask = Signal()  # what comes is a mask, or the end

        coded, plain = self.coded, self.plain
        at_kind = header_left == HEADER.size
        has_coded_kind = coded.p.data == Request.INFER_CODED
        m.d.comb += [
            coded.ready.eq((passes & plain.ready) | (at_mask & ~coded.p.end)),
            plain.valid.eq(gives_zero | (passes & coded.valid)),
            plain.p.data.eq(Mux(gives_zero, 0, coded.p.data)),
            plain.p.end.eq(passes & coded.p.end),
            plain.p.good.eq(passes & coded.p.good),
        ]
        with m.If(at_kind & has_coded_kind):
            m.d.comb += plain.p.data.eq(coded.p.data ^ _KIND_DIFFERS)

        moves = plain.valid & plain.ready
        group_bits = (GROUP_BYTES - 1).bit_length()
        place, image_end = made[:group_bits], self.image_bytes[:group_bits]
        with m.If(decides):
            reaches_end = made[group_bits:] == self.image_bytes[group_bits : len(made)]
            is_whole = reaches_end & (image_end == 0)
            m.d.sync += [
                in_last_group.eq(reaches_end),
                decides.eq(0),
                at_mask.eq(~is_whole),
                passes.eq(is_whole),
            ]
        with m.If(at_mask & coded.valid):
            begins = ~coded.p.end
            m.d.sync += [
                mask.eq(coded.p.data),
                at_mask.eq(0),
                in_group.eq(begins),
                passes.eq(~begins | coded.p.data[0]),
                gives_zero.eq(begins & ~coded.p.data[0]),
            ]
        with m.If(moves & in_group):
            image_ends = in_last_group & (place + 1 == image_end)
            group_ends = place == GROUP_BYTES - 1
            goes_on = ~image_ends & ~group_ends
            m.d.sync += [
                mask.eq(mask >> 1),
                made.eq(made + 1),
                in_group.eq(goes_on),
                passes.eq(image_ends | (goes_on & mask[1])),
                gives_zero.eq(goes_on & ~mask[1]),
                decides.eq(~image_ends & group_ends),
            ]
        with m.If(moves & (header_left != 0)):
            m.d.sync += header_left.eq(header_left - 1)
            with m.If(at_kind):
                m.d.sync += is_coded.eq(has_coded_kind)
            with m.If(header_left == 1):
                m.d.sync += [passes.eq(~is_coded), decides.eq(is_coded)]
        with m.If(moves & plain.p.end):
            m.d.sync += [
                header_left.eq(HEADER.size),
                passes.eq(1),
                gives_zero.eq(0),
                decides.eq(0),
                in_group.eq(0),
                made.eq(0),
            ]
        return m
