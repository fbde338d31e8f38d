"""What runs points: cores of this machine, or a cluster."""

from __future__ import annotations

from typing import Protocol

from stepnet.sweeps.work import Outcome, Task

MOST_TRIES = 3
"""How many times a point is tried whose process or worker was killed."""


class Workers(Protocol):
    """Runs points, several at a time."""

    @property
    def places(self) -> int:
        """How many points it can use at once, those that wait too; may change."""
        ...

    @property
    def where(self) -> str:
        """Who works, in words for a person; may change."""
        ...

    def submit(self, task: Task) -> None:
        """Have a point run; it comes back from `finished` once."""
        ...

    def finished(self, wait_s: float) -> list[tuple[str, Outcome]]:
        """The points that have ended since the last call, by name; waits up to `wait_s` for one.

        Raises WorkersError if nobody is left who could run them.
        """
        ...

    def close(self) -> None:
        """End what still runs."""
        ...
