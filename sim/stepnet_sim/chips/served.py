"""The virtual board behind a socket or a pseudo-terminal, for any program that speaks to a port.

`stepnet sim` uses it.
"""

from __future__ import annotations

import os
import selectors
import socket
import threading
import time
from contextlib import suppress
from typing import Self

from stepnet.boards.board import Board
from stepnet.errors import LinkError, LinkTimeoutError
from stepnet.link.bridge import bridge
from stepnet.link.link import Link
from stepnet.networks.kinds import AnyNetwork
from stepnet_sim.chips.virtual_board import VirtualBoardLink

REST_CYCLES = 1_000_000
"""After how many cycles without a byte the chip has nothing left to say: many times as many as an
engine of the iCEBreaker's size takes for an image. Those that a full buffer needs on the wire come
on top."""

LOAD_TIMEOUT_S = 60.0
"""How long one answer may take while a network is loaded; the interpreted chip takes its time."""

RECEIVE_BYTES = 4096

QUEUE_BYTES = 16384
"""What is kept for a chip that has no time for it yet: more than its own buffer holds."""

STUCK_S = 60.0
"""How long a write may wait for a chip that takes nothing, which is to say that nobody reads."""


class RestingLink:
    """A virtual board that rests while nothing happens, for a reader and a writer in two threads.

    Time passes for the chip only inside `read`, and there only while it may have something to say;
    what is written wakes it, and a write waits while the chip has enough to do.

    cycles_per_byte: how long a byte takes on the wire, for a chip that is driven at its serial
        pins; else 0.
    """

    def __init__(self, link: VirtualBoardLink, cycles_per_byte: int = 0) -> None:
        self._link = link
        self._rest_cycles = REST_CYCLES + RECEIVE_BYTES * cycles_per_byte
        self._written = bytearray()
        self._closed = False
        self._changed = threading.Condition()
        self._stay_awake()

    def write(self, data: bytes) -> None:
        """Give bytes to the chip, and wake it; waits until it has taken all but `QUEUE_BYTES`.

        Raises LinkTimeoutError if it takes none for `STUCK_S`, LinkError once it is closed.
        """
        unsent = memoryview(data)
        with self._changed:
            while unsent:
                if not self._changed.wait_for(self._takes_more, STUCK_S):
                    raise LinkTimeoutError(
                        f"The virtual board took no bytes for {STUCK_S:g} s; read what it answers."
                    )
                if self._closed:
                    raise LinkError("The virtual board is closed; open it again.")
                room = QUEUE_BYTES - len(self._written)
                self._written += unsent[:room]
                unsent = unsent[room:]
                self._changed.notify_all()

    def discard(self) -> None:
        """Forget what was written and the chip has not taken."""
        with self._changed:
            self._written.clear()
            self._link.discard()
            self._changed.notify_all()

    def read(self, timeout_s: float) -> bytes:
        """The next bytes that the chip sends, up to the end of a frame; b"" after `timeout_s`."""
        deadline_s = time.monotonic() + timeout_s
        while True:
            written = self._take(deadline_s)
            if written:
                self._link.write(written)
                self._stay_awake()
            elif self._resting:
                return b""
            received = self._link.read(0.0)
            if received:
                self._stay_awake()
            if received or time.monotonic() >= deadline_s:
                return received

    def close(self) -> None:
        """End the simulation."""
        with self._changed:
            self._closed = True
            self._link.close()
            self._changed.notify_all()

    def _takes_more(self) -> bool:
        return self._closed or len(self._written) < QUEUE_BYTES

    @property
    def _resting(self) -> bool:
        return self._link.chip.cycles >= self._rest_at_cycle

    def _stay_awake(self) -> None:
        self._rest_at_cycle = self._link.chip.cycles + self._rest_cycles

    def _take(self, deadline_s: float) -> bytes:
        """Return as much of what was written as the chip should have; a chip that rests
        waits for it."""
        with self._changed:
            if self._resting:
                left_s = max(0.0, deadline_s - time.monotonic())
                self._changed.wait_for(lambda: self._written or self._closed, left_s)
            if not self._written:
                return b""
            room = max(0, RECEIVE_BYTES - self._link.pending_bytes)
            written = bytes(self._written[:room])
            del self._written[:room]
            self._changed.notify_all()
        return written


class _Lent:
    """A link that stays open when the board it is lent to is closed."""

    def __init__(self, link: Link) -> None:
        self.write = link.write
        self.read = link.read

    def close(self) -> None:
        """Does nothing, because the lender closes the link."""


def load(link: Link, network: AnyNetwork) -> None:
    """Load `network` over `link`, which stays open; raises what `Board` raises."""
    with Board(_Lent(link), network, LOAD_TIMEOUT_S, where="sim"):
        pass


class Terminal:
    """A pseudo-terminal whose far side any program may open, close and open again: a context
    manager, and the visitor of a bridge.

    where: the path to open.

    Raises LinkError if this system has no pseudo-terminals or none is left.
    """

    def __init__(self) -> None:
        try:
            import tty

            # Held open here, because a terminal that nobody has open is gone for its master.
            self._near, self._far = os.openpty()
            tty.setraw(self._far)
        except (ImportError, AttributeError, OSError) as error:
            raise LinkError(
                f"There is no pseudo-terminal to be had on this system ({error}); "
                "use --listen instead."
            ) from error
        os.set_blocking(self._near, False)
        self.where = os.ttyname(self._far)
        self._ending, self._end = socket.socketpair()
        self._receiving, self._sending = (selectors.DefaultSelector() for _ in range(2))
        for selector, event in (
            (self._receiving, selectors.EVENT_READ),
            (self._sending, selectors.EVENT_WRITE),
        ):
            selector.register(self._near, event)
            selector.register(self._ending, selectors.EVENT_READ)

    def receive(self) -> bytes:
        """The next bytes that a program writes, b"" once `hang_up` was called; see
        `stepnet.link.bridge.Visitor`. Programs that come and go are one visitor.
        """
        while not self._is_ending(self._receiving):
            with suppress(BlockingIOError):
                return os.read(self._near, RECEIVE_BYTES)
        return b""

    def send(self, data: bytes) -> None:
        """Send all of `data`, waiting while nobody reads; OSError once `hang_up` was called."""
        while data:
            if self._is_ending(self._sending):
                raise ConnectionAbortedError
            with suppress(BlockingIOError):
                data = data[os.write(self._near, data) :]

    def _is_ending(self, selector: selectors.BaseSelector) -> bool:
        """Wait until the terminal is ready; whether it was hung up instead."""
        return any(key.fileobj is self._ending for key, _ in selector.select())

    def stop_receiving(self) -> None:
        """End `receive`, and `send` with it."""
        self.hang_up()

    def hang_up(self) -> None:
        """End `receive` and `send`, now and from now on."""
        self._end.close()

    def serve(self, link: Link) -> None:
        """Carry bytes between whoever opens the terminal and `link`, until `hang_up` or Ctrl-C."""
        bridge(link, self)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._receiving.close()
        self._sending.close()
        self._end.close()
        self._ending.close()
        os.close(self._near)
        os.close(self._far)
