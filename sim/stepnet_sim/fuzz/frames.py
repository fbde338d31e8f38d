"""Draws frames as a board should get them, and as it should not, for `FuzzSession`."""

from __future__ import annotations

import random
import zlib
from collections.abc import Callable, Iterator

import numpy as np

from stepnet.link.frames import encode_frame
from stepnet.link.messages import COMMIT, HEADER, INFER, LOAD, MAX_LOAD_BYTES, Request, Space
from stepnet.link.pixel_coding import code_images
from stepnet_sim.benches.networks import Program
from stepnet_sim.chips.design import Design

LONG_LOAD_SHARE = 0.01
"""The part of the loads that have up to as many words as the receive buffer holds."""

SEQUENCES = 1 << 8 * HEADER.fields["sequence"]


def load_frames(program: Program, sequences: Iterator[int]) -> list[bytes]:
    """The frames that load `program`, from CLEAR to COMMIT."""
    memory = program.memory
    payloads = [HEADER.pack(kind=Request.CLEAR, sequence=next(sequences))]
    for load in memory.loads(MAX_LOAD_BYTES):
        place = LOAD.pack(
            kind=Request.LOAD, sequence=next(sequences), address=load.address, space=load.space
        )
        payloads.append(place + load.words)
    payloads.append(
        COMMIT.pack(kind=Request.COMMIT, sequence=next(sequences), digest=memory.digest)
    )
    return [encode_frame(payload) for payload in payloads]


def infer_frame(image: bytes, sequence: int) -> bytes:
    """A request to infer one packed image."""
    return encode_frame(INFER.pack(kind=Request.INFER, sequence=sequence) + image)


UNKNOWN_KINDS = tuple(kind for kind in range(256) if kind not in set(Request))


WEIGHTS = {
    "valid request": 200,
    "bits flipped": 150,
    "byte changed": 60,
    "byte dropped": 100,
    "byte doubled": 100,
    "bytes exchanged": 40,
    "zero inside": 40,
    "cut short": 60,
    "not closed": 30,
    "kind that does not exist": 30,
    "wrong length": 50,
    "load out of range": 40,
    "wrong digest": 20,
    "nonsense, right CRC": 60,
    "coded image, cut or longer": 60,
    "coded nonsense, right CRC": 60,
    "no whole header, right CRC": 20,
    "too long for the buffer": 4,
    "random bytes": 60,
    "zeros in a row": 10,
    "no zero for long": 2,
    "network loaded again": 20,
    "nonsense network": 1,
}
"""How often each recipe is drawn. A nonsense network can take as long as thousands of frames."""


