"""The cores of this machine as workers: each point in a process of its own."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from stepnet.sweeps.work import Outcome, Task, run_task
from stepnet.sweeps.workers import MOST_TRIES


class LocalWorkers:
    """Runs up to `jobs` points at a time.

    folder: gives the folder in which the point of a name runs.
    """

    def __init__(self, jobs: int, folder: Callable[[str], Path]) -> None:
        self._jobs = jobs
        self._folder = folder
        self._waiting: queue.SimpleQueue[Task | None] = queue.SimpleQueue()
        self._ended: queue.SimpleQueue[tuple[str, Outcome | OSError]] = queue.SimpleQueue()
        self._running: dict[str, Callable[[], None]] = {}
        self._closed = False
        # They end with this process; so that one which is killed leaves nobody behind.
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(jobs)]
        for thread in self._threads:
            thread.start()

    @property
    def places(self) -> int:
        """See `Workers.places`."""
        return self._jobs

    @property
    def where(self) -> str:
        """See `Workers.where`."""
        return f"{self._jobs} {'process' if self._jobs == 1 else 'processes'} on this machine"

    def submit(self, task: Task) -> None:
        """See `Workers.submit`."""
        self._waiting.put(task)

    def finished(self, wait_s: float) -> list[tuple[str, Outcome]]:
        """See `Workers.finished`; OSError if a point's folder cannot be used."""
        found: list[tuple[str, Outcome]] = []
        with suppress(queue.Empty):
            while True:
                name, ended = self._ended.get(timeout=0 if found else wait_s)
                if isinstance(ended, OSError):
                    raise ended
                found.append((name, ended))
        return found

    def close(self) -> None:
        """See `Workers.close`."""
        self._closed = True
        for end in list(self._running.values()):
            end()
        for _ in self._threads:
            self._waiting.put(None)
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        while (task := self._waiting.get()) is not None and not self._closed:
            try:
                ended: Outcome | OSError = self._run(task)
            except OSError as error:
                ended = error
            self._ended.put((task.name, ended))

    def _run(self, task: Task) -> Outcome:
        def started(end: Callable[[], None]) -> None:
            self._running[task.name] = end
            if self._closed:
                end()

        for _ in range(MOST_TRIES - 1):
            outcome = run_task(task, self._folder(task.name), started)
            if not outcome.killed or self._closed:
                return outcome
        return run_task(task, self._folder(task.name), started)
