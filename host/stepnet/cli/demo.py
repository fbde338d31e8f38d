"""`stepnet demo`: samples of real handwriting, read on a board."""

from __future__ import annotations

import json
from dataclasses import dataclass
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

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray
    from rich.text import Text

    from stepnet.boards.board import Board
    from stepnet.cli.comparison import Comparison
    from stepnet.networks.kinds import AnyNetwork

MIN_CELL_COLUMNS = 28
"""What the lines under a picture need."""

CELL_GAP_COLUMNS = 3


@dataclass(frozen=True, eq=False)
class _Sample:
    path: Path
    label: str
    image: NDArray[np.uint8]


@dataclass(frozen=True)
class _Outcome:
    """A sample, and what a board and numpy read in it."""

    sample: _Sample
    comparison: Comparison

    @property
    def right(self) -> bool:
        """Whether the board read what the label says."""
        return self.comparison.reading.character == self.sample.label


def demo(
    board: BoardOption = "sim",
    network: NetworkOption = "digits",
    images: Annotated[
        int | None, typer.Option(min=1, help="How many samples; all if not given.")
    ] = None,
    baud: BaudOption = None,
    timeout_s: TimeoutOption = 5.0,
    uart: UartOption = False,
    json_output: JsonOption = False,
) -> None:
    """Read samples of real handwriting on a board.

    Ends with exit code 1 if the board and numpy disagree on any of them.
    """
    from stepnet.boards.board import open_board
    from stepnet.networks.shipped import load_any_network

    loaded = load_any_network(network)
    samples = _samples(loaded, images)
    with Progress() as progress:
        opened = open_board(
            board, loaded, timeout_s=timeout_s, baud=baud, uart=uart, progress=progress
        )
    with opened:
        found = _read(opened, samples)
        outcomes = list(found) if json_output else list(_shown(found, loaded))
        clock_hz = opened.identity.clock_hz
    if json_output:
        print(json.dumps(_as_json(board, loaded, outcomes, clock_hz)))
    else:
        print(_summary(outcomes, clock_hz))
    if not all(outcome.comparison.agrees for outcome in outcomes):
        raise typer.Exit(1)


def _samples(network: AnyNetwork, count: int | None) -> list[_Sample]:
    """`count` of the shipped samples, spread evenly over them; all of them if None."""
    import numpy as np

    from stepnet.boards.packing import network_input
    from stepnet.samples import sample_pictures

    shipped = sample_pictures()
    count = len(shipped) if count is None else count
    if count > len(shipped):
        raise typer.BadParameter(
            f"{count} is more than the {len(shipped)} samples that are shipped.",
            param_hint="--images",
        )
    samples: list[_Sample] = []
    for path, label in (shipped[index * len(shipped) // count] for index in range(count)):
        image = network_input(network, path).astype(np.uint8, copy=False)
        samples.append(_Sample(path, label, image))
    return samples


def _read(board: Board, samples: Sequence[_Sample]) -> Iterator[_Outcome]:
    from stepnet.cli.comparison import compare

    comparisons = compare(board, [sample.image for sample in samples])
    for sample, comparison in zip(samples, comparisons, strict=True):
        yield _Outcome(sample, comparison)


def _shown(outcomes: Iterable[_Outcome], network: AnyNetwork) -> Iterator[_Outcome]:
    """Pass `outcomes` on, showing them in rows as wide as the terminal."""
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False)
    coloured = console.color_system is not None and not console.no_color
    cell_columns = max(network.width, MIN_CELL_COLUMNS) + CELL_GAP_COLUMNS
    per_row = max(1, console.width // cell_columns)
    row: list[Text] = []

    def show_row() -> None:
        grid = Table.grid()
        for _ in row:
            grid.add_column(width=cell_columns, no_wrap=True)
        grid.add_row(*row)
        console.print(grid)
        row.clear()

    for outcome in outcomes:
        row.append(_cell(outcome, network, coloured))
        if len(row) == per_row:
            show_row()
        yield outcome
    if row:
        show_row()


def _cell(outcome: _Outcome, network: AnyNetwork, coloured: bool) -> Text:
    """What is shown of a sample: the picture; then the register, the character and the label; the
    margin and the cycles; and whether numpy agrees.
    """
    import numpy as np

    from stepnet.cli.render import grey_picture, plain_picture
    from stepnet.networks import reference

    image = outcome.sample.image
    if coloured:
        text = grey_picture(image)
    else:
        bits = reference.binarise(network, image[np.newaxis])
        text = plain_picture(bits.reshape(image.shape))
    reading = outcome.comparison.reading
    character = f"= {reading.character!r}" if reading.known else "unknown"
    text.append(f"{reading.code:08b} {character}", "bold")
    text.append(f", label {outcome.sample.label!r}\n", "default" if outcome.right else "yellow")
    text.append(f"margin {reading.margin}, {reading.cycles:,} cycles\n")
    if outcome.comparison.agrees:
        text.append("numpy agrees\n", "green")
    else:
        text.append(f"numpy says 0x{outcome.comparison.numpy_code:02x}\n", "red")
    return text


def _summary(outcomes: Sequence[_Outcome], clock_hz: int) -> str:
    count = len(outcomes)
    cycles = {outcome.comparison.reading.cycles for outcome in outcomes}
    # The first images meet an engine that is free, and take longer than those that had to wait.
    bounds = sorted({min(cycles), max(cycles)})
    return (
        f"{sum(outcome.comparison.agrees for outcome in outcomes)} of {count} agree with numpy, "
        f"{sum(outcome.right for outcome in outcomes)} of {count} match their label; "
        f"{' to '.join(f'{bound:,}' for bound in bounds)} cycles per image, "
        f"{' to '.join(f'{bound / clock_hz * 1e6:.1f}' for bound in bounds)} us at "
        f"{clock_hz / 1e6:g} MHz."
    )


def _as_json(
    board: str, network: AnyNetwork, outcomes: Sequence[_Outcome], clock_hz: int
) -> dict[str, object]:
    return {
        "board": board,
        "network": network.name,
        "clock_hz": clock_hz,
        "images": [
            {
                "path": str(outcome.sample.path),
                "label": outcome.sample.label,
                **outcome.comparison.as_json(),
            }
            for outcome in outcomes
        ],
    }
