"""Several boards as one: a stream of images spread over all of them, its readings in order.

    with open_pool(["/dev/ttyUSB1", "socket://lab:4000", "sim"]) as pool:
        for reading in pool.infer_many(images):
            ...

The stream goes on when one of the boards dies.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Self

from stepnet.boards.board import Board, ImageLike, Reading, open_board
from stepnet.boards.packing import ToldImage
from stepnet.cores.engine.memory_image import image_bytes
from stepnet.errors import BoardError, NetworkError, StepnetError
from stepnet.link.frames import window
from stepnet.link.tokens import without_token
from stepnet.networks.kinds import AnyNetwork
from stepnet.networks.shipped import load_any_network

WINDOWS_AHEAD = 2
"""How far images are taken from a stream ahead of their readings, in windows of each board: one
window is in flight, and one follows at once."""

RETRY_S = 1.0
"""How long a pool whose boards come back waits before it seeks a board again."""

READINGS_KEPT = 4096
"""The most images of one stream between the next reading to give and the last image taken: so far
may fast boards be ahead of a slow one."""


@dataclass(frozen=True)
class BoardStatistics:
    """What one board of a pool has done.

    where: the board's port, URL or name.
    images: how many images it answered.
    busy_s: for how many seconds it had images to infer.
    failure: what took it out of the pool; None while it works.
    failures: how many times it was taken out.
    works: whether it is there and infers.
    """

    where: str
    images: int
    busy_s: float
    failure: Exception | None
    failures: int = 0
    works: bool = True

    @property
    def images_per_s(self) -> float:
        """How many images a second it read while it was busy; 0 if it never was."""
        return self.images / self.busy_s if self.busy_s else 0.0


@dataclass(eq=False)
class _Task:
    """An image, and later its reading or the error that it caused."""

    stream: _Stream
    image: ImageLike
    placed: bool | None
    reading: Reading | None = None
    error: Exception | None = None
    done: bool = False

    @property
    def told(self) -> ToldImage:
        """The image, with what is said of it."""
        return self.image, self.placed


class _Stream:
    """What one call of `infer_many` waits for; guarded by the lock of the pool."""

    def __init__(self, lock: threading.Lock) -> None:
        self.progress = threading.Condition(lock)
        self.unanswered = 0


class _Worker:
    """A board and its thread; the figures are guarded by the lock of the pool.

    board: None while it is not there.
    """

    def __init__(self, where: str, board: Board | None) -> None:
        self.where = where
        self.board = board
        self.images = 0
        self.failures = 0
        self.busy_s = 0.0
        self.busy_since_s: float | None = None
        self.failure: Exception | None = None

    def rest(self) -> None:
        """Note that this board has nothing to infer from now on."""
        if self.busy_since_s is not None:
            self.busy_s += time.perf_counter() - self.busy_since_s
            self.busy_since_s = None

    def statistics(self) -> BoardStatistics:
        running_s = 0.0 if self.busy_since_s is None else time.perf_counter() - self.busy_since_s
        return BoardStatistics(
            where=self.where,
            images=self.images,
            busy_s=self.busy_s + running_s,
            failure=self.failure,
            failures=self.failures,
            works=self.board is not None and self.failure is None,
        )


class Pool:
    """Boards that share the work. A context manager; any number of threads may use it at once.

    Each board has a thread of its own, and takes images as fast as it answers them. When a board
    fails, the images that it has not answered go to the others, and it takes no more part, unless
    there is a `reopen`. One whose link broke keeps its images while it tries to come back; see
    `Board.infer_many`.

    boards: at least one, each with how it is named in statistics and errors, and all with the same
        network; they belong to the pool from now on and are closed with it. None stands for one
        that is not there yet.
    network: what the boards infer; that of the first if None.
    reopen: opens the board of this number, counted from 0, with `network`, or raises StepnetError;
        it is called in the board's thread. With it a board that failed, or is not there yet, is
        sought every `RETRY_S` and takes part again. What is asked before the first one is there
        waits until it is, or until all were sought in vain.
    changed: is told when a board has come back or is lost, in the board's thread.

    Raises BoardError if there is no board.
    """

    def __init__(
        self,
        boards: Iterable[tuple[str, Board | None]],
        *,
        network: AnyNetwork | None = None,
        reopen: Callable[[int], Board] | None = None,
        changed: Callable[[BoardStatistics], None] = lambda statistics: None,
    ) -> None:
        self._lock = threading.Lock()
        self._work = threading.Condition(self._lock)
        self._closing = threading.Condition(self._lock)
        self._waiting: deque[_Task] = deque()
        self._streams: set[_Stream] = set()
        self._closed = False
        self._workers = [_Worker(where, board) for where, board in boards]
        if not self._workers:
            raise BoardError("A pool needs boards; name at least one.")
        if network is None:
            assert self._workers[0].board is not None
            network = self._workers[0].board.network
        self._network = network
        self._reopen = reopen
        self._changed = changed
        self._ahead = self._images_ahead()
        self._threads = [
            threading.Thread(target=self._run, args=(number, worker), daemon=True)
            for number, worker in enumerate(self._workers)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def network(self) -> AnyNetwork:
        """The network that the boards infer."""
        return self._network

    @property
    def statistics(self) -> tuple[BoardStatistics, ...]:
        """What each board has done since the pool was opened, in the order they were given."""
        with self._lock:
            return tuple(worker.statistics() for worker in self._workers)

    def infer(self, image: ImageLike, *, placed: bool | None = None) -> Reading:
        """What a board of the pool reads in one image; arguments and errors as in `infer_many`."""
        (reading,) = self.infer_many([image], placed=placed)
        return reading

    def infer_many(
        self, images: Iterable[ImageLike], *, placed: bool | None = None
    ) -> Iterator[Reading]:
        """What the boards read in each of `images`, in their order; image and `placed` are as in
        `Board.infer`.

        Two windows of images per board are taken ahead, and at most `READINGS_KEPT` readings wait
        for their turn, so `images` may be an endless generator.

        Raises, after the readings of all images before it: ImageError for an image that no board
        can take, what `images` itself raises, and BoardError with the last cause of each board when
        no board is left.
        """
        stream = _Stream(self._lock)
        tasks: deque[_Task] = deque()
        source = iter(images)
        broke: Exception | None = None
        try:
            while broke is None:
                try:
                    image = next(source)
                except StopIteration:
                    break
                except Exception as error:
                    broke = error  # what was taken before is answered first
                    break
                self._submit(stream, _Task(stream, image, placed), tasks)
                while self._full(stream, tasks):
                    self._wait(stream, tasks)
                    yield from _readings(tasks)
                yield from _readings(tasks)
            while tasks:
                self._wait(stream, tasks)
                yield from _readings(tasks)
        finally:
            self._forget(stream)
        if broke is not None:
            raise broke

    def close(self) -> None:
        """Close the boards, each after the images that it has in flight. Closing twice does
        nothing.
        """
        with self._lock:
            self._closed = True
            self._work.notify_all()
            self._closing.notify_all()
            self._wake_streams()
        for thread in self._threads:
            thread.join()

    def __enter__(self) -> Self:
        with self._lock:
            self._check_open()
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _images_ahead(self) -> int:
        """How many images of a stream may be unanswered, by the boards that are there."""
        windows = [
            window(worker.board.identity.buffer_bytes, image_bytes(self._network))
            for worker in self._workers
            if worker.board is not None
        ]
        return max(1, WINDOWS_AHEAD * sum(windows))

    def _check_open(self) -> None:
        if self._closed:
            raise BoardError("The pool is closed; open it again with open_pool.")

    # What a stream does, in the thread that takes its readings:

    def _submit(self, stream: _Stream, task: _Task, tasks: deque[_Task]) -> None:
        with self._lock:
            self._check_open()
            self._streams.add(stream)
            stream.unanswered += 1
            self._waiting.append(task)
            self._work.notify()
        tasks.append(task)

    def _full(self, stream: _Stream, tasks: deque[_Task]) -> bool:
        return stream.unanswered >= self._ahead or len(tasks) >= READINGS_KEPT

    def _wait(self, stream: _Stream, tasks: deque[_Task]) -> None:
        """Wait until the first of `tasks` is done, or until a stream that is full no longer is."""
        first = tasks[0]
        was_full = self._full(stream, tasks)
        with self._lock:
            while not (first.done or (was_full and not self._full(stream, tasks))):
                self._check_open()
                self._check_alive()
                stream.progress.wait()

    def _check_alive(self) -> None:
        if all(worker.failure for worker in self._workers):
            causes = "; ".join(
                f"{worker.where!r} failed ({str(worker.failure).removesuffix('.')})"
                for worker in self._workers
            )
            raise BoardError(
                f"No board of the pool is left: {causes}. Open the pool again once they work."
            )

    def _forget(self, stream: _Stream) -> None:
        """Take back the images that no board has begun; answers to the others are dropped."""
        with self._lock:
            self._streams.discard(stream)
            self._waiting = deque(task for task in self._waiting if task.stream is not stream)

    # What a worker does, in its own thread:

    def _run(self, number: int, worker: _Worker) -> None:
        """Infer what is waiting until the pool closes or the board fails for good."""
        while True:
            board = worker.board or self._seek(number, worker)
            if board is None:
                return
            try:
                self._infer_waiting(worker, board)
            finally:
                board.close()
            with self._lock:
                if self._closed:
                    return
                worker.board = None
                self._ahead = self._images_ahead()
            self._changed(worker.statistics())
            if self._reopen is None:
                return

    def _seek(self, number: int, worker: _Worker) -> Board | None:
        """Open the board, again and again until it is there; None once the pool is closed."""
        if self._reopen is None:
            return None
        while True:
            with self._lock:
                if self._closed:
                    return None
            try:
                board = self._reopen(number)
            except (StepnetError, OSError) as error:
                with self._lock:
                    was_known = worker.failure is not None
                    worker.failure = error
                    self._wake_streams()
                if not was_known:
                    self._changed(worker.statistics())
                with self._lock:
                    self._closing.wait_for(lambda: self._closed, RETRY_S)
                continue
            with self._lock:
                worker.board, worker.failure = board, None
                self._ahead = self._images_ahead()
                self._wake_streams()
            self._changed(worker.statistics())
            return board

    def _infer_waiting(self, worker: _Worker, board: Board) -> None:
        """Infer what is waiting until the pool closes or the board fails."""
        held: deque[_Task] = deque()
        try:
            while (task := self._next_task(worker)) is not None:
                held.append(task)
                try:
                    for reading in board.infer_told(self._images(held)):
                        self._finish(worker, held, reading, None)
                except BoardError:
                    raise
                except NetworkError as error:
                    raise _another_board(worker, board, error) from error
                except Exception:
                    self._infer_singly(worker, board, held)
        except BoardError as error:
            self._fail(worker, held, error)

    def _images(self, held: deque[_Task]) -> Iterator[ToldImage]:
        """The image of the one task held, then whatever waits; each is held until its answer.

        Ends when nothing waits, so that the board answers what it has.
        """
        yield held[0].told
        while True:
            with self._lock:
                if self._closed or not self._waiting:
                    return
                task = self._waiting.popleft()
            held.append(task)
            yield task.told

    def _infer_singly(self, worker: _Worker, board: Board, held: deque[_Task]) -> None:
        """Find which image the board could not take; BoardError if it is the board's fault."""
        while held:
            try:
                reading = board.infer(held[0].image, placed=held[0].placed)
            except BoardError:
                raise
            except Exception as error:
                self._finish(worker, held, None, error)
            else:
                self._finish(worker, held, reading, None)

    def _next_task(self, worker: _Worker) -> _Task | None:
        """Wait for work; None once the pool is closed."""
        with self._lock:
            worker.rest()
            while not (self._waiting or self._closed):
                self._work.wait()
            if self._closed:
                return None
            worker.busy_since_s = time.perf_counter()
            return self._waiting.popleft()

    def _finish(
        self,
        worker: _Worker,
        held: deque[_Task],
        reading: Reading | None,
        error: Exception | None,
    ) -> None:
        task = held.popleft()
        with self._lock:
            worker.images += reading is not None
            task.reading, task.error, task.done = reading, error, True
            task.stream.unanswered -= 1
            task.stream.progress.notify()

    def _fail(self, worker: _Worker, held: deque[_Task], error: BoardError) -> None:
        """Leave the pool, and hand what is unanswered to the others, in front of what waits."""
        with self._lock:
            worker.rest()
            worker.failure = error
            worker.failures += 1
            self._waiting.extendleft(
                task for task in reversed(held) if task.stream in self._streams
            )
            self._work.notify_all()
            self._wake_streams()

    def _wake_streams(self) -> None:
        """Have every stream look again at what it waits for."""
        for stream in self._streams:
            stream.progress.notify()


