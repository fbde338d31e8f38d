"""Docstrings as they become the pages of the API.

Whatever can be imported and has no docstring is a warning, which ends a strict build. Lines that
explain a parameter or a field, such as `baud: bits per second on the wire.`, become a list.

An extension of Griffe, which reads the sources for mkdocstrings.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from typing import Any

import griffe

log = logging.getLogger("mkdocs.hooks.docstrings")

NEED_NONE = {"create", "elaborate"}
"""Methods whose meaning Amaranth gives: what they make is what their class is."""
NOT_SHOWN = {"cli", "benches"}
"""Folders that no page of the API shows."""


class Docstrings(griffe.Extension):
    """Checks every docstring of a package, and makes lists in it."""

    def on_package(self, *, pkg: griffe.Module, loader: Any, **kwargs: Any) -> None:
        """Called once for each package, when all of it is read."""
        for found in _shown(pkg):
            if found.docstring is not None:
                found.docstring.value = with_lists(found.docstring.value, _explained(found))
            elif _needs_docstring(found):
                log.warning("%s has no docstring.", found.path)


def _shown(holder: griffe.Object) -> Iterator[griffe.Object]:
    yield holder
    for name, member in holder.members.items():
        if isinstance(member, griffe.Object) and member.is_public and name not in NOT_SHOWN:
            yield from _shown(member)


def _needs_docstring(found: griffe.Object) -> bool:
    if found.name in NEED_NONE or (found.name.startswith("__") and found.name.endswith("__")):
        return False
    return not found.is_attribute or "property" in found.labels


def _explained(found: griffe.Object) -> set[str]:
    """The names that a docstring may explain, each in a line of its own."""
    names = set(found.members) if found.is_class else set()
    makes = found.members.get("__init__") if found.is_class else found
    if isinstance(makes, griffe.Function):
        names |= {parameter.name for parameter in makes.parameters}
    return names


def with_lists(text: str, names: set[str]) -> str:
    """A docstring in which each line that begins with one of `names` and a colon, together with the
    lines that go on with it, is an item of a list."""
    lines: list[str] = []
    in_list = False
    for line in text.splitlines():
        if (found := re.match(r"(\w+): (.*)", line)) and found[1] in names:
            if lines and lines[-1] and not in_list:
                lines.append("")
            lines.append(f"- `{found[1]}`: {found[2]}")
            in_list = True
            continue
        in_list = in_list and bool(line.strip())
        lines.append(f"    {line.strip()}" if in_list else line)
    return "\n".join(lines)
