"""`stepnet export`: a network for other tools and other machines."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stepnet.cli.options import JsonOption, check_overwrites_nothing
from stepnet.printable import printable

if TYPE_CHECKING:
    from stepnet.networks.network import Network

EXPORTERS_GROUP = "stepnet.exporters"
"""Entry points of other packages that write cores: a function of the network, the folder to write
to, or None for one by the network's name, SIMD and PE, that returns the files it wrote."""

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
            help="File to write, for verilog a folder; by the network's name if not given."
        ),
    ] = None,
    simd: Annotated[
        int, typer.Option(min=8, help="With --to verilog: weights of a neuron per cycle.")
    ] = 64,
    pe: Annotated[int, typer.Option(min=1, help="With --to verilog: neurons per cycle.")] = 1,
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

    if to != "verilog" and (simd, pe) != (64, 1):
        raise typer.BadParameter("they go with --to verilog.", param_hint="--simd and --pe")
    if batch != 1 and to != "qonnx":
        raise typer.BadParameter("it goes with --to qonnx.", param_hint="--batch")
    exporter = _exporter(to, batch, simd, pe)
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


def _exporter(to: str, batch: int, simd: int, pe: int) -> Exporter:
    """The exporter of that name; typer.BadParameter if there is none."""

    def to_qonnx(network: Network, output: Path | None) -> list[Path]:
        from stepnet.formats.qonnx_export import write_qonnx

        return [write_qonnx(network, output or Path(f"{network.name}.onnx"), batch)]

    exporters: dict[str, Exporter] = {"qonnx": to_qonnx, "c": _to_c}
    if to in exporters:
        return exporters[to]
    others = entry_points(group=EXPORTERS_GROUP)
    if to in others.names:
        write = others[to].load()
        return lambda network, output: write(network, output, simd, pe)
    choices = ", ".join([*exporters, *sorted(others.names)])
    raise typer.BadParameter(f"There is no format {to!r}; choose one of {choices}.")


def _to_c(network: Network, output: Path | None) -> list[Path]:
    from stepnet.formats.c_export import write_c

    return [write_c(network, output or Path(f"{network.name}.c"))]
