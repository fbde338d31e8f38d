"""The board's end of the link: takes requests, drives the core, answers."""

from collections.abc import Mapping
from typing import Any

from amaranth.hdl import Cat, Module, Mux, ResetInserter, Signal, ValueLike
from amaranth.lib import data, enum, stream, wiring
from amaranth.lib.crc import Processor
from amaranth.lib.crc.catalog import CRC32_ISO_HDLC
from amaranth.lib.wiring import In, Out

from stepnet.boards.identity import shape_fields
from stepnet.cores.engine.shape import EngineShape
from stepnet.link.messages import COMMIT, HEADER, LOAD, PROTOCOL_VERSION, Answer, Refusal, Request
from stepnet_hdl.blocks.streams import PacketByte
from stepnet_hdl.cores.interface import CoreReading
from stepnet_hdl.link.answers import AnswerWriter
from stepnet_hdl.link.early_pixels import Preview
from stepnet_hdl.link.frames import FrameReceiver, FrameTransmitter
from stepnet_hdl.link.packet_buffer import check_buffer_bytes

IDENTITY_CONSTANTS = ("core", *shape_fields(EngineShape()), "clock_hz")
"""Fields of IDENTITY that only the maker of the chip knows."""

_Header = data.StructLayout({name: 8 * size for name, size in HEADER.fields.items()})
_TARGET_BYTES = LOAD.size - HEADER.size
_DIGEST_BYTES = COMMIT.fields["digest"]


class _Body(enum.Enum, shape=2):
    """Where the bytes after a header go."""

    DROPPED = 0
    LOAD = 1
    DIGEST = 2
    PIXELS = 3


def check_identity(identity: Mapping[str, int]) -> None:
    """Raise ValueError unless exactly `IDENTITY_CONSTANTS` are given."""
    if set(identity) != set(IDENTITY_CONSTANTS):
        raise ValueError(
            f"The identity gives {', '.join(identity) or 'nothing'}; "
            f"give {', '.join(IDENTITY_CONSTANTS)}."
        )


