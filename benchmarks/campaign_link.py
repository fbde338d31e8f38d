"""What goes wrong with connections and with the processes at their ends, for `fault_campaign`."""

from __future__ import annotations

import os
import random
import re
import selectors
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np

from stepnet.boards.board import open_board
from stepnet.link import messages
from stepnet.link.frames import encode_frame
from stepnet.networks import reference
from stepnet.networks.network import Network

START_S = 60.0
NEXT_CLIENT_S = 5.0
"""How soon the next client has to be served, whatever the one before did."""

CROWD = 100
FLOOD_BYTES = 4 << 20
UNREAD_REQUESTS = 20_000


def _frame(kind: messages.Request, body: bytes = b"") -> bytes:
    return encode_frame(messages.HEADER.pack(kind=kind, sequence=1) + body)


class ServedBoard:
    """`stepnet sim --listen` in a process of its own, always at the same port.

    token: that it asks for; None for none. Nobody reads what it prints, after the first line.
    """

    def __init__(self, network: Path, token: str | None) -> None:
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port: int = probe.getsockname()[1]
        self.token = token
        self._network = network
        self._lock = threading.Lock()
        self._start()

    @property
    def url(self) -> str:
        """How a client opens it."""
        named = f"{self.token}@" if self.token else ""
        return f"socket://{named}127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """The number of its process."""
        return self._process.pid

    def restart(self) -> None:
        """Kill it, as a loss of power would, and start it again."""
        with self._lock:
            self._process.kill()
            self._process.wait()
            self._start()

    def stop(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()

    def memory_kib(self) -> int:
        """What its process has now; 0 where the system does not tell."""
        try:
            status = Path(f"/proc/{self.pid}/status").read_text()
        except OSError:
            return 0
        found = re.search(r"VmRSS:\s+(\d+)", status)
        return int(found[1]) if found else 0

    def _start(self) -> None:
        words = [sys.executable, "-m", "stepnet", "sim", "--listen", f"127.0.0.1:{self.port}"]
        words += ["--network", str(self._network)]
        environment = {name: value for name, value in os.environ.items() if name != "STEPNET_TOKEN"}
        if self.token:
            environment["STEPNET_TOKEN"] = self.token
        deadline_s = time.monotonic() + START_S
        while True:
            self._process = subprocess.Popen(
                words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
            )
            assert self._process.stdout is not None
            said = self._process.stdout.readline()
            self._process.stdout.close()  # as `| head -1` does
            if b"Ctrl-C ends it" in said:
                return
            self._process.wait()  # the port is not free yet
            if time.monotonic() > deadline_s:
                raise RuntimeError(f"The board at {self.port} does not start: {said!r}.")
            time.sleep(0.2)


def stop_all(boards: list[ServedBoard]) -> None:
    """End all of them."""
    for board in boards:
        board.stop()


class Wire:
    """A way to the board at `target` that can be cut, disturbed and held; at `port`."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._closed = False
        self._fault = ""
        self._held_until_s = 0.0
        self._ends: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """End the connections there are."""
        for end in self._ends:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def hold(self, seconds: float) -> None:
        """Let nothing through for a while."""
        self._held_until_s = time.monotonic() + seconds

    def disturb(self, how: str) -> None:
        """Do `flip`, `drop` or `repeat` to the next bytes that come."""
        self._fault = how

    def close(self) -> None:
        """Give everything back."""
        self._closed = True
        self._listener.close()
        self.cut()

    def _accept(self) -> None:
        while not self._closed:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            try:
                far = socket.create_connection(("127.0.0.1", self._target))
            except OSError:
                near.close()
                continue
            self._ends = [near, far]
            threading.Thread(target=self._carry, args=(near, far), daemon=True).start()

    def _carry(self, near: socket.socket, far: socket.socket) -> None:
        others = {near: far, far: near}
        with near, far, selectors.DefaultSelector() as selector, suppress(OSError):
            for end in others:
                selector.register(end, selectors.EVENT_READ)
            while True:
                for key, _ in selector.select():
                    assert isinstance(key.fileobj, socket.socket)
                    data = key.fileobj.recv(4096)
                    if not data:
                        return
                    time.sleep(max(0.0, self._held_until_s - time.monotonic()))
                    others[key.fileobj].sendall(self._disturbed(data))

    def _disturbed(self, data: bytes) -> bytes:
        fault, self._fault = self._fault, ""
        middle = len(data) // 2
        match fault:
            case "flip":
                return data[:middle] + bytes([data[middle] ^ 4]) + data[middle + 1 :]
            case "drop":
                return data[:middle]
            case "repeat":
                return data[:middle] + data
            case _:
                return data


