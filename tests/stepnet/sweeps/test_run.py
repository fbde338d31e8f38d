"""Sweeps with workers of Python: each point once, whatever happens to them."""

from pathlib import Path

import pytest

from stepnet.errors import MissingToolError
from stepnet.sweeps import local_workers, search
from stepnet.sweeps.errors import SweepError, WorkersError
from stepnet.sweeps.grid import Grid
from stepnet.sweeps.journal import Journal
from stepnet.sweeps.local_workers import LocalWorkers
from stepnet.sweeps.point import Point
from stepnet.sweeps.run import run_sweep
from stepnet.sweeps.search import Search
from stepnet.sweeps.sweep_file import CommandOptions, Range, SearchPlan, SweepPlan
from stepnet.sweeps.work import Outcome, Task, run_task

POINTS = tuple(Point("train", {"seed": seed}) for seed in range(6))
OPTIONS = CommandOptions({"seed": False, "rate": False})


def task_of(point):
    return Task(point.name, point.words)


class Workers:
    """Runs points at once, in `places` at a time, each by `result`."""

    places = 2
    where = "here"

    def __init__(self, result=lambda settings: {"accuracy": settings["seed"] / 10}):
        self.result = result
        self.waiting = []
        self.ran = []

    def submit(self, task):
        self.waiting.append(task)

    def finished(self, wait_s):
        task = self.waiting.pop()  # not in the order in which they came
        names, values = task.words[1::2], task.words[2::2]
        settings = {
            name.removeprefix("--"): float(value) for name, value in zip(names, values, strict=True)
        }
        self.ran.append(task.name)
        made = self.result(settings)
        if isinstance(made, Outcome):
            return [(task.name, made)]
        return [(task.name, Outcome(made, "", 0, 0.1, "here"))]

    def close(self):
        pass


def run(journal, workers, points=POINTS, watch=lambda progress: None):
    done = {key for key, entry in journal.entries.items() if entry.done}
    return run_sweep(Grid(points, done), workers, journal, task_of, len(done), watch)


def test_every_point_is_run_once(tmp_path):
    workers = Workers()
    seen = []
    with Journal(tmp_path, "first") as journal:
        progress = run(journal, workers, watch=lambda progress: seen.append(progress.running))
        assert (progress.done, progress.failed, progress.before) == (6, 0, 0)
        assert sorted(workers.ran) == sorted(point.name for point in POINTS)
        assert max(seen) == 2
        again = Workers()
        progress = run(journal, again)
        assert (again.ran, progress.before, progress.done) == ([], 6, 0)
        more = Workers()
        extended = [*POINTS, Point("train", {"seed": 9})]
        assert run(journal, more, extended).done == 1
        assert more.ran == [extended[-1].name]


def test_what_failed_is_tried_again(tmp_path):
    bad = Outcome({}, "It did not learn.", 2, 0.1, "here")
    with Journal(tmp_path, "first") as journal:
        workers = Workers(lambda settings: bad if settings["seed"] == 3 else {"a": 1})
        progress = run(journal, workers)
        assert (progress.done, progress.failed) == (5, 1)
        again = Workers()
        assert run(journal, again).done == 1
        assert again.ran == [POINTS[3].name]


def test_a_worker_that_lacks_something_stops_the_sweep(tmp_path):
    lacking = Outcome(
        {},
        "The rule surrogate needs the package torch, which is not installed; install it with pip "
        'install "stepnet[train]".',
        MissingToolError.exit_code,
        0.1,
        "tcp://lab:1",
    )
    with Journal(tmp_path, "first") as journal:
        workers = Workers(lambda settings: lacking if settings["seed"] == 3 else {"a": 1})
        with pytest.raises(WorkersError) as refused:
            run(journal, workers)
        kept = len(journal.entries)
        assert str(refused.value) == (
            f"The worker tcp://lab:1 cannot run {POINTS[3].name!r} (The rule surrogate needs the "
            "package torch, which is not installed; install it with pip install "
            f'"stepnet[train]"); install it there, and the same command goes on: {kept} points are '
            "done and kept."
        )
        assert run(journal, Workers()).done == 6 - kept


