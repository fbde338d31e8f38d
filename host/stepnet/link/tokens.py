"""What a client and a share say to each other before anything goes to the board.

client  stepnet-token TOKEN LF
share   stepnet-welcome LF
"""

from __future__ import annotations

from urllib.parse import unquote

from stepnet.link.sockets import SCHEME

TOKEN_VARIABLE = "STEPNET_TOKEN"
"""The environment variable with the token of a client whose URL names none. Unlike a URL on the
command line, it stands in no list of processes."""

TOKEN_PREFIX = b"stepnet-token "
WELCOME = b"stepnet-welcome\n"

MOST_GREETING_BYTES = 1024
"""How long a line of theirs may be."""


def greeting(token: str) -> bytes:
    """The first line of a client that has a token."""
    return TOKEN_PREFIX + token.encode() + b"\n"


def split_token(where: str) -> tuple[str, str | None]:
    """The port or URL to open, and the token that `socket://TOKEN@host:port` names, if any."""
    token, at, place = where.removeprefix(SCHEME).rpartition("@")
    if not where.startswith(SCHEME) or not at:
        return where, None
    return SCHEME + place, unquote(token)


def without_token(where: str) -> str:
    """`where` as it may be shown: a share's URL without its token."""
    return split_token(where)[0]
