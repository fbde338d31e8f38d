"""`stepnet import`: a network of another tool as a network of Stepnet, and what became of it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stepnet.cli import import_report
from stepnet.cli.options import DataDirOption, JsonOption, check_overwrites_nothing
from stepnet.learning.config import CODINGS, MOST_TICKS
from stepnet.printable import printable

if TYPE_CHECKING:
    from stepnet.networks.spiking import SpikingNetwork

DEFAULT_TICKS = 4

MOST_CHARACTERS = 4000
"""How many characters of a line are shown; the line of all boards is long."""

FileArgument = Annotated[
    Path,
    typer.Argument(
        help="An ONNX or QONNX file, a Keras .h5 of dense layers, or a spiking network's .nir."
    ),
]
OutputOption = Annotated[
    Path | None,
    typer.Option(metavar="NPZ", help="Network to write; none is written if not given."),
]
NameOption = Annotated[
    str | None, typer.Option(help="Name of the network; that of the file if not given.")
]
AlphabetOption = Annotated[
    str | None,
    typer.Option(
        help="The character of each class, in order; with fewer characters the last classes are "
        "left out. 0, 1, 2 and on in ASCII if not given."
    ),
]
ImageSizeOption = Annotated[
    str | None,
    typer.Option(
        metavar="HxW",
        help="Height and width of an image, where the file has a mere number of inputs; inputs "
        "beyond it see paper.",
    ),
]
PixelsOption = Annotated[
    str | None,
    typer.Option(
        help="What the file expects of a pixel from paper to ink: 0..1, 0..255 or -1..1; found out "
        "if not given."
    ),
]
InkThresholdOption = Annotated[
    int | None, typer.Option(min=1, max=255, help="Grey value from which on a pixel is ink.")
]
ImagesOption = Annotated[
    str | None,
    typer.Option(
        help="mnist, unipen, or a .npz file with images and labels, to find the ink threshold and "
        "to measure on; random images if not given."
    ),
]
TicksOption = Annotated[
    int | None,
    typer.Option(
        min=1, max=MOST_TICKS, help="Of a .nir file: for how many ticks an image is seen; 4."
    ),
]
CodingOption = Annotated[
    str | None,
    typer.Option(
        metavar="|".join(CODINGS), help="Of a .nir file: how an image becomes spikes; rate."
    ),
]
DtOption = Annotated[
    float | None,
    typer.Option(metavar="SECONDS", help="Of a .nir file: what a tick takes; 0.0001."),
]
PartOption = Annotated[str, typer.Option(help="Part of the data set: test or train.")]


def import_network(
    file: FileArgument,
    output: OutputOption = None,
    name: NameOption = None,
    alphabet: AlphabetOption = None,
    image_size: ImageSizeOption = None,
    pixels: PixelsOption = None,
    ink_threshold: InkThresholdOption = None,
    data: ImagesOption = None,
    data_dir: DataDirOption = None,
    part: PartOption = "test",
    ticks: TicksOption = None,
    coding: CodingOption = None,
    dt: DtOption = None,
    json_output: JsonOption = False,
) -> None:
    """Take over a network that another tool made, exactly or not at all, and report on it."""
    from stepnet.data import evaluation, sets
    from stepnet.formats.importing import Options, import_file

    if output is not None:
        check_overwrites_nothing("--output", output, [file, *([] if data is None else [data])])
    dataset = None if data is None else sets.load(data, data_dir).part(part)
    if file.suffix == ".nir":
        if pixels is not None or ink_threshold is not None:
            raise typer.BadParameter(
                "a .nir file takes spikes, not pixels.", param_hint="--pixels and --ink-threshold"
            )
        from stepnet.formats.nir_file import DT_S, read_nir

        if coding is not None and coding not in CODINGS:
            raise typer.BadParameter(
                f"There is no coding {coding!r}; choose one of {', '.join(CODINGS)}."
            )
        taken = read_nir(
            file,
            ticks=ticks or DEFAULT_TICKS,
            coding=coding or "rate",
            dt_s=DT_S if dt is None else dt,
            image_size=_size(image_size),
            alphabet=alphabet or "",
            name=name,
        )
        score = None if dataset is None else evaluation.score(taken, dataset).accuracy
        _report_spiking(taken, file, score, output, json_output=json_output)
        return
    if ticks is not None or coding is not None or dt is not None:
        raise typer.BadParameter(
            "they go with a .nir file.", param_hint="--ticks, --coding and --dt"
        )
    options = Options(
        name=name,
        alphabet=alphabet,
        image_size=_size(image_size),
        pixels=pixels,
        ink_threshold=ink_threshold,
        images=None if dataset is None else dataset.images,
        images_name=f"images of {data}",
    )
    imported = import_file(file, options)
    network = imported.network
    accuracy = None if dataset is None else evaluation.score(network, dataset).accuracy
    boards = import_report.boards_that_hold(network)
    if output is not None:
        network.save(output)
    if json_output:
        print(json.dumps(import_report.as_json(imported, accuracy, boards, output)))
        return
    # Names come from the file.
    heading = f"{output or network.name}: {file.name}, made by {imported.tool}"
    print(printable(heading, MOST_CHARACTERS))
    for line in import_report.lines(imported, accuracy, boards):
        print(printable(f"  {line}", MOST_CHARACTERS))


def _report_spiking(
    network: SpikingNetwork,
    file: Path,
    accuracy: float | None,
    output: Path | None,
    *,
    json_output: bool,
) -> None:
    """Write a spiking network and say what it is."""
    if output is not None:
        network.save(output)
    sizes = "-".join(map(str, network.sizes))
    if json_output:
        shown = {
            "network": network.name,
            "digest": network.digest,
            "sizes": list(network.sizes),
            "ticks": network.ticks,
            "coding": str(network.coding),
            "rows": str(network.asked),
            "accuracy": accuracy,
            "output": None if output is None else str(output),
        }
        print(json.dumps(shown))
        return
    print(printable(f"{output or network.name}: {file.name}, {sizes}", MOST_CHARACTERS))
    print(
        f"  {network.ticks} ticks of coding {network.coding}, read by {network.asked}; what decays "
        "of a potential is rounded down."
    )
    if accuracy is not None:
        print(f"  {accuracy:.2%} of the images give exactly the right code.")


def _size(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    found = re.fullmatch(r"(\d{1,4})x(\d{1,4})", text)
    if not found:
        raise typer.BadParameter(
            f"The image size {text!r} is no height and width; write them as 28x28."
        )
    return int(found[1]), int(found[2])
