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

What this does not protect against. Nothing is encrypted: whoever can listen on the way reads the
token and every image, and whoever can change what passes takes the connection over. The token is
the same for all clients and as good as it is hard to guess; nothing slows down who tries many. A
client that is let in may load any network, send the board anything, and stay as long as it likes;
many connections that say nothing cost this machine a thread each. On a loopback address without a
token, every user and program of this machine may use the board. Beyond a network whose every
machine you trust, put it behind ssh (`ssh -L 4000:127.0.0.1:4000 lab`) or a VPN.
"""

from __future__ import annotations

import errno
import hmac
import ipaddress
import os
import select
import socket
import threading
from collections.abc import Callable
from contextlib import suppress

from stepnet.errors import LinkError, ListenError
from stepnet.link.bridge import bridge, drain
from stepnet.link.link import TOKEN_PREFIX, WELCOME, Link, notice

TOKEN_S = 5.0
"""How long a client may take to send its token."""

DISMISS_S = 2.0
"""How long a client that is turned away may take to speak, and then to read why."""

RECEIVE_BYTES = 65536


class SocketVisitor:
    """A `bridge.Visitor` at the other end of a connected socket."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    def receive(self) -> bytes:
        """As `bridge.Visitor.receive`."""
        try:
            return self._connection.recv(RECEIVE_BYTES)
        except OSError:
            return b""  # it left without saying so

    def send(self, data: bytes) -> None:
        """As `bridge.Visitor.send`."""
        self._connection.sendall(data)

    def stop_receiving(self) -> None:
        """As `bridge.Visitor.stop_receiving`."""
        with suppress(OSError):
            self._connection.shutdown(socket.SHUT_RD)

    def hang_up(self) -> None:
        """As `bridge.Visitor.hang_up`."""
        with suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)


class Share:
    """Serves the clients that come to a listening socket, one after the other.

    open_link: opens the link to the board; called now, so that a wrong port is known at once, and
    again for the next client after the link broke. The link is read and written in two threads.
    listener: where clients come; stays the caller's.
    token: what a client has to send first, if anything.
    report: is told who came, who left and who was turned away, in sentences without a full stop;
    from several threads.

    Raises what `open_link` raises.
    """

    def __init__(
        self,
        open_link: Callable[[], Link],
        listener: socket.socket,
        *,
        token: str | None = None,
        report: Callable[[str], None] = lambda message: None,
    ) -> None:
        self._open_link = open_link
        self._listener = listener
        self._token = token
        self._report = report
        self._board = threading.Lock()
        self._link: Link | None = open_link()
        self._stopping, self._stop = socket.socketpair()
        self._visits: dict[threading.Thread, socket.socket] = {}

    def serve(self, *, once: bool = False) -> None:
        """Serve clients until `stop` or Ctrl-C, then close the link; once only.

        once: end when the first client that got the board has left.
        """
        try:
            while True:
                ready, _, _ = select.select([self._listener, self._stopping], [], [])
                if self._stopping in ready:
                    return
                self._welcome(*self._listener.accept(), once=once)
        finally:
            self._end()

    def stop(self) -> None:
        """Make `serve` end; from any thread."""
        self._stop.close()

    def _welcome(self, connection: socket.socket, address: tuple[object, ...], once: bool) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client = _shown(*address[:2])
        thread = threading.Thread(
            target=self._serve_client, args=(connection, client, once), daemon=True
        )
        self._visits = {held: at for held, at in self._visits.items() if held.is_alive()}
        self._visits[thread] = connection
        thread.start()

    def _end(self) -> None:
        for connection in self._visits.values():
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._visits:
            thread.join()
        if self._link is not None:
            self._link.close()
        self._stop.close()
        self._stopping.close()

    def _serve_client(self, connection: socket.socket, client: str, once: bool) -> None:
        with connection:
            if self._token is not None and not self._knows_token(connection):
                self._report(f"{client} was turned away because it did not send the token")
                _dismiss(connection, "The token is wrong or missing; use socket://TOKEN@host:port.")
            elif not self._board.acquire(blocking=False):
                self._report(f"{client} was turned away because another client has the board")
                if self._token is None:
                    # A client may drop what arrives before it has said something.
                    _await_first_byte(connection)
                _dismiss(
                    connection,
                    "The board is in use by another client; try again when that one has left.",
                )
            else:
                try:
                    self._report(f"{client} has the board")
                    self._visit(connection)
                    self._report(f"{client} left")
                finally:
                    self._board.release()
                    if once:
                        self.stop()

    def _knows_token(self, connection: socket.socket) -> bool:
        """Whether the client sends the token and nothing else in time; welcomes it if so."""
        wanted = TOKEN_PREFIX + str(self._token).encode() + b"\n"
        sent = b""
        try:
            connection.settimeout(TOKEN_S)
            while len(sent) < len(wanted) and not sent.endswith(b"\n"):
                received = connection.recv(len(wanted) - len(sent))
                sent += received
                # Only the prefix is compared early: it is no secret.
                if not received or sent[: len(TOKEN_PREFIX)] != TOKEN_PREFIX[: len(sent)]:
                    return False
            known = hmac.compare_digest(sent, wanted)
            if known:
                connection.sendall(WELCOME)
            connection.settimeout(None)
        except OSError:
            return False
        return known

    def _visit(self, connection: socket.socket) -> None:
        """Let the client have the board until it leaves or the board does."""
        try:
            if self._link is None:
                self._link = self._open_link()
            bridge(self._link, SocketVisitor(connection))
            drain(self._link)
        except LinkError as error:
            self._report(str(error).removesuffix("."))
            if self._link is not None:
                self._link.close()
                self._link = None
            _dismiss(connection, str(error))


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


def shared_at(listener: socket.socket) -> str:
    """How a client on this machine, or one that knows its address, opens the board."""
    return f"socket://{_shown(*listener.getsockname()[:2])}"


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


def _shown(host: object, port: object) -> str:
    return f"[{host}]:{port}" if ":" in str(host) else f"{host}:{port}"


def _await_first_byte(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.settimeout(DISMISS_S)
        connection.recv(1)


def _dismiss(connection: socket.socket, sentence: str) -> None:
    """Tell the client why, and let it read that before the connection ends."""
    with suppress(OSError):
        connection.settimeout(DISMISS_S)
        connection.sendall(notice(sentence))
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(RECEIVE_BYTES):
            pass
