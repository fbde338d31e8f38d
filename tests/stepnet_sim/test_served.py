"""The virtual board behind real sockets and terminals, in this process and as a command."""

import os
import re
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import closing, contextmanager, suppress
from types import SimpleNamespace

import numpy as np
import pytest

from stepnet import open_board
from stepnet.cores.engine.memory_image import memory_image
from stepnet.errors import LinkError, LinkTimeoutError
from stepnet.link import messages as protocol
from stepnet.link.frames import FrameReader, encode_frame
from stepnet.link.messages import Request
from stepnet.link.share import Share, listen, shared_at
from stepnet.networks import reference
from stepnet.networks.random_networks import random_images, random_network
from stepnet_sim.chips import served
from stepnet_sim.chips.design import ICEBREAKER
from stepnet_sim.chips.served import RestingLink, Terminal, load
from stepnet_sim.chips.verilated import missing_compiler
from stepnet_sim.chips.virtual_board import open_link

TIMEOUT_S = 60.0
BUSY = "The board is in use by another client; try again when that one has left."

RANDOM = np.random.default_rng(5)
NETWORK = random_network(RANDOM, (40, 16, 8), (1, 1), height=5)
IMAGES = random_images(RANDOM, NETWORK, 30)
CODES = reference.infer(NETWORK, IMAGES).tolist()

IDENTIFY = encode_frame(protocol.HEADER.pack(kind=Request.IDENTIFY, sequence=1))

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        missing_compiler() is not None, reason=f"{missing_compiler()} is not installed"
    ),
]


def codes(readings):
    return [reading.code for reading in readings]


def open_when_free(where):
    """The share may not have seen yet that the client before has left."""
    deadline_s = time.monotonic() + TIMEOUT_S
    while True:
        try:
            return open_small(where)
        except LinkError as error:
            if BUSY not in str(error) or time.monotonic() > deadline_s:
                raise


def open_small(where):
    return open_board(where, NETWORK, timeout_s=TIMEOUT_S)


@pytest.fixture(scope="module", autouse=True)
def compiled():
    """Have the chip in the cache, so that no command has to say that it builds it."""
    open_link().close()


@pytest.fixture
def link():
    with closing(RestingLink(open_link())) as resting:
        yield resting


@contextmanager
def in_a_thread(serve, end):
    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield
    finally:
        end()
        thread.join()


@pytest.fixture
def at_a_terminal(link):
    with Terminal() as terminal, in_a_thread(lambda: terminal.serve(link), terminal.hang_up):
        yield terminal.where


@pytest.fixture
def at_a_socket(link):
    with listen("127.0.0.1:0") as listener:
        share = Share(lambda: link, listener)
        with in_a_thread(share.serve, share.stop):
            yield shared_at(listener)


@pytest.fixture(params=["at_a_terminal", "at_a_socket"])
def where(request):
    return request.getfixturevalue(request.param)


def test_images_through_a_real_channel(where):
    with open_small(where) as board:
        assert codes(board.infer_many(IMAGES)) == CODES
        assert board.infer(IMAGES[7]).code == CODES[7]


def test_the_board_keeps_its_network_between_clients(at_a_socket):
    open_small(at_a_socket).close()
    with open_when_free(at_a_socket) as board:
        assert board.identity.dropped_frames == 0
        assert board.identity.digest == memory_image(NETWORK, ICEBREAKER.shape).digest
        assert codes(board.infer_many(IMAGES)) == CODES


def test_programs_may_come_and_go_at_the_terminal(at_a_terminal):
    for _ in range(2):
        with open_small(at_a_terminal) as board:
            assert codes(board.infer_many(IMAGES)) == CODES


def test_a_network_that_is_already_there(link):
    load(link, NETWORK)
    link.write(IDENTIFY)
    frames = FrameReader()
    answers = []
    while not answers:
        answers = frames.feed(link.read(1.0))
    identity = protocol.IDENTITY.unpack(answers[0])
    assert (identity["loaded"], identity["digest"]) == (
        1,
        memory_image(NETWORK, ICEBREAKER.shape).digest,
    )


