"""What counts of a module's source, remembered by what the source is.

To take a chip's 110 modules apart costs most of a second, at every start. So what was found is kept
in the user's cache, by the SHA-256 of the source; a file there that cannot be read, or is not what
this module writes, is made anew.
"""

from __future__ import annotations

import ast
import hashlib
import json
import sys
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import platformdirs

from stepnet.errors import StepnetError
from stepnet.files import read_limited, write_text
from stepnet_hdl.flow.private_folder import make_private

FILE = "sources.json"
MOST_BYTES = 1 << 22
MOST_REMEMBERED = 2000
"""Sources, old versions among them; Stepnet has some 300 modules."""


class ParsedModule(NamedTuple):
    """What counts of a module.

    digest: SHA-256 of its syntax tree, which has no comments and no line numbers.
    imports: the names that it may import when it runs, of modules or of what is in them.
    """

    digest: str
    imports: tuple[str, ...]

    @classmethod
    def of(cls, source: bytes) -> ParsedModule:
        """Take a source apart."""
        tree = ast.parse(source)
        digest = hashlib.sha256(ast.dump(tree).encode()).hexdigest()
        return cls(digest, tuple(_imported_names(tree)))


class ParsedModules:
    """Modules that were taken apart, now or at an earlier start.

    folder: where they are remembered between starts; Stepnet's folder in the user's cache if None.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder or platformdirs.user_cache_path("stepnet")
        self._known = self._remembered()
        self._is_saved = True

    def __getitem__(self, source: bytes) -> ParsedModule:
        """What counts of the module of that source."""
        key = hashlib.sha256(_reader_digest() + source).hexdigest()
        found = self._known.pop(key, None)
        if found is None:
            found = ParsedModule.of(source)
            self._is_saved = False
        self._known[key] = found  # at the end, as the latest one used
        return found

    def save(self) -> None:
        """Remember what is new, if the folder can be written."""
        if self._is_saved:
            return
        latest = dict(list(self._known.items())[-MOST_REMEMBERED:])
        with suppress(OSError, StepnetError):
            make_private(self._folder, self._folder)
            write_text(self._folder / FILE, json.dumps(latest))
        self._is_saved = True

    def _remembered(self) -> dict[str, ParsedModule]:
        try:
            make_private(self._folder, self._folder)
            content = json.loads(read_limited(self._folder / FILE, MOST_BYTES))
            return {str(key): _module_of(value) for key, value in content.items()}
        except (OSError, StepnetError, ValueError, TypeError, AttributeError):
            return {}


def _module_of(value: Any) -> ParsedModule:
    digest, imports = value
    if not isinstance(digest, str) or not all(isinstance(name, str) for name in imports):
        raise TypeError
    return ParsedModule(digest, tuple(imports))


@cache
def _reader_digest() -> bytes:
    """Changes with the Python that parses, and with this module."""
    own = Path(__file__).read_bytes()
    return hashlib.sha256(sys.version.encode() + own).digest()


def _imported_names(tree: ast.AST) -> Iterator[str]:
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
