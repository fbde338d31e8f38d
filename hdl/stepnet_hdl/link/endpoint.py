"""The board's end of the link: takes requests, drives the core, and answers."""

from collections.abc import Mapping

from amaranth.hdl import Module, Mux, Signal, Value, ValueLike
from amaranth.lib import enum, stream, wiring
from amaranth.lib.wiring import In, Out

from stepnet.boards.identity import SHAPE_FIELDS
from stepnet.link.messages import HEADER, PROTOCOL_VERSION, Answer, Coding, Core, Refusal
from stepnet_hdl.cores.interface import CorePorts, CoreSignature
from stepnet_hdl.link.answers import AnswerWriter
from stepnet_hdl.link.frames import FrameReceiver, FrameTransmitter
from stepnet_hdl.link.loaded_digest import LoadedDigest
from stepnet_hdl.link.packet_buffer import check_buffer_bytes
from stepnet_hdl.link.pixel_path import PIXEL_CYCLES, PixelPath
from stepnet_hdl.link.requests import TARGET_BYTES, RequestHeader

IDENTITY_CONSTANTS = ("core", *SHAPE_FIELDS, "clock_hz")
"""Fields of IDENTITY that the maker of the chip has to give; `map_words` may come on top."""


class _Body(enum.Enum, shape=2):
    """What becomes of the bytes after a header."""

    DROPPED = 0
    LOAD = 1
    DIGEST = 2
    PIXELS = 3


def check_identity(identity: Mapping[str, int]) -> None:
    """Raise ValueError unless exactly `IDENTITY_CONSTANTS` are given, and perhaps `map_words`."""
    if set(identity) - {"map_words"} != set(IDENTITY_CONSTANTS):
        raise ValueError(
            f"The identity gives {', '.join(identity) or 'nothing'}; "
            f"give {', '.join(IDENTITY_CONSTANTS)}."
        )


class _State:
    """What the endpoint remembers of the request that it is dealing with."""

    def __init__(self, *, loaded_at_first: bool) -> None:
        self.byte_index = Signal(2)
        """Which byte of the header, the target or the digest comes next."""
        self.body = Signal(_Body)
        self.target_taken = Signal()
        """The bytes that come are those of a LOAD's words."""
        self.digest_differs = Signal()
        """The digest that came is another one, or `spoiled` is 1."""
        self.differs = Signal()
        """`digest_differs`, or the byte that was taken last is another one than ours."""
        self.spoiled = Signal()
        """Since the last CLEAR there were words that never reached the memories."""
        self.loaded = Signal(init=loaded_at_first)
        self.answer = Signal(Answer, init=Answer.ACKNOWLEDGE)
        self.reason = Signal(8)
        self.unload = Signal()
        """1 for one cycle: what is loaded does not count any more."""


