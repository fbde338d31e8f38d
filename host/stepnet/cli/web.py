"""`stepnet web`: the drawing page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stepnet.cli.options import BaudOption, BoardOption, TimeoutOption, UartOption
from stepnet.cli.output import announce
from stepnet.cli.tokens import NoTokenOption, TokenOption, chosen_token

if TYPE_CHECKING:
    from stepnet.networks.kinds import AnyNetwork


def web(
    board: BoardOption = "sim",
    network: Annotated[
        str, typer.Option("--network", help="A shipped network, or a .npz file.")
    ] = "ascii",
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port to listen at; 0 takes any that is free.")
    ] = 0,
    no_browser: Annotated[
        bool, typer.Option("--no-browser", help="Do not open the page in the browser.")
    ] = False,
    keep: Annotated[
        Path | None,
        typer.Option(help="Folder in which drawings are kept with the label that they are given."),
    ] = None,
    export: Annotated[
        Path | None,
        typer.Option(help="Write the page as files into this folder, and end."),
    ] = None,
    public: Annotated[
        bool, typer.Option("--public", help="Let other machines reach the page.")
    ] = False,
    token: TokenOption = None,
    no_token: NoTokenOption = False,
    baud: BaudOption = None,
    timeout_s: TimeoutOption = 2.0,
    uart: UartOption = False,
) -> None:
    """Draw characters in the browser and watch a board read them, until Ctrl-C.

    With --public a token is made up and shown if none is given. Nothing is encrypted: beyond a
    network that you trust, use ssh -L or a VPN.
    """
    from stepnet.networks.kinds import step_network
    from stepnet.networks.lut import LutNetwork
    from stepnet.networks.shipped import load_any_network

    loaded = load_any_network(network)
    if not isinstance(loaded, LutNetwork):
        step_network(loaded, "the page")
    if export is not None:
        _export(export, loaded)
        return
    from stepnet.web.app import make_app
    from stepnet.web.catalogue import Catalogue, boards_here
    from stepnet.web.serving import listen_at, page_address, serve, show
    from stepnet.web.station import Station

    token, made_up = chosen_token(token, public=public, no_token=no_token)
    with listen_at(port, public=public) as listener:
        url = page_address(listener, public=public, token=token if made_up else None)

        def ready() -> None:
            announce(f"The page is at {url}; Ctrl-C ends it")
            if not no_browser:
                show(url)

        station = Station(
            boards_here(board), board, loaded, timeout_s=timeout_s, baud=baud, uart=uart
        )
        app = make_app(
            station,
            Catalogue([loaded]),
            port=listener.getsockname()[1],
            token=token,
            public=public,
            keep=keep,
        )
        serve(app, listener, ready)


def _export(folder: Path, first: AnyNetwork) -> None:
    """Write the page with `first` and all other shipped networks that it draws."""
    from stepnet.networks.shipped import load_any_network
    from stepnet.web.catalogue import page_names
    from stepnet.web.site import write_site

    others = [load_any_network(name) for name in page_names() if name != first.name]
    files = write_site(folder, [first, *others])
    size = sum(path.stat().st_size for path in files) / 1e6
    print(
        f"Wrote {len(files)} files of {size:.1f} MB into {folder}; "
        "serve them over https or from localhost."
    )