class Endpoint(wiring.Component):
    """Answers the requests of `stepnet.link.messages` one at a time, in the order they came.

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
        request = receiver.packets
        with m.If(self.pixels.ready):
            m.d.sync += pixels_valid.eq(0)
        with m.If(~pixels_valid):
            m.d.sync += pixels.eq(request.p.data)

        ends = request.valid & request.p.last
        header = Signal(_Header)
        byte_index = Signal(2)  # in the header, the target or the digest

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
        # One choice among its bytes does for the digest that is received and the one that is sent.
        digest_index = Mux(asks[Request.COMMIT], byte_index, answers.byte_index)
        digest_byte = digest.word_select(digest_index, 8)
        byte_differs = request.p.data != digest_byte
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
            answers.fields.digest.eq(digest_byte),
            answers.fields.dropped_frames.eq(receiver.dropped_frames),
            answers.fields.code.eq(self.readings.p.code),
            answers.fields.reason.eq(reason),
            *(
                getattr(answers.fields, name).eq(value.word_select(answers.byte_index, 8))
                for name, value in (
                    ("image_bytes", self.image_bytes),
                    ("sequence", header.sequence),
                    ("margin", self.readings.p.margin),
                    ("cycles", self.readings.p.cycles),
                )
            ),
        ]

        m.d.sync += self.clear.eq(forget_network | preview.abort)

        body = Signal(_Body)
        target_taken = Signal()  # of a LOAD; words follow

        is_right = Signal()  # of the request: its length, and for an image that it may come
        m.d.comb += is_right.eq(
            ((asks[Request.IDENTIFY] | asks[Request.CLEAR]) & ~has_body)
            | (asks[Request.LOAD] & body_is_words)
            | (asks[Request.COMMIT] & body_is_digest)
            | (asks[Request.INFER] & has_body & body_is_image & loaded)
        )

        def answer(answer_kind: Answer) -> None:
            m.d.sync += kind.eq(answer_kind)
            m.next = "ANSWER"

        def answer_unless(refused: ValueLike, answer_kind: Answer) -> None:
            m.d.sync += kind.eq(Mux(refused, Answer.REFUSAL, answer_kind))
            m.next = "ANSWER"

        # Without a body BODY lasts one cycle, and no packet follows another so soon.
        takes_body = ~pixels_valid & ((body != _Body.LOAD) | self.load.ready)

        with m.FSM():
            with m.State("HEADER"):
                m.d.comb += [
                    request.ready.eq(1),
                    preview.free.eq(loaded & receiver.empty & (byte_index == 0)),
                ]
                with m.If(request.valid):
                    m.d.sync += [
                        byte_index.eq(byte_index + 1),
                        header.eq(Cat(header.as_value()[8:], request.p.data)),
                        *(asks[kind].eq(header.as_value()[8:16] == kind) for kind in Request),
                        has_body.eq(~request.p.last),
                        body_is_words.eq(receiver.bytes_after > _TARGET_BYTES),
                        body_is_digest.eq(receiver.bytes_after == _DIGEST_BYTES),
                        body_is_image.eq(receiver.bytes_after == self.image_bytes),
                    ]
                    with m.If(byte_index == HEADER.size - 1):
                        m.next = "CHECK"
            with m.State("CHECK"):
                m.d.sync += [
                    byte_index.eq(0),
                    digest_differs.eq(spoiled),
                    kind.eq(Answer.REFUSAL),
                    reason.eq(Refusal.WRONG_LENGTH),
                ]
                with m.If(~Cat(asks.values()).any()):
                    m.d.sync += reason.eq(Refusal.UNKNOWN_KIND)
                with m.If(asks[Request.INFER] & ~loaded):
                    m.d.sync += reason.eq(Refusal.NOTHING_LOADED)
                m.next = "BODY"
                with m.If(~is_right):
                    m.d.sync += body.eq(_Body.DROPPED)
                with m.Elif(asks[Request.COMMIT]):
                    m.d.sync += body.eq(_Body.DIGEST)
                with m.Elif(asks[Request.INFER]):
                    m.d.sync += body.eq(_Body.PIXELS)
                with m.Else():
                    m.d.sync += body.eq(_Body.LOAD)
                    m.next = "FORGET"
                    with m.If(asks[Request.IDENTIFY]):
                        answer(Answer.IDENTITY)
            with m.State("FORGET"):
                m.d.comb += [forget_network.eq(1), forget_words.eq(asks[Request.CLEAR])]
                m.d.sync += [loaded.eq(0), target_taken.eq(0)]
                with m.If(asks[Request.LOAD]):
                    m.next = "BODY"
                with m.Else():
                    answer(Answer.ACKNOWLEDGE)
            with m.State("BODY"):
                m.d.comb += [
                    request.ready.eq(takes_body),
                    self.load.valid.eq(request.valid & (body == _Body.LOAD)),
                    crc.valid.eq(self.load.valid & self.load.ready & target_taken),
                ]
                with m.If(request.valid & takes_body):
                    m.d.sync += [
                        byte_index.eq(byte_index + 1),
                        target_taken.eq(target_taken | (byte_index == _TARGET_BYTES - 1)),
                        digest_differs.eq(digest_differs | byte_differs),
                        pixels_valid.eq((body == _Body.PIXELS) & ~preview.done),
                    ]
                with m.If(~has_body | (ends & takes_body)), m.Switch(body):
                    with m.Case(_Body.LOAD):
                        m.next = "LOAD_END"
                    with m.Case(_Body.DIGEST):
                        m.next = "COMMIT"
                    with m.Case(_Body.PIXELS):
                        m.next = "READING"
                    with m.Default():
                        m.next = "ANSWER"
            with m.State("LOAD_END"):
                m.d.sync += reason.eq(self.load_refusal)
                with m.If(self.load_done):
                    m.next = "LOADED"
            with m.State("LOADED"):
                with m.If(reason != 0):
                    m.d.sync += spoiled.eq(1)
                answer_unless(reason != 0, Answer.ACKNOWLEDGE)
            with m.State("COMMIT"):
                m.d.sync += [loaded.eq(~digest_differs), reason.eq(Refusal.WRONG_DIGEST)]
                answer_unless(digest_differs, Answer.ACKNOWLEDGE)
            with m.State("READING"):
                m.d.comb += preview.forget.eq(1)
                m.d.sync += reason.eq(Refusal.PROGRAM_OVERRUN)
                with m.If(self.readings.valid):
                    m.d.comb += self.readings.ready.eq(self.readings.p.overrun)
                    answer_unless(self.readings.p.overrun, Answer.READING)
            with m.State("ANSWER"):
                # The core holds its reading until it is answered, so it is not copied here.
                m.d.comb += answers.kind.valid.eq(1)
                m.d.sync += byte_index.eq(0)
                with m.If(answers.kind.ready):
                    m.d.comb += self.readings.ready.eq(kind == Answer.READING)
                    m.next = "HEADER"
        return m
