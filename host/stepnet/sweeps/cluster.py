"""The workers of a Dask cluster.

Tasks go to its scheduler, a few more than it has places for, so that no worker waits and little is
asked for anew when something is lost. A task whose worker was killed goes to another; when the
scheduler is gone, it is sought for a while, and what was under way is handed to it again.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeAlias

from stepnet.errors import MissingToolError
from stepnet.sweeps.errors import WorkersError
from stepnet.sweeps.work import Outcome, Task, run_task
from stepnet.sweeps.workers import MOST_TRIES

Client: TypeAlias = Any
"""A `distributed.Client`; that package declares its types in part."""

Future: TypeAlias = Any
"""A `distributed.Future` of an `Outcome`."""

PLACES_PER_THREAD = 2
"""Tasks that are handed out for each thread of the workers: one runs, and one follows at once."""

CONNECT_S = 10.0
RETRY_S = 0.5
POLL_S = 0.05
LOOK_S = 2.0
"""How often it is looked who works."""


class Cluster:
    """Runs points on the workers that a scheduler has, which may come and go.

    address: of the scheduler, such as tcp://lab:8786.
    wait_s: how long is waited for a scheduler that is gone, or for the first worker.
    say: is told, in a sentence without a full stop, what is waited for.
    run: what a worker does with a task; `run_on_worker` if None.

    Raises WorkersError if the address can be none, the scheduler is not there, or it or a worker
    has another version; MissingToolError if distributed is not installed here.
    """

    def __init__(
        self,
        address: str,
        wait_s: float,
        say: Callable[[str], None] = lambda message: None,
        run: Callable[[Task], Outcome] | None = None,
    ) -> None:
        check_address(address)
        self._run = run or run_on_worker
        self._address = address
        self._wait_s = wait_s
        self._say = say
        self._tasks: dict[str, Task] = {}
        self._futures: dict[str, Future] = {}
        self._tries: dict[str, int] = {}
        self._threads = 0
        self._looked_at_s = 0.0
        self._alone_since_s: float | None = None
        self._checked: set[str] = set()
        self._client = self._connect(CONNECT_S)
        self._look()

    @property
    def places(self) -> int:
        """See `Workers.places`."""
        return max(1, PLACES_PER_THREAD * self._threads)

    @property
    def where(self) -> str:
        """See `Workers.where`."""
        workers = f"{self._threads} thread{'s' * (self._threads != 1)} at {self._address}"
        with suppress(Exception):  # of a client that has just lost its scheduler
            return f"{workers}, dashboard {self._client.dashboard_link}"
        return workers

    def submit(self, task: Task) -> None:
        """See `Workers.submit`."""
        self._tasks[task.name] = task
        self._tries[task.name] = 0
        self._hand_out(task)

    def finished(self, wait_s: float) -> list[tuple[str, Outcome]]:
        """See `Workers.finished`."""
        end_s = time.monotonic() + wait_s
        while True:
            self._come_back_if_lost()
            if time.monotonic() - self._looked_at_s > LOOK_S:
                self._look()
            found = [
                (name, outcome)
                for name, future in list(self._futures.items())
                if (outcome := self._outcome(name, future)) is not None
            ]
            for name, _ in found:
                for kept in (self._tasks, self._futures, self._tries):
                    kept.pop(name, None)
            if found or time.monotonic() >= end_s:
                return found
            time.sleep(POLL_S)

    def close(self) -> None:
        """See `Workers.close`."""
        with suppress(Exception):
            self._client.cancel(list(self._futures.values()), force=True)
        _close(self._client)

    def _outcome(self, name: str, future: Future) -> Outcome | None:
        """What became of a task; None if it is under way, or is so again."""
        killed_worker: Any = import_module("distributed").KilledWorker
        match future.status:
            case "finished":
                outcome = future.result()
                if not outcome.killed:
                    return outcome
            case "error":
                error = future.exception()
                if not isinstance(error, killed_worker):
                    reason = f"The worker could not run it ({type(error).__name__}: {error})."
                    return Outcome({}, reason, 1, 0.0, "")
                outcome = Outcome(
                    {}, "Its worker was killed, perhaps for want of memory.", -9, 0.0, ""
                )
            case "cancelled" | "lost":
                self._hand_out(self._tasks[name])
                return None
            case _:
                return None
        self._tries[name] += 1
        if self._tries[name] >= MOST_TRIES:
            return outcome
        self._hand_out(self._tasks[name])
        return None

    def _hand_out(self, task: Task) -> None:
        with suppress(Exception):  # a scheduler that is gone is sought by the next `finished`
            self._futures[task.name] = self._client.submit(
                self._run, task, key=f"{task.name}-{time.monotonic_ns()}", pure=False
            )

    def _come_back_if_lost(self) -> None:
        """Find the scheduler again if it is gone, and hand it what was under way."""
        if self._client.status == "running" and len(self._futures) == len(self._tasks):
            return
        if self._client.status != "running":
            self._say(f"The scheduler at {self._address} is gone and sought again")
            _close(self._client)
            self._client = self._connect(self._wait_s)
            self._checked.clear()
            self._futures.clear()
            self._look()
        for name, task in self._tasks.items():
            if name not in self._futures:
                self._hand_out(task)

    def _connect(self, patience_s: float) -> Client:
        try:
            distributed: Any = import_module("distributed")
        except ModuleNotFoundError:
            raise MissingToolError(
                "A scheduler needs the package distributed, which is not installed; install it "
                'with pip install "stepnet[sweep]", or leave --scheduler out.'
            ) from None
        deadline_s = time.monotonic() + patience_s
        while True:
            try:
                client = distributed.Client(
                    self._address,
                    timeout=min(patience_s, CONNECT_S),
                    set_as_default=False,
                    name="stepnet-sweep",
                )
                _check_scheduler(client, self._address)
                return client
            except (OSError, ValueError, ImportError) as error:
                if isinstance(error, ValueError) or time.monotonic() >= deadline_s:
                    reason = (str(error).splitlines() or [type(error).__name__])[0]
                    raise WorkersError(
                        f"There is no scheduler at {self._address!r} "
                        f"({reason.removesuffix('.')}); start `dask scheduler` there, or leave "
                        "--scheduler out. What is done is kept."
                    ) from error
                time.sleep(RETRY_S)

    def _look(self) -> None:
        """See who works, and that newcomers have the right versions."""
        self._looked_at_s = time.monotonic()
        try:
            workers: dict[str, Any] = self._client.scheduler_info(n_workers=-1)["workers"]
            new = sorted(set(workers) - self._checked)
            told: dict[str, Any] = (
                self._client.run(about_worker, workers=new, on_error="return") if new else {}
            )
        except Exception:  # of a scheduler that is gone just now, which is seen elsewhere
            return
        for worker, about in told.items():
            if not isinstance(about, OSError):  # which is of one that has left again
                check_worker(worker, about)
                self._checked.add(worker)
        self._threads = sum(int(worker["nthreads"]) for worker in workers.values())
        self._look_for_the_first(bool(workers))

    def _look_for_the_first(self, some: bool) -> None:
        if some:
            self._alone_since_s = None
            return
        now_s = time.monotonic()
        if self._alone_since_s is None:
            self._alone_since_s = now_s
            self._say(f"The scheduler at {self._address} has no workers; waiting for one")
        elif now_s - self._alone_since_s > self._wait_s:
            raise WorkersError(
                f"The scheduler at {self._address!r} has had no workers for {self._wait_s:g} s; "
                f"start some with `dask worker {self._address}`, and the same command goes on."
            )


def check_address(address: str) -> None:
    """WorkersError unless the address has a host and a port: distributed leaves a client behind
    where it has none."""
    host, _, port = address.rpartition(":")
    if not host.rpartition("/")[2] or not (port.isascii() and port.isdecimal()):
        raise WorkersError(
            f"The address {address!r} names no scheduler; give its machine and port, like "
            "tcp://lab:8786."
        )


def be_quiet() -> None:
    """Have distributed log nothing that is no disaster, in this process."""
    with suppress(ModuleNotFoundError):
        import_module("distributed")
    for name in list(logging.root.manager.loggerDict):
        if name.partition(".")[0] == "distributed":
            logging.getLogger(name).setLevel(logging.CRITICAL)


def run_on_worker(task: Task) -> Outcome:
    """`run_task` in the worker's own folder; called by the worker."""
    worker: Any = import_module("distributed").get_worker()
    outcome = run_task(task, Path(worker.local_directory) / "stepnet-sweep" / task.name)
    return replace(outcome, worker=str(worker.address))


