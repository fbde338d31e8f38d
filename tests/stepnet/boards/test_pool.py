"""A pool of boards over real channels: order, deaths, limits and figures."""

import threading
import time
import tracemalloc
from contextlib import ExitStack
from itertools import count, islice
from typing import ClassVar

import numpy as np
import pytest

import peer
from peer import HangUpError, serving
from readings import codes, taken_until_error
from small_networks import small_network
from stepnet.boards import pool
from stepnet.boards.board import open_board
from stepnet.boards.pool import Pool, open_pool
from stepnet.cores.engine.shape import EngineShape
from stepnet.errors import BoardError, ImageError, LinkError, LinkTimeoutError, NetworkError
from stepnet.link.messages import Refusal, Request
from stepnet.networks import reference

QUICK_S = 0.25

WINDOW = 10
IMAGE_BUFFER_BYTES = 3 + 4 + 2 + 2
"""INFER's header, the pixels, the CRC, and what the buffer keeps beside."""


NETWORK = small_network()
IMAGES = np.random.default_rng(1).integers(0, 256, (120, 5, 6), dtype=np.uint8)
CODES = reference.infer(NETWORK, IMAGES).tolist()


class Peer(peer.Peer):
    """Has room for few images, and works each one out only once."""

    known: ClassVar = {}

    def __init__(self):
        super().__init__(buffer_bytes=WINDOW * IMAGE_BUFFER_BYTES)

    def code(self, image):
        return self.known.get(image) or self.known.setdefault(image, super().code(image))


class Unhurried(Peer):
    """Takes a moment for an image, so that the others get their share."""

    def answer(self, payload):
        if payload[0] == Request.INFER:
            time.sleep(0.002)
        return super().answer(payload)


class LeavingAt(Peer):
    """Closes the channel when image number `last` comes."""

    def __init__(self, last):
        super().__init__()
        self.last = last

    def answer(self, payload):
        if payload[0] == Request.INFER and self.requests.count(Request.INFER) == self.last:
            raise HangUpError
        return super().answer(payload)


class Held(Peer):
    """Answers images only once `released`."""

    def __init__(self):
        super().__init__()
        self.released = threading.Event()
        self.waiting = []

    def answer(self, payload):
        if payload[0] == Request.INFER and not self.released.is_set():
            self.waiting.append(payload)
            self.requests.append(Request.INFER)
            return b""
        return super().answer(payload)

    def receive(self, data):
        answers = super().receive(data)
        if self.released.is_set():
            answers += b"".join(map(super().answer, self.waiting))
            self.waiting.clear()
        return answers


@pytest.fixture
def open_peers():
    """Opens a pool of peers, each at a socket or a terminal of its own."""
    with ExitStack() as stack:

        def open_them(*peers, channel="pty", timeout_s=2.0):
            wheres = [stack.enter_context(serving(peer, channel)) for peer in peers]
            opened = open_pool(wheres, NETWORK, timeout_s=timeout_s)
            return stack.enter_context(opened), wheres

        yield open_them


def test_the_codes_of_these_tests_differ():
    assert len(set(CODES)) > 10


@pytest.mark.parametrize("channel", ["pty", "socket"])
def test_readings_come_in_order_and_every_board_works(open_peers, channel):
    peers = [Unhurried(), Unhurried(), Unhurried()]
    opened, wheres = open_peers(*peers, channel=channel)
    assert codes(opened.infer_many(IMAGES)) == CODES
    inferred = [peer.requests.count(Request.INFER) for peer in peers]
    assert sum(inferred) == len(IMAGES)
    assert min(inferred) > 0
    statistics = opened.statistics
    assert [board.where for board in statistics] == wheres
    assert [board.images for board in statistics] == inferred
    for board in statistics:
        assert board.failure is None
        assert board.busy_s > 0
        assert board.images_per_s == pytest.approx(board.images / board.busy_s)
    assert opened.network is NETWORK


def test_a_pool_at_rest_is_not_busy(open_peers):
    opened, _ = open_peers(Peer())
    assert opened.statistics[0].images_per_s == 0.0
    assert opened.infer(IMAGES[0]).code == CODES[0]
    time.sleep(0.05)  # the board may still be about to rest
    busy_s = opened.statistics[0].busy_s
    time.sleep(0.05)
    assert opened.statistics[0].busy_s == busy_s


@pytest.mark.parametrize("last", [0, 1, 25])
def test_a_board_that_dies_leaves_its_images_to_the_others(open_peers, last):
    opened, wheres = open_peers(LeavingAt(last), Peer(), timeout_s=QUICK_S)
    assert codes(opened.infer_many(IMAGES)) == CODES
    dead, alive = opened.statistics
    assert isinstance(dead.failure, LinkError)
    assert wheres[0] in str(dead.failure)
    assert dead.images <= last
    assert alive.failure is None
    assert dead.images + alive.images == len(IMAGES)
    assert codes(opened.infer_many(IMAGES)) == CODES
    assert opened.statistics[0] == dead


