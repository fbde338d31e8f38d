"""The endpoint against a model of the protocol, with a stand-in for the core."""

import random
import zlib

import pytest
from amaranth.hdl import ResetInserter, Signal
from amaranth.sim import Simulator

from stepnet.boards.model import BoardModel, CoreReading
from stepnet.link import messages as protocol
from stepnet.link.frames import FrameReader, encode_frame, window
from stepnet.link.messages import Answer, Refusal, Request
from stepnet_hdl.link.endpoint import IDENTITY_CONSTANTS, Endpoint, check_identity
from streams import CLOCK_PERIOD_S, Bench, Driver, Pauses

pytestmark = pytest.mark.slow

BUFFER_BYTES = 512
IMAGE_BYTES = 5
IDENTITY = {
    "core": 1,
    "simd": 64,
    "max_inputs": 1024,
    "weight_words": 0x12345,
    "parameter_words": 0x1002,
    "max_weight_bits": 8,
    "weight_memory": 1,
    "pe": 4,
    "parameter_lanes": 2,
    "sum_bits": 19,
    "overlap_neurons": 0x123,
    "clock_hz": 24_000_000,
}
CORE_CYCLES = 30

# What the stand-in core does with certain messages.
REFUSED_SPACE = 7
OVERRUN_PIXELS = 0xEE


def code_of(image):
    return zlib.crc32(image) & 0xFF


def cycles_of(image):
    return zlib.crc32(image) & 0xFFFFFF


def margin_of(image):
    return zlib.crc32(image[::-1]) & 0xFFFFFF


def load_refusal_of(body):
    return Refusal.OUT_OF_RANGE if body[3] == REFUSED_SPACE else None


class StandIn:
    """What `Core` does, for the model of the board."""

    def __init__(self, image_bytes):
        self.image_bytes = image_bytes
        self.images = []
        self.load_bodies = []

    def identity_fields(self):
        return {**IDENTITY, "image_bytes": self.image_bytes}

    def load(self, space, address, words):
        self.load_bodies.append(address.to_bytes(3, "little") + bytes([space]) + words)
        return load_refusal_of(self.load_bodies[-1])

    def read(self, digest, image):
        self.images.append(image)
        if image[0] == OVERRUN_PIXELS:
            return Refusal.PROGRAM_OVERRUN
        return CoreReading(code_of(image), margin_of(image), cycles_of(image))


class Core:
    """Stands in for a core: gathers images and loads, answers for each after a while."""

    def __init__(self, bench, dut, pauses, image_bytes):
        self._image_bytes = image_bytes
        self._dut = dut
        self._pauses = pauses
        self.images = []
        self.load_bodies = []
        self.clears = 0
        self.voided = 0  # images
        bench.background(self._run)

    async def _run(self, ctx):
        dut = self._dut
        ctx.set(dut.core.image_bytes, self._image_bytes)
        image, body = bytearray(), bytearray()
        computing = 0  # cycles left
        while True:
            done = 0 < self._image_bytes == len(image) and not computing
            offered = done and not ctx.get(dut.core.tentative)
            ctx.set(dut.core.readings.payload, self._reading(bytes(image)) if offered else {})
            ctx.set(dut.core.readings.valid, offered)
            ready = not self._pauses.cycles() and len(image) < max(1, self._image_bytes)
            ctx.set(dut.core.pixels.ready, ready)
            ctx.set(dut.core.load.ready, ready)
            ctx.set(dut.core.last_pixels, len(image) == self._image_bytes - 1)
            _, _, pixel, pixel_valid, byte, byte_valid, clear, taken = await ctx.tick().sample(
                dut.core.pixels.payload,
                dut.core.pixels.valid,
                dut.core.load.payload,
                dut.core.load.valid,
                dut.core.cancel,
                dut.core.readings.ready,
            )
            computing = max(0, computing - 1)
            if offered and taken:
                self.images.append(bytes(image))
                image.clear()
            if pixel_valid and ready:
                image.append(pixel)
                computing = CORE_CYCLES
            if clear:
                assert not body
                self.voided += bool(image)
                self.clears += 1
                image.clear()
            if byte_valid and ready:
                assert not image
                body.append(byte.data)
                if byte.last:
                    ctx.set(dut.core.load.ready, 0)
                    await self._end_load(ctx, bytes(body))
                    body.clear()

    def _reading(self, image):
        return {
            "code": code_of(image),
            "margin": margin_of(image),
            "cycles": cycles_of(image),
            "overrun": image[0] == OVERRUN_PIXELS,
        }

    async def _end_load(self, ctx, body):
        self.load_bodies.append(body)
        for _ in range(self._pauses.cycles()):
            await ctx.tick()
        ctx.set(self._dut.core.load_done, 1)
        ctx.set(self._dut.core.load_refusal, load_refusal_of(body) or 0)
        await ctx.tick()
        ctx.set(self._dut.core.load_done, 0)


