"""`stepnet infer`: read the characters in pictures."""

from __future__ import annotations

import csv
import enum
import itertools
import json
import os
import sys
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Protocol

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
from stepnet.errors import ImageError
from stepnet.link.serial_line import DEFAULT_BAUD

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image

    from stepnet.boards.board import Board
    from stepnet.cli.comparison import Comparison
    from stepnet.networks.network import Network
    from stepnet.pictures.text_line import Glyph, Line

STDIN = Path("-")

RECORDERS_GROUP = "stepnet.recorders"
"""Entry points of boards that can be looked into, by their name. Each is a `Recorder`."""

PICTURES_AT_ONCE = 32
BATCH_S = 0.2
"""So many pictures are read, or as long as that, before they are inferred; no more are kept."""


class Recording(Protocol):
    """All that happens in a board while it infers one image."""

    def write(self, path: Path) -> None:
        """Write it as an FST file."""
        ...

    def draw_schedule(self, path: Path) -> None:
        """Draw which unit does what in which cycle, as a PNG file."""
        ...


class Recorder(Protocol):
    """What makes a recording."""

    def __call__(
        self, network: Network, image: NDArray[np.uint8], *, baud: int | None
    ) -> Recording:
        """Infer one image, (height, width); its bytes come at the pace of a serial line of `baud`,
        or as fast as they can."""
        ...


class Format(enum.StrEnum):
    """What is written for each picture."""

    TEXT = "text"
    JSONL = "jsonl"
    CSV = "csv"


@dataclass(frozen=True, eq=False)
class _Prepared:
    """A picture, ready to be inferred.

    images: one of a single character, or one of each character of `line`.
    steps: draws how they came about, given what was read in each.
    """

    path: Path
    images: list[NDArray[np.uint8]]
    glyphs: Sequence[Glyph] | None
    steps: Callable[[Sequence[str]], Image] | None


@dataclass(frozen=True, eq=False)
class _Result:
    """A picture and what a board and numpy read in it, one for each of its images."""

    prepared: _Prepared
    comparisons: Sequence[Comparison]

    @property
    def path(self) -> str:
        return str(self.prepared.path)

    @property
    def agrees(self) -> bool:
        return all(comparison.agrees for comparison in self.comparisons)

    def as_json(self) -> dict[str, object]:
        glyphs = self.prepared.glyphs
        if glyphs is None:
            return {"path": self.path, **self.comparisons[0].as_json()}
        return {
            "path": self.path,
            "text": _text(glyphs, self.comparisons),
            "margin": _least_margin(self.comparisons),
            "agrees": self.agrees,
            "characters": [
                {"box": glyph.box, "after_space": glyph.after_space, **comparison.as_json()}
                for glyph, comparison in zip(glyphs, self.comparisons, strict=True)
            ],
        }

    def as_row(self) -> dict[str, object]:
        """The columns of its line as CSV."""
        if self.prepared.glyphs is None:
            return self.as_json()
        return {**self.as_json(), "characters": len(self.comparisons)}

    def __str__(self) -> str:
        if self.prepared.glyphs is not None:
            return _text_line(self.path, self.prepared.glyphs, self.comparisons)
        return _character_line(self.path, self.comparisons[0])


def infer(
    images: Annotated[
        list[str],
        typer.Argument(
            metavar="IMAGE",
            help="Pictures of any size and format, folders of them, or - for stdin.",
        ),
    ],
    text: Annotated[
        bool, typer.Option("--text", help="Each picture is a line of separate characters.")
    ] = False,
    board: BoardOption = "sim",
    network: NetworkOption = "digits",
    output_format: Annotated[
        Format, typer.Option("--format", help="A line for each picture: text, jsonl or csv.")
    ] = Format.TEXT,
    json_output: JsonOption = False,
    steps: Annotated[
        Path | None,
        typer.Option(help="Draw how the one picture becomes network input, as a PNG file."),
    ] = None,
    waves: Annotated[
        Path | None,
        typer.Option(
            help="Record all signals of the virtual board for the one picture, as an FST file for "
            "GTKWave or Surfer."
        ),
    ] = None,
    schedule: Annotated[
        Path | None,
        typer.Option(
            help="Draw which unit of the virtual board does what in which cycle for the one "
            "picture, as a PNG file."
        ),
    ] = None,
    baud: BaudOption = DEFAULT_BAUD,
    timeout_s: TimeoutOption = 5.0,
    uart: UartOption = False,
) -> None:
    """Read the character, or with --text the line of characters, in each picture on a board.

    Pictures that cannot be read are named on stderr, and the others go on. Ends with exit code 1 if
    the board and numpy disagree on any, else with 2 if any could not be read.
    """
    from stepnet.boards.board import open_board
    from stepnet.networks.shipped import load_network

    if json_output and output_format is not Format.TEXT:
        raise typer.BadParameter(
            f"--json is one object, and --format {output_format} a line for each picture; "
            "give one of them.",
            param_hint="--format",
        )
    loaded = load_network(network)
    refused: list[ImageError] = []

    def refuse(error: ImageError) -> None:
        refused.append(error)
        print(f"stepnet: {error}", file=sys.stderr, flush=True)

    paths = list(_expanded(images, refuse))
    if steps is not None:
        if len(paths) != 1:
            raise typer.BadParameter(
                f"{len(paths)} pictures have no one drawing; name one picture.",
                param_hint="--steps",
            )
        _check_output(steps, "--steps", "drawings are PNG", ".png")
    record = _recorder(waves, schedule, board, paths, text)
    prepared = _prepared(paths, loaded, text, steps is not None, refuse)
    batches = _batches(prepared)
    first = next(batches, None)
    if first is None:
        raise typer.Exit(2)
    with Progress() as progress:
        opened = open_board(
            board, loaded, timeout_s=timeout_s, baud=baud, uart=uart, progress=progress
        )
    write = _writer(output_format, json_output, board, loaded)
    disagree = False
    # Lines on the same terminal show well enough how far it is.
    counted = sys.stderr.isatty() and (json_output or not sys.stdout.isatty())
    with opened, _counting(len(paths), counted) as count, write as write_result:
        for result in _results(opened, itertools.chain([first], batches)):
            disagree |= not result.agrees
            write_result(result)
            count(len(refused))
            if steps is not None:
                _save_steps(steps, result)
            if record is not None:
                with Progress() as progress:
                    progress("Recording every signal of the chip (some seconds)")
                    image = result.prepared.images[0]
                    recording = record(loaded, image, baud=baud if uart else None)
                _save_recording(recording, waves, schedule)
    if disagree or refused:
        raise typer.Exit(1 if disagree else 2)


