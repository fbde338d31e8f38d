"""Estimated chips beside built ones, as docs/estimate.md.

    python benchmarks/estimate_table.py [--build [ROW ...]] [--route] [--json]

What was built is in benchmarks/estimate_table.json, and the page is written from there in a second.
--build builds rows anew, all or those with these numbers, a new row last: synthesis and nextpnr's
packing, after which all that nextpnr counts is final; a row takes a minute or two. With --route
they are also placed and routed, for their frequency, which takes up to ten minutes more.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import re
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from stepnet.cores.engine.shape import EngineShape
from stepnet.cores.mac.program import MacNetwork
from stepnet.files import write_text
from stepnet.link.serial_line import DEFAULT_BAUD
from stepnet.networks.random_networks import (
    random_relu_network,
    random_sigmoid_network,
    random_spiking_network,
)
from stepnet.networks.relu import ReluNetwork
from stepnet.networks.shipped import load_spiking_network
from stepnet.networks.sigmoid import SigmoidNetwork
from stepnet.networks.spiking import Rows, SpikingNetwork
from stepnet_hdl.boards.catalogue import BoardType, find_board
from stepnet_hdl.boards.chip_clocks import baud_for
from stepnet_hdl.estimation.core_size import core_estimate
from stepnet_hdl.estimation.size import estimate
from stepnet_hdl.flow import report
from stepnet_hdl.flow.build_plan import Plan, make_plan
from stepnet_hdl.flow.tools import find_flow_tool

HERE = Path(__file__).parent
BUILT = HERE / "estimate_table.json"
BUILT_CORES = HERE / "estimate_cores.json"
PAGE = HERE.parent / "docs" / "estimate.md"

ROUTE_MHZ = {"iCE40UP5K": 48, "iCE40HX8K": 120, "LFE5U-25F": 120, "LFE5U-85F": 120}
ROUTE_MHZ |= {"GW1NR-9C": 150, "GW2A-18C": 300, "GW5A-25A": 300}
"""More than is reached, because place and route try no harder than they have to."""

_MEMORY_NAMES = {
    "block": "block RAM",
    "single_port": "single-port RAM",
    "registered": "block RAM, registered",
}

FREQUENCY_LINES = ("set_frequency", "FREQUENCY")
"""Starts of the lines of a constraint file that ask for the board's own clock."""

MULTIPLIERS = ("SB_MAC16", "MULT18X18D")
"""Types of DSP blocks."""

OUTPUT_OPTIONS = ("--asc", "--textcfg", "--log")
"""Of nextpnr, each with a file: there is nothing to write before a chip is placed."""

HEADING = """\
# Estimates

`stepnet estimate --board BOARD --network NETWORK` tells how large and how fast an engine becomes
before anything is built, and picks the one that suits: the one that computes most images per
second, or with `--goal link` the smallest that keeps up with the serial line. `--simd` and `--pe`
leave only such engines to pick from. `stepnet build` with the same goal, SIMD and PE builds the one
that is marked; the last line says how. Without any of them it builds the engine that suits the part
and holds most networks, the one of the bitstreams that come with Stepnet. Beside the LUTs and block
RAMs of the chip stand those of the engine alone, for designs that have no link. The board needs no
`uart`. In Python it is
`stepnet_hdl.estimation.engine_choice.choose_engine(network, board, goal)`; the figures of any shape
come from `stepnet_hdl.estimation.size.estimate(shape, part)`.

There are estimates for iCE40, ECP5 and Gowin parts. [figures.md](figures.md) says which figure is
which.

| figure | how it comes about | how good it is |
|---|---|---|
| block RAMs, single-port RAMs | the rule by which Yosys maps memories (`ram_mapping.py`) | exact |
| cycles | the engine's schedule (`stepnet.cores.engine.cycles`) | exact |
| LUTs | counted from the structure: matches, popcount adders, accumulators, comparisons, \
serialisers, muxes behind banks of RAM, and a constant for link, endpoint and sequencer | within \
15 % over the table below |
| LUTs of the engine alone | those of the chip without the part of its constant that link, pins \
and clock take, 1,096 of 1,940 in the iCE40LP8K's chip by the names of its placed cells; other \
families are taken to be alike | one chip was counted |
| convolutions | LUTs and a longer period on top, from one chip of iCE40 and one of ECP5 | these \
two chips alone; Gowin is taken to be like iCE40 |
| flip-flops | counted in the same way | within 15 % over the table below |
| frequency | a line through a few routed chips per family, over the logarithm of SIMD x PE, and \
what a second register behind the memories gives or a mux behind banks takes | within a tenth of \
the shipped bitstreams, as seeds alone spread; up to 40 % too high for engines that read the \
thresholds of many neurons one by one |

A shape counts as fitting if it still fits when its LUTs come out 15 % above the estimate. The plan
gives a network the memory that it needs and what the same RAMs hold beyond. Where that fits, costs
at most a tenth of the images per second and brings the result earlier, the first layer is computed
while pixels arrive (the column "overlap").

## Estimated and built

Made by `python benchmarks/estimate_table.py`; with `--build` it builds the chips first, with
`--route` it also places and routes them (seed 1). LUTs are what nextpnr counts: ICESTORM_LC on
iCE40, TRELLIS_COMB on ECP5. Every row is a whole chip, with its link.

| part | SIMD x PE | weights in | thresholds per cycle | overlap | LUTs: estimated | built | \
off by | flip-flops: estimated | built | block RAMs: estimated | built | MHz: estimated | built |
|---|---|---|---|---|---|---|---|---|---|---|---|---|---|
"""


