"""A digest of the source code that decides an artefact: a compiled chip, netlist or bitstream.

The caches of compiled chips, netlists and bitstreams find an entry by what it was made of. Where
Stepnet's own code decides that, it is made of every module that the deciding one imports, directly
or through others. They are found by reading the code, so that a new module counts from its first
import on, wherever its file lies.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from stepnet_sim.parsed_module import ParsedModules

PACKAGES = ("stepnet", "stepnet_hdl", "stepnet_sim")
"""The packages within which imports are followed; the caller adds the versions of all others."""


def source_digest(*modules: str) -> str:
    """SHA-256 of the source of `modules` and of all that they import within `PACKAGES`.

    Sources count as syntax trees, so that a comment or a moved line does not change the digest.
    """
    digest = hashlib.sha256()
    for name, path in sorted(source_files(*modules).items()):
        digest.update(f"{name}\0{_modules()[path.read_bytes()].digest}\0".encode())
    _modules().save()
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
        waiting.extend(_modules()[path.read_bytes()].imports)
    return found


@cache
def _modules() -> ParsedModules:
    return ParsedModules()


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
