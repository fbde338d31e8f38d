"""A board for programs that run on asyncio.

    async with open_board_async("/dev/ttyUSB1") as board:
        reading = await board.ainfer(image)
        async for reading in board.ainfer_many(images):
            ...

Behind it is a `Board` with a thread of its own, in which everything happens that may wait, so that
the event loop never does.
"""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, ParamSpec, Self, TypeVar

from stepnet.boards.board import Board, open_board
from stepnet.boards.identity import Identity
from stepnet.boards.image_stream import NotYetError
from stepnet.boards.packing import ImageLike
from stepnet.boards.reading import Reading
from stepnet.link.tally import Statistics
from stepnet.networks.kinds import AnyNetwork

if TYPE_CHECKING:
    from stepnet.pictures.picture import Picture
    from stepnet.pictures.text_line import LineText

IMAGES_AHEAD = 64
"""The most images of an asynchronous source that are taken before the board can have them."""

P = ParamSpec("P")
T = TypeVar("T")


class AsyncBoard:
    """A `Board` whose methods do not block the event loop; `open_board_async` opens one.

    An asynchronous context manager. Any number of tasks may use it at once; what they ask is
    interleaved on the link. A task that is cancelled leaves at once, and the board stays usable:
    what was sent is answered, and the answer dropped.

    Errors are those of `Board`.
    """

    def __init__(self, board: Board, thread: ThreadPoolExecutor) -> None:
        self._board = board
        self._thread = thread
        self._closed = False

    @property
    def identity(self) -> Identity:
        """What the board says of itself; see `Board.identity`."""
        return self._board.identity

    @property
    def network(self) -> AnyNetwork:
        """The network that the board infers."""
        return self._board.network

    @property
    def statistics(self) -> Statistics:
        """What has happened since the board was opened; see `Board.statistics`."""
        return self._board.statistics

    async def load(self, network: AnyNetwork | str | os.PathLike[str]) -> None:
        """Infer `network` from now on; see `Board.load`.

        A load that has begun is finished even if the task is cancelled.
        """
        await self._run(self._board.load, network)

    async def ainfer(self, image: ImageLike, *, placed: bool | None = None) -> Reading:
        """What the board reads in one image; see `Board.infer`."""
        return await self._run(partial(self._board.infer, placed=placed), image)

    async def ainfer_many(
        self,
        images: Iterable[ImageLike] | AsyncIterable[ImageLike],
        *,
        placed: bool | None = None,
    ) -> AsyncIterator[Reading]:
        """What the board reads in each of `images`, in their order; see `Board.infer_many`.

        images: a plain iterable is read in the board's thread, and may wait there. From an
            asynchronous one up to `IMAGES_AHEAD` images are taken before the board can have them;
            readings are given as they come, however long its next image takes.
        """
        if isinstance(images, AsyncIterable):
            source = _Pump(images)
            stream = self._board.stream(source, placed=placed)
        else:
            source = None
            stream = self._board.stream(images, placed=placed)
        try:
            while not stream.finished:
                for reading in (readings := await self._run(stream.step)):
                    yield reading
                if source is not None:
                    source.go_on()
                    if not readings:
                        await source.next_image()
        finally:
            with suppress(RuntimeError):  # the thread has ended, and with it the stream
                self._thread.submit(stream.close)  # after a step that may still run
            if source is not None:
                await source.stop()

    async def aread_text(self, page: Picture) -> LineText:
        """What the board reads in a picture of one line; see `Board.read_text`."""
        return await self._run(self._board.read_text, page)

    async def close(self) -> None:
        """Give the link back, once the board has ended what it is doing. Closing twice does
        nothing.
        """
        if not self._closed:
            self._closed = True
            closing = self._thread.submit(self._board.close)
            self._thread.shutdown(wait=False)
            await asyncio.wrap_future(closing)

    async def __aenter__(self) -> Self:
        self._board.__enter__()
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.close()

    async def _run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        if self._closed:
            return function(*args, **kwargs)  # a closed board says so without waiting
        return await asyncio.wrap_future(self._thread.submit(function, *args, **kwargs))


class _Pump:
    """Makes of an asynchronous source an iterator, which `ImageStream` reads in another thread."""

    def __init__(self, images: AsyncIterable[ImageLike]) -> None:
        self._images = images
        self._waiting: deque[ImageLike] = deque()
        self._error: Exception | None = None
        self._ended = False
        self._arrived = asyncio.Event()
        self._taken = asyncio.Event()
        self._task = asyncio.create_task(self._run())

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> ImageLike:
        ended = self._ended  # before looking, because an image may arrive in between
        if self._waiting:
            return self._waiting.popleft()
        if not ended:
            raise NotYetError
        if self._error is not None:
            raise self._error
        raise StopIteration

    def go_on(self) -> None:
        """Look again whether more images may be taken."""
        self._taken.set()

    async def next_image(self) -> None:
        """Wait until there is an image or the end."""
        while not (self._waiting or self._ended):
            self._arrived.clear()
            await self._arrived.wait()

    async def stop(self) -> None:
        """Take no more images."""
        self._task.cancel()
        await asyncio.wait({self._task})

    async def _run(self) -> None:
        try:
            async for image in self._images:
                self._waiting.append(image)
                self._arrived.set()
                while len(self._waiting) >= IMAGES_AHEAD:
                    self._taken.clear()
                    await self._taken.wait()
        except Exception as error:
            self._error = error
        self._ended = True
        self._arrived.set()


class OpeningBoard:
    """What `open_board_async` gives: `async with` it, or `await` it and `close` the board."""

    def __init__(self, open_it: Callable[[], Board]) -> None:
        self._open_it = open_it
        self._board: AsyncBoard | None = None

    def __await__(self) -> Generator[Any, None, AsyncBoard]:
        return self._open().__await__()

    async def __aenter__(self) -> AsyncBoard:
        self._board = await self._open()
        return self._board

    async def __aexit__(self, *exception: object) -> None:
        if self._board is not None:
            await self._board.close()

    async def _open(self) -> AsyncBoard:
        thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="stepnet board")
        opening = thread.submit(self._open_it)
        try:
            return AsyncBoard(await asyncio.wrap_future(opening), thread)
        except BaseException:
            opening.add_done_callback(_close_opened)  # the task may be cancelled before it is open
            thread.shutdown(wait=False)
            raise


def _close_opened(opening: Future[Board]) -> None:
    if not opening.cancelled() and opening.exception() is None:
        opening.result().close()


def open_board_async(
    where: str = "sim",
    network: AnyNetwork | str | os.PathLike[str] | None = "digits",
    *,
    timeout_s: float = 5.0,
    baud: int | None = None,
    uart: bool = False,
    progress: Callable[[str], None] = lambda message: None,
) -> OpeningBoard:
    """Open a board as `open_board` does, for `async with` or `await`.

    progress: is called in the board's thread.
    """
    return OpeningBoard(
        partial(
            open_board,
            where,
            network,
            timeout_s=timeout_s,
            baud=baud,
            uart=uart,
            progress=progress,
        )
    )
