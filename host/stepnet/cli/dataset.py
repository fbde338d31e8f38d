"""`stepnet dataset`: from a folder of pictures to a data set."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO

import typer

from stepnet.cli.options import JsonOption
from stepnet.cli.picture_files import Refuse, find_pictures
from stepnet.errors import DataError, ImageError
from stepnet.printable import printable

if TYPE_CHECKING:
    from stepnet.data.sets import Dataset
    from stepnet.networks.placing import Placing
    from stepnet.pictures.labelled import Labelled

SIZE = 28, 28
"""Height and width of the images where no network says another."""


def dataset(
    folder: Annotated[
        Path,
        typer.Argument(
            help="Folder of pictures of single characters: each in a subfolder that is named after "
            "its character (7/ or 0x37/), or with a name that begins with it (7_first.png)."
        ),
    ],
    output: Annotated[
        Path | None, typer.Option(help="File to write; FOLDER.npz here if not given.")
    ] = None,
    sheet: Annotated[
        Path | None,
        typer.Option(
            help="Contact sheet to look at, all images with their labels, as PNG; beside the "
            "output if not given."
        ),
    ] = None,
    network: Annotated[
        str | None,
        typer.Option(
            help="Place the characters as this network learned them; if not given, digits alone "
            "as digits does, others as ascii does."
        ),
    ] = None,
    capital_height: Annotated[
        float | None,
        typer.Option(
            min=1,
            help="How high capitals are in all the pictures, in pixels, where signs and small "
            "letters are to stay small.",
        ),
    ] = None,
    json_output: JsonOption = False,
) -> None:
    """Make a data set, as `stepnet train --data` takes it, from pictures of single characters.

    Pictures that cannot be read or have no label are named on stderr, and the others go on; then
    it ends with exit code 2.
    """
    from stepnet.pictures.data_sets import doubts
    from stepnet.pictures.labelled import contact_sheet, place_pictures

    if not folder.is_dir():
        raise DataError(
            f"There is no folder {str(folder)!r}; name one with pictures of single characters."
        )
    name = folder.resolve().name or "dataset"
    output = output or Path(f"{name}.npz")
    sheet = sheet or output.with_suffix(".png")
    _check_outputs(folder, output, sheet)
    refused: list[ImageError] = []

    def refuse(error: ImageError) -> None:
        refused.append(error)
        print(f"stepnet: {printable(str(error))}", file=sys.stderr, flush=True)

    pictures = list(_labelled(folder, refuse))
    size, placing = _placing(network, pictures)
    made = place_pictures(pictures, size, placing, refuse, capital_height)
    if made is None:
        raise DataError(
            f"No picture in the folder {str(folder)!r} can be used; give each a subfolder named "
            "after its character, or a name that begins with it, like 7_first.png."
        )
    for doubt in doubts(made):
        print(f"stepnet: {printable(doubt)}", file=sys.stderr)
    _write(output, "data set", lambda file: _save(file, made))
    drawn = contact_sheet(made)
    _write(sheet, "contact sheet", lambda file: drawn.save(file, "PNG"))
    _tell(output, sheet, made, placing, len(refused), json_output)
    if refused:
        raise typer.Exit(2)


def _check_outputs(folder: Path, output: Path, sheet: Path) -> None:
    """Refuse what another run would read as a picture, or could not read at all."""
    for path, suffix, what in ((output, ".npz", "data sets"), (sheet, ".png", "contact sheets")):
        if path.suffix != suffix:
            raise DataError(f"The output {str(path)!r} is no {suffix} file; {what} are {suffix}.")
        if path.resolve().is_relative_to(folder.resolve()):
            raise DataError(
                f"The output {str(path)!r} would lie among the pictures in {str(folder)!r}; name "
                "an --output elsewhere."
            )


def _labelled(folder: Path, refuse: Refuse) -> Iterator[Labelled]:
    """The pictures in the folder and in its subfolders that have a label; others are refused."""
    from stepnet.pictures.labelled import Labelled, label_of

    try:
        inside = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError as error:
        raise DataError(
            f"The folder {str(folder)!r} cannot be read ({error.strerror}); name one that you may "
            "read."
        ) from error
    subfolders = [path for path in inside if path.is_dir()]
    for subfolder in subfolders:
        code = label_of(subfolder.name)
        if code is None:
            refuse(
                ImageError(
                    f"The folder {str(subfolder)!r} is named after no character; name it after "
                    "the one that its pictures show, or after its code, like 0x37 for 7."
                )
            )
            continue
        _refuse_deeper(subfolder, refuse)
        for path in find_pictures([str(subfolder)], refuse):
            yield Labelled(path, code)
    if len(subfolders) == len(inside):
        return
    for path in find_pictures([str(folder)], refuse if not subfolders else lambda error: None):
        code = label_of(path.name.partition("_")[0])
        if code is None:
            refuse(
                ImageError(
                    f"The name of the picture {str(path)!r} tells no character; let it begin with "
                    "the character and _, like 7_first.png, or put it into a folder named after it."
                )
            )
            continue
        yield Labelled(path, code)


def _refuse_deeper(subfolder: Path, refuse: Refuse) -> None:
    for path in sorted(subfolder.iterdir()):
        if path.is_dir():
            refuse(
                ImageError(
                    f"The folder {str(path)!r} lies in one that is named after a character; put "
                    f"its pictures into {str(subfolder)!r}."
                )
            )


def _placing(network: str | None, pictures: list[Labelled]) -> tuple[tuple[int, int], Placing]:
    """The size of the images, and how the characters lie in them."""
    from stepnet.networks.placing import Placing, placing_of
    from stepnet.networks.shipped import load_any_network
    from stepnet.pictures.labelled import usual_placing

    if network is None:
        return SIZE, usual_placing("".join(chr(picture.code) for picture in pictures))
    loaded = load_any_network(network)
    return (loaded.height, loaded.width), placing_of(loaded) or Placing.MNIST


def _save(file: BinaryIO, made: Dataset) -> None:
    import numpy as np

    np.savez_compressed(file, images=made.images, labels=made.labels)


def _write(path: Path, what: str, write: Callable[[BinaryIO], object]) -> None:
    from stepnet.files import write_whole

    try:
        write_whole(path, write)
    except OSError as error:
        raise DataError(
            f"The {what} cannot be written to {str(path)!r} ({error.strerror}); name a file in a "
            "folder that exists and is writable."
        ) from error


def _tell(
    output: Path, sheet: Path, made: Dataset, placing: Placing, refused: int, json_output: bool
) -> None:
    counts = {c: int((made.labels == ord(c)).sum()) for c in made.alphabet}
    if json_output:
        told = {
            "file": str(output),
            "sheet": str(sheet),
            "images": len(made),
            "refused": refused,
            "placing": str(placing),
            "characters": counts,
        }
        print(json.dumps(told))
        return
    print(
        f"{printable(str(output))}: {len(made)} images of {len(counts)} characters, placed like "
        f"those of {placing}"
    )
    print(f"{printable(str(sheet))}: look whether each is what its row says")
    print("  " + ", ".join(f"{printable(c)} {count}" for c, count in counts.items()))