CORES_HEADING = """
## Other cores

Of a network that [multiplies](mac.md) or [spikes](spiking.md), as of one of look-up tables, there
is one chip on each part, and `stepnet estimate` tells what that takes: LUTs, flip-flops, DSP blocks
and RAMs, the clock that it is built for, the cycles and the images per second of the core, and
those of the line. Where it does not fit, the error names the boards on which it does; `stepnet
boards` says so of the spiking networks that come with Stepnet. In Python it is
`stepnet_hdl.estimation.core_size.core_estimate(network, board)`.

The chip with a multiply-accumulate core is the same for every ReLU network but for what is in its
memory, and so is that for sigmoid networks: their rows below are the estimate. Of a spiking network
the operations as wide as a potential are counted, among them what a layer does after a comparison
and how it decays, with the LUT RAMs, and the muxes behind banks of block RAM; a constant is fitted.
Its block RAMs are an upper bound: built chips have one to six fewer. Its cycles depend on the
image, and are the mean over the samples that come with Stepnet.

Made by the same script; `--cores` builds the chips.

| network | part | fitted to | LUTs: estimated | built | off by | flip-flops: estimated | built | \
DSP blocks: estimated | built | block RAMs: estimated | built |
|---|---|---|---|---|---|---|---|---|---|---|---|
"""


def _shape(simd: int, pe: int, lanes: int, **others: Any) -> EngineShape:
    return EngineShape(
        **{
            "simd": simd,
            "pe": pe,
            "parameter_lanes": lanes,
            "max_inputs": 1024,
            "max_sum_bits": 16,
            **others,
        }
    )


