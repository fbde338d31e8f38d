"""The whole chip through its serial pins, against a model of the board."""

import itertools
import random
from collections.abc import Iterator
from typing import Any

import cocotb
import numpy as np

from stepnet.link.frames import BUFFER_OVERHEAD_BYTES, CRC_BYTES, FrameReader, encode_frame
from stepnet.link.messages import (
    COMMIT,
    HEADER,
    INFER,
    LOAD,
    REFUSAL,
    Answer,
    Refusal,
    Request,
    Space,
)
from stepnet.link.pixel_coding import code_images
from stepnet.link.serial_line import divisor_for
from stepnet.networks.network import Readout
from stepnet.networks.random_networks import random_network
from stepnet_sim.benches.chip_model import ChipModel
from stepnet_sim.benches.coverage import cover
from stepnet_sim.benches.designs import CHIP
from stepnet_sim.benches.networks import Program
from stepnet_sim.benches.serial import SerialDriver, SerialMonitor
from stepnet_sim.benches.streams import (
    CLOCK_PS,
    IDLE_SHARES,
    Part,
    Pauses,
    Scoreboard,
    seeded_random,
    start,
)

NETWORKS = (((40, 9, 8), (1, 3), Readout.BITS), ((13, 7), (2,), Readout.TREE))
"""Layer sizes, weight bits and readout."""

IMAGES = 2

LOAD_BYTES = 48
"""Memory words per LOAD: few, so that a network takes several."""

PACES = ((False, 0.0), *((True, idle_share) for idle_share in IDLE_SHARES))
"""Whether several requests are in flight, and how much of the time the serial line pauses."""

DIVISOR = int(divisor_for(CHIP.clock_hz, CHIP.baud))

ANSWER_CYCLES = 60 * 10 * DIVISOR
"""More cycles than the longest answer takes."""

QUIET_CYCLES = ANSWER_CYCLES


class Host:
    """Sends requests over the serial pins; what has to come back is known from the model.

    in_flight: whether requests are sent as far as the board's buffer goes, or one at a time.
    """

    def __init__(self, chip: Part, model: ChipModel, pauses: Pauses, in_flight: bool) -> None:
        self.model = model
        self.frames = FrameReader()
        self.scoreboard = Scoreboard("answers")
        self._in_flight = in_flight
        self._sequences = itertools.count(1)
        self._driver = SerialDriver(chip.clk, chip.rx_pin, DIVISOR * CLOCK_PS, pauses)
        self._sizes: list[int] = []
        self._tx_pin = chip.tx_pin

    def listen(self) -> None:
        """Compare what comes from now on with what has to come."""
        SerialMonitor(self._tx_pin, DIVISOR * CLOCK_PS, self._take)

    def _take(self, byte: int) -> None:
        for payload in self.frames.feed(bytes([byte])):
            self.scoreboard.check(self.model.without_cycles(payload))

    async def ask(self, kind: int, fields: bytes = b"") -> None:
        """Send one request: its kind, and the bytes behind its header."""
        payload = HEADER.pack(kind=kind, sequence=next(self._sequences)) + fields
        packet = self.model.packet_of(payload)
        await self._until_free(len(packet) + CRC_BYTES + BUFFER_OVERHEAD_BYTES)
        answer = self.model.answer_to(payload)
        self._cover(kind, answer)
        self.scoreboard.expect(answer)
        await self._send(encode_frame(payload))

    def _cover(self, kind: int, answer: bytes) -> None:
        cover("chip: frame", "good")
        cover("chip: requests in flight", "several" if self.scoreboard.outstanding else "one")
        if kind in set(Request):
            cover("chip: request", Request(kind).name)
        answer_kind = Answer(answer[0])
        cover("chip: answer", answer_kind.name)
        if answer_kind is Answer.REFUSAL:
            cover("chip: refusal", Refusal(REFUSAL.unpack(answer)["reason"]).name)

    async def disturb(self, noise: bytes, broken_frames: int) -> None:
        """Send bytes that hold no good frame but so many broken ones, once all is answered."""
        await self.answered()
        self.model.dropped_frames += broken_frames
        if broken_frames:
            cover("chip: frame", "broken")
        await self._send(noise)

    async def _send(self, data: bytes) -> None:
        await self._driver.align()
        await self._driver.send(data)

    async def answered(self) -> None:
        """Wait until all requests are answered."""
        await self._wait(down_to=0)

    async def _until_free(self, size: int) -> None:
        """Wait until so many bytes of the board's buffer are certainly free."""
        unanswered = self._sizes[len(self._sizes) - self.scoreboard.outstanding :]
        allowed = len(unanswered) if self._in_flight else 0
        while allowed and sum(unanswered[-allowed:]) + size > CHIP.buffer_bytes:
            allowed -= 1
        await self._wait(down_to=allowed)
        self._sizes.append(size)

    async def _wait(self, down_to: int) -> None:
        answers = self.scoreboard.outstanding - down_to
        if answers > 0:
            await self.scoreboard.drained(answers * ANSWER_CYCLES, down_to=down_to)


