"""The block that undoes coded images, between a writer who codes them as
`stepnet.link.pixel_coding` says and a reader who expects the image."""

from dataclasses import dataclass
from typing import Any

from amaranth.hdl import Array, Cat, Module, Mux, Signal, Value
from amaranth.lib.wiring import In

from stepnet.link.messages import HEADER, Request
from stepnet.link.pixel_coding import GROUP_BYTES
from stepnet_hdl.link import coded_images
from stepnet_hdl.link.packet_buffer import BUFFER_BYTES
from stepnet_sim.verification.formal import Harness, claim, given, hold
from stepnet_sim.verification.harnesses.streams import kept
from stepnet_sim.verification.mutants import driven, opened


class _Coder:
    """The coding of the first `size` bytes of `image`, from any place of it on."""

    def __init__(self, image: list[Value], size: Value) -> None:
        self._image = image
        self._size = size
        self._remains = [(byte != 0) & (at < size) for at, byte in enumerate(image)]

    def byte(self, at: Value) -> Value:
        """Byte `at` of the image."""
        return Array(self._image)[at]

    def mask(self, at: Value) -> Value:
        """Which bytes are not 0: bit 0 is byte `at`, the highest bit the last of its group."""
        places = range(len(self._image))
        return Array([Cat(self._remains[place : self._end(place)]) for place in places])[at]

    def next_byte(self, at: Value) -> Value:
        """The first byte from `at` on that is not 0; if its group has none, where group or image
        end."""
        places: list[Value] = []
        for place in range(len(self._image)):
            end = self._end(place)
            first: Value = Mux(self._size < end, self._size, end)
            for later in reversed(range(place, end)):
                first = Mux(self._remains[later], later, first)
            places.append(first)
        return Array([*places, self._size])[at]

    def _end(self, at: int) -> int:
        return min(len(self._image), (at // GROUP_BYTES + 1) * GROUP_BYTES)


@dataclass(frozen=True)
class _Places:
    """How far a frame has come.

    header_left: bytes of its header that are still to come.
    is_coded: whether it is an INFER_CODED, once the first byte has come.
    written: the byte of the image at which the writer is.
    at_mask: whether he writes the mask of the group that begins there.
    made: the byte of the image that the reader expects.
    """

    header_left: Signal
    is_coded: Signal
    written: Signal
    at_mask: Signal
    made: Signal

    @property
    def in_image(self) -> Value:
        """Whether the image or what comes behind it is next."""
        return (self.header_left == 0) & self.is_coded


class UndoesEveryImage(Harness):
    """Every INFER_CODED becomes the INFER of its image of 1 to `max_bytes`; every other frame stays
    as it is.

    Writer and reader pause as they like. The writer may end a frame anywhere; then the bytes before
    the first one that is missing are made, and the end.
    """

    image: Signal
    size: Signal
    byte: Signal
    end: Signal
    good: Signal
    offer: Signal
    ready: Signal

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        super().__init__(
            {
                "image": In(8 * max_bytes),
                "size": In(range(max_bytes + 1)),
                "byte": In(8),
                "end": In(1),
                "good": In(1),
                "offer": In(1),
                "ready": In(1),
            }
        )

    def claims(self, m: Module) -> None:
        """The image is made byte by byte; what is around it is passed on in the cycle in which it
        comes; and of three cycles in which both sides are ready one brings something on."""
        hold(m, self.image, self.size)
        m.d.comb += [given(self.size >= 1), given(self.size <= self._max_bytes)]
        coder = _Coder([self.image.word_select(at, 8) for at in range(self._max_bytes)], self.size)
        m.submodules.dut = dut = opened(
            coded_images.CodedImages, min(n for n in BUFFER_BYTES if n > self._max_bytes)
        )
        m.d.comb += [dut.image_bytes.eq(self.size), dut.plain.ready.eq(self.ready)]
        frame = _Places(
            header_left=Signal(range(HEADER.size + 1), init=HEADER.size),
            is_coded=Signal(),
            written=Signal(range(self._max_bytes + 1)),
            at_mask=Signal(init=1),
            made=Signal(range(self._max_bytes + 1)),
        )
        self._follow(m, frame, dut, coder)
        self._claim_bytes(m, frame, dut, coder)
        self._claim_registers(m, frame, dut.inside, coder, dut.coded)

    def _follow(self, m: Module, frame: _Places, dut: Any, coder: _Coder) -> None:
        """Write frames, and keep account of writer and reader."""
        takes = dut.coded.valid & dut.coded.ready
        gives = dut.plain.valid & dut.plain.ready
        written, at_mask = frame.written, frame.at_mask
        writes_image = frame.in_image & (written < self.size)
        image_byte = Mux(at_mask, coder.mask(written), coder.byte(written))
        m.d.comb += [
            dut.coded.valid.eq(self.offer),
            dut.coded.p.end.eq(self.end),
            dut.coded.p.good.eq(self.good),
            dut.coded.p.data.eq(Mux(writes_image, image_byte, self.byte)),
            given(kept(m, dut.coded)),
        ]
        with m.If(takes & writes_image):
            place = Mux(at_mask, written, written + 1)
            group_is_over = ~at_mask & (place % GROUP_BYTES == 0)
            following = Mux(group_is_over, place, coder.next_byte(place))
            passes_group = (following != place) & (following % GROUP_BYTES == 0)
            m.d.sync += [written.eq(following), at_mask.eq(group_is_over | passes_group)]
        with m.If(gives & frame.in_image & (frame.made < self.size)):
            m.d.sync += frame.made.eq(frame.made + 1)
        with m.If(takes & (frame.header_left != 0)):
            m.d.sync += frame.header_left.eq(frame.header_left - 1)
            with m.If(frame.header_left == HEADER.size):
                m.d.sync += frame.is_coded.eq(dut.coded.p.data == Request.INFER_CODED)
        with m.If(takes & dut.coded.p.end):
            m.d.sync += [
                frame.header_left.eq(HEADER.size),
                written.eq(0),
                at_mask.eq(1),
                frame.made.eq(0),
            ]

    def _claim_bytes(self, m: Module, frame: _Places, dut: Any, coder: _Coder) -> None:
        """Claim what is promised."""
        coded, plain = dut.coded, dut.plain
        takes, gives = coded.valid & coded.ready, plain.valid & plain.ready
        expects_image = frame.in_image & (frame.made < self.size)
        with m.If(plain.valid & expects_image & ~plain.p.end):
            m.d.comb += claim(plain.p.data == coder.byte(frame.made))
        with m.Elif(plain.valid):
            is_kind = frame.header_left == HEADER.size
            kind = Mux(coded.p.data == Request.INFER_CODED, Request.INFER, coded.p.data)
            m.d.comb += [
                claim(coded.valid),
                claim(takes == gives),
                claim((plain.p.end == coded.p.end) & (plain.p.good == coded.p.good)),
                claim(plain.p.end | (plain.p.data == Mux(is_kind, kind, coded.p.data))),
                claim(~expects_image | (frame.made == frame.written)),
            ]
        stands = Signal(range(3))
        m.d.sync += stands.eq(0)
        with m.If(coded.valid & plain.ready & ~takes & ~gives):
            m.d.comb += claim(stands != 2)
            m.d.sync += stands.eq(stands + 1)

    def _claim_registers(
        self, m: Module, frame: _Places, block: Module, coder: _Coder, coded: Any
    ) -> None:
        """Claim what the induction has to know: how the block's registers go with the places."""
        states = [driven(block, n) for n in ("passes", "gives_zero", "decides", "at_mask")]
        passes, gives_zero, decides, at_mask = states
        in_group, mask = driven(block, "in_group"), driven(block, "mask")
        made, written = frame.made, frame.written
        is_last_group = made // GROUP_BYTES == self.size // GROUP_BYTES
        knows_last_group = driven(block, "in_last_group") == is_last_group
        both_at_group = (made % GROUP_BYTES == 0) & (made == written)
        has_kind = frame.header_left != HEADER.size
        m.d.comb += [
            claim(driven(block, "header_left") == frame.header_left),
            claim(driven(block, "made") == made),
            claim(~has_kind | (driven(block, "is_coded") == frame.is_coded)),
            claim((made <= self.size) & (written <= self.size)),
            claim(sum(states) == 1),
        ]
        with m.If(~frame.in_image):
            m.d.comb += claim(passes & ~in_group & (made == 0) & (written == 0) & frame.at_mask)
        with m.Elif(in_group):
            m.d.comb += [
                claim((passes | gives_zero) & (passes == mask[0])),
                claim((made < self.size) & (mask == coder.mask(made)) & knows_last_group),
                claim(written == coder.next_byte(made)),
                claim(frame.at_mask == ((written % GROUP_BYTES == 0) & (written != made))),
            ]
        with m.Elif(at_mask):
            m.d.comb += claim(both_at_group & frame.at_mask & (made < self.size) & knows_last_group)
        with m.Elif(decides):
            m.d.comb += claim(both_at_group & (frame.at_mask | (made == self.size)))
        with m.Else():
            image_is_over = (made == self.size) | (coded.valid & coded.p.end)
            m.d.comb += claim(passes & (made == written) & image_is_over)
