"""What the first bytes of a client say about it: whether a share lets it in.

A board takes whatever it is sent, and a web browser can be made to send bytes to any address of the
machine that it runs on. What a browser can send begins as HTTP, TLS or STUN do, and as no frame for
a board does: the second byte of a frame is the kind of its message, which is no letter.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass

from stepnet.link.tokens import MOST_GREETING_BYTES, TOKEN_PREFIX

_HTTP_METHOD = re.compile(rb"[A-Z][A-Z-]{0,19}")
_TLS_HELLO = re.compile(rb"\x16\x03.{3}\x01\x00", re.DOTALL)
_TLS_HELLO_BYTES = 7
_TLS_RECORD = b"\x16\x03"
_STUN = re.compile(rb"(?:..)?.{4}\x21\x12\xa4\x42", re.DOTALL)
"""RFC 9110, section 9.1; RFC 8446, sections 4 and 5.1; RFC 8489, section 5, with the length before
it that RFC 4571 puts there."""


@dataclass(frozen=True)
class Admitted:
    """The client may have the board.

    rest: what it said that is for the board.
    greeted: it told a token and waits for the welcome.
    """

    rest: bytes
    greeted: bool


@dataclass(frozen=True)
class TurnedAway:
    """The client may not.

    sentence: that it is told. because: that is reported, the end of a sentence.
    guessed: it may have tried a token, so that the answer should not come at once.
    """

    sentence: str
    because: str
    guessed: bool = False


Verdict = Admitted | TurnedAway


def judge(said: bytes, token: str | None) -> Verdict | None:
    """Decide by the first bytes of a client whether it is let in; None if they are too few.

    said: what the client sent so far.
    token: the one that the client has to know, if any.
    """
    if token is not None:
        return _judge_by_token(said, token)
    if not said or _may_begin(said, TOKEN_PREFIX):
        return _welcome_any(said)
    if protocol := _other_protocol(said):
        return TurnedAway(
            f"This is a board and speaks no {protocol}; open it with socket://host:port.",
            f"it speaks {protocol}",
        )
    if _HTTP_METHOD.fullmatch(said) or (
        _may_begin(said, _TLS_RECORD) and len(said) < _TLS_HELLO_BYTES
    ):
        return None
    return Admitted(said, greeted=False)


def judge_silent(token: str | None) -> TurnedAway:
    """The verdict on a client that says too little for too long: it is turned away."""
    if token is not None:
        return _without_token()
    return TurnedAway(
        "Nothing was asked; connect again when there is something to ask.", "it asked nothing"
    )


def _judge_by_token(said: bytes, token: str) -> Verdict | None:
    line, end, rest = said.partition(b"\n")
    if not _may_begin(said, TOKEN_PREFIX):
        return _without_token()
    if not end:
        # Whatever is wrong with it: an answer before its end would tell how long the token is.
        return _without_token() if len(said) >= MOST_GREETING_BYTES else None
    told, wanted = (hashlib.sha256(each).digest() for each in (line, TOKEN_PREFIX + token.encode()))
    return Admitted(rest, greeted=True) if hmac.compare_digest(told, wanted) else _without_token()


def _without_token() -> TurnedAway:
    return TurnedAway(
        "The token is wrong or missing; use socket://TOKEN@host:port.",
        "it did not send the token",
        guessed=True,
    )


def _welcome_any(said: bytes) -> Verdict | None:
    """A client that tells a token where none is asked for is welcome with any."""
    _, end, rest = said.partition(b"\n")
    if end:
        return Admitted(rest, greeted=True)
    return _without_token() if len(said) >= MOST_GREETING_BYTES else None


def _may_begin(said: bytes, prefix: bytes) -> bool:
    """Whether `said` begins with `prefix`, or may as soon as there is more of it."""
    return said[: len(prefix)] == prefix[: len(said)]


def _other_protocol(said: bytes) -> str | None:
    method, space, _ = said.partition(b" ")
    if space and _HTTP_METHOD.fullmatch(method):
        return "HTTP"
    if _TLS_HELLO.match(said):
        return "TLS"
    return "STUN" if _STUN.match(said) else None
