"""What options of synthesis do to area and clock, each built with several seeds.

    python benchmarks/synthesis_options.py [--board BOARD] [--seeds N] [--json]

The first row has no options; `Family.synthesis_options` in `stepnet_hdl.fpga.families` has
those that are used.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path

from stepnet.errors import BuildError
from stepnet.link.serial_line import DEFAULT_BAUD
from stepnet_hdl.boards.catalogue import find_board
from stepnet_hdl.flow import report
from stepnet_hdl.flow.build_plan import make_plan
from stepnet_hdl.flow.run import run_flow
from stepnet_hdl.flow.tools import find_flow_tool

OPTIONS = {
    "iCE40": ((), ("-dff",)),
    "ECP5": ((), ("-nowidelut",)),
    "GW1N": ((), ("-nowidelut",)),
    "GW2A": ((), ("-nowidelut",)),
    "GW5A": ((), ("-nowidelut",)),
}
"""By the family. -abc9 is no choice: it is what Yosys 0.70 does anyway, and with
the option or without it the netlist is the same."""


def measure(board_name: str, options: Sequence[str], seeds: Sequence[int]) -> dict[str, object]:
    """LUTs, and the frequency that the best seed and the middle one reach, in MHz."""
    board = find_board(board_name)
    plan = make_plan(board, baud=DEFAULT_BAUD, synthesis_options=options)
    tools = {name: find_flow_tool(name) for name in plan.tool_names}
    row: dict[str, object] = {"board": board_name, "options": " ".join(options)}
    with tempfile.TemporaryDirectory(prefix="stepnet-") as folder:
        try:
            work, kept = Path(folder, "work"), Path(folder, "kept")
            work.mkdir()
            built = run_flow(plan, tools, work, kept=kept, seeds=seeds, progress=lambda _: None)
        except BuildError as error:
            return {**row, "failed": str(error)}
    reached_hz = sorted(built.seeds_hz.values())
    return {
        **row,
        "luts": report.luts(built.best.report, board.part.family.cells)[0],
        "best_mhz": round(reached_hz[-1] / 1e6, 1),
        "middle_mhz": round(reached_hz[len(reached_hz) // 2] / 1e6, 1),
        "synthesis_s": round(built.seconds["synthesis"]),
    }


def main() -> None:
    """Print one line, or one JSON object, for each choice of options."""
    parser = argparse.ArgumentParser(description="What options of synthesis do.")
    parser.add_argument("--board", default="icebreaker")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--json", action="store_true", help="print one JSON object a line")
    arguments = parser.parse_args()
    for options in OPTIONS[find_board(arguments.board).part.family.name]:
        row = measure(arguments.board, options, range(1, arguments.seeds + 1))
        if arguments.json:
            print(json.dumps(row), flush=True)
        else:
            print("  ".join(f"{name} {value or '-'}" for name, value in row.items()), flush=True)


if __name__ == "__main__":
    main()
