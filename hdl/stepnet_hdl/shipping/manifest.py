"""The bitstreams that come with Stepnet: a folder for each board, with a manifest.

Those with the engine that suits a board lie beside each other, those with an engine for networks
with convolutions in the folder `CONVOLUTIONS`, those that are a network of look-up tables in
`TABLES`, those that are a spiking network in `SPIKING`.

This module needs no FPGA tools and no Amaranth: whoever only programs a board has neither.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stepnet.cores.engine.shape import EngineShape
from stepnet.errors import BuildError

MANIFEST = "manifest.json"
ENGINES = "."
CONVOLUTIONS = "convolutions"
TABLES = "tables"
SPIKING = "spiking"

SHIPPED_FOLDERS = (
    Path(__file__).parents[1] / "bitstreams",
    Path(__file__).parents[3] / "bitstreams",
)
"""Where an installed package has them, and where the repository has them."""


@dataclass(frozen=True)
class Manifest:
    """What a bitstream is and how it was made.

    bitstream: the file beside the manifest.
    sha256: of that file.
    engine, buffer_bytes: the shape of the engine, as fields of `EngineShape`, and the link's
    receive buffer; without an engine, there are no fields.
    source_digest: SHA-256 of all that the tools were given, see `Plan.digest`.
    command: makes the same bytes again, with the same tools.
    network: that is built in, by name; None for none.
    wire, pins: what carries the bytes, and at which of the package's pins, if it is not a serial
    line.
    Others: as in `BuildReport`.
    """

    board: str
    part: str
    bitstream: str
    sha256: str
    engine: Mapping[str, Any]
    buffer_bytes: int
    clock_hz: int
    max_frequency_hz: int
    baud: int
    utilisation: Mapping[str, tuple[int, int]]
    seed: int
    tools: tuple[str, ...]
    source_digest: str
    command: str
    network: str | None = None
    wire: str = "uart"
    pins: Mapping[str, str] = dataclasses.field(default_factory=dict)

    @property
    def shape(self) -> EngineShape:
        """The engine's shape; there has to be an engine."""
        return EngineShape(**self.engine)

    def to_json(self) -> str:
        """Return the text of a manifest's file."""
        fields = dataclasses.asdict(self)
        if self.network is None:
            del fields["network"]
        if self.wire == "uart":
            del fields["wire"], fields["pins"]
        return json.dumps(fields, indent=2) + "\n"


def read_manifest(folder: Path) -> Manifest:
    """The manifest in a folder; BuildError if it, or the bitstream, is missing or damaged."""
    path = folder / MANIFEST
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
        fields["utilisation"] = {name: tuple(two) for name, two in fields["utilisation"].items()}
        manifest = Manifest(**{**fields, "tools": tuple(fields["tools"])})
        found = hashlib.sha256((folder / manifest.bitstream).read_bytes()).hexdigest()
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise BuildError(
            f"The manifest {str(path)!r} or its bitstream cannot be read ({error}); install "
            "Stepnet again."
        ) from error
    if found != manifest.sha256:
        raise BuildError(
            f"The bitstream {str(folder / manifest.bitstream)!r} is not the one that its manifest "
            f"names: its SHA-256 is {found}; install Stepnet again."
        )
    return manifest


def shipped_boards(kind: str = ENGINES) -> list[str]:
    """The boards that a bitstream of this kind comes for, sorted.

    kind: ENGINES, CONVOLUTIONS, TABLES or SPIKING.
    """
    return sorted(path.parent.name for path in (_folder() / kind).glob(f"*/{MANIFEST}"))


def folder_of(board: str, kind: str) -> Path:
    """The folder of a board's bitstream of this kind, whether there is one or not."""
    return _folder() / kind / board


def shipped_folder(board: str) -> Path:
    """The folder of a board's bitstream with the engine that suits it, or the one that is a network
    of look-up tables if no engine comes for it; BuildError if neither does, or if there is no such
    board."""
    for kind in (ENGINES, TABLES):
        if board in shipped_boards(kind):
            return folder_of(board, kind)
    from stepnet_hdl.boards.catalogue import find_board

    find_board(board)
    raise BuildError(
        f"No bitstream for {board!r} comes with Stepnet, only for "
        f"{', '.join(_all_shipped()) or 'no board'}; build one with: stepnet build --board "
        f"{board}, and name it with --bitstream."
    )


def _all_shipped() -> list[str]:
    return sorted({*shipped_boards(), *shipped_boards(TABLES)})


def _folder() -> Path:
    return next((folder for folder in SHIPPED_FOLDERS if folder.is_dir()), SHIPPED_FOLDERS[-1])
