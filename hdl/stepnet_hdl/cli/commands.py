"""The commands that this package adds to `stepnet`: build, boards and flash."""

from __future__ import annotations

import json
import shlex
import sys
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Annotated, Self

import typer

from stepnet.errors import BoardError, BuildError, MissingToolError
from stepnet.link.serial_line import DEFAULT_BAUD

if TYPE_CHECKING:
    from rich.progress import Progress as Bar
    from rich.progress import TaskID

    from stepnet.boards.identity import Identity
    from stepnet.boards.search import Connected
    from stepnet_hdl.boards.facts import BoardFacts
    from stepnet_hdl.flow.run import Progress
    from stepnet_hdl.shipping.manifest import Manifest

UNBROKEN_COLUMNS = 1000


def build(
    board: Annotated[
        str, typer.Option(help="Name from `stepnet boards`, or module:Class of your own platform.")
    ] = "icebreaker",
    network: Annotated[
        str | None,
        typer.Option(
            help="Build in a shipped network, or a .npz file: it is loaded from power-on."
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            help="Folder for the bitstream; build/BOARD or build/BOARD-NETWORK if not given."
        ),
    ] = None,
    baud: Annotated[
        int, typer.Option(min=1, help="Bits per second on the serial line.")
    ] = DEFAULT_BAUD,
    clock_mhz: Annotated[
        float | None,
        typer.Option(min=0.001, help="Clock of the chip; what suits board and baud if not given."),
    ] = None,
    seed: Annotated[int, typer.Option(min=1, help="Seed of place and route.")] = 1,
    seeds: Annotated[
        int,
        typer.Option(
            min=1, help="Place and route with so many seeds from --seed on, and keep the best."
        ),
    ] = 1,
    fastest: Annotated[
        bool,
        typer.Option(
            "--fastest",
            help="Build again and again for the largest clock that is met with 5 % to spare.",
        ),
    ] = False,
    json_output: Annotated[
        bool, typer.Option("--json", help="Print one JSON object instead of text.")
    ] = False,
) -> None:
    """Build the bitstream for a board with Yosys and nextpnr, or take it from the cache."""
    _require_amaranth()
    from stepnet_hdl.flow.build import BuildSettings
    from stepnet_hdl.flow.build import build as build_bitstream
    from stepnet_hdl.flow.clock_search import fastest_settings

    if fastest and clock_mhz is not None:
        raise typer.BadParameter("it does not go with --clock-mhz.", param_hint="--fastest")
    settings = BuildSettings(
        board,
        baud,
        None if clock_mhz is None else round(clock_mhz * 1e6),
        tuple(range(seed, seed + seeds)),
        network,
    )
    name = board.rpartition(":")[2]
    if network is not None:
        name += f"-{Path(network).stem}"
    folder = output or Path("build", name)
    with _BuildProgress() as progress:
        if fastest:
            settings = fastest_settings(settings, folder, progress=progress)
        report = build_bitstream(settings, folder, progress=progress)
    typer.echo(report.to_json() if json_output else report.to_text())


def boards(
    connected: Annotated[
        bool,
        typer.Option(
            "--connected", help="Ask the boards at this machine's serial ports who they are."
        ),
    ] = False,
    all_ports: Annotated[
        bool,
        typer.Option(
            "--all-ports",
            help="With --connected: also write to ports that are no known board's.",
        ),
    ] = False,
    baud: Annotated[int, typer.Option(min=1, help="Bits per second on the wire.")] = DEFAULT_BAUD,
    json_output: Annotated[
        bool, typer.Option("--json", help="Print one JSON object instead of a table.")
    ] = False,
) -> None:
    """List the boards that `stepnet build` knows, or those that are connected."""
    if all_ports and not connected:
        raise typer.BadParameter("it goes with --connected.", param_hint="--all-ports")
    if connected:
        from stepnet.cli.connected import show_connected

        show_connected(all_ports=all_ports, baud=baud, json_output=json_output)
        return
    _require_amaranth()
    from stepnet_hdl.boards.facts import board_facts

    facts = board_facts(baud)
    if json_output:
        typer.echo(json.dumps({"boards": [asdict(fact) for fact in facts]}))
    else:
        _show_boards(facts)


