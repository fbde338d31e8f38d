"""Runs a tool of the flow in a folder, and finds what it says of its first error."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from stepnet.errors import BuildError
from stepnet.programs import run_program
from stepnet_hdl.flow.tools import Tool


class ToolFailedError(BuildError):
    """A tool of the flow failed.

    log: everything that it printed or wrote into its logs.
    """

    def __init__(self, reason: str, log: str) -> None:
        super().__init__(reason)
        self.log = log


def run_tool(tool: Tool, arguments: Sequence[str], folder: Path) -> None:
    """Run a tool in `folder`; ToolFailedError if it fails."""
    done = run_program([tool.path, *arguments], cwd=folder)
    if done.returncode:
        logs = [path.read_text(errors="replace") for path in _logs(folder)]
        log = "\n".join([*logs, done.stdout, done.stderr])
        raise ToolFailedError(f"{tool.name}: {_first_error(log)}", log)


def _logs(folder: Path) -> list[Path]:
    return sorted([*folder.glob("*.rpt"), *folder.glob("*.tim")])


def _first_error(log: str) -> str:
    """What a tool says of its first error, with the indented lines that go on with it: those that
    come after are what the first one led to."""
    found = re.search(
        r"^.*?\berror: *(.*(?:\n[ \t]+\S.*)*)$", log, flags=re.IGNORECASE | re.MULTILINE
    )
    return " ".join(found[1].split()) if found else "it did not say why"
