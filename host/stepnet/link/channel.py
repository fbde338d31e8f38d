"""Bytes in and out of an open port, with as few calls of the system as they take."""

from __future__ import annotations

import os
import socket
import time
from contextlib import suppress
from typing import Any, Protocol

import serial
import serial.rfc2217

from stepnet.link.ready import Readiness

READ_BYTES = 65536
"""The most bytes that come out of one read."""

POLL_S = 0.001
"""How often a port over RFC 2217 is asked whether bytes came; the network takes longer."""


class Channel(Protocol):
    """An open port. All methods raise OSError if it breaks."""

    def read(self, timeout_s: float) -> bytes:
        """The next bytes, as `stepnet.link.link.Link.read` promises them."""
        ...

    def write(self, data: bytes, stuck_s: float, whole_s: float) -> bool:
        """Send all of `data`; False once the port took no byte for `stuck_s`, or not all within
        `whole_s`."""
        ...

    def discard(self) -> None:
        """Forget what was written and has not left this machine, as far as that can be done."""
        ...

    def close(self) -> None:
        """Give the port back."""
        ...


def channel_of(port: Any) -> Channel:
    """The quickest way through a port that pyserial opened; pyserial carries no types."""
    # Other ports do something to the bytes on their way, and Windows reads none like a file.
    if os.name == "posix" and type(port) is serial.Serial:
        return _TerminalChannel(port)
    if isinstance(port, serial.rfc2217.Serial):
        return _Rfc2217Channel(port)
    return _PortChannel(port)


class SocketChannel:
    """A connected socket, which belongs to the channel."""

    def __init__(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        self._socket = connection
        self._ready = Readiness(connection.fileno())

    def read(self, timeout_s: float) -> bytes:
        """See `Channel.read`."""
        if not self._ready.to_read(timeout_s):
            return b""
        try:
            received = self._socket.recv(READ_BYTES)
        except BlockingIOError:
            return b""
        if not received:
            raise ConnectionError("the other end is gone")
        return received

    def write(self, data: bytes, stuck_s: float, whole_s: float) -> bool:
        """See `Channel.write`."""
        return _write_all(self._socket.send, self._ready, data, stuck_s, whole_s)

    def discard(self) -> None:
        """Does nothing: what a socket was given is on its way. See `Channel.discard`."""

    def close(self) -> None:
        """See `Channel.close`."""
        self._socket.close()


class _TerminalChannel:
    """A terminal device, as a file that does not block."""

    def __init__(self, port: Any) -> None:
        self._port = port
        self._descriptor: int = port.fileno()
        self._ready = Readiness(self._descriptor)

    def read(self, timeout_s: float) -> bytes:
        if not self._ready.to_read(timeout_s):
            return b""
        try:
            received = os.read(self._descriptor, READ_BYTES)
        except BlockingIOError:
            return b""  # another process took it
        if not received:
            raise ConnectionError("the other end is gone")
        return received

    def write(self, data: bytes, stuck_s: float, whole_s: float) -> bool:
        return _write_all(self._send, self._ready, data, stuck_s, whole_s)

    def discard(self) -> None:
        self._port.reset_output_buffer()

    def close(self) -> None:
        self._port.close()

    def _send(self, data: memoryview) -> int:
        return os.write(self._descriptor, data)


class _PortChannel:
    """A port as pyserial reads and writes it."""

    def __init__(self, port: Any) -> None:
        self._port = port

    def read(self, timeout_s: float) -> bytes:
        self._port.timeout = timeout_s
        first: bytes = self._port.read(1)
        if not first:
            return b""
        self._port.timeout = 0
        return first + self._port.read(READ_BYTES - 1)

    def write(self, data: bytes, stuck_s: float, whole_s: float) -> bool:
        # pyserial counts from the beginning. To set it configures the port again.
        if self._port.write_timeout != stuck_s:
            self._port.write_timeout = stuck_s
        try:
            self._port.write(data)
        except serial.SerialTimeoutException:
            return False
        return True

    def discard(self) -> None:
        self._port.reset_output_buffer()

    def close(self) -> None:
        self._port.close()


class _Rfc2217Channel:
    """A port behind a server that speaks RFC 2217.

    Each change of a timeout would have pyserial negotiate the whole port anew with the server, for
    tenths of a second, and at a timeout of 0 it hands out one byte at a time. So the port keeps
    having no timeout, and is only asked for what has arrived.
    """

    def __init__(self, port: Any) -> None:
        self._port = port
        self._ended = False

    def read(self, timeout_s: float) -> bytes:
        deadline_s = time.monotonic() + timeout_s
        while not self._ended:
            if there := self._port.in_waiting:
                received: bytes = self._port.read(there)
                # The end of the connection counts as one of the bytes that are there.
                self._ended = len(received) < there
                if received:
                    return received
            elif time.monotonic() >= deadline_s:
                return b""
            else:
                time.sleep(POLL_S)
        raise ConnectionError("the other end is gone")

    def write(self, data: bytes, stuck_s: float, whole_s: float) -> bool:
        # The socket below has a timeout of pyserial's own, which breaks the port.
        self._port.write(data)
        return True

    def discard(self) -> None:
        self._port.reset_output_buffer()

    def close(self) -> None:
        self._port.close()


def _write_all(send: Any, ready: Readiness, data: bytes, stuck_s: float, whole_s: float) -> bool:
    """Send all of `data` through `send`, which takes what it can; see `Channel.write`."""
    unsent = memoryview(data)
    deadline_s = time.monotonic() + whole_s
    while True:
        with suppress(BlockingIOError):
            unsent = unsent[send(unsent) :]
        if not unsent:
            return True
        left_s = min(stuck_s, deadline_s - time.monotonic())
        if left_s <= 0 or not ready.to_write(left_s):
            return False