class FrameFuzzer:
    """Draws frames by recipe, each as likely as its weight in `WEIGHTS` says.

    program, images: the network that is loaded again, and packed images for it.
    sequences: the number of each further request.
    """

    def __init__(
        self,
        rng: random.Random,
        design: Design,
        program: Program,
        images: list[bytes],
        sequences: Iterator[int],
    ) -> None:
        self._rng = rng
        self._design = design
        self._images = images
        self._sequences = sequences
        self._digest = 0
        self._makers: dict[str, Callable[[], list[bytes]]] = {
            "valid request": lambda: [encode_frame(self._request())],
            "bits flipped": self._bits_flipped,
            "byte changed": self._byte_changed,
            "byte dropped": self._byte_dropped,
            "byte doubled": self._byte_doubled,
            "bytes exchanged": self._bytes_exchanged,
            "zero inside": self._zero_inside,
            "cut short": self._cut_short,
            "not closed": lambda: [bytes(self._frame()[:-1])],
            "kind that does not exist": self._unknown_kind,
            "wrong length": self._wrong_length,
            "load out of range": self._load_out_of_range,
            "wrong digest": self._wrong_digest,
            "nonsense, right CRC": lambda: [encode_frame(rng.randbytes(rng.randrange(3, 120)))],
            "coded image, cut or longer": self._coded_wrong_length,
            "coded nonsense, right CRC": self._coded_nonsense,
            "no whole header, right CRC": lambda: [encode_frame(rng.randbytes(rng.randrange(3)))],
            "too long for the buffer": self._too_long,
            "random bytes": lambda: [rng.randbytes(rng.randrange(1, 60)) + b"\0"],
            "zeros in a row": lambda: [bytes(rng.randrange(2, 200))],
            "no zero for long": self._no_zero_for_long,
            "network loaded again": lambda: load_frames(program, sequences),
            "nonsense network": self._nonsense_network,
        }
        self._recipes = list(WEIGHTS)
        self._weights = list(WEIGHTS.values())

    def draw(self, digest: int) -> tuple[str, list[bytes]]:
        """The name of a recipe, and the bytes of each frame that it makes.

        digest: what the board would take in a COMMIT now.
        """
        self._digest = digest
        (recipe,) = self._rng.choices(self._recipes, self._weights)
        return recipe, self._makers[recipe]()

    # Whole requests.

    def _header(self, kind: int) -> bytes:
        return HEADER.pack(kind=kind, sequence=next(self._sequences))

    def _request(self) -> bytes:
        """The payload of a request that fits the program, though perhaps not the moment."""
        match self._rng.choices(list(Request), (20, 3, 10, 10, 60, 60))[0]:
            case Request.LOAD:
                return self._load(*self._place())
            case Request.COMMIT:
                return self._commit(self._digest)
            case Request.INFER:
                return self._header(Request.INFER) + self._rng.choice(self._images)
            case Request.INFER_CODED:
                return self._header(Request.INFER_CODED) + self._coded()
            case kind:
                return self._header(kind)

    def _coded(self) -> bytes:
        """An image of the program, perhaps with more zeros, in its coding."""
        share = self._rng.random()
        image = [byte * (self._rng.random() < share) for byte in self._rng.choice(self._images)]
        return code_images(np.array([image], np.uint8))[0]

    def _commit(self, digest: int) -> bytes:
        return COMMIT.pack(kind=Request.COMMIT, sequence=next(self._sequences), digest=digest)

    def _load_of(self, space: int, address: int, words: bytes) -> bytes:
        sequence = next(self._sequences)
        return LOAD.pack(kind=Request.LOAD, sequence=sequence, address=address, space=space) + words

    def _frame(self) -> bytearray:
        return bytearray(encode_frame(self._request()))

    def _place(self) -> tuple[Space, int]:
        """A memory and an address in it, often near an end."""
        space = self._rng.choice(list(Space))
        last = self._depth(space) - 1
        address = self._rng.choice((0, 1, last, last - 1, self._rng.randint(0, last)))
        return space, address

    def _depth(self, space: int) -> int:
        """The first address beyond a memory."""
        shape = self._design.shape
        if space == Space.WEIGHTS:
            return shape.weight_words << shape.weight_lane_bits
        return shape.parameter_words << shape.parameter_lane_bits

    def _word_bytes(self, space: int) -> int:
        shape = self._design.shape
        return shape.weight_bytes if space == Space.WEIGHTS else shape.parameter_bytes

    def _load(self, space: int, address: int) -> bytes:
        """A LOAD of random words."""
        word_bytes = self._word_bytes(space)
        words = self._rng.randint(1, 6)
        if self._rng.random() < LONG_LOAD_SHARE:
            words = self._rng.randint(1, (self._design.buffer_bytes - 16) // word_bytes)
        data = self._rng.randbytes(words * word_bytes)
        if space == Space.PARAMETERS and address == 0 and self._rng.random() < 0.8:
            image_bytes = self._rng.randint(1, self._design.shape.max_inputs // 8)
            data = image_bytes.to_bytes(word_bytes, "little") + data[word_bytes:]
        return self._load_of(space, address, data)

    # Whole frames with the wrong thing inside.

    def _unknown_kind(self) -> list[bytes]:
        kind = self._rng.choice(UNKNOWN_KINDS)
        return [encode_frame(self._header(kind) + self._rng.randbytes(self._rng.randrange(20)))]

    def _wrong_length(self) -> list[bytes]:
        payload = self._request()
        change = self._rng.choice((-5, -4, -2, -1, 1, 2, 3, 7, 256))
        if change < 0:
            payload = payload[: max(HEADER.size, len(payload) + change)]
        else:
            payload += self._rng.randbytes(change)
        return [encode_frame(payload)]

    def _coded_wrong_length(self) -> list[bytes]:
        coded = self._coded()
        coded = coded[: self._rng.randrange(len(coded))] if self._rng.random() < 0.7 else coded
        coded += self._rng.randbytes(self._rng.choice((0, 0, 1, 2, 9)))
        return [encode_frame(self._header(Request.INFER_CODED) + coded)]

    def _coded_nonsense(self) -> list[bytes]:
        masks = (0, 0, 0xFF, self._rng.randrange(256))
        size = self._rng.choice((self._rng.randrange(4), self._rng.randrange(60)))
        coded = bytes(self._rng.choice(masks) for _ in range(size))
        return [encode_frame(self._header(Request.INFER_CODED) + coded)]

    def _load_out_of_range(self) -> list[bytes]:
        space = self._rng.choice((*Space, *Space, 2, 0x80, 0xFF))
        depth = self._depth(space)
        beyond = self._rng.randrange(depth, 1 << 24)
        return [encode_frame(self._load(space, self._rng.choice((depth - 2, depth, beyond))))]

    def _wrong_digest(self) -> list[bytes]:
        digest = self._rng.choice((0, self._digest ^ 1 << self._rng.randrange(32)))
        return [encode_frame(self._commit(digest))]

    def _too_long(self) -> list[bytes]:
        buffer_bytes = self._design.buffer_bytes
        size = self._rng.randrange(buffer_bytes - 8, 2 * buffer_bytes)
        return [encode_frame(self._header(Request.LOAD) + self._rng.randbytes(size))]

    def _nonsense_network(self) -> list[bytes]:
        """A layer table of noise with the right digest, and images for it."""
        image_bytes = self._rng.randint(1, self._design.shape.max_inputs // 8)
        word_bytes = self._design.shape.parameter_bytes
        words = image_bytes.to_bytes(word_bytes, "little")
        words += self._rng.randbytes(word_bytes * self._rng.randrange(MAX_LOAD_BYTES // word_bytes))
        payloads = [
            self._header(Request.CLEAR),
            self._load_of(Space.PARAMETERS, 0, words),
            self._commit(zlib.crc32(words)),
            self._header(Request.INFER) + self._rng.randbytes(image_bytes),
        ]
        return [encode_frame(payload) for payload in payloads]

    # Frames that came to harm on the wire.

    def _position(self, frame: bytearray) -> int:
        return self._rng.randrange(len(frame) - 1)  # not the closing zero

    def _bits_flipped(self) -> list[bytes]:
        frame = self._frame()
        for _ in range(self._rng.choice((1, 1, 2, 3, 8))):
            frame[self._rng.randrange(len(frame))] ^= 1 << self._rng.randrange(8)
        return [bytes(frame)]

    def _byte_changed(self) -> list[bytes]:
        frame = self._frame()
        frame[self._position(frame)] = self._rng.randrange(256)
        return [bytes(frame)]

    def _byte_dropped(self) -> list[bytes]:
        frame = self._frame()
        del frame[self._position(frame)]
        return [bytes(frame)]

    def _byte_doubled(self) -> list[bytes]:
        frame = self._frame()
        position = self._position(frame)
        frame[position:position] = frame[position : position + 1]
        return [bytes(frame)]

    def _bytes_exchanged(self) -> list[bytes]:
        frame = self._frame()
        first, second = self._position(frame), self._position(frame)
        frame[first], frame[second] = frame[second], frame[first]
        return [bytes(frame)]

    def _zero_inside(self) -> list[bytes]:
        frame = self._frame()
        frame.insert(self._position(frame), 0)
        return [bytes(frame)]

    def _cut_short(self) -> list[bytes]:
        frame = self._frame()
        return [bytes(frame[: self._position(frame)]) + b"\0"]

    def _no_zero_for_long(self) -> list[bytes]:
        size = self._rng.randrange(2 * self._design.buffer_bytes)
        return [self._rng.randbytes(size).replace(b"\0", b"\xff") + b"\0"]