def flash(
    board: Annotated[str, typer.Option(help="Name from `stepnet boards`.")] = "icebreaker",
    network: Annotated[
        str | None,
        typer.Option(help="Then load a shipped network, or a .npz file."),
    ] = None,
    bitstream: Annotated[
        Path | None,
        typer.Option(help="A bitstream of your own; the one that comes with Stepnet if not given."),
    ] = None,
    port: Annotated[
        str | None,
        typer.Option(help="Serial port of the board; found by its USB id if not given."),
    ] = None,
    baud: Annotated[
        int, typer.Option(min=1, help="Bits per second that the bitstream was built for.")
    ] = DEFAULT_BAUD,
    until_power_off: Annotated[
        bool,
        typer.Option(
            "--until-power-off", help="Program the FPGA itself, not the flash memory beside it."
        ),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the command and do nothing.")
    ] = False,
) -> None:
    """Program a board with openFPGALoader, and ask it who it is."""
    from stepnet_hdl.boards import programmers as programmer
    from stepnet_hdl.shipping.manifest import read_manifest, shipped_folder

    manifest: Manifest | None = None
    if bitstream is None:
        folder = shipped_folder(board)
        manifest = read_manifest(folder)
        bitstream, baud = folder / manifest.bitstream, manifest.baud
        if network is not None:
            _check_network_fits(network, board)
    elif not bitstream.is_file():
        raise BuildError(
            f"There is no bitstream {str(bitstream)!r}; make one with: stepnet build --board "
            f"{board}."
        )
    command = programmer.flash_command(board, bitstream, keep=not until_power_off)
    if dry_run:
        typer.echo(shlex.join(command))
        return
    from stepnet.cli.output import Progress

    with Progress() as progress:
        progress(f"Programming {board} with openFPGALoader")
        programmer.flash(board, command)
        progress("Asking the board who it is")
        where = port or _find_port(board, manifest, baud)
        _show_programmed(board, where, baud, network)


def _check_network_fits(network: str, board: str) -> None:
    from stepnet.networks.shipped import load_network
    from stepnet_hdl.boards.capacity import check_network
    from stepnet_hdl.shipping.manifest import read_manifest, shipped_boards, shipped_folder

    shapes = [(name, read_manifest(shipped_folder(name)).shape) for name in shipped_boards()]
    check_network(load_network(network), board, shapes)


def _find_port(board: str, manifest: Manifest | None, baud: int) -> str:
    """The port at which a board answers, with the engine of the manifest if there is one."""
    from stepnet.boards.search import connected_boards

    def answers(connected: Connected) -> bool:
        identity = connected.identity
        return identity is not None and (manifest is None or identity.shape == manifest.shape)

    found = [connected.port for connected in connected_boards(baud=baud) if answers(connected)]
    if len(found) != 1:
        ports = f"at {' and '.join(found)}" if found else "at no serial port"
        raise BoardError(
            f"The board {board} was programmed, and Stepnet answers {ports}; name the board's with "
            "--port."
        )
    return found[0]


def _show_programmed(board: str, where: str, baud: int, network: str | None) -> None:
    from stepnet.boards.search import identify

    if network is not None:
        from stepnet.boards.board import open_board

        with open_board(where, network, baud=baud) as running:
            loaded = f"network {running.network.name}"
        identity = identify(where, baud=baud)
    else:
        identity = identify(where, baud=baud)
        loaded = _loaded_in_words(identity)
    typer.echo(
        f"{board} at {where}: engine of SIMD {identity.simd} x PE {identity.pe} at "
        f"{identity.clock_hz / 1e6:g} MHz, {loaded}"
    )


def _loaded_in_words(identity: Identity) -> str:
    from stepnet.boards.held_network import shipped_network

    if not identity.loaded:
        return "no network yet"
    held = shipped_network(identity)
    return f"network {held.name}" if held else "a network of one's own"


def _show_boards(facts: list[BoardFacts]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("board")
    table.add_column("part")
    for heading in ("LUTs", "memory (kbit)", "clock (MHz)", "link (Mbaud)"):
        table.add_column(heading, justify="right")
    table.add_column("networks")
    for fact in facts:
        clock, link = f"{fact.clock_hz / 1e6:g}", f"{fact.baud / 1e6:g}"
        networks = ", ".join(fact.networks) or "none of the shipped"
        if fact.is_too_small:
            clock, link, networks = "-", "-", "too small for any engine"
        table.add_row(
            fact.name,
            fact.part,
            f"{fact.luts:,}",
            f"{fact.memory_kbit:,}",
            clock,
            link,
            networks,
        )
    Console(width=UNBROKEN_COLUMNS).print(table)


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


def _require_amaranth() -> None:
    from importlib.util import find_spec

    for package in ("amaranth", "amaranth_boards"):
        if find_spec(package) is None:
            raise MissingToolError(
                f'The package {package!r} is missing; install it with: pip install "stepnet[fpga]".'
            )
