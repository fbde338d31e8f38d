"""The messages between host and board, and their layouts.

Every message starts with a kind (1 byte) and a sequence number (2 bytes) that the answer repeats.
All numbers are unsigned and little-endian. `stepnet.link.frames` puts messages on the wire.

The gateware builds its answers from the same `Layout` objects, so the two sides cannot drift apart.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum, IntFlag

import numpy as np
from numpy.typing import NDArray

from stepnet.errors import LinkError

PROTOCOL_VERSION = 2


MAX_LOAD_BYTES = 240
"""Data bytes of one LOAD message that the host sends; a board takes what its buffer holds."""


class Request(IntEnum):
    """What the host asks."""

    IDENTIFY = 0x01
    CLEAR = 0x02
    LOAD = 0x03
    COMMIT = 0x04
    INFER = 0x05
    INFER_CODED = 0x06
    """INFER for boards whose IDENTITY says so, with the image as `stepnet.link.pixel_coding` has
    it."""


class Answer(IntEnum):
    """What the board answers."""

    IDENTITY = 0x81
    ACKNOWLEDGE = 0x82
    READING = 0x83
    REFUSAL = 0x84


class Refusal(IntEnum):
    """The reasons for which a board refuses a request."""

    UNKNOWN_KIND = 1
    WRONG_LENGTH = 2
    OUT_OF_RANGE = 3
    WRONG_DIGEST = 4
    NOTHING_LOADED = 5
    PROGRAM_OVERRUN = 6

    @property
    def sentence(self) -> str:
        """The reason as the end of a sentence that starts with "because"."""
        return _REFUSAL_SENTENCES[self]


_REFUSAL_SENTENCES = {
    Refusal.UNKNOWN_KIND: "it does not know this kind of message",
    Refusal.WRONG_LENGTH: "the message has the wrong length",
    Refusal.OUT_OF_RANGE: "the address is outside its memory",
    Refusal.WRONG_DIGEST: "what it received does not match the digest",
    Refusal.NOTHING_LOADED: "no network is loaded",
    Refusal.PROGRAM_OVERRUN: "the loaded network has no last layer",
}


class Core(IntEnum):
    """The kinds of cores behind a link."""

    ENGINE = 1
    """Holds any network that fits, which comes over the link."""
    PIPELINE = 2
    """Is its network: nothing can be loaded."""
    PIPELINE_BENCH = 3
    """Reads no image of the host's: it runs images of its own, as MEASURE says."""
    MAC = 4
    """Multiplies and accumulates: holds any ReLU network that fits, which comes over the link."""
    SPIKING = 5
    """Is its network, of neurons that spike: nothing can be loaded, and images are spikes."""
    MAC_SIGMOID = 6
    """Multiplies and accumulates as `MAC` does, but for sigmoid networks."""


class Coding(IntFlag):
    """How a board takes images beside as they are: a bit each of `codings` in IDENTITY."""

    GROUPS = 1
    """Requests of the kind INFER_CODED, as `stepnet.link.pixel_coding` codes them."""


class Space(IntEnum):
    """The memories that LOAD writes: the top byte of its address."""

    PARAMETERS = 0
    WEIGHTS = 1


@dataclass(frozen=True)
class Layout:
    """The fields of a message in order, each a number of `fields[name]` bytes."""

    fields: Mapping[str, int]

    @property
    def size(self) -> int:
        """How many bytes all fields take."""
        return sum(self.fields.values())

    def pack(self, **values: int) -> bytes:
        """The bytes of one message; every field has to be given."""
        return b"".join(values[name].to_bytes(size, "little") for name, size in self.fields.items())

    def unpack(self, payload: bytes) -> dict[str, int]:
        """The fields at the start of `payload`; LinkError if it is too short."""
        if len(payload) < self.size:
            raise LinkError(
                f"The board sent a message of {len(payload)} bytes where {self.size} belong; "
                "check that it runs Stepnet's gateware of this version."
            )
        values: dict[str, int] = {}
        position = 0
        for name, size in self.fields.items():
            values[name] = int.from_bytes(payload[position : position + size], "little")
            position += size
        return values


