"""A board shared over TCP: real sockets to the clients, a real terminal or socket to the board."""

import os
import pty
import re
import select
import signal
import socket
import subprocess
import sys
import threading
import time
import tty
from contextlib import suppress

import pytest

from peer import Leaving, Peer, serving
from sharing import (
    ADDRESS,
    BUSY,
    CODES,
    IMAGES,
    NETWORK,
    STEPNET,
    TIMEOUT_S,
    codes,
    sharing,
    with_token,
)
from stepnet.boards.board import open_board
from stepnet.errors import LinkError, LinkTimeoutError
from stepnet.link.bridge import bridge, drain
from stepnet.link.link import SerialLink
from stepnet.link.share import Share, SocketVisitor, listen, shared_at
from stepnet.link.tokens import TOKEN_VARIABLE, without_token

# Sharing


@pytest.mark.parametrize("channel", ["pty", "socket"])
def test_a_shared_board_reads_as_if_it_were_here(channel):
    with serving(Peer(), channel) as where, sharing(where) as (url, reports, _):
        with open_board(url, NETWORK) as board:
            assert codes(board.infer_many(IMAGES)) == CODES
            assert board.infer(IMAGES[3]).code == CODES[3]
        reports.wait_for("CLIENT left")
        assert reports.all == ["CLIENT has the board", "CLIENT left"]


def test_clients_come_one_after_the_other():
    board_peer = Peer()
    with serving(board_peer, "pty") as where, sharing(where) as (url, reports, _):
        for times in (1, 2):
            with open_board(url, NETWORK) as board:
                assert codes(board.infer_many(IMAGES)) == CODES
            reports.wait_for("CLIENT left", times)
    assert board_peer.requests.count(board_peer.requests[1]) == 1  # CLEAR: loaded once


def test_a_second_client_is_turned_away_and_told_why():
    with serving(Peer(), "pty") as where, sharing(where) as (url, reports, _):
        with open_board(url, NETWORK) as board:
            with pytest.raises(LinkError) as caught:
                open_board(url, NETWORK)
            assert str(caught.value) == f"The share at {url!r} ended the connection: {BUSY}"
            assert not isinstance(caught.value, LinkTimeoutError)
            assert codes(board.infer_many(IMAGES)) == CODES
        reports.wait_for("CLIENT left")
        assert "CLIENT was turned away because another client has the board" in reports.all


def test_a_notice_is_a_frame_that_never_ends():
    with serving(Peer(), "pty") as where, sharing(where) as (url, _, _):
        host, port = url.removeprefix("socket://").split(":")
        with open_board(url, NETWORK), socket.create_connection((host, int(port))) as second:
            second.sendall(b"\0")
            received = b""
            while data := second.recv(100):
                received += data
    assert received == b"\0stepnet: " + BUSY.encode() + b"\n"


@pytest.mark.slow
def test_a_board_that_breaks_is_opened_again_for_the_next_client():
    with serving(Leaving(), "socket") as where, sharing(where) as (url, reports, _):
        for times in (1, 2):
            with open_board(url, NETWORK) as board, pytest.raises(LinkError) as caught:
                board.infer(IMAGES[0])
            broken = f"The connection to {where!r} broke (the other end is gone); "
            assert str(caught.value) == (
                f"The share at {url!r} ended the connection: {broken}"
                "check the cable and open the board again."
            )
            shown = f"{broken}check the cable and open the board again"
            reports.wait_for(re.sub(ADDRESS, "CLIENT", shown), times)


def test_answers_to_a_client_that_left_do_not_reach_the_next():
    """The board says something while nobody is there, as it does when a client leaves early."""
    master, slave = pty.openpty()
    tty.setraw(slave)
    try:
        with sharing(os.ttyname(slave)) as (url, reports, _):
            host, port = url.removeprefix("socket://").split(":")
            with socket.create_connection((host, int(port))) as first:
                first.sendall(b"ask")
                assert os.read(master, 10) == b"ask"
            os.write(master, b"late answer")
            reports.wait_for("CLIENT left")
            with socket.create_connection((host, int(port))) as second:
                second.sendall(b"ask again")
                assert os.read(master, 10) == b"ask again"
                os.write(master, b"answer")
                assert second.recv(100) == b"answer"
    finally:
        os.close(master)
        os.close(slave)


