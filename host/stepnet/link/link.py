"""The byte channel between host and board.

A `Link` carries bytes both ways and knows nothing of what they mean; `stepnet.link.exchange` does.
A serial port, a socket and the virtual board are all links, and nothing above them knows which.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Protocol

import serial

from stepnet.errors import LinkBrokenError, LinkError, LinkTimeoutError, MissingToolError
from stepnet.link.channel import Channel, SocketChannel, channel_of
from stepnet.link.permission import permission_advice
from stepnet.link.rate_search import find_rate, rates_at
from stepnet.link.serial_line import BITS_PER_BYTE, DEFAULT_BAUD
from stepnet.link.sockets import SCHEME, connect, host_and_port
from stepnet.link.spi import SpiLink, is_spi, open_spi
from stepnet.link.tokens import (
    MOST_GREETING_BYTES,
    TOKEN_VARIABLE,
    WELCOME,
    greeting,
    split_token,
)
from stepnet.link.usb_chips import chip_of, listed_port
from stepnet.printable import printable

BOARDS_GROUP = "stepnet.boards"
"""Entry points of boards with a name. Each is a `LinkFactory`; what it needs beside its own package
is that package's extra of the same name."""

_NOTICE_PREFIX = b"\0stepnet: "

MOST_NOTICE_CHARACTERS = 300


class Link(Protocol):
    """A byte channel, full duplex, for one user at a time.

    Where it raises LinkBrokenError, a board that knows how opens it again.
    """

    def write(self, data: bytes) -> None:
        """Send all of `data`; LinkError if the channel broke."""
        ...

    def read(self, timeout_s: float) -> bytes:
        """At least one byte, as soon as any is there; b"" once `timeout_s` passed without one.

        Raises LinkError if the channel broke.
        """
        ...

    def close(self) -> None:
        """Give the channel back. Closing twice does nothing."""
        ...


class LinkFactory(Protocol):
    """Opens the link to a board that has a name."""

    def __call__(
        self,
        *,
        kind: str,
        network: object,
        baud: int | None,
        uart: bool,
        progress: Callable[[str], None],
    ) -> Link:
        """Open it; `kind` is what stands behind a colon after its name, other arguments are as in
        `open_link`."""
        ...


class SerialLink:
    """A serial port, or any other URL that pyserial opens, such as `socket://host:port`.

    A local port is locked for this process, and bytes that arrived there before are dropped. One
    thread may read while another writes.
    where: in `socket://TOKEN@host:port`, a share is told the token; see `stepnet.link.share`.
    baud: bits per second on the line of a port that has one.
    timeout_s: how long connecting may take, a write may stay stuck, and all of it may last beyond
    the time that its bytes take on the line.
    token: for a socket whose URL names none; none at all is told in `socket://@host:port`.

    Raises LinkError, with the way out, if there is no such port, it is busy, this user may not open
    it, nobody answers there or the token is wrong.
    """

    def __init__(
        self,
        where: str,
        *,
        baud: int = DEFAULT_BAUD,
        timeout_s: float = 5.0,
        token: str | None = None,
    ) -> None:
        where, named_token = split_token(where)
        if named_token is not None:
            token = named_token
        self._where = where
        self._timeout_s = timeout_s
        self._baud = baud
        self._last_read = b""
        # pyserial's own errors are OSErrors; a URL or a baud rate it cannot make sense of is a
        # ValueError.
        try:
            self._port, self._channel = _channel_to(where, baud, timeout_s)
        except (OSError, ValueError) as error:
            raise _cannot_open(where, error) from error
        self._hands_over_at_once = self._port is None or _hand_over_at_once(self._port)
        if token and where.startswith(SCHEME):
            try:
                self._introduce(token)
            except BaseException:
                self.close()
                raise

    @property
    def baud(self) -> int | None:
        """Bits per second on the line; None for a socket."""
        return None if self._port is None else self._baud

    @property
    def holds_back(self) -> bool:
        """Whether the driver may hold answers back until the timer of the port's USB chip ends."""
        if self._hands_over_at_once:
            return False
        port = listed_port(self._where)
        return port is not None and chip_of(port) is not None

    def set_baud(self, baud: int) -> None:
        """Have the line run at `baud` from now on; LinkError if the port cannot."""
        if self._port is not None:
            try:
                self._port.baudrate = baud
            except (OSError, ValueError) as error:
                raise _cannot_open(self._where, error) from error
        self._baud = baud

    def write(self, data: bytes) -> None:
        """Send all of `data`; LinkTimeoutError if the port takes none for `timeout_s`, or all of
        them only so much later than the line could have carried them."""
        line_s = len(data) * BITS_PER_BYTE / max(self._baud, 1)
        start_s, whole_s = time.monotonic(), self._timeout_s + line_s
        try:
            taken = self._open_channel().write(data, self._timeout_s, whole_s)
        except OSError as error:
            self._hear_last_words()
            raise self._broke(error) from error
        if not taken:
            slow = time.monotonic() - start_s >= whole_s
            raise LinkTimeoutError(
                f"The port {self._where!r} "
                + ("takes bytes too slowly" if slow else f"took no bytes for {self._timeout_s:g} s")
                + "; check the cable and that no flow control holds it back."
            )

    def read(self, timeout_s: float) -> bytes:
        """See `Link.read`."""
        try:
            received = self._open_channel().read(timeout_s)
        except OSError as error:
            raise self._broke(error) from error
        if received:
            self._last_read = received
        return received

    def discard(self) -> None:
        """See `stepnet.link.bridge.SharedLink.discard`."""
        try:
            self._open_channel().discard()
        except OSError as error:
            raise self._broke(error) from error

    def close(self) -> None:
        """Close the port."""
        channel, self._channel = self._channel, None
        if channel is not None:
            channel.close()

    def _open_channel(self) -> Channel:
        if self._channel is None:
            raise ConnectionError("it was closed here")
        return self._channel

    def _introduce(self, token: str) -> None:
        """Send a share its token, and wait until it lets this client in."""
        self.write(greeting(token))
        deadline_s = time.monotonic() + self._timeout_s
        answer = b""
        while not answer.endswith(b"\n") and len(answer) < MOST_GREETING_BYTES:
            left_s = deadline_s - time.monotonic()
            received = self.read(left_s) if left_s > 0 else b""
            if not received:
                raise LinkTimeoutError(
                    f"What answers at {self._where!r} did not take the token within "
                    f"{self._timeout_s:g} s; write socket://@host:port if the board is shared "
                    "without one."
                )
            answer += received
        if answer != WELCOME:
            self._last_read = answer  # a notice may have come in pieces
            raise self._broke(ConnectionError("it answered the token with something else"))

    def _hear_last_words(self) -> None:
        """Read what a share may have said before it ended the connection."""
        heard = b""
        with suppress(OSError):
            while len(heard) < MOST_GREETING_BYTES and (said := self._open_channel().read(0.0)):
                heard += said
        self._last_read = heard or self._last_read

    def _broke(self, error: OSError) -> LinkBrokenError:
        _, told, sentence = self._last_read.rpartition(_NOTICE_PREFIX)
        if told:
            return LinkBrokenError(
                f"The share at {self._where!r} ended the connection: "
                + printable(sentence.decode(errors="replace").strip(), MOST_NOTICE_CHARACTERS)
            )
        return LinkBrokenError(
            f"The connection to {self._where!r} broke ({_reason(error)}); "
            "check the cable and open the board again."
        )


