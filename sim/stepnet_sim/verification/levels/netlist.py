"""The level `netlist`: what synthesis makes of the chip, simulated with the models of its cells."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from amaranth.back import rtlil  # pyright: ignore[reportAttributeAccessIssue] - not in the stubs

from stepnet.cores.mac.cycles import cycles_per_image
from stepnet.errors import BuildError
from stepnet.networks.network import Readout
from stepnet.networks.random_networks import random_relu_network, random_sigmoid_network
from stepnet.networks.shipped import load_lut_network, load_network, load_spiking_network
from stepnet.programs import run_program
from stepnet_hdl.boards.catalogue import BoardType, find_board
from stepnet_hdl.boards.mac_chips import mac_chip
from stepnet_hdl.boards.spiking_chips import spiking_chip
from stepnet_hdl.estimation.engine_choice import board_with, choose_engine
from stepnet_hdl.estimation.goal import Goal
from stepnet_hdl.estimation.table_size import table_estimate
from stepnet_hdl.flow.build_plan import synthesis_script
from stepnet_hdl.flow.tools import find_flow_tool
from stepnet_sim.chips.design import Design, design_for
from stepnet_sim.chips.verilated import COMPILE_OPTIONS, VerilatedChip, find_or_compile
from stepnet_sim.gates.bitstream import sample_images
from stepnet_sim.gates.models import gate_models
from stepnet_sim.sources import source_digest
from stepnet_sim.verification.ladder import Outcome
from stepnet_sim.verification.through_link import Running, compare, compare_built_in

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from stepnet.cores.mac.program import MacNetwork
    from stepnet.networks.lut import LutNetwork
    from stepnet.networks.network import Network
    from stepnet.networks.spiking import SpikingNetwork

CELL_COMPILE_OPTIONS = f"{COMPILE_OPTIONS} -O0"
"""The C++ compiler's options: a netlist is long and runs for seconds, but to optimise it takes
minutes."""

BOARDS = ("icebreaker", "ulx3s-25f", "tangnano9k")
"""One for each maker's cells: block RAM and single-port RAM of an iCE40, block RAM of an ECP5 and
that of a Gowin part."""

NETWORK = "digits"

CONVOLVING_NETWORKS = {"icebreaker": "digits-conv"}
"""Boards whose chips have the engine that suits a network with convolutions."""

TABLE_NETWORKS = {"icestick": "digits-lut-small", "ulx3s-25f": "digits-lut-compact"}
"""Boards whose chips are a network of look-up tables: a table walk, and a pipeline."""

SPIKING_NETWORKS = {"ulx3s-25f": "digits-spiking"}
"""Boards whose chips are a spiking network."""

MAC_BOARD = "icebreaker"
"""The board whose chip multiplies and accumulates, with multipliers and single-port RAM of its
own. No such network ships, so random ones are loaded."""

SEED = 1

IMAGES = 10
CONVOLVED_IMAGES = 3
"""Each takes ten times as long as one of `NETWORK`."""

PREAMBLE = """`timescale 1ps/1ps
/* verilator lint_off SPECIFYIGN */
/* verilator lint_off INITIALDLY */
"""
"""What stands above the netlist. The models of cells have delays, which play no part here, but
Verilator wants to know their unit and that it may leave them out; some set their first state with
`<=`."""


def run(
    folder: Path, progress: Callable[[str], None], boards: Sequence[str] = ()
) -> Iterator[Outcome]:
    """Identify, load and infer through the byte stream of each board's netlist."""
    del boards  # they are not about any one board
    network = load_network(NETWORK)
    for name in BOARDS:
        yield checked(find_board(name), network, IMAGES, folder / name, progress)
    for name, convolving in CONVOLVING_NETWORKS.items():
        network = load_network(convolving)
        board = find_board(name)
        suited = board_with(choose_engine(network, board, Goal.IMAGES), board)
        yield checked(suited, network, CONVOLVED_IMAGES, folder / f"{name}-{convolving}", progress)
    for name, tables in TABLE_NETWORKS.items():
        network = load_lut_network(tables)
        where = folder / f"{name}-{tables}"
        yield checked_tables(find_board(name), network, IMAGES, where, progress)
    for name, spiking in SPIKING_NETWORKS.items():
        network = load_spiking_network(spiking)
        where = folder / f"{name}-{spiking}"
        yield checked_spiking(find_board(name), network, IMAGES, where, progress)
    random = np.random.default_rng(SEED)
    for network in (
        random_relu_network(random, (784, 32, 10), height=28),
        random_sigmoid_network(random, (784, 32, 7), height=28, readout=Readout.BITS),
    ):
        where = folder / f"{MAC_BOARD}-{network.kind}"
        yield checked_mac(find_board(MAC_BOARD), network, IMAGES, where, progress)


def checked_tables(
    board: BoardType,
    network: LutNetwork,
    images: int,
    folder: Path,
    progress: Callable[[str], None],
) -> Outcome:
    """Compare the answers of the netlist for `board` that is `network` with the reference."""
    found = table_estimate(network, board)
    inputs = sample_images(network, images)
    expected_cycles = [found.latency_cycles] * images
    what = f"{network.name}, {found.chip.core}"
    return _checked_built_in(board, network, inputs, expected_cycles, what, folder, progress)


def checked_spiking(
    board: BoardType,
    network: SpikingNetwork,
    images: int,
    folder: Path,
    progress: Callable[[str], None],
) -> Outcome:
    """Compare the answers of the netlist for `board` that is `network` with the reference."""
    inputs = sample_images(network, images)
    expected_cycles = spiking_chip(network, board).image_cycles(network, inputs)
    what = f"{network.name}, spiking core"
    return _checked_built_in(board, network, inputs, expected_cycles, what, folder, progress)


def checked_mac(
    board: BoardType,
    network: MacNetwork,
    images: int,
    folder: Path,
    progress: Callable[[str], None],
) -> Outcome:
    """Compare the answers of the netlist for `board` with a multiply-accumulate core, which is
    loaded with `network`, with the reference."""
    shape = (images, network.height, network.width)
    inputs = np.random.default_rng(SEED).integers(0, 256, shape, dtype=np.uint8)
    expected_cycles = [cycles_per_image(network, mac_chip(network, board).shape)] * images
    what = f"{'-'.join(map(str, network.sizes))}, multiply-accumulate core, {network.kind}"
    return _checked_built_in(board, network, inputs, expected_cycles, what, folder, progress)


def _checked_built_in(
    board: BoardType,
    network: LutNetwork | SpikingNetwork | MacNetwork,
    inputs: NDArray[np.uint8],
    expected_cycles: Sequence[int],
    what: str,
    folder: Path,
    progress: Callable[[str], None],
) -> Outcome:
    started_s = time.monotonic()
    chip = VerilatedChip(netlist_library(board, design_for(network, board.name), folder, progress))
    progress(f"Inferring with the netlist for {board.name}")
    with Running(chip) as running:
        answered = compare_built_in(running, network, expected_cycles, inputs)
    return Outcome(
        f"netlist for {board.device}, {what}",
        "the reference, and its cycles",
        f"{answered.images} images",
        time.monotonic() - started_s,
        answered.cycles,
        answered.disagreement,
    )


def checked(
    board: BoardType,
    network: Network,
    images: int,
    folder: Path,
    progress: Callable[[str], None],
    design: Design | None = None,
) -> Outcome:
    """Compare the answers of the netlist for `board` with the reference.

    design: the chip; the one that suits the board if None.
    """
    started_s = time.monotonic()
    settings = board.settings
    design = design or Design(settings.shape, board.clock_hz, settings.buffer_bytes)
    chip = VerilatedChip(netlist_library(board, design, folder, progress))
    progress(f"Inferring with the netlist for {board.name}")
    with Running(chip) as running:
        answered = compare(running, design, network, sample_images(network, images))
    return Outcome(
        f"netlist for {board.device}, {network.name}",
        "the reference",
        f"{answered.images} images",
        time.monotonic() - started_s,
        answered.cycles,
        answered.disagreement,
    )


def netlist_library(
    board: BoardType, design: Design, folder: Path, progress: Callable[[str], None]
) -> Path:
    """The compiled simulation of the netlist, from the cache if it was made before.

    folder: where script and log of the synthesis go, made if it is missing.

    Raises MissingToolError if a tool is missing, BuildError if one fails.
    """
    folder.mkdir(parents=True, exist_ok=True)
    text = rtlil.convert(design.component(), name="chip", platform=board.platform(), emit_src=False)
    synthesis = synthesis_command(board)
    yosys = find_flow_tool("yosys")
    models = gate_models(board).cells()
    netlist_pass = board.part.family.use_output_registers
    moves = source_digest(netlist_pass.__module__) if netlist_pass is not None else ""

    def verilog() -> str:
        progress(f"Synthesising for {board.device}")
        (folder / "chip.il").write_text(text, encoding="utf-8")
        script = f"read_rtlil chip.il\n{synthesis} -top chip\nwrite_json netlist.json\n"
        _yosys(board, script, folder)
        if netlist_pass is not None:
            netlist_pass(folder / "netlist.json")
        _yosys(board, "read_json netlist.json\nwrite_verilog -noattr netlist.v\n", folder)
        progress(f"Compiling the netlist for {board.device}")
        return PREAMBLE + (folder / "netlist.v").read_text(encoding="utf-8") + models

    decided_by = (text, synthesis, str(yosys), moves, models, PREAMBLE)
    return find_or_compile("netlist", decided_by, CELL_COMPILE_OPTIONS, verilog)


def _yosys(board: BoardType, script: str, folder: Path) -> None:
    (folder / "chip.ys").write_text(script, encoding="utf-8")
    log = folder / "synthesis.log"
    command = [find_flow_tool("yosys").path, "-q", "-l", log.name, "chip.ys"]
    done = run_program(command, cwd=folder)
    if done.returncode:
        raise BuildError(f"The synthesis for {board.device} failed; {str(log)!r} says why.")


def synthesis_command(board: BoardType) -> str:
    """The command of Yosys with which a build synthesises for this board, without the name of the
    top.
    """
    script = synthesis_script(board).splitlines()
    (command,) = (line for line in script if line.strip().startswith("synth_"))
    return command.partition("-top")[0].strip()
