"""What the commands write beside their results."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from rich.status import Status


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