def _expanded(names: Iterable[str], refuse: Callable[[ImageError], None]) -> Iterator[Path]:
    """The pictures' paths; those in a folder, sorted, in its place."""
    for name in names:
        path = Path(name)
        try:
            if not name:  # which Path takes for the current folder
                raise ImageError("A picture without a name cannot be read; give its path.")
            yield from [path] if path == STDIN or not path.is_dir() else _pictures_in(path)
        except ImageError as error:
            refuse(error)
        except OSError as error:
            refuse(
                ImageError(
                    f"What is at {str(path)!r} cannot be seen ({error.strerror}); "
                    "name pictures and folders that you may read."
                )
            )


def _pictures_in(folder: Path) -> list[Path]:
    from PIL import Image

    suffixes = Image.registered_extensions()
    pictures = sorted(
        inside
        for inside in folder.iterdir()
        if inside.suffix.lower() in suffixes and inside.is_file()
    )
    if not pictures:
        raise ImageError(
            f"The folder {str(folder)!r} holds no picture; name one with PNG, JPEG or other "
            "image files in it."
        )
    return pictures


def _prepared(
    paths: Iterable[Path],
    network: Network,
    text: bool,
    with_steps: bool,
    refuse: Callable[[ImageError], None],
) -> Iterator[_Prepared]:
    """The pictures that can be read."""
    for path in paths:
        try:
            prepare = _prepare_line if text else _prepare_character
            yield prepare(path, network, with_steps)
        except ImageError as error:
            refuse(error)


def _batches(pictures: Iterator[_Prepared]) -> Iterator[list[_Prepared]]:
    """As many as may be inferred together without keeping anyone waiting."""
    while True:
        end_s = time.monotonic() + BATCH_S
        batch: list[_Prepared] = []
        for prepared in pictures:
            batch.append(prepared)
            if len(batch) == PICTURES_AT_ONCE or time.monotonic() >= end_s:
                break
        if not batch:
            return
        yield batch


def _prepare_character(path: Path, network: Network, with_steps: bool) -> _Prepared:
    from stepnet.pictures.paper import find_ink
    from stepnet.pictures.picture import grey_values
    from stepnet.pictures.placing import frame, framing_of

    ink = find_ink(*grey_values(_content(path), str(path)))
    image = frame(ink.strength, network.height, network.width, framing_of(network))

    def steps(captions: Sequence[str]) -> Image:
        from stepnet.pictures.steps import Seen, character_steps

        return character_steps(ink, Seen(image, captions[0]), network.ink_threshold)

    return _Prepared(path, [image], None, steps if with_steps else None)


def _prepare_line(path: Path, network: Network, with_steps: bool) -> _Prepared:
    from stepnet.pictures.placing import framing_of
    from stepnet.pictures.text_line import find_line

    line: Line = find_line(_content(path), str(path))
    framing = framing_of(network)
    images = [glyph.image(network.height, network.width, framing) for glyph in line.glyphs]

    def steps(captions: Sequence[str]) -> Image:
        from stepnet.pictures.steps import Seen, line_steps

        seen = [Seen(*pair) for pair in zip(images, captions, strict=True)]
        return line_steps(line, seen, network.ink_threshold)

    return _Prepared(path, images, line.glyphs, steps if with_steps else None)


def _content(path: Path) -> Path | bytes:
    return sys.stdin.buffer.read() if path == STDIN else path