@pytest.mark.slow
def test_a_client_that_reads_nothing_holds_nobody_up():
    with serving(Chattering(), "socket") as where, sharing(where) as (url, reports, _):
        host, port = url.removeprefix("socket://").split(":")
        with socket.create_connection((host, int(port))) as client:
            client.sendall(b"\0")
            reports.wait_for("CLIENT has the board")
            client.shutdown(socket.SHUT_WR)  # it left, and never takes the answers
            reports.wait_for("CLIENT left")


class Chattering(Peer):
    """Never stops sending."""

    def receive(self, data):
        return bytes(range(256)) * 256


def test_once():
    with serving(Peer(), "pty") as where, sharing(where, once=True) as (url, _, thread):
        with open_board(url, NETWORK) as board:
            assert board.infer(IMAGES[0]).code == CODES[0]
        thread.join(TIMEOUT_S)
        assert not thread.is_alive()


def test_stopping_hangs_up_on_the_client():
    with serving(Peer(), "pty") as where:
        with sharing(where) as (url, _, _):
            board = open_board(url, NETWORK, timeout_s=0.5)
        with pytest.raises(LinkError):
            board.infer(IMAGES[0])
        board.close()
        with open_board(where, NETWORK) as board:  # the share has let the port go
            assert board.infer(IMAGES[0]).code == CODES[0]


def test_a_board_that_is_not_there():
    with listen("127.0.0.1:0") as listener, pytest.raises(LinkError, match="There is no port"):
        Share(lambda: SerialLink("/dev/nowhere"), listener)


def test_bytes_of_any_value_go_both_ways():
    near, far = socket.socketpair()
    master, slave = pty.openpty()
    tty.setraw(slave)
    link = SerialLink(os.ttyname(slave))
    thread = threading.Thread(target=bridge, args=(link, SocketVisitor(near)))
    thread.start()
    everything = bytes(range(256)) * 8
    far.sendall(everything)
    assert received(lambda: os.read(master, 4096), len(everything)) == everything
    os.write(master, everything)
    assert received(lambda: far.recv(4096), len(everything)) == everything
    far.close()
    thread.join(TIMEOUT_S)
    assert not thread.is_alive()
    link.close()
    near.close()
    os.close(master)
    os.close(slave)


@pytest.mark.skipif(not hasattr(select, "POLLRDHUP"), reason="this system does not tell")
@pytest.mark.parametrize("how", ["close", "stop"])
def test_what_a_client_that_left_has_sent_is_not_waited_for(how):
    """At the rate of a serial line this would take many seconds, and the next client with it."""
    near, far = socket.socketpair()
    left = threading.Event()
    visitor = SocketVisitor(near, b"first", left.set)
    far.send(bytes(50_000))
    assert visitor.receive() == b"first"
    assert 0 < len(visitor.receive()) <= 4096
    assert not left.is_set()
    if how == "close":
        far.close()
    else:
        visitor.stop_receiving()
    assert visitor.receive() == b""
    assert left.is_set()
    near.close()
    far.close()


def test_what_was_left_behind_is_dropped():
    master, slave = pty.openpty()
    tty.setraw(slave)
    link = SerialLink(os.ttyname(slave))
    os.write(master, b"late answer")
    drain(link)
    os.write(master, b"answer")
    assert link.read(TIMEOUT_S) == b"answer"
    link.close()
    os.close(master)
    os.close(slave)


def received(read, size):
    data = b""
    while len(data) < size:
        data += read()
    return data


# The token


@pytest.mark.parametrize(
    ("token", "in_url"), [("secret", "secret"), ("a b@c:/d", "a%20b%40c%3A%2Fd")]
)
def test_a_client_with_the_token(token, in_url):
    with serving(Peer(), "pty") as where, sharing(where, token=token) as (url, reports, _):
        with open_board(with_token(url, in_url), NETWORK) as board:
            assert codes(board.infer_many(IMAGES)) == CODES
        reports.wait_for("CLIENT left")


@pytest.mark.slow
@pytest.mark.parametrize("wrong", ["secreT", "secre", "secrets", "x"])
def test_a_client_with_another_token(wrong):
    with serving(Peer(), "pty") as where, sharing(where, token="secret") as (url, reports, _):
        with pytest.raises(LinkError) as caught:
            SerialLink(with_token(url, wrong))
        assert str(caught.value) == (
            f"The share at {url!r} ended the connection: The token is wrong or missing; "
            "use socket://TOKEN@host:port."
        )
        assert reports.all == ["CLIENT was turned away because it did not send the token"]


