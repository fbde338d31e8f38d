"""One point of a sweep: a command with the options that it is given."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

Value: TypeAlias = "str | int | float | bool"
"""Of an option. A flag is given if it is true."""


@dataclass(frozen=True)
class Point:
    """What one run is told.

    command: the command of `stepnet`, such as "train".
    settings: the values of options by their names, without dashes before them.
    argument: what the command is given beside its options, such as the network of `evaluate`.
    called: how the point is called; after its key if empty.
    """

    command: str
    settings: Mapping[str, Value]
    argument: str = ""
    called: str = ""

    @property
    def words(self) -> list[str]:
        """The words of its command line, without the program; the same for the same settings."""
        return [self.command, *([self.argument] if self.argument else []), *words(self.settings)]

    @property
    def text(self) -> str:
        """Its command line, as it is typed."""
        return shlex.join(["stepnet", *self.words])

    @property
    def key(self) -> str:
        """Tells it from all others: twelve hexadecimal digits from its command line."""
        return hashlib.sha256(self.text.encode()).hexdigest()[:12]

    @property
    def name(self) -> str:
        """How it is called."""
        return self.called or f"{self.command}-{self.key}"


def words(settings: Mapping[str, Value]) -> list[str]:
    """Options of a command line, sorted by their names."""
    found: list[str] = []
    for name, value in sorted(settings.items()):
        if value is True:
            found.append(f"--{name}")
        elif value is not False:
            found += [f"--{name}", str(value)]
    return found
