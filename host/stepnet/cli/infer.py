"""`stepnet infer`: read the characters in pictures on a board."""

from __future__ import annotations

import itertools
import sys
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stepnet.cli import declared
from stepnet.cli.options import (
    BaudOption,
    BoardOption,
    JsonOption,
    PeOption,
    SimdOption,
    TimeoutOption,
    UartOption,
    check_overwrites_nothing,
    with_engine,
)
from stepnet.cli.output import Progress
from stepnet.cli.picture_files import ReadyPicture, find_pictures, ready_pictures
from stepnet.cli.picture_results import Format, Result, result_writer
from stepnet.cli.recording import Recorder, check_output, find_recorder, save_recording
from stepnet.errors import BoardError, ImageError
from stepnet.printable import printable

if TYPE_CHECKING:
    from stepnet.boards.board import Board
    from stepnet.networks.kinds import AnyNetwork

PICTURES_AT_ONCE = 32
"""How many pictures are read before they are inferred together; no more are kept."""

HELD = "held"
"""Stands for the network that the board holds; held:FILE says that it is the one in that file."""

BATCH_S = 0.2
"""How long pictures are read before they are inferred, even if they are fewer."""


@dataclass(frozen=True, kw_only=True)
class InferOptions:
    """Everything that `stepnet infer` is told."""

    images: Annotated[
        list[str],
        typer.Argument(
            metavar="IMAGE",
            help="Pictures of any size and format, folders of them, or - for stdin.",
        ),
    ]
    text: Annotated[
        bool, typer.Option("--text", help="Each picture is a line of separate characters.")
    ] = False
    board: BoardOption = "sim"
    network: Annotated[
        str,
        typer.Option(
            help="A shipped network or a .npz file, which is loaded if the board does not hold it; "
            "held for the shipped one that it holds, or held:FILE for the one of a .npz file, so "
            "that nothing is loaded."
        ),
    ] = "digits"
    output_format: Annotated[
        Format, typer.Option("--format", help="A line for each picture: text, jsonl or csv.")
    ] = Format.TEXT
    json_output: JsonOption = False
    min_margin: Annotated[
        int,
        typer.Option(
            min=0,
            metavar="MARGIN",
            help="A reading whose margin is smaller counts as unknown; docs/margins.md says what a "
            "margin means for which network.",
        ),
    ] = 0
    steps: Annotated[
        Path | None,
        typer.Option(help="Draw how the one picture becomes network input, as a PNG file."),
    ] = None
    waves: Annotated[
        Path | None,
        typer.Option(
            help="Record all signals of the virtual board for the one picture, as an FST file for "
            "GTKWave or Surfer."
        ),
    ] = None
    schedule: Annotated[
        Path | None,
        typer.Option(
            help="Draw which unit of the virtual board does what in which cycle for the one "
            "picture, as a PNG file."
        ),
    ] = None
    simd: SimdOption = None
    pe: PeOption = None
    baud: BaudOption = None
    timeout_s: TimeoutOption = 5.0
    uart: UartOption = False


def _infer(options: InferOptions) -> None:
    """Read the character, or with --text the line of characters, in each picture on a board.

    Pictures that cannot be read are named on stderr, and the others go on. Ends with exit code 1 if
    the board and numpy disagree on any, else with 2 if any could not be read.
    """
    from stepnet.networks.shipped import load_any_network

    if options.json_output and options.output_format is not Format.TEXT:
        raise typer.BadParameter(
            f"--json is one object, and --format {options.output_format} a line for each picture; "
            "give one of them.",
            param_hint="--format",
        )
    options = replace(options, board=with_engine(options.board, options.simd, options.pe))
    board = _open_as_it_is(options) if options.network.partition(":")[0] == HELD else None
    network = board.network if board else load_any_network(options.network)
    refused: list[ImageError] = []

    def refuse(error: ImageError) -> None:
        refused.append(error)
        print(f"stepnet: {printable(str(error))}", file=sys.stderr, flush=True)

    _check_margin(options.min_margin, network)
    paths = list(find_pictures(options.images, refuse))
    _check_outputs(options, paths)
    _check_steps(options.steps, paths)
    record = find_recorder(
        options.waves, options.schedule, options.board, paths, options.text, network
    )
    pictures = ready_pictures(
        paths, network, refuse, text=options.text, keep_all=options.steps is not None
    )
    batches = _batches(pictures)
    first = next(batches, None)
    if first is None:
        if board:
            board.close()
        raise typer.Exit(2)
    board = board or _open(options, network)
    write = result_writer(options.output_format, options.json_output, options.board, network)
    # Lines on the same terminal show well enough how far it is.
    counted = sys.stderr.isatty() and (options.json_output or not sys.stdout.isatty())
    disagree = False
    with board, _counting(len(paths), counted) as count, write as write_result:
        batches = itertools.chain([first], batches)
        for result in _results(board, batches, options.min_margin):
            disagree |= not result.agrees
            write_result(result)
            count(len(refused))
            _draw_steps(options.steps, result, network)
            _record(record, options, result, network)
    if disagree or refused:
        raise typer.Exit(1 if disagree else 2)


