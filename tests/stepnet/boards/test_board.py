"""`Board` and `open_board`, over real channels to a board in Python that may go wrong."""

import dataclasses
import re
import time
import tracemalloc
from itertools import count, islice, repeat
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import peer
from peer import CLOCK_HZ, CYCLES, MARGIN, Peer, serving
from readings import codes, taken_until_error
from small_networks import images_for, small_network
from stepnet.boards.board import Board, Reading, open_board
from stepnet.boards.loading import LOAD_ATTEMPTS
from stepnet.cores.engine.memory_image import memory_image
from stepnet.cores.engine.shape import MEMORIES, EngineShape
from stepnet.errors import (
    BoardError,
    ImageError,
    LinkBrokenError,
    LinkError,
    LinkTimeoutError,
    NetworkError,
    RefusedError,
)
from stepnet.link import messages as protocol
from stepnet.link.exchange import Message
from stepnet.link.messages import Answer, Refusal, Request
from stepnet.link.tally import Statistics
from stepnet.networks import reference
from stepnet.networks.shipped import load_network

QUICK_S = 0.25
"""A timeout that a peer in the same process keeps to, and that a test can wait for."""


NETWORK = small_network()
IMAGES = images_for(NETWORK, 40)
CODES = reference.infer(NETWORK, IMAGES).tolist()
SHAPE = Peer().shape
LOAD = [Request.CLEAR, Request.LOAD, Request.LOAD, Request.COMMIT]
"""How `NETWORK` is loaded: parameters and weights fit one message each."""


@pytest.fixture
def patient(monkeypatch):
    """No board is asked whether it is still there, however slow this machine is just now."""
    monkeypatch.setattr("stepnet.link.round_trip.LEAST_PATIENCE_S", 60.0)


def test_the_codes_of_these_tests_differ():
    assert len(set(CODES)) > 10


@pytest.mark.parametrize(
    "channel", ["socket", "pty", pytest.param("rfc2217", marks=pytest.mark.slow)]
)
@pytest.mark.usefixtures("patient")
def test_a_board_reads_what_numpy_reads(channel):
    board_peer = Peer()
    with serving(board_peer, channel) as where, open_board(where, NETWORK) as board:
        assert codes(board.infer(image) for image in IMAGES) == CODES
        assert codes(board.infer_many(IMAGES)) == CODES
        assert board.network is NETWORK
    # Where there is a rate it is found by asking.
    to_find_it = [Request.IDENTIFY] * (channel == "rfc2217")
    assert board_peer.requests == [
        *to_find_it,
        Request.IDENTIFY,
        *LOAD,
        Request.IDENTIFY,
        *[Request.INFER] * (2 * len(IMAGES)),
    ]


@pytest.mark.slow
def test_a_server_of_rfc_2217_that_hangs_up_is_connected_again():
    board_peer = peer.LeavingOnce(3)
    with serving(board_peer, "rfc2217") as where, open_board(where, NETWORK) as board:
        assert codes(board.infer_many(IMAGES)) == CODES
        assert board.statistics.reconnects == 1


def test_identity_and_reading():
    with serving(Peer(), "pty") as where, open_board(where, NETWORK) as board:
        assert board.identity.clock_hz == CLOCK_HZ
        assert board.identity.shape == EngineShape(16, 1024, 4096, 512)
        assert board.identity.loaded == 1
        assert board.identity.digest == memory_image(NETWORK, board.identity.shape).digest
        assert board.infer(IMAGES[0]) == Reading(chr(CODES[0]), CODES[0], True, MARGIN, CYCLES)


@pytest.mark.parametrize("memory", MEMORIES)
def test_kind_of_memory_is_part_of_the_shape(memory):
    shape = EngineShape(64, 1024, 4096, 512, weight_memory=memory)
    with serving(Peer(shape), "pty") as where, open_board(where, NETWORK) as board:
        assert board.identity.shape == shape
        assert codes(board.infer_many(IMAGES)) == CODES
        strange = dataclasses.replace(board.identity, weight_memory=7)
        with pytest.raises(NetworkError) as caught:
            _ = strange.shape
    assert (
        str(caught.value)
        == "There is no weight memory '7'; choose one of block, single_port, registered."
    )


def test_neurons_at_a_time_are_part_of_the_shape():
    """A lane count that is no power of two leaves gaps between the addresses of words."""
    shape = EngineShape(
        48,
        960,
        4096,
        512,
        pe=12,
        parameter_lanes=6,
        max_sum_bits=16,
        overlap_neurons=96,
    )
    network = small_network(sizes=(30, 90, 80, 7))
    expected = reference.infer(network, IMAGES).tolist()
    with serving(Peer(shape), "pty") as where, open_board(where, network) as board:
        assert board.identity.shape == shape
        assert codes(board.infer_many(IMAGES)) == expected


def test_a_code_outside_the_alphabet_is_unknown():
    network = small_network(alphabet=chr(CODES[0]))
    with serving(Peer(), "pty") as where, open_board(where, network) as board:
        known, unknown = board.infer_many(IMAGES[:2])
    assert known == Reading(chr(CODES[0]), CODES[0], True, MARGIN, CYCLES)
    assert unknown == Reading(None, CODES[1], False, MARGIN, CYCLES)


# Loading


@pytest.mark.usefixtures("patient")
def test_a_network_that_is_built_in_is_not_loaded():
    board_peer = peer.BuiltIn(memory_image(NETWORK, SHAPE))
    with serving(board_peer) as where, open_board(where, NETWORK) as board:
        assert codes(board.infer_many(IMAGES)) == CODES
        assert board.statistics.loads == 0
    assert board_peer.requests == [Request.IDENTIFY, *[Request.INFER] * len(IMAGES)]


@pytest.mark.usefixtures("patient")
def test_a_network_that_is_built_in_need_not_be_named():
    digits = load_network("digits")
    images = images_for(digits, 5)
    board_peer = peer.BuiltIn(memory_image(digits, EngineShape(64, 1024, 2048, 512)))
    with serving(board_peer) as where, open_board(where, None) as board:
        assert board.network.name == "digits"
        assert codes(board.infer_many(images)) == reference.infer(digits, images).tolist()
    assert set(board_peer.requests) == {Request.IDENTIFY, Request.INFER}