def load_requests(program: Program) -> Iterator[bytes]:
    """The bytes behind the header of each LOAD that loads a network."""
    for load in program.memory.loads(LOAD_BYTES):
        place = LOAD.pack(kind=0, sequence=0, address=load.address, space=load.space)
        yield place[HEADER.size :] + load.words


def digest_field(digest: int) -> bytes:
    """The bytes behind the header of a COMMIT."""
    return COMMIT.pack(kind=0, sequence=0, digest=digest)[HEADER.size :]


async def load(host: Host, program: Program) -> None:
    await host.ask(Request.CLEAR)
    for fields in load_requests(program):
        await host.ask(Request.LOAD, fields)
    await host.ask(Request.COMMIT, digest_field(program.memory.digest))


async def ask_what_is_refused(host: Host, image: bytes, rng: random.Random) -> None:
    """Requests that are refused and change nothing, whatever is loaded."""
    await host.ask(rng.choice((0x00, 0x07, 0x7F, 0xFF)), rng.randbytes(rng.randrange(9)))
    await host.ask(Request.IDENTIFY, b"\0")
    await host.ask(Request.CLEAR, rng.randbytes(4))
    await host.ask(Request.LOAD, bytes(rng.randrange(5)))
    await host.ask(Request.COMMIT, bytes(rng.choice((0, 3, 5))))
    await host.ask(Request.INFER, image[:-1])
    await host.ask(Request.INFER, image + b"\0")
    await host.ask(Request.INFER)


async def send_broken_frames(host: Host, image: bytes, rng: random.Random) -> None:
    """Frames that would be good but for their damage; the board has to stay silent."""
    frame = encode_frame(INFER.pack(kind=Request.INFER, sequence=0xBAD) + image)
    place = rng.randrange(len(frame) - 1)
    other = rng.choice([byte for byte in range(1, 256) if byte != frame[place]])
    await host.disturb(frame[:place] + bytes([other]) + frame[place + 1 :], 1)
    await host.disturb(frame[: rng.randrange(1, len(frame) - 1)] + b"\0", 1)
    await host.disturb(encode_frame(b"\1\2"), 1)
    await host.disturb(b"\xff" * (CHIP.buffer_bytes + 8) + b"\0", 1)
    await host.disturb(b"\0\0\0", 0)


async def ask_coded(host: Host, image: bytes) -> None:
    """Images in their coding, one right behind another, and what only looks like one. The network
    that is loaded has to be known to the board by then."""
    bodies = [image, bytes(len(image)), b"\xff" * len(image), image[:-1] + b"\0"]
    coded = code_images(np.array([list(body) for body in bodies], np.uint8))
    for each in coded:
        await host.ask(Request.INFER_CODED, each)
    await host.ask(Request.INFER_CODED, coded[2][:-1])
    await host.ask(Request.INFER_CODED, coded[0] + b"\0")
    await host.ask(Request.INFER_CODED, coded[1] + coded[2])


