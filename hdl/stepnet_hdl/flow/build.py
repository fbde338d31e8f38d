"""Makes the bitstream of a board, or finds it in the cache."""

from __future__ import annotations

import dataclasses
import hashlib
import shutil
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from stepnet.boards.chip_images import chip_images
from stepnet.cores.mac.program import MacNetwork
from stepnet.errors import BuildError, StepnetError
from stepnet.files import read_text, sha256_of
from stepnet.networks.lut import LutNetwork
from stepnet.networks.network import Network
from stepnet.networks.shipped import load_any_network
from stepnet.networks.spiking import SpikingNetwork
from stepnet_hdl.boards.wire import Wire
from stepnet_hdl.estimation.goal import Goal
from stepnet_hdl.flow.cache import BuildCache, source_key
from stepnet_hdl.flow.delivery import MOST_REPORT_BYTES, PICTURE, Delivery, keep_log
from stepnet_hdl.flow.report import BuildFigures, BuildReport, figures_from_json
from stepnet_hdl.flow.tools import find_flow_tool

if TYPE_CHECKING:
    from stepnet.cores.pipeline.stored_images import StoredImages
    from stepnet.networks.kinds import AnyNetwork
    from stepnet_hdl.boards.catalogue import BoardType
    from stepnet_hdl.flow.build_plan import Plan
    from stepnet_hdl.flow.run import Built, Progress
    from stepnet_hdl.flow.tools import Tool

FIGURES = "figures.json"
"""The file of an entry in the cache that has its `BuildFigures`."""

TOOL_LOGS = ("stepnet.rpt", "stepnet.tim")
"""The logs of synthesis, and of place and route."""

NETLIST = "stepnet.pnr.json.gz"
"""What nextpnr placed and routed; it stays in the cache, for whoever simulates it."""


@dataclasses.dataclass(frozen=True)
class EngineWish:
    """An engine as `stepnet_hdl.estimation.engine_choice.choose_engine` chooses it.

    networks: that it holds where none is built in, shipped ones by name or .npz files; it is chosen
        for the first, and its memories are as large as the others need.
    simd, pe: what it has to have; None for what suits.
    """

    goal: Goal = Goal.IMAGES
    simd: int | None = None
    pe: int | None = None
    networks: tuple[str, ...] = ("digits",)


@dataclasses.dataclass(frozen=True)
class BuildSettings:
    """What to build.

    board: its name, or module:Class.
    baud: of the serial line; the highest that the board's USB chip and its clock allow if None. Of
        an SPI line the highest clock.
    clock_hz: of the chip; what suits board and engine if None.
    seeds: of place and route; the best result counts, and the same seeds give the same bytes.
    first_seed: the first seed that meets the clock counts, and those after it are not tried.
    network: to build in, a shipped one by name or a .npz file; None for none. For a ReLU network
        the chip has a multiply-accumulate core, which single-port RAM leaves empty at power-on.
    on_chip_data: makes it a chip that measures `network` with the first test images of this data
        set, see `chip_images`; None for a chip that a host asks.
    data_dir: see `stepnet.data.sets.data_folder`.
    engine: how the engine is chosen; None for the one that suits the part.
    wire: between host and chip.
    """

    board: str
    baud: int | None = None
    clock_hz: int | None = None
    seeds: tuple[int, ...] = (1,)
    network: str | None = None
    on_chip_data: str | None = None
    data_dir: Path | None = None
    first_seed: bool = False
    engine: EngineWish | None = None
    wire: Wire = Wire.UART


def build(
    settings: BuildSettings,
    folder: Path,
    *,
    progress: Callable[[Progress], None] = lambda progress: None,
    cache: BuildCache | None = None,
    scheduler: str | None = None,
) -> BuildReport:
    """Put bitstream, report and picture of the placement into `folder`, from the cache if the same
    was built before.

    They take the place of those of an earlier build, once all of them are there; whatever else is
    in `folder` stays.

    scheduler: the address of a Dask scheduler whose workers place and route; None for this machine.

    Raises MissingToolError if a tool is missing or too old; NetworkError if there is no such
    network; BuildError if there is no such board, the network cannot be built into it, a tool
    fails, with its log left in `folder`, the clock is not met, or a file of somebody else would be
    written over; WorkersError if there is no such scheduler, or it has no workers that could. Then
    all that was in `folder` is as it was, and there is no folder that was not there before unless
    it has a log.
    """
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    delivery = Delivery(folder)
    try:
        entry, report = find_or_build(
            settings, folder, progress=progress, cache=cache, scheduler=scheduler
        )
        _check_clock(report)
        delivery.put(entry, report)
    except StepnetError:
        for path in made:
            with suppress(OSError):  # a log may be there
                path.rmdir()
        raise
    return report