class Session:
    """Sends chunks of wire bytes and compares every answer with the model's.

    Up to `in_flight` requests are sent before an answer has to be there.
    """

    def __init__(
        self, chunks, *, initial_digest=None, image_bytes=IMAGE_BYTES, pauses=0.0, in_flight=1
    ):
        dut = Endpoint(IDENTITY, BUFFER_BYTES, initial_digest=initial_digest)
        bench = Bench(dut, max_cycles=60_000)
        self.core = core = Core(bench, dut, Pauses(pauses, seed=21), image_bytes)
        self.rx = bench.monitor(dut.rx)
        self.tx = bench.sink(dut.tx, Pauses(pauses, seed=22))
        bench.monitor(dut.core.load)
        stand_in = StandIn(image_bytes)
        self.model = model = BoardModel(
            stand_in,
            buffer_bytes=BUFFER_BYTES,
            clock_hz=IDENTITY["clock_hz"],
            built_in_digest=initial_digest,
        )
        self.expected = []
        self.answers = []
        reader = FrameReader()
        answer_reader = FrameReader()
        read = 0

        async def wait_for_answers(ctx, at_most_missing):
            nonlocal read
            while len(self.expected) - len(self.answers) > at_most_missing:
                await ctx.tick()
                received = bytes(self.tx.payloads[read:])
                read += len(received)
                self.answers += answer_reader.feed(received)

        async def testbench(ctx):
            driver = Driver(dut.rx, Pauses(pauses, seed=23))
            for chunk in chunks:
                requests = reader.feed(chunk)
                model.dropped_frames = reader.dropped
                self.expected += [model.answer_to(request) for request in requests]
                await driver.send(ctx, chunk)
                await wait_for_answers(ctx, at_most_missing=in_flight - 1)
            await wait_for_answers(ctx, at_most_missing=0)
            await ctx.tick().repeat(150)
            assert len(self.tx.payloads) == read, "an answer that nobody asked for"
            self.loaded = ctx.get(dut.loaded)

        bench.run(testbench)
        assert self.answers == self.expected
        assert answer_reader.dropped == 0
        assert core.images == stand_in.images
        assert core.load_bodies == stand_in.load_bodies
        assert self.loaded == model.loaded


def request(kind, sequence, body=b""):
    return encode_frame(protocol.HEADER.pack(kind=kind, sequence=sequence) + body)


WORDS = bytes(range(40, 72))
DIGEST = zlib.crc32(WORDS).to_bytes(4, "little")
LOADING = [
    request(Request.CLEAR, 1),
    request(Request.LOAD, 2, b"\x05\x00\x01\x00" + WORDS[:15]),
    request(Request.LOAD, 3, b"\x00\x02\x00\x01" + WORDS[15:16]),
    request(Request.LOAD, 4, b"\x00\x00\x00\x01" + WORDS[16:]),
    request(Request.COMMIT, 5, DIGEST),
]
IMAGES = [bytes([number, 0, 0xFF, 0, 3 * number]) for number in range(6)]


def reasons(answers):
    return [answer[3] for answer in answers if answer[0] == Answer.REFUSAL]


