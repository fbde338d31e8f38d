"""A shared board under attack by whoever can connect: who has the board keeps it, and the next
client gets it."""

import errno
import os
import re
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, suppress

import pytest

from peer import HangUpError, Peer, serving
from sharing import CODES, IMAGES, NETWORK, STEPNET, TIMEOUT_S, codes, sharing, with_token
from stepnet.boards.board import open_board
from stepnet.errors import LinkError, LinkTimeoutError
from stepnet.link import lobby, messages, share
from stepnet.link.frames import encode_frame
from stepnet.link.link import SerialLink
from stepnet.link.share import listen
from stepnet.link.sockets import connect as connection_to
from stepnet.link.sockets import prepare


def connect(url):
    host, port = url.removeprefix("socket://").split(":")
    return socket.create_connection((host, int(port)), TIMEOUT_S)


def open_when_free(url, deadline_s=TIMEOUT_S):
    start_s = time.monotonic()
    with open_board(url, NETWORK) as board:
        assert codes(board.infer_many(IMAGES)) == CODES
    assert time.monotonic() - start_s < deadline_s


@pytest.fixture
def few_files():
    """This process may have 200 files open."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (200, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


SILENT_CLIENTS = """
import resource, socket, sys
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
crowd = []
for _ in range(int(sys.argv[2])):
    crowd.append(socket.create_connection(("127.0.0.1", int(sys.argv[1]))))
