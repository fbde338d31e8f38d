"""Clients that wait to be let in, all in one thread, none for long and never too many.

Whoever can reach the address may connect, say nothing, or say it a byte at a time. So a client has
a time for all that it says first, there are so many places, and where all are taken the one that
waits longest makes room for the next.
"""

from __future__ import annotations

import errno
import selectors
import socket
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from stepnet.link.greeting import Admitted, TurnedAway, judge, judge_silent
from stepnet.link.link import notice
from stepnet.link.sockets import prepare
from stepnet.link.tokens import MOST_GREETING_BYTES, WELCOME

PLACES = 64
"""How many clients may wait at once."""

GREETING_S = 5.0
"""How long a client may take to say what lets it in."""

REFUSAL_S = 0.5
"""How long a client that does not know the token waits for the answer, which slows down whoever
tries many."""

DISMISS_S = 2.0
"""How long a client that is turned away may take to read why."""

PATIENCE_S = 0.5
"""How long a client waits for a board that another one has, which may be about to leave."""

REST_S = 0.2
"""How long nobody is let in once the system can open no more connections."""

DISCARD_BYTES = 65536
MOST_DISCARDED_BYTES = 1 << 20
"""How many bytes a client that is turned away may still send."""

_NO_ROOM = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)

_BUSY = TurnedAway(
    "The board is in use by another client; try again when that one has left.",
    "another client has the board",
)


@dataclass(eq=False)
class Guest:
    """A client.

    connection: to it, which does not block.
    address: where it is, as it is reported.
    said: what it said first; once it is let in, that part which is for the board.
    deadline_s: until when it may stay as it is, in the time of `time.monotonic`.
    """

    connection: socket.socket
    address: str
    deadline_s: float
    said: bytes = b""
    verdict: TurnedAway | None = None
    discarded_bytes: int = 0