def _another_board(worker: _Worker, board: Board, error: NetworkError) -> BoardError:
    """What a worker fails with whose board came back after a break as one that is too small."""
    network = board.network.name
    return BoardError(
        f"The board at {worker.where!r} is another one since it came back, and cannot infer "
        f"network {network!r} ({str(error).removesuffix('.')}); connect the one that was there, or "
        "open the pool with a network that fits."
    )


def _readings(tasks: deque[_Task]) -> Iterator[Reading]:
    """The readings at the front that are there; raises the error of an image that has one."""
    while tasks and tasks[0].done:
        task = tasks.popleft()
        if task.error is not None:
            raise task.error
        if task.reading is not None:
            yield task.reading


def open_pool(
    wheres: Iterable[str],
    network: AnyNetwork | str | os.PathLike[str] = "digits",
    *,
    timeout_s: float = 5.0,
    baud: int | None = None,
    uart: bool = False,
    progress: Callable[[str], None] = lambda message: None,
    come_back: bool = False,
    changed: Callable[[BoardStatistics], None] = lambda statistics: None,
) -> Pool:
    """Open boards, one after the other, and see that each holds the network.

    wheres: each as `where` of `open_board`; "sim" more than once gives as many virtual boards.
    come_back: boards may come and go: none has to be there at the start, and one that fails is
        sought until it is back; see `reopen` of `Pool`. All are opened at once, in the background.
    changed: is told when a board has come back or is lost, in the board's thread.
    Other arguments: as in `open_board`, for each board.

    Raises what `open_board` raises, for the first board that cannot be opened; then none stays
    open. Raises BoardError if `wheres` is not several but the name of one, NetworkError if there is
    no such network.
    """
    if isinstance(wheres, str):  # whose letters are strings, too
        raise BoardError(f"A pool takes a list of boards; give [{wheres!r}] for that one.")
    if isinstance(network, str | os.PathLike):
        network = load_any_network(network)
    open_it = partial(
        open_board, network=network, timeout_s=timeout_s, baud=baud, uart=uart, progress=progress
    )
    if come_back:
        places = list(wheres)
        return Pool(
            [(without_token(where), None) for where in places],
            network=network,
            reopen=lambda number: open_it(places[number]),
            changed=changed,
        )
    with ExitStack() as opened:
        boards = [(without_token(where), opened.enter_context(open_it(where))) for where in wheres]
        pool = Pool(boards, changed=changed)
        opened.pop_all()
    return pool