def notice(sentence: str) -> bytes:
    """What a share sends before it ends a connection, so that `SerialLink` can say why."""
    return _NOTICE_PREFIX + sentence.encode() + b"\n"


def _channel_to(where: str, baud: int, timeout_s: float) -> tuple[Any, Channel | None]:
    """Open a share's socket, or else a port in the way of pyserial, which comes first then."""
    if where.startswith(SCHEME):
        return None, SocketChannel(connect(where, timeout_s))
    # pyserial's RFC 2217 knows no such timeout, and would connect before it says so.
    write_timeout_s = None if where.lower().startswith("rfc2217://") else timeout_s
    port = serial.serial_for_url(
        where, baudrate=baud, exclusive=True, write_timeout=write_timeout_s
    )
    return port, channel_of(port)


def open_port(
    where: str,
    *,
    baud: int | None = None,
    timeout_s: float = 5.0,
    token: str | None = None,
    progress: Callable[[str], None] = lambda message: None,
) -> SerialLink | SpiLink:
    """A `SerialLink` at the rate of the board at its other end; for the URL of an SPI device what
    `open_spi` opens.

    baud: bits per second; None to find them, as `rate_search` does, which takes less than 0.3 s if
        there is a board.
    progress: is told at which rate the board answers, and if answers may be held back on their way.

    Raises what `SerialLink` and `open_spi` raise; LinkTimeoutError if the board answers at no rate
    within `timeout_s`, LinkError if the port's USB chip does not make the rate.
    """
    if is_spi(where):
        return open_spi(where, hz=baud)
    link = _open_serial(where, baud, timeout_s, token, progress)
    if link.holds_back:
        progress(
            f"The driver of {where!r} may hold answers back for 16 ms; docs/runtime.md tells how "
            "to set its latency timer to 1 ms"
        )
    return link


def _open_serial(
    where: str,
    baud: int | None,
    timeout_s: float,
    token: str | None,
    progress: Callable[[str], None],
) -> SerialLink:
    """`open_port` at what is no SPI device."""
    if baud is not None:
        port = listed_port(where)
        if port is not None and (chip := chip_of(port)) is not None:
            chip.check(baud, repr(where), LinkError)
        return SerialLink(where, baud=baud, timeout_s=timeout_s, token=token)
    bauds = rates_at(where)
    link = SerialLink(where, baud=bauds[0], timeout_s=timeout_s, token=token)
    if len(bauds) == 1:
        return link
    try:
        found = find_rate(link, bauds, timeout_s)
        if found is None:
            raise LinkTimeoutError(no_rate_found(where, bauds, timeout_s))
    except BaseException:
        link.close()
        raise
    progress(f"The board at {where!r} answers at {found:,} baud")
    return link


