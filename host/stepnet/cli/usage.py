"""Wrong usage in one sentence, as all other errors of the command line."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, cast

import typer

UsageError = cast("type[Exception]", typer.BadParameter.__mro__[1])
"""The class of errors that typer raises for words on the command line that it can make no sense of.
It exports only one that is derived from it."""

_INVALID = "Invalid value for "
_PREFIX_OF_REASONS = "Value error, "


def usage_sentence(error: Any, words: Sequence[str]) -> str:
    """What is wrong, with the value and the way out.

    error: a `UsageError`; typer carries no types for what is inside.
    words: the command line, without the program's name.

    A `typer.BadParameter` that a command raised is a whole sentence already. Where typer found the
    mistake, its message may lack the value, and the way out is the command's help.
    """
    message: str = error.format_message()
    parameter: Any = getattr(error, "param", None)  # set where typer itself found the mistake
    if (isinstance(error, typer.BadParameter) and parameter is None) or message.endswith("?"):
        return message
    if parameter is not None and message.startswith(_INVALID):
        name, _, reason = message.removeprefix(_INVALID).partition(": ")
        value = _value(parameter.opts, words)
        given = "" if value is None or repr(value) in reason else f" {value!r}"
        message = (
            f"Invalid value{given} for {name.strip(chr(39))}: "
            f"{reason.removeprefix(_PREFIX_OF_REASONS)}"
        )
    return f"{message.removesuffix('.')}; see {_command(error, words)} --help."


def _command(error: Any, words: Sequence[str]) -> str:
    if error.ctx is not None:
        return error.ctx.command_path
    # Of an option without its value typer does not tell whose it is.
    return " ".join(["stepnet", *itertools.takewhile(lambda word: word[:1] != "-", words[:1])])


def _value(names: Sequence[str], words: Sequence[str]) -> str | None:
    """The value that was given for an option; None if `words` do not show it, as for arguments."""
    value = None
    for place, word in enumerate(words):
        name, equals, rest = word.partition("=")
        if name in names and name.startswith("-"):
            value = rest if equals else next(iter(words[place + 1 : place + 2]), None)
    return value
