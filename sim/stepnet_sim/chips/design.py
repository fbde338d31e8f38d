"""Describes a chip to simulate, and chooses the one that the virtual board is."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from stepnet.cores.engine.memory_image import enlarged
from stepnet.cores.engine.shape import EngineShape
from stepnet.cores.mac.layout import check_fits
from stepnet.cores.mac.program import MacNetwork
from stepnet.cores.pipeline.stored_images import StoredImages
from stepnet.errors import NetworkError
from stepnet.networks.kinds import AnyNetwork
from stepnet.networks.lut import LutNetwork
from stepnet.networks.network import Network
from stepnet.networks.spiking import SpikingNetwork
from stepnet_hdl.boards.capacity import fits
from stepnet_hdl.boards.catalogue import BoardType, find_board
from stepnet_hdl.boards.chip_clocks import baud_for, clock_hz_for
from stepnet_hdl.boards.mac_chips import MacChip, chip_for, mac_chip
from stepnet_hdl.boards.settings import SETTINGS
from stepnet_hdl.boards.spiking_chips import spiking_chip
from stepnet_hdl.boards.table_chips import check_bench, check_tables
from stepnet_hdl.chip.chip import Chip, SerialChip, engine_for, table_core
from stepnet_hdl.cores.interface import InferenceCore
from stepnet_hdl.cores.mac.mac import Mac
from stepnet_hdl.cores.pipeline.pipeline_bench import PipelineBench
from stepnet_hdl.cores.spiking.spiking_core import SpikingCore
from stepnet_hdl.estimation.engine_choice import board_with, choose_engine
from stepnet_hdl.shipping.manifest import CONVOLUTIONS, folder_of, read_manifest, shipped_boards

USUAL_BOARD = "icebreaker"
ICEBREAKER = SETTINGS["iCE40UP5K"]

SPIKING_BOARD = "ulx3s-85f"
"""The board that a spiking network is simulated on, which has memory for large ones."""

WIDTHS = re.compile(r"(?P<simd>\d{1,9})x(?P<pe>\d{1,9})")
"""How an engine of any widths is named in the place of a board: SIMD, an x, PE."""


@dataclass(frozen=True)
class OtherCore:
    """A core that is no engine.

    name: tells it from every other one with the same network, because compiled chips are found
        by it.
    make: makes an instance.
    """

    name: str
    make: Callable[[], InferenceCore] = field(repr=False)


@dataclass(frozen=True)
class Design:
    """A chip to simulate; by default the one of the iCEBreaker.

    coded_images: whether it takes coded images as well.
    uart: whether it has serial pins, at `baud`, instead of the byte streams behind them.
    network: the network that is built in; None for none.
    core: another kind of core than the engine; `shape` and `network` do not count then. None for an
        engine, or for the pipeline that `network` is.
    """

    shape: EngineShape = ICEBREAKER.shape
    clock_hz: int = ICEBREAKER.clock_hz
    buffer_bytes: int = ICEBREAKER.buffer_bytes
    coded_images: bool = ICEBREAKER.coded_images
    uart: bool = False
    baud: int = field(default_factory=lambda: find_board(USUAL_BOARD).baud)
    network: Network | LutNetwork | None = field(default=None, repr=False)
    core: OtherCore | None = None

    def component(self) -> Chip | SerialChip:
        """A new instance of the chip's gateware.

        Raises NetworkError or BuildError if the engine cannot have the network built in.
        """
        core, coded_images = self.new_core(), self.coded_images
        if self.uart:
            return SerialChip(
                core, self.clock_hz, self.baud, self.buffer_bytes, coded_images=coded_images
            )
        return Chip(core, self.clock_hz, self.buffer_bytes, coded_images=coded_images)

    def new_core(self) -> InferenceCore:
        """A new instance of the core alone; raises what `component` raises."""
        if self.core is not None:
            return self.core.make()
        if isinstance(self.network, LutNetwork):
            return table_core(self.network)
        return engine_for(self.network, self.shape)


def design_for(
    network: AnyNetwork | StoredImages | None = None,
    like: str = "",
    *,
    uart: bool = False,
    baud: int | None = None,
) -> Design:
    """The chip that a virtual board is.

    network: the network that it has to hold, if known. Where the engine of the iCEBreaker is too
        small for it, the chip has one with larger memories; a network of look-up tables is
        built in, and a ReLU or sigmoid network gets a multiply-accumulate core. With `StoredImages`
        the chip measures itself.
    like: the name of a board whose chip it is, whether its engine holds the network or not, but
        one that takes convolutions if the network has them; or SIMD and PE of the engine, such as
        "32x4", which is otherwise the iCEBreaker's; "" for that.
    uart: as in `Design`.
    baud: of the serial pins; None for the rate of the board that it is like.

    Raises BuildError if there is no such board, no engine fits it or a network of look-up tables
    does not, NetworkError if no engine holds the network, or none has these widths.
    """
    if isinstance(network, StoredImages):
        return _bench_design(network, like, uart=uart, baud=baud)
    if isinstance(network, SpikingNetwork):
        return _spiking_design(network, like, uart=uart, baud=baud)
    if isinstance(network, MacNetwork):
        return _mac_design(network, like, uart=uart, baud=baud)
    board = _board_for(network, like) if like and not WIDTHS.fullmatch(like) else None
    if baud is None:
        baud = find_board(USUAL_BOARD).baud if board is None else baud_for(network, board)
    if widths := WIDTHS.fullmatch(like):
        if isinstance(network, LutNetwork):
            raise NetworkError(
                f"The network {network.name!r} is of look-up tables and runs on no engine; leave "
                "its SIMD and PE out."
            )
        shape = engine_shape(int(widths["simd"]), int(widths["pe"]))
        larger = shape if network is None else enlarged(shape, network)
        return Design(larger, uart=uart, baud=baud)
    if board is not None:
        return _board_design(network, board, baud, uart=uart)
    if isinstance(network, LutNetwork):
        return Design(uart=uart, baud=baud, network=network)
    shape = ICEBREAKER.shape if network is None else enlarged(ICEBREAKER.shape, network)
    return Design(shape, uart=uart, baud=baud)


def _board_for(network: Network | LutNetwork | None, like: str) -> BoardType:
    """The board of that name; for a network with convolutions with the engine of the bitstream that
    comes for such networks, if it holds this one, or with what `stepnet build --engine-for` would
    make; BuildError if that is none."""
    board = find_board(like)
    if not isinstance(network, Network) or not network.convolves:
        return board
    if like in shipped_boards(CONVOLUTIONS):
        manifest = read_manifest(folder_of(like, CONVOLUTIONS))
        if fits(network, manifest.shape):
            return board.with_engine(manifest.shape, manifest.clock_hz, manifest.buffer_bytes)
    return board_with(choose_engine(network, board), board)


def _board_design(
    network: Network | LutNetwork | None, board: BoardType, baud: int, *, uart: bool
) -> Design:
    """The chip of `board`: with the engine that it has, or that is the network of look-up tables;
    BuildError if this does not fit."""
    if isinstance(network, LutNetwork):
        chip = check_tables(network, board)
        return Design(
            clock_hz=clock_hz_for(network, board, baud),
            buffer_bytes=chip.buffer_bytes,
            coded_images=chip.coded_images,
            uart=uart,
            baud=baud,
            network=network,
            core=OtherCore(f"{chip.core} {chip.registered}", lambda: table_core(network, chip)),
        )
    chip = board.settings
    clock_hz = board.clock_hz_for(baud)
    return Design(chip.shape, clock_hz, chip.buffer_bytes, chip.coded_images, uart=uart, baud=baud)


def _bench_design(stored: StoredImages, like: str, *, uart: bool, baud: int | None) -> Design:
    """The chip of a pipeline with images of its own, as fast as it is on the board `like`."""
    if like:
        check_bench(stored, find_board(like))
    made = design_for(stored.network, like, uart=uart, baud=baud)
    bench = OtherCore(f"bench {stored.digest}", lambda: PipelineBench(stored))
    return replace(made, network=None, core=bench)


def _mac_design(network: MacNetwork, like: str, *, uart: bool, baud: int | None) -> Design:
    """The chip with a multiply-accumulate core of the board `like`, which any network that fits can
    be loaded into."""
    if WIDTHS.fullmatch(like):
        raise NetworkError(
            f"The network {network.name!r} multiplies 8-bit weights and runs on no engine; leave "
            "its SIMD and PE out."
        )
    board = find_board(like or USUAL_BOARD)
    if like:
        baud = baud or baud_for(network, board)
        chip, clock_hz = mac_chip(network, board), clock_hz_for(network, board, baud)
    else:
        chip = chip_for(network, board.part)
        assert chip is not None
        clock_hz = chip.clock_hz
        baud = baud or baud_for(network, board, clock_hz)
        check_fits(network, chip.shape)
    return Design(
        clock_hz=clock_hz,
        buffer_bytes=chip.buffer_bytes,
        coded_images=chip.coded_images,
        uart=uart,
        baud=baud,
        core=_mac_of(chip),
    )


def _spiking_design(network: SpikingNetwork, like: str, *, uart: bool, baud: int | None) -> Design:
    """The chip that is a spiking network, on the board `like`; on a ULX3S if that is not said."""
    if WIDTHS.fullmatch(like):
        raise NetworkError(
            f"The network {network.name!r} spikes and runs on no engine; leave its SIMD and PE out."
        )
    board = find_board(like or SPIKING_BOARD)
    chip = spiking_chip(network, board)
    baud = baud or baud_for(network, board)
    core = OtherCore(
        f"spiking {network.digest} {chip.lanes} {chip.walk}",
        lambda: SpikingCore(network, chip.lanes, chip.walk),
    )
    return Design(
        clock_hz=clock_hz_for(network, board, baud),
        buffer_bytes=chip.buffer_bytes,
        coded_images=chip.coded_images,
        uart=uart,
        baud=baud,
        core=core,
    )


def _mac_of(chip: MacChip) -> OtherCore:
    return OtherCore(f"multiply-accumulate {chip.shape}", lambda: Mac(chip.shape))


def engine_shape(simd: int, pe: int) -> EngineShape:
    """The iCEBreaker's engine with other widths. It holds as many weights, in block RAM of any
    width, and reads the thresholds of a group at once, so that these cost no cycle.

    Raises NetworkError if there is no such engine.
    """
    usual = ICEBREAKER.shape
    narrow = EngineShape(simd=simd, max_inputs=simd, pe=pe, parameter_lanes=pe)  # are there such?
    return replace(
        narrow,
        max_inputs=-(-usual.max_inputs // simd) * simd,
        weight_words=max(2, -(-usual.weight_memory_bits // (simd * pe))),
        parameter_words=usual.parameter_words,
        max_weight_bits=usual.max_weight_bits,
        max_sum_bits=0,
        overlap_neurons=usual.overlap_neurons,
    )