@pytest.mark.parametrize("pauses", [0.0, 0.4])
def test_board_loads_and_infers_with_images_in_flight(pauses):
    session = Session(
        [
            request(Request.IDENTIFY, 0xABCD),
            *LOADING,
            *(request(Request.INFER, 600 + n, image) for n, image in enumerate(IMAGES)),
        ],
        pauses=pauses,
        in_flight=window(BUFFER_BYTES, 100),
    )
    assert [answer[0] for answer in session.answers] == [
        Answer.IDENTITY,
        *[Answer.ACKNOWLEDGE] * 5,
        *[Answer.READING] * 6,
    ]
    assert session.core.clears == 4


def test_identity_says_what_is_loaded_and_what_was_dropped():
    broken = request(Request.IDENTIFY, 9)[1:]
    session = Session(
        [request(Request.IDENTIFY, 8), *LOADING, broken, broken, request(Request.IDENTIFY, 10)]
    )
    before, after = (
        protocol.IDENTITY.unpack(answer)
        for answer in session.answers
        if answer[0] == Answer.IDENTITY
    )
    assert (before["loaded"], before["digest"], before["dropped_frames"]) == (0, 0, 0)
    assert (after["loaded"], after["digest"]) == (1, zlib.crc32(WORDS))
    assert (after["sequence"], after["dropped_frames"]) == (10, 2)
    assert after["image_bytes"] == IMAGE_BYTES
    assert {name: after[name] for name in IDENTITY_CONSTANTS} == IDENTITY


def test_board_infers_only_what_was_committed():
    infer = request(Request.INFER, 50, IMAGES[3])
    wrong_digests = [
        bytes(byte ^ (number == at) for number, byte in enumerate(DIGEST)) for at in range(4)
    ]
    session = Session(
        [
            infer,
            *LOADING[:-1],
            infer,
            *(request(Request.COMMIT, 60 + n, digest) for n, digest in enumerate(wrong_digests)),
            infer,
            request(Request.COMMIT, 7, DIGEST),
            infer,
            request(Request.LOAD, 8, b"\x00\x00\x00\x00!"),
            infer,
            request(Request.COMMIT, 9, zlib.crc32(WORDS + b"!").to_bytes(4, "little")),
            infer,
            request(Request.COMMIT, 10, DIGEST),
            infer,
            *LOADING,
            request(Request.CLEAR, 11),
            infer,
            request(Request.COMMIT, 12, bytes(4)),  # the digest of nothing
            infer,
        ]
    )
    assert reasons(session.answers) == [
        Refusal.NOTHING_LOADED,
        Refusal.NOTHING_LOADED,
        *[Refusal.WRONG_DIGEST] * 4,
        Refusal.NOTHING_LOADED,
        Refusal.NOTHING_LOADED,
        Refusal.WRONG_DIGEST,
        Refusal.NOTHING_LOADED,
        Refusal.NOTHING_LOADED,
    ]


def test_refused_requests_change_nothing():
    unknown = [request(kind, 0x7700 + kind, b"any") for kind in (0x00, 0x06, 0x41, 0x81, 0xFF)]
    unknown.append(request(0x85, 3))
    wrong_length = [
        request(Request.IDENTIFY, 100, b"!"),
        request(Request.CLEAR, 101, b"!"),
        *(request(Request.LOAD, 200 + size, bytes(size)) for size in (0, 1, 3, 4)),
        *(request(Request.COMMIT, 300 + size, bytes(size)) for size in (0, 3, 5, 20)),
        *(
            request(Request.INFER, 400 + size, bytes(size))
            for size in (0, 1, IMAGE_BYTES - 1, IMAGE_BYTES + 1, IMAGE_BYTES + 256)
        ),
    ]
    still_loaded = request(Request.INFER, 500, IMAGES[1])
    session = Session([*LOADING, *unknown, *wrong_length, still_loaded], in_flight=4)
    assert reasons(session.answers) == (
        [Refusal.UNKNOWN_KIND] * len(unknown) + [Refusal.WRONG_LENGTH] * len(wrong_length)
    )
    assert session.answers[-1][0] == Answer.READING


