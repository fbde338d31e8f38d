"""`stepnet infer`: read the characters in pictures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stepnet.cli.options import (
    BaudOption,
    BoardOption,
    JsonOption,
    NetworkOption,
    TimeoutOption,
    UartOption,
)
from stepnet.cli.output import Progress
from stepnet.protocol import DEFAULT_BAUD

if TYPE_CHECKING:
    from stepnet.cli.comparison import Comparison


def infer(
    images: Annotated[
        list[Path],
        typer.Argument(
            metavar="IMAGE", help="Pictures of one character each, of any size and format."
        ),
    ],
    board: BoardOption = "sim",
    network: NetworkOption = "digits",
    baud: BaudOption = DEFAULT_BAUD,
    timeout_s: TimeoutOption = 5.0,
    uart: UartOption = False,
    json_output: JsonOption = False,
) -> None:
    """Read the character in each picture on a board.

    Ends with exit code 1 if the board and numpy disagree on any of them.
    """
    from stepnet.board import open_board
    from stepnet.cli.comparison import compare
    from stepnet.networks import load_network
    from stepnet.picture import normalise

    loaded = load_network(network)
    pictures = [normalise(path, loaded.height, loaded.width) for path in images]
    with Progress() as progress:
        opened = open_board(
            board, loaded, timeout_s=timeout_s, baud=baud, uart=uart, progress=progress
        )
    comparisons: list[Comparison] = []
    with opened:
        for path, comparison in zip(images, compare(opened, pictures), strict=True):
            comparisons.append(comparison)
            if not json_output:
                print(_line(path, comparison))
    if json_output:
        entries = zip(images, comparisons, strict=True)
        print(
            json.dumps(
                {
                    "board": board,
                    "network": loaded.name,
                    "images": [
                        {"path": str(path), **comparison.as_json()} for path, comparison in entries
                    ],
                }
            )
        )
    if not all(comparison.agrees for comparison in comparisons):
        raise typer.Exit(1)


def _line(path: Path, comparison: Comparison) -> str:
    reading = comparison.reading
    verdict = (
        "agrees with numpy" if comparison.agrees else f"numpy says 0x{comparison.numpy_code:02x}"
    )
    return (
        f"{path}: {repr(reading.character) if reading.known else 'unknown'}, "
        f"code 0x{reading.code:02x}, register {reading.code:08b}, {reading.cycles} cycles, "
        f"{verdict}"
    )