def test_a_board_whose_connection_comes_back_stays_in_the_pool(open_peers):
    opened, _ = open_peers(peer.LeavingOnce(25), Peer(), channel="socket")
    assert codes(opened.infer_many(IMAGES)) == CODES
    assert codes(opened.infer_many(IMAGES)) == CODES
    assert [board.failure for board in opened.statistics] == [None, None]
    assert sum(board.images for board in opened.statistics) == 2 * len(IMAGES)


class Shrinking(peer.LeavingOnce):
    """Comes back as a board with too small an engine."""

    def answer(self, payload):
        try:
            return super().answer(payload)
        except HangUpError:
            self.start()
            self.engine.shape = EngineShape(16, 16, 4096, 512)
            raise


def test_a_board_that_comes_back_too_small_says_so(open_peers):
    opened, wheres = open_peers(Shrinking(25), Peer(), channel="socket")
    assert codes(opened.infer_many(IMAGES)) == CODES
    failed, alive = opened.statistics
    assert isinstance(failed.failure, BoardError)
    assert str(failed.failure) == (
        f"The board at {wheres[0]!r} is another one since it came back, and cannot infer network "
        "'small' (Network 'small' does not fit the engine: layer 0 has 30 inputs, the engine takes "
        "up to 16; use a smaller network or an engine of a larger shape); connect the one that was "
        "there, or open the pool with a network that fits."
    )
    assert alive.failure is None


def test_a_board_that_falls_silent(open_peers):
    opened, _ = open_peers(peer.Falling(Request.INFER), Peer(), timeout_s=QUICK_S)
    assert codes(opened.infer_many(IMAGES)) == CODES
    assert isinstance(opened.statistics[0].failure, LinkTimeoutError)


def test_no_board_is_left(open_peers):
    opened, wheres = open_peers(
        peer.Refusing(Request.INFER, Refusal.NOTHING_LOADED), peer.Leaving(), timeout_s=QUICK_S
    )
    with pytest.raises(BoardError) as caught:
        list(opened.infer_many(IMAGES))
    refused, left = (str(board.failure) for board in opened.statistics)
    assert str(caught.value) == (
        f"No board of the pool is left: {wheres[0]!r} failed ({refused[:-1]}); {wheres[1]!r} "
        f"failed ({left[:-1]}). Open the pool again once they work."
    )
    assert "because no network is loaded" in refused
    assert "broke" in left
    with pytest.raises(BoardError) as again:
        opened.infer(IMAGES[0])
    assert str(again.value) == str(caught.value)


def test_what_was_answered_comes_before_the_end(open_peers):
    opened, _ = open_peers(LeavingAt(25), timeout_s=QUICK_S)
    taken, error = taken_until_error(opened.infer_many(IMAGES))
    assert isinstance(error, BoardError)
    assert len(taken) == opened.statistics[0].images > 0
    assert taken == CODES[: len(taken)]


def test_an_image_that_no_board_takes(open_peers):
    opened, _ = open_peers(Peer(), Peer())
    images = [*IMAGES[:50], np.zeros((2, 3), np.uint8), *IMAGES[50:100]]
    taken, error = taken_until_error(opened.infer_many(images))
    assert isinstance(error, ImageError)
    assert str(error).startswith("The image has 2 x 3 pixels, but network 'small' takes")
    assert taken == CODES[:50]
    assert codes(opened.infer_many(IMAGES)) == CODES
    assert [board.failure for board in opened.statistics] == [None, None]


def test_images_that_end_in_an_exception(open_peers):
    opened, _ = open_peers(Peer(), Peer())

    def images():
        yield from IMAGES[:50]
        raise ZeroDivisionError("the user's own")

    taken, error = taken_until_error(opened.infer_many(images()))
    assert isinstance(error, ZeroDivisionError)
    assert taken == CODES[:50]


def test_a_stream_without_end_takes_no_more_than_it_can_use(open_peers):
    opened, _ = open_peers(Peer())
    taken = count()

    def endless():
        while True:
            yield IMAGES[next(taken) % len(IMAGES)]

    stream = opened.infer_many(endless())
    assert codes(islice(stream, 100)) == CODES[:100]
    # What waits for an answer, and as many that were answered since the last one was taken.
    assert next(taken) <= 100 + 2 * pool.WINDOWS_AHEAD * WINDOW
    stream.close()
    assert codes(opened.infer_many(IMAGES)) == CODES