def no_rate_found(where: str, bauds: Sequence[int], waited_s: float) -> str:
    """The sentence for a board that answers at none of some rates."""
    *others, last = (f"{baud:,}" for baud in bauds)
    return (
        f"What is at {where!r} gave no answer of Stepnet's protocol within {waited_s:g} s at "
        f"{', '.join(others)} or {last} baud; check the port, the cable and that the board runs "
        "Stepnet's bitstream, or name the rate that this was built for with --baud."
    )


def open_link(
    where: str,
    *,
    network: object = None,
    baud: int | None = None,
    timeout_s: float = 5.0,
    uart: bool = False,
    progress: Callable[[str], None] = lambda message: None,
) -> Link:
    """The link to a board.

    where: the name of an installed board, such as "sim", or a kind of it, such as "sim:ulx3s-25f";
    otherwise a serial port, a URL for `SerialLink`, perhaps with a token, or one for `open_spi`.
    network: a `stepnet.Network` that the board is to hold, or None; an installed board may be made
    so that it can. `StoredImages` for a virtual board that measures itself.
    baud: bits per second on the wire; None to find them at a port, see `open_port`, and for what
        the board has that a virtual one is like.
    timeout_s: how long a write to a port may stay stuck, and how long its rate is sought.
    uart: the virtual board is driven at its serial pins instead of the bytes behind them.
    progress: is told, in a sentence without a full stop, what takes long.

    A socket whose URL names no token is told that of the variable `TOKEN_VARIABLE`, if it is set.

    Raises LinkError if the port cannot be opened, MissingToolError if the board needs a package
    that is not installed, and what the board itself raises.
    """
    boards = entry_points(group=BOARDS_GROUP)
    name, _, kind = where.partition(":")
    if name in boards.names:
        return _factory(boards[name])(
            kind=kind, network=network, baud=baud, uart=uart, progress=progress
        )
    token = os.environ.get(TOKEN_VARIABLE)
    return open_port(where, baud=baud, timeout_s=timeout_s, token=token, progress=progress)


def is_installed_board(where: str) -> bool:
    """Whether `open_link` finds the board by its name, as it does the virtual one."""
    return where.partition(":")[0] in entry_points(group=BOARDS_GROUP).names


def _factory(board: EntryPoint) -> LinkFactory:
    try:
        return board.load()
    except ImportError as error:
        package = board.dist.name if board.dist else "stepnet"
        raise MissingToolError(
            f"The board {board.name!r} needs a package that is missing here ({error}); "
            f'install it with: pip install "{package}[{board.name}]".'
        ) from error


def _hand_over_at_once(port: Any) -> bool:
    """Have the driver not wait for more bytes to hand over together, which FTDI's does for 16 ms.
    False if it does not promise that.

    Linux alone can be asked, and not for every port.
    """
    if ask := getattr(port, "set_low_latency_mode", None):
        # pyserial's own error is the last one.
        with suppress(NotImplementedError, OSError, ValueError):
            ask(True)
            return True
    return False


def _cannot_open(where: str, error: Exception) -> LinkError:
    if where.startswith(SCHEME) and not _names_host_and_port(where):
        return LinkError(
            f"The address {where!r} names no host and port; write it as socket://host:port, "
            "with a port from 1 to 65535."
        )
    if where.startswith(SCHEME):
        return LinkError(
            f"Nobody answers at {where!r} ({_reason(error)}); check the address, and that "
            "`stepnet share` or `stepnet sim --listen` runs there."
        )
    match _error_number(error):
        case errno.ENOENT:
            return LinkError(
                f"There is no port {where!r} and no installed board of that name; "
                "this lists the ports: stepnet boards --connected."
            )
        case errno.EACCES | errno.EPERM:
            return LinkError(f"You may not open the port {where!r}{permission_advice(where)}")
        case errno.EBUSY | errno.EAGAIN:
            return LinkError(f"The port {where!r} is busy; close the other program that uses it.")
        case _:
            return LinkError(
                f"The port {where!r} cannot be opened ({_reason(error)}); name a serial port such "
                "as /dev/ttyUSB1 or COM3, a socket://host:port, or an installed board."
            )


def _names_host_and_port(url: str) -> bool:
    try:
        host_and_port(url)
    except ValueError:
        return False
    return True


def _system_error(error: BaseException) -> tuple[int, str] | None:
    """Number and text of the system's error behind `error`, which pyserial often wraps; that of a
    host name is negative."""
    match error.args:
        case (int(number), str(text)) if number:
            # pyserial puts a text of its own beside the number.
            return number, os.strerror(number) if number > 0 else text
        case _:
            return _system_error(error.__context__) if error.__context__ else None


def _error_number(error: BaseException) -> int | None:
    found = _system_error(error)
    return found[0] if found else None


def _reason(error: Exception) -> str:
    found = _system_error(error)
    return found[1] if found else str(error)