def test_the_chip_rests_when_it_has_nothing_to_say(link):
    deadline_s = time.monotonic() + TIMEOUT_S
    while True:
        before = link._link.chip.cycles
        assert link.read(0.05) == b""
        if link._link.chip.cycles == before:
            break
        assert time.monotonic() < deadline_s
    threading.Timer(0.1, link.write, [IDENTIFY]).start()
    assert link.read(TIMEOUT_S).endswith(b"\0")


class Counting:
    """A virtual board that never says anything, a million cycles at a time."""

    def __init__(self):
        self.chip = SimpleNamespace(cycles=0)

    def read(self, timeout_s):
        self.chip.cycles += 1_000_000
        return b""


def test_an_image_does_not_wait_for_a_chip_that_idles(link):
    """What is written while the chip runs is looked at before it could have inferred an image."""
    chip = link._link.chip
    before = chip.cycles
    assert link.read(0.0) == b""
    assert chip.cycles - before < 1_802  # of `digits`


@pytest.mark.parametrize(("cycles_per_byte", "millions"), [(0, 1), (1000, 6)])
def test_a_chip_at_its_pins_has_time_for_a_full_buffer(cycles_per_byte, millions):
    counting = Counting()
    assert RestingLink(counting, cycles_per_byte).read(0.2) == b""
    assert counting.chip.cycles == millions * 1_000_000


def test_a_terminal_that_nobody_reads_can_be_ended():
    ended = []

    def send():
        try:
            terminal.send(bytes(1 << 20))
        except OSError:
            ended.append(True)

    with Terminal() as terminal:
        sending = threading.Thread(target=send)
        sending.start()
        time.sleep(0.05)
        assert sending.is_alive()
        terminal.hang_up()
        sending.join()
        assert terminal.receive() == b""
    assert ended


def test_no_terminal_on_this_system(monkeypatch):
    def fail():
        raise OSError(2, "No such file or directory")

    monkeypatch.setattr(served.os, "openpty", fail)
    with pytest.raises(LinkError) as caught:
        Terminal()
    assert str(caught.value) == (
        "There is no pseudo-terminal to be had on this system ([Errno 2] No such file or "
        "directory); use --listen instead."
    )


# The command


@contextmanager
def running(*arguments):
    """`stepnet sim` in a process of its own, which has to be ended; gives it and its place."""
    with subprocess.Popen(
        [sys.executable, "-m", "stepnet", "sim", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            said = process.stdout.readline()
            found = re.fullmatch(r"The virtual board is at (\S+); Ctrl-C ends it\.\n", said)
            assert found, said or process.stderr.read()
            yield process, found[1]
        finally:
            process.kill()


@pytest.fixture
def network_file(tmp_path):
    return str(NETWORK.save(tmp_path / "small.npz"))


@pytest.mark.parametrize("channel", [["--pty"], ["--listen", "127.0.0.1:0"]])
def test_the_command_and_ctrl_c(channel, network_file):
    with running(*channel, "--network", network_file) as (process, where):
        with open_small(where) as board:
            assert codes(board.infer_many(IMAGES)) == CODES
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=TIMEOUT_S)
        assert (process.returncode, err) == (130, "")


def test_ctrl_c_while_a_client_is_there():
    with running("--listen", "127.0.0.1:0") as (process, where):
        host, port = where.removeprefix("socket://").split(":")
        with socket.create_connection((host, int(port))) as client:
            client.sendall(IDENTIFY)
            assert client.recv(1)
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=TIMEOUT_S)
        assert (process.returncode, err) == (130, "")


def test_any_program_may_use_the_terminal(network_file):
    """No pyserial, no baud rate: a file that is opened, written and read."""
    with running("--pty", "--network", network_file) as (_, where):
        port = os.open(where, os.O_RDWR | os.O_NOCTTY)
        os.write(port, IDENTIFY)
        received = b""
        while not received.endswith(b"\0"):
            assert select.select([port], [], [], TIMEOUT_S)[0]
            received += os.read(port, 100)
        os.close(port)
        (answer,) = FrameReader().feed(received)
        assert protocol.IDENTITY.unpack(answer)["loaded"] == 1


