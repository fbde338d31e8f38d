"""The token of a board that is offered over TCP: what `stepnet share` and `stepnet sim` ask for."""

from __future__ import annotations

import secrets
from typing import Annotated

import typer

from stepnet.link.tokens import TOKEN_VARIABLE

RANDOM_BYTES = 16

MOST_CHARACTERS = 500

TokenOption = Annotated[
    str | None,
    typer.Option(
        "--token",
        envvar=TOKEN_VARIABLE,
        show_envvar=True,
        help="What a client must send first, as in socket://TOKEN@host:port.",
    ),
]
NoTokenOption = Annotated[
    bool,
    typer.Option(
        "--no-token", help="With --public: ask for no token, so that all who reach it may use it."
    ),
]


def chosen_token(token: str | None, *, public: bool, no_token: bool) -> tuple[str | None, bool]:
    """The token to ask for, and whether it has to be told because it was made up here.

    Where other machines reach the board, a token is made up unless there is one or `no_token`.

    Raises `typer.BadParameter` if the token cannot be sent.
    """
    if no_token:
        return None, False
    if token is None:
        return (secrets.token_urlsafe(RANDOM_BYTES), True) if public else (None, False)
    if not (token and token.isascii() and token.isprintable()):
        raise typer.BadParameter(
            "a token is one or more printable ASCII characters.", param_hint="--token"
        )
    if len(token) > MOST_CHARACTERS:
        raise typer.BadParameter(
            f"a token has at most {MOST_CHARACTERS} characters.", param_hint="--token"
        )
    return token, False
