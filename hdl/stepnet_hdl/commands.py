"""The commands that this package adds to `stepnet`: build and boards."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Annotated

import typer

from stepnet.errors import MissingToolError
from stepnet.protocol import DEFAULT_BAUD


def build(
    board: Annotated[
        str, typer.Option(help="Name from `stepnet boards`, or module:Class of your own platform.")
    ] = "icebreaker",
    output: Annotated[
        Path | None, typer.Option(help="Folder for the bitstream; build/BOARD by default.")
    ] = None,
    baud: Annotated[int, typer.Option(help="Bits per second on the serial line.")] = DEFAULT_BAUD,
    seed: Annotated[int, typer.Option(help="Seed of place and route.")] = 1,
    json_output: Annotated[
        bool, typer.Option("--json", help="Print one JSON object instead of text.")
    ] = False,
) -> None:
    """Build the bitstream for a board with Yosys and nextpnr."""
    _require_amaranth()
    from rich.console import Console

    from stepnet_hdl.boards import find_board
    from stepnet_hdl.build import build as build_bitstream

    target = find_board(board)
    folder = output or Path("build", target.name)
    with Console(stderr=True).status("Building") as status:
        report = build_bitstream(target, folder, baud=baud, seed=seed, progress=status.update)
    if json_output:
        typer.echo(json.dumps(dataclasses.asdict(report), default=str))
        return
    spare = report.max_frequency_hz / report.clock_hz - 1
    typer.echo(f"{report.bitstream}: {report.board}, {report.part}")
    typer.echo(
        f"  LUTs        {report.luts} of {report.luts_available} "
        f"({report.luts / report.luts_available:.0%})"
    )
    typer.echo(f"  block RAMs  {report.block_rams} of {report.block_rams_available}")
    if report.single_port_rams_available:
        typer.echo(
            f"  SPRAMs      {report.single_port_rams} of {report.single_port_rams_available}"
        )
    typer.echo(
        f"  clock       {report.clock_hz / 1e6:g} MHz, "
        f"reaches {report.max_frequency_hz / 1e6:.1f} MHz ({spare:.0%} to spare)"
    )
    typer.echo(f"  serial      {report.baud} baud")


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
    baud: Annotated[
        int, typer.Option(min=1, help="With --connected: bits per second on the wire.")
    ] = DEFAULT_BAUD,
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
    from stepnet_hdl.boards import all_boards

    rows = [
        {
            "name": board.name,
            "part": board.device,
            "luts": board.part.luts,
            "block_rams": board.part.block_rams,
            "simd": board.part.shape.simd,
            "weight_bits": board.part.shape.simd * board.part.shape.weight_words,
            "clock_hz": board.clock_hz,
        }
        for board in all_boards().values()
    ]
    if json_output:
        typer.echo(json.dumps({"boards": rows}))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, header_style="bold")
    table.add_column("board")
    table.add_column("part")
    for heading in ("LUTs", "block RAMs", "SIMD", "weights (kbit)", "clock (MHz)"):
        table.add_column(heading, justify="right")
    for row in rows:
        table.add_row(
            row["name"],
            row["part"],
            str(row["luts"]),
            str(row["block_rams"]),
            str(row["simd"]),
            f"{row['weight_bits'] / 1024:g}",
            f"{row['clock_hz'] / 1e6:g}",
        )
    Console().print(table)


def _require_amaranth() -> None:
    try:
        import amaranth_boards  # noqa: F401 - only asked whether it is there
    except ImportError as error:
        raise MissingToolError(
            f'The package {error.name!r} is missing; install it with: pip install "stepnet[fpga]".'
        ) from error