def find_or_build(
    settings: BuildSettings,
    folder: Path,
    *,
    progress: Callable[[Progress], None],
    cache: BuildCache | None,
    scheduler: str | None = None,
) -> tuple[Path, BuildReport]:
    """The result's folder in the cache, and its report, whether the clock is met or not.

    folder: where the result is to go, and where the log goes if a tool fails.
    """
    cache = cache or BuildCache()
    # The module of one's own platform may import anything, so that only its plan tells what it is.
    network = load_any_network(settings.network) if settings.network is not None else None
    of_network = network and network.digest
    stored = _stored_images(settings)
    of_images = stored and stored.digest
    if settings.engine is not None and network is None:
        of_network = "".join(load_any_network(one).digest for one in settings.engine.networks)
    key = source_key(settings, of_network, of_images) if ":" not in settings.board else None
    entry = cache.recall(key, _tool_in_words) if key else None
    cached = entry is not None
    if entry is None:
        entry, cached = _build_or_find(
            settings, network, stored, folder, key, cache, progress, scheduler
        )
    figures, digests = _cached(entry)
    report = BuildReport(
        **vars(figures),
        board=settings.board,
        network=_built_in(network, settings.board),
        bitstream=folder / figures.bitstream_name,
        picture=folder / PICTURE,
        digests=digests,
        cached=cached,
    )
    return entry, report


def _stored_images(settings: BuildSettings) -> StoredImages | None:
    if settings.on_chip_data is None:
        return None
    if settings.network is None:
        raise BuildError(
            "A chip that measures itself needs a network of look-up tables; name one with "
            "--network."
        )
    return chip_images(settings.network, settings.on_chip_data, settings.data_dir)


def _built_in(network: AnyNetwork | None, board: str) -> str | None:
    """The name of the network that the chip holds at power-on."""
    if isinstance(network, MacNetwork):
        from stepnet_hdl.boards.catalogue import find_board
        from stepnet_hdl.boards.mac_chips import mac_chip

        if not mac_chip(network, find_board(board, needs_uart=False)).holds_at_power_on:
            return None
    return network and network.name


def _cached(entry: Path) -> tuple[BuildFigures, dict[str, str]]:
    """The figures of a result, and the SHA-256 of each file of it that is delivered."""
    try:
        figures = figures_from_json(read_text(entry / FIGURES, MOST_REPORT_BYTES))
        names = (figures.bitstream_name, PICTURE)
        return figures, {name: sha256_of(entry / name) for name in names}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise BuildError(
            f"The report of the cached build {str(entry)!r} cannot be read; delete that folder, "
            "and it is built again."
        ) from error


