"""`stepnet share`: offer a board over TCP."""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import Annotated

import typer

from stepnet.cli.options import BaudOption
from stepnet.cli.output import announce
from stepnet.cli.tokens import NoTokenOption, TokenOption, chosen_token
from stepnet.errors import LinkError


def share(
    board: Annotated[
        str, typer.Option("--board", help="A serial port such as /dev/ttyUSB1 or COM3.")
    ],
    listen: Annotated[str, typer.Option(help="host:port to listen at.")] = "127.0.0.1:4000",
    public: Annotated[
        bool, typer.Option("--public", help="Let --listen take an address for other machines.")
    ] = False,
    token: TokenOption = None,
    no_token: NoTokenOption = False,
    baud: BaudOption = None,
    once: Annotated[
        bool, typer.Option("--once", help="End when the first client that got it has left.")
    ] = False,
) -> None:
    """Offer a board over TCP, to one client at a time, until Ctrl-C.

    A client that comes meanwhile is turned away and told why. With --public a token is made up and
    shown if none is given. Nothing is encrypted, and the token is sent as it is: beyond a network
    that you trust, use ssh -L or a VPN.
    """
    from stepnet.link.bridge import SharedLink
    from stepnet.link.link import BOARDS_GROUP, open_port
    from stepnet.link.share import Share, shared_at
    from stepnet.link.share import listen as listen_at
    from stepnet.link.tokens import without_token

    if board in entry_points(group=BOARDS_GROUP).names:
        raise LinkError(
            f"The board {board!r} is not at a port that could be shared; `stepnet sim --listen` "
            "serves the virtual board."
        )
    token, made_up = chosen_token(token, public=public, no_token=no_token)
    with listen_at(listen, public=public) as listener:

        def open_board() -> SharedLink:
            return open_port(board, baud=baud, progress=announce)

        shared = Share(open_board, listener, token=token, report=announce)
        url = shared_at(listener, token if made_up else None)
        announce(f"The board at {without_token(board)} is shared at {url}; Ctrl-C ends it")
        if public and token is None:
            announce("No token is asked for, so whoever reaches this machine can use the board")
        shared.serve(once=once)
