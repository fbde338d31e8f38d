"""A board offered over TCP, to one client at a time.

    with listen("127.0.0.1:4000") as listener:
        Share(lambda: SerialLink("/dev/ttyUSB1"), listener).serve()

A client connects and speaks to the board as if it sat at the serial port; `socket://host:port`
opens it. While it is there, any other client is turned away with a notice that says why. If the
share has a token, a client sends it first and waits for the welcome:

    client  stepnet-token TOKEN LF
    share   stepnet-welcome LF

A notice is a zero byte, `stepnet: `, a sentence and a line feed, and then the connection ends. To a
client that knows only the board's protocol it is a frame that never ends.

Who is let in. A client has the board from the first thing that it says, so that one that says
nothing holds nothing up, and a web browser, whose first words no board understands, is turned away.
A client whose machine is gone is noticed within a minute; one that takes none of its answers for
`SEND_S`, or that sends what no board answers, is hung up on.

What this does not protect against. Nothing is encrypted: whoever can listen on the way reads the
token and every image, and whoever can change what passes takes the connection over. The token is
the same for all clients and as good as it is hard to guess: somebody may try a hundred in a second.
A client that is let in may load any network, send the board anything, and stay as long as it likes.
On a loopback address without a token, every user and program of this machine may use the board.
Beyond a network whose every machine you trust, put it behind ssh
(`ssh -L 4000:127.0.0.1:4000 lab`) or a VPN.
"""

from __future__ import annotations

import errno
import ipaddress
import os
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from enum import Enum, auto
from urllib.parse import quote

from stepnet.errors import LinkError, ListenError
from stepnet.link.bridge import SharedLink, bridge, drain
from stepnet.link.link import notice
from stepnet.link.lobby import DISMISS_S, Guest, Lobby, address_of
from stepnet.link.ready import Readiness
from stepnet.link.sockets import SCHEME

RECEIVE_BYTES = 4096
"""How much of a client's is taken at once, and may still go to the board once it has left."""

MOST_UNANSWERED_BYTES = 256 << 10
"""How much a client may send without a byte in return: a board answers every frame, of at most some
KiB, so what it answers nothing to are none."""

SEND_S = 30.0
"""How long a client may leave the answers that it asked for unread."""


NO_FRAMES = (
    f"The board answered nothing to {MOST_UNANSWERED_BYTES >> 10} KiB; send it frames as "
    "docs/protocol.md has them."
)


class SocketVisitor:
    """A `bridge.Visitor` at the other end of a connected socket.

    said: what it sent already, which is received first.
    report_left: is called as soon as it has left.

    speaks_no_frames: whether it was given up because the board had no answer to all that it said.
    """

    def __init__(
        self,
        connection: socket.socket,
        said: bytes = b"",
        report_left: Callable[[], None] = lambda: None,
    ) -> None:
        connection.setblocking(False)
        self._connection = connection
        self._ready = Readiness(connection.fileno())
        self._said = said
        self._report_left = report_left
        self._stopped = False
        self._unanswered_bytes = 0
        self.speaks_no_frames = False

    def receive(self) -> bytes:
        """See `bridge.Visitor.receive`. What a client sent and nobody took before it left is
        dropped with it: the next one does not wait for that.
        """
        self.speaks_no_frames = self._unanswered_bytes > MOST_UNANSWERED_BYTES
        received = b"" if self.speaks_no_frames else self._receive()
        self._unanswered_bytes += len(received)
        if not received:
            self._report_left()
        return received

    def _receive(self) -> bytes:
        if said := self._said:
            self._said = b""
            return said
        while True:
            self._ready.to_read(None)
            if self._stopped or self._ready.has_left():
                return b""
            try:
                return self._connection.recv(RECEIVE_BYTES)
            except BlockingIOError:
                continue
            except OSError:
                return b""  # it left without saying so

    def send(self, data: bytes) -> None:
        """See `bridge.Visitor.send`; TimeoutError once it took nothing for `SEND_S`."""
        self._unanswered_bytes = 0
        unsent = memoryview(data)
        while unsent:
            if not self._ready.to_write(SEND_S):
                raise TimeoutError
            with suppress(BlockingIOError):
                unsent = unsent[self._connection.send(unsent) :]

    def stop_receiving(self) -> None:
        """See `bridge.Visitor.stop_receiving`."""
        self._stopped = True  # what came before can be received after a shutdown, too
        with suppress(OSError):
            self._connection.shutdown(socket.SHUT_RD)

    def hang_up(self) -> None:
        """See `bridge.Visitor.hang_up`."""
        with suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)


class _Board(Enum):
    """Who has the board: nobody, a client, or nobody until what the last one asked is over."""

    FREE = auto()
    IN_USE = auto()
    FINISHING = auto()


