"""What came of a bench's tests, as cocotb writes it down: which passed, and where one failed."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

_FRAME = re.compile(r'^  File "(?P<file>.+)", line (?P<line>\d+), in .+$')
"""A place in a traceback; in the line below it stands what is written there."""

_WHERE = re.compile(r"^ *\+  *(where|and) ")
"""How pytest continues what it says of an assert: which part of it had which value."""

_VALUE = re.compile(r"Logic(?:Array)?\('(?P<bits>[^']*)'(?:, Range\([^)]*\))?\)")
"""A value of a signal as cocotb shows it."""


@dataclass(frozen=True)
class TestResult:
    """What came of one test.

    failure: the kind of exception and what it says, or for an assert what it says; "" if the test
        passed.
    file, line: the place in the bench that failed, the file by its path; "" and 0 if the test
        passed, or if it failed somewhere else.
    statement: what is written in that line.
    time_ns: the simulated time at which the test ended.
    """

    __test__ = False  # it is no test of pytest's

    name: str
    failure: str = ""
    file: str = ""
    line: int = 0
    statement: str = ""
    time_ns: float = 0.0

    @property
    def passed(self) -> bool:
        """Whether the test passed, or was left out."""
        return not self.failure

    def __str__(self) -> str:
        """What came of it, in a line; where it failed, the statement and its values below."""
        if self.passed:
            return f"{self.name} passes"
        where = f" in line {self.line} of {Path(self.file).name}" if self.file else ""
        lines = [self.statement, *self.failure.splitlines()]
        told = "\n".join(f"    {line}" for line in lines if line)
        return f"{self.name} fails at {self.time_ns:g} ns{where}:\n{told}"


def read_results(results: Path, bench: Path | None) -> list[TestResult]:
    """The results in an XML file of cocotb's, in the order in which the tests ran.

    bench: the file with the tests; a failure is shown at the innermost place in it, or if None at
        the innermost place anywhere.
    """
    cases = ElementTree.parse(results).getroot().iter("testcase")
    return [_result(case, bench) for case in cases]


def _result(case: ElementTree.Element, bench: Path | None) -> TestResult:
    name = case.get("name", "")
    properties = {each.get("name"): each.get("value", "") for each in case.iter("property")}
    time_ns = float(properties.get("sim_time_stop", 0.0))
    failure = case.find("failure")
    if failure is None:
        failure = case.find("error")
    if failure is None:
        return TestResult(name, time_ns=time_ns)
    file, line, statement = _place(failure.text or "", bench)
    kind, message = failure.get("type", ""), failure.get("message", "")
    if kind == "AssertionError":
        told = "\n".join(line for line in message.splitlines() if not _WHERE.match(line))
    else:
        told = ": ".join(part for part in (kind, message) if part)
    # An assert that says nothing fails all the same.
    return TestResult(name, _shorter(told) or kind or "failed", file, line, statement, time_ns)


def _place(traceback: str, bench: Path | None) -> tuple[str, int, str]:
    """File, line and statement of the innermost place of a traceback that lies in the bench."""
    lines = traceback.splitlines()
    found = ("", 0, "")
    for number, line in enumerate(lines):
        if (frame := _FRAME.match(line)) is None:
            continue
        if bench is None or Path(frame["file"]) == bench:
            after = lines[number + 1].strip() if number + 1 < len(lines) else ""
            found = (frame["file"], int(frame["line"]), after)
    return found


def _shorter(told: str) -> str:
    """The text with signals' values as binary numbers, without how cocotb wraps them."""
    return _VALUE.sub(r"0b\g<bits>", told)
