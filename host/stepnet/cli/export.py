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
    from stepnet.networks.kinds import AnyNetwork

EXPORTERS_GROUP = "stepnet.exporters"
"""Entry points of other packages that write a core: a function of the network, the folder to write
to, SIMD and PE, each of these two None if not given, that returns the files it wrote."""

CoreExporter = Callable[["AnyNetwork", Path, int | None, int | None], list[Path]]

OWN_FORMATS = ("qonnx", "c", "nir")
"""What this package writes itself."""


def export(
    network: Annotated[str, typer.Argument(help="A shipped network, or a .npz file.")],
    to: Annotated[
        str,
        typer.Option(
            "--to",
            help="qonnx, for onnxruntime, qonnx and FINN; c, one C99 file; verilog, a core for "
            "your own design; nir, of a spiking network, for snnTorch and others.",
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            help="File to write, for verilog a folder; a new one by the network's name if not "
            "given."
        ),
    ] = None,
    simd: Annotated[
        int | None,
        typer.Option(min=8, help="With --to verilog: weights of a neuron per cycle; 64."),
    ] = None,
    pe: Annotated[
        int | None, typer.Option(min=1, help="With --to verilog: neurons per cycle; 1.")
    ] = None,
    batch: Annotated[
        int,
        typer.Option(
            min=0, help="With --to qonnx: images at a time; 0 for any number, without qonnx."
        ),
    ] = 1,
    json_output: JsonOption = False,
) -> None:
    """Write a network for other tools: QONNX, C, Verilog or NIR."""
    from stepnet.networks.shipped import load_any_network, load_network

    write_core = _core_exporter(to) if to not in OWN_FORMATS else None
    if to != "verilog" and (simd is not None or pe is not None):
        raise typer.BadParameter("they go with --to verilog.", param_hint="--simd and --pe")
    if to != "qonnx" and batch != 1:
        raise typer.BadParameter("it goes with --to qonnx.", param_hint="--batch")
    if output is not None:
        check_overwrites_nothing("--output", output, [network])
    if write_core is not None:
        loaded = load_any_network(network)
        files = write_core(loaded, output or _own_place(loaded, "-verilog"), simd, pe)
    elif to == "qonnx":
        from stepnet.formats.qonnx_export import write_qonnx

        loaded = load_network(network)
        files = [write_qonnx(loaded, output or _own_place(loaded, ".onnx"), batch)]
    elif to == "nir":
        from stepnet.formats.nir_file import write_nir
        from stepnet.networks.spiking import SpikingNetwork

        loaded = SpikingNetwork.load(network)
        files = [write_nir(loaded, output or _own_place(loaded, ".nir"))]
    else:
        from stepnet.formats.c_export import write_c

        loaded = load_network(network)
        files = [write_c(loaded, output or _own_place(loaded, ".c"))]
    if json_output:
        shown = {"network": loaded.name, "digest": loaded.digest, "files": list(map(str, files))}
        print(json.dumps(shown))
        return
    for file in files:
        print(printable(str(file)))


def _core_exporter(to: str) -> CoreExporter:
    """The exporter of another package by its name; typer.BadParameter if there is none."""
    others = entry_points(group=EXPORTERS_GROUP)
    if to not in others.names:
        choices = ", ".join([*OWN_FORMATS, *sorted(others.names)])
        raise typer.BadParameter(f"There is no format {to!r}; choose one of {choices}.")
    return others[to].load()


def _own_place(network: AnyNetwork, ending: str) -> Path:
    """A new file in this folder, by the network's name, which somebody else may have given it."""
    name = re.sub(r"[^\w.-]+", "_", network.name).lstrip(".-") or "network"
    path = Path(f"{name}{ending}")
    if os.path.lexists(path):
        raise FormatError(
            f"The file {str(path)!r} exists; name it with --output to replace it, or another one."
        )
    return path
