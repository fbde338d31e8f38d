"""Makes protocol_vectors.json, the test vectors that protocol.md describes, and its table of them.

    python docs/protocol_vectors.py

The answers in its conversation are those of the virtual board, of the shape that it has by default.
"""

from __future__ import annotations

import json
import re
from binascii import crc_hqx
from contextlib import closing
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
from cobs import cobs  # pyright: ignore[reportMissingTypeStubs]
from PIL import Image

from stepnet import Layer, Network, samples
from stepnet.boards.identity import shape_fields
from stepnet.cores.engine.memory_image import memory_image, pack_fields
from stepnet.cores.engine.shape import ROW_HEADER, EngineShape
from stepnet.files import write_text
from stepnet.link import messages as protocol
from stepnet.link.frames import CRC_INITIAL, FrameReader, encode_frame
from stepnet.link.link import Link
from stepnet.link.messages import Answer, Refusal, Request, Space
from stepnet_sim.chips.design import Design
from stepnet_sim.chips.virtual_board import open_link

FILE = Path(__file__).with_name("protocol_vectors.json")
PAGE = Path(__file__).with_name("protocol.md")
TABLE_HEAD = "| request | frame | answer | frame |\n|---|---|---|---|\n"
LONGEST_PRINTED_BYTES = 30
"""Of a request's frame in the table."""

TIMEOUT_S = 60.0

SHAPE = Design().shape
NETWORK = Network(
    "rows",
    (
        Layer(2 * np.repeat(np.eye(3, dtype=np.int8), 4, axis=1) - 1, np.full(3, 1), 1),
        Layer(np.eye(7, 3, dtype=np.int8), np.array([1, 1, 1, 1, 0, 0, 1]), 2),
    ),
    height=3,
    width=4,
    ink_threshold=128,
    alphabet="01234567",
)
"""Names the row with more ink than the rest: bit r of the code, above 0x30, is that row's."""

MEMORY = memory_image(NETWORK, SHAPE)
PIXELS = bytes.fromhex("0207")
"""One pixel of ink in the first row, three in the third."""
CODED_PIXELS = bytes.fromhex("030207")

LANES_SHAPE = EngineShape(
    simd=16,
    max_inputs=64,
    weight_words=64,
    parameter_words=64,
    max_weight_bits=2,
    pe=6,
    parameter_lanes=3,
)
"""An engine whose memory words have several lanes, and whose addresses leave some out."""

LANES_LOAD_BYTES = 16
"""So few that some loads end in the middle of a word."""

SAMPLE = "7_0000.png"
SAMPLE_THRESHOLD = 128

EVERY_BYTE = bytes(range(256))
COUNT = EVERY_BYTE[1:255]
"""254 bytes without a zero: a full COBS block."""

CRC_DATA = (b"", b"\0", b"123456789", b"\x01\x01\0", EVERY_BYTE)
COBS_DATA = (
    b"",
    b"\0",
    b"\0\0",
    b"\x11\x22\0\x33",
    b"\x11\x22\x33\x44",
    b"\x11\0\0\0",
    COUNT,
    b"\0" + COUNT,
    COUNT + b"\xff",
    COUNT[1:] + b"\xff\0",
)


