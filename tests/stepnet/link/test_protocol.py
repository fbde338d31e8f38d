"""Frames and messages, and that docs/protocol.md describes them byte by byte."""

import binascii
import re
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from cobs import cobs
from hypothesis import given, settings
from hypothesis import strategies as st

from stepnet.errors import LinkError
from stepnet.link import messages as protocol
from stepnet.link.frames import FrameReader, decode_frame, encode_frame, window
from stepnet.link.messages import Answer, Layout, Refusal, Request

PAGE = (Path(__file__).parents[3] / "docs" / "protocol.md").read_text()
LAYOUTS = {
    name: getattr(protocol, name)
    for name in (
        "HEADER",
        "LOAD",
        "COMMIT",
        "INFER",
        "INFER_CODED",
        "IDENTITY",
        "READING",
        "REFUSAL",
        "MEASURE",
        "MEASUREMENT",
    )
}

payloads = st.binary(min_size=3, max_size=600)
garbage = st.binary(min_size=1, max_size=40).map(lambda data: data.replace(b"\0", b"\1"))


def in_chunks(stream, cuts):
    """`stream` in pieces, cut at `cuts` taken modulo its length."""
    positions = sorted({cut % (len(stream) + 1) for cut in cuts} | {0, len(stream)})
    return [stream[start:end] for start, end in pairwise(positions)]


def read(stream, cuts=(), **options):
    reader = FrameReader(**options)
    found = [payload for chunk in in_chunks(stream, cuts) for payload in reader.feed(chunk)]
    return found, reader.dropped


@given(payloads)
def test_a_frame_holds_its_payload_and_no_zero_but_the_last(payload):
    frame = encode_frame(payload)
    assert frame.index(0) == len(frame) - 1
    assert decode_frame(frame[:-1]) == payload


def test_the_crc_is_crc_16_ibm_3740_high_byte_first():
    """0x29B1 is the check value in the catalogue of parametrised CRC algorithms."""
    assert cobs.decode(encode_frame(b"123456789")[:-1]) == b"123456789\x29\xb1"


@given(payloads, st.integers(0), st.integers(1, 255))
def test_a_changed_byte_breaks_the_frame(payload, position, change):
    checked = bytearray(payload + binascii.crc_hqx(payload, 0xFFFF).to_bytes(2, "big"))
    checked[position % len(checked)] ^= change
    assert decode_frame(cobs.encode(bytes(checked))) is None


@pytest.mark.parametrize("payload", [b"", b"\x01", b"\x01\x02"])
def test_a_payload_without_a_whole_header_is_broken(payload):
    assert decode_frame(encode_frame(payload)[:-1]) is None


@given(st.lists(payloads, max_size=6), st.lists(st.integers(0), max_size=30))
def test_reader_finds_every_frame_however_the_stream_is_cut(sent, cuts):
    stream = b"".join(map(encode_frame, sent))
    assert read(stream, cuts) == (sent, 0)


@given(
    st.lists(st.one_of(payloads.map(lambda p: ("frame", p)), garbage.map(lambda g: ("junk", g)))),
    st.lists(st.integers(0), max_size=30),
)
def test_reader_resynchronises_after_garbage(parts, cuts):
    junk = [data for kind, data in parts if kind == "junk"]
    if any(decode_frame(data) is not None for data in junk):
        return  # one piece of junk in 65,536 is a good frame
    stream = b"".join(
        encode_frame(data) if kind == "frame" else data + b"\0" for kind, data in parts
    )
    assert read(stream, cuts) == ([data for kind, data in parts if kind == "frame"], len(junk))


@given(st.lists(st.binary(max_size=300)))
def test_reader_survives_any_bytes(chunks):
    reader = FrameReader(max_bytes=100)
    for chunk in chunks:
        for payload in reader.feed(chunk):
            assert len(payload) >= 3


def test_reader_listens_from_the_middle_of_a_frame():
    first, second = encode_frame(b"first one"), encode_frame(b"second")
    assert read(first[3:] + second) == ([b"second"], 1)


def test_zeros_between_frames_say_nothing():
    frame = encode_frame(b"here")
    assert read(b"\0\0" + frame + b"\0\0\0" + frame) == ([b"here", b"here"], 0)