def test_a_client_without_the_token():
    board_peer = Peer()
    with serving(board_peer, "pty") as where, sharing(where, token="secret") as (url, _, _):
        with pytest.raises(LinkError) as caught:
            open_board(url, NETWORK)
        assert str(caught.value) == (
            f"The share at {url!r} ended the connection: The token is wrong or missing; "
            "use socket://TOKEN@host:port."
        )
    assert board_peer.requests == []


def test_who_has_no_token_does_not_hold_the_board():
    with serving(Peer(), "pty") as where, sharing(where, token="secret") as (url, _, _):
        host, port = url.removeprefix("socket://").split(":")
        with (
            socket.create_connection((host, int(port))),
            open_board(with_token(url, "secret"), NETWORK) as board,
        ):
            assert board.infer(IMAGES[0]).code == CODES[0]


def test_a_second_client_with_the_token_is_told_why():
    with serving(Peer(), "pty") as where, sharing(where, token="secret") as (url, _, _):
        with open_board(with_token(url, "secret"), NETWORK), pytest.raises(LinkError) as caught:
            open_board(with_token(url, "secret"), NETWORK)
        assert str(caught.value) == f"The share at {url!r} ended the connection: {BUSY}"


def test_a_token_that_nobody_asks_for():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"socket://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(LinkTimeoutError) as caught:
            SerialLink(with_token(url, "secret"), timeout_s=0.1)
        assert str(caught.value) == (
            f"What answers at {url!r} did not take the token within 0.1 s; "
            "write socket://@host:port if the board is shared without one."
        )


def test_the_token_is_not_shown():
    assert without_token("socket://secret@lab:4000") == "socket://lab:4000"
    assert without_token("socket://lab:4000") == "socket://lab:4000"
    assert without_token("/dev/serial/by-id/usb-A@B") == "/dev/serial/by-id/usb-A@B"


# The address


def test_any_free_port():
    with listen("127.0.0.1:0") as listener:
        assert shared_at(listener) == f"socket://127.0.0.1:{listener.getsockname()[1]}"
    with listen("localhost:0") as listener:
        assert listener.getsockname()[0] in ("127.0.0.1", "::1")


def test_ipv6():
    try:
        listener = listen("[::1]:0")
    except LinkError:
        pytest.skip("this machine has no IPv6")
    with listener:
        assert shared_at(listener) == f"socket://[::1]:{listener.getsockname()[1]}"


@pytest.mark.parametrize("address", ["0.0.0.0:0", ":0", "[::]:0", "192.0.2.1:4000"])
def test_other_machines_only_if_told(address):
    with pytest.raises(LinkError) as caught:
        listen(address)
    assert str(caught.value) == (
        f"At {address!r} other machines can reach the board; say --public if that is meant, or "
        "listen at 127.0.0.1."
    )


def test_public():
    with listen("0.0.0.0:0", public=True) as listener:
        assert listener.getsockname()[0] == "0.0.0.0"


@pytest.mark.parametrize(
    "address", ["4000", "127.0.0.1", "127.0.0.1:", "127.0.0.1:70000", "127.0.0.1:x", "::1:4000", ""]
)
def test_no_address(address):
    with pytest.raises(LinkError) as caught:
        listen(address)
    assert str(caught.value) == (
        f"One cannot listen at {address!r}; give host:port, such as 127.0.0.1:4000."
    )


def test_a_port_that_is_taken():
    with listen("127.0.0.1:0") as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(LinkError) as caught:
            listen(address)
    assert str(caught.value) == (
        f"Another program listens at {address!r}; end it, or choose another port, or port 0 for "
        "any that is free."
    )


def test_an_address_of_another_machine():
    with pytest.raises(LinkError) as caught:
        listen("192.0.2.1:0", public=True)
    assert str(caught.value) == (
        "The address '192.0.2.1:0' does not belong to this machine; listen at 127.0.0.1 or at one "
        "that does."
    )


def test_a_host_that_nobody_knows():
    with pytest.raises(LinkError) as caught:
        listen("no such host:0")
    assert str(caught.value) == (
        "The host 'no such host' is not known here; listen at 127.0.0.1 or at another address of "
        "this machine."
    )


# The command