def test_refusals_of_the_core_are_passed_on():
    overrun = bytes([OVERRUN_PIXELS, 1, 2, 3, 4])
    session = Session(
        [
            *LOADING,
            request(Request.INFER, 20, overrun),
            request(Request.INFER, 21, IMAGES[2]),
            request(Request.LOAD, 22, bytes([0, 0, 0, REFUSED_SPACE, 1])),
            *LOADING,
            request(Request.INFER, 23, IMAGES[2]),
        ]
    )
    assert reasons(session.answers) == [Refusal.PROGRAM_OVERRUN, Refusal.OUT_OF_RANGE]


def test_a_refused_load_cannot_be_committed():
    body = bytes([0, 0, 0, REFUSED_SPACE, 1])
    digest = zlib.crc32(body[4:]).to_bytes(4, "little")
    session = Session(
        [
            request(Request.CLEAR, 1),
            request(Request.LOAD, 2, body),
            request(Request.COMMIT, 3, digest),
            request(Request.INFER, 4, IMAGES[2]),
            *LOADING,
            request(Request.INFER, 5, IMAGES[2]),
        ]
    )
    assert reasons(session.answers) == [
        Refusal.OUT_OF_RANGE,
        Refusal.WRONG_DIGEST,
        Refusal.NOTHING_LOADED,
    ]


def test_image_without_bytes_is_refused():
    session = Session([*LOADING, request(Request.INFER, 30)], image_bytes=0)
    assert reasons(session.answers) == [Refusal.WRONG_LENGTH]


@pytest.mark.parametrize("pauses", [0.0, 0.4])
def test_an_image_whose_frame_is_broken_at_the_end_was_never_there(pauses):
    good = [request(Request.INFER, 40 + n, image) for n, image in enumerate(IMAGES)]
    # A wrong CRC, a byte too many, one too few, and a frame that is cut short.
    longer = request(Request.INFER, 98, IMAGES[0] + b"!")
    shorter = request(Request.INFER, 97, IMAGES[0][:-1])
    wrong_crc = bytearray(good[0])
    wrong_crc[-2] ^= 0x10
    cut = good[1][:-4] + b"\0"
    chunks = [*LOADING]
    for broken, whole in zip((bytes(wrong_crc), longer, shorter, cut), good, strict=False):
        chunks += [broken, whole]
    session = Session(chunks, pauses=pauses)
    # A core that pauses misses pixels, and then the image goes the usual way.
    assert session.core.voided >= (1 if pauses else 3)
    assert [answer[0] for answer in session.answers].count(Answer.READING) == 4
    assert reasons(session.answers) == [Refusal.WRONG_LENGTH] * 2


def test_initial_network_is_loaded_until_something_else_is():
    digest = 0x8BADF00D
    session = Session(
        [
            request(Request.IDENTIFY, 1),
            request(Request.INFER, 2, IMAGES[1]),
            request(Request.COMMIT, 3, digest.to_bytes(4, "little")),
            request(Request.INFER, 4, IMAGES[2]),
            request(Request.CLEAR, 5),
            request(Request.INFER, 6, IMAGES[2]),
            request(Request.COMMIT, 7, digest.to_bytes(4, "little")),
            *LOADING,
            request(Request.INFER, 8, IMAGES[3]),
        ],
        initial_digest=digest,
    )
    assert reasons(session.answers) == [Refusal.NOTHING_LOADED, Refusal.WRONG_DIGEST]


