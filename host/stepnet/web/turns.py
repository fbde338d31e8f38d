"""Who may use the board next: those who wait are served in turn, one image each."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from stepnet.errors import BoardError

MOST_WAITING = 64
"""How many may wait at once, all together."""


class Turns:
    """Lets one task in at a time. Of several tabs with much to ask, each gets every other turn, so
    that a long line in one does not keep a single character in another waiting."""

    def __init__(self) -> None:
        self._taken = False
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}

    @asynccontextmanager
    async def turn(self, who: str) -> AsyncGenerator[None]:
        """Wait for one's turn and have it until the end of the `async with`.

        who: a name for all that belongs together, such as the requests of one tab.

        Raises BoardError if `MOST_WAITING` wait already.
        """
        await self._enter(who)
        try:
            yield
        finally:
            self._pass_on()

    async def _enter(self, who: str) -> None:
        if not self._taken:
            self._taken = True
            return
        if sum(map(len, self._waiting.values())) >= MOST_WAITING:
            raise BoardError(
                f"{MOST_WAITING} requests wait for the board already; try again in a moment."
            )
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(who, deque()).append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._pass_on()  # it was given and nobody takes it
            raise

    def _pass_on(self) -> None:
        while self._waiting:
            who = next(iter(self._waiting))
            line = self._waiting.pop(who)
            turn = line.popleft()
            if line:
                self._waiting[who] = line  # behind the others
            if not turn.done():
                turn.set_result(None)
                return
        self._taken = False
