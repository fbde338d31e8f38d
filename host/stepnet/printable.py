"""Text that comes from somebody else, made fit for a terminal.

A terminal obeys some characters instead of showing them: they move its cursor, recolour it, answer
in the place of its user. Names in files, notices of a share and words of a tool may hold any.
"""

from __future__ import annotations

MOST_CHARACTERS = 1000


def printable(text: str, most: int = MOST_CHARACTERS) -> str:
    r"""`text` in one line, every character that cannot be seen as Python writes it, such as \x1b.

    most: characters; of a longer text the rest is left out, and it ends in three dots.
    """
    cut = text[:most] + ("..." if len(text) > most else "")
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode("ascii")
        for each in cut
    )
