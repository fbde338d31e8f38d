"""Runs a sweep: hands points to workers, keeps what comes back, and tells how far it is."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from stepnet.sweeps.errors import WorkersError
from stepnet.sweeps.grid import Source
from stepnet.sweeps.journal import Entry, Journal
from stepnet.sweeps.point import Point
from stepnet.sweeps.work import Task
from stepnet.sweeps.workers import Workers

POLL_S = 0.2
"""How often it is looked who has ended, and told how far the sweep is."""


@dataclass
class Progress:
    """How far a sweep is.

    total: points in all.
    before: that were done when it began.
    done, failed: since then.
    running: that workers have.
    started_s: when it began, as `time.monotonic` tells.
    where: who works.
    last: what ended last, the latest at the end.
    """

    total: int
    before: int
    done: int = 0
    failed: int = 0
    running: int = 0
    started_s: float = field(default_factory=time.monotonic)
    where: str = ""
    last: list[Entry] = field(default_factory=list[Entry])

    @property
    def left_s(self) -> float | None:
        """How many seconds the rest takes at the rate so far; None before the first point."""
        ended = self.done + self.failed
        if not ended:
            return None
        left = self.total - self.before - ended
        return left * (time.monotonic() - self.started_s) / ended


def run_sweep(
    source: Source,
    workers: Workers,
    journal: Journal,
    task_of: Callable[[Point], Task],
    before: int,
    watch: Callable[[Progress], None] = lambda progress: None,
) -> Progress:
    """Run all points of `source` that are not done, or until it is settled; returns how it went.

    task_of: what a worker is told of a point.
    before: how many points are done.
    watch: is told how far it is, again and again.

    Raises WorkersError if a worker lacks what a point needs, or none is left; SweepError if what is
    done cannot be kept. Every point that ended until then is kept.
    """
    progress = Progress(source.total, before)
    running: dict[str, Point] = {}
    while True:
        if source.settled:
            return progress
        while len(running) < workers.places and (point := source.next()) is not None:
            running[point.name] = point
            workers.submit(task_of(point))
        if not running:
            return progress
        progress.running, progress.where = len(running), workers.where
        watch(progress)
        for name, outcome in workers.finished(POLL_S):
            if outcome.worker_lacks_something:
                raise WorkersError(
                    f"The worker {outcome.worker} cannot run {name!r} "
                    f"({outcome.error.removesuffix('.')}); install it there, and the same command "
                    f"goes on: {before + progress.done} points are done and kept."
                )
            entry = journal.keep(running.pop(name), outcome)
            if entry.done:
                progress.done += 1
            else:
                progress.failed += 1
            progress.last = [*progress.last[-9:], entry]
            source.tell(entry)
            progress.running = len(running)
            watch(progress)
