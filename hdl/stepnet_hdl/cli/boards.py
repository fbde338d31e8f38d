"""`stepnet boards`: the boards that can be built for, or those that are connected."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from stepnet_hdl.cli.requirements import require_amaranth

if TYPE_CHECKING:
    from stepnet_hdl.estimation.board_facts import BoardFacts

UNBROKEN_COLUMNS = 1000


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
        int | None,
        typer.Option(min=1, help="Bits per second on the wire; the board's own if not given."),
    ] = None,
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
    require_amaranth()
    from stepnet_hdl.estimation.board_facts import board_facts

    facts = board_facts(baud)
    if json_output:
        typer.echo(json.dumps({"boards": [asdict(fact) for fact in facts]}))
    else:
        _show_boards(facts)


def _show_boards(facts: list[BoardFacts]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("board")
    table.add_column("part")
    for heading in ("LUTs", "memory (kbit)", "clock (MHz)", "link (Mbaud)"):
        table.add_column(heading, justify="right")
    table.add_column("networks")
    table.add_column("networks with convolutions")
    table.add_column("networks of look-up tables")
    table.add_column("spiking networks")
    for fact in facts:
        clock, link = f"{fact.clock_hz / 1e6:g}", f"{fact.baud / 1e6:g}"
        networks = ", ".join(fact.networks) or "none of the shipped"
        if fact.is_too_small:
            clock, networks = "-", "too small for an engine"
            link = link if fact.tables else "-"
        table.add_row(
            fact.name,
            fact.part,
            f"{fact.luts:,}",
            f"{fact.memory_kbit:,}",
            clock,
            link,
            networks,
            ", ".join(fact.convolving) or "none of the shipped",
            ", ".join(fact.tables) or "none of the shipped",
            ", ".join(fact.spiking) or "none of the shipped",
        )
    Console(width=UNBROKEN_COLUMNS).print(table)
