"""What commands write on stderr while something takes long."""

from __future__ import annotations

import os
import select
import sys
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Self, TextIO

from stepnet.printable import printable

if TYPE_CHECKING:
    from rich.status import Status


def announce(message: str) -> None:
    """Print a sentence, given without its full stop, on stdout at once, from any thread.

    For servers, which must not wait for whoever reads their lines: one that nobody takes is left
    out, and a reader that has left is no error.
    """
    line = f"{printable(message)}.\n"
    try:
        handle = sys.stdout.fileno()
    except (OSError, ValueError):  # no stream of the system, as in a test
        print(line, end="", flush=True)
        return
    with suppress(OSError):
        if _takes_a_line(handle):
            os.write(handle, line.encode(sys.stdout.encoding, "backslashreplace"))


def _takes_a_line(handle: int) -> bool:
    """Whether a line can be written without waiting; a pipe says so if it has room for a page."""
    if not hasattr(select, "poll"):
        return True
    room = select.poll()
    room.register(handle, select.POLLOUT)
    return any(event & select.POLLOUT for _, event in room.poll(0))


def abandon(stream: TextIO) -> None:
    """Let nothing more go into a stream; Python would try to write the rest at its exit."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


class Progress:
    """Says on stderr what takes long: each message is a line, on a terminal behind a spinner until
    the next one or the end of the `with` block.
    """

    def __init__(self) -> None:
        self._message = ""
        self._status: Status | None = None

    def __call__(self, message: str) -> None:
        """What takes long from now on, in a sentence without a full stop."""
        self._finish()
        message = printable(message)
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.text import Text

            self._message = message
            self._status = Console(stderr=True).status(Text(message))
            self._status.start()
        else:
            print(f"{message}.", file=sys.stderr, flush=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._finish()

    def _finish(self) -> None:
        if self._status is not None:
            self._status.stop()
            self._status = None
            print(f"{self._message}.", file=sys.stderr, flush=True)