def _build_or_find(
    settings: BuildSettings,
    network: AnyNetwork | None,
    stored: StoredImages | None,
    folder: Path,
    key: str | None,
    cache: BuildCache,
    progress: Callable[[Progress], None],
    scheduler: str | None,
) -> tuple[Path, bool]:
    """The result's folder in the cache, and whether it was there before."""
    from stepnet_hdl.boards.capacity import check_built_in
    from stepnet_hdl.boards.chip_clocks import rate_and_clock_hz
    from stepnet_hdl.boards.mac_chips import mac_chip
    from stepnet_hdl.boards.rates import check_baud
    from stepnet_hdl.boards.spiking_chips import spiking_chip
    from stepnet_hdl.boards.table_chips import check_bench, check_tables
    from stepnet_hdl.flow.run import Progress, run_flow
    from stepnet_hdl.flow.tool_run import ToolFailedError

    board = board_of(settings, network)
    if stored is not None:
        check_bench(stored, board)
    elif isinstance(network, LutNetwork):
        check_tables(network, board)
    elif isinstance(network, MacNetwork):
        mac_chip(network, board)
    elif isinstance(network, SpikingNetwork):
        spiking_chip(network, board)
    elif network is not None:
        check_built_in(network, board)
    progress(Progress("Generating the chip", 0, 2 + len(settings.seeds)))
    started_s = time.monotonic()
    pins = _wire_pins(board, settings.wire)
    baud, clock_hz = rate_and_clock_hz(
        network, board, settings.wire, settings.baud, settings.clock_hz
    )
    if settings.wire is Wire.UART:
        check_baud(board.name, baud)
    settings = dataclasses.replace(settings, baud=baud, clock_hz=clock_hz)
    plan = _plan(settings, board, baud, network, stored)
    generating_s = time.monotonic() - started_s
    tools = {name: find_flow_tool(name, board.device) for name in plan.tool_names}
    digest = _digest(plan, tools, settings)

    def fill(work: Path) -> None:
        built = run_flow(
            plan,
            tools,
            work,
            kept=cache.unfinished(digest),
            seeds=settings.seeds,
            first_seed=settings.first_seed,
            scheduler=scheduler,
            progress=progress,
        )
        seconds = {"generating": generating_s, **built.seconds}
        figures = _figures(built, board, settings, pins, plan, tools.values(), seconds)
        _finish(work, built, board.name, figures)

    entry = cache.entry(digest)
    found = entry is not None
    if entry is None:
        try:
            entry = cache.add(digest, fill)
        except ToolFailedError as error:
            log = keep_log(folder, error.log)
            raise BuildError(
                f"The build for {board.name} failed ({error}); {str(log)!r} has the whole story."
            ) from error
    if key:
        cache.remember(key, digest, map(str, tools.values()))
    return entry, found


def board_of(settings: BuildSettings, network: AnyNetwork | None) -> BoardType:
    """The board of a build with the engine that it is to have.

    network: that is built in; None for none.

    Raises what `find_board`, `choose_engine` and `board_with` raise, and BuildError if an engine is
    wished for a network that runs on none.
    """
    from stepnet_hdl.boards.catalogue import find_board
    from stepnet_hdl.estimation.engine_choice import board_with, choose_engine

    board = find_board(settings.board, needs_uart=settings.wire is Wire.UART)
    wish = settings.engine
    if wish is None:
        return board
    built_in = network is not None
    wished = [network] if built_in else [load_any_network(name) for name in wish.networks]
    first, *others = map(_step_network, wished)
    choice = choose_engine(
        first, board, wish.goal, settings.baud, simd=wish.simd, pe=wish.pe, built_in=built_in
    )
    return board_with(choice, board, others)


def _step_network(network: AnyNetwork) -> Network:
    """The network, if an engine runs it; BuildError otherwise."""
    if isinstance(network, LutNetwork):
        raise BuildError(
            f"The network {network.name!r} is made of look-up tables and takes no engine; leave "
            "out --goal, --simd and --pe, or name a step network."
        )
    if isinstance(network, MacNetwork):
        raise BuildError(
            f"The network {network.name!r} multiplies 8-bit weights and takes no engine; leave "
            "out --goal, --simd and --pe, or name a step network."
        )
    if isinstance(network, SpikingNetwork):
        raise BuildError(
            f"The network {network.name!r} spikes and takes no engine; leave out --goal, --simd "
            "and --pe, or name a step network."
        )
    return network


def _wire_pins(board: BoardType, wire: Wire) -> dict[str, str]:
    """The package's pins that the wire comes in at, by name; BuildError if there are none."""
    from stepnet_hdl.boards.spi_pins import spi_pins

    if wire is Wire.SPI:
        return spi_pins(board)
    return {name: board.pins[name] for name in ("rx", "tx")}