def _results(board: Board, batches: Iterable[Sequence[_Prepared]]) -> Iterator[_Result]:
    from stepnet.cli.comparison import compare

    for batch in batches:
        comparisons = compare(board, [image for prepared in batch for image in prepared.images])
        for prepared in batch:
            yield _Result(prepared, list(itertools.islice(comparisons, len(prepared.images))))


@contextmanager
def _writer(
    output_format: Format, json_output: bool, board: str, network: Network
) -> Generator[Callable[[_Result], None]]:
    """What writes a result to stdout, at once or, as one JSON object, at the end."""
    if json_output:
        entries: list[dict[str, object]] = []
        yield lambda result: entries.append(result.as_json())
        print(json.dumps({"board": board, "network": network.name, "images": entries}))
    elif output_format is Format.JSONL:
        yield lambda result: print(json.dumps(result.as_json()), flush=True)
    elif output_format is Format.CSV:
        writer: csv.DictWriter[Any] | None = None

        def write_row(result: _Result) -> None:
            nonlocal writer
            row = result.as_row()
            if writer is None:
                writer = csv.DictWriter(sys.stdout, row, lineterminator="\n")
                writer.writeheader()
            writer.writerow(row)
            sys.stdout.flush()

        yield write_row
    else:
        yield lambda result: print(result, flush=True)


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


def _character_line(path: str, comparison: Comparison) -> str:
    reading = comparison.reading
    verdict = (
        "agrees with numpy" if comparison.agrees else f"numpy says 0x{comparison.numpy_code:02x}"
    )
    return (
        f"{path}: {repr(reading.character) if reading.known else 'unknown'}, "
        f"code 0x{reading.code:02x}, register {reading.code:08b}, margin {reading.margin}, "
        f"{reading.cycles} cycles, {verdict}"
    )


def _text_line(path: str, glyphs: Sequence[Glyph], comparisons: Sequence[Comparison]) -> str:
    disagree = sum(not comparison.agrees for comparison in comparisons)
    verdict = f"{disagree} disagree" if disagree else "all agree"
    count = f"{len(glyphs)} character{'' if len(glyphs) == 1 else 's'}"
    return (
        f"{path}: {_text(glyphs, comparisons)!r}, {count}, margin {_least_margin(comparisons)} "
        f"or more, {verdict} with numpy"
    )


def _least_margin(comparisons: Sequence[Comparison]) -> int:
    """Of the character in a line that is the least sure."""
    return min(comparison.reading.margin for comparison in comparisons)


def _text(glyphs: Sequence[Glyph], comparisons: Sequence[Comparison]) -> str:
    from stepnet.pictures.text_line import joined_text

    return joined_text(glyphs, [comparison.reading for comparison in comparisons])


def _save_steps(path: Path, result: _Result) -> None:
    from stepnet.files import write_whole

    draw = result.prepared.steps
    if draw is None:
        return
    readings = (comparison.reading for comparison in result.comparisons)
    drawing = draw([reading.character or f"0x{reading.code:02x}" for reading in readings])
    try:
        write_whole(path, lambda file: drawing.save(file, "PNG"))
    except OSError as error:
        raise ImageError(
            f"The drawing cannot be written to {str(path)!r} ({error.strerror}); "
            "name a file in a folder that exists and is writable."
        ) from error


def _recorder(
    waves: Path | None, schedule: Path | None, board: str, paths: Sequence[Path], text: bool
) -> Recorder | None:
    """What records a picture on `board`, if that is wanted; refused before anything is inferred."""
    if waves is None and schedule is None:
        return None
    option = "--waves" if schedule is None else "--schedule"
    if len(paths) != 1 or text:
        what = "a line of text has" if text else f"{len(paths)} pictures have"
        raise typer.BadParameter(
            f"{what} no one recording; name one picture of a character.", param_hint=option
        )
    recorders = entry_points(group=RECORDERS_GROUP)
    if board not in recorders.names:
        raise typer.BadParameter(
            f"nothing inside the board {board!r} can be seen; "
            f"choose --board {' or '.join(sorted(recorders.names)) or 'sim'}.",
            param_hint=option,
        )
    if waves is not None:
        _check_output(waves, "--waves", "waveforms are FST", ".fst")
    if schedule is not None:
        from stepnet import plots

        plots.check(schedule)
    return recorders[board].load()


def _check_output(path: Path, option: str, kind: str, suffix: str) -> None:
    """Refuse a file that cannot be written before anything is inferred."""
    if path.suffix.lower() != suffix:
        raise typer.BadParameter(
            f"{kind} files, but {str(path)!r} ends otherwise; name a file that ends in {suffix}.",
            param_hint=option,
        )
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise typer.BadParameter(
            f"no file can be made in {str(path.parent)!r}; "
            "name a file in a folder that exists and is writable.",
            param_hint=option,
        )
    if path.is_dir():
        raise typer.BadParameter(
            f"{str(path)!r} is a folder; name a file that ends in {suffix}.", param_hint=option
        )


def _save_recording(recording: Recording, waves: Path | None, schedule: Path | None) -> None:
    if waves is not None:
        recording.write(waves)
    if schedule is not None:
        recording.draw_schedule(schedule)
