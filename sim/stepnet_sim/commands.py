"""The command that this package adds to `stepnet`: sim."""

from __future__ import annotations

from typing import Annotated

import typer

from stepnet.cli.options import BaudOption, UartOption
from stepnet.cli.output import Progress
from stepnet.protocol import DEFAULT_BAUD

BITS_PER_BYTE = 10
"""Eight data bits, a start bit and a stop bit."""


def sim(
    listen: Annotated[
        str | None, typer.Option(help="host:port to listen at, such as 127.0.0.1:4000.")
    ] = None,
    pty: Annotated[
        bool, typer.Option("--pty", help="Serve at a pseudo-terminal, as a serial port would be.")
    ] = False,
    network: Annotated[
        str | None,
        typer.Option(help="A shipped network, or a .npz file, that the board holds already."),
    ] = None,
    uart: UartOption = False,
    baud: BaudOption = DEFAULT_BAUD,
    public: Annotated[
        bool, typer.Option("--public", help="Let --listen take an address for other machines.")
    ] = False,
    once: Annotated[
        bool, typer.Option("--once", help="With --listen: end when the first client has left.")
    ] = False,
) -> None:
    """Serve the virtual board at a socket or a pseudo-terminal, until Ctrl-C.

    A socket takes one client after the other; one that comes meanwhile is turned away and told why.
    The board keeps its network from one client to the next.
    """
    if pty == (listen is not None):
        raise typer.BadParameter("give one of --listen and --pty.")
    if pty and once:
        raise typer.BadParameter("a terminal has no clients to count; use --once with --listen.")
    from contextlib import ExitStack, closing

    from stepnet.networks import load_network
    from stepnet.share import Share, shared_at
    from stepnet.share import listen as listen_at
    from stepnet_sim.design import ICEBREAKER
    from stepnet_sim.served import RestingLink, Terminal, load
    from stepnet_sim.virtual_board import open_link

    loaded = None if network is None else load_network(network)
    with ExitStack() as stack:
        terminal = stack.enter_context(Terminal()) if pty else None
        listener = None if listen is None else listen_at(listen, public=public)
        if listener is not None:
            stack.enter_context(listener)
        with Progress() as progress:
            chip = open_link(uart=uart, baud=baud, progress=progress)
        cycles_per_byte = BITS_PER_BYTE * ICEBREAKER.clock_hz // baud if uart else 0
        link = stack.enter_context(closing(RestingLink(chip, cycles_per_byte)))
        if loaded is not None:
            load(link, loaded)
        if terminal is not None:
            _tell(f"The virtual board is at {terminal.where}; Ctrl-C ends it")
            terminal.serve(link)
        if listener is not None:
            share = Share(lambda: link, listener, report=_tell)
            _tell(f"The virtual board is at {shared_at(listener)}; Ctrl-C ends it")
            share.serve(once=once)


def _tell(message: str) -> None:
    print(f"{message}.", flush=True)
