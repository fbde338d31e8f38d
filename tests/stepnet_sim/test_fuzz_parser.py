"""The host's parser against any bytes: no error but those it is meant to raise, no wrong reading.

benchmarks/fuzz_parser.py uses the same checks with a coverage-guided fuzzer.
"""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from stepnet.boards.board import Board
from stepnet.link import messages as protocol
from stepnet.link.frames import decode_frame, encode_frame
from stepnet.link.messages import Answer
from stepnet_sim.fuzz import parser
from stepnet_sim.fuzz.parser import NETWORK, ScriptedBoard

pytestmark = pytest.mark.slow

IN_TURN, AGAIN, NO_ANSWER, SOMETHING_ELSE, FLIP, IN_PIECES = 0, 6, 7, 8, 9, 11

BODY_BYTES = (
    protocol.REFUSAL.size - protocol.HEADER.size,
    protocol.READING.size - protocol.HEADER.size,
    protocol.IDENTITY.size - protocol.HEADER.size,
    39,
)
"""Of answers, and one that fits none."""

frames = st.binary(max_size=2 * parser.MAX_FRAME_BYTES).map(encode_frame)
chunks = st.lists(
    st.one_of(
        st.binary(max_size=2 * parser.MAX_FRAME_BYTES),
        st.binary(max_size=20).map(lambda noise: noise + b"\0"),
        frames,
        frames.flatmap(lambda frame: st.integers(0, len(frame)).map(lambda cut: frame[cut:])),
    ),
    max_size=12,
)
identities = st.fixed_dictionaries(
    {
        field: st.one_of(
            st.sampled_from([value for value in (0, 1, 8, 64, 1024) if value < 1 << 8 * size]),
            st.integers(0, (1 << 8 * size) - 1),
        )
        for field, size in protocol.IDENTITY.fields.items()
    }
).map(lambda fields: protocol.IDENTITY.pack(**fields))
scripts = st.lists(
    st.one_of(
        st.sampled_from([bytes([IN_TURN])] * 4 + [bytes([NO_ANSWER]), bytes([IN_PIECES])]),
        st.builds(lambda which: bytes([AGAIN, which]), st.integers(0, 10)),
        st.builds(lambda *numbers: bytes([FLIP, *numbers]), st.integers(0, 40), st.integers(0, 7)),
        st.builds(
            lambda kind, which, off, body: (
                bytes([SOMETHING_ELSE, kind, which, off, len(body)]) + body
            ),
            st.integers(0, 7),
            st.integers(0, 10),
            st.integers(0, 5),
            st.sampled_from(BODY_BYTES).flatmap(
                lambda size: st.binary(min_size=size, max_size=size)
            ),
        ),
        st.binary(max_size=20),
    ),
    max_size=40,
).map(b"".join)


@settings(deadline=None, max_examples=300, derandomize=True)
@given(st.one_of(st.binary(max_size=60), identities))
def test_any_payload_is_taken_apart_or_refused(payload):
    parser.check_payload(payload)


@settings(deadline=None, max_examples=200, derandomize=True)
@given(chunks)
def test_any_stream_gives_the_good_frames_in_it(stream):
    parser.check_frame_reader(stream)


@settings(deadline=None, max_examples=400, derandomize=True)
@given(scripts)
@example(b"")
@example(bytes([IN_TURN]) * 20)
def test_any_board_gives_readings_that_came_for_the_image(script):
    parser.check_board(script)


@settings(deadline=None, max_examples=300, derandomize=True)
@given(st.binary(max_size=200))
def test_any_bytes_as_the_guided_fuzzer_gives_them(data):
    parser.check(data)


def test_a_script_can_lead_to_every_reading():
    """A board that only does as it should is not cut off before it has answered all."""
    link = ScriptedBoard(bytes([IN_TURN]) * 40)
    pixels = np.eye(8, dtype=bool).reshape(8, 1, 8)
    with Board(link, NETWORK, parser.TIMEOUT_S) as board:
        readings = list(board.infer_many(pixels))
    assert [reading.code for reading in readings] == [1 << pixel for pixel in range(8)]


class Corrupted(ScriptedBoard):
    """Has frames changed on their way, in a manner that their CRC does not tell."""

    def read(self, timeout_s):
        payload = decode_frame(super().read(timeout_s)[:-1])
        if payload[0] == Answer.READING:
            payload = payload[:3] + bytes([payload[3] ^ 1]) + payload[4:]
        return encode_frame(payload)


def test_a_reading_that_the_board_did_not_give_is_noticed():
    with pytest.raises(AssertionError):
        parser.check_readings(Corrupted(bytes([IN_TURN]) * 40))
