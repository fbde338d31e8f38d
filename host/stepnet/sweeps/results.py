"""The table of results: a row for each point, with its command."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, cast

from stepnet.errors import MissingToolError
from stepnet.files import write_text, write_whole
from stepnet.sweeps.errors import SweepError
from stepnet.sweeps.journal import Entry

FIRST, LAST = ("point", "command"), ("error", "seconds", "worker")
"""The columns before and after those of settings and results."""


def write_results(path: Path, entries: Iterable[Entry]) -> None:
    """Write the table as CSV or, if the name ends in .parquet, as Parquet.

    Columns are the point's name, its command, its options, as `result.NAME` what its command
    printed, its error, seconds and worker. Lists are written as JSON.

    Raises SweepError if it cannot be written, MissingToolError if a package for it is missing.
    """
    rows = [_row(entry) for entry in entries]
    named = dict.fromkeys(name for row in rows for name in row if name not in LAST)
    columns = [*dict.fromkeys([*FIRST, *named]), *LAST]
    try:
        if path.suffix == ".parquet":
            _write_parquet(path, columns, rows)
        else:
            _write_csv(path, columns, rows)
    except OSError as error:
        raise SweepError(
            f"The table of results {str(path)!r} cannot be written ({error.strerror or error}); "
            "make room there, and the same command writes it: every point that is done is kept."
        ) from error


def _row(entry: Entry) -> dict[str, Any]:
    return {
        "point": entry.name,
        "command": entry.command,
        **entry.settings,
        **{f"result.{name}": value for name, value in flat(entry.result).items()},
        "error": entry.error,
        "seconds": entry.seconds,
        "worker": entry.worker,
    }


def flat(result: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """What a command printed without nesting: names with dots between, and lists as JSON."""
    found: dict[str, Any] = {}
    for name, value in result.items():
        if isinstance(value, dict):
            found |= flat(cast(dict[str, Any], value), f"{before}{name}.")
        else:
            found[before + name] = json.dumps(value) if isinstance(value, list) else value
    return found


def _write_csv(path: Path, columns: list[str], rows: list[dict[str, Any]]) -> None:
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, text.getvalue())


def _write_parquet(path: Path, columns: list[str], rows: list[dict[str, Any]]) -> None:
    try:
        pyarrow: Any = import_module("pyarrow")  # it has no types
        parquet: Any = import_module("pyarrow.parquet")
    except ModuleNotFoundError:
        raise MissingToolError(
            "A table in Parquet needs the package pyarrow, which is not installed; install it with "
            'pip install "stepnet[sweep]", or choose results = "csv".'
        ) from None
    table = pyarrow.table({name: _column([row.get(name) for row in rows]) for name in columns})
    write_whole(path, lambda file: parquet.write_table(table, file))


def _column(values: list[Any]) -> list[Any]:
    """Values of one type; text where there are several, as of an option that is 8 or "1,1,8"."""
    kinds: set[type] = {type(value) for value in values if value is not None}
    if len(kinds) <= 1 or kinds == {int, float}:
        return values
    return [None if value is None else str(value) for value in values]
