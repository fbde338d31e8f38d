"""`stepnet sweep`: many runs of a command as one table of points."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stepnet.cli import declared
from stepnet.cli.options import JsonOption
from stepnet.printable import printable

if TYPE_CHECKING:
    from rich.live import Live
    from rich.table import Table

    from stepnet.sweeps.grid import Source
    from stepnet.sweeps.journal import Journal
    from stepnet.sweeps.point import Point
    from stepnet.sweeps.run import Progress
    from stepnet.sweeps.sweep_file import CommandOptions, SweepPlan
    from stepnet.sweeps.work import Task
    from stepnet.sweeps.workers import Workers

SWEEPS_FOLDER = "sweeps"
"""Where the folders of sweeps lie that nobody named."""

GIVEN: Mapping[str, Sequence[str]] = {
    "train": ("--output", "network.npz", "--run", "run", "--json"),
    "evaluate": ("--json",),
    "build": ("--output", "build", "--json"),
    "estimate": ("--json",),
}
"""The commands that a sweep may run, and what each is told so that it leaves its files in the
folder in which it runs and prints its result as JSON."""


@dataclass(frozen=True, kw_only=True)
class SweepOptions:
    """Everything that `stepnet sweep` is told."""

    file: Annotated[Path, typer.Argument(help="What to sweep: a .toml as docs/sweeps.md has it.")]
    output: Annotated[
        Path | None,
        typer.Option(
            help="Folder for the results and what points make; sweeps/NAME if not given. A sweep "
            "that was stopped goes on there."
        ),
    ] = None
    jobs: Annotated[
        int | None,
        typer.Option(min=1, help="Points at a time on this machine; its cores if not given."),
    ] = None
    scheduler: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS", help="Run points on the workers of this Dask scheduler, tcp://..."
        ),
    ] = None
    wait_s: Annotated[
        float,
        typer.Option(
            "--wait",
            min=0,
            help="Seconds to wait for a scheduler that is gone, or for the first worker.",
        ),
    ] = 60.0
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the command of each point that is to be run.")
    ] = False
    json_output: JsonOption = False


def _sweep(options: SweepOptions) -> None:
    """Run a command with many settings, on the cores of this machine or on a Dask cluster.

    What is done is kept: the same command goes on after whatever stopped it, and runs no point
    twice. Points that failed are tried again.
    """
    from stepnet.sweeps.grid import Grid
    from stepnet.sweeps.journal import Journal
    from stepnet.sweeps.results import write_results
    from stepnet.sweeps.run import run_sweep
    from stepnet.sweeps.search import Search
    from stepnet.sweeps.sweep_file import read_sweep

    if options.jobs is not None and options.scheduler is not None:
        raise typer.BadParameter(
            "it is for this machine, and a scheduler has workers of its own; leave one of them "
            "out.",
            param_hint="--jobs",
        )
    commands = sweepable()
    plan = read_sweep(options.file, commands)
    check_points(plan)
    if options.dry_run:
        for point in plan.points:
            print(point.text)
        return
    folder = options.output or Path(SWEEPS_FOLDER, plan.name)
    with Journal(folder, plan.name, keep_files=plan.keep_files) as journal, ExitStack() as stack:
        table = folder / f"results.{plan.results}"
        done = {key for key, entry in journal.entries.items() if entry.done}
        source: Source
        if plan.search is None:
            source = Grid(plan.points, done)
            before = sum(point.key in done for point in plan.points)
        else:
            source = Search(plan, folder, commands[plan.command], journal.entries)
            before = source.ended
        show = stack.enter_context(_Table(plan.name))
        workers = _workers(options, journal, show)
        stack.callback(workers.close)
        try:
            progress = run_sweep(
                source,
                workers,
                journal,
                lambda point: task_of(point, options.file.parent),
                before,
                show,
            )
        except KeyboardInterrupt:
            show.say(
                f"Stopped; {sum(entry.done for entry in journal.entries.values())} points are done "
                "and kept, and the same command goes on"
            )
            raise
        finally:
            write_results(table, _entries(plan, journal))
    best = None if isinstance(source, Grid) else source.best
    _tell(options, plan, progress, table, best)


sweep = declared.command("sweep", SweepOptions, _sweep)


def sweepable() -> dict[str, CommandOptions]:
    """The commands that a sweep may run, with their options as they declare them."""
    from stepnet.sweeps.sweep_file import CommandOptions

    found: dict[str, CommandOptions] = {}
    for name, command in _commands().items():
        if name not in GIVEN:
            continue
        options = {
            opt.removeprefix("--"): bool(parameter.is_flag)
            for parameter in command.params
            if parameter.param_type_name == "option"
            for opt in parameter.opts
            if opt.startswith("--") and opt != "--help"
        }
        own = [word.removeprefix("--") for word in GIVEN[name] if word.startswith("--")]
        argument = any(each.param_type_name == "argument" for each in command.params)
        found[name] = CommandOptions(options, own, argument)
    return found


def _commands() -> dict[str, Any]:
    from typer.main import get_command

    from stepnet.cli import make_app

    app: Any = get_command(make_app())
    return app.commands


def check_points(plan: SweepPlan) -> None:
    """Refuse, before anything runs, a point whose options the command does not take as they are."""
    from stepnet.cli.usage import UsageError, usage_sentence
    from stepnet.sweeps.errors import SweepError

    command = _commands()[plan.command]
    for point in plan.points:
        try:
            with command.make_context(f"stepnet {plan.command}", point.words[1:]):
                pass
        except UsageError as error:
            raise SweepError(
                f"The point {point.text!r} makes no sense. {usage_sentence(error, point.words)}"
            ) from None


def task_of(point: Point, folder: Path) -> Task:
    """What a worker is told of a point.

    folder: of the sweep's file; files that options name lie there, or are named in full.
    """
    from stepnet.sweeps.point import Point
    from stepnet.sweeps.work import Task

    settings = {name: _found(value, folder) for name, value in point.settings.items()}
    resolved = Point(point.command, settings, str(_found(point.argument, folder)))
    return Task(point.name, [*resolved.words, *GIVEN[point.command]])


def _found(value: Any, folder: Path) -> Any:
    """A value as it is, or as a whole path if it names a file beside the sweep's file."""
    if not isinstance(value, str) or not value:
        return value
    path = folder / value
    looks_like_one = Path(value).suffix or os.sep in value
    return str(path.resolve()) if looks_like_one and path.exists() else value


