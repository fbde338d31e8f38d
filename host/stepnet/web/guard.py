"""Turns away whatever is not the page itself, before any other code sees it.

A browser sends requests of any site's page to 127.0.0.1, and a name that somebody else owns may be
made to mean 127.0.0.1 (DNS rebinding). So the Host that was asked for has to be this server's own,
an Origin that is told has to be this server's, and whatever changes something has to tell one.
Where other machines reach the server, whoever asks for more than the page's code has to know a
token.
"""

from __future__ import annotations

import hmac
import ipaddress
import socket
from collections.abc import Mapping
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

TOKEN_HEADER = "x-stepnet-token"

GUARDED = ("/api/", "/networks/")
"""What needs the token, if there is one. The rest is the page's own code."""

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'"
)
"""What the page may load: its own files. Nothing in it is evaluated."""

HEADERS = {
    "content-security-policy": f"{CONTENT_SECURITY_POLICY}; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-cache",
}
"""Sent with every answer."""


LOOPBACK_NAMES = ("127.0.0.1", "localhost", "::1")
"""The names under which a machine asks itself."""


def sending(headers: Mapping[str, str], send: Send) -> Send:
    """What sends an answer through `send`, with these headers in it."""

    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message).update(headers)
        await send(message)

    return send_with_headers


class Guard:
    """ASGI middleware around `app`.

    port: at which this server listens.
    public: whether other machines reach it.
    token: what requests for anything in `GUARDED` have to name; None for nothing.
    """

    def __init__(
        self, app: ASGIApp, port: int, *, public: bool = False, token: str | None = None
    ) -> None:
        self._app = app
        self._port = port
        self._public = public
        self._token = token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer why not."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        send = sending(HEADERS, send)
        headers = Headers(scope=scope)
        refusal = self._refusal(scope["method"], scope["path"], headers)
        if refusal is None:
            await self._app(scope, receive, send)
        else:
            response = JSONResponse({"error": refusal}, status_code=403)
            await response(scope, receive, send)

    def _refusal(self, method: str, path: str, headers: Headers) -> str | None:
        """Why a request is turned away; None if it is not."""
        host = headers.get("host", "")
        if not self._is_own(host):
            return (
                "This server was asked for under a name that is not its own; open the address that "
                "`stepnet web` printed."
            )
        origin = headers.get("origin")
        changes = method not in ("GET", "HEAD")
        if (changes and origin is None) or (origin is not None and origin != f"http://{host}"):
            return (
                "This request comes from another page; open the address that `stepnet web` printed."
            )
        if headers.get("sec-fetch-site", "none") not in ("none", "same-origin") and path != "/":
            return (
                "This request comes from another page; open the address that `stepnet web` printed."
            )
        if self._token is not None and path.startswith(GUARDED):
            given = headers.get(TOKEN_HEADER, "")
            if not hmac.compare_digest(given.encode(), self._token.encode()):
                return "The token is missing or wrong; open the address that `stepnet web` printed."
        return None

    def _is_own(self, host: str) -> bool:
        """Whether a Host is this server: a loopback name; if it is public, also this machine's name
        or any address, which nobody can make mean something else."""
        try:
            asked = urlsplit(f"//{host}")
            name, port = asked.hostname or "", asked.port or 80
        except ValueError:
            return False
        if port != self._port or asked.username is not None:
            return False
        if not self._public:
            return name in LOOPBACK_NAMES
        return name in ("localhost", *own_names()) or _is_address(name)


def own_names() -> tuple[str, ...]:
    """What this machine is called."""
    name = socket.gethostname().lower()
    return (name, f"{name}.local", name.partition(".")[0])


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