ROWS = (
    (
        "icebreaker",
        _shape(
            *(64, 1, 1),
            weight_words=16384,
            parameter_words=2048,
            weight_memory="single_port",
            overlap_neurons=1024,
        ),
    ),
    (
        "icebreaker",
        _shape(
            *(16, 4, 1),
            weight_words=16384,
            parameter_words=2048,
            weight_memory="single_port",
            overlap_neurons=1024,
        ),
    ),
    (
        "ice40hx8kbevn",
        _shape(
            *(16, 1, 1),
            weight_words=6656,
            parameter_words=256,
            max_weight_bits=4,
            max_sum_bits=0,
        ),
    ),
    (
        "ice40hx8kbevn",
        _shape(
            *(16, 1, 1),
            weight_words=6656,
            parameter_words=256,
            max_weight_bits=4,
            max_sum_bits=0,
            overlap_neurons=256,
        ),
    ),
    (
        "ice40hx8kbevn",
        _shape(32, 4, 1, weight_words=512, parameter_words=256, overlap_neurons=256),
    ),
    ("ice40hx8kbevn", _shape(16, 16, 4, weight_words=256, parameter_words=256)),
    ("ice40hx8kbevn", _shape(128, 2, 1, weight_words=256, parameter_words=256)),
    (
        "ice40hx8kbevn",
        _shape(256, 1, 1, weight_words=256, parameter_words=256, overlap_neurons=256),
    ),
    (
        "ice40hx8kbevn",
        _shape(16, 4, 1, weight_words=1792, parameter_words=256, weight_memory="registered"),
    ),
    ("ulx3s-25f", _shape(16, 1, 1, weight_words=8192, parameter_words=1024)),
    (
        "ulx3s-25f",
        _shape(
            *(64, 1, 1),
            max_inputs=2048,
            weight_words=8192,
            parameter_words=1024,
            max_sum_bits=0,
            weight_memory="registered",
        ),
    ),
    (
        "ulx3s-25f",
        _shape(
            *(72, 8, 1),
            max_inputs=1008,
            weight_words=512,
            parameter_words=512,
            overlap_neurons=1008,
            weight_memory="registered",
        ),
    ),
    (
        "ulx3s-25f",
        _shape(
            *(128, 8, 2),
            weight_words=512,
            parameter_words=512,
            overlap_neurons=1024,
            weight_memory="registered",
        ),
    ),
    ("ulx3s-25f", _shape(32, 32, 8, weight_words=512, parameter_words=512)),
    (
        "ulx3s-25f",
        _shape(
            *(256, 4, 1),
            weight_words=512,
            parameter_words=512,
            max_sum_bits=0,
            overlap_neurons=256,
            weight_memory="registered",
        ),
    ),
    (
        "ulx3s-85f",
        _shape(
            *(216, 16, 2),
            max_inputs=1080,
            weight_words=512,
            parameter_words=512,
            overlap_neurons=1024,
            weight_memory="registered",
        ),
    ),
    (
        "tangnano9k",
        _shape(64, 1, 1, weight_words=4096, parameter_words=1024, overlap_neurons=1024),
    ),
    ("tangnano9k", _shape(16, 4, 1, weight_words=4096, parameter_words=1024)),
    (
        "tangprimer20k",
        _shape(
            72,
            8,
            2,
            max_inputs=1008,
            weight_words=1024,
            parameter_words=512,
            weight_memory="registered",
        ),
    ),
    (
        "tangprimer20k",
        _shape(
            *(128, 4, 1),
            weight_words=1024,
            parameter_words=512,
            overlap_neurons=256,
            weight_memory="registered",
        ),
    ),
    ("tangprimer25k", _shape(16, 4, 1, weight_words=4096, parameter_words=1024)),
    (
        "tangprimer25k",
        _shape(
            *(128, 4, 1),
            weight_words=1024,
            parameter_words=512,
            overlap_neurons=256,
            weight_memory="registered",
        ),
    ),
)
"""Boards, and the engines that are built for them."""


class CoreRow(NamedTuple):
    """A chip with another core than an engine.

    name: of the network, in the table. make: gives the network. fitted: the estimate's coefficients
    are fitted to it; otherwise it checks them.
    """

    name: str
    board: str
    make: Callable[[], MacNetwork | SpikingNetwork]
    fitted: bool = True


def _random_relu() -> ReluNetwork:
    return random_relu_network(np.random.default_rng(0), (784, 32, 10), height=28)


def _random_sigmoid() -> SigmoidNetwork:
    return random_sigmoid_network(np.random.default_rng(0), (784, 32, 10), height=28)


def _random_spiking(sizes: Sequence[int], **others: Any) -> SpikingNetwork:
    return random_spiking_network(np.random.default_rng(0), sizes, height=28, **others)


CORE_ROWS = (
    CoreRow("784-32-10", "icebreaker", _random_relu),
    CoreRow("784-32-10", "ulx3s-25f", _random_relu),
    CoreRow("784-32-10, sigmoid", "icebreaker", _random_sigmoid),
    CoreRow("784-32-10, sigmoid", "ulx3s-25f", _random_sigmoid),
    CoreRow("digits-spiking", "ulx3s-25f", lambda: load_spiking_network("digits-spiking")),
    CoreRow(
        "random 784-64-10, 4 bits, 2 ticks, counts spikes",
        "ulx3s-25f",
        lambda: _random_spiking((784, 64, 10), ticks=2),
    ),
    CoreRow(
        "random 784-48-32-10, 6 bits, 4 ticks, reads potentials",
        "ulx3s-25f",
        lambda: _random_spiking((784, 48, 32, 10), ticks=4, weight_bits=6, asked=Rows.POTENTIALS),
        fitted=False,
    ),
)
"""Chips with a multiply-accumulate core or a spiking core."""


