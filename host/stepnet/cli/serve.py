"""`stepnet serve`: a pool of boards over HTTP."""

from __future__ import annotations

import signal
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from stepnet.cli import declared
from stepnet.cli.options import BaudOption, NetworkOption, TimeoutOption, UartOption
from stepnet.cli.output import announce
from stepnet.cli.tokens import NoTokenOption, TokenOption, chosen_token
from stepnet.errors import MissingToolError

if TYPE_CHECKING:
    from stepnet.boards.pool import BoardStatistics

PACKAGES = ("prometheus_client", "starlette", "uvicorn")
"""Of the extra [serve]."""

MOST_CONNECTIONS = 512
"""Open at once, those too on which nothing is asked."""


@dataclass(frozen=True, kw_only=True)
class ServeOptions:
    """Everything that `stepnet serve` is told."""

    boards: Annotated[
        str,
        typer.Option(
            help="The boards, with commas between: serial ports, socket://host:port, or sim, more "
            "than once for several."
        ),
    ] = "sim"
    network: NetworkOption = "digits"
    listen: Annotated[str, typer.Option(help="host:port to listen at.")] = "127.0.0.1:8080"
    public: Annotated[
        bool, typer.Option("--public", help="Let --listen take an address for other machines.")
    ] = False
    token: TokenOption = None
    no_token: NoTokenOption = False
    requests: Annotated[
        int, typer.Option(min=1, max=256, help="Requests that are answered at once.")
    ] = 32
    waiting: Annotated[
        int, typer.Option(min=1, help="Images that wait for a board at once, of all requests.")
    ] = 4096
    batch: Annotated[int, typer.Option(min=1, help="Images in one request.")] = 1024
    stop_s: Annotated[
        int,
        typer.Option(
            "--stop", min=0, help="Seconds that requests have to end once the service is stopped."
        ),
    ] = 10
    baud: BaudOption = None
    timeout_s: TimeoutOption = 5.0
    uart: UartOption = False


def _serve(options: ServeOptions) -> None:
    """Offer boards over HTTP until Ctrl-C: post pictures, get readings as JSON.

    A board that fails is sought until it is back, and none has to be there at the start. With
    --public a token is made up and shown if none is given. Nothing is encrypted: beyond a network
    that you trust, put a server with TLS before it.
    """
    try:
        from stepnet.service.app import Limits, make_app
        from stepnet.web.serving import make_server
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in PACKAGES:
            raise
        raise MissingToolError(
            f"This needs the package {package}, which is not installed; install it with: pip "
            'install "stepnet[serve]".'
        ) from None
    from stepnet.boards.pool import open_pool
    from stepnet.link.lobby import address_of
    from stepnet.link.share import listen
    from stepnet.networks.shipped import load_any_network

    wheres = [where.strip() for where in options.boards.split(",")]
    if not all(wheres):
        raise typer.BadParameter(
            f"a name is missing in {options.boards!r}; give boards with single commas between.",
            param_hint="--boards",
        )
    network = load_any_network(options.network)
    public = options.public
    token, made_up = chosen_token(options.token, public=public, no_token=options.no_token)
    with listen(options.listen, public=public) as listener:
        pool = open_pool(
            wheres,
            network,
            timeout_s=options.timeout_s,
            baud=options.baud,
            uart=options.uart,
            progress=announce,
            come_back=True,
            changed=_tell,
        )
        limits = Limits(options.requests, options.waiting, options.batch)
        app = make_app(pool, limits, public=public, token=token)

        def ready() -> None:
            where = address_of(*listener.getsockname()[:2])
            with_token = f" with the token {token}" if made_up else ""
            announce(
                f"The network {network.name} reads at http://{where}{with_token}; Ctrl-C ends it"
            )
            if public and token is None:
                announce("No token is asked for, so whoever reaches this machine can use it")

        # Whoever stops a service sends this; it ends like Ctrl-C, but is no failure.
        signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(0))
        server = make_server(app, ready, most_connections=MOST_CONNECTIONS, stop_s=options.stop_s)
        server.run([listener])


serve = declared.command("serve", ServeOptions, _serve)


def _tell(board: BoardStatistics) -> None:
    """Say that a board has come or is lost."""
    if board.failure is None:
        announce(f"The board at {board.where} reads")
    else:
        reason = str(board.failure).removesuffix(".")
        announce(f"The board at {board.where} is lost and sought again ({reason})")
