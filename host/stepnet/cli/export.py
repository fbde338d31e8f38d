"""`stepnet export`: a network for other tools and other machines."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stepnet.cli.options import JsonOption, check_overwrites_nothing
from stepnet.errors import FormatError
from stepnet.printable import printable

if TYPE_CHECKING:
    from stepnet.networks.network import Network

EXPORTERS_GROUP = "stepnet.exporters"
"""Entry points of other packages that write networks: a function of the network and the path to
write to, or None for one by the network's name, that returns the files it wrote."""

Exporter = Callable[["Network", Path | None], list[Path]]


def export(
    network: Annotated[str, typer.Argument(help="A shipped network, or a .npz file.")],
    to: Annotated[
        str,
        typer.Option(
            "--to",
            help="qonnx, for onnxruntime, qonnx and FINN; c, one C99 file; verilog, a core for "
            "your own design.",
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            help="File to write, for verilog a folder; a new one by the network's name if not "
            "given."
        ),
    ] = None,
    batch: Annotated[
        int,
        typer.Option(
            min=0, help="With --to qonnx: images at a time; 0 for any number, without qonnx."
        ),
    ] = 1,
    json_output: JsonOption = False,
) -> None:
    """Write a network for other tools: QONNX, C or Verilog."""
    from stepnet.networks.shipped import load_network

    if batch != 1 and to != "qonnx":
        raise typer.BadParameter("it goes with --to qonnx.", param_hint="--batch")
    exporter = _exporter(to, batch)
    if output is not None:
        check_overwrites_nothing("--output", output, [network])
    loaded = load_network(network)
    files = exporter(loaded, output)
    if json_output:
        shown = {"network": loaded.name, "digest": loaded.digest, "files": list(map(str, files))}
        print(json.dumps(shown))
        return
    for file in files:
        print(printable(str(file)))


def _exporter(to: str, batch: int) -> Exporter:
    """The exporter of that name; typer.BadParameter if there is none."""

    def to_qonnx(network: Network, output: Path | None) -> list[Path]:
        from stepnet.formats.qonnx_export import write_qonnx

        return [write_qonnx(network, output or _own_place(network, ".onnx"), batch)]

    exporters: dict[str, Exporter] = {"qonnx": to_qonnx, "c": _to_c}
    if to in exporters:
        return exporters[to]
    others = entry_points(group=EXPORTERS_GROUP)
    if to in others.names:
        return others[to].load()
    choices = ", ".join([*exporters, *sorted(others.names)])
    raise typer.BadParameter(f"There is no format {to!r}; choose one of {choices}.")


def _to_c(network: Network, output: Path | None) -> list[Path]:
    from stepnet.formats.c_export import write_c

    return [write_c(network, output or _own_place(network, ".c"))]


def _own_place(network: Network, ending: str) -> Path:
    """A new file in this folder, by the network's name, which somebody else may have given it."""
    name = re.sub(r"[^\w.-]+", "_", network.name).lstrip(".-") or "network"
    path = Path(f"{name}{ending}")
    if os.path.lexists(path):
        raise FormatError(
            f"The file {str(path)!r} exists; name it with --output to replace it, or another one."
        )
    return path