def build(board_name: str, shape: EngineShape, *, route: bool) -> dict[str, Any]:
    """What a chip takes; with `route` also the frequency that it reaches, in MHz."""
    board = find_board(board_name)
    chip = dataclasses.replace(board.settings, shape=shape)
    shaped = dataclasses.replace(board, chip=chip)
    plan = make_plan(shaped, baud=DEFAULT_BAUD)
    counted = count_cells(plan, board, route=route)
    row = {"board": board_name, "part": board.device, "shape": dataclasses.asdict(shape)}
    return row | counted


def build_core(row: CoreRow) -> dict[str, Any]:
    """What the chip with another core takes, packed."""
    board = find_board(row.board)
    network = row.make()
    plan = make_plan(board, baud=baud_for(network, board), network=network)
    return {
        "network": row.name,
        "board": row.board,
        "part": board.device,
        "fitted": row.fitted,
        **count_cells(plan, board),
    }


def count_cells(plan: Plan, board: BoardType, *, route: bool = False) -> dict[str, Any]:
    """What the chip of a plan takes; with `route` also the frequency that it reaches, in MHz."""
    names = board.part.family.cells
    with tempfile.TemporaryDirectory(prefix="stepnet-") as name:
        folder = Path(name)
        for file_name, content in plan.files.items():
            (folder / file_name).write_text(content)
        _run(plan.synthesis, folder)
        if plan.netlist_pass is not None:
            plan.netlist_pass(folder / plan.netlist_name)
        if route or not names.counted_when_packed:
            found = _routed(plan, board.device, folder)
        else:
            found = _packed(plan, folder)
        netlist = folder / plan.netlist_name
        counted: dict[str, Any] = {
            "luts": report.luts(found, names)[0],
            "flip_flops": _count(netlist, names.synthesised_flip_flop),
            "dsps": _count(netlist, *MULTIPLIERS),
            "block_rams": report.cells(found, names.block_ram)[0],
            "single_port_rams": report.cells(found, names.single_port_ram)[0],
        }
        if "fmax" in found:
            counted["mhz"] = round(report.slowest_clock(found).achieved_hz / 1e6, 1)
    return counted


def _packed(plan: Plan, folder: Path) -> dict[str, Any]:
    """The part of nextpnr's report that it can make before a chip is placed: the cells."""
    log = _run([*_packing_command(plan), "--no-place", "--no-route"], folder)
    counts = re.finditer(r"(\w+): +(\d+)/ *(\d+)", log)
    return {
        "utilization": {
            count[1]: {"used": int(count[2]), "available": int(count[3])} for count in counts
        }
    }


def _routed(plan: Plan, device: str, folder: Path) -> dict[str, Any]:
    """nextpnr's report of the routed chip."""
    for path in (*folder.glob("*.pcf"), *folder.glob("*.lpf")):
        lines = path.read_text().splitlines(keepends=True)
        path.write_text("".join(line for line in lines if not line.startswith(FREQUENCY_LINES)))
    command = list(plan.place_and_route)
    if "--freq" in command:
        at = command.index("--freq")
        del command[at : at + 2]
    command += ["--freq", str(ROUTE_MHZ[device]), "--seed", "1", "--timing-allow-fail"]
    _run([*command, "--report", "nextpnr.json"], folder)
    return json.loads((folder / "nextpnr.json").read_text())


def _packing_command(plan: Plan) -> list[str]:
    command: list[str] = []
    words = iter(plan.place_and_route)
    for word in words:
        if word in OUTPUT_OPTIONS:
            next(words)
        elif word != "--quiet":
            command.append(word)
    return command


def _run(command: Sequence[str], folder: Path) -> str:
    name, *arguments = command
    done = subprocess.run(
        [find_flow_tool(name).path, *arguments],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=True,
    )
    return done.stdout


def _count(netlist: Path, *starts: str) -> int:
    """How many cells are of types that begin so, from the netlist, because nextpnr does not count
    flip-flops apart on iCE40."""
    modules = json.loads(netlist.read_text())["modules"]
    (top,) = (module for module in modules.values() if "top" in module["attributes"])
    return sum(cell["type"].startswith(starts) for cell in top["cells"].values())


def compared(row: dict[str, Any]) -> dict[str, Any]:
    """A built row with what is estimated for it, and the error of the LUTs in percent."""
    expected = estimate(EngineShape(**row["shape"]), row["part"])
    return {
        **row,
        "estimated_luts": expected.luts,
        "estimated_flip_flops": expected.flip_flops,
        "estimated_block_rams": expected.block_rams,
        "estimated_single_port_rams": expected.single_port_rams,
        "estimated_mhz": round(expected.frequency_hz / 1e6, 1),
        "luts_error_percent": round(100 * (expected.luts / row["luts"] - 1), 1),
    }


