"""The board's end of the link: takes requests, drives the core, answers."""

from collections.abc import Mapping
from typing import Any

from amaranth.hdl import Cat, Module, Mux, ResetInserter, Signal, ValueLike
from amaranth.lib import data, stream, wiring
from amaranth.lib.crc import Processor
from amaranth.lib.crc.catalog import CRC32_ISO_HDLC
from amaranth.lib.wiring import In, Out

from stepnet.engine import EngineShape
from stepnet.identity import shape_fields
from stepnet.protocol import COMMIT, HEADER, LOAD, PROTOCOL_VERSION, Answer, Refusal, Request
from stepnet_hdl.answers import AnswerWriter
from stepnet_hdl.cobs import PacketByte
from stepnet_hdl.core import CoreReading
from stepnet_hdl.frames import FrameReceiver, FrameTransmitter
from stepnet_hdl.packet_buffer import check_buffer_bytes
from stepnet_hdl.preview import Preview

IDENTITY_CONSTANTS = ("core", *shape_fields(EngineShape()), "clock_hz")
"""Fields of IDENTITY that only the maker of the chip knows."""

_Header = data.StructLayout({name: 8 * size for name, size in HEADER.fields.items()})
_TARGET_BYTES = LOAD.size - HEADER.size
_DIGEST_BYTES = COMMIT.fields["digest"]


def check_identity(identity: Mapping[str, int]) -> None:
    """Raise ValueError unless exactly `IDENTITY_CONSTANTS` are given."""
    if set(identity) != set(IDENTITY_CONSTANTS):
        raise ValueError(
            f"The identity gives {', '.join(identity) or 'nothing'}; "
            f"give {', '.join(IDENTITY_CONSTANTS)}."
        )