class Endpoint(wiring.Component):
    """Answers the requests of `stepnet.link.messages` one at a time, in the order they came.

    Every request that arrives in a good frame gets exactly one answer with its sequence number;
    broken frames get none and are counted. A request refused for its kind or length changes
    nothing.

    - IDENTIFY is answered by IDENTITY.
    - CLEAR forgets the network and starts the digest anew; ACKNOWLEDGE.
    - LOAD forgets that a network is loaded, passes everything after the header to the core, and
      takes the memory words into the digest, a CRC-32 over all LOADs since CLEAR; then ACKNOWLEDGE,
      or the core's refusal.
    - COMMIT makes a network count as loaded if the digest is right and the core refused no LOAD
      since CLEAR; ACKNOWLEDGE. If not, no network is loaded; WRONG_DIGEST.
    - INFER gives the image to the core; then READING, or PROGRAM_OVERRUN. Without a loaded network
      it is refused with NOTHING_LOADED.
    - INFER_CODED is an INFER when it reaches the receive buffer; without `coded_images` its kind is
      unknown.

    For a core that takes no loads CLEAR, LOAD and COMMIT are unknown kinds, and what they need is
    left out of the gateware.

    The first byte of an answer is offered `2 * size + ANSWER_CYCLES` cycles after the request's
    closing zero was taken, if nothing came before; `size` is that of the answer's layout. To that
    come a cycle for every byte of the request's body, or `PIXEL_CYCLES` for every byte of an image
    that was not given to the core before its frame ended; the time that the core takes; one cycle
    for CLEAR, for COMMIT and for the refusal of a request without a body, and two for LOAD. `rx`
    waits as `FrameReceiver` says, so behind a UART of 4 cycles per bit and more nothing is lost.

    identity: values of `IDENTITY_CONSTANTS`; ValueError if one is missing or unknown.
    buffer_bytes: size of the receive buffer; BuildError if it is not in
        `packet_buffer.BUFFER_BYTES`.
    initial_digest: digest of a network that the core holds at power-on; None if it holds none. That
        network is loaded until the first CLEAR or LOAD; a reset after that leaves nothing loaded.
    takes_loads: whether the core can be loaded. ValueError if it cannot and there is no
        `initial_digest`.
    answers_in_luts: the plan of the answers takes some 100 LUTs instead of a block RAM.
    coded_images: it takes images as `stepnet.link.pixel_coding` codes them, too, and says so in
        IDENTITY.
    """

    ANSWER_CYCLES = 21
    """Cycles from the closing zero of a request to its answer, beside what the two sizes take."""

    PREVIEW_CYCLES = 13
    """Cycles by which a reading comes earlier if the core has all pixels before the frame ends."""

    PIXEL_CYCLES = PIXEL_CYCLES

    rx: stream.Interface
    """Stream of 8 bits, in: what came over the wire."""
    tx: stream.Interface
    """Stream of 8 bits, out: what goes over the wire."""
    core: CorePorts
    """`CorePorts`, in: the core, from the link's side. It gets only as many pixels as an image has,
    and those of the next image only after the reading, or early as `Preview` says. A reading is
    taken once it is answered."""
    loaded: Signal
    """1 bit, out: a network is loaded."""

    def __init__(
        self,
        identity: Mapping[str, int],
        buffer_bytes: int,
        *,
        initial_digest: int | None = None,
        takes_loads: bool = True,
        answers_in_luts: bool = False,
        coded_images: bool = False,
    ) -> None:
        check_identity(identity)
        if not takes_loads and initial_digest is None:
            raise ValueError("A core that takes no loads holds a network; give its digest.")
        check_buffer_bytes(buffer_bytes)
        self.identity = dict(identity)
        self.buffer_bytes = buffer_bytes
        self.initial_digest = initial_digest
        self.takes_loads = takes_loads
        self.answers_in_luts = answers_in_luts
        self.coded_images = coded_images
        self.counts_spikes = identity["core"] == Core.SPIKING
        super().__init__(
            {
                "rx": In(stream.Signature(8)),
                "tx": Out(stream.Signature(8)),
                "core": In(CoreSignature(spikes=self.counts_spikes)),
                "loaded": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.receiver = receiver = FrameReceiver(
            self.buffer_bytes, coded_images=self.coded_images
        )
        m.submodules.header = header = RequestHeader()
        m.submodules.pixel_path = pixel_path = PixelPath()
        m.submodules.answers = answers = AnswerWriter(
            self._answer_constants(), in_luts=self.answers_in_luts, spikes=self.counts_spikes
        )
        m.submodules.transmitter = transmitter = FrameTransmitter()
        wiring.connect(m, wiring.flipped(self.rx), receiver.bytes)
        wiring.connect(m, answers.packets, transmitter.packets)
        wiring.connect(m, transmitter.bytes, wiring.flipped(self.tx))
        state = _State(loaded_at_first=self.initial_digest is not None)
        self._connect_pixels(m, state, receiver, pixel_path)
        m.d.comb += [
            header.packets.p.eq(receiver.packets.p),
            header.bytes_after.eq(receiver.bytes_after),
            header.image_bytes.eq(self.core.image_bytes),
            *([receiver.image_bytes.eq(self.core.image_bytes)] if self.coded_images else []),
            self.core.load.p.eq(receiver.packets.p),
        ]
        digest = self._keep_digest(m, state, receiver, header, answers)
        self._remember_loading(m, state, digest)
        self._give_fields(m, state, receiver, header, answers, digest)
        self._dispatch(m, state, receiver, header, answers, pixel_path, digest)
        return m

    def _answer_constants(self) -> dict[str, int]:
        """Return the fields of the answers that never change."""
        constants = {
            **self.identity,
            "protocol_version": PROTOCOL_VERSION,
            "buffer_bytes": self.buffer_bytes,
        }
        if self.coded_images:
            constants["codings"] = Coding.GROUPS
        if not self.takes_loads and self.initial_digest is not None:
            constants |= {"loaded": 1, "digest": self.initial_digest}
        return constants

    def _connect_pixels(
        self, m: Module, state: _State, receiver: FrameReceiver, pixel_path: PixelPath
    ) -> None:
        core = self.core
        m.d.comb += [
            pixel_path.frame_byte.eq(receiver.byte),
            pixel_path.frame_byte_taken.eq(receiver.byte_taken),
            pixel_path.frame_dropped.eq(receiver.dropped),
            pixel_path.packet_byte.eq(receiver.packets.p.data),
            pixel_path.packet_is_image.eq(state.body == _Body.PIXELS),
            pixel_path.last_pixels.eq(core.last_pixels),
            core.pixels.p.eq(pixel_path.pixels.p),
            core.pixels.valid.eq(pixel_path.pixels.valid),
            pixel_path.pixels.ready.eq(core.pixels.ready),
            core.tentative.eq(pixel_path.tentative),
        ]

    def _keep_digest(
        self,
        m: Module,
        state: _State,
        receiver: FrameReceiver,
        header: RequestHeader,
        answers: AnswerWriter,
    ) -> LoadedDigest | None:
        """Add what COMMIT compares with and return it; None for a core that takes no loads."""
        if not self.takes_loads:
            return None
        m.submodules.digest = digest = LoadedDigest(self.initial_digest)
        load = self.core.load
        commits = header.asked.commit
        m.d.comb += [
            digest.word_byte.eq(receiver.packets.p.data),
            digest.word_byte_taken.eq(load.valid & load.ready & state.target_taken),
            digest.restart.eq(state.unload & header.asked.clear),
            digest.unload.eq(state.unload),
            # One choice among its bytes does for the digest that comes and the one that is sent.
            digest.byte_index.eq(Mux(commits, state.byte_index, answers.byte_index)),
        ]
        # A byte is compared in the cycle after it was taken, because the digest's comes from far.
        taken, wanted = Signal(8, reset_less=True), Signal(8, reset_less=True)
        compares = Signal()
        packets = receiver.packets
        m.d.sync += [
            taken.eq(packets.p.data),
            wanted.eq(digest.byte),
            compares.eq(packets.valid & packets.ready),
            state.digest_differs.eq(state.differs),
        ]
        m.d.comb += state.differs.eq(state.digest_differs | (compares & (taken != wanted)))
        return digest

    def _remember_loading(self, m: Module, state: _State, digest: LoadedDigest | None) -> None:
        m.d.comb += self.loaded.eq(state.loaded)
        if digest is None:
            return
        with m.If(digest.restart):
            m.d.sync += state.spoiled.eq(0)
        with m.If(state.unload):
            m.d.sync += state.loaded.eq(0)
        if self.initial_digest is not None:
            # A reset after power-on does not bring back what the memories held.
            starts = Signal(init=1)
            m.d.sync += starts.eq(0)
            with m.If(starts):
                m.d.sync += state.loaded.eq(digest.untouched)

    def _give_fields(
        self,
        m: Module,
        state: _State,
        receiver: FrameReceiver,
        header: RequestHeader,
        answers: AnswerWriter,
        digest: LoadedDigest | None,
    ) -> None:
        """Offer the answers what they may say."""
        reading = self.core.readings.p
        several_bytes = {
            "image_bytes": self.core.image_bytes,
            "sequence": header.sequence,
            "margin": reading.margin,
            "cycles": reading.cycles,
            **({"spikes": reading.spikes} if self.counts_spikes else {}),
        }
        fields: dict[str, Value] = {
            name: value.word_select(answers.byte_index, 8) for name, value in several_bytes.items()
        }
        fields["dropped_frames"] = receiver.dropped_frames
        fields["code"] = reading.code
        fields["reason"] = state.reason
        if digest is not None:
            fields["loaded"] = state.loaded
            fields["digest"] = digest.byte
        for name, value in fields.items():
            m.d.comb += getattr(answers.fields, name).eq(value)
        m.d.comb += answers.kind.p.eq(state.answer)

    def _dispatch(
        self,
        m: Module,
        state: _State,
        receiver: FrameReceiver,
        header: RequestHeader,
        answers: AnswerWriter,
        pixel_path: PixelPath,
        digest: LoadedDigest | None,
    ) -> None:
        """Add the states of a request: its header, its body, what comes of it, and its answer."""
        core = self.core
        m.d.sync += core.cancel.eq(state.unload | pixel_path.cancel)
        with m.FSM():
            self._take_header(m, state, receiver, header, pixel_path)
            self._take_body(m, state, receiver, header, pixel_path, digest)
            if digest is not None:
                self._end_loading(m, state, header)
            with m.State("READING"):
                m.d.comb += pixel_path.packet_ends.eq(1)
                m.d.sync += state.reason.eq(Refusal.PROGRAM_OVERRUN)
                with m.If(core.readings.valid):
                    m.d.comb += core.readings.ready.eq(core.readings.p.overrun)
                    _answer_unless(m, state, core.readings.p.overrun, Answer.READING)
            with m.State("ANSWER"):
                # The core holds its reading until it is answered, so it is not copied here.
                m.d.comb += answers.kind.valid.eq(1)
                m.d.sync += state.byte_index.eq(0)
                with m.If(answers.kind.ready):
                    m.d.comb += core.readings.ready.eq(state.answer == Answer.READING)
                    m.next = "HEADER"

    def _take_header(
        self,
        m: Module,
        state: _State,
        receiver: FrameReceiver,
        header: RequestHeader,
        pixel_path: PixelPath,
    ) -> None:
        packets, asked = receiver.packets, header.asked
        is_right = asked.identify & ~header.has_body
        is_right |= asked.infer & header.has_body & header.body_is_image & state.loaded
        known = asked.identify | asked.infer
        if self.takes_loads:
            is_right |= asked.clear & ~header.has_body
            is_right |= (asked.load & header.body_is_words) | (asked.commit & header.body_is_digest)
            known = Value.cast(asked).any()

        with m.State("HEADER"):
            at_start = state.byte_index == 0
            m.d.comb += [
                packets.ready.eq(1),
                header.packets.valid.eq(packets.valid),
                pixel_path.free.eq(state.loaded & receiver.empty & at_start),
            ]
            with m.If(packets.valid):
                m.d.sync += state.byte_index.eq(state.byte_index + 1)
                with m.If(state.byte_index == HEADER.size - 1):
                    m.next = "CHECK"
        with m.State("CHECK"):
            m.d.sync += [
                state.byte_index.eq(0),
                state.digest_differs.eq(state.spoiled),
                state.answer.eq(Answer.REFUSAL),
                state.reason.eq(Refusal.WRONG_LENGTH),
            ]
            with m.If(~known):
                m.d.sync += state.reason.eq(Refusal.UNKNOWN_KIND)
            with m.If(asked.infer & ~state.loaded):
                m.d.sync += state.reason.eq(Refusal.NOTHING_LOADED)
            m.next = "BODY"
            with m.If(~is_right):
                m.d.sync += state.body.eq(_Body.DROPPED)
            with m.Elif(asked.commit):
                m.d.sync += state.body.eq(_Body.DIGEST)
            with m.Elif(asked.infer):
                m.d.sync += state.body.eq(_Body.PIXELS)
            with m.Else():
                m.d.sync += state.body.eq(_Body.LOAD)
                if self.takes_loads:
                    m.next = "UNLOAD"
                with m.If(asked.identify):
                    m.d.sync += state.answer.eq(Answer.IDENTITY)
                    m.next = "ANSWER"

    def _take_body(
        self,
        m: Module,
        state: _State,
        receiver: FrameReceiver,
        header: RequestHeader,
        pixel_path: PixelPath,
        digest: LoadedDigest | None,
    ) -> None:
        packets, load = receiver.packets, self.core.load
        is_load = state.body == _Body.LOAD
        # Without a body BODY lasts one cycle, and no packet follows another so soon.
        may_take = pixel_path.packet_ready & (~is_load | load.ready)
        taken = packets.valid & may_take
        ends = ~header.has_body | (taken & packets.p.last)
        with m.State("BODY"):
            m.d.comb += [
                packets.ready.eq(may_take),
                pixel_path.packet_byte_taken.eq(taken),
            ]
            with m.If(taken):
                m.d.sync += state.byte_index.eq(state.byte_index + 1)
            if digest is not None:
                m.d.comb += load.valid.eq(packets.valid & is_load)
                with m.If(taken):
                    at_last_of_target = state.byte_index == TARGET_BYTES - 1
                    m.d.sync += state.target_taken.eq(state.target_taken | at_last_of_target)
            with m.If(ends), m.Switch(state.body):
                if digest is not None:
                    with m.Case(_Body.LOAD):
                        m.next = "LOAD_END"
                    with m.Case(_Body.DIGEST):
                        m.next = "COMMIT"
                with m.Case(_Body.PIXELS):
                    m.next = "READING"
                with m.Default():
                    m.next = "ANSWER"

    def _end_loading(self, m: Module, state: _State, header: RequestHeader) -> None:
        """Add the states of CLEAR, LOAD and COMMIT that take no bytes."""
        core = self.core
        with m.State("UNLOAD"):
            m.d.comb += state.unload.eq(1)
            m.d.sync += state.target_taken.eq(0)
            m.next = "BODY"
            with m.If(header.asked.clear):
                m.d.sync += state.answer.eq(Answer.ACKNOWLEDGE)
                m.next = "ANSWER"
        with m.State("LOAD_END"):
            m.d.sync += state.reason.eq(core.load_refusal)
            with m.If(core.load_done):
                m.next = "LOADED"
        with m.State("LOADED"):
            with m.If(state.reason != 0):
                m.d.sync += state.spoiled.eq(1)
            _answer_unless(m, state, state.reason != 0, Answer.ACKNOWLEDGE)
        with m.State("COMMIT"):
            m.d.sync += [
                state.loaded.eq(~state.differs),
                state.reason.eq(Refusal.WRONG_DIGEST),
            ]
            _answer_unless(m, state, state.differs, Answer.ACKNOWLEDGE)


def _answer_unless(m: Module, state: _State, refused: ValueLike, answer: Answer) -> None:
    m.d.sync += state.answer.eq(Mux(refused, Answer.REFUSAL, answer))
    m.next = "ANSWER"
