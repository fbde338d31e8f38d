"""The levels of the verification ladder, and what a level says of each of its checks.

`stepnet verify` runs them.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, cast

LEVELS = {
    "blocks": "stepnet_sim.verification.levels.blocks",
    "chip": "stepnet_sim.verification.levels.chip",
    "proofs": "stepnet_sim.verification.levels.proofs",
    "netlist": "stepnet_sim.verification.levels.netlist",
    "bitstream": "stepnet_sim.verification.levels.bitstream",
}
"""Names of the levels, cheapest first, and the module of each, which is a `Level`."""


@dataclass(frozen=True)
class Outcome:
    """What came of one check.

    what: what was checked.
    against: what it has to equal.
    cases: how many cases were tried, or which.
    seconds: how long it took.
    cycles: how many cycles were simulated or looked at; None where that means nothing.
    disagreement: where the two first differ; "" if they do not.
    """

    what: str
    against: str
    cases: str
    seconds: float
    cycles: int | None = None
    disagreement: str = ""

    @property
    def agrees(self) -> bool:
        """Whether no difference was found."""
        return not self.disagreement


class Level(Protocol):
    """The face of a level's module."""

    def run(
        self, folder: Path, progress: Callable[[str], None], boards: Sequence[str] = ()
    ) -> Iterator[Outcome]:
        """Make every check of the level, and give the outcome of each as soon as it is there.

        folder: where logs go, and whatever else may help after a disagreement.
        boards: the boards whose bitstreams the level `bitstream` runs; none for the usual one.
        progress: is told what takes long, in a sentence without a full stop.

        Raises MissingToolError if a tool is missing.
        """
        ...


def level(name: str) -> Level:
    """The level called `name`, a key of `LEVELS`."""
    return cast(Level, importlib.import_module(LEVELS[name]))