def about_worker() -> dict[str, str]:
    """The versions of what decides results; called by each worker."""
    return {"stepnet": version("stepnet"), "Python": _python()}


def check_worker(worker: str, about: dict[str, str] | BaseException) -> None:
    """See that a worker computes what this process would.

    about: what `about_worker` told, or what it failed with.

    Raises WorkersError if it has another version, or none.
    """
    if isinstance(about, BaseException):
        raise WorkersError(
            f"The worker at {worker} has no stepnet ({str(about).removesuffix('.')}); install it "
            f'there with pip install "stepnet=={version("stepnet")}", with the extras that the '
            "command needs."
        )
    for what, ours in about_worker().items():
        if (theirs := about.get(what)) != ours:
            raise WorkersError(
                f"The worker at {worker} has {what} {theirs}, and here it is {ours}; install the "
                "same on both, so that results are the same wherever they are computed."
            )


def check_scheduler_version(address: str, theirs: str) -> None:
    """WorkersError unless the scheduler is of the version of distributed that is here."""
    ours = version("distributed")
    if theirs != ours:
        raise WorkersError(
            f"The scheduler at {address!r} is of distributed {theirs}, and here it is {ours}; "
            f"install the same on both, with pip install distributed=={theirs} here."
        )


def _check_scheduler(client: Client, address: str) -> None:
    packages: dict[str, Any] = client.get_versions()["scheduler"]["packages"]
    try:
        check_scheduler_version(address, str(packages.get("distributed")))
    except WorkersError:
        _close(client)
        raise


def _python() -> str:
    return ".".join(map(str, sys.version_info[:2]))


def _close(client: Client) -> None:
    with suppress(Exception):  # of a client whose scheduler is gone
        client.close(timeout=2)