def vectors() -> dict[str, Any]:
    """All test vectors, by the keys that the page lists."""
    sample_pixels = _sample_pixels()
    single = {
        "24 pixels": _infer(5, b"\x00\x3c\x42"),
        "a reading": protocol.READING.pack(
            kind=Answer.READING, sequence=5, code=0x37, margin=5, cycles=1840
        ),
        "a sample of 784 pixels": _infer(0x1234, sample_pixels),
        "a load with a full COBS block": _load(7, 30, Space.WEIGHTS, _words_without_zeros()),
    }
    identify = _header(Request.IDENTIFY, 1)
    wrong_crc = bytearray(encode_frame(identify))
    wrong_crc[-2] ^= 1
    broken = {
        "a bit of the CRC is wrong": bytes(wrong_crc),
        "the last block is cut short": encode_frame(identify)[:-2] + b"\0",
        "the payload has 2 bytes": encode_frame(identify[:2]),
    }
    return {
        "protocol_version": protocol.PROTOCOL_VERSION,
        "crc16": [
            {"data": _hex(data), "crc": f"{crc_hqx(data, CRC_INITIAL):04X}"} for data in CRC_DATA
        ],
        "cobs": [{"data": _hex(data), "encoded": _hex(cobs.encode(data))} for data in COBS_DATA],
        "sample": {
            "file": SAMPLE,
            "threshold": SAMPLE_THRESHOLD,
            "pixels": _hex(sample_pixels),
        },
        "messages": [{"name": name, **_message(payload)} for name, payload in single.items()],
        "broken_frames": [{"name": name, "frame": _hex(frame)} for name, frame in broken.items()],
        "network": _network(),
        "lanes": _lanes(),
        "conversation": _conversation(),
    }


def text(vectors: dict[str, Any]) -> str:
    """The file: indented, but rows of numbers on one line."""
    indented = json.dumps(vectors, indent=2)
    row_of_numbers = r"\[\s+(-?\d+(?:,\s+-?\d+)*)\s+\]"
    return re.sub(row_of_numbers, lambda row: re.sub(r"\s+", " ", f"[{row[1]}]"), indented) + "\n"


def page_with(page: str, conversation: list[dict[str, Any]]) -> str:
    """The page with this conversation in its table."""
    before, _, after = page.partition(TABLE_HEAD)
    _, _, after = after.partition("\n\n")
    rows: list[str] = []
    for exchange in conversation:
        request, answer = (bytes.fromhex(exchange[side]["frame"]) for side in ("request", "answer"))
        outcome = exchange["answer"]["kind"]
        if outcome == Answer.REFUSAL.name:
            outcome += f" {Refusal(exchange['answer']['fields']['reason']).name}"
        shown = f"`{request.hex(' ').upper()}`" if len(request) <= LONGEST_PRINTED_BYTES else ""
        rows.append(f"| {exchange['name']} | {shown} | {outcome} | `{answer.hex(' ').upper()}` |\n")
    return f"{before}{TABLE_HEAD}{''.join(rows)}\n{after}"


def _network() -> dict[str, Any]:
    return {
        "height": NETWORK.height,
        "width": NETWORK.width,
        "ink_threshold": NETWORK.ink_threshold,
        "layers": [
            {
                "weight_bits": layer.weight_bits,
                "weights": layer.weights.tolist(),
                "thresholds": layer.thresholds.tolist(),
            }
            for layer in NETWORK.layers
        ],
        "parameter_words": [_hex(word.tobytes()) for word in MEMORY.parameters],
        "weight_words": [_hex(word.tobytes()) for word in MEMORY.weights],
        "digest": MEMORY.digest,
        "pixels": _hex(PIXELS),
    }


def _lanes() -> dict[str, Any]:
    """The loads of the same network on an engine that handles several neurons at a time."""
    memory = memory_image(NETWORK, LANES_SHAPE)
    return {
        "shape": shape_fields(LANES_SHAPE),
        "digest": memory.digest,
        "loads": [
            {"address": load.address, "space": load.space, "data": _hex(load.words)}
            for load in memory.loads(LANES_LOAD_BYTES)
        ],
    }


