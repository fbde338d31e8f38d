"""The points of a table, handed out in their order."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Sequence
from typing import Protocol

from stepnet.sweeps.journal import Entry
from stepnet.sweeps.point import Point


class Source(Protocol):
    """Hands out points.

    total: how many there are to be in all.
    """

    total: int

    @property
    def settled(self) -> bool:
        """Whether what is looked for has been found, so that nobody waits for what still runs."""
        ...

    def next(self) -> Point | None:
        """The next point to run; None if there is none now."""
        ...

    def tell(self, entry: Entry) -> None:
        """Take note of what became of a point."""
        ...


class Grid:
    """All of some points, but those that are done."""

    settled = False

    def __init__(self, points: Sequence[Point], done: Collection[str]) -> None:
        self.total = len(points)
        self._left = deque(point for point in points if point.key not in done)

    def next(self) -> Point | None:
        """See `Source.next`."""
        return self._left.popleft() if self._left else None

    def tell(self, entry: Entry) -> None:
        """See `Source.tell`."""