def test_no_network_is_named_and_the_board_holds_none():
    with serving(Peer()) as where, pytest.raises(BoardError) as caught:
        open_board(where, None)
    assert str(caught.value) == (
        f"The board at {where!r} holds no network; name one for it: a shipped one, or a .npz file."
    )


def test_no_network_is_named_and_the_board_holds_an_unknown_one():
    image = memory_image(NETWORK, SHAPE)
    with serving(peer.BuiltIn(image)) as where, pytest.raises(BoardError) as caught:
        open_board(where, None)
    assert str(caught.value) == (
        f"The board at {where!r} holds a network that does not come with Stepnet (digest "
        f"{image.digest:08x}), and that alone does not tell its alphabet; name its .npz file, "
        "which is not loaded again if the board holds it."
    )


@pytest.mark.usefixtures("patient")
def test_a_network_that_is_there_is_not_loaded_again():
    board_peer = Peer()
    with serving(board_peer) as where:
        open_board(where, NETWORK).close()
        board_peer.requests.clear()
        with open_board(where, NETWORK) as board:
            assert codes(board.infer_many(IMAGES)) == CODES
    assert board_peer.requests == [Request.IDENTIFY, *[Request.INFER] * len(IMAGES)]


def test_what_a_load_replaces_is_said():
    other = small_network(seed=7, sizes=(60, 33, 20, 7), height=6, name="other")
    digest = memory_image(NETWORK, Peer().shape).digest
    said = []
    with serving(Peer()) as where:
        open_board(where, NETWORK, progress=said.append).close()
        open_board(where, NETWORK, progress=said.append).close()
        assert said == []
        open_board(where, other, progress=said.append).close()
    assert said == [
        f"Loading 'other' over a network that does not come with Stepnet ({digest:08x}), which the "
        f"board at {where!r} held"
    ]


def test_another_network_is_loaded():
    other = small_network(seed=7, sizes=(60, 33, 20, 7), height=6, name="other")
    images = images_for(other, 10)
    board_peer = Peer()
    with serving(board_peer, "pty") as where, open_board(where, NETWORK) as board:
        assert codes(board.infer_many(IMAGES)) == CODES
        board.load(other)
        assert board.network is other
        assert codes(board.infer_many(images)) == reference.infer(other, images).tolist()
        board_peer.requests.clear()
        board.load(other)
        assert board_peer.requests == []


def test_a_digest_without_a_loaded_network_is_not_enough():
    """A board in the middle of a load has the digest of what came so far."""
    digest = memory_image(NETWORK, Peer().shape).digest
    board_peer = Peer()
    board_peer.digest = digest
    with serving(board_peer, "pty") as where, open_board(where, NETWORK) as board:
        assert codes(board.infer_many(IMAGES)) == CODES
    assert board_peer.requests[:5] == [Request.IDENTIFY, *LOAD]


@pytest.mark.parametrize("buffer_bytes", [64, 500])
def test_a_load_keeps_to_the_buffer(buffer_bytes):
    network = small_network(sizes=(120, 30, 7), height=10)
    images = images_for(network, 5)
    board_peer = peer.Patient(buffer_bytes)
    with serving(board_peer, "pty") as where, open_board(where, network) as board:
        assert codes(board.infer_many(images)) == reference.infer(network, images).tolist()
    assert board_peer.most_waiting_bytes <= buffer_bytes


@pytest.mark.parametrize(
    ("lost", "times"),
    [
        (Request.CLEAR, 2),
        (Request.LOAD, 3),  # the first two are in flight together
        (Request.COMMIT, 2),
    ],
)
@pytest.mark.parametrize("fault", [peer.LosingAnswers, peer.LosingRequests])
def test_a_load_that_gets_lost_starts_anew(fault, lost, times):
    board_peer = fault(lost, times)
    with (
        serving(board_peer, "pty") as where,
        open_board(where, NETWORK, timeout_s=QUICK_S) as board,
    ):
        assert codes(board.infer_many(IMAGES)) == CODES
    assert board_peer.requests.count(Request.CLEAR) == 3


@pytest.mark.parametrize("lost", [Request.CLEAR, Request.LOAD, Request.COMMIT])
def test_a_board_that_falls_silent_in_a_load(lost):
    board_peer = peer.Falling(lost)
    with serving(board_peer, "pty") as where, pytest.raises(LinkTimeoutError) as caught:
        open_board(where, NETWORK, timeout_s=QUICK_S)
    assert str(caught.value) == silence(where, "0.25")


@pytest.mark.parametrize("lost", [Request.CLEAR, Request.LOAD, Request.COMMIT])
def test_a_load_that_always_gets_lost_is_given_up(lost):
    board_peer = peer.LosingAnswers(lost, times=1_000)
    with serving(board_peer, "pty") as where, pytest.raises(LinkError) as caught:
        open_board(where, NETWORK)
    assert str(caught.value) == (
        f"The board at {where!r} was asked 10 times to load the network, and each time something "
        "got lost on the way; check the cable and the baud rate."
    )
    assert board_peer.requests.count(Request.CLEAR) == LOAD_ATTEMPTS == 10


def test_a_digest_that_is_always_wrong():
    class Forgetting(Peer):
        def load(self, request):
            refusal = super().load(request)
            self.digest ^= 1
            return refusal

    board_peer = Forgetting()
    with serving(board_peer, "pty") as where:
        with pytest.raises(RefusedError) as caught:
            open_board(where, NETWORK)
        assert str(caught.value) == (
            f"The board at {where!r} refused to use the loaded network because what it received "
            "does not match the digest; open it again, and if that does not help, build its "
            "bitstream with this version."
        )
        assert caught.value.reason == Refusal.WRONG_DIGEST
        assert board_peer.requests.count(Request.COMMIT) == LOAD_ATTEMPTS


def test_a_digest_that_is_wrong_once():
    class ForgettingOnce(Peer):
        forgot = False

        def load(self, request):
            refusal = super().load(request)
            if not self.forgot:
                self.forgot = True
                self.digest ^= 1
            return refusal

    with serving(ForgettingOnce(), "pty") as where, open_board(where, NETWORK) as board:
        assert codes(board.infer_many(IMAGES)) == CODES