def compared_core(row: dict[str, Any], core: CoreRow) -> dict[str, Any]:
    """A built row of another core with what is estimated for it."""
    expected = core_estimate(core.make(), find_board(core.board))
    return {
        **row,
        "estimated_luts": expected.luts,
        "estimated_flip_flops": expected.flip_flops,
        "estimated_dsps": expected.dsps,
        "estimated_block_rams": expected.block_rams,
        "core": expected.core,
        "luts_error_percent": round(100 * (expected.luts / row["luts"] - 1), 1),
    }


def cores_section(rows: Sequence[dict[str, Any]]) -> str:
    """The part of the page on other cores."""
    text = CORES_HEADING
    for row in rows:
        cells = (
            row["network"],
            row["part"],
            "yes" if row["fitted"] else "no, held out",
            f"{row['estimated_luts']:,}",
            f"{row['luts']:,}",
            f"{row['luts_error_percent']:+.1f} %",
            f"{row['estimated_flip_flops']:,}",
            f"{row['flip_flops']:,}",
            row["estimated_dsps"],
            row["dsps"],
            row["estimated_block_rams"],
            row["block_rams"],
        )
        text += f"| {' | '.join(map(str, cells))} |\n"
    spiking = [row for row in rows if row["core"] == "spiking core"]
    fitted = max(abs(row["luts_error_percent"]) for row in spiking if row["fitted"])
    held_out = max(abs(row["luts_error_percent"]) for row in spiking if not row["fitted"])
    return (
        f"{text}\nThe largest error of a spiking core's LUTs is {fitted:.1f} % over the rows that "
        f"its constant is fitted to, and {held_out:.1f} % over the one that is held out.\n"
    )


def page(rows: Sequence[dict[str, Any]], cores: Sequence[dict[str, Any]]) -> str:
    """docs/estimate.md."""
    text = HEADING
    for row in rows:
        shape = row["shape"]
        cells = (
            row["part"],
            f"{shape['simd']} x {shape['pe']}",
            _MEMORY_NAMES[shape["weight_memory"]],
            shape["parameter_lanes"],
            "yes" if shape["overlap_neurons"] else "no",
            f"{row['estimated_luts']:,}",
            f"{row['luts']:,}",
            f"{row['luts_error_percent']:+.1f} %",
            f"{row['estimated_flip_flops']:,}",
            f"{row['flip_flops']:,}",
            row["estimated_block_rams"],
            row["block_rams"],
            row["estimated_mhz"],
            row.get("mhz", "not routed"),
        )
        text += f"| {' | '.join(map(str, cells))} |\n"
    worst = max(abs(row["luts_error_percent"]) for row in rows)
    return f"{text}\nThe largest error of the LUTs is {worst:.1f} %.\n{cores_section(cores)}"


def main() -> None:
    """Build what is asked for, and write the page."""
    parser = argparse.ArgumentParser(description="Estimated chips beside built ones.")
    parser.add_argument("--build", nargs="*", type=int, metavar="ROW", help="from 0; all if none")
    parser.add_argument("--route", action="store_true", help="place and route what is built")
    parser.add_argument("--cores", nargs="*", type=int, metavar="ROW", help="likewise, other cores")
    parser.add_argument("--json", action="store_true", help="print JSON, and leave the page alone")
    arguments = parser.parse_args()
    built: list[dict[str, Any]] = json.loads(BUILT.read_text())
    if arguments.build is not None:
        for number in arguments.build or range(len(ROWS)):
            built[number : number + 1] = [build(*ROWS[number], route=arguments.route)]
            write_text(BUILT, json.dumps(built, indent=1) + "\n")
    cores: list[dict[str, Any]] = json.loads(BUILT_CORES.read_text())
    if arguments.cores is not None:
        for number in arguments.cores or range(len(CORE_ROWS)):
            cores[number : number + 1] = [build_core(CORE_ROWS[number])]
            write_text(BUILT_CORES, json.dumps(cores, indent=1) + "\n")
    rows = [compared(row) for row in built]
    if arguments.json:
        print(json.dumps({"rows": rows}))
    else:
        compared_cores = [compared_core(*pair) for pair in zip(cores, CORE_ROWS, strict=True)]
        write_text(PAGE, page(rows, compared_cores))


if __name__ == "__main__":
    main()
