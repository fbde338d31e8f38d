"""Functional coverage: counts what benches exercise of all that they have to exercise."""

from __future__ import annotations

import atexit
import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

from stepnet.link.messages import Answer, Refusal, Request
from stepnet.networks.network import MAX_WEIGHT_BITS, Readout

COVERAGE_VARIABLE = "STEPNET_FUNCTIONAL_COVERAGE"
"""The environment variable that names the file in which this process leaves its counts at its end.
"""

POINTS: dict[str, tuple[str, ...]] = {
    "engine: readout": tuple(readout.value for readout in Readout),
    "engine: weight bits": tuple(str(bits) for bits in range(1, MAX_WEIGHT_BITS + 1)),
    "engine: layers": ("1", "2", "3", "4"),
    "engine: last word of a row": ("full", "partly filled"),
    "engine: convolution over": ("an image", "a map"),
    "engine: stride": ("1", "2"),
    "engine: padding": ("yes", "no"),
    "engine: pooling": ("yes", "no"),
    "engine: windows at once": ("1", "2"),
    "engine: images": ("one by one", "back to back"),
    "engine: pauses": ("nobody", "loads", "pixels", "readings"),
    "engine: load refused": ("OUT_OF_RANGE", "WRONG_LENGTH"),
    "engine: half an image forgotten": ("yes",),
    "chip: request": tuple(request.name for request in Request),
    "chip: answer": tuple(answer.name for answer in Answer),
    "chip: refusal": tuple(refusal.name for refusal in Refusal),
    "chip: requests in flight": ("one", "several"),
    "chip: serial line": ("busy", "pausing"),
    "chip: frame": ("good", "broken"),
}
"""The points that have to be exercised, and the bins of each."""

_hits: Counter[tuple[str, str]] = Counter()


def cover(point: str, value: Any) -> None:
    """Count that `value` of `point` was exercised.

    Raises ValueError if there is no such bin, so that none is forgotten in `POINTS`.
    """
    if str(value) not in POINTS.get(point, ()):
        raise ValueError(f"There is no bin {value!s} of {point!r}; add it to POINTS.")
    _hits[point, str(value)] += 1


def missed(hits: Counter[tuple[str, str]], point: str) -> list[str]:
    """The bins of a point that were never hit."""
    return [value for value in POINTS[point] if not hits[point, value]]


def read_hits(path: Path) -> Counter[tuple[str, str]]:
    """The counts that a process left; none if it left no file."""
    if not path.exists():
        return Counter()
    return Counter({(point, value): hits for point, value, hits in json.loads(path.read_text())})


@atexit.register
def _leave_hits() -> None:
    where = os.environ.get(COVERAGE_VARIABLE)
    if where and _hits:
        rows = [[point, value, hits] for (point, value), hits in sorted(_hits.items())]
        Path(where).write_text(json.dumps(rows))