def test_a_network_that_does_not_fit_is_not_sent():
    board_peer = Peer(EngineShape(16, 16, 64, 64))
    with serving(board_peer, "pty") as where, pytest.raises(NetworkError) as caught:
        open_board(where, NETWORK)
    assert str(caught.value) == (
        "Network 'small' does not fit the engine: layer 0 has 30 inputs, the engine takes up to "
        "16; use a smaller network or an engine of a larger shape."
    )
    assert board_peer.requests == [Request.IDENTIFY]


def test_a_network_that_does_not_fit_leaves_the_other_in_place():
    huge = small_network(sizes=(2000, 7), height=10)
    with serving(Peer(), "pty") as where, open_board(where, NETWORK) as board:
        with pytest.raises(NetworkError):
            board.load(huge)
        assert board.network is NETWORK
        assert board.infer(IMAGES[0]).code == CODES[0]


def test_a_network_is_loaded_by_its_name_or_path(tmp_path):
    path = NETWORK.save(tmp_path / "small.npz")
    board_peer = Peer(EngineShape(64, 1024, 16384, 2048))
    with serving(board_peer, "pty") as where, open_board(where, NETWORK) as board:
        board.load("digits")
        assert board.network.name == "digits"
        board.load(path)
        assert codes(board.infer_many(IMAGES)) == CODES
        with pytest.raises(NetworkError, match=r"^There is no network 'digit'; choose one of "):
            board.load("digit")
        assert board.network.name == "small"


def test_a_failed_load_closes_the_board():
    board_peer = peer.LosingAnswers(Request.COMMIT, times=0)
    with serving(board_peer, "pty") as where:
        board = open_board(where, NETWORK, timeout_s=QUICK_S)
        board_peer.times = 1_000
        with pytest.raises(LinkError):
            board.load(small_network(seed=3))
        with pytest.raises(BoardError) as caught:
            board.infer(IMAGES[0])
    assert str(caught.value) == closed(where)


# Many images


@pytest.mark.parametrize("buffer_bytes", [64, 100, 2048])
def test_the_window_is_used_and_kept(buffer_bytes):
    """An image of NETWORK takes 3 + 4 bytes, its CRC 2 and the buffer 2."""
    board_peer = peer.Patient(buffer_bytes)
    images = images_for(NETWORK, 200 if buffer_bytes > 1000 else 30)
    with serving(board_peer, "pty") as where, open_board(where, NETWORK) as board:
        found = codes(board.infer_many(images))
    assert found == reference.infer(NETWORK, images).tolist()
    assert board_peer.most_waiting[Request.INFER] == buffer_bytes // 11
    assert board_peer.most_waiting_bytes <= buffer_bytes


def test_an_endless_source_is_read_no_further_than_the_window():
    taken = 0

    def endless():
        nonlocal taken
        for index in count():
            taken += 1
            yield IMAGES[index % len(IMAGES)]

    with serving(Peer(buffer_bytes=100), "pty") as where, open_board(where, NETWORK) as board:
        readings = board.infer_many(endless())
        assert taken == 0
        assert codes(islice(readings, 100)) == [CODES[i % len(IMAGES)] for i in range(100)]
        assert 100 <= taken <= 99 + 100 // 11


def test_no_images():
    with serving(Peer(), "pty") as where, open_board(where, NETWORK) as board:
        assert list(board.infer_many([])) == []


def test_infer_between_two_readings_of_infer_many():
    with serving(Peer(), "pty") as where, open_board(where, NETWORK) as board:
        found = []
        for index, reading in enumerate(board.infer_many(IMAGES)):
            found.append(reading.code)
            other = (index + 5) % len(IMAGES)
            assert board.infer(IMAGES[other]).code == CODES[other]
        assert found == CODES


def test_readings_that_nobody_took_do_not_disturb():
    with serving(Peer(), "pty") as where, open_board(where, NETWORK) as board:
        for _ in range(3):
            assert next(board.infer_many(IMAGES)).code == CODES[0]
            assert board.infer(IMAGES[7]).code == CODES[7]


def test_loading_while_images_are_in_flight():
    with serving(peer.Slow(), "pty") as where, open_board(where, NETWORK) as board:
        readings = board.infer_many(IMAGES[:5])
        next(readings)
        with pytest.raises(BoardError) as caught:
            board.load(small_network(seed=3))
        assert str(caught.value) == (
            f"The board at {where!r} still has images of infer_many in flight; take or close all "
            "its readings before loading a network."
        )
        assert codes(readings) == CODES[1:5]


def test_loading_between_two_readings():
    """Nothing is in flight, but the rest of the images was meant for the other network."""
    with serving(Peer(buffer_bytes=20), "pty") as where, open_board(where, NETWORK) as board:
        readings = board.infer_many(IMAGES[:2])
        next(readings)
        board.load(small_network(seed=3, name="other"))
        with pytest.raises(BoardError) as caught:
            next(readings)
    assert str(caught.value) == (
        f"The board at {where!r} was loaded with network 'other' while infer_many used 'small'; "
        "call infer_many again."
    )


def test_loading_after_readings_that_nobody_took():
    other = small_network(seed=3, name="other")
    with serving(peer.Slow(), "pty") as where, open_board(where, NETWORK) as board:
        assert next(board.infer_many(IMAGES[:5])).code == CODES[0]
        board.load(other)
        assert board.infer(IMAGES[0]).code == reference.infer(other, IMAGES[:1])[0]


def test_images_that_raise_in_the_middle():
    def images():
        yield from IMAGES[:25]
        raise ZeroDivisionError("the user's own")

    with serving(Peer(buffer_bytes=100), "pty") as where, open_board(where, NETWORK) as board:
        found, error = taken_until_error(board.infer_many(images()))
        assert found == CODES[:25]
        assert isinstance(error, ZeroDivisionError)
        assert str(error) == "the user's own"
        assert codes(board.infer_many(IMAGES)) == CODES


def test_an_image_of_another_size_in_the_middle():
    images = [*IMAGES[:25], np.zeros((7, 5), np.uint8), *IMAGES[25:]]
    with serving(Peer(buffer_bytes=100), "pty") as where, open_board(where, NETWORK) as board:
        found, error = taken_until_error(board.infer_many(images))
        assert found == CODES[:25]
        assert isinstance(error, ImageError)
        assert str(error).startswith("The image has 7 x 5 pixels")
        assert codes(board.infer_many(IMAGES)) == CODES


