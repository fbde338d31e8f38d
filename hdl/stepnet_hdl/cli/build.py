"""`stepnet build`: the bitstream for a board."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Annotated, Self

import typer

from stepnet.cli import declared
from stepnet.cli.options import DataDirOption
from stepnet_hdl.boards.wire import Wire
from stepnet_hdl.cli.requirements import require_amaranth
from stepnet_hdl.estimation.goal import Goal

if TYPE_CHECKING:
    from rich.progress import Progress as Bar
    from rich.progress import TaskID

    from stepnet_hdl.flow.build import BuildSettings, EngineWish
    from stepnet_hdl.flow.run import Progress


@dataclass(frozen=True, kw_only=True)
class BuildOptions:
    """Everything that `stepnet build` is told."""

    board: Annotated[
        str, typer.Option(help="Name from `stepnet boards`, or module:Class of your own platform.")
    ] = "icebreaker"
    network: Annotated[
        str | None,
        typer.Option(
            help="Build in a shipped network, or a .npz file: it is loaded from power-on."
        ),
    ] = None
    on_chip: Annotated[
        str | None,
        typer.Option(
            metavar="DATA",
            help="Make a chip that runs the first test images of mnist, unipen or a .npz file "
            "through --network by itself, for `stepnet bench --on-chip`.",
        ),
    ] = None
    data_dir: DataDirOption = None
    output: Annotated[
        Path | None,
        typer.Option(
            help="Folder for the bitstream; build/BOARD or build/BOARD-NETWORK if not given."
        ),
    ] = None
    wire: Annotated[
        Wire, typer.Option(help="uart: the board's serial line. spi: SPI at a connector.")
    ] = Wire.UART
    baud: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Bits per second on the wire; the highest that the board's USB chip and the "
            "chip's clock allow, or on SPI the clock alone, if not given.",
        ),
    ] = None
    clock_mhz: Annotated[
        float | None,
        typer.Option(min=0.001, help="Clock of the chip; what suits board and baud if not given."),
    ] = None
    seed: Annotated[int, typer.Option(min=1, help="Seed of place and route.")] = 1
    seeds: Annotated[
        int,
        typer.Option(
            min=1,
            help="Try up to so many seeds from --seed on, until one meets the clock; if none does, "
            "the best is told.",
        ),
    ] = 1
    best: Annotated[bool, typer.Option("--best", help="Try all --seeds, and keep the fastest.")] = (
        False
    )
    goal: Annotated[
        Goal | None,
        typer.Option(
            help="Build the engine that `stepnet estimate` picks for this goal. If neither goal "
            "nor SIMD or PE is given, it is the one that suits the part and holds most networks, "
            "as in the bitstreams that come with Stepnet."
        ),
    ] = None
    simd: Annotated[
        int | None, typer.Option(help="Inputs at a time of the engine to pick, a multiple of 8.")
    ] = None
    pe: Annotated[int | None, typer.Option(help="Neurons at a time of the engine to pick.")] = None
    engine_for: Annotated[
        str | None,
        typer.Option(
            help="Networks that the engine holds, with commas between; it is picked for the "
            "first. The one that is built in, or digits, if not given."
        ),
    ] = None
    fastest: Annotated[
        bool,
        typer.Option(
            "--fastest",
            help="Build again and again for the largest clock that is met with 5 % to spare.",
        ),
    ] = False
    scheduler: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="Place and route on the workers of this Dask scheduler, tcp://...",
        ),
    ] = None
    json_output: Annotated[
        bool, typer.Option("--json", help="Print one JSON object instead of text.")
    ] = False


def _build(options: BuildOptions) -> None:
    """Build the bitstream for a board with Yosys and nextpnr, or take it from the cache."""
    require_amaranth()
    from stepnet_hdl.flow.build import build as build_bitstream
    from stepnet_hdl.flow.clock_search import fastest_settings

    settings = _settings(options)
    folder = options.output or _usual_folder(options)
    with _BuildProgress() as progress:
        if options.fastest:
            settings = fastest_settings(
                settings, folder, progress=progress, scheduler=options.scheduler
            )
        report = build_bitstream(settings, folder, progress=progress, scheduler=options.scheduler)
    typer.echo(report.to_json() if options.json_output else report.to_text())


build = declared.command("build", BuildOptions, _build)


def _settings(options: BuildOptions) -> BuildSettings:
    """What to build; BadParameter for options that do not go together."""
    from stepnet_hdl.flow.build import BuildSettings

    if options.fastest and options.clock_mhz is not None:
        raise typer.BadParameter("it does not go with --clock-mhz.", param_hint="--fastest")
    return BuildSettings(
        options.board,
        options.baud,
        None if options.clock_mhz is None else round(options.clock_mhz * 1e6),
        tuple(range(options.seed, options.seed + options.seeds)),
        options.network,
        on_chip_data=options.on_chip,
        data_dir=options.data_dir,
        first_seed=not (options.best or options.fastest),
        engine=_engine_wish(options),
        wire=options.wire,
    )


def _engine_wish(options: BuildOptions) -> EngineWish | None:
    """How the engine is to be picked; None for the one that suits the part."""
    from stepnet_hdl.flow.build import EngineWish

    wished = not (options.goal is None and options.simd is None and options.pe is None)
    if options.engine_for is not None and (options.network is not None or not wished):
        raise typer.BadParameter(
            "it picks an engine, which takes --goal, --simd or --pe, and no --network.",
            param_hint="--engine-for",
        )
    if not wished:
        return None
    networks = tuple(name.strip() for name in (options.engine_for or "digits").split(","))
    if not all(networks):
        raise typer.BadParameter(
            f"{options.engine_for!r} has no name at a comma; give networks with one comma between "
            "two, like digits-conv,ascii-conv.",
            param_hint="--engine-for",
        )
    return EngineWish(options.goal or Goal.IMAGES, options.simd, options.pe, networks)


def _usual_folder(options: BuildOptions) -> Path:
    """Where the bitstream goes if nothing is said of it."""
    name = options.board.rpartition(":")[2]
    if options.network is not None:
        name += f"-{Path(options.network).stem}"
    if options.on_chip is not None:
        name += "-on-chip"
    if options.wire is not Wire.UART:
        name += f"-{options.wire}"
    return Path("build", name)


class _BuildProgress:
    """Shows where a build is, on stderr: a bar with step and time on a terminal, otherwise a line
    for each step."""

    def __init__(self) -> None:
        self._bar: tuple[Bar, TaskID] | None = None

    def __call__(self, progress: Progress) -> None:
        """Show the step that begins."""
        if not sys.stderr.isatty():
            print(f"{progress.step}.", file=sys.stderr, flush=True)
            return
        bar, task = self._bar or self._start()
        bar.update(task, description=progress.step, completed=progress.done, total=progress.total)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar[0].stop()

    def _start(self) -> tuple[Bar, TaskID]:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TimeElapsedColumn(),
            console=Console(stderr=True),
            transient=True,
        )
        bar.start()
        self._bar = bar, bar.add_task("")
        return self._bar
