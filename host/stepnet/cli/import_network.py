"""`stepnet import`: a network of another tool as a network of Stepnet, and what became of it."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterator, Mapping
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stepnet.cli.options import DataDirOption, JsonOption, check_overwrites_nothing
from stepnet.printable import printable

if TYPE_CHECKING:
    from stepnet.data.sets import Dataset
    from stepnet.formats.importing import Imported
    from stepnet.networks.network import Network

MOST_CHARACTERS = 4000
"""Of a line; the one of all boards is long."""

CAPACITY_GROUP = "stepnet.capacity"
"""Entry points that tell which boards hold a network: a function of the network that returns a list
of mappings with `board`, `cycles`, `clock_hz` and `images_per_s`."""

INK = {
    "the source": "the source's own threshold",
    "the option": "as --ink-threshold says",
    "images": "agrees best with the source on grey images",
    "nothing": "the source has no single threshold; --data finds the one that agrees best",
}
"""Where an ink threshold comes from, as the report says it."""


def import_network(
    file: Annotated[
        Path, typer.Argument(help="An ONNX or QONNX file, or a Keras .h5 of dense layers.")
    ],
    output: Annotated[
        Path | None,
        typer.Option(metavar="NPZ", help="Network to write; none is written if not given."),
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="Name of the network; that of the file if not given.")
    ] = None,
    alphabet: Annotated[
        str | None,
        typer.Option(
            help="The character of each class, in order; with fewer characters the last classes "
            "are left out. 0, 1, 2 and on in ASCII if not given."
        ),
    ] = None,
    image_size: Annotated[
        str | None,
        typer.Option(
            metavar="HxW",
            help="Height and width of an image, where the file has a mere number of inputs; inputs "
            "beyond it see paper.",
        ),
    ] = None,
    pixels: Annotated[
        str | None,
        typer.Option(
            help="What the file expects of a pixel from paper to ink: 0..1, 0..255 or -1..1; found "
            "out if not given."
        ),
    ] = None,
    ink_threshold: Annotated[
        int | None,
        typer.Option(min=1, max=255, help="Grey value from which on a pixel is ink."),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(
            help="mnist, unipen, or a .npz file with images and labels, to find the ink threshold "
            "and to measure on; random images if not given."
        ),
    ] = None,
    data_dir: DataDirOption = None,
    part: Annotated[str, typer.Option(help="Part of the data set: test or train.")] = "test",
    json_output: JsonOption = False,
) -> None:
    """Take over a network that another tool made, exactly or not at all, and report on it."""
    from stepnet.data import sets
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
    accuracy = None if dataset is None else _accuracy(imported.network, dataset)
    boards = boards_that_hold(imported.network)
    if output is not None:
        imported.network.save(output)
    if json_output:
        print(json.dumps(_as_json(imported, accuracy, boards, output)))
        return
    written = output or imported.network.name
    for line in (
        f"{written}: {file.name}, made by {imported.tool}",
        *(f"  {line}" for line in _lines(imported, accuracy, boards)),
    ):
        # Names come from the file.
        print(printable(line, MOST_CHARACTERS))


def boards_that_hold(network: Network) -> list[Mapping[str, Any]] | None:
    """The boards that a network fits, the fastest first; None if nothing here knows boards."""
    found: list[Mapping[str, Any]] = []
    known = False
    for entry_point in entry_points(group=CAPACITY_GROUP):
        try:
            found += entry_point.load()(network)
        except ModuleNotFoundError:
            continue
        known = True
    found.sort(key=lambda board: -board["images_per_s"])
    return found if known else None


def _size(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    found = re.fullmatch(r"(\d{1,4})x(\d{1,4})", text)
    if not found:
        raise typer.BadParameter(
            f"The image size {text!r} is no height and width; write them as 28x28."
        )
    return int(found[1]), int(found[2])


def _accuracy(network: Network, dataset: Dataset) -> float:
    from stepnet.data.evaluation import score

    return score(network, dataset).accuracy


def _as_json(
    imported: Imported,
    accuracy: float | None,
    boards: list[Mapping[str, Any]] | None,
    output: Path | None,
) -> dict[str, object]:
    network = imported.network
    return {
        "network": network.name,
        "digest": network.digest,
        "output": None if output is None else str(output),
        "tool": imported.tool,
        "sizes": network.sizes,
        "weight_bits": [layer.weight_bits for layer in network.layers],
        "weight_bits_total": network.weight_bits_total,
        "readout": network.readout,
        "alphabet": network.alphabet,
        "height": network.height,
        "width": network.width,
        "ink_threshold": network.ink_threshold,
        "ink_from": imported.ink_from,
        "exact": imported.is_exact,
        "sees_grey": imported.sees_grey,
        "on_full_ink": dataclasses.asdict(imported.on_full_ink),
        "on_grey": imported.on_grey and dataclasses.asdict(imported.on_grey),
        "images": imported.images_name,
        "undecided": imported.undecided,
        "widened": imported.widened,
        "accuracy": accuracy,
        "boards": boards,
        "notes": imported.notes,
    }


def _lines(
    imported: Imported, accuracy: float | None, boards: list[Mapping[str, Any]] | None
) -> Iterator[str]:
    network = imported.network
    bits = "-".join(str(layer.weight_bits) for layer in network.layers)
    yield (
        f"layers      {'-'.join(map(str, network.sizes))}, weights of {bits} bits, "
        f"{network.weight_bits_total:,} in all"
    )
    yield from _widened(imported)
    yield f"readout     {network.readout}, {len(network.alphabet)} characters: {network.alphabet}"
    yield (
        f"image       {network.height} x {network.width} pixels, ink from grey value "
        f"{network.ink_threshold}: {INK[imported.ink_from]}"
    )
    exact, images = "exact" if imported.is_exact else "not exact", imported.images_name
    yield f"agreement   {exact}: {imported.on_full_ink} {images} of paper and full ink"
    if imported.on_grey is not None:
        yield (
            f"            {imported.on_grey} {images} as they are"
            f"{', of whose grey the source sees more than ink' if imported.sees_grey else ''}"
        )
    if accuracy is not None:
        yield f"accuracy    {accuracy:.2%} of {images}"
    yield f"boards      {_boards(boards)}"
    yield from imported.notes


def _widened(imported: Imported) -> Iterator[str]:
    """What activations of several levels cost, layer by layer."""
    layers = zip(imported.widened, imported.network.layers, strict=False)
    for number, ((neurons, steps), layer) in enumerate(layers, start=1):
        if steps > neurons:
            more = (steps - neurons) * layer.n_in * layer.weight_bits
            yield (
                f"            layer {number}: {neurons} neurons of several levels are {steps} step "
                f"neurons, {more:,} more weight bits"
            )


def _boards(boards: list[Mapping[str, Any]] | None) -> str:
    if boards is None:
        return 'to see which hold it: pip install "stepnet[fpga]"'
    if not boards:
        return "none holds it; the virtual board does"
    return ", ".join(f"{board['board']} ({board['cycles']:,} cycles)" for board in boards)
