"""Place and route with one seed, as a task for a worker: on this machine, or of a cluster.

    python -m stepnet_hdl.flow.place_and_route SEED

runs in a folder with what `seed_task` put there, leaves what nextpnr made, and prints a JSON object
in which `TOOL_FAILED` is null, or why nextpnr failed, whose log is left then.
"""

from __future__ import annotations

import gzip
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from stepnet.errors import MissingToolError
from stepnet.sweeps.work import Task
from stepnet_hdl.flow.tool_run import ToolFailedError, run_tool
from stepnet_hdl.flow.tools import Tool, find_flow_tool

TOOL_REPORT = "nextpnr.json"
PLACED_NETLIST = "stepnet.pnr.json"
LOG = "stepnet.log"

PACKED = ".gz"
"""What the names of netlists end with on their way, which are large and repeat themselves."""

TOOL_FAILED = "tool_failed"

_REQUEST = "request.json"


def seed_task(
    name: str,
    command: Sequence[str],
    tool: Tool,
    files: Mapping[str, bytes],
    seed: int,
    *,
    elsewhere: bool,
) -> Task:
    """The task of one seed.

    command: a tool and its arguments, as in `Plan.place_and_route`.
    tool: that tool here.
    files: what it reads, by name.
    elsewhere: it runs on another machine, which has to have the same tool.
    """
    request = {
        "command": list(command),
        "tool": asdict(tool),
        "files": list(files),
        "elsewhere": elsewhere,
    }
    packed = {name + PACKED: gzip.compress(content, 1) for name, content in files.items()}
    packed[_REQUEST] = json.dumps(request).encode()
    return Task(name, [str(seed)], files=packed, module=__name__)


def main() -> None:
    """Do what the request in this folder says."""
    (seed,) = sys.argv[1:]
    folder = Path()
    request = json.loads((folder / _REQUEST).read_text(encoding="utf-8"))
    command: list[str] = request["command"]
    try:
        tool = _tool(Tool(**request["tool"]), elsewhere=request["elsewhere"])
    except MissingToolError as error:
        print(f"stepnet: {error}", file=sys.stderr)
        raise SystemExit(error.exit_code) from None
    given = {name: folder / (name + PACKED) for name in request["files"]}
    for path in list(folder.iterdir()):
        if path.is_file() and path.name != _REQUEST and path not in given.values():
            path.unlink()  # by a run that was killed
    for name, packed in given.items():
        (folder / name).write_bytes(gzip.decompress(packed.read_bytes()))
        packed.unlink()
    # A clock that is not met is no failure yet: another seed may meet it.
    arguments = [*command[1:], "--seed", seed, "--report", TOOL_REPORT, "--timing-allow-fail"]
    if "--write" not in command:
        arguments += ["--write", PLACED_NETLIST]
    failed: str | None = None
    try:
        run_tool(tool, arguments, folder)
        path = folder / PLACED_NETLIST
        (folder / (PLACED_NETLIST + PACKED)).write_bytes(gzip.compress(path.read_bytes(), 6))
        path.unlink()
    except ToolFailedError as error:
        failed = str(error)
        (folder / LOG).write_text(error.log, encoding="utf-8")
    for name in (*given, _REQUEST):
        (folder / name).unlink()
    print(json.dumps({TOOL_FAILED: failed}))


def _tool(asked: Tool, *, elsewhere: bool) -> Tool:
    """The tool to run: the one that was asked for, or here the same."""
    if not elsewhere:
        return asked
    found = find_flow_tool(asked.name)
    if str(found) != str(asked):
        raise MissingToolError(
            f"The worker has {found}, and the build began with {asked}, which may place otherwise."
        )
    return found


if __name__ == "__main__":
    main()
