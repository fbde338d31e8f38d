"""The file that says what a sweep is: a command, what its options may be, and how to choose.

    [sweep]
    command = "train"              # or evaluate, build, estimate

    [fixed]                        # options with one value
    data = "mnist"
    epochs = 3

    [grid]                         # options with several: every combination is a point
    rule = ["surrogate", "delta"]
    seed = [0, 1, 2]

    [[points]]                     # or each by itself, beside what is fixed
    weight-bits = "1,1,8"

    [search]                       # or as Optuna chooses
    metric = "accuracy"
    trials = 50

    [search.space]
    learning-rate = {low = 1e-4, high = 1e-2, log = true}
    hidden = ["128,64", "256,128"]

Options are those of the command; `_` is as good as `-`.
"""

from __future__ import annotations

import difflib
import itertools
import os
import re
import tomllib
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias, TypeGuard, cast

from stepnet.files import read_text
from stepnet.sweeps.errors import SweepError
from stepnet.sweeps.point import Point, Value

MOST_FILE_BYTES = 8 << 20
MOST_POINTS = 1_000_000

TABLES = ("sweep", "fixed", "grid", "points", "search")
SWEEP_KEYS = ("name", "command", "results", "keep_files")
SEARCH_KEYS = ("metric", "direction", "trials", "seed", "storage", "space")
RANGE_KEYS = ("low", "high", "step", "log")

DIRECTIONS = ("maximize", "minimize")
"""As Optuna calls them."""

RESULTS = ("csv", "parquet")
"""The formats of the table of results."""

ARGUMENT = "network"
"""What a command takes as its argument is named so, if it takes one."""

CALLED = "called"
"""The key of a point of [[points]] that says how it is called."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,99}")


@dataclass(frozen=True)
class Range:
    """The numbers that an option may be in a search.

    step: between neighbours; None for any number.
    log: equal factors are equally likely, instead of equal differences.
    """

    low: int | float
    high: int | float
    step: int | float | None = None
    log: bool = False


Space: TypeAlias = "Mapping[str, Range | tuple[Value, ...]]"


@dataclass(frozen=True)
class SearchPlan:
    """How a search goes.

    metric: the entry of a point's result that counts, with dots between nested ones.
    direction: of `DIRECTIONS`.
    trials: how many points are measured in all.
    seed: of what is drawn.
    storage: the URL of a database that Optuna takes; None for a file in the sweep's folder.
    space: what each option may be.
    """

    metric: str
    direction: str
    trials: int
    seed: int
    storage: str | None
    space: Space


@dataclass(frozen=True)
class CommandOptions:
    """What is known of a command that a sweep may run.

    options: the names that it takes, without dashes before them, and whether each is a flag.
    own: those that the sweep gives itself.
    takes_argument: whether it has an argument, which a sweep calls `network`.
    """

    options: Mapping[str, bool]
    own: Collection[str] = ()
    takes_argument: bool = False

    @property
    def names(self) -> list[str]:
        """Whatever a sweep may say of it."""
        named = [name for name in self.options if name not in self.own]
        return [*named, ARGUMENT] if self.takes_argument else named


@dataclass(frozen=True)
class SweepPlan:
    """What a sweep is.

    name: how it is called; tells its results from those of another.
    command: that every point runs.
    results: the format of the table of results, of `RESULTS`.
    keep_files: keep what points make.
    fixed: the options that all points share.
    points: all of them, in order, each once; none for a search.
    search: None for a table of points.
    """

    name: str
    command: str
    results: str
    keep_files: bool
    fixed: Mapping[str, Value]
    points: tuple[Point, ...]
    search: SearchPlan | None


def read_sweep(path: Path, commands: Mapping[str, CommandOptions]) -> SweepPlan:
    """The sweep that a file describes.

    commands: those that a sweep may run, by name.

    Raises SweepError if there is no such file, or what is in it makes no sense.
    """
    told = _read_toml(path)
    where = str(path)
    _check_keys(told, TABLES, where, "")
    head = _table(told, "sweep", where)
    _check_keys(head, SWEEP_KEYS, where, "sweep")
    command = _word(head, "command", "", where, "sweep", commands)
    options = commands[command]
    name = str(head.get("name", path.stem))
    if not _NAME.fullmatch(name):
        raise SweepError(
            f"The sweep in {where!r} is called {name[:80]!r}; give a name of letters, digits and "
            "the characters . _ + and -."
        )
    fixed = {
        key: _value(value, key, where)
        for key, value in _options(_table(told, "fixed", where), options, where, "fixed").items()
    }
    search = _search(told, options, fixed, where)
    points = () if search else tuple(_points(told, command, options, fixed, where))
    keep_files = head.get("keep_files", True)
    if not isinstance(keep_files, bool):
        raise SweepError(f"In {where!r}, keep_files is {keep_files!r}; give true or false.")
    return SweepPlan(
        name=name,
        command=command,
        results=_word(head, "results", RESULTS[0], where, "sweep", RESULTS),
        keep_files=keep_files,
        fixed=fixed,
        points=points,
        search=search,
    )


def make_point(
    command: str, settings: Mapping[str, Value], options: CommandOptions, called: str = ""
) -> Point:
    """The point with these settings, of which one may be the command's argument."""
    given = dict(settings)
    argument = str(given.pop(ARGUMENT, "")) if options.takes_argument else ""
    return Point(command, given, argument, called)


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(read_text(path, MOST_FILE_BYTES))
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise SweepError(
            f"The sweep file {str(path)!r} cannot be read ({reason}); name a .toml as "
            "docs/sweeps.md has it."
        ) from error
    except (ValueError, RecursionError) as error:
        raise SweepError(
            f"The sweep file {str(path)!r} is no TOML ({str(error).removesuffix('.')}); correct it "
            "after the example in docs/sweeps.md."
        ) from None