def _plan(
    settings: BuildSettings,
    board: BoardType,
    baud: int,
    network: AnyNetwork | None,
    stored: StoredImages | None,
) -> Plan:
    """The plan; BuildError too for what somebody's own platform makes Amaranth fail with."""
    from stepnet_hdl.flow.build_plan import make_plan

    try:
        return make_plan(
            board,
            baud=baud,
            clock_hz=settings.clock_hz,
            network=network,
            stored=stored,
            wire=settings.wire,
        )
    except StepnetError:
        raise
    except Exception as error:
        if ":" not in settings.board:
            raise
        raise BuildError(
            f"Amaranth cannot make a chip for the platform {settings.board!r} "
            f"({type(error).__name__}: {error}); correct it after the example in docs/boards.md."
        ) from error


def _figures(
    built: Built,
    board: BoardType,
    settings: BuildSettings,
    pins: dict[str, str],
    plan: Plan,
    tools: Iterable[Tool],
    seconds: dict[str, float],
) -> BuildFigures:
    """settings: with `baud` and `clock_hz`."""
    from stepnet_hdl.flow import report

    assert settings.baud is not None
    assert settings.clock_hz is not None
    found = built.best.report
    names = board.part.family.cells
    luts, luts_available = report.luts(found, names)
    flip_flops, flip_flops_available = report.cells(found, names.flip_flop)
    block_rams, block_rams_available = report.cells(found, names.block_ram)
    single_port, single_port_available = report.cells(found, names.single_port_ram)
    return BuildFigures(
        part=board.device,
        bitstream_name=built.bitstream.name,
        luts=luts,
        luts_available=luts_available,
        flip_flops=flip_flops,
        flip_flops_available=flip_flops_available,
        block_rams=block_rams,
        block_rams_available=block_rams_available,
        single_port_rams=single_port,
        single_port_rams_available=single_port_available,
        max_frequency_hz=built.best.timing.achieved_hz,
        clock_hz=settings.clock_hz,
        oscillator=board.oscillator,
        wire=settings.wire,
        pins=pins,
        baud=settings.baud,
        seed=built.best.seed,
        seeds_hz=built.seeds_hz,
        critical_path=built.best.timing.path,
        tools=tuple(map(str, tools)),
        plan_digest=plan.digest,
        seconds={step: round(spent_s, 1) for step, spent_s in seconds.items()},
    )


def _finish(work: Path, built: Built, board_name: str, figures: BuildFigures) -> None:
    """Leave in the working folder what is worth keeping."""
    from stepnet_hdl.flow.place_and_route import PLACED_NETLIST
    from stepnet_hdl.flow.placement import draw, read_placement

    picture = draw(read_placement(built.best.folder / PLACED_NETLIST), board_name, figures)
    bitstream = built.bitstream.read_bytes()
    logs = {name: (built.best.folder / name).read_bytes() for name in TOOL_LOGS}
    netlist = (built.best.folder / NETLIST).read_bytes()
    shutil.rmtree(work)
    work.mkdir()
    (work / built.bitstream.name).write_bytes(bitstream)
    (work / PICTURE).write_bytes(picture)
    (work / NETLIST).write_bytes(netlist)
    for name, log in logs.items():
        (work / name).write_bytes(log)
    (work / FIGURES).write_text(figures.to_json())


def _digest(plan: Plan, tools: dict[str, Tool], settings: BuildSettings) -> str:
    # Figures of another version of this program are no result for this one.
    fields = [field.name for field in dataclasses.fields(BuildFigures)]
    words = [plan.digest, *map(str, tools.values()), *map(str, settings.seeds), *fields]
    if settings.first_seed and len(settings.seeds) > 1:
        words.append("the first that meets the clock")
    return hashlib.sha256("\0".join(words).encode()).hexdigest()


def _tool_in_words(name: str) -> str:
    return str(find_flow_tool(name))


def _check_clock(report: BuildReport) -> None:
    """Raise BuildError, with the path, if the clock is not met."""
    if report.max_frequency_hz >= report.clock_hz:
        return
    names = [step.name for step in report.critical_path] or ["?"]
    raise BuildError(
        f"The clock of {report.board} is not met: it reaches {report.max_frequency_hz / 1e6:.1f} "
        f"MHz of {report.clock_hz / 1e6:g} MHz on the path from {names[0]} to {names[-1]}; try "
        "more --seeds or a lower --clock-mhz."
    )
