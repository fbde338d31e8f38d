"""The board that all tabs of the page share: chosen while it runs, lost, and found again.

Nothing here waits in the event loop: a board has a thread of its own (`open_board_async`), and
numpy and Pillow work in others.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from importlib.metadata import entry_points
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from stepnet.boards.async_board import AsyncBoard, open_board_async
from stepnet.errors import BoardError, LinkError, RefusedError, StepnetError
from stepnet.link.link import BOARDS_GROUP
from stepnet.networks import lut, reference
from stepnet.networks.kinds import AnyNetwork, step_network
from stepnet.networks.lut import LutNetwork
from stepnet.web.turns import Turns

if TYPE_CHECKING:
    from stepnet.boards.reading import Reading

RETRY_S = 1.0
"""How often it is looked whether a lost board is back, and whether one has to be watched."""

WATCH_S = 2.0
"""A board that nobody asks anything for so long is asked whether it is there, as long as a page
looks."""

LOOKING_S = 4.0
"""A page looks that asked for the state within this time."""

_WATCHER = "the watcher"


class Condition(StrEnum):
    """How it stands with the board.

    OPENING: it is being opened or loaded, which takes long if a virtual one has to be compiled.
    READY: it infers.
    LOST: it cannot be reached, and is tried again and again.
    UNFIT: it does not take the network that was chosen, or lacks something that waiting does not
        bring.
    """

    OPENING = "opening"
    READY = "ready"
    LOST = "lost"
    UNFIT = "unfit"


@dataclass(frozen=True)
class Read:
    """What was read in one image.

    network: that read it.
    image: (height, width) uint8, as the network got it.
    code, margin: by numpy.
    reading: the board's; None while it is not there.
    """

    network: AnyNetwork
    image: NDArray[np.uint8]
    code: int
    margin: int
    reading: Reading | None


class Station:
    """A board under a network, for any number of tasks of one event loop.

    wheres: the boards that may be chosen, each as `where` of `open_board`.
    where: the one to begin with.
    network: the one to begin with.
    timeout_s, baud, uart: as in `open_board`.

    condition, problem: how it stands with the board, and in a sentence what is wrong or under way.
    """

    def __init__(
        self,
        wheres: Sequence[str],
        where: str,
        network: AnyNetwork,
        *,
        timeout_s: float = 2.0,
        baud: int | None = None,
        uart: bool = False,
    ) -> None:
        self.wheres = tuple(wheres)
        self.where = where
        self.network: AnyNetwork = network
        self.condition = Condition.OPENING
        self.problem = ""
        self._open = partial(open_board_async, timeout_s=timeout_s, baud=baud, uart=uart)
        self._turns = Turns()
        self._changing = asyncio.Lock()
        self._board: AsyncBoard | None = None
        self._asked_at_s = 0.0
        self._looked_at_s = 0.0
        self._keeper: asyncio.Task[None] | None = None
        self._closing: asyncio.Task[None] | None = None

    @property
    def clock_hz(self) -> int | None:
        """The board's clock; None while it is not there."""
        return self._board.identity.clock_hz if self._board else None

    def start(self) -> None:
        """Open the board, and keep it open from now on, without waiting for that."""
        self._keeper = asyncio.create_task(self._keep())

    async def stop(self) -> None:
        """Give the board back."""
        if self._keeper is not None:
            self._keeper.cancel()
            with suppress(asyncio.CancelledError):
                await self._keeper
        await self._drop()

    def looked_at(self) -> None:
        """Note that a page shows the state."""
        self._looked_at_s = time.monotonic()

    async def choose(self, where: str | None = None, network: AnyNetwork | None = None) -> None:
        """Use this board with this network from now on.

        where, network: None keeps the one that is used when earlier choices are done.

        A board that has the wrong memories for a network keeps the one that it has. A virtual one
        is made anew, so that it fits.

        Raises StepnetError if it does not fit or the board cannot be opened.
        """
        async with self._changing:
            where = self.where if where is None else where
            network = self.network if network is None else network
            board = self._board if where == self.where else None
            if board is not None and await self._loaded(board, network):
                return
            self.where, self.network = where, network
            await self._drop()
            await self._try_to_open()
        if self.condition is not Condition.READY:
            raise BoardError(self.problem)

    async def read(self, images: Sequence[NDArray[np.uint8]], who: str) -> list[Read]:
        """What the board and numpy read in images of the network's size; numpy alone while there
        is no board.

        who: the tab that asks; see `Turns`.

        Raises BoardError if another network is chosen meanwhile.
        """
        network = self.network
        by_numpy = asyncio.create_task(asyncio.to_thread(_by_numpy, network, np.stack(images)))
        try:
            readings = [await self._ask(image, who) for image in images]
        finally:
            codes, margins = await by_numpy
        if self.network is not network:
            raise BoardError(
                f"Network {self.network.name!r} was chosen while {network.name!r} was reading; "
                "read it again."
            )
        return [
            Read(network, image, int(code), int(margin), reading)
            for image, code, margin, reading in zip(images, codes, margins, readings, strict=True)
        ]

    async def _ask(self, image: NDArray[np.uint8], who: str) -> Reading | None:
        """The board's reading; None if it is not there. A board that fails is lost from then on."""
        async with self._turns.turn(who):
            board = self._board  # which may have been lost or changed while this waited
            if board is None or self.condition is not Condition.READY:
                return None
            try:
                reading = await board.ainfer(image, placed=True)
            except StepnetError as error:
                self._lose(board, error)
                return None
            self._asked_at_s = time.monotonic()
            return reading

    async def _loaded(self, board: AsyncBoard, network: AnyNetwork) -> bool:
        """Load a network over another; False if the board has to be opened anew for it.

        Numpy reads meanwhile: a load takes some seconds.
        """
        self.condition = Condition.OPENING
        self.problem = f"Loading {network.name!r} into the board."
        try:
            await board.load(network)
        except (LinkError, RefusedError) as error:
            self._lose(board, error)
            raise
        except StepnetError:
            name = self.where.partition(":")[0]
            if name in entry_points(group=BOARDS_GROUP).names:
                return False
            self.condition, self.problem = Condition.READY, ""
            raise
        self.network = network
        self.condition, self.problem = Condition.READY, ""
        return True

    async def _keep(self) -> None:
        """Open the board, watch it, and seek it again when it is lost."""
        while True:
            async with self._changing:
                if self._board is None and self.condition is not Condition.UNFIT:
                    await self._try_to_open()
            await asyncio.sleep(RETRY_S)
            now_s = time.monotonic()
            if now_s - self._asked_at_s > WATCH_S and now_s - self._looked_at_s < LOOKING_S:
                size = self.network.height, self.network.width
                await self._ask(np.zeros(size, dtype=np.uint8), _WATCHER)

    async def _try_to_open(self) -> None:
        """Open the board; afterwards `condition` tells whether that went well."""
        if self.condition is not Condition.LOST:  # which is shown until it is back
            self.condition, self.problem = Condition.OPENING, ""
        try:
            board = await self._open(self.where, self.network, progress=self._tell)
        except (LinkError, RefusedError) as error:
            self.condition, self.problem = Condition.LOST, str(error)
        except (StepnetError, OSError) as error:
            self.condition, self.problem = Condition.UNFIT, str(error)
        else:
            self._board = board
            self._asked_at_s = time.monotonic()
            self.condition, self.problem = Condition.READY, ""

    def _tell(self, message: str) -> None:
        """Show what takes long; called in the board's thread."""
        if self.condition is Condition.OPENING:
            self.problem = f"{message}."

    def _lose(self, board: AsyncBoard, error: StepnetError) -> None:
        if board is self._board:
            self.condition, self.problem = Condition.LOST, str(error)
            self._board = None
            self._closing = asyncio.create_task(_close(board))

    async def _drop(self) -> None:
        board, self._board = self._board, None
        self.condition, self.problem = Condition.OPENING, ""
        if board is not None:
            await _close(board)


async def _close(board: AsyncBoard) -> None:
    with suppress(StepnetError):
        await board.close()


def _by_numpy(
    network: AnyNetwork, images: NDArray[np.uint8]
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    if isinstance(network, LutNetwork):
        return lut.infer(network, images), lut.margin(network, images)
    steps = step_network(network, "the page")
    return reference.infer(steps, images), reference.margin(steps, images)