@cocotb.test()
@cocotb.parametrize((("in_flight", "idle_share"), PACES))
async def every_request_gets_its_answer_and_nothing_else_comes(
    dut: Any, in_flight: bool, idle_share: float
) -> None:
    cover("chip: serial line", "pausing" if idle_share else "busy")
    rng = seeded_random()
    chip = Part(dut, "chip")
    numbers = np.random.default_rng(rng.getrandbits(32))
    programs = [Program(random_network(numbers, *sizes), CHIP.shape) for sizes in NETWORKS]
    model = ChipModel(CHIP, programs)
    host = Host(chip, model, Pauses(rng, idle_share), in_flight)
    await start(dut)
    host.listen()

    await host.ask(Request.IDENTIFY)
    await host.ask(Request.INFER, bytes(5))
    for program in programs:
        images = program.random_images(numbers, IMAGES)
        await load(host, program)
        await host.ask(Request.INFER, images[0])
        await ask_what_is_refused(host, images[0], rng)
        await send_broken_frames(host, images[0], rng)
        await host.ask(Request.IDENTIFY)
        await ask_coded(host, images[0])
        for image in images:
            await host.ask(Request.INFER, image)
        await host.answered()
        assert chip.character.value.to_unsigned() == model.character
        assert chip.loaded.value == 1

    await host.ask(Request.COMMIT, digest_field(programs[0].memory.digest))
    await host.ask(Request.INFER, bytes(2))
    await host.answered()
    assert chip.loaded.value == 0
    await host.scoreboard.finished(dut.clk, ANSWER_CYCLES, QUIET_CYCLES)
    assert host.frames.dropped == 0


@cocotb.test()
@cocotb.parametrize(idle_share=IDLE_SHARES)
async def what_the_engine_cannot_take_is_refused(dut: Any, idle_share: float) -> None:
    cover("chip: serial line", "pausing" if idle_share else "busy")
    rng = seeded_random()
    chip = Part(dut, "chip")
    numbers = np.random.default_rng(rng.getrandbits(32))
    shape = CHIP.shape
    program = Program(random_network(numbers, *NETWORKS[0]), shape)
    host = Host(chip, ChipModel(CHIP, [program]), Pauses(rng, idle_share), in_flight=True)
    await start(dut)
    host.listen()

    def place(address: int, space: int) -> bytes:
        return LOAD.pack(kind=0, sequence=0, address=address, space=space)[HEADER.size :]

    weight, parameter = bytes(shape.weight_bytes), bytes(shape.parameter_bytes)
    await load(host, program)
    await host.ask(Request.LOAD, place(shape.weight_words - 1, Space.WEIGHTS) + 2 * weight)
    await host.ask(Request.LOAD, place(shape.weight_words, Space.WEIGHTS) + weight)
    await host.ask(Request.LOAD, place(1 << 23, Space.PARAMETERS) + parameter)
    await host.ask(Request.LOAD, place(0, Space.PARAMETERS) + parameter)
    await host.ask(Request.LOAD, place(0, max(Space) + 1) + parameter)
    await host.ask(Request.LOAD, place(0, Space.WEIGHTS) + weight[:-1])
    await host.ask(Request.COMMIT, digest_field(host.model.digest))
    await host.ask(Request.INFER, bytes(5))
    await host.ask(Request.IDENTIFY)

    # Headers and thresholds of 0 all the way: single neurons, and none in a last layer.
    image_bytes = (5).to_bytes(shape.parameter_bytes, "little")
    endless = image_bytes + (shape.parameter_words - 1) * parameter
    await host.ask(Request.CLEAR)
    await host.ask(Request.LOAD, place(0, Space.PARAMETERS) + endless)
    await host.ask(Request.COMMIT, digest_field(host.model.digest))
    await host.ask(Request.INFER, bytes(5))

    await load(host, program)
    for image in program.random_images(numbers, 2):
        await host.ask(Request.INFER, image)
    await host.answered()
    assert chip.character.value.to_unsigned() == host.model.character
    await host.scoreboard.finished(dut.clk, ANSWER_CYCLES, QUIET_CYCLES)
    assert host.frames.dropped == 0
