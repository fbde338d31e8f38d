"""`stepnet share`: offer a board over TCP."""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import Annotated

import typer

from stepnet.cli.options import BaudOption
from stepnet.errors import LinkError
from stepnet.link.serial_line import DEFAULT_BAUD


def share(
    board: Annotated[
        str, typer.Option("--board", help="A serial port such as /dev/ttyUSB1 or COM3.")
    ],
    listen: Annotated[str, typer.Option(help="host:port to listen at.")] = "127.0.0.1:4000",
    public: Annotated[
        bool, typer.Option("--public", help="Let --listen take an address for other machines.")
    ] = False,
    token: Annotated[
        str | None,
        typer.Option(
            envvar="STEPNET_TOKEN",
            show_envvar=True,
            help="What a client must send first, as in socket://TOKEN@host:port.",
        ),
    ] = None,
    baud: BaudOption = DEFAULT_BAUD,
    once: Annotated[
        bool, typer.Option("--once", help="End when the first client has left.")
    ] = False,
) -> None:
    """Offer a board over TCP, to one client at a time, until Ctrl-C.

    A client that comes meanwhile is turned away and told why. Nothing is encrypted, and the token
    is sent as it is: beyond a network that you trust, use ssh -L or a VPN.
    """
    from stepnet.link.link import BOARDS_GROUP, SerialLink
    from stepnet.link.share import Share, shared_at
    from stepnet.link.share import listen as listen_at

    if board in entry_points(group=BOARDS_GROUP).names:
        raise LinkError(
            f"The board {board!r} is not at a port that could be shared; `stepnet sim --listen` "
            "serves the virtual board."
        )
    if token is not None and not (token.isascii() and token.isprintable() and token):
        raise typer.BadParameter(
            "a token is one or more printable ASCII characters.", param_hint="--token"
        )
    with listen_at(listen, public=public) as listener:
        shared = Share(lambda: SerialLink(board, baud=baud), listener, token=token, report=_tell)
        _tell(f"The board at {board} is shared at {shared_at(listener)}; Ctrl-C ends it")
        if public and token is None:
            _tell("No token is asked for, so whoever reaches this machine can use the board")
        shared.serve(once=once)


def _tell(message: str) -> None:
    print(f"{message}.", flush=True)