def test_once():
    with running("--listen", "127.0.0.1:0", "--once") as (process, where):
        host, port = where.removeprefix("socket://").split(":")
        with socket.create_connection((host, int(port))) as client:
            client.sendall(b"\0")
        out, err = process.communicate(timeout=TIMEOUT_S)
        assert (process.returncode, err) == (0, "")
        assert [line.split(maxsplit=1)[1] for line in out.splitlines()] == [
            "has the board.",
            "left.",
        ]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "give one of --listen and --pty."),
        (["--pty", "--listen", "127.0.0.1:0"], "give one of --listen and --pty."),
        (["--pty", "--once"], "a terminal has no clients to count; use --once with --listen."),
    ],
)
def test_wrong_usage(stepnet, arguments, sentence):
    exit_code, out, err = stepnet("sim", *arguments)
    assert (exit_code, out) == (2, "")
    assert sentence in " ".join(err.split())


def test_no_place_to_listen(stepnet):
    with listen("127.0.0.1:0") as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        assert stepnet("sim", "--listen", address) == (
            2,
            "",
            f"stepnet: Another program listens at {address!r}; end it, or choose another port, or "
            "port 0 for any that is free.\n",
        )
    assert stepnet("sim", "--listen", "nonsense") == (
        2,
        "",
        "stepnet: One cannot listen at 'nonsense'; give host:port, such as 127.0.0.1:4000.\n",
    )
    assert stepnet("sim", "--listen", "0.0.0.0:0") == (
        2,
        "",
        "stepnet: At '0.0.0.0:0' other machines can reach the board; say --public if that is "
        "meant, or listen at 127.0.0.1.\n",
    )


# Attacks


def client_of(where):
    host, port = where.removeprefix("socket://").split(":")
    return socket.create_connection((host, int(port)), TIMEOUT_S)


def test_requests_whose_answers_nobody_reads_hold_nobody_up(link, at_a_socket):
    """What is sent waits in the client's own connection; what is left goes with the client."""
    open_small(at_a_socket).close()
    sent_bytes = 0
    with client_of(at_a_socket) as flood:
        flood.settimeout(0.5)
        with suppress(TimeoutError):
            while sent_bytes < 64 << 20:
                sent_bytes += flood.send(IDENTIFY * 5000)
        assert len(link._written) + link._link.pending_bytes < 64 << 10
        assert sent_bytes < 32 << 20
    start_s = time.monotonic()
    with open_when_free(at_a_socket) as board:
        assert codes(board.infer_many(IMAGES)) == CODES
        assert board.statistics.dropped_frames == 0
    assert time.monotonic() - start_s < 10


def test_a_write_waits_for_the_chip_and_not_for_ever(link, monkeypatch):
    monkeypatch.setattr(served, "STUCK_S", 0.2)
    link.write(bytes(served.QUEUE_BYTES))
    with pytest.raises(LinkTimeoutError) as caught:
        link.write(b"more")
    assert str(caught.value) == ("The virtual board took no bytes for 0.2 s; read what it answers.")
    link.discard()
    link.write(IDENTIFY)
    assert link.read(TIMEOUT_S).endswith(b"\0")


def test_closing_ends_a_write_that_waits(link):
    ended = []

    def write():
        try:
            link.write(bytes(10 * served.QUEUE_BYTES))
        except LinkError as error:
            ended.append(str(error))

    writing = threading.Thread(target=write)
    writing.start()
    time.sleep(0.1)
    link.close()
    writing.join(TIMEOUT_S)
    assert ended == ["The virtual board is closed; open it again."]


def test_nobody_fills_the_memory_of_a_board_that_nobody_reads():
    with closing(open_link()) as board:
        for _ in range(17):
            board.write(bytes(64 << 10))
        with pytest.raises(LinkTimeoutError, match="had no time to take"):
            board.write(b"more")
