"""TCP connections that notice when the other machine is gone, and that are opened in time."""

from __future__ import annotations

import socket
import time
from contextlib import suppress
from urllib.parse import urlsplit

SCHEME = "socket://"

IDLE_S = 15
PROBE_S = 5
PROBES = 3
"""A connection that says nothing for `IDLE_S` is probed; if `PROBES` probes in a row are not
answered, the other machine is gone."""

UNACKNOWLEDGED_S = 30
"""What was sent and is not acknowledged for so long ends the connection."""


def connect(url: str, timeout_s: float) -> socket.socket:
    """A connection to `socket://host:port`, ready within `timeout_s`, however many addresses the
    host has.

    Raises OSError if nobody answers, ValueError if the URL names no host and port.
    """
    host, port = host_and_port(url)
    deadline_s = time.monotonic() + timeout_s
    refused: OSError = ConnectionRefusedError()
    for family, kind, protocol, _, place in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
        connection = socket.socket(family, kind, protocol)
        try:
            connection.settimeout(max(0.001, deadline_s - time.monotonic()))
            connection.connect(place)
        except OSError as error:
            connection.close()
            refused = error
            continue
        prepare(connection)
        return connection
    raise refused


def host_and_port(url: str) -> tuple[str, int]:
    """What `socket://host:port` names; ValueError if it names nothing."""
    address = urlsplit(url)
    if not (address.hostname and address.port):
        raise ValueError("There is no host or no port.")
    return address.hostname, address.port


def prepare(connection: socket.socket) -> None:
    """Have a connection send at once, and end when the other machine is gone."""
    # A small request is not held back until the one before is acknowledged (Nagle).
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (
        ("TCP_KEEPIDLE", IDLE_S),
        ("TCP_KEEPALIVE", IDLE_S),  # the name of the same on macOS
        ("TCP_KEEPINTVL", PROBE_S),
        ("TCP_KEEPCNT", PROBES),
        ("TCP_USER_TIMEOUT", UNACKNOWLEDGED_S * 1000),
    ):
        with suppress(AttributeError, OSError):  # not every system has each of them
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
