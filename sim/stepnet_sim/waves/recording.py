"""The values that every signal of a simulated chip had, read from the VCD of the simulation."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

_NUMBERED = re.compile(r"\$\d+$")
"""The number that Amaranth puts behind a name which another object of the scope has already."""


@dataclass(frozen=True)
class Variable:
    """A signal by the name that it has in one scope; it may have others in other scopes.

    scope: the names of the scopes from the chip's own down; () for the chip itself.
    kind: "wire" or "string".
    signal: the signal's identifier, the same for all its names.
    """

    scope: tuple[str, ...]
    name: str
    kind: str
    width: int
    signal: str


@dataclass
class Recording:
    """A chip's signals over some clock cycles.

    A cycle lasts from one rising edge of the clock to the next; what a register holds in it, it
    took at the first of the two edges.

    variables: the names of all signals, in the order of the scopes.
    changes: (time in fs, signal, value) in the order of time; a value is a binary number in digits,
        or text.
    edges_fs: (cycles + 1,) int64, the times of the rising edges of the clock.
    """

    variables: list[Variable]
    changes: list[tuple[int, str, str]]
    edges_fs: NDArray[np.int64]
    _by_name: dict[str, Variable] = field(init=False)
    _by_signal: dict[str, tuple[list[int], list[str]]] = field(init=False)

    def __post_init__(self) -> None:
        self._by_name = {}
        for variable in self.variables:
            self._by_name.setdefault(".".join((*variable.scope, variable.name)), variable)
        self._by_signal = {variable.signal: ([], []) for variable in self.variables}
        for time_fs, signal, value in self.changes:
            times, values = self._by_signal[signal]
            times.append(time_fs)
            values.append(value)

    @property
    def cycles(self) -> int:
        """How many clock cycles were recorded."""
        return len(self.edges_fs) - 1

    def since(self, cycle: int) -> Recording:
        """The recording from the start of a cycle on, which becomes the new cycle 0 and time 0."""
        start_fs = int(self.edges_fs[cycle])
        before = {signal: value for time_fs, signal, value in self.changes if time_fs < start_fs}
        changes = [(0, signal, value) for signal, value in before.items()]
        changes += [
            (time_fs - start_fs, signal, value)
            for time_fs, signal, value in self.changes
            if time_fs >= start_fs
        ]
        return Recording(self.variables, changes, self.edges_fs[cycle:] - start_fs)

    def texts(self, name: str) -> list[str]:
        """The value of a signal in every cycle, as it stands in `changes`."""
        times, values = self._by_signal[self._by_name[name].signal]
        # What changes at an edge belongs to the cycle that it begins.
        return [values[bisect_left(times, edge) - 1] for edge in self.edges_fs[1:].tolist()]

    def numbers(self, name: str) -> list[int]:
        """The value of a signal in every cycle, as an unsigned number of any width."""
        return [int(text, 2) for text in self.texts(name)]

    def flags(self, name: str) -> NDArray[np.bool_]:
        """Whether a signal of one bit is 1, for every cycle."""
        return np.array(self.texts(name)) == "1"


def read_vcd(lines: Iterable[str], memories: Iterable[tuple[str, ...]]) -> Recording:
    """Read the VCD that `amaranth.sim` writes of a design whose clock is `clk`.

    memories: the scopes of memories, whose rows are left out.
    """
    rows = {(memory[:-1], f"{memory[-1]}[") for memory in memories}
    variables: list[Variable] = []
    scope: list[str] = []
    lines = iter(lines)
    for line in lines:
        words = line.split()
        match words:
            case ["$scope", _, name, _]:
                scope.append(_NUMBERED.sub("", name))
            case ["$upscope", _]:
                scope.pop()
            case ["$var", kind, width, signal, name, _]:
                name = name.removeprefix("\\")
                inside = tuple(scope[2:])  # below the simulator's two scopes
                is_row = any(inside == place and name.startswith(row) for place, row in rows)
                if int(width) and not is_row:
                    variables.append(Variable(inside, name, kind, int(width), signal))
            case ["$enddefinitions", _]:
                break
            case _:
                pass
    changes = _changes(lines, {variable.signal for variable in variables})
    clock = next(variable.signal for variable in variables if variable.name == "clk")
    edges = [time_fs for time_fs, signal, value in changes if (signal, value) == (clock, "1")]
    return Recording(variables, changes, np.array(edges, dtype=np.int64))


def _changes(lines: Iterable[str], signals: set[str]) -> list[tuple[int, str, str]]:
    changes: list[tuple[int, str, str]] = []
    time_fs = 0
    for line in lines:
        first = line[0]
        if first == "#":
            time_fs = int(line[1:])
            continue
        if first in "01":
            value, signal = first, line[1:].rstrip("\n")
        elif first in "bs":
            value, _, signal = line[1:].rstrip("\n").rpartition(" ")
        else:
            continue  # $dumpvars and its end
        if signal in signals:
            changes.append((time_fs, signal, value))
    return changes
