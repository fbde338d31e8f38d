"""`stepnet boards --connected`: what is at the serial ports of this machine."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

from stepnet.cli.output import Progress
from stepnet.printable import printable

if TYPE_CHECKING:
    from stepnet.boards.identity import Identity
    from stepnet.boards.search import Connected


def show_connected(*, all_ports: bool, baud: int | None, json_output: bool) -> None:
    """Print every serial port and the board that is found at it.

    Other arguments: as in `stepnet.boards.search.connected_boards`.
    """
    from stepnet.boards.search import connected_boards

    with Progress() as progress:
        progress("Asking the boards at the serial ports")
        found = connected_boards(all_ports=all_ports, baud=baud)
    if json_output:
        print(json.dumps({"ports": [asdict(connected) for connected in found]}))
    elif found:
        _print_table(found)
    else:
        print("This machine has no serial ports; connect a board and check its cable.")


def _print_table(found: list[Connected]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, header_style="bold")
    for heading in ("port", "board", "USB id", "core", "rate", "network"):
        table.add_column(heading, overflow="fold")
    for connected in found:
        identity = connected.identity
        cells = (
            connected.port,
            connected.board or "unknown",
            connected.usb_id or "",
            _core(identity) if identity else "",
            f"{connected.baud:,} baud" if connected.baud else "",
            _network(connected, identity) if identity else "",
        )
        table.add_row(*(Text(printable(cell)) for cell in cells))
    console = Console(highlight=False)
    console.print(table)
    for connected in found:
        if connected.problem:
            line = printable(f"{connected.port}: {connected.problem}")
            console.print(line, markup=False, soft_wrap=True)


def _core(identity: Identity) -> str:
    from stepnet.boards.identity import MAC_CORES

    if not identity.takes_loads:
        return f"its network alone, {identity.clock_hz / 1e6:g} MHz"
    if identity.core in MAC_CORES:
        return (
            f"multiply-accumulate, {identity.simd} lanes, "
            f"{identity.simd * identity.weight_words / 1024:g} kB of weights, "
            f"{identity.clock_hz / 1e6:g} MHz"
        )
    weights_kbit = identity.shape.weight_memory_bits / 1024
    return (
        f"engine, SIMD {identity.simd} x PE {identity.pe}, {weights_kbit:g} kbit of weights "
        f"of up to {identity.max_weight_bits} bits, {identity.clock_hz / 1e6:g} MHz"
    )


def _network(connected: Connected, identity: Identity) -> str:
    if not identity.loaded:
        return "none"
    return connected.network or f"unknown, digest {identity.digest:08x}"