print(len(crowd), flush=True)
sys.stdin.read()
"""


@contextmanager
def crowd(url, count):
    """So many connections that say nothing, from another process."""
    port = url.rpartition(":")[2]
    words = [sys.executable, "-c", SILENT_CLIENTS, port, str(count)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert int(process.stdout.readline()) == count
        yield
        process.stdin.close()


@pytest.mark.slow
@pytest.mark.usefixtures("few_files")
@pytest.mark.parametrize("token", [None, "secret"])
def test_connections_that_say_nothing_stop_nobody(token):
    """Neither the client that has the board nor the next one; and they take no threads."""
    with serving(Peer(), "pty") as where, sharing(where, token=token) as (url, _, thread):
        mine = url if token is None else with_token(url, token)
        threads = threading.active_count()
        with open_board(mine, NETWORK) as board, crowd(url, 400):
            assert codes(board.infer_many(IMAGES)) == CODES
            assert threading.active_count() <= threads + 2
        with crowd(url, 100):
            open_when_free(mine)
        assert thread.is_alive()


def test_clients_that_left_before_their_turn_take_no_time():
    """To serve each of them would take a tenth of a second, and the next one is not let in."""
    with serving(Peer(), "pty") as where, sharing(where) as (url, reports, _):
        with open_board(url, NETWORK):
            for _ in range(40):
                with connect(url) as gone:
                    gone.sendall(b"\0")
        open_when_free(url, deadline_s=2)
        assert reports.all.count("CLIENT has the board") < 10


class Endured(Peer):
    """Takes whatever comes, and says nothing."""

    def receive(self, data):
        return b""


def test_who_sends_what_no_board_answers_is_hung_up_on(monkeypatch):
    monkeypatch.setattr(share, "MOST_UNANSWERED_BYTES", 20_000)
    with serving(Endured(), "pty") as where, sharing(where) as (url, reports, _):
        with connect(url) as flood:
            with suppress(OSError):
                for _ in range(10):
                    flood.sendall(b"\0" + b"garbage" * 1000)
            answer = b""
            with suppress(OSError):
                while received := flood.recv(200):
                    answer += received
            assert answer in (b"", b"\0stepnet: " + share.NO_FRAMES.encode() + b"\n")
        reports.wait_for(share.NO_FRAMES.removesuffix("."))
        reports.wait_for("CLIENT left")


def test_a_system_without_room_for_connections_stops_nobody(monkeypatch):
    """As long as it lasts nobody is let in; who has the board keeps it."""
    with serving(Peer(), "pty") as where, sharing(where) as (url, _, thread):
        with open_board(url, NETWORK) as board:
            failing = iter([errno.EMFILE, errno.ENFILE, errno.ECONNABORTED, errno.ENOBUFS])
            accept = socket.socket.accept

            def fail_first(listener):
                for number in failing:
                    raise OSError(number, os.strerror(number))
                return accept(listener)

            monkeypatch.setattr(socket.socket, "accept", fail_first)
            connect(url).close()
            assert codes(board.infer_many(IMAGES)) == CODES
        open_when_free(url)
        assert thread.is_alive()


POST = b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9\r\n\r\n\0" + encode_frame(
    messages.HEADER.pack(kind=messages.Request.CLEAR, sequence=7)
)
TLS = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + POST[-9:]
STUN = b"\x00\x03\x00\x1c\x21\x12\xa4\x42" + bytes(12) + POST[-9:]
ICE_OVER_TCP = len(STUN).to_bytes(2) + STUN


WHOLE, BYTE_BY_BYTE = 1 << 16, 1


# A browser sends each of them whole. STUN begins with the zero that any client may begin with, so
# that byte by byte it cannot be told from one.
@pytest.mark.parametrize(
    ("first", "protocol", "size"),
    [
        pytest.param(POST, "HTTP", WHOLE, id="POST"),
        pytest.param(POST, "HTTP", BYTE_BY_BYTE, id="POST byte by byte"),
        pytest.param(POST.replace(b"POST", b"GET"), "HTTP", WHOLE, id="GET"),
        pytest.param(POST.replace(b"POST", b"GET"), "HTTP", BYTE_BY_BYTE, id="GET byte by byte"),
        pytest.param(POST.replace(b"POST", b"M-SEARCH"), "HTTP", WHOLE, id="M-SEARCH"),
        pytest.param(
            POST.replace(b"POST", b"M-SEARCH"), "HTTP", BYTE_BY_BYTE, id="M-SEARCH byte by byte"
        ),
        pytest.param(TLS, "TLS", WHOLE, id="TLS"),
        pytest.param(TLS, "TLS", BYTE_BY_BYTE, id="TLS byte by byte"),
        pytest.param(STUN, "STUN", WHOLE, id="STUN"),
        pytest.param(ICE_OVER_TCP, "STUN", WHOLE, id="ICE over TCP"),
    ],
)
def test_a_web_page_cannot_speak_to_the_board(first, protocol, size):
    """What a browser can be made to send is turned away before anything of it reaches the board."""
    board_peer = Peer()
    with serving(board_peer, "pty") as where, sharing(where) as (url, reports, _):
        open_board(url, NETWORK).close()
        before = list(board_peer.requests)
        with connect(url) as page:
            with suppress(OSError):
                for start in range(0, len(first), size):
                    page.sendall(first[start : start + size])
            answer = b""
            with suppress(OSError):
                while received := page.recv(100):
                    answer += received
        reports.wait_for(f"CLIENT was turned away because it speaks {protocol}")
        # Who is still sending when the connection ends may lose the answer.
        assert b"stepnet: This is a board and speaks no " in answer or size == BYTE_BY_BYTE
        assert board_peer.requests == before
        open_when_free(url)


@pytest.mark.parametrize("token", [None, "secret"])
def test_who_says_too_little_is_not_waited_for(token, monkeypatch):
    """Though a byte comes every now and then: the time is for all that lets a client in."""
    monkeypatch.setattr(lobby, "GREETING_S", 0.5)
    with serving(Peer(), "pty") as where, sharing(where, token=token) as (url, _, _):
        with connect(url) as slow:
            start_s = time.monotonic()
            slow.settimeout(0.1)
            answer = b""
            for byte in b"stepnet-token " + bytes(1000):
                slow.sendall(bytes([byte or 0x61]))
                with suppress(TimeoutError):
                    answer = slow.recv(1000)
                    break
                assert time.monotonic() - start_s < 5
        assert answer.startswith(b"\0stepnet: ")


def test_the_time_of_an_answer_does_not_tell_how_long_the_token_is():
    """Without its end no token is wrong yet, however long it is."""
    with serving(Peer(), "pty") as where, sharing(where, token="secret") as (url, _, _):
        for guess in (b"x", b"secret", b"wrong!", b"x" * 900):
            with connect(url) as client:
                client.sendall(b"stepnet-token " + guess)
                client.settimeout(0.2)
                with pytest.raises(TimeoutError):
                    client.recv(100)


def test_a_share_that_never_ends_its_welcome_is_given_up():
    """Though bytes keep coming, and before they fill the memory."""
    with serving(Endless(), "socket") as url:
        start_s = time.monotonic()
        with pytest.raises(LinkError) as caught:
            SerialLink(with_token(url, "secret"), timeout_s=1.0)
        assert time.monotonic() - start_s < 3
    assert str(caught.value) == (
        f"The connection to {url!r} broke (it answered the token with something else); "
        "check the cable and open the board again."
    )
    with serving(Trickling(), "socket") as url:
        start_s = time.monotonic()
        with pytest.raises(LinkTimeoutError):
            SerialLink(with_token(url, "secret"), timeout_s=0.5)
        assert time.monotonic() - start_s < 3


class Endless(Peer):
    """Welcomes without an end."""

    def receive(self, data):
        return b"stepnet-welcome" * 4096


class Trickling(Peer):
    """Says a byte now and then."""

    def receive(self, data):
        return b"s"


def test_a_client_whose_machine_is_gone_is_noticed():
    """Both ends probe a connection that is silent."""
    with serving(Peer(), "pty") as where, sharing(where) as (url, _, _):
        host, port = url.removeprefix("socket://").split(":")
        ours = connection_to(f"socket://{host}:{port}", TIMEOUT_S)
        with ours, listen("127.0.0.1:0") as listener:
            assert probes(ours)
            with socket.create_connection(listener.getsockname()):
                theirs, _ = listener.accept()
                with theirs:
                    assert not probes(theirs)
                    prepare(theirs)
                    assert probes(theirs)


def probes(connection):
    return connection.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)


def test_the_notice_of_a_share_does_not_reach_the_terminal_raw():
    with serving(Shouting(), "socket") as url, pytest.raises(LinkError) as caught:
        open_board(url, NETWORK)
    shown = Shouting.notice[:300].replace("\x1b", "\\x1b").replace("\x07", "\\x07") + "..."
    assert str(caught.value) == f"The share at {url!r} ended the connection: {shown}"


class Shouting(Peer):
    """Turns away with a notice that a terminal would obey."""

    notice = "\x1b]0;owned\x07\x1b[2J go away" + "!" * 1000
    has_shouted = False

    def receive(self, data):
        if self.has_shouted and not data:
            raise HangUpError
        self.has_shouted = self.has_shouted or bool(data)
        return f"\0stepnet: {self.notice}\n".encode() if data else b""


@pytest.mark.slow
def test_a_reader_of_the_lines_that_leaves_stops_nobody():
    """As `stepnet share ... | head -1` does."""
    with serving(Peer(), "pty") as where:
        words = [*STEPNET, "share", "--board", where, "--listen", "127.0.0.1:0"]
        with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
            url = re.search(rb"socket://[\d.:]+", running.stdout.readline())[0].decode()
            running.stdout.close()
            for _ in range(2):
                open_when_free(url)
            running.send_signal(signal.SIGINT)
            assert running.stderr.read() == b""
            assert running.wait(TIMEOUT_S) == 130


@pytest.mark.slow
def test_a_reader_of_the_lines_that_stops_reading_stops_nobody():
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    with suppress(BlockingIOError):
        while os.write(writer, bytes(4096)):
            pass
    os.set_blocking(writer, True)
    with serving(Peer(), "pty") as where, listen("127.0.0.1:0") as probe:
        port = probe.getsockname()[1]
        probe.close()
        words = [*STEPNET, "share", "--board", where, "--listen", f"127.0.0.1:{port}"]
        with subprocess.Popen(words, stdout=writer, stderr=subprocess.PIPE) as running:
            url = f"socket://127.0.0.1:{port}"
            for _ in range(100):
                with suppress(OSError), connect(url):
                    break
                time.sleep(0.1)
            open_when_free(url)
            running.send_signal(signal.SIGINT)
            assert running.wait(TIMEOUT_S) == 130
    os.close(reader)
    os.close(writer)


def test_more_files_than_select_can_wait_for():
    """A link whose number is beyond 1,023."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 1200:
        pytest.skip("this system allows no more than 1,024 files")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 1200), hard))
    taken = []
    try:
        with serving(Peer(), "pty") as where:  # which waits with select
            taken += [os.open(os.devnull, os.O_RDONLY) for _ in range(1030)]
            with sharing(where) as (url, _, _):
                open_when_free(url)
    finally:
        for handle in taken:
            os.close(handle)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
