"""A search with Optuna: which points are worth a try follows from what the earlier ones gave.

What was tried is kept in Optuna's storage, and in the journal as that of a grid. A point that
Optuna asks for again is not run again, and one that a killed sweep left unfinished is run first.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from stepnet.errors import MissingToolError
from stepnet.sweeps.errors import SweepError
from stepnet.sweeps.journal import Entry
from stepnet.sweeps.point import Point, Value
from stepnet.sweeps.results import flat
from stepnet.sweeps.sweep_file import CommandOptions, Range, SweepPlan, make_point

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import Trial

DATABASE = "search.db"
"""The storage in a sweep's folder where none is named."""

OWNER = "stepnet_folder"
"""The attribute of a trial that tells which sweep runs it, where several share a storage."""


class Search:
    """Hands out what Optuna asks for, and tells it what came out.

    known: what is done, by key.
    """

    settled = False

    def __init__(
        self,
        plan: SweepPlan,
        folder: Path,
        options: CommandOptions,
        known: Mapping[str, Entry],
    ) -> None:
        """Begin the study in the storage, or go on with it.

        Raises SweepError if the storage cannot be used, MissingToolError without Optuna.
        """
        assert plan.search is not None
        self._search = plan.search
        self._plan = plan
        self._options = options
        self._known = known
        self._owner = str(folder.resolve())
        self._study = self._open_study(folder)
        self._asked: dict[str, list[Trial]] = {}
        self.total = self._search.trials
        self._told = self._take_up()

    @property
    def ended(self) -> int:
        """How many trials have ended."""
        return self._told

    @property
    def best(self) -> tuple[float, Mapping[str, Value]] | None:
        """The best value of the metric and what it was had with; None before the first."""
        try:
            return self._study.best_value, self._study.best_params
        except ValueError:
            return None

    def next(self) -> Point | None:
        """See `Source.next`."""
        while self._told + sum(map(len, self._asked.values())) < self.total:
            trial = self._study.ask()
            trial.set_user_attr(OWNER, self._owner)
            settings = {name: self._suggest(trial, name) for name in self._search.space}
            point = make_point(self._plan.command, {**self._plan.fixed, **settings}, self._options)
            if (entry := self._known.get(point.key)) is not None and entry.done:
                self._tell(trial, entry)  # as it came out when it was run
                continue
            runs = point.key in self._asked
            self._asked.setdefault(point.key, []).append(trial)
            if not runs:
                return point
        return None

    def tell(self, entry: Entry) -> None:
        """See `Source.tell`."""
        for trial in self._asked.pop(entry.key, []):
            self._tell(trial, entry)

    def _tell(self, trial: Trial, entry: Entry) -> None:
        from optuna.trial import TrialState

        value = flat(entry.result).get(self._search.metric)
        if entry.done and not isinstance(value, int | float):
            numbers = [
                name
                for name, each in flat(entry.result).items()
                if isinstance(each, int | float) and not isinstance(each, bool)
            ]
            raise SweepError(
                f"The metric {self._search.metric!r} is no number that {entry.command!r} gives; "
                f"name one of {', '.join(numbers)}."
            )
        if entry.done:
            self._study.tell(trial, float(value or 0))
        else:
            self._study.tell(trial, state=TrialState.FAIL)
        self._told += 1

    def _suggest(self, trial: Trial, name: str) -> Value:
        space = self._search.space[name]
        if not isinstance(space, Range):
            return cast("Value", trial.suggest_categorical(name, space))
        if all(isinstance(each, int) for each in (space.low, space.high, space.step or 1)):
            step = int(space.step or 1)
            return trial.suggest_int(
                name, int(space.low), int(space.high), step=step, log=space.log
            )
        return trial.suggest_float(name, space.low, space.high, step=space.step, log=space.log)

    def _take_up(self) -> int:
        """Have the trials that this sweep left unfinished tried again; how many have ended."""
        from optuna.trial import TrialState

        ended = 0
        for trial in self._study.get_trials(deepcopy=False):
            if trial.state is TrialState.RUNNING and trial.user_attrs.get(OWNER) == self._owner:
                self._study.tell(trial.number, state=TrialState.FAIL)
                self._study.enqueue_trial(trial.params, user_attrs={OWNER: self._owner})
            elif trial.state is TrialState.COMPLETE:
                ended += 1
        return ended

    def _open_study(self, folder: Path) -> Study:
        try:
            import optuna
        except ModuleNotFoundError:
            raise MissingToolError(
                "A search needs the package optuna, which is not installed; install it with pip "
                'install "stepnet[sweep]", or give a [grid].'
            ) from None
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        storage = self._search.storage or f"sqlite:///{folder.resolve() / DATABASE}"
        try:
            study = optuna.create_study(
                study_name=self._plan.name,
                storage=storage,
                direction="maximize" if self._search.direction == "maximize" else "minimize",
                load_if_exists=True,
            )
            # The same seed would draw the same points again.
            drawn = len(study.get_trials(deepcopy=False))
            study.sampler = optuna.samplers.TPESampler(seed=self._search.seed + drawn)
            return study
        except Exception as error:
            # SQLAlchemy, its drivers and Optuna fail in many ways.
            raise SweepError(
                f"The storage {_without_password(storage)!r} of the search cannot be used "
                f"({_first_line(error)}); name a database that there is, such as "
                "sqlite:///search.db."
            ) from error


def _without_password(url: str) -> str:
    scheme, separator, rest = url.partition("://")
    return scheme + separator + rest.rpartition("@")[2]


def _first_line(error: Any) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0].removesuffix(".")