_HEADER = {"kind": 1, "sequence": 2}

HEADER = Layout(_HEADER)
"""All of IDENTIFY and CLEAR, and the start of every other message."""

LOAD = Layout({**_HEADER, "address": 3, "space": 1})
"""The start of LOAD. Whole memory words follow, the first of which goes to `address`, in words."""

COMMIT = Layout({**_HEADER, "digest": 4})
"""COMMIT, after which the board answers for the network with this digest, if it holds it."""

INFER = Layout(_HEADER)
"""The start of INFER. One packed image follows, eight pixels to a byte, the first pixel in bit 0;
bits behind the last pixel are 0."""

INFER_CODED = Layout(_HEADER)
"""The start of INFER_CODED. One packed image follows, coded as `stepnet.link.pixel_coding` does."""

BENCH_COUNT_BYTES = 4
"""Bytes of a number in MEASURE and in MEASUREMENT."""

MOST_MEASURED_IMAGES = 16_000_000
"""How many images MEASURE asks for at most: their cycles fit into 24 bits, which a core counts."""

MEASURE = Layout({**INFER.fields, "images": BENCH_COUNT_BYTES})
"""What a `Core.PIPELINE_BENCH` takes as INFER: it runs so many of its own images, in order, and
from the start again after the last one."""

IDENTITY = Layout(
    {
        **_HEADER,
        "protocol_version": 1,
        "core": 1,
        "simd": 2,
        "max_inputs": 2,
        "weight_words": 4,
        "parameter_words": 4,
        "max_weight_bits": 1,
        "weight_memory": 1,
        "pe": 1,
        "parameter_lanes": 1,
        "sum_bits": 1,
        "overlap_neurons": 2,
        "buffer_bytes": 2,
        "clock_hz": 4,
        "loaded": 1,
        "digest": 4,
        "image_bytes": 2,
        "dropped_frames": 1,
    }
)
"""IDENTITY: the core's shape, the bytes of its receive buffer, and what is loaded.

`dropped_frames` counts broken frames, modulo 256. Cores without an engine have 0 for its shape, but
that `parameter_words` of a `Core.PIPELINE_BENCH` is how many images it keeps.
"""

MAPS_IDENTITY = Layout({**IDENTITY.fields, "map_words": 2})
"""IDENTITY of an engine that has convolutions: what every board says, and the words of a map."""

_CODINGS = {"codings": 1}

IDENTITIES = tuple(
    Layout({**layout.fields, **last})
    for layout in (IDENTITY, MAPS_IDENTITY)
    for last in ({}, _CODINGS)
)
"""What IDENTITY may be, by its length: each with the `Coding` that the board undoes at its end, or
without it for a board that undoes none."""


def identity_layout(*, has_maps: bool, has_codings: bool) -> Layout:
    """The one of `IDENTITIES` that a board answers with."""
    return IDENTITIES[2 * has_maps + has_codings]


ACKNOWLEDGE = Layout(_HEADER)

READING = Layout({**_HEADER, "code": 1, "margin": 4, "cycles": 4})
"""READING: the character register, how far any one sum may move before it changes, and how many
cycles it took from the last pixel to the register."""

SPIKING_READING = Layout({**READING.fields, "spikes": 4})
"""READING as a `Core.SPIKING` gives it: also how often its neurons spiked."""

MEASUREMENT = Layout(
    {**_HEADER, "code": 1, "right": BENCH_COUNT_BYTES, "cycles": BENCH_COUNT_BYTES}
)
"""READING as a `Core.PIPELINE_BENCH` gives it: the last image's code, how many codes were right,
and how many cycles it took from the first image's pixels to the last one's code."""

REFUSAL = Layout({**_HEADER, "reason": 1})


def pack_pixels(bits: NDArray[np.uint8] | NDArray[np.bool_]) -> bytes:
    """One image's input bits as INFER carries them, eight to a byte, the first in bit 0.

    bits: uint8 of 0 and 1, or bool, of any shape; taken row by row.
    """
    return np.packbits(bits, None, "little").tobytes()
