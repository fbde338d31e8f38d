"""Runs the tools: synthesis once, place and route for every seed, packing for the best."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from stepnet_hdl.flow.build_plan import Plan
from stepnet_hdl.flow.seeds import Placed, open_journal, open_workers, place_with_seeds
from stepnet_hdl.flow.tool_run import run_tool
from stepnet_hdl.flow.tools import Tool


@dataclass(frozen=True)
class Progress:
    """Where a build is: the step that begins, and how many of how many are done."""

    step: str
    done: int
    total: int


@dataclass(frozen=True)
class Built:
    """What the tools made.

    bitstream: the file to program.
    best: the run of place and route that it comes from.
    seeds_hz: the frequency that each seed reached.
    seconds: by step.
    """

    bitstream: Path
    best: Placed
    seeds_hz: dict[int, int]
    seconds: dict[str, float]


def run_flow(
    plan: Plan,
    tools: Mapping[str, Tool],
    folder: Path,
    *,
    kept: Path,
    seeds: Sequence[int],
    first_seed: bool = False,
    scheduler: str | None = None,
    progress: Callable[[Progress], None],
) -> Built:
    """Make the bitstream of `plan` in `folder`; the best seed is the one with the fastest clock, or
    with `first_seed` the first that meets the clock, if one does.

    tools: by the names that the plan has for them.
    kept: a folder for what is done until it is whole; for this plan, these tools and seeds alone.
    seeds: of place and route, as many at a time as this machine has cores or the workers take.
    scheduler: the address of a Dask scheduler whose workers place and route; None for this machine.

    Raises ToolFailedError if a tool fails, WorkersError if there is no such scheduler, or it has no
    workers that could run it.
    """
    total = 2 + len(seeds)
    done = 0
    seconds: dict[str, float] = {}

    def say(words: str, placed: int = 0) -> None:
        nonlocal done
        done = max(done, 1 + placed)
        progress(Progress(words, done, total))

    for name, content in plan.files.items():
        (folder / name).write_text(content)
    with ExitStack() as stack:
        journal = stack.enter_context(open_journal(kept))
        workers = open_workers(scheduler, len(seeds), journal, say)
        stack.callback(workers.close)

        started_s = time.monotonic()
        name, *arguments = plan.synthesis
        progress(Progress(f"Synthesis with {tools[name]}", 0, total))
        run_tool(tools[name], arguments, folder)
        if plan.netlist_pass is not None:
            plan.netlist_pass(folder / plan.netlist_name)
        seconds["synthesis"] = time.monotonic() - started_s

        started_s = time.monotonic()
        placer = tools[plan.place_and_route[0]]
        say(f"Place and route with {placer}")
        best, seeds_hz = place_with_seeds(
            plan, placer, folder, seeds, workers, journal, first_seed=first_seed, say=say
        )
        seconds["place and route"] = time.monotonic() - started_s

    started_s = time.monotonic()
    name, *arguments = plan.packing
    progress(Progress(f"Packing with {tools[name]}", total - 1, total))
    run_tool(tools[name], arguments, best.folder)
    seconds["packing"] = time.monotonic() - started_s
    return Built(best.folder / plan.bitstream_name, best, seeds_hz, seconds)