class Lobby:
    """Takes clients from `listener`, which stays the caller's, and hands out those let in.

    waker: when it can be read, `wait` ends.
    token: that a client has to tell, if any.
    report: is told who was turned away, in sentences without a full stop.
    """

    def __init__(
        self,
        listener: socket.socket,
        waker: socket.socket,
        token: str | None,
        report: Callable[[str], None],
    ) -> None:
        self._listener = listener
        self._waker = waker
        self._token = token
        self._report = report
        self._listens_from_s: float | None = None
        # A guest is in one of these, in the order of their deadlines.
        self._greeting: deque[Guest] = deque()
        self._ready: deque[Guest] = deque()
        self._refused: deque[Guest] = deque()
        self._dismissed: deque[Guest] = deque()
        self._selector = selectors.DefaultSelector()
        listener.setblocking(False)
        self._selector.register(listener, selectors.EVENT_READ)
        self._selector.register(waker, selectors.EVENT_READ)

    def wait(self, is_taken: Callable[[], bool]) -> None:
        """Attend to everybody until something has changed or can be read from the waker.

        is_taken: whether a client has the board; then who has waited for it long enough is turned
            away.

        Raises OSError if the listener is closed.
        """
        for key, _ in self._selector.select(self._until_due_s(is_taken())):
            if key.fileobj is self._listener:
                self._accept()
            elif key.data in self._greeting:
                self._hear(key.data)
            elif key.data in self._dismissed:
                self._discard(key.data)
        self._keep_to_deadlines(is_taken())

    def next_ready(self) -> Guest | None:
        """The client that is let in and waits longest, which leaves the lobby; None if none is."""
        return self._ready.popleft() if self._ready else None

    def close(self) -> None:
        """End every connection that waits."""
        for guests in (self._greeting, self._ready, self._refused, self._dismissed):
            for guest in guests:
                guest.connection.close()
            guests.clear()
        self._selector.close()

    def _until_due_s(self, taken: bool) -> float | None:
        """In how many seconds something has to be done, whatever the clients do; None if never."""
        waiting = [self._greeting, self._refused, self._dismissed]
        if taken:
            waiting.append(self._ready)
        due_s = [guests[0].deadline_s for guests in waiting if guests]
        if self._listens_from_s is not None:
            due_s.append(self._listens_from_s)
        return max(0.0, min(due_s) - time.monotonic()) if due_s else None

    def _keep_to_deadlines(self, taken: bool) -> None:
        now_s = time.monotonic()
        while taken and self._ready and self._ready[0].deadline_s <= now_s:
            self._dismiss(self._ready.popleft(), _BUSY)
        while self._greeting and self._greeting[0].deadline_s <= now_s:
            self._turn_away(self._greeting[0], judge_silent(self._token))
        while self._refused and self._refused[0].deadline_s <= now_s:
            guest = self._refused.popleft()
            if guest.verdict is not None:
                self._dismiss(guest, guest.verdict)
        while self._dismissed and self._dismissed[0].deadline_s <= now_s:
            self._forget(self._dismissed[0])
        if self._listens_from_s is not None and self._listens_from_s <= now_s:
            self._listens_from_s = None
            self._selector.register(self._listener, selectors.EVENT_READ)

    def _accept(self) -> None:
        try:
            connection, address = self._listener.accept()
        except (BlockingIOError, InterruptedError, ConnectionError):
            return  # it left again
        except OSError as error:
            if error.errno not in _NO_ROOM:
                raise
            self._make_room()
            return
        deadline_s = time.monotonic() + GREETING_S
        guest = Guest(connection, address_of(*address[:2]), deadline_s)
        try:
            connection.setblocking(False)
            prepare(connection)
            self._selector.register(connection, selectors.EVENT_READ, guest)
        except OSError:  # it left again, or there is no room
            connection.close()
            return
        self._greeting.append(guest)
        waiting = (self._dismissed, self._refused, self._greeting)
        if sum(map(len, waiting)) + len(self._ready) > PLACES:
            self._forget(next(guests[0] for guests in waiting if guests))

    def _make_room(self) -> None:
        """End every connection that waits, and let nobody in for `REST_S`: the system can open no
        more.
        """
        for guest in (*self._greeting, *self._refused, *self._dismissed):
            self._forget(guest)
        self._selector.unregister(self._listener)
        self._listens_from_s = time.monotonic() + REST_S

    def _hear(self, guest: Guest) -> None:
        """Take what a client says, and see whether that lets it in."""
        try:
            said = guest.connection.recv(MOST_GREETING_BYTES - len(guest.said))
        except BlockingIOError:
            return
        except OSError:
            said = b""
        if not said:
            self._forget(guest)  # it left
            return
        guest.said += said
        match judge(guest.said, self._token):
            case Admitted(rest, greeted):
                self._admit(guest, rest, greeted)
            case TurnedAway() as verdict:
                self._turn_away(guest, verdict)
            case None:
                pass

    def _admit(self, guest: Guest, rest: bytes, greeted: bool) -> None:
        self._greeting.remove(guest)
        self._selector.unregister(guest.connection)
        guest.said = rest
        guest.deadline_s = time.monotonic() + PATIENCE_S
        try:
            if greeted:
                guest.connection.send(WELCOME)
        except OSError:
            guest.connection.close()
        else:
            self._ready.append(guest)

    def _turn_away(self, guest: Guest, verdict: TurnedAway) -> None:
        self._greeting.remove(guest)
        self._selector.unregister(guest.connection)
        if verdict.guessed:
            guest.verdict = verdict
            guest.deadline_s = time.monotonic() + REFUSAL_S
            self._refused.append(guest)
        else:
            self._dismiss(guest, verdict)

    def _dismiss(self, guest: Guest, verdict: TurnedAway) -> None:
        """Tell a client why the connection ends, and let it read that."""
        self._report(f"{guest.address} was turned away because {verdict.because}")
        guest.deadline_s = time.monotonic() + DISMISS_S
        try:
            guest.connection.send(notice(verdict.sentence))
            guest.connection.shutdown(socket.SHUT_WR)
            self._selector.register(guest.connection, selectors.EVENT_READ, guest)
        except OSError:  # it left, or takes nothing
            guest.connection.close()
        else:
            self._dismissed.append(guest)

    def _discard(self, guest: Guest) -> None:
        """Take what a client still sends, so that the system does not drop the notice for it."""
        try:
            received = guest.connection.recv(DISCARD_BYTES)
        except BlockingIOError:
            return
        except OSError:
            received = b""
        guest.discarded_bytes += len(received)
        if not received or guest.discarded_bytes > MOST_DISCARDED_BYTES:
            self._forget(guest)

    def _forget(self, guest: Guest) -> None:
        """End a connection at once."""
        for guests in (self._greeting, self._refused, self._dismissed):
            with suppress(ValueError):
                guests.remove(guest)
        with suppress(KeyError):
            self._selector.unregister(guest.connection)
        guest.connection.close()


def address_of(host: object, port: object) -> str:
    """An address as people write it."""
    return f"[{host}]:{port}" if ":" in str(host) else f"{host}:{port}"