def _table(told: Mapping[str, Any], name: str, where: str) -> dict[str, Any]:
    found = told.get(name, {})
    if not isinstance(found, dict):
        raise SweepError(f"In {where!r}, {name} is {found!r}; make it a table, [{name}].")
    return cast(dict[str, Any], found)


def _check_keys(
    told: Iterable[str], known: Collection[str], where: str, table: str, what: str = "key"
) -> None:
    """Refuse a key that there is not, with the nearest one that there is."""
    for key in told:
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
            instead = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(known)}."
            place = f"the table [{table}] of {where!r}" if table else repr(where)
            raise SweepError(f"There is no {what} {key!r} in {place}; {instead}")


def _word(
    told: Mapping[str, Any], key: str, usual: str, where: str, table: str, known: Collection[str]
) -> str:
    given = told.get(key, usual)
    if given not in known:
        near = difflib.get_close_matches(str(given), known, n=1)
        instead = f"did you mean {near[0]!r}?" if near else f"give one of {', '.join(known)}."
        raise SweepError(f"In the table [{table}] of {where!r}, {key} is {given!r}; {instead}")
    return str(given)


def _options(
    told: Mapping[str, Any], options: CommandOptions, where: str, table: str
) -> dict[str, Any]:
    """The entries of a table by the names that the options have on a command line."""
    named = {key.replace("_", "-"): value for key, value in told.items()}
    for key in named:
        if key in options.own:
            raise SweepError(
                f"The option {key!r} in the table [{table}] of {where!r} is given by the sweep "
                "itself; leave it out."
            )
    _check_keys(named, options.names, where, table, "option")
    for key, value in named.items():
        if options.options.get(key) and not all(isinstance(each, bool) for each in _all(value)):
            raise SweepError(
                f"The option {key!r} in the table [{table}] of {where!r} is a flag, and {value!r} "
                "is none; give true or false."
            )
    return named


def _all(value: object) -> list[object]:
    return cast(list[object], value) if isinstance(value, list) else [value]


def _value(value: object, key: str, where: str) -> Value:
    if isinstance(value, str | int | float):
        return value
    raise SweepError(
        f"The option {key!r} in {where!r} is {value!r}; give text, a number, true or false."
    )


def _values(value: object, key: str, where: str) -> tuple[Value, ...]:
    if not isinstance(value, list) or not value:
        raise SweepError(
            f"The option {key!r} in {where!r} is {value!r}; give a list of values, or move it to "
            "[fixed]."
        )
    return tuple(_value(each, key, where) for each in cast(list[object], value))