class Endpoint(wiring.Component):
    """Answers the requests of `stepnet.protocol` one at a time, in the order they came.

    Every request that arrives in a good frame gets exactly one answer with its sequence number;
    broken frames get none and are counted. A request refused for its kind or length changes
    nothing.

    - IDENTIFY: IDENTITY.
    - CLEAR: forgets the network and starts the digest anew; ACKNOWLEDGE.
    - LOAD: forgets that a network is loaded, passes everything after the header to `load`, and
      takes the memory words into the digest, a CRC-32 over all LOADs since CLEAR; then
      ACKNOWLEDGE, or the core's refusal.
    - COMMIT: a network is loaded from now on if the digest is right and the core refused no LOAD
      since CLEAR; ACKNOWLEDGE. Otherwise none is; WRONG_DIGEST.
    - INFER: the image goes to `pixels`; then READING, or PROGRAM_OVERRUN. Without a loaded network
      NOTHING_LOADED.

    The first byte of an answer is offered `2 * size + ANSWER_CYCLES` cycles after the request's
    closing zero was taken, if nothing came before; `size` is that of the answer's layout. Every
    byte of the request's body adds a cycle, one of an image that has not been passed on before its
    frame ended `PIXEL_CYCLES`, the core its time, and one cycle more is taken by CLEAR, COMMIT and
    by refusals of requests without a body, two by LOAD. `rx` waits as `FrameReceiver` says, so
    behind a UART of 4 cycles per bit and more nothing is lost.

    identity: values of `IDENTITY_CONSTANTS`; ValueError if one is missing or unknown.
    buffer_bytes: of the receive buffer; BuildError if it is not in `packet_buffer.BUFFER_BYTES`.
    initial_digest: of a network that the core's memories hold at power-on; None for none. It is
    loaded until the first CLEAR or LOAD; a reset after that leaves nothing loaded.
    answers_in_luts: the plan of the answers takes some 100 LUTs instead of a block RAM.

    Members
    -------
    rx : stream of 8 bits, in
        What came over the wire.
    tx : stream of 8 bits, out
        What goes over the wire.
    pixels : stream of 8 bits, out
        Image bytes; only as many as `image_bytes`, and the next image's only after the reading.
        They come while the frame arrives if nothing is to be done before: see `Preview`.
    last_pixels : Signal(1), in
        The next pixels are an image's last ones.
    tentative : Signal(1), out
        The image in progress may still be cleared: its frame has not ended.
    readings : stream of CoreReading, in
        One per image; it is taken once it is answered.
    load : stream of PacketByte, out
        Target address and space, then memory words, as in `protocol.LOAD`.
    load_done : Signal(1), in
        1 for one cycle, after the last byte of a load was taken.
    load_refusal : Signal(8), in
        0, or the `Refusal` that the load met; read with `load_done`.
    image_bytes : Signal(16), in
        Bytes of one image of the loaded network.
    loaded : Signal(1), out
        A network is loaded.
    clear : Signal(1), out
        1 for one cycle on CLEAR, on LOAD before its first byte is taken, and when the frame of a
        tentative image is broken: images in progress are void.
    """

    ANSWER_CYCLES = 21
    PREVIEW_CYCLES = 13
    PIXEL_CYCLES = 2

    rx: stream.Interface
    tx: stream.Interface
    pixels: stream.Interface
    last_pixels: Signal
    tentative: Signal
    readings: stream.Interface
    load: stream.Interface
    load_done: Signal
    load_refusal: Signal
    image_bytes: Signal
    loaded: Signal
    clear: Signal

    def __init__(
        self,
        identity: Mapping[str, int],
        buffer_bytes: int,
        *,
        initial_digest: int | None = None,
        answers_in_luts: bool = False,
    ) -> None:
        check_identity(identity)
        check_buffer_bytes(buffer_bytes)
        self.identity = dict(identity)
        self.buffer_bytes = buffer_bytes
        self.initial_digest = initial_digest
        self.answers_in_luts = answers_in_luts
        super().__init__(
            {
                "rx": In(stream.Signature(8)),
                "tx": Out(stream.Signature(8)),
                "pixels": Out(stream.Signature(8)),
                "last_pixels": In(1),
                "tentative": Out(1),
                "readings": In(stream.Signature(CoreReading)),
                "load": Out(stream.Signature(PacketByte)),
                "load_done": In(1),
                "load_refusal": In(8),
                "image_bytes": In(16),
                "loaded": Out(1),
                "clear": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()

        m.submodules.receiver = receiver = FrameReceiver(self.buffer_bytes)
        m.submodules.answers = answers = AnswerWriter(
            {
                **self.identity,
                "protocol_version": PROTOCOL_VERSION,
                "buffer_bytes": self.buffer_bytes,
            },
            in_luts=self.answers_in_luts,
        )
        m.submodules.transmitter = transmitter = FrameTransmitter()
        wiring.connect(m, wiring.flipped(self.rx), receiver.bytes)
        wiring.connect(m, answers.packets, transmitter.packets)
        wiring.connect(m, transmitter.bytes, wiring.flipped(self.tx))

        m.submodules.preview = preview = Preview()
        m.d.comb += [
            preview.byte.eq(receiver.byte),
            preview.byte_taken.eq(receiver.byte_taken),
            preview.dropped.eq(receiver.dropped),
            preview.last_pixels.eq(self.last_pixels),
            preview.pixels.ready.eq(self.pixels.ready),
            self.tentative.eq(preview.tentative),
        ]

        # Pixels of a whole packet pass through a register, so that nothing from inside the core
        # reaches the packets in the same cycle.
        pixels = Signal(8)
        pixels_valid = Signal()
        m.d.comb += [
            self.pixels.p.eq(Mux(pixels_valid, pixels, preview.pixels.p)),
            self.pixels.valid.eq(pixels_valid | preview.pixels.valid),
        ]
        with m.If(self.pixels.ready):
            m.d.sync += pixels_valid.eq(0)

        request = receiver.packets
        taken = request.valid & request.ready
        header = Signal(_Header)
        byte_index = Signal(2)  # in the header, the target or the digest
        m.d.sync += byte_index.eq(byte_index + taken)

        # What is asked and what follows the header, known from its last byte on.
        asks = {kind: Signal(name=f"asks_{kind.name.lower()}") for kind in Request}
        has_body = Signal()
        body_is_words = Signal()
        body_is_digest = Signal()
        body_is_image = Signal()

        # Typed as Any because amaranth-stubs leave this module of Amaranth out.
        crc: Any = Processor(CRC32_ISO_HDLC(data_width=8))
        forget_words = Signal()
        m.submodules.digest = ResetInserter(forget_words)(crc)
        forget_network = Signal()
        digest = crc.crc
        untouched = Signal(init=1, reset_less=True)  # what there was at power-on, if anything
        if self.initial_digest is not None:
            digest = Mux(untouched, self.initial_digest, crc.crc)
            with m.If(forget_network):
                m.d.sync += untouched.eq(0)
        byte_differs = request.p.data != digest.word_select(byte_index, 8)
        digest_differs = Signal()
        spoiled = Signal()  # words in the digest have not reached the memories
        with m.If(forget_words):
            m.d.sync += spoiled.eq(0)

        loaded = Signal(init=self.initial_digest is not None)
        if self.initial_digest is not None:
            # A reset after power-on does not bring back what the memories held.
            starts = Signal(init=1)
            m.d.sync += starts.eq(0)
            with m.If(starts):
                m.d.sync += loaded.eq(untouched)
        kind = Signal(Answer, init=Answer.ACKNOWLEDGE)
        reason = Signal(8)
        m.d.comb += [
            crc.data.eq(request.p.data),
            self.load.p.eq(request.p),
            self.loaded.eq(loaded),
            answers.kind.p.eq(kind),
            answers.fields.loaded.eq(loaded),
            answers.fields.digest.eq(digest),
            answers.fields.image_bytes.eq(self.image_bytes),
            answers.fields.dropped_frames.eq(receiver.dropped_frames),
            answers.fields.sequence.eq(header.sequence),
            answers.fields.code.eq(self.readings.p.code),
            answers.fields.margin.eq(self.readings.p.margin),
            answers.fields.cycles.eq(self.readings.p.cycles),
            answers.fields.reason.eq(reason),
        ]

        m.d.sync += self.clear.eq(forget_network | preview.abort)

        def answer(answer_kind: Answer) -> None:
            m.d.sync += kind.eq(answer_kind)
            m.next = "ANSWER"

        def refuse(why: ValueLike) -> None:
            m.d.sync += reason.eq(why)
            answer(Answer.REFUSAL)

        def refuse_unread(why: Refusal) -> None:
            refuse(why)
            m.next = "DRAIN"

        with m.FSM():
            with m.State("HEADER"):
                m.d.comb += [
                    request.ready.eq(1),
                    preview.free.eq(loaded & receiver.empty & (byte_index == 0)),
                ]
                with m.If(request.valid):
                    m.d.sync += [
                        header.eq(Cat(header.as_value()[8:], request.p.data)),
                        *(asks[kind].eq(header.as_value()[8:16] == kind) for kind in Request),
                        has_body.eq(~request.p.last),
                        body_is_words.eq(receiver.bytes_after > _TARGET_BYTES),
                        body_is_digest.eq(receiver.bytes_after == _DIGEST_BYTES),
                        body_is_image.eq(receiver.bytes_after == self.image_bytes),
                    ]
                    with m.If(byte_index == HEADER.size - 1):
                        m.d.sync += byte_index.eq(0)
                        m.next = "CHECK"
            with m.State("CHECK"):
                with m.If(asks[Request.IDENTIFY]):
                    with m.If(has_body):
                        refuse_unread(Refusal.WRONG_LENGTH)
                    with m.Else():
                        answer(Answer.IDENTITY)
                with m.Elif(asks[Request.CLEAR]):
                    with m.If(has_body):
                        refuse_unread(Refusal.WRONG_LENGTH)
                    with m.Else():
                        m.next = "FORGET"
                with m.Elif(asks[Request.LOAD]):
                    with m.If(~body_is_words):
                        refuse_unread(Refusal.WRONG_LENGTH)
                    with m.Else():
                        m.next = "FORGET"
                with m.Elif(asks[Request.COMMIT]):
                    m.d.sync += digest_differs.eq(spoiled)
                    with m.If(~body_is_digest):
                        refuse_unread(Refusal.WRONG_LENGTH)
                    with m.Else():
                        m.next = "DIGEST"
                with m.Elif(asks[Request.INFER]):
                    with m.If(~loaded):
                        refuse_unread(Refusal.NOTHING_LOADED)
                    with m.Elif(~(has_body & body_is_image)):
                        refuse_unread(Refusal.WRONG_LENGTH)
                    with m.Else():
                        m.next = "PIXELS"
                with m.Else():
                    refuse_unread(Refusal.UNKNOWN_KIND)
            with m.State("FORGET"):
                m.d.comb += [forget_network.eq(1), forget_words.eq(asks[Request.CLEAR])]
                m.d.sync += loaded.eq(0)
                with m.If(asks[Request.LOAD]):
                    m.next = "LOAD_TARGET"
                with m.Else():
                    answer(Answer.ACKNOWLEDGE)
            with m.State("LOAD_TARGET"):
                m.d.comb += [self.load.valid.eq(request.valid), request.ready.eq(self.load.ready)]
                with m.If(taken & (byte_index == _TARGET_BYTES - 1)):
                    m.next = "LOAD_WORDS"
            with m.State("LOAD_WORDS"):
                m.d.comb += [
                    self.load.valid.eq(request.valid),
                    request.ready.eq(self.load.ready),
                    crc.valid.eq(taken),
                ]
                with m.If(taken & request.p.last):
                    m.next = "LOAD_END"
            with m.State("LOAD_END"), m.If(self.load_done):
                m.d.sync += reason.eq(self.load_refusal)
                m.next = "LOADED"
            with m.State("LOADED"):
                with m.If(reason != 0):
                    m.d.sync += spoiled.eq(1)
                    answer(Answer.REFUSAL)
                with m.Else():
                    answer(Answer.ACKNOWLEDGE)
            with m.State("DIGEST"):
                m.d.comb += request.ready.eq(1)
                with m.If(request.valid):
                    m.d.sync += digest_differs.eq(digest_differs | byte_differs)
                    with m.If(request.p.last):
                        m.next = "COMMIT"
            with m.State("COMMIT"):
                m.d.sync += loaded.eq(~digest_differs)
                with m.If(digest_differs):
                    refuse(Refusal.WRONG_DIGEST)
                with m.Else():
                    answer(Answer.ACKNOWLEDGE)
            with m.State("PIXELS"):
                m.d.comb += request.ready.eq(preview.done | ~pixels_valid)
                with m.If(taken):
                    m.d.sync += [pixels.eq(request.p.data), pixels_valid.eq(~preview.done)]
                with m.If(taken & request.p.last):
                    m.d.comb += preview.forget.eq(1)
                    m.next = "READING"
            with m.State("READING"), m.If(self.readings.valid):
                with m.If(self.readings.p.overrun):
                    m.d.comb += self.readings.ready.eq(1)
                    refuse(Refusal.PROGRAM_OVERRUN)
                with m.Else():
                    answer(Answer.READING)
            with m.State("DRAIN"):
                m.d.comb += request.ready.eq(has_body)
                with m.If(~has_body | (taken & request.p.last)):
                    m.next = "ANSWER"
            with m.State("ANSWER"):
                # The core holds its reading until it is answered, so it is not copied here.
                m.d.comb += answers.kind.valid.eq(1)
                with m.If(answers.kind.ready):
                    m.d.comb += self.readings.ready.eq(kind == Answer.READING)
                    m.d.sync += byte_index.eq(0)
                    m.next = "HEADER"
        return m