def test_memory_does_not_grow_with_the_stream(monkeypatch):
    class Quick(Peer):
        """Says other cycles each time, so that no two readings are equal."""

        def answer(self, payload):
            if payload[0] != Request.INFER:
                return super().answer(payload)
            number = int.from_bytes(payload[1:3], "little")
            return peer.encode_frame(
                protocol.READING.pack(
                    kind=Answer.READING, sequence=number, code=48, margin=0, cycles=number
                )
            )

    def infer(number):
        for reading in board.infer_many(IMAGES[index % 40].copy() for index in range(number)):
            del reading

    monkeypatch.setattr("stepnet.boards.reading.READINGS_REMEMBERED", 64)
    with serving(Quick(), "socket") as where, open_board(where, NETWORK) as board:
        infer(300)
        tracemalloc.start()
        infer(300)
        _, short_peak = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        infer(3000)
        _, long_peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert long_peak < short_peak + 100_000


def test_readings_do_not_wait_for_a_slow_source():
    """Each comes before the next image is taken, because that takes longer than the board."""
    happened = []

    def images():
        for index, image in enumerate(IMAGES[:10]):
            time.sleep(0.05)
            happened.append(f"image {index}")
            yield image

    with serving(Peer(), "socket") as where, open_board(where, NETWORK) as board:
        for index, reading in enumerate(board.infer_many(images())):
            assert reading.code == CODES[index]
            happened.append(f"reading {index}")
    assert happened == [f"{what} {index}" for index in range(10) for what in ("image", "reading")]


@pytest.mark.usefixtures("patient")
def test_statistics():
    with serving(Peer(), "pty") as where, open_board(where, NETWORK) as board:
        before = board.statistics
        list(board.infer_many(IMAGES))
        after = board.statistics
        list(board.infer_many(IMAGES))
        assert board.statistics.images == 2 * len(IMAGES)
    assert before == Statistics(
        0, 0, 0, 0, 1, 0, 0, before.bytes_sent, before.bytes_received, 0, 0, 0
    )
    assert before.images_per_s == 0
    assert after.images == len(IMAGES)
    # An image is 4 bytes and the header 3, the CRC 2, COBS 1 and the zero; a reading is 12.
    assert after.bytes_sent - before.bytes_sent == len(IMAGES) * (3 + 4 + 2 + 2)
    assert after.bytes_received - before.bytes_received == len(IMAGES) * (12 + 2 + 2)
    assert 0 < after.mean_latency_s <= after.worst_latency_s <= after.busy_s
    assert after.images_per_s == pytest.approx(len(IMAGES) / after.busy_s)


def test_a_source_that_is_slow_but_quicker_than_the_board_fills_the_window():
    def images():
        for image in IMAGES:
            time.sleep(0.001)
            yield image

    board_peer = peer.Patient(2048)  # answers once nothing has come for a while
    with serving(board_peer, "pty") as where, open_board(where, NETWORK) as board:
        assert codes(board.infer_many(images())) == CODES
    assert board_peer.most_waiting[Request.INFER] > 5


