"""Carries bytes both ways between a link and a client that came to use it: a board's visitor.

`stepnet share` and `stepnet sim --listen` bridge each of their clients to the board.

Nothing is kept here: what one side does not take, the other is not asked for.
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


class SharedLink(Link, Protocol):
    """A link that one visitor uses after the other.

    One thread may read it while another one writes to it. A write waits until there is room for it.
    """

    def discard(self) -> None:
        """Forget what was written and is not on its way to the board yet, as far as that is known.

        Raises LinkError if the channel broke.
        """
        ...


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
        """Send all of `data`; OSError if the visitor has left, `hang_up` was called, or it takes
        nothing.
        """
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
        takes_answers = True
        try:
            # Without a visitor too: a write under way may wait for the board to answer.
            while not left.is_set():
                received = link.read(LOOK_S)
                if received and takes_answers:
                    takes_answers = _is_sent(received, visitor)
        except LinkError as error:
            broke.append(error)
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


def drain(link: SharedLink) -> None:
    """Drop what a visitor that left has written and what the board still answers to it, so that the
    next one misses both.

    Ends once nothing came for `QUIET_S`, and after `DRAIN_S` in any case. Raises LinkError if the
    link breaks.
    """
    deadline_s = time.monotonic() + DRAIN_S
    link.discard()
    while link.read(QUIET_S) and time.monotonic() < deadline_s:
        pass


def _is_sent(answers: bytes, visitor: Visitor) -> bool:
    """Send answers; a visitor that does not take them is not listened to any more either."""
    try:
        visitor.send(answers)
    except OSError:
        visitor.stop_receiving()
        return False
    return True
