"""Links over real channels: pseudo-terminals, sockets, and boards that a package brings."""

import errno
import os
import pty
import pwd
import re
import socket
import sys
import threading
import time
import tty
from pathlib import Path
from types import SimpleNamespace

import pytest
import serial

from stepnet.errors import LinkError, LinkTimeoutError, MissingToolError
from stepnet.link import link as link_module
from stepnet.link.link import SerialLink, open_link, open_port


class FarEnd:
    """The other end of a channel, as a file descriptor."""

    def __init__(self, where, descriptor):
        self.where = where
        self.descriptor = descriptor
        self._open = True

    def send(self, data):
        os.write(self.descriptor, data)

    def receive(self, size):
        received = b""
        while len(received) < size:
            received += os.read(self.descriptor, size - len(received))
        return received

    def hang_up(self):
        if self._open:
            self._open = False
            os.close(self.descriptor)


@pytest.fixture
def pty_end():
    master, slave = pty.openpty()
    tty.setraw(slave)
    end = FarEnd(os.ttyname(slave), master)
    yield end
    end.hang_up()
    os.close(slave)


@pytest.fixture
def socket_ends():
    """A link to a socket, and its other end."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        where = f"socket://127.0.0.1:{server.getsockname()[1]}"
        link = SerialLink(where, timeout_s=0.2)
        end = FarEnd(where, server.accept()[0].detach())
    yield link, end
    end.hang_up()
    link.close()


@pytest.fixture
def pty_ends(pty_end):
    link = SerialLink(pty_end.where, timeout_s=0.2)
    yield link, pty_end
    link.close()


@pytest.fixture(params=["pty_ends", "socket_ends"])
def ends(request):
    return request.getfixturevalue(request.param)


def test_bytes_go_both_ways(ends):
    link, far = ends
    everything = bytes(range(256)) * 3
    link.write(everything)
    assert far.receive(len(everything)) == everything
    far.send(everything)
    received = b""
    while len(received) < len(everything):
        received += link.read(1.0)
    assert received == everything


def test_read_returns_as_soon_as_a_byte_is_there(ends):
    link, far = ends
    threading.Timer(0.05, far.send, [b"x"]).start()
    start = time.monotonic()
    assert link.read(10.0) == b"x"
    assert time.monotonic() - start < 5


def test_read_takes_all_that_waits(ends):
    link, far = ends
    far.send(b"several")
    time.sleep(0.05)
    assert link.read(1.0) == b"several"


def test_read_gives_up_in_time(ends):
    link, _ = ends
    start = time.monotonic()
    assert link.read(0.05) == b""
    assert 0.04 < time.monotonic() - start < 2
    assert link.read(0.0) == b""


def test_closing_twice(ends):
    link, _ = ends
    link.close()
    link.close()


def test_a_connection_that_breaks(ends):
    link, far = ends
    far.hang_up()
    with pytest.raises(LinkError) as caught:
        link.read(1.0)
    before, _, after = str(caught.value).partition(" (")
    assert before == f"The connection to {far.where!r} broke"
    assert after.endswith("); check the cable and open the board again.")
    assert not isinstance(caught.value, LinkTimeoutError)


def test_writing_to_a_connection_that_broke(pty_ends):
    link, far = pty_ends
    far.hang_up()
    with pytest.raises(LinkError) as caught:
        link.write(b"hello")
    assert str(caught.value) == (
        f"The connection to {far.where!r} broke (Input/output error); "
        "check the cable and open the board again."
    )


def test_a_write_that_nobody_takes(ends):
    link, far = ends
    far_more_than_any_buffer = bytes(64 << 20)
    start = time.monotonic()
    with pytest.raises(LinkTimeoutError) as caught:
        link.write(far_more_than_any_buffer)
    assert time.monotonic() - start < 5
    assert str(caught.value) == (
        f"The port {far.where!r} took no bytes for 0.2 s; "
        "check the cable and that no flow control holds it back."
    )


def test_what_came_before_is_dropped(pty_end):
    pty_end.send(b"old news")
    time.sleep(0.05)
    link = SerialLink(pty_end.where)
    pty_end.send(b"new")
    assert link.read(1.0) == b"new"
    link.close()


@pytest.mark.parametrize("error", [None, ValueError("no"), NotImplementedError, PermissionError])
def test_the_driver_is_asked_not_to_wait_for_more(pty_end, monkeypatch, error):
    """Whether it can do that or not."""
    asked = []

    def ask(port, low_latency):
        asked.append((port.port, low_latency))
        if error is not None:
            raise error

    monkeypatch.setattr(serial.Serial, "set_low_latency_mode", ask)
    link = SerialLink(pty_end.where)
    pty_end.send(b"answer")
    assert link.read(1.0) == b"answer"
    link.close()
    assert asked == [(pty_end.where, True)]


@pytest.mark.parametrize("can_be_asked", [True, False])
def test_a_driver_that_may_hold_answers_back_is_told_of(pty_end, monkeypatch, can_be_asked):
    """At a port of a USB chip alone: nobody else has a timer."""
    port = SimpleNamespace(device=pty_end.where, vid=0x0403, pid=0x6010, product="Dual RS232-HS")
    monkeypatch.setattr(link_module, "listed_port", lambda where: port)

    def ask(port, low_latency):
        if not can_be_asked:
            raise PermissionError

    monkeypatch.setattr(serial.Serial, "set_low_latency_mode", ask)
    said = []
    open_port(pty_end.where, baud=12_000_000, progress=said.append).close()
    expected = (
        f"The driver of {pty_end.where!r} may hold answers back for 16 ms; docs/runtime.md tells "
        "how to set its latency timer to 1 ms"
    )
    assert said == ([] if can_be_asked else [expected])


def sentence_of(where, **options):
    with pytest.raises(LinkError) as caught:
        open_link(where, **options)
    return str(caught.value)


@pytest.mark.parametrize("where", ["/dev/ttyNOSUCH1", "icestik"])
def test_no_such_port(where):
    assert sentence_of(where) == (
        f"There is no port {where!r} and no installed board of that name; "
        "this lists the ports: stepnet boards --connected."
    )


def test_a_busy_port(pty_ends):
    _, far = pty_ends
    assert sentence_of(far.where) == (
        f"The port {far.where!r} is busy; close the other program that uses it."
    )


@pytest.fixture
def port_of_others(tmp_path_factory, request, monkeypatch):
    """Makes a file with `mode` that seems to belong to `group`, in a folder that may be entered."""

    def make(mode, group):
        port = tmp_path_factory.mktemp("dev") / "ttyUSB9"
        port.touch()
        port.chmod(mode)
        monkeypatch.setattr(Path, "group", lambda path: group)
        request.getfixturevalue("modes_count")
        return str(port)

    return make


def test_a_port_of_a_group(port_of_others):
    where = port_of_others(0o060, "uucp")
    assert sentence_of(where) == (
        f"You may not open the port {where!r}, which belongs to the group 'uucp'; join that group "
        "(sudo usermod -aG uucp $USER) and log in again."
    )


@pytest.mark.parametrize(("mode", "group"), [(0o000, "uucp"), (0o060, "root")])
def test_a_port_that_no_group_may_open(port_of_others, mode, group):
    where = port_of_others(mode, group)
    owner = pwd.getpwuid(os.getuid()).pw_name
    assert sentence_of(where) == (
        f"You may not open the port {where!r}, which only {owner!r} may; let others use it with a "
        f"udev rule or, until it is plugged in again, with sudo chmod a+rw {where}."
    )


def test_a_port_in_a_folder_of_others(tmp_path, request):
    port = tmp_path / "ttyUSB9"
    port.touch()
    tmp_path.chmod(0)
    request.addfinalizer(lambda: tmp_path.chmod(0o700))
    request.getfixturevalue("modes_count")
    assert sentence_of(str(port)) == (
        f"You may not open the port {str(port)!r}; ask who administers this machine to let you."
    )


def cannot_be_opened(where, reason):
    return (
        f"The port {where!r} cannot be opened ({reason}); name a serial port such as /dev/ttyUSB1 "
        "or COM3, a socket://host:port, or an installed board."
    )


def test_a_directory_is_no_port(tmp_path):
    where = str(tmp_path)
    assert sentence_of(where) == cannot_be_opened(where, "Is a directory")


def nobody_answers(where, reason):
    return (
        f"Nobody answers at {where!r} ({reason}); check the address, and that `stepnet share` or "
        "`stepnet sim --listen` runs there."
    )


def test_nobody_listens():
    with socket.create_server(("127.0.0.1", 0)) as server:
        where = f"socket://127.0.0.1:{server.getsockname()[1]}"
    assert sentence_of(where) == nobody_answers(where, "Connection refused")


def test_a_host_that_nobody_knows():
    where = "socket://no.such.host.invalid:4000"
    text = re.escape(nobody_answers(where, "...")).replace(re.escape("..."), "[A-Z][a-z -]+")
    assert re.fullmatch(text, sentence_of(where))


@pytest.mark.parametrize(
    "where",
    ["socket://lab", "socket://:4000", "socket://lab:0", "socket://lab:65536", "socket://lab:port"],
)
def test_a_socket_without_host_or_port(where):
    assert sentence_of(where) == (
        f"The address {where!r} names no host and port; write it as socket://host:port, with a "
        "port from 1 to 65535."
    )


def test_a_device_that_is_no_serial_port():
    assert sentence_of("/dev/null") == cannot_be_opened("/dev/null", os.strerror(errno.ENOTTY))


def test_a_url_of_unknown_kind():
    assert sentence_of("pigeon://post") == cannot_be_opened(
        "pigeon://post", "invalid URL, protocol 'pigeon' not known"
    )


def test_an_impossible_baud_rate(pty_end):
    assert sentence_of(pty_end.where, baud=-1) == cannot_be_opened(
        pty_end.where, "Not a valid baudrate: -1"
    )


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package "acme" that brings boards; gives a function that installs it with some source."""

    def install(source):
        metadata = tmp_path / "acme-1.dist-info"
        metadata.mkdir()
        (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: acme\nVersion: 1\n")
        (metadata / "entry_points.txt").write_text(
            "[stepnet.boards]\nrocket = acme_boards:open_rocket\n"
        )
        (tmp_path / "acme_boards.py").write_text(source)
        monkeypatch.syspath_prepend(tmp_path)

    yield install
    sys.modules.pop("acme_boards", None)


def test_a_board_that_a_package_brings(package):
    package("def open_rocket(**options): return options")
    told = []
    network = object()
    options = {"network": network, "baud": 9600, "uart": True, "progress": told.append}
    assert open_link("rocket", **options) == {"kind": "", **options}
    assert open_link("rocket:saturn-v", **options) == {"kind": "saturn-v", **options}


def test_a_board_whose_package_lacks_something(package):
    package("import no_such_simulator")
    with pytest.raises(MissingToolError) as caught:
        open_link("rocket")
    assert str(caught.value) == (
        "The board 'rocket' needs a package that is missing here "
        "(No module named 'no_such_simulator'); install it with: pip install \"acme[rocket]\"."
    )


def test_a_port_that_is_no_file():
    """pyserial's own ways stay open: this one gives back what is written."""
    link = SerialLink("loop://", timeout_s=0.2)
    try:
        link.write(b"there and back")
        received = b""
        while len(received) < 14:
            received += link.read(1.0)
        assert received == b"there and back"
        assert link.read(0.01) == b""
    finally:
        link.close()


def test_a_port_that_was_closed_here(ends):
    link, far = ends
    link.close()
    for use in (lambda: link.read(0.1), lambda: link.write(b"hello")):
        with pytest.raises(LinkError) as caught:
            use()
        assert str(caught.value) == (
            f"The connection to {far.where!r} broke (it was closed here); "
            "check the cable and open the board again."
        )