def test_reset_brings_no_initial_network_back_that_was_written_over():
    """The memories keep what they hold when all else is reset."""
    reset = Signal()
    dut = Endpoint(IDENTITY, BUFFER_BYTES, initial_digest=0x8BADF00D)
    loaded = []

    async def send(ctx, frame):
        await Driver(dut.rx).send(ctx, frame)
        await ctx.tick().repeat(300)
        loaded.append(ctx.get(dut.loaded))

    async def reset_it(ctx):
        ctx.set(reset, 1)
        await ctx.tick().repeat(3)
        ctx.set(reset, 0)
        await ctx.tick().repeat(3)
        loaded.append(ctx.get(dut.loaded))

    async def testbench(ctx):
        ctx.set(dut.tx.ready, 1)
        await send(ctx, request(Request.IDENTIFY, 1))
        await reset_it(ctx)
        await send(ctx, request(Request.CLEAR, 2))
        await reset_it(ctx)

    simulator = Simulator(ResetInserter(reset)(dut))
    simulator.add_clock(CLOCK_PERIOD_S)
    simulator.add_testbench(testbench)
    simulator.run()
    assert loaded == [1, 1, 0, 0]


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
def test_noise_gets_no_answer_and_hangs_nothing(seed):
    source = random.Random(seed)

    def bytes_of(length):
        return bytes(source.choice((0, source.randrange(256))) for _ in range(length))

    def good():
        kind = source.choice((*Request, source.randrange(256)))
        body = bytes_of(source.choice((0, 0, 1, 4, 4, 5, 5, 9)))
        return request(kind, source.randrange(1 << 16), body)

    def mutated():
        frame = bytearray(source.choice((good(), *LOADING)))
        match source.randrange(4):
            case 0:
                frame[source.randrange(len(frame))] ^= 1 << source.randrange(8)
            case 1:
                del frame[source.randrange(len(frame))]
            case 2:
                frame.insert(source.randrange(len(frame)), source.randrange(256))
            case 3:
                frame += bytes_of(source.randrange(20))
        return bytes(frame)

    chunks = []
    for _ in range(18):
        chunks.append(source.choice((good, mutated, mutated))())
        if source.random() < 0.1:
            chunks += LOADING
    chunks += [b"\0", request(Request.IDENTIFY, 0xFFFF), *LOADING]
    chunks += [request(Request.INFER, 1, IMAGES[4])]
    session = Session(chunks, pauses=0.1 * (seed == 0))
    assert session.model.dropped_frames > 5
    assert session.answers[-1][0] == Answer.READING


def test_board_keeps_its_published_cycles():
    def cycles(size, body_bytes=0, core=0, more=0):
        return 2 * size + Endpoint.ANSWER_CYCLES + body_bytes + core + more

    expected = {
        request(Request.IDENTIFY, 1): cycles(protocol.IDENTITY.size),
        request(Request.CLEAR, 2): cycles(protocol.ACKNOWLEDGE.size, more=1),
        request(Request.LOAD, 3, bytes(4) + WORDS): cycles(
            protocol.ACKNOWLEDGE.size, 4 + len(WORDS), core=1, more=2
        ),
        request(Request.COMMIT, 4, DIGEST): cycles(protocol.ACKNOWLEDGE.size, 4, more=1),
        request(Request.INFER, 5, IMAGES[1]): cycles(
            protocol.READING.size, core=CORE_CYCLES + 1 - Endpoint.PREVIEW_CYCLES
        ),
        request(0xFF, 6): cycles(protocol.REFUSAL.size, more=1),
        request(0xFF, 7, b"abc"): cycles(protocol.REFUSAL.size, 3),
    }
    session = Session(expected)
    asked = session.rx.ends()
    answered = [session.tx.cycles[0]]
    answered += [
        next(cycle for cycle in session.tx.cycles if cycle > end) for end in session.tx.ends()[:-1]
    ]
    measured = [answer - end for answer, end in zip(answered, asked, strict=True)]
    assert measured == list(expected.values())


def test_identity_has_to_be_complete():
    with pytest.raises(ValueError, match="simd") as error:
        check_identity({"core": 1, "speed": 2})
    assert str(error.value) == (
        "The identity gives core, speed; give core, simd, max_inputs, weight_words, "
        "parameter_words, max_weight_bits, weight_memory, pe, parameter_lanes, sum_bits, "
        "overlap_neurons, clock_hz."
    )
