"""Starts the page's server and says where it is."""

from __future__ import annotations

import socket
import threading
import webbrowser
from collections.abc import Callable
from urllib.parse import quote

import uvicorn
from starlette.applications import Starlette
from starlette.types import ASGIApp

from stepnet.link.share import listen

LOOPBACK = "127.0.0.1"
EVERYWHERE = "0.0.0.0"
MOST_REQUESTS = 32
"""At once; each may hold a picture."""

STOP_S = 2
"""How long requests that are being answered may take at the end."""


def listen_at(port: int, *, public: bool) -> socket.socket:
    """A socket for the server: on this machine alone, or with `public` for others too. Port 0 takes
    any that is free.

    Raises ListenError if the port is taken, or none is free.
    """
    host = EVERYWHERE if public else LOOPBACK
    return listen(f"{host}:{port}", public=public)


def page_address(listener: socket.socket, *, public: bool, token: str | None) -> str:
    """The URL of the page; with the token behind a #, which no browser sends anywhere."""
    host = socket.gethostname().lower() if public else LOOPBACK
    known = "" if token is None else f"#{quote(token, safe='')}"
    return f"http://{host}:{listener.getsockname()[1]}/{known}"


class _Server(uvicorn.Server):
    """Tells when it answers."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._ready()


def serve(app: Starlette, listener: socket.socket, ready: Callable[[], None]) -> None:
    """Answer requests until Ctrl-C.

    ready: is called once, when requests are answered.
    """
    make_server(app, ready).run([listener])


def make_server(
    app: ASGIApp,
    ready: Callable[[], None],
    *,
    most_connections: int = MOST_REQUESTS,
    stop_s: int = STOP_S,
) -> uvicorn.Server:
    """The server of `serve`, for whoever runs it in a thread of their own and ends it with
    `should_exit`.

    most_connections: at once, idle ones too.
    stop_s: how long requests that are being answered may take at the end.
    """
    config = uvicorn.Config(
        app,
        log_level="error",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        ws="none",
        limit_concurrency=most_connections,
        timeout_graceful_shutdown=stop_s,
    )
    return _Server(config, ready)


def show(url: str) -> None:
    """Open the page in the user's browser, without waiting for it."""
    threading.Thread(target=webbrowser.open, args=(url,), daemon=True).start()