@settings(max_examples=30)
@given(st.lists(st.integers(0), max_size=10))
def test_an_overlong_frame_is_dropped_once_and_the_next_is_read(cuts):
    payload = bytes(range(1, 13))
    longest = encode_frame(payload)
    overlong = b"\x11" * len(longest) + b"\0"
    stream = longest + overlong + encode_frame(b"next")
    kept = len(longest) - len(b"\0")
    assert read(stream, cuts, max_bytes=kept) == ([payload, b"next"], 1)


def test_a_stream_without_zeros_takes_no_memory():
    reader = FrameReader(max_bytes=100)
    for _ in range(1000):
        assert reader.feed(b"\x55" * 1000) == []
    assert len(reader._pending) <= 100
    assert reader.feed(b"\0" + encode_frame(b"well")) == [b"well"]
    assert reader.dropped == 1


@given(st.sampled_from(sorted(LAYOUTS)), st.data())
def test_layouts_give_back_what_they_packed(name, data):
    layout = LAYOUTS[name]
    values = {
        field: data.draw(st.integers(0, (1 << 8 * size) - 1), label=field)
        for field, size in layout.fields.items()
    }
    packed = layout.pack(**values)
    assert len(packed) == layout.size
    assert layout.unpack(packed + b"what follows") == values


def test_numbers_are_little_endian_and_in_order():
    layout = Layout({"small": 1, "large": 3})
    assert layout.pack(small=0xAA, large=0x010203) == b"\xaa\x03\x02\x01"


def test_a_message_that_is_too_short():
    with pytest.raises(LinkError) as caught:
        protocol.READING.unpack(bytes(11))
    assert str(caught.value) == (
        "The board sent a message of 11 bytes where 12 belong; "
        "check that it runs Stepnet's gateware of this version."
    )


@pytest.mark.parametrize(
    ("buffer_bytes", "image_bytes", "images"),
    [(2048, 98, 19), (105, 98, 1), (209, 98, 1), (210, 98, 2), (10, 98, 1)],
)
def test_window(buffer_bytes, image_bytes, images):
    assert window(buffer_bytes, image_bytes) == images


def test_pixels_start_at_bit_0():
    bits = np.array([1, 0, 1, 1, 0, 0, 0, 0, 0, 1], dtype=np.uint8)
    assert protocol.pack_pixels(bits) == bytes([0b00001101, 0b00000010])


def documented_tables():
    """Every table of the page: the name in its last heading cell, and its rows."""
    for table in re.findall(r"(?:^\|.*\n)+", PAGE, re.MULTILINE):
        heading, _, *rows = [
            [cell.strip() for cell in line.strip("|\n").split("|")] for line in table.splitlines()
        ]
        yield heading, rows


@pytest.mark.parametrize("name", sorted(LAYOUTS))
def test_documented_layout(name):
    (rows,) = (rows for heading, rows in documented_tables() if heading[-1] == name)
    expected, offset = [], 0
    for field, size in LAYOUTS[name].fields.items():
        expected.append([str(offset), str(size), field])
        offset += size
    assert [row for row in rows if row[1] != "rest"] == expected
    assert all(row[0] == str(offset) for row in rows if row[1] == "rest")


def test_documented_kinds():
    tables = {tuple(heading): rows for heading, rows in documented_tables()}
    requests = {row[1]: int(row[0], 16) for row in tables["kind", "request", "answer"]}
    answers = {row[1]: int(row[0], 16) for row in tables["kind", "answer"]}
    assert requests == {kind.name: kind.value for kind in Request}
    assert answers == {kind.name: kind.value for kind in Answer}


def test_documented_refusals():
    tables = {tuple(heading): rows for heading, rows in documented_tables()}
    rows = tables["reason", "", "the board refuses because"]
    assert rows == [[str(reason.value), reason.name, reason.sentence] for reason in Refusal]


def test_documented_example():
    (request, reading) = re.findall(r"payload  (.*)\n +frame    (.*)\n", PAGE)
    image = bytes.fromhex("003C42")
    asked = protocol.INFER.pack(kind=Request.INFER, sequence=5) + image
    answered = protocol.READING.pack(
        kind=Answer.READING, sequence=5, code=0x37, margin=5, cycles=1840
    )
    for (payload, frame), expected in ((request, asked), (reading, answered)):
        assert bytes.fromhex(payload) == expected
        assert bytes.fromhex(frame) == encode_frame(expected)