class Share:
    """Serves the clients that come to a listening socket, one after the other.

    open_link: opens the link to the board; called now, so that a wrong port is known at once, and
    again for the next client after the link broke.
    listener: where clients come; stays the caller's.
    token: what a client has to send first, if anything.
    report: is told who came, who left and who was turned away, in sentences without a full stop;
    from several threads, and must not wait.

    Raises what `open_link` raises.
    """

    def __init__(
        self,
        open_link: Callable[[], SharedLink],
        listener: socket.socket,
        *,
        token: str | None = None,
        report: Callable[[str], None] = lambda message: None,
    ) -> None:
        self._open_link = open_link
        self._listener = listener
        self._token = token
        self._report = report
        self._link: SharedLink | None = open_link()
        self._board = _Board.FREE
        self._stopped = False
        self._waking, self._waker = socket.socketpair()
        self._waking.setblocking(False)
        self._visits: dict[threading.Thread, socket.socket] = {}

    def serve(self, *, once: bool = False) -> None:
        """Serve clients until `stop` or Ctrl-C, then close the link; once only.

        once: end when the first client that got the board has left.
        """
        lobby = Lobby(self._listener, self._waking, self._token, self._report)
        try:
            while not self._stopped:
                lobby.wait(lambda: self._board is _Board.IN_USE)
                with suppress(BlockingIOError):
                    self._waking.recv(RECEIVE_BYTES)
                free = self._board is _Board.FREE and not self._stopped
                if free and (guest := lobby.next_ready()) is not None:
                    self._begin_visit(guest, once)
        finally:
            lobby.close()
            self._end()

    def stop(self) -> None:
        """Make `serve` end. Any thread may call it."""
        self._stopped = True
        self._wake()

    def _wake(self) -> None:
        with suppress(OSError):  # it has ended, or is awake
            self._waker.send(b"\0")

    def _begin_visit(self, guest: Guest, once: bool) -> None:
        self._board = _Board.IN_USE
        self._visits = {held: at for held, at in self._visits.items() if held.is_alive()}
        thread = threading.Thread(target=self._serve_guest, args=(guest, once), daemon=True)
        self._visits[thread] = guest.connection
        thread.start()

    def _end(self) -> None:
        for connection in self._visits.values():
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._visits:
            thread.join()
        if self._link is not None:
            self._link.close()
        self._waker.close()
        self._waking.close()

    def _serve_guest(self, guest: Guest, once: bool) -> None:
        with guest.connection:
            self._report(f"{guest.address} has the board")
            why = self._visit(guest)
            self._board = _Board.FREE
            self._wake()
            if why is not None:
                self._report(why.removesuffix("."))
                _say_why(guest.connection, why)
            self._report(f"{guest.address} left")
        if once:
            self.stop()

    def _finish(self) -> None:
        """The client has left: whoever comes now waits for the board, however long that takes."""
        self._board = _Board.FINISHING
        self._wake()

    def _visit(self, guest: Guest) -> str | None:
        """Let the client have the board until it leaves; returns why it has to, if it does not."""
        visitor = SocketVisitor(guest.connection, guest.said, self._finish)
        try:
            if self._link is None:
                self._link = self._open_link()
            try:
                bridge(self._link, visitor)
            finally:
                self._finish()
            drain(self._link)
        except LinkError as error:
            if self._link is not None:
                self._link.close()
                self._link = None
            return str(error)
        return NO_FRAMES if visitor.speaks_no_frames else None


def listen(address: str, *, public: bool = False) -> socket.socket:
    """A socket that listens at `address`, "host:port" or "[host]:port"; port 0 takes any free one.

    public: other machines may reach it. Without it, only a loopback address is taken.

    Raises ListenError if the address is none, is taken, does not belong to this machine, or is not
    a loopback address and `public` was not given.
    """
    host, port = _parsed(address)
    try:
        found = socket.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except OSError as error:
        raise ListenError(
            f"The host {host!r} is not known here; listen at 127.0.0.1 or at another address of "
            "this machine."
        ) from error
    family, _, _, _, place = found[0]
    if not public and not ipaddress.ip_address(str(place[0])).is_loopback:
        raise ListenError(
            f"At {address!r} other machines can reach the board; say --public if that is meant, or "
            "listen at 127.0.0.1."
        )
    try:
        return socket.create_server((str(place[0]), port), family=family)
    except OSError as error:
        raise _cannot_listen(address, error) from error


def shared_at(listener: socket.socket, token: str | None = None) -> str:
    """The URL with which a client opens the board: one on this machine, or one that knows its
    address.

    token: the one that the URL is to name, if any.
    """
    named = "" if token is None else f"{quote(token, safe='')}@"
    return f"{SCHEME}{named}{address_of(*listener.getsockname()[:2])}"


def _parsed(address: str) -> tuple[str, int]:
    host, colon, port = address.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    well_formed = colon and port.isascii() and port.isdigit() and (bracketed or ":" not in host)
    if not well_formed or int(port) > 65535:
        raise ListenError(
            f"One cannot listen at {address!r}; give host:port, such as 127.0.0.1:4000."
        )
    return host.strip("[]"), int(port)


def _cannot_listen(address: str, error: OSError) -> ListenError:
    match error.errno:
        case errno.EADDRINUSE:
            return ListenError(
                f"Another program listens at {address!r}; end it, or choose another port, or port "
                "0 for any that is free."
            )
        case errno.EADDRNOTAVAIL:
            return ListenError(
                f"The address {address!r} does not belong to this machine; listen at 127.0.0.1 or "
                "at one that does."
            )
        case errno.EACCES:
            return ListenError(f"You may not listen at {address!r}; choose a port above 1023.")
        case number:
            reason = os.strerror(number) if number else str(error)
            return ListenError(
                f"One cannot listen at {address!r} ({reason}); choose another address."
            )


def _say_why(connection: socket.socket, sentence: str) -> None:
    """Tell the client why the connection ends, and let it read that, within `DISMISS_S` in all."""
    deadline_s = time.monotonic() + DISMISS_S
    ready = Readiness(connection.fileno())
    with suppress(OSError):
        connection.send(notice(sentence))
        connection.shutdown(socket.SHUT_WR)
        while (left_s := deadline_s - time.monotonic()) > 0 and ready.to_read(left_s):
            if not connection.recv(RECEIVE_BYTES):
                return