def _points(
    told: Mapping[str, Any],
    command: str,
    options: CommandOptions,
    fixed: Mapping[str, Value],
    where: str,
) -> Iterable[Point]:
    """Every combination of the grid, then the points that are told one by one; each once."""
    grid = {
        key: _values(value, key, where)
        for key, value in _options(_table(told, "grid", where), options, where, "grid").items()
    }
    count = 1
    for values in grid.values():
        count *= len(values)
    if count > MOST_POINTS:
        raise SweepError(
            f"The grid in {where!r} has {count} points, and at most {MOST_POINTS} are taken; "
            "leave some out, or use [search]."
        )
    listed = told.get("points", [])
    if not isinstance(listed, list) or not all(
        isinstance(each, dict) for each in cast(list[object], listed)
    ):
        raise SweepError(f"In {where!r}, points is no list of tables; write each as [[points]].")
    found: dict[str, Point] = {}
    if grid or not listed:
        for values in itertools.product(*grid.values()):
            settings = {**fixed, **dict(zip(grid, values, strict=True))}
            point = make_point(command, settings, options)
            found.setdefault(point.key, point)
    for each in cast(list[dict[str, Any]], listed):
        called = str(each.pop(CALLED, ""))
        if called and not _NAME.fullmatch(called):
            raise SweepError(
                f"A point in {where!r} is called {called[:80]!r}; give a name of letters, digits "
                "and the characters . _ + and -."
            )
        own = _options(each, options, where, "points")
        settings = {**fixed, **{key: _value(value, key, where) for key, value in own.items()}}
        point = make_point(command, settings, options, called)
        found.setdefault(point.key, point)
    (name, times), *_ = Counter(point.name for point in found.values()).most_common(1)
    if times > 1:
        raise SweepError(f"Two points in {where!r} are called {name!r}; rename one.")
    return found.values()


def _search(
    told: Mapping[str, Any], options: CommandOptions, fixed: Mapping[str, Value], where: str
) -> SearchPlan | None:
    if "search" not in told:
        return None
    for other in ("grid", "points"):
        if other in told:
            raise SweepError(
                f"The file {where!r} has [{other}] and [search]; a search chooses its points, so "
                "leave one of them out."
            )
    search = _table(told, "search", where)
    _check_keys(search, SEARCH_KEYS, where, "search")
    space = _options(_table(search, "space", where), options, where, "search.space")
    if not space or "metric" not in search:
        raise SweepError(
            f"The search in {where!r} needs a metric, which is an entry of what the command prints "
            "with --json, and a [search.space]."
        )
    for key in space:
        if key in fixed:
            raise SweepError(
                f"The option {key!r} is in [fixed] and in [search.space] of {where!r}; leave one "
                "out."
            )
    trials, seed = search.get("trials", 100), search.get("seed", 0)
    for name, number, least in (("trials", trials, 1), ("seed", seed, 0)):
        if not isinstance(number, int) or number < least:
            raise SweepError(
                f"In the table [search] of {where!r}, {name} is {number!r}; give a whole number "
                f"from {least} on."
            )
    storage = search.get("storage")
    return SearchPlan(
        metric=str(search["metric"]),
        direction=_word(search, "direction", DIRECTIONS[0], where, "search", DIRECTIONS),
        trials=trials,
        seed=seed,
        storage=None if storage is None else str(storage),
        space={key: _choice(value, key, where) for key, value in space.items()},
    )


def _choice(value: object, key: str, where: str) -> Range | tuple[Value, ...]:
    if not isinstance(value, dict):
        return _values(value, key, where)
    told = cast(dict[str, Any], value)
    _check_keys(told, RANGE_KEYS, where, f"search.space.{key}")
    low, high, step, log = (told.get(name) for name in RANGE_KEYS)
    if (
        not (_is_number(low) and _is_number(high) and (step is None or _is_number(step)))
        or low > high
        or (log and (low <= 0 or step is not None))
    ):
        raise SweepError(
            f"The range of {key!r} in {where!r} is {value!r}; give numbers low and high, low no "
            "larger than high, and step or, above 0, log = true."
        )
    return Range(low, high, step, bool(log))


def _is_number(value: object) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)