@pytest.mark.slow
def test_a_command_that_fails_says_why(tmp_path):
    bad = run_task(Task("bad", ["evaluate", "nothing", "--json"]), tmp_path / "work")
    assert bad.exit_code == 2
    assert bad.error.startswith("There is no network 'nothing'; choose one of ")


@pytest.mark.parametrize(("kills", "tries", "good"), [(2, 3, True), (5, 3, False)])
def test_a_point_whose_process_is_killed_is_tried_again(tmp_path, monkeypatch, kills, tries, good):
    ran = []

    def run_and_kill(task, folder, started):
        ran.append(folder)
        if len(ran) <= kills:
            return Outcome({}, "The process was killed.", -9, 0.1, "here")
        return Outcome({"accuracy": 1}, "", 0, 0.1, "here")

    monkeypatch.setattr(local_workers, "run_task", run_and_kill)
    workers = LocalWorkers(1, lambda name: Path(tmp_path, name))
    workers.submit(Task("one", ["train"]))
    ((name, outcome),) = workers.finished(20)
    workers.close()
    assert (name, len(ran), not outcome.error) == ("one", tries, good)


def plan_of(trials, storage=None, direction="maximize", metric="accuracy"):
    space = {"rate": Range(0.0, 1.0), "seed": (1, 2)}
    searched = SearchPlan(metric, direction, trials, 0, storage, space)
    return SweepPlan("first", "train", "csv", True, {}, (), searched)


def peak(settings):
    return {"accuracy": 1 - (settings["rate"] - 0.3) ** 2}


@pytest.mark.slow
def test_a_search_finds_the_best_and_goes_on(tmp_path):
    with Journal(tmp_path, "first") as journal:
        source = Search(plan_of(9), tmp_path, OPTIONS, journal.entries)
        assert source.best is None
        workers = Workers(peak)
        assert run_sweep(source, workers, journal, task_of, 0).done == 9
        assert source.best[0] > 0.9
        assert source.best[1]["rate"] == pytest.approx(0.3, abs=0.3)
        again = Search(plan_of(11), tmp_path, OPTIONS, journal.entries)
        assert again.ended == 9
        more = Workers(peak)
        assert run_sweep(again, more, journal, task_of, 9).done == 2
        assert not set(more.ran) & set(workers.ran)


@pytest.mark.slow
def test_a_search_that_was_killed_runs_what_was_under_way_first(tmp_path):
    with Journal(tmp_path, "first") as journal:
        killed = Search(plan_of(4), tmp_path, OPTIONS, journal.entries)
        under_way = killed.next()
        again = Search(plan_of(4), tmp_path, OPTIONS, journal.entries)
        assert again.next() == under_way


@pytest.mark.slow
def test_a_point_that_is_asked_for_again_is_not_run_again(tmp_path):
    space = {"seed": (1, 2)}
    plan = SweepPlan(
        "first", "train", "csv", True, {}, (), SearchPlan("accuracy", "minimize", 9, 0, None, space)
    )
    with Journal(tmp_path, "first") as journal:
        source = Search(plan, tmp_path, OPTIONS, journal.entries)
        workers = Workers()
        run_sweep(source, workers, journal, task_of, 0)
        assert len(workers.ran) == len(set(workers.ran)) <= 2
        assert (source.ended, source.best[0]) == (9, 0.1)


@pytest.mark.slow
def test_a_metric_that_there_is_not(tmp_path):
    with Journal(tmp_path, "first") as journal:
        source = Search(plan_of(2, metric="acuracy"), tmp_path, OPTIONS, journal.entries)
        with pytest.raises(SweepError) as refused:
            run_sweep(source, Workers(peak), journal, task_of, 0)
        (entry,) = journal.entries.values()
        assert str(refused.value) == (
            f"The metric 'acuracy' is no number that {entry.command!r} gives; name one of accuracy."
        )


def test_a_storage_that_cannot_be_used(tmp_path):
    url = f"sqlite:///{tmp_path}/nowhere/search.db"
    with pytest.raises(SweepError) as refused:
        Search(plan_of(1, storage=url), tmp_path, OPTIONS, {})
    assert str(refused.value).startswith(f"The storage {url!r} of the search cannot be used (")
    assert str(refused.value).endswith(
        "name a database that there is, such as sqlite:///search.db."
    )
    assert search._without_password("mysql://me:secret@lab/db") == "mysql://lab/db"
