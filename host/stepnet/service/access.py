"""Who may ask the service, before any other code sees what was asked.

The service is for programs. A browser can be made by any web page to send requests to this
machine, and tells an Origin when it posts; so whatever tells one is turned away. A name that is
made to mean 127.0.0.1 (DNS rebinding) shows in the Host; so where only this machine is served, the
Host is a name of this machine. Where others are served, whoever asks has to know a token.
"""

from __future__ import annotations

import hmac
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from stepnet.web.guard import LOOPBACK_NAMES, sending

OPEN_PATHS = ("/health", "/openapi.json")
"""What needs no token: whether boards are there, and how to ask."""

SCHEME = "Bearer "

HEADERS = {"x-content-type-options": "nosniff", "cache-control": "no-store"}
"""Sent with every answer."""

UNAUTHORIZED, FORBIDDEN = 401, 403


class Access:
    """ASGI middleware around `app`.

    public: whether other machines reach the service.
    token: what a request has to name as `Authorization: Bearer TOKEN`; None for nothing.
    """

    def __init__(self, app: ASGIApp, *, public: bool = False, token: str | None = None) -> None:
        self._app = app
        self._public = public
        self._token = token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer why not."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        send = sending(HEADERS, send)
        refusal = self._refusal(scope["path"], Headers(scope=scope))
        if refusal is None:
            await self._app(scope, receive, send)
            return
        status, sentence = refusal
        headers = {"www-authenticate": "Bearer"} if status == UNAUTHORIZED else None
        response = JSONResponse({"error": sentence}, status_code=status, headers=headers)
        await response(scope, receive, send)

    def _refusal(self, path: str, headers: Headers) -> tuple[int, str] | None:
        """The status and the sentence with which a request is turned away; None if it is not."""
        if "origin" in headers:
            return FORBIDDEN, (
                "This request comes from a web page, and the service is for programs; let the "
                "page's own server ask."
            )
        if not self._public and not _is_loopback(headers.get("host", "")):
            return FORBIDDEN, (
                "This service was asked for under a name that is not this machine's own; ask it at "
                "127.0.0.1, or start `stepnet serve` with --public."
            )
        if self._token is not None and path not in OPEN_PATHS:
            given = headers.get("authorization", "")
            if not hmac.compare_digest(given.encode(), f"{SCHEME}{self._token}".encode()):
                return UNAUTHORIZED, (
                    "The token is missing or wrong; send the header Authorization: Bearer TOKEN "
                    "with the token that `stepnet serve` was given or printed."
                )
        return None


def _is_loopback(host: str) -> bool:
    try:
        return urlsplit(f"//{host}").hostname in LOOPBACK_NAMES
    except ValueError:
        return False