def _workers(options: SweepOptions, journal: Journal, show: _Table) -> Workers:
    if options.scheduler is not None:
        from stepnet.sweeps.cluster import Cluster, be_quiet

        be_quiet()  # what it logs of a lost connection is said in a sentence
        return Cluster(options.scheduler, options.wait_s, show.say)
    from stepnet.sweeps.local_workers import LocalWorkers

    return LocalWorkers(options.jobs or os.cpu_count() or 1, journal.work_folder)


def _entries(plan: SweepPlan, journal: Journal) -> Sequence[Any]:
    """What the table of results has: a grid's points in its order, or all that were searched."""
    if plan.search is not None:
        return list(journal.entries.values())
    return [journal.entries[point.key] for point in plan.points if point.key in journal.entries]


def _tell(
    options: SweepOptions,
    plan: SweepPlan,
    progress: Progress,
    table: Path,
    best: tuple[float, Mapping[str, Any]] | None,
) -> None:
    told = {
        "sweep": plan.name,
        "points": progress.total,
        "done_before": progress.before,
        "done": progress.done,
        "failed": progress.failed,
        "results": str(table),
    }
    if best is not None:
        told |= {"best": best[0], "best_settings": dict(best[1])}
    if options.json_output:
        print(json.dumps(told))
    else:
        line = f"{progress.done} points done"
        if progress.before:
            line += f", {progress.before} were done before"
        if progress.failed:
            line += f", {progress.failed} failed and are tried again by the same command"
        print(f"{line}: {printable(str(table))}")
        if best is not None:
            settings = ", ".join(f"{name} {value}" for name, value in best[1].items())
            print(f"Best: {best[0]:g} with {settings}")
    if progress.failed:
        raise typer.Exit(1)


class _Table:
    """Shows how far a sweep is, on stderr: a table that is drawn anew on a terminal, otherwise a
    line for each point that ends."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._live: Live | None = None
        self._begun = False
        self._told = 0

    def __call__(self, progress: Progress) -> None:
        """Show it."""
        if self._live is not None:
            self._live.update(self._drawn(progress))
            return
        if not self._begun:
            self._begun = True
            self.say(f"Running with {progress.where}")
        ended = progress.done + progress.failed
        if ended > self._told:
            self._told = ended
            entry = progress.last[-1]
            what = entry.error or "done"
            print(
                f"{progress.before + ended}/{progress.total} {printable(entry.name)}: "
                f"{printable(what)}",
                file=sys.stderr,
                flush=True,
            )

    def say(self, message: str) -> None:
        """Print a sentence without its full stop, above the table."""
        line = f"{printable(message)}."
        if self._live is not None:
            self._live.console.print(line, markup=False, highlight=False)
        else:
            print(line, file=sys.stderr, flush=True)

    def __enter__(self) -> _Table:
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.live import Live

            self._live = Live(console=Console(stderr=True), refresh_per_second=4)
            self._live.start()
        return self

    def __exit__(self, *exception: object) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _drawn(self, progress: Progress) -> Table:
        from rich.table import Table
        from rich.text import Text

        left_s = progress.left_s
        left = "" if left_s is None else f", {_duration(left_s)} left"
        title = (
            f"{self._name}: {progress.before + progress.done} of {progress.total} done, "
            f"{progress.failed} failed, {progress.running} with {progress.where}{left}"
        )
        table = Table(title=Text(printable(title)), box=None, title_justify="left")
        for heading in ("point", "seconds", "what came out"):
            table.add_column(heading, overflow="fold")
        for entry in progress.last:
            numbers = (
                f"{name} {value:.5g}"
                for name, value in entry.result.items()
                if isinstance(value, float)
            )
            what = entry.error or ", ".join(numbers) or "done"
            table.add_row(
                Text(printable(entry.name)), f"{entry.seconds:.1f}", Text(printable(what))
            )
        return table


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s"