infer = declared.command("infer", InferOptions, _infer)


def _open_as_it_is(options: InferOptions) -> Board:
    """The board with the network that it holds; BoardError if that is not the one that is named."""
    from stepnet.networks.shipped import load_any_network

    _, _, named = options.network.partition(":")
    if not named:
        return _open(options, None)
    network = load_any_network(named)
    board = _open(options, None, [network])
    if board.network.digest != network.digest:
        board.close()
        raise BoardError(
            f"The board at {options.board!r} holds network {board.network.name!r}, not "
            f"{network.name!r}; read with that by --network held, or load {network.name!r} with "
            f"--network {named}."
        )
    return board


def _open(
    options: InferOptions, network: AnyNetwork | None, known: Sequence[AnyNetwork] = ()
) -> Board:
    from stepnet.boards.board import open_board

    with Progress() as progress:
        return open_board(
            options.board,
            network,
            timeout_s=options.timeout_s,
            baud=options.baud,
            uart=options.uart,
            progress=progress,
            known=known,
        )


def _batches(pictures: Iterator[ReadyPicture]) -> Iterator[list[ReadyPicture]]:
    """The pictures in batches: each has the pictures that arrive in `BATCH_S`, and at most
    `PICTURES_AT_ONCE`.
    """
    while True:
        end_s = time.monotonic() + BATCH_S
        batch: list[ReadyPicture] = []
        for picture in pictures:
            batch.append(picture)
            if len(batch) == PICTURES_AT_ONCE or time.monotonic() >= end_s:
                break
        if not batch:
            return
        yield batch


def _check_margin(min_margin: int, network: AnyNetwork) -> None:
    """Refuse, before anything is inferred, a margin that no reading has."""
    from stepnet.networks.network import Network

    if min_margin and not isinstance(network, Network):
        raise typer.BadParameter(
            f"boards tell no margin for networks of look-up tables such as {network.name!r}; leave "
            "it out.",
            param_hint="--min-margin",
        )


def _results(
    board: Board, batches: Iterable[Sequence[ReadyPicture]], min_margin: int
) -> Iterator[Result]:
    from stepnet.cli.comparison import compare

    for batch in batches:
        images = [image for picture in batch for image in picture.images]
        comparisons = (found.unless_below(min_margin) for found in compare(board, images))
        for picture in batch:
            yield Result(picture, list(itertools.islice(comparisons, len(picture.images))))


@contextmanager
def _counting(total: int, shown: bool) -> Generator[Callable[[int], None]]:
    """A bar on stderr that counts the pictures that were read; it is told how many were refused."""
    if not shown:
        yield lambda refused: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    read = 0
    columns = TextColumn("Pictures"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Bar(*columns, console=Console(stderr=True), transient=True, redirect_stdout=False) as bar:
        task = bar.add_task("", total=total)

        def count(refused: int) -> None:
            nonlocal read
            read += 1
            bar.update(task, completed=min(total, read + refused))

        yield count


def _check_outputs(options: InferOptions, paths: Sequence[Path]) -> None:
    """Refuse, before anything is inferred, to write over what is read or over each other."""
    outputs = {
        "--steps": options.steps,
        "--waves": options.waves,
        "--schedule": options.schedule,
    }
    network = options.network.removeprefix(f"{HELD}:")
    for option, output in outputs.items():
        if output is not None:
            check_overwrites_nothing(option, output, [*paths, network])
    if options.steps is not None and options.steps == options.schedule:
        raise typer.BadParameter(
            f"the file {str(options.steps)!r} is --steps too; name another one.",
            param_hint="--schedule",
        )


def _check_steps(steps: Path | None, paths: Sequence[Path]) -> None:
    """Refuse, before anything is inferred, a drawing that cannot be made."""
    if steps is None:
        return
    if len(paths) != 1:
        raise typer.BadParameter(
            f"{len(paths)} pictures have no one drawing; name one picture.",
            param_hint="--steps",
        )
    check_output(steps, "--steps", "drawings are PNG", ".png")


def _draw_steps(path: Path | None, result: Result, network: AnyNetwork) -> None:
    from stepnet.files import write_whole

    prepared = result.picture.prepared
    if path is None or prepared is None:
        return
    from stepnet.pictures.steps import draw_steps

    readings = (comparison.reading for comparison in result.comparisons)
    captions = [reading.character or f"0x{reading.code:02x}" for reading in readings]
    drawing = draw_steps(prepared, captions, network.ink_threshold)
    try:
        write_whole(path, lambda file: drawing.save(file, "PNG"))
    except OSError as error:
        raise ImageError(
            f"The drawing cannot be written to {str(path)!r} ({error.strerror}); "
            "name a file in a folder that exists and is writable."
        ) from error


def _record(
    record: Recorder | None, options: InferOptions, result: Result, network: AnyNetwork
) -> None:
    if record is None:
        return
    with Progress() as progress:
        progress("Recording every signal of the chip (some seconds)")
        kind = options.board.partition(":")[2]
        recording = record(
            network, result.picture.images[0], kind=kind, uart=options.uart, baud=options.baud
        )
    save_recording(recording, options.waves, options.schedule)
