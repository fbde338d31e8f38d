"""A digest of the source code that decides an artefact: a compiled chip, netlist or bitstream.

The caches of compiled chips, netlists and bitstreams find an entry by what it was made of. Where
Stepnet's own code decides that, it is made of every module that the deciding one imports, directly
or through others. They are found by reading the code, so that a new module counts from its first
import on, wherever its file lies.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

PACKAGES = ("stepnet", "stepnet_hdl", "stepnet_sim")
"""The packages within which imports are followed; the caller adds the versions of all others."""


def source_digest(*modules: str) -> str:
    """SHA-256 of the source of `modules` and of all that they import within `PACKAGES`.

    Sources count as syntax trees, so that a comment or a moved line does not change the digest.
    """
    digest = hashlib.sha256()
    for name, path in sorted(source_files(*modules).items()):
        digest.update(f"{name}\0{_parsed(path.read_bytes()).dump}\0".encode())
    return digest.hexdigest()


def source_files(*modules: str) -> dict[str, Path]:
    """The files that `source_digest` reads, by the names of their modules.

    Raises ModuleNotFoundError if one of `modules` does not belong to `PACKAGES`.
    """
    found: dict[str, Path] = {}
    waiting = list(modules)
    for name in modules:
        if _module_file(name) is None:
            raise ModuleNotFoundError(f"There is no module {name!r} in {', '.join(PACKAGES)}.")
    while waiting:
        name = waiting.pop()
        path = _module_file(name)
        if path is None or name in found:
            continue
        found[name] = path
        # Python runs the packages around a module before the module itself.
        waiting.extend(_enclosing_packages(name))
        waiting.extend(_parsed(path.read_bytes()).imports)
    return found


class _Parsed(NamedTuple):
    """What counts of a module: its syntax tree in words, and the names that it may import."""

    dump: str
    imports: tuple[str, ...]


@cache
def _parsed(content: bytes) -> _Parsed:
    """The module of that content; several digests share most of their modules."""
    tree = ast.parse(content)
    return _Parsed(ast.dump(tree), tuple(_imported_names(tree)))


def _module_file(name: str) -> Path | None:
    """The file of a module of `PACKAGES`; None for any other name."""
    root, *inner = name.split(".")
    spec = find_spec(root) if root in PACKAGES else None
    for folder in (spec and spec.submodule_search_locations) or ():
        place = Path(folder, *inner)
        for path in (place / "__init__.py", place.with_suffix(".py") if inner else place):
            if path.is_file():
                return path
    return None


def _enclosing_packages(name: str) -> Iterator[str]:
    parts = name.split(".")
    for count in range(1, len(parts)):
        yield ".".join(parts[:count])


def _imported_names(tree: ast.AST) -> Iterator[str]:
    """The names that a module may import when it runs, of modules or of what is in them."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue  # for readers of types alone
        else:
            yield from _imported_names(node)
