"""Carries bytes both ways between a link and a client that came to use it: a board's visitor.

`stepnet share` and `stepnet sim --listen` bridge each of their clients to the board.
"""

from __future__ import annotations

import threading
import time
from typing import Protocol

from stepnet.errors import LinkError
from stepnet.link.link import Link

LOOK_S = 0.1
"""How long a read of the link lasts before the bridge sees whether the visitor has left."""

STUCK_S = 1.0
"""How long it may take to send the rest of an answer to a visitor that left."""

QUIET_S = 0.05
"""How long nothing may come from a board before it is taken to have answered everything."""

DRAIN_S = 2.0
"""How long `drain` waits for a board that does not stop."""


class Visitor(Protocol):
    """The other end of a bridge. Its methods are called from two threads: one waits in `receive`,
    the other ends that.
    """

    def receive(self) -> bytes:
        """The next bytes that the visitor sends, as soon as there are some; b"" once it has left or
        `stop_receiving` was called.
        """
        ...

    def send(self, data: bytes) -> None:
        """Send all of `data`; OSError if the visitor has left or `hang_up` was called."""
        ...

    def stop_receiving(self) -> None:
        """Make `receive` return b"", now and from now on."""
        ...

    def hang_up(self) -> None:
        """Make `receive` return b"" and `send` raise OSError, now and from now on."""
        ...


def bridge(link: Link, visitor: Visitor) -> None:
    """Carry bytes both ways until the visitor leaves or is stopped.

    The link is read in one thread and written in another, so it has to bear that, as
    `stepnet.link.link.SerialLink` does.

    Raises LinkError if the link breaks.
    """
    left = threading.Event()
    broke: list[LinkError] = []

    def carry_answers() -> None:
        try:
            while not left.is_set():
                if received := link.read(LOOK_S):
                    visitor.send(received)
        except LinkError as error:  # first, because LinkTimeoutError is an OSError too
            broke.append(error)
        except OSError:
            pass  # the visitor left in the middle of an answer
        finally:
            visitor.stop_receiving()

    answers = threading.Thread(target=carry_answers, daemon=True)
    try:  # Ctrl-C may come at once
        answers.start()
        while data := visitor.receive():
            link.write(data)
    finally:
        left.set()
        if answers.is_alive():
            answers.join(STUCK_S)
        if answers.is_alive():  # the visitor does not take what it asked for
            visitor.hang_up()
            answers.join()
    if broke:
        raise broke[0]


def drain(link: Link) -> None:
    """Drop what the board still answers to a visitor that left, so that the next one does not get
    it.

    Ends once nothing came for `QUIET_S`, and after `DRAIN_S` in any case. Raises LinkError if the
    link breaks.
    """
    deadline_s = time.monotonic() + DRAIN_S
    while link.read(QUIET_S) and time.monotonic() < deadline_s:
        pass