def _conversation() -> list[dict[str, Any]]:
    """Every kind and every refusal, asked of the virtual board from reset on."""
    parameters, weights = MEMORY.parameters.tobytes(), MEMORY.weights.tobytes()
    unending = _without_last_layer(parameters)
    requests = {
        "identify": _header(Request.IDENTIFY, 1),
        "infer before a network is loaded": _infer(2, PIXELS),
        "clear": _header(Request.CLEAR, 3),
        "load the parameters": _load(4, 0, Space.PARAMETERS, parameters),
        "load the weights": _load(5, 0, Space.WEIGHTS, weights),
        "commit with a wrong digest": _commit(6, MEMORY.digest ^ 1),
        "commit": _commit(7, MEMORY.digest),
        "identify a loaded board": _header(Request.IDENTIFY, 8),
        "infer a coded image": _header(Request.INFER_CODED, 9) + CODED_PIXELS,
        "infer": _infer(0xFFFF, PIXELS),
        "infer an image of the wrong length": _infer(0, b"\xff\xff\xff"),
        "a kind that does not exist": _header(0x7F, 1),
        "load beyond the memory": _load(
            2,
            SHAPE.weight_words << SHAPE.weight_lane_bits,
            Space.WEIGHTS,
            bytes(range(1, SHAPE.weight_bytes + 1)),
        ),
        "clear again": _header(Request.CLEAR, 3),
        "load parameters without a last layer": _load(4, 0, Space.PARAMETERS, unending),
        "commit those": _commit(5, crc32(unending)),
        "infer without a last layer": _infer(6, PIXELS),
    }
    with closing(open_link(progress=print)) as link:
        return [
            {
                "name": name,
                "request": _message(request),
                "answer": _message(_answer(link, request)),
            }
            for name, request in requests.items()
        ]


def _answer(link: Link, request: bytes) -> bytes:
    link.write(encode_frame(request))
    (answer,) = FrameReader().feed(link.read(TIMEOUT_S))
    return answer


def _message(payload: bytes) -> dict[str, Any]:
    """A message in all the forms in which the file gives it."""
    names = {kind.value: kind.name for kind in (*Request, *Answer)}
    name = names.get(payload[0])
    layout: protocol.Layout = getattr(protocol, name or "HEADER", protocol.HEADER)
    return {
        "kind": name,
        "fields": layout.unpack(payload),
        "data": _hex(payload[layout.size :]),
        "payload": _hex(payload),
        "frame": _hex(encode_frame(payload)),
    }


def _header(kind: int, sequence: int) -> bytes:
    return protocol.HEADER.pack(kind=kind, sequence=sequence)


def _infer(sequence: int, pixels: bytes) -> bytes:
    return protocol.INFER.pack(kind=Request.INFER, sequence=sequence) + pixels


def _load(sequence: int, address: int, space: Space, words: bytes) -> bytes:
    target = {"address": address, "space": space}
    return protocol.LOAD.pack(kind=Request.LOAD, sequence=sequence, **target) + words


def _commit(sequence: int, digest: int) -> bytes:
    return protocol.COMMIT.pack(kind=Request.COMMIT, sequence=sequence, digest=digest)


def _words_without_zeros() -> bytes:
    """More than a COBS block holds, in weight words of the virtual board."""
    return bytes(2 + (1 + 7 * number) % 251 for number in range(240)) + 16 * b"\x09"


def _without_last_layer(parameters: bytes) -> bytes:
    """The parameters with that bit taken from the first header of the last layer."""
    size = SHAPE.parameter_bytes
    words = 1 + 2 + SHAPE.groups(NETWORK.layers[0].n_out) * SHAPE.parameter_reads
    header = size * words * SHAPE.parameter_lanes
    word = int.from_bytes(parameters[header : header + size], "little")
    word ^= pack_fields(ROW_HEADER, dict.fromkeys(ROW_HEADER, 0) | {"last_layer": 1})
    return parameters[:header] + word.to_bytes(size, "little") + parameters[header + size :]


def _sample_pixels() -> bytes:
    grey = np.asarray(Image.open(Path(samples.__file__).with_name(SAMPLE)))
    return protocol.pack_pixels((grey >= SAMPLE_THRESHOLD).astype(np.uint8).ravel())


def _hex(data: bytes) -> str:
    return data.hex().upper()


if __name__ == "__main__":
    made = vectors()
    write_text(FILE, text(made))
    write_text(PAGE, page_with(PAGE.read_text(), made["conversation"]))
