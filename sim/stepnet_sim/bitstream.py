"""The last rung of the ladder: a bitstream itself, run through its serial pins."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import platformdirs
from amaranth.vendor import LatticeICE40Platform
from numpy.typing import NDArray

from stepnet import reference
from stepnet.board import Board as RunningBoard
from stepnet.engine import cycles_per_image
from stepnet.errors import BuildError
from stepnet.network import Network
from stepnet.picture import normalise
from stepnet.protocol import DEFAULT_BAUD
from stepnet.samples import sample_pictures
from stepnet_hdl.boards import Board, find_board
from stepnet_hdl.manifest import read_manifest, shipped_folder
from stepnet_hdl.uart import divisor_for
from stepnet_sim.unpacked import unpack
from stepnet_sim.verilated import COMPILE_OPTIONS, VerilatedChip, compile_chip
from stepnet_sim.virtual_board import CYCLES_PER_RUN, VirtualBoardLink

RESET_CYCLES = 2_000
"""Longer than the PLL takes in simulation, and than the reset of a board without one: 15 us."""

TIMEOUT_S = 120.0
"""For any one answer; a simulation of gates takes its time."""


@dataclass(frozen=True)
class BitstreamRun:
    """What a bitstream answered.

    images: inferred; of them, different: with another character or cycle count than they should
    have.
    cycles: of the chip's clock, load and all.
    seconds: for all of it; of them, building_s: to unpack and compile.
    """

    board: str
    network: str
    images: int
    different: int
    cycles: int
    building_s: float
    seconds: float


def verify_bitstream(
    board: Board,
    bitstream: Path,
    network: Network,
    images: NDArray[np.uint8],
    *,
    clock_hz: int,
    baud: int = DEFAULT_BAUD,
    progress: Callable[[str], None] = lambda message: None,
) -> BitstreamRun:
    """Unpack a bitstream, and through its serial pins identify it, load `network` and infer
    `images`, each against the reference.

    images: (n, height, width) uint8.
    clock_hz, baud: what the bitstream was built for.

    Raises what `bitstream_link` and `Board` raise.
    """
    started_s = time.monotonic()
    link = bitstream_link(board, bitstream, clock_hz=clock_hz, baud=baud, progress=progress)
    building_s = time.monotonic() - started_s
    progress(f"Loading {network.name} and inferring {len(images)} images")
    codes = reference.infer(network, images)
    with RunningBoard(link, network, TIMEOUT_S, where=f"bitstream of {board.name}") as running:
        expected_cycles = cycles_per_image(network, running.identity.shape)
        readings = list(running.infer_many(images))
        cycles = link.chip.cycles
    different = sum(
        (reading.code, reading.cycles) != (code, expected_cycles)
        for reading, code in zip(readings, codes.tolist(), strict=True)
    )
    seconds = time.monotonic() - started_s
    return BitstreamRun(
        board.name, network.name, len(readings), different, cycles, building_s, seconds
    )


def verify_shipped(
    board: str,
    network: Network,
    images: NDArray[np.uint8],
    progress: Callable[[str], None] = lambda message: None,
) -> BitstreamRun:
    """`verify_bitstream` for the bitstream that comes with Stepnet for a board of this name.

    Raises what `verify_bitstream`, `find_board` and `shipped_folder` raise.
    """
    found = find_board(board)
    folder = shipped_folder(board)
    manifest = read_manifest(folder)
    return verify_bitstream(
        found,
        folder / manifest.bitstream,
        network,
        images,
        clock_hz=manifest.clock_hz,
        baud=manifest.baud,
        progress=progress,
    )


def bitstream_link(
    board: Board,
    bitstream: Path,
    *,
    clock_hz: int,
    baud: int = DEFAULT_BAUD,
    progress: Callable[[str], None] = lambda message: None,
) -> VirtualBoardLink:
    """A link to a bitstream for an iCE40 board, compiled from what its bits say.

    Raises MissingToolError if Project IceStorm or a compiler is missing, BuildError if the board is
    of another family or the file is no bitstream.
    """
    if not issubclass(board.platform, LatticeICE40Platform):
        raise BuildError(
            f"The bitstream of {board.name} cannot be unpacked into Verilog, which works for iCE40 "
            "parts; verify its netlist instead."
        )
    options = f"{COMPILE_OPTIONS} -DSTEPNET_DIVISOR={divisor_for(clock_hz, baud)}"
    cache = platformdirs.user_cache_path("stepnet") / "bitstream"
    digest = hashlib.sha256(bitstream.read_bytes() + options.encode() + _own_sources())
    library = cache / f"{digest.hexdigest()[:32]}.so"
    if not library.exists():
        progress("Unpacking and compiling the bitstream")
        cache.mkdir(parents=True, exist_ok=True)
        compile_chip(unpack(bitstream, board), options, library)
    chip = VerilatedChip(library)
    chip.run(bytearray(), RESET_CYCLES)
    return VirtualBoardLink(chip, CYCLES_PER_RUN)


def sample_images(network: Network, count: int) -> NDArray[np.uint8]:
    """The first `count` of the shipped samples, over again if there are fewer, at the network's
    size: (count, height, width) uint8."""
    pictures = [path for path, _ in sample_pictures()]
    return np.stack(
        [
            normalise(pictures[number % len(pictures)], network.height, network.width)
            for number in range(count)
        ]
    )


def _own_sources() -> bytes:
    """What decides how a bitstream becomes a library, beside the tools."""
    folder = Path(__file__).parent
    names = ("unpacked.py", "icebox_memories.py", "harness.cpp", "verilated.py")
    return b"\0".join((folder / name).read_bytes() for name in names)