def test_the_command_and_ctrl_c():
    with serving(Peer(), "pty") as where:
        command = [sys.executable, "-m", "stepnet", "share", "--board", where]
        with subprocess.Popen(
            [*command, "--listen", "127.0.0.1:0"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "STEPNET_TOKEN": "from the environment"},
        ) as running:
            said = running.stdout.readline()
            found = re.fullmatch(
                rf"The board at {where} is shared at (socket://127\.0\.0\.1:\d+); "
                r"Ctrl-C ends it\.\n",
                said,
            )
            assert found, said
            with open_board(with_token(found[1], "from%20the%20environment"), NETWORK) as board:
                assert codes(board.infer_many(IMAGES)) == CODES
                running.send_signal(signal.SIGINT)
                out, err = running.communicate(timeout=TIMEOUT_S)
        assert (running.returncode, err) == (130, "")
        assert re.fullmatch(r"127\.0\.0\.1:\d+ has the board\.\n(127\.0\.0\.1:\d+ left\.\n)?", out)


def test_the_command_says_what_is_wrong(stepnet):
    assert stepnet("share", "--board", "sim") == (
        1,
        "",
        "stepnet: The board 'sim' is not at a port that could be shared; `stepnet sim --listen` "
        "serves the virtual board.\n",
    )
    exit_code, out, err = stepnet("share", "--board", "/dev/nowhere", "--listen", "127.0.0.1:0")
    assert (exit_code, out) == (1, "")
    assert err.startswith("stepnet: There is no port '/dev/nowhere'")
    exit_code, out, err = stepnet("share", "--board", "/dev/nowhere", "--listen", "0.0.0.0:0")
    assert (exit_code, out) == (2, "")
    assert err == (
        "stepnet: At '0.0.0.0:0' other machines can reach the board; say --public if that is "
        "meant, or listen at 127.0.0.1.\n"
    )
    exit_code, out, err = stepnet("share", "--board", "/dev/nowhere", "--token", "a\nb")
    assert (exit_code, out) == (2, "")
    assert "a token is one or more printable ASCII characters." in err


def test_sharing_with_everyone_without_a_token_is_said(stepnet):
    with serving(Peer(), "socket") as where:
        with listen("127.0.0.1:0") as probe:
            port = probe.getsockname()[1]

        def leave():
            for _ in range(100):
                with suppress(OSError), socket.create_connection(("127.0.0.1", port)) as client:
                    client.sendall(b"\0")
                    return
                time.sleep(0.05)

        client = threading.Thread(target=leave)
        client.start()
        words = ["share", "--board", where, "--listen", f"0.0.0.0:{port}", "--public", "--once"]
        exit_code, out, err = stepnet(*words, "--no-token")
        client.join()
    assert (exit_code, err) == (0, "")
    assert out.splitlines()[:2] == [
        f"The board at {where} is shared at socket://0.0.0.0:{port}; Ctrl-C ends it.",
        "No token is asked for, so whoever reaches this machine can use the board.",
    ]


def test_where_others_reach_the_board_a_token_is_made_up():
    with serving(Peer(), "pty") as where:
        words = [*STEPNET, "share", "--board", where, "--listen", "0.0.0.0:0", "--public"]
        environment = {name: value for name, value in os.environ.items() if name != TOKEN_VARIABLE}
        with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=environment) as running:
            found = re.search(r"socket://([\w-]{22})@0\.0\.0\.0:(\d+);", running.stdout.readline())
            url = f"127.0.0.1:{found[2]}"
            with pytest.raises(LinkError, match="The token is wrong or missing"):
                open_board(f"socket://{url}", NETWORK)
            with open_board(f"socket://{found[1]}@{url}", NETWORK) as board:
                assert board.infer(IMAGES[0]).code == CODES[0]
            running.send_signal(signal.SIGINT)


def test_a_client_finds_the_token_in_the_environment(monkeypatch):
    """Where nobody else sees it, as in a command; a URL that names one is for that one."""
    monkeypatch.setenv(TOKEN_VARIABLE, "secret")
    with serving(Peer(), "pty") as where, sharing(where, token="secret") as (url, _, _):
        with open_board(url, NETWORK) as board:
            assert board.infer(IMAGES[0]).code == CODES[0]
        with pytest.raises(LinkError, match="The token is wrong or missing"):
            open_board(with_token(url, "other"), NETWORK)
    with serving(Peer(), "pty") as where, sharing(where) as (url, _, _):
        for asked_for_none in (url, url.replace("//", "//@")):
            with open_board(asked_for_none, NETWORK) as board:
                assert board.infer(IMAGES[0]).code == CODES[0]