def test_not_many_images_are_taken_ahead_of_one_that_gets_lost():
    class Unlucky(Peer):
        times = 6

        def answer(self, payload):
            first = payload[3:] == protocol.pack_pixels(reference.binarise(NETWORK, IMAGES)[0])
            if payload[0] == Request.INFER and first and self.times:
                self.times -= 1
                return b""
            return super().answer(payload)

    taken = 0

    def endless():
        nonlocal taken
        for index in count():
            taken += 1
            yield IMAGES[index] if index < len(IMAGES) else IMAGES[1]

    with serving(Unlucky(buffer_bytes=100), "pty") as where, open_board(where, NETWORK) as board:
        readings = board.infer_many(endless())
        assert next(readings).code == CODES[0]
        assert taken <= 2 * (100 // 11)
        assert codes(islice(readings, 39)) == CODES[1:]


def test_a_board_at_rest_is_not_busy():
    """Nor is one whose readings nobody takes any more, or that fell silent."""
    board_peer = peer.Falling(Request.INFER)
    with (
        serving(board_peer, "pty") as where,
        open_board(where, NETWORK, timeout_s=QUICK_S) as board,
    ):
        with pytest.raises(LinkTimeoutError):
            board.infer(IMAGES[0])
        busy_s = board.statistics.busy_s
        assert busy_s >= QUICK_S
        time.sleep(0.02)
        assert board.statistics.busy_s == busy_s


# Answers that are lost, late, or none


@pytest.mark.parametrize("channel", ["socket", "pty"])
def test_a_port_that_gives_back_what_it_is_sent(channel):
    with serving(peer.Echo(), channel) as where, pytest.raises(LinkError) as caught:
        open_board(where, NETWORK, timeout_s=QUICK_S)
    assert str(caught.value) == (
        f"The port {where!r} gives back what it is sent: its TX and RX are joined, or a login "
        "prompt answers there; check the wires and that this is the board's port."
    )


def test_one_path_where_a_list_is_wanted():
    with serving(Peer(), "pty") as where, open_board(where, NETWORK) as board:
        for images, told in (
            ("path.png", "'path.png'"),
            (Path("path.png"), "'path.png'"),
            (b"\x89PNG", "What is given as bytes"),
        ):
            with pytest.raises(ImageError) as caught:
                board.infer_many(images)
            assert str(caught.value) == (
                f"{told} is one image, but a list of images is wanted; put it into a list, or "
                "read it with `infer`."
            )


def silence(where, seconds):
    return (
        f"The board at {where!r} did not answer within {seconds} s; check the port, the cable, the "
        "baud rate and that the board runs Stepnet's bitstream."
    )


@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize("fault", [peer.LosingAnswers, peer.LosingRequests])
def test_what_follows_tells_at_once_that_an_image_was_lost(fault):
    board_peer = fault(Request.INFER)
    with serving(board_peer, "pty") as where, open_board(where, NETWORK) as board:
        assert codes(board.infer_many(IMAGES)) == CODES
        assert board.statistics.retries == 1
        assert board.statistics.timeouts == 0
    assert board_peer.requests.count(Request.INFER) == len(IMAGES) + 1


@pytest.mark.parametrize("fault", [peer.LosingAnswers, peer.LosingRequests])
def test_a_lost_image_that_nothing_follows(fault):
    """The board is asked who it is after a few round trips, not after the timeout."""
    board_peer = fault(Request.INFER, times=2)
    with serving(board_peer, "pty") as where, open_board(where, NETWORK, timeout_s=60) as board:
        start_s = time.monotonic()
        assert board.infer(IMAGES[0]).code == CODES[0]
        assert time.monotonic() - start_s < 10
        assert board.statistics.retries == 2
        assert board.statistics.timeouts >= 2


def test_an_image_that_always_gets_lost():
    board_peer = peer.LosingAnswers(Request.INFER, times=8)
    with serving(board_peer, "pty") as where, open_board(where, NETWORK) as board:
        with pytest.raises(LinkError) as caught:
            board.infer(IMAGES[0])
        assert str(caught.value) == (
            f"The board at {where!r} was asked 8 times to infer an image, and each time something "
            "got lost on the way; check the cable and the baud rate."
        )
        assert board.infer(IMAGES[1]).code == CODES[1]
        board.load(small_network(seed=3))


class Hesitant(Peer):
    """Hears nothing while it is `silent`."""

    silent = False

    def receive(self, data):
        return super().receive(b"" if self.silent else data)


@pytest.mark.parametrize("sent", [1, 600], ids=["one image", "full buffer"])
def test_a_board_that_was_silent_for_too_long_may_be_asked_again(sent):
    board_peer = Hesitant()
    with (
        serving(board_peer, "pty") as where,
        open_board(where, NETWORK, timeout_s=QUICK_S) as board,
    ):
        board_peer.silent = True
        with pytest.raises(LinkTimeoutError) as caught:
            list(board.infer_many(repeat(IMAGES[0], sent)))
        assert str(caught.value) == silence(where, "0.25")
        assert isinstance(caught.value, TimeoutError)
        board_peer.silent = False
        assert codes(board.infer_many(IMAGES)) == CODES


def test_a_stream_begun_while_others_fill_the_buffer():
    """As after Ctrl-C: it waits for room, and skips none of its images."""
    with serving(Peer(), "pty") as where, open_board(where, NETWORK) as board:
        exchange = board.stream([])._exchange
        message = Message(Request.INFER, bytes(4))
        while exchange.fits(message):
            exchange.send([message])
            message = Message(Request.INFER, bytes(4))
        assert board.infer(IMAGES[0]).code == CODES[0]


def test_a_frame_whose_end_is_lost():
    """The zero before the second attempt ends it; the two frames must not become one broken one."""

    class LosingAZero(Peer):
        loses = False

        def receive(self, data):
            if self.loses and data.endswith(b"\0"):
                self.loses, data = False, data[:-1]
            return super().receive(data)

    board_peer = LosingAZero()
    with (
        serving(board_peer, "pty") as where,
        open_board(where, NETWORK, timeout_s=QUICK_S) as board,
    ):
        board_peer.loses = True
        assert board.infer(IMAGES[0]).code == CODES[0]


def test_a_late_answer_is_not_taken_for_another_images():
    """The peer holds every other answer back until the repetition of its request comes."""
    board_peer = peer.Late()
    with (
        serving(board_peer, "pty") as where,
        open_board(where, NETWORK, timeout_s=QUICK_S) as board,
    ):
        for index in range(3):
            assert board.infer(IMAGES[index]).code == CODES[index]
    assert board_peer.requests.count(Request.INFER) == 6


def test_an_answer_that_comes_after_it_was_given_up():
    """It comes with the answer to the next image, before it, and must not count."""

    class VeryLate(Peer):
        held_back = b""
        holds = False

        def answer(self, payload):
            answer = self.held_back + super().answer(payload)
            self.held_back = answer if self.holds else b""
            return b"" if self.holds else answer

    board_peer = VeryLate()
    with (
        serving(board_peer, "pty") as where,
        open_board(where, NETWORK, timeout_s=QUICK_S) as board,
    ):
        board_peer.holds = True
        with pytest.raises(LinkTimeoutError):
            board.infer(IMAGES[0])
        board_peer.holds = False
        assert board.infer(IMAGES[1]).code == CODES[1]
        assert codes(board.infer_many(IMAGES)) == CODES


def test_an_answer_of_the_wrong_kind_does_not_count():
    class Confused(Peer):
        def answer(self, payload):
            sequence = int.from_bytes(payload[1:3], "little")
            wrong = peer.reading(sequence, 0x21)
            if payload[0] == Request.INFER:
                wrong = peer.acknowledgement(sequence)
            return wrong + super().answer(payload)

    with serving(Confused(), "pty") as where, open_board(where, NETWORK) as board:
        assert codes(board.infer_many(IMAGES)) == CODES


def test_an_answer_of_the_wrong_length_does_not_count():
    """Noise that passes for a frame, once in 65,536 times, has to pass for an answer too."""

    class Longwinded(Peer):
        def answer(self, payload):
            answer = super().answer(payload)
            if payload[0] != Request.INFER:
                return answer
            wrong = protocol.READING.pack(
                kind=Answer.READING,
                sequence=int.from_bytes(payload[1:3], "little"),
                code=0x21,
                margin=0,
                cycles=1,
            )
            return peer.encode_frame(wrong + b"!") + peer.encode_frame(wrong[:-1]) + answer

    with serving(Longwinded(), "pty") as where, open_board(where, NETWORK) as board:
        assert codes(board.infer_many(IMAGES)) == CODES


class Numbered(Peer):
    """numbers: the sequence numbers of all requests."""

    def __init__(self):
        super().__init__()
        self.numbers = []

    def answer(self, payload):
        self.numbers.append(int.from_bytes(payload[1:3], "little"))
        return super().answer(payload)


def test_sequence_numbers_wrap_around(monkeypatch):
    monkeypatch.setattr("stepnet.link.exchange.urandom", lambda size: b"\xec\xff")
    board_peer = Numbered()
    with serving(board_peer, "pty") as where, open_board(where, NETWORK) as board:
        assert codes(board.infer_many(IMAGES)) == CODES
    numbers = board_peer.numbers
    assert numbers == [(numbers[0] + index) % 0x10000 for index in range(len(numbers))]
    assert 0 in numbers


def test_programs_start_at_different_numbers(monkeypatch):
    random_bytes = [b"\x00\x10", b"\x12\x34"]
    monkeypatch.setattr("stepnet.link.exchange.urandom", lambda size: random_bytes.pop(0))
    board_peer = Numbered()
    with serving(board_peer) as where:
        open_board(where, NETWORK).close()
        second = len(board_peer.numbers)
        open_board(where, NETWORK).close()
    assert board_peer.numbers[0] == 0x1001
    assert board_peer.numbers[second] == 0x3413


def test_noise_before_the_first_frame():
    """What a UART sends while it starts is dropped, and so is half a frame on the other side."""

    class Starting(Peer):
        def receive(self, data):
            noise, self.receive = b"\xff\x00\x55", super().receive
            return noise + self.receive(b"\x07half a frame" + data)

    with serving(Starting(), "pty") as where, open_board(where, NETWORK, timeout_s=1) as board:
        assert board.infer(IMAGES[0]).code == CODES[0]


def test_a_board_that_needs_a_moment_to_start():
    board_peer = peer.LosingRequests(Request.IDENTIFY, times=2)
    with serving(board_peer, "pty") as where, open_board(where, NETWORK, timeout_s=1) as board:
        assert board.infer(IMAGES[0]).code == CODES[0]


@pytest.mark.parametrize("channel", ["socket", "pty"])
def test_a_silent_board(channel):
    with serving(peer.Silent(), channel) as where:
        start = time.monotonic()
        with pytest.raises(LinkTimeoutError) as caught:
            open_board(where, NETWORK, timeout_s=QUICK_S)
        assert QUICK_S <= time.monotonic() - start < QUICK_S + 2
    assert str(caught.value) == silence(where, "0.25")
    assert caught.value.exit_code == 1


def test_a_board_that_never_stops_talking_about_other_things():
    with serving(peer.Chatterer(), "pty") as where:
        start = time.monotonic()
        with pytest.raises(LinkTimeoutError) as caught:
            open_board(where, NETWORK, timeout_s=QUICK_S)
        assert time.monotonic() - start < QUICK_S + 2
    assert str(caught.value) == silence(where, "0.25")


def test_a_board_that_answers_nonsense():
    with serving(peer.Nonsense(), "pty") as where, pytest.raises(LinkError) as caught:
        open_board(where, NETWORK, timeout_s=QUICK_S)
    assert re.sub(r"\(\d+ bytes", "(MANY bytes", str(caught.value)) == (
        f"What answers at {where!r} does not speak Stepnet's protocol (MANY bytes came, but no "
        "whole message); check the port, the baud rate and that the board runs Stepnet's bitstream."
    )
    assert not isinstance(caught.value, LinkTimeoutError)


def test_a_board_that_falls_silent():
    with (
        serving(peer.Falling(Request.INFER), "pty") as where,
        open_board(where, NETWORK, timeout_s=QUICK_S) as board,
    ):
        start = time.monotonic()
        with pytest.raises(LinkTimeoutError) as caught:
            list(board.infer_many(IMAGES))
        assert QUICK_S <= time.monotonic() - start < QUICK_S + 2
    assert str(caught.value) == silence(where, "0.25")


# Boards that are reset, and cables that are pulled


@pytest.mark.parametrize("at", [0, 1, 30, 39])
def test_a_board_that_is_reset_in_the_middle(at):
    board_peer = peer.Resetting(at)
    with serving(board_peer, "pty") as where, open_board(where, NETWORK) as board:
        assert codes(board.infer_many(IMAGES)) == CODES
        statistics = board.statistics
    assert statistics.loads == 2
    assert statistics.images == len(IMAGES)
    assert statistics.refusals <= statistics.retries <= len(IMAGES)
    assert board_peer.requests.count(Request.COMMIT) == 2


def test_a_board_that_is_reset_in_another_stream():
    """Each of two streams finds its images refused; the network is loaded once."""
    with serving(peer.Resetting(20), "pty") as where, open_board(where, NETWORK) as board:
        found = []
        for index, reading in enumerate(board.infer_many(IMAGES)):
            found.append(reading.code)
            assert board.infer(IMAGES[index]).code == CODES[index]
        assert found == CODES
        assert board.statistics.loads == 2


@pytest.mark.parametrize(
    "built_in",
    [small_network(seed=3), small_network(seed=3, sizes=(60, 12, 7))],
    ids=["images of the same size", "images of another size"],
)
@pytest.mark.parametrize("at", [0, 1, 30, 39])
def test_a_reset_that_brings_another_network_back(at, built_in):
    """No reading is of the network that was built in, though it answers after the reset."""
    board_peer = peer.BuiltIn(memory_image(built_in, SHAPE), at)
    with serving(board_peer, "pty") as where, open_board(where, NETWORK) as board:
        assert board.statistics.loads == 1
        assert codes(board.infer_many(IMAGES)) == CODES
        assert board.statistics.loads == 2
        assert codes(board.infer_many(IMAGES)) == CODES
        assert board.statistics.loads == 2


@pytest.mark.parametrize("at", [1, 2, 39])
def test_a_reset_that_another_stream_notices(at):
    """One image of the first stream is lost; what comes behind it belongs to the second, too."""
    board_peer = peer.BuiltIn(memory_image(small_network(seed=3), SHAPE), at)
    with serving(board_peer, "pty") as where, open_board(where, NETWORK) as board:
        first, second = board.infer_many(IMAGES), board.infer_many(IMAGES)
        pairs = [(next(first).code, next(second).code) for _ in IMAGES]
        assert pairs == list(zip(CODES, CODES, strict=True))
        assert board.statistics.loads == 2


def test_a_reset_and_a_load_that_fails():
    """The network that the reset brought back is still there when the board is asked again."""

    class Deaf(peer.BuiltIn):
        hears = True

        def answer(self, payload):
            if payload[0] == Request.CLEAR and self.at is None:  # after the reset
                self.hears = False
            return super().answer(payload) if self.hears else b""

    board_peer = Deaf(memory_image(small_network(seed=3), SHAPE), at=1)
    with (
        serving(board_peer, "pty") as where,
        open_board(where, NETWORK, timeout_s=QUICK_S) as board,
    ):
        with pytest.raises(LinkTimeoutError):
            list(board.infer_many(IMAGES))
        board_peer.hears, board_peer.at = True, -1
        assert codes(board.infer_many(IMAGES)) == CODES


@pytest.mark.parametrize("at", [1, 2, 39])
def test_a_reset_in_a_stream_that_nobody_takes_any_more(at):
    board_peer = peer.BuiltIn(memory_image(small_network(seed=3), SHAPE), at)
    with serving(board_peer, "pty") as where, open_board(where, NETWORK) as board:
        abandoned = board.infer_many(IMAGES)
        assert next(abandoned).code == CODES[0]
        abandoned.close()
        assert codes(board.infer_many(IMAGES)) == CODES
        assert board.statistics.loads == 2


@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize("reason", [Refusal.NOTHING_LOADED, Refusal.WRONG_LENGTH])
def test_an_image_that_is_refused_once_is_asked_again(reason):
    board_peer = peer.Refusing(Request.INFER, reason, times=2)
    with serving(board_peer, "pty") as where, open_board(where, NETWORK) as board:
        assert codes(board.infer_many(IMAGES)) == CODES
        assert board.statistics.refusals == board.statistics.retries == 2
        assert board.statistics.loads == 1  # it says that it still has the network


@pytest.mark.slow
@pytest.mark.parametrize("forgets", [False, True])
@pytest.mark.parametrize("at", [0, 1, 30, 39])
def test_a_connection_that_comes_back(at, forgets):
    board_peer = peer.LeavingOnce(at, forgets=forgets)
    with serving(board_peer, "socket") as where, open_board(where, NETWORK) as board:
        assert codes(board.infer_many(IMAGES)) == CODES
        assert board.statistics.reconnects == 1
        assert board.statistics.loads == 1 + forgets


@pytest.mark.parametrize("at", [0, 30])
def test_a_cable_that_stays_pulled(at):
    with serving(peer.LeavingOnce(at), "pty") as where:
        board = open_board(where, NETWORK, timeout_s=QUICK_S)
        start_s = time.monotonic()
        found, error = taken_until_error(board.infer_many(IMAGES))
        assert time.monotonic() - start_s < QUICK_S + 2
        with pytest.raises(BoardError) as again:
            board.infer(IMAGES[0])
    assert isinstance(error, LinkBrokenError)
    assert re.sub(r"\((.*)\)", "(REASON)", str(error)) == (
        f"The connection to {where!r} broke and did not come back within 0.25 s (REASON); check "
        "the cable and open the board again."
    )
    assert found == CODES[: len(found)]
    assert str(again.value) == closed(where)


@pytest.mark.slow
def test_a_connection_that_breaks_again_and_again():
    board_peer = peer.Leaving()
    with serving(board_peer, "socket") as where, open_board(where, NETWORK) as board:
        with pytest.raises(LinkBrokenError) as caught:
            list(board.infer_many(IMAGES))
        assert board.statistics.reconnects == 3
        with pytest.raises(BoardError) as again:
            board.infer(IMAGES[0])
    assert str(caught.value).startswith(f"The connection to {where!r} broke (")
    assert str(again.value) == closed(where)


@pytest.mark.slow
def test_another_board_at_the_same_port():
    """It is loaded with what the other one had; one that is no use ends the stream."""

    class Replaced(peer.LeavingOnce):
        shape_after = EngineShape(8, 512, 8192, 600)

        def answer(self, payload):
            try:
                return super().answer(payload)
            except peer.HangUpError:
                self.engine.shape = self.shape_after
                self.start()
                raise

    with serving(Replaced(25), "socket") as where, open_board(where, NETWORK) as board:
        assert codes(board.infer_many(IMAGES)) == CODES
        assert board.identity.shape == Replaced.shape_after
    board_peer = Replaced(25)
    board_peer.shape_after = EngineShape(16, 16, 64, 64)
    with serving(board_peer, "socket") as where, open_board(where, NETWORK) as board:
        with pytest.raises(NetworkError, match="layer 0 has 30 inputs"):
            list(board.infer_many(IMAGES))
        with pytest.raises(BoardError) as caught:
            board.infer(IMAGES[0])
    assert str(caught.value) == closed(where)


# Boards of another kind


def sentence_on_opening(board_peer):
    """What `open_board` says; the name of the port is replaced by PORT."""
    with serving(board_peer, "pty") as where, pytest.raises(BoardError) as caught:
        open_board(where, NETWORK, timeout_s=QUICK_S)
    return str(caught.value).replace(repr(where), "PORT")


@pytest.mark.parametrize(
    ("claims", "sentence"),
    [
        (
            {"protocol_version": 0},
            "The board at PORT speaks protocol version 0, this stepnet version 2; "
            "build its bitstream again.",
        ),
        (
            {"protocol_version": 3},
            "The board at PORT speaks protocol version 3, this stepnet version 2; upgrade stepnet.",
        ),
        (
            {"core": 9},
            "The board at PORT has a core of kind 9, which this stepnet does not know; "
            "upgrade stepnet.",
        ),
        (
            {"simd": 12},
            "The board at PORT says that it has an engine of SIMD 12 with 1024 inputs, 4096 weight "
            "words, 512 parameter words and 8 weight bits, which cannot be; build its bitstream "
            "again.",
        ),
    ],
)
def test_boards_of_another_kind(claims, sentence):
    assert sentence_on_opening(peer.Claiming(**claims)) == sentence


def test_a_board_of_the_version_before_says_less_of_itself():
    assert sentence_on_opening(peer.Older()) == (
        "The board at PORT speaks protocol version 1, this stepnet version 2; build its bitstream "
        "again."
    )


def test_an_identity_that_is_too_short():
    class Brief(Peer):
        def answer(self, payload):
            return peer.encode_frame(bytes([0x81, payload[1], payload[2], 2, 1]))

    assert sentence_on_opening(Brief()) == (
        "The board sent a message of 5 bytes where 38 belong; "
        "check that it runs Stepnet's gateware of this version."
    )


AGAIN = "; open it again, and if that does not help, build its bitstream with this version."


@pytest.mark.parametrize(
    ("kind", "reason", "sentence"),
    [
        (
            Request.IDENTIFY,
            Refusal.UNKNOWN_KIND,
            "The board at PORT refused to identify itself because it does not know this kind of "
            "message",
        ),
        (
            Request.CLEAR,
            Refusal.WRONG_LENGTH,
            "The board at PORT refused to forget its network because the message has the wrong "
            "length",
        ),
        (
            Request.LOAD,
            Refusal.OUT_OF_RANGE,
            "The board at PORT refused to load the network because the address is outside its "
            "memory",
        ),
        (
            Request.COMMIT,
            77,
            "The board at PORT refused to use the loaded network because of reason 77, unknown "
            "here",
        ),
    ],
)
def test_refusals_on_opening(kind, reason, sentence):
    in_flight = 1 + (kind == Request.LOAD)
    board_peer = peer.Refusing(kind, reason, together=in_flight)
    assert sentence_on_opening(board_peer) == sentence + AGAIN
    assert board_peer.requests.count(kind) == in_flight


@pytest.mark.parametrize(
    ("reason", "because"),
    [
        (Refusal.NOTHING_LOADED, "no network is loaded"),
        (Refusal.PROGRAM_OVERRUN, "the loaded network has no last layer"),
    ],
)
def test_refused_images(reason, because):
    with (
        serving(peer.Refusing(Request.INFER, reason), "pty") as where,
        open_board(where, NETWORK) as board,
    ):
        with pytest.raises(RefusedError) as caught:
            board.infer(IMAGES[0])
        assert str(caught.value) == (
            f"The board at {where!r} refused to infer an image because {because}" + AGAIN
        )
        assert caught.value.reason == reason


# Images


def test_images_of_another_form():
    sentences = {}
    with serving(Peer(), "pty") as where, open_board(where, NETWORK) as board:
        for name, image in {
            "size": np.zeros((7, 5), np.uint8),
            "dimensions": IMAGES[:2],
            "type": np.zeros((5, 6)),
            "nothing": None,
        }.items():
            with pytest.raises(ImageError) as caught:
                board.infer(image)
            sentences[name] = str(caught.value)
        assert board.infer(IMAGES[0]).code == CODES[0]
    fit = "; `stepnet.picture.normalise` makes any picture fit."
    assert sentences == {
        "size": "The image has 7 x 5 pixels, but network 'small' takes 5 x 6" + fit,
        "dimensions": "The image has 2 x 5 x 6 pixels, but network 'small' takes 5 x 6" + fit,
        "type": "The images hold float64 values; give uint8 grey values with bright ink, or bool.",
        "nothing": "An object of type 'NoneType' is no picture; give a path, the bytes of an image "
        "file, a picture from Pillow or an array of uint8.",
    }


def test_bool_images_are_taken_as_they_are():
    with serving(Peer(), "pty") as where, open_board(where, NETWORK) as board:
        assert codes(board.infer_many(NETWORK.ink_threshold <= IMAGES)) == CODES


def test_pictures_are_made_fit(tmp_path):
    from stepnet.pictures.picture import normalise

    network = small_network(sizes=(28 * 28, 20, 7), height=28)
    drawing = np.full((90, 70), 255, np.uint8)
    drawing[20:70, 30:40] = 0
    drawing[20:30, 30:60] = 0
    path = tmp_path / "drawing.png"
    Image.fromarray(drawing).save(path)
    expected = reference.infer(network, normalise(drawing, 28, 28)[np.newaxis])[0]
    with serving(Peer(), "pty") as where, open_board(where, network) as board:
        found = board.infer_many([path, str(path), Image.open(path), path.read_bytes()])
        assert codes(found) == [expected] * 4


# Opening and closing


def closed(where):
    return f"The board at {where!r} is closed; open it again with open_board."


def test_a_closed_board():
    with serving(Peer(), "pty") as where:
        with open_board(where, NETWORK) as board:
            pass
        board.close()
        uses = [
            lambda: board.infer(IMAGES[0]),
            lambda: list(board.infer_many(IMAGES)),
            lambda: board.load(NETWORK),
            board.__enter__,
        ]
        for use in uses:
            with pytest.raises(BoardError) as caught:
                use()
            assert str(caught.value) == closed(where)


@pytest.mark.parametrize("timeout_s", [0, -1.5, float("nan"), float("inf")])
def test_timeouts_that_make_no_sense(timeout_s):
    with serving(Peer(), "pty") as where, pytest.raises(BoardError) as caught:
        open_board(where, NETWORK, timeout_s=timeout_s)
    assert str(caught.value) == (
        f"A timeout of {timeout_s:g} s makes no sense; give a number above 0."
    )


def test_the_network_may_be_a_file(tmp_path):
    path = NETWORK.save(tmp_path / "small.npz")
    with serving(Peer(), "pty") as where, open_board(where, path) as board:
        assert board.network.digest == NETWORK.digest


def test_a_missing_network_is_found_before_the_board_is_opened():
    with pytest.raises(NetworkError) as caught:
        open_board("/dev/ttyNOSUCH1", "nowhere.npz")
    assert str(caught.value) == (
        "There is no network file 'nowhere.npz'; name a .npz that `stepnet train` wrote, "
        "or a shipped network."
    )


class Inside:
    """A `Link` is three methods; a board in the same process is one."""

    def __init__(self, board_peer):
        self.peer, self.answers, self.closed = board_peer, b"", False

    def write(self, data):
        self.answers += self.peer.receive(data)

    def read(self, timeout_s):
        some, self.answers = self.answers[:7], self.answers[7:]
        return some

    def close(self):
        self.closed = True


def test_any_link_will_do():
    link = Inside(Peer())
    with Board(link, NETWORK) as board:
        assert codes(board.infer_many(IMAGES)) == CODES
        assert not link.closed
    assert link.closed


def test_what_fails_to_open_closes_its_link():
    link = Inside(peer.Claiming(core=9))
    with pytest.raises(BoardError):
        Board(link, NETWORK)
    assert link.closed
