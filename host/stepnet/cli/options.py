"""Options that several commands share."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer


def check_overwrites_nothing(option: str, output: Path, inputs: Iterable[str | Path]) -> None:
    """Refuse, as wrong usage, an output that would take the place of one of the inputs.

    option: how the output was named.
    """
    for given in map(Path, inputs):
        if given.exists() and output.exists() and output.samefile(given):
            raise typer.BadParameter(
                f"the file {str(output)!r} is what is to be read; name another one.",
                param_hint=option,
            )


BoardOption = Annotated[
    str,
    typer.Option(
        "--board",
        help="sim, sim:BOARD for a virtual board like BOARD, a serial port such as /dev/ttyUSB1 "
        "or COM3, socket://host:port, or spi:///dev/spidev0.0.",
    ),
]
NetworkOption = Annotated[str, typer.Option("--network", help="A shipped network, or a .npz file.")]
BaudOption = Annotated[
    int | None,
    typer.Option(
        "--baud", min=1, help="Bits per second on the wire; found by asking if not given."
    ),
]
TimeoutOption = Annotated[
    float, typer.Option("--timeout", min=0.001, help="Seconds that any one answer may take.")
]
SimdOption = Annotated[
    int | None,
    typer.Option(
        "--simd",
        min=1,
        help="Weights of a neuron that the virtual board's engine handles per cycle; 64 if only "
        "--pe is given.",
    ),
]
PeOption = Annotated[
    int | None,
    typer.Option(
        "--pe",
        min=1,
        help="Neurons that the virtual board's engine handles per cycle; 1 if only --simd is "
        "given.",
    ),
]
UartOption = Annotated[
    bool, typer.Option("--uart", help="Drive the virtual board at its serial pins.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")]
DATA_HELP = (
    "mnist, unipen, or a .npz file with images and labels; docs/training.md tells how to see "
    "whether its images are upright."
)
DataOption = Annotated[str, typer.Option("--data", help=DATA_HELP)]
DataDirOption = Annotated[
    Path | None,
    typer.Option(
        "--data-dir",
        help="Folder of the data sets; STEPNET_DATA or a cache folder if not given.",
    ),
]
CLEAN_HELP = "Leave out images that the data set marks as wrongly labelled."
CleanOption = Annotated[bool, typer.Option("--clean", help=CLEAN_HELP)]


VIRTUAL_BOARD = "sim"

USUAL_SIMD, USUAL_PE = 64, 1
"""The widths of an engine of which only the other one is given."""


def with_engine(board: str, simd: int | None, pe: int | None) -> str:
    """The virtual board with an engine of these widths, as `open_board` names it; `board` itself if
    neither is given.

    Raises `typer.BadParameter` if it is another board, which has the engine that it has.
    """
    if simd is None and pe is None:
        return board
    option = "--pe" if simd is None else "--simd"
    if board != VIRTUAL_BOARD:
        raise typer.BadParameter(
            f"the engine of {board!r} is as wide as it is; leave {option} out, or choose "
            f"--board {VIRTUAL_BOARD}.",
            param_hint=option,
        )
    return f"{board}:{simd or USUAL_SIMD}x{pe or USUAL_PE}"


class DataPart(enum.StrEnum):
    """A part of a data set, or all of it."""

    ALL = "all"
    TRAIN = "train"
    TEST = "test"


class Placed(enum.StrEnum):
    """Whether the characters of a data set lie as the network expects them."""

    AUTO = "auto"
    YES = "yes"
    NO = "no"

    @property
    def known(self) -> bool | None:
        """What is known: True or False, or None with AUTO."""
        return {Placed.AUTO: None, Placed.YES: True, Placed.NO: False}[self]


PLACED_HELP = (
    "Whether each character lies as the network expects it: yes takes the images as they are, no "
    "cuts all characters out and places them, auto those that lie elsewhere."
)
PlacedOption = Annotated[Placed, typer.Option("--placed", help=PLACED_HELP)]