def test_fast_boards_do_not_run_away_from_a_slow_one(open_peers, monkeypatch):
    monkeypatch.setattr(pool, "READINGS_KEPT", 30)  # fewer than two boards have ahead
    slow = Held()
    opened, _ = open_peers(slow, Peer(), timeout_s=5.0)
    taken = []
    readings = []
    ahead_at_release = []

    def endless():
        for index in count():
            taken.append(index)
            yield IMAGES[index % len(IMAGES)]

    def release():
        while len(taken) < 30:
            time.sleep(0.01)
        time.sleep(0.1)  # enough for the fast board to go on, were it let
        ahead_at_release.append(len(taken) - len(readings))
        slow.released.set()

    releasing = threading.Thread(target=release)
    releasing.start()
    for reading in islice(opened.infer_many(endless()), 100):
        readings.append(reading)
    releasing.join()
    assert codes(readings) == CODES[:100]
    assert ahead_at_release == [30]


def test_memory_does_not_grow_with_the_stream(open_peers):
    opened, _ = open_peers(Peer(), Peer())

    def infer(number):
        for reading in opened.infer_many(IMAGES[index % 120].copy() for index in range(number)):
            del reading

    infer(200)
    tracemalloc.start()
    infer(200)
    _, short_peak = tracemalloc.get_traced_memory()
    tracemalloc.reset_peak()
    infer(1000)
    _, long_peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert long_peak < short_peak + 100_000


def test_several_streams_at_once(open_peers):
    opened, _ = open_peers(Peer(), Peer())
    found = {}

    def infer(start):
        found[start] = codes(opened.infer_many(IMAGES[start : start + 40]))

    threads = [threading.Thread(target=infer, args=(start,)) for start in (0, 40, 80)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [code for start in (0, 40, 80) for code in found[start]] == CODES


def test_a_closed_pool(open_peers):
    opened, wheres = open_peers(Peer(), channel="socket")
    opened.close()
    opened.close()
    for use in (lambda: opened.infer(IMAGES[0]), opened.__enter__):
        with pytest.raises(BoardError) as caught:
            use()
        assert str(caught.value) == "The pool is closed; open it again with open_pool."
    with open_board(wheres[0], NETWORK) as board:  # the pool has let it go
        assert board.infer(IMAGES[0]).code == CODES[0]


def test_closing_ends_a_stream_in_another_thread(open_peers):
    opened, _ = open_peers(Held(), timeout_s=QUICK_S)
    caught = []

    def infer():
        try:
            opened.infer(IMAGES[0])
        except BoardError as error:
            caught.append(str(error))

    waiting = threading.Thread(target=infer)
    waiting.start()
    while not opened.statistics[0].busy_s:
        time.sleep(0.01)
    opened.close()
    waiting.join()
    assert caught == ["The pool is closed; open it again with open_pool."]


def test_a_pool_that_cannot_be_opened_keeps_no_board(open_peers):
    with serving(Peer(), "socket") as where:
        with pytest.raises(LinkError, match="/dev/nowhere"):
            open_pool([where, "/dev/nowhere"], NETWORK)
        with open_pool([where], NETWORK) as opened:
            assert opened.infer(IMAGES[0]).code == CODES[0]


def test_a_pool_of_nothing():
    with pytest.raises(BoardError) as caught:
        open_pool([], NETWORK)
    assert str(caught.value) == "A pool needs boards; name at least one."
    with pytest.raises(BoardError):
        Pool([])


def test_a_pool_of_one_name():
    with pytest.raises(BoardError) as caught:
        open_pool("/dev/ttyUSB1", NETWORK)
    assert str(caught.value) == (
        "A pool takes a list of boards; give ['/dev/ttyUSB1'] for that one."
    )


def test_a_network_that_is_not_there():
    with pytest.raises(NetworkError):
        open_pool(["sim"], "no-such-network")


def test_boards_that_come_and_go(monkeypatch):
    monkeypatch.setattr(pool, "RETRY_S", 0.05)
    told = []
    falling = peer.Falling(Request.INFER)
    with serving(falling) as where:
        wheres = ["/dev/nowhere", where]
        with open_pool(
            wheres, NETWORK, timeout_s=QUICK_S, come_back=True, changed=told.append
        ) as opened:
            with pytest.raises(BoardError, match="No board of the pool is left: '/dev/nowhere'"):
                opened.infer(IMAGES[0])
            falling.kind = None  # it is itself again
            deadline_s = time.monotonic() + 20
            while not opened.statistics[1].works:
                assert time.monotonic() < deadline_s
                time.sleep(0.01)
            assert codes(opened.infer_many(IMAGES)) == CODES
            nowhere, here = opened.statistics
    assert (nowhere.works, nowhere.failures, nowhere.images) == (False, 0, 0)
    assert (here.works, here.failures, here.images) == (True, 1, len(IMAGES))
    assert [board.works for board in told if board.where == where] == [True, False, True]
    assert [board.works for board in told if board.where != where] == [False]
