"""Bytes in and out of an open port, with as few calls of the system as they take."""

from __future__ import annotations

import os
import select
import socket
from contextlib import suppress
from typing import Any, Protocol

import serial

READ_BYTES = 65536
"""The most bytes that come out of one read."""


class Channel(Protocol):
    """An open port. All methods raise OSError if it breaks."""

    def read(self, timeout_s: float) -> bytes:
        """The next bytes, as `stepnet.link.link.Link.read` promises them."""
        ...

    def write(self, data: bytes, timeout_s: float) -> bool:
        """Send all of `data`; False once the port took no byte for `timeout_s`."""
        ...


def channel_of(port: Any) -> Channel:
    """The quickest way through a port that pyserial opened; pyserial carries no types."""
    is_socket = port.portstr.startswith("socket://")
    # Other ports do something to the bytes on their way, and Windows reads neither like a file.
    if os.name == "posix" and (is_socket or type(port) is serial.Serial):
        if is_socket:
            _send_at_once(port.fileno())
        return _DescriptorChannel(port.fileno())
    return _PortChannel(port)


class _DescriptorChannel:
    """A descriptor that does not block, of a terminal or a socket."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def read(self, timeout_s: float) -> bytes:
        readable, _, _ = select.select([self._descriptor], [], [], timeout_s)
        if not readable:
            return b""
        try:
            received = os.read(self._descriptor, READ_BYTES)
        except BlockingIOError:
            return b""  # another process took it
        if not received:
            raise ConnectionError("the other end is gone")
        return received

    def write(self, data: bytes, timeout_s: float) -> bool:
        unsent = memoryview(data)
        while True:
            with suppress(BlockingIOError):
                unsent = unsent[os.write(self._descriptor, unsent) :]
            if not unsent:
                return True
            _, writable, _ = select.select([], [self._descriptor], [], timeout_s)
            if not writable:
                return False


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

    def write(self, data: bytes, timeout_s: float) -> bool:
        if self._port.write_timeout != timeout_s:  # to set it configures the port again
            self._port.write_timeout = timeout_s
        try:
            self._port.write(data)
        except serial.SerialTimeoutException:
            return False
        return True


def _send_at_once(descriptor: int) -> None:
    """Do not hold a small request back until the one before is acknowledged (Nagle)."""
    with socket.socket(fileno=os.dup(descriptor)) as same:
        same.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