class LinkFaults:
    """Faults of connections and processes.

    boards: that images are streamed through. open_board: one that asks for no token and that
    nobody uses. wire: to the first of the boards.
    """

    def __init__(
        self,
        boards: list[ServedBoard],
        open_board: ServedBoard,
        wire: Wire,
        network: Network,
        draw: random.Random,
    ) -> None:
        self._boards = boards
        self._open = open_board
        self._wire = wire
        self._network = network
        self._draw = draw
        self._image = np.random.default_rng(1).integers(0, 256, (28, 28), dtype=np.uint8)
        self._code = int(reference.infer(network, self._image[np.newaxis])[0])

    def kinds(self) -> dict[str, Callable[[], list[str]]]:
        """All of them by name."""
        return {
            "silent connections": self._crowd,
            "wrong tokens": self._guess,
            "a token byte by byte": self._dribble,
            "a web page's POST": self._post,
            "garbage without an end": self._flood,
            "connections that are reset": self._reset,
            "requests whose answers nobody reads": self._leave_unread,
            "half a frame": self._half_a_frame,
            "a killed board": self._kill,
            "a board that stands still": self._freeze,
            "a cut wire": self._cut,
            "a wire that holds bytes back": self._hold,
            "flipped bits": lambda: self._disturb("flip"),
            "lost bytes": lambda: self._disturb("drop"),
            "repeated bytes": lambda: self._disturb("repeat"),
        }

    def _any(self) -> ServedBoard:
        return self._draw.choice([*self._boards, self._open])

    def _crowd(self) -> list[str]:
        board = self._any()
        crowd = [_connect(board.port) for _ in range(CROWD)]
        time.sleep(0.1)
        broken = self._next_client()
        for client in crowd:
            client.close()
        return broken

    def _guess(self) -> list[str]:
        board = self._draw.choice(self._boards)
        with _connect(board.port) as client:
            client.sendall(b"stepnet-token guess\n")
            return [] if b"The token is wrong" in _rest(client) else ["no notice came"]

    def _dribble(self) -> list[str]:
        with _connect(self._any().port) as client, suppress(OSError):
            for _ in range(5):
                client.sendall(b"s")
                time.sleep(0.05)
        return self._next_client()

    def _post(self) -> list[str]:
        clear = b"\0" + _frame(messages.Request.CLEAR)
        length = str(len(clear)).encode()
        head = b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: " + length + b"\r\n\r\n"
        with _connect(self._open.port) as page, suppress(OSError):
            page.sendall(head + clear)
            _rest(page)
        return self._next_client(loads=0)

    def _flood(self) -> list[str]:
        board = self._draw.choice(self._boards)
        with _connect(board.port) as client, suppress(OSError):
            for _ in range(FLOOD_BYTES >> 16):
                client.sendall(b"stepnet-token " + bytes(65522))
        return self._next_client()

    def _reset(self) -> list[str]:
        for _ in range(10):
            client = _connect(self._any().port)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.close()
        return self._next_client()

    def _leave_unread(self) -> list[str]:
        before_kib = self._open.memory_kib()
        with _connect(self._open.port) as client, suppress(OSError):
            client.settimeout(1.0)
            client.sendall(b"\0" + _frame(messages.Request.IDENTIFY) * UNREAD_REQUESTS)
        broken = self._next_client()
        grown_kib = self._open.memory_kib() - before_kib
        return [*broken, f"it grew by {grown_kib} KiB"] if grown_kib > 16 << 10 else broken

    def _half_a_frame(self) -> list[str]:
        with _connect(self._open.port) as client:
            client.sendall(b"\0" + _frame(messages.Request.INFER, bytes(98))[:50])
        return self._next_client()

    def _kill(self) -> list[str]:
        self._draw.choice(self._boards).restart()
        time.sleep(0.5)
        return []

    def _freeze(self) -> list[str]:
        board = self._draw.choice(self._boards)
        os.kill(board.pid, signal.SIGSTOP)
        time.sleep(self._draw.uniform(0.05, 0.3))
        os.kill(board.pid, signal.SIGCONT)
        return []

    def _cut(self) -> list[str]:
        self._wire.cut()
        time.sleep(0.2)
        return []

    def _hold(self) -> list[str]:
        self._wire.hold(self._draw.uniform(0.05, 0.3))
        return []

    def _disturb(self, how: str) -> list[str]:
        self._wire.disturb(how)
        time.sleep(0.05)
        return []

    def _next_client(self, loads: int | None = None) -> list[str]:
        """Whether the board that nobody uses serves a client at once, and rightly."""
        start_s = time.monotonic()
        try:
            with open_board(self._open.url, self._network, timeout_s=NEXT_CLIENT_S) as board:
                code = board.infer(self._image).code
                loaded = board.statistics.loads
        except Exception as error:
            return [f"the next client failed: {error}"]
        waited_s = time.monotonic() - start_s
        broken: list[str] = []
        if code != self._code:
            broken.append(f"the next client read {code} instead of {self._code}")
        if waited_s > NEXT_CLIENT_S:
            broken.append(f"the next client waited {waited_s:.1f} s")
        if loads is not None and loaded != loads:
            broken.append("the network was gone")
        return broken


def _connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), START_S)


def _rest(client: socket.socket) -> bytes:
    """What still comes until the other end closes."""
    client.settimeout(START_S)
    received = b""
    while data := client.recv(4096):
        received += data
    return received
