"""`stepnet import`: a network of another tool as a network of Stepnet, and what became of it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Annotated

import typer

from stepnet.cli import import_report
from stepnet.cli.options import DataDirOption, JsonOption, check_overwrites_nothing
from stepnet.printable import printable

MOST_CHARACTERS = 4000
"""How many characters of a line are shown; the line of all boards is long."""

FileArgument = Annotated[
    Path, typer.Argument(help="An ONNX or QONNX file, or a Keras .h5 of dense layers.")
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
    json_output: JsonOption = False,
) -> None:
    """Take over a network that another tool made, exactly or not at all, and report on it."""
    from stepnet.data import evaluation, sets
    from stepnet.formats.importing import Options, import_file

    if output is not None:
        check_overwrites_nothing("--output", output, [file, *([] if data is None else [data])])
    dataset = None if data is None else sets.load(data, data_dir).part(part)
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


def _size(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    found = re.fullmatch(r"(\d{1,4})x(\d{1,4})", text)
    if not found:
        raise typer.BadParameter(
            f"The image size {text!r} is no height and width; write them as 28x28."
        )
    return int(found[1]), int(found[2])
