"""Waiting until a descriptor can be read or written, whatever its number."""

from __future__ import annotations

import select
import sys

_HAS_POLL = hasattr(select, "poll") and sys.platform != "darwin"  # whose poll knows no terminals
_HAS_LEFT = getattr(select, "POLLRDHUP", 0)


class Readiness:
    """When one descriptor, of a terminal, a pipe or a socket, can be read or written.

    What is closed or broken can be read and written: trying to tells what is wrong. Where the
    system has `poll` the number of files is not limited, as it is with `select`.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        if _HAS_POLL:
            self._readable, self._writable = select.poll(), select.poll()
            self._readable.register(descriptor, select.POLLIN)
            self._writable.register(descriptor, select.POLLOUT)
        if _HAS_LEFT:
            self._left = select.poll()
            self._left.register(descriptor, _HAS_LEFT)

    def to_read(self, timeout_s: float | None) -> bool:
        """Wait until it can be read, for ever if `timeout_s` is None; False if it cannot be."""
        if _HAS_POLL:
            return bool(self._readable.poll(_milliseconds(timeout_s)))
        return bool(select.select([self._descriptor], [], [], timeout_s)[0])

    def to_write(self, timeout_s: float | None) -> bool:
        """Wait until it can be written."""
        if _HAS_POLL:
            return bool(self._writable.poll(_milliseconds(timeout_s)))
        return bool(select.select([], [self._descriptor], [], timeout_s)[1])

    def has_left(self) -> bool:
        """Whether the other end of a connection has ended it, though there may be more to read;
        always False where the system does not tell, which Linux does."""
        return bool(_HAS_LEFT and self._left.poll(0))


def _milliseconds(timeout_s: float | None) -> float | None:
    return None if timeout_s is None else max(0.0, timeout_s) * 1000
