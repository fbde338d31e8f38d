"""`stepnet evaluate`: how well a network reads a data set."""

from __future__ import annotations

import dataclasses
import json
import statistics
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stepnet.cli import declared
from stepnet.cli.arrays import ArrayOptions, ArrayResult, measure_in_arrays
from stepnet.cli.options import (
    CleanOption,
    DataDirOption,
    DataOption,
    DataPart,
    JsonOption,
    Placed,
    PlacedOption,
    check_overwrites_nothing,
)
from stepnet.cli.output import Progress
from stepnet.printable import printable

if TYPE_CHECKING:
    from stepnet.data.evaluation import Score
    from stepnet.networks.kinds import AnyNetwork

TABLE_ROWS = 16
"""How many characters stand below each other in the table before another column begins."""

TABLE_GAP_COLUMNS = 4


@dataclass(frozen=True, kw_only=True)
class EvaluateOptions:
    """Everything that `stepnet evaluate` is told."""

    network: Annotated[str, typer.Argument(help="A shipped network, or a .npz file.")] = "digits"
    data: DataOption = "mnist"
    data_dir: DataDirOption = None
    part: Annotated[
        DataPart | None,
        typer.Option(
            help="Part of the data set that is measured; if not given, the test part of mnist, of "
            "unipen and of the file that the network learned from, and all of any other file.",
        ),
    ] = None
    placed: PlacedOption = Placed.AUTO
    clean: CleanOption = False
    confusion: Annotated[
        Path | None,
        typer.Option(metavar="PNG", help="Draw what the images of each character are read as."),
    ] = None
    table: Annotated[
        bool, typer.Option("--table", help="Add a table of all characters to the text.")
    ] = False
    arrays: ArrayOptions = dataclasses.field(default_factory=ArrayOptions)
    json_output: JsonOption = False


def _evaluate(options: EvaluateOptions) -> None:
    """Measure a network with integer arithmetic: a reading counts if its whole code is right."""
    from stepnet.data import sets as data_sets
    from stepnet.data.evaluation import float_accuracy, score
    from stepnet.networks.shipped import load_any_network
    from stepnet.networks.sigmoid import SigmoidNetwork
    from stepnet.pictures.data_sets import placed_for

    options.arrays.check()
    network = load_any_network(options.network)
    if options.confusion is not None:
        from stepnet import plots

        plots.check(options.confusion)
        check_overwrites_nothing("--confusion", options.confusion, [options.network, options.data])
    split = data_sets.load(options.data, options.data_dir)
    part = options.part or _part_never_learned(network, split.name)
    dataset = split.part(part)
    if options.clean:
        dataset = dataset.cleaned()
    in_file = len(split.train) + len(split.test)
    with Progress() as progress:
        dataset = placed_for(network, dataset, options.placed.known, progress)
    result = score(network, dataset)
    before = float_accuracy(network, dataset) if isinstance(network, SigmoidNetwork) else None
    in_arrays = measure_in_arrays(options.arrays, network, dataset)
    if options.confusion is not None:
        _draw_confusion(options.confusion, options, part, network.name, result)
    if options.json_output:
        about = _as_json(options, part, network, result, before, in_arrays)
        print(json.dumps(about | {"images_in_data": in_file}))
        return
    _show(network.name, f"{options.data}, {_in_words(part, options.clean)}", result, in_file)
    if before is not None:
        print(f"Exactly right before its weights were rounded to 8 bits: {before:.2%}")
    if in_arrays is not None:
        print(in_arrays)
    if options.table:
        _show_table(result)
    if options.confusion is not None:
        print(f"Confusion matrix: {printable(str(options.confusion))}")


def _part_never_learned(network: AnyNetwork, data_name: str) -> DataPart:
    """The part of a data set that tells how well a network reads what it never saw."""
    learned_from = network.card.get("data", "").split(",")[0]
    return DataPart.TEST if data_name in ("mnist", "unipen", learned_from) else DataPart.ALL


def _in_words(part: DataPart, clean: bool) -> str:
    words = "clean " if clean else ""
    return f"all {words}images" if part is DataPart.ALL else f"{words}{part} part"


evaluate = declared.command("evaluate", EvaluateOptions, _evaluate)


def _draw_confusion(
    path: Path, options: EvaluateOptions, part: DataPart, name: str, result: Score
) -> None:
    from stepnet import plots

    title = (
        f"{name} on {Path(options.data).stem}, {_in_words(part, options.clean)}: "
        f"{result.accuracy:.2%} of {result.images} images exactly right"
    )
    plots.confusion(result.confusion, result.characters, path, title)


def _as_json(
    options: EvaluateOptions,
    part: DataPart,
    network: AnyNetwork,
    result: Score,
    float_accuracy: float | None,
    in_arrays: ArrayResult | None,
) -> dict[str, object]:
    return {
        "network": network.name,
        "digest": network.digest,
        "data": options.data,
        "part": part,
        "placed": options.placed,
        "clean": options.clean,
        "accuracy": result.accuracy,
        "images": result.images,
        "unknown": result.unknown,
        "left_out": result.left_out,
        "accuracy_by_character": result.accuracy_by_character,
        "accuracy_by_bit": result.accuracy_by_bit,
        "case_folded_accuracy": result.case_folded_accuracy,
        "accuracy_by_writer": result.accuracy_by_writer,
        "characters": result.characters,
        "confusion": result.confusion.tolist(),
        "missing": result.missing,
        "float_accuracy": float_accuracy,
        "in_arrays": None if in_arrays is None else in_arrays.as_json(),
    }


def _show(name: str, where: str, result: Score, in_data: int) -> None:
    from rich.console import Console
    from rich.table import Table

    wrong = result.images - result.right - result.unknown
    print(f"Network {printable(name)} on {printable(where)}: {result.images} of {in_data} images")
    table = Table("reading", "images", "part", box=None)
    for column in table.columns[1:]:
        column.justify = "right"
    for what, count in (
        ("exactly the right code", result.right),
        ("another character", wrong),
        ("unknown code", result.unknown),
    ):
        table.add_row(what, str(count), f"{count / result.images:.2%}")
    Console().print(table)
    if mistakes := result.top_confusions(5):
        listed = ", ".join(
            f"{_visible(true)} as {_visible(read)} ({count})" for true, read, count in mistakes
        )
        print(f"Most often misread: {listed}")
    ranked = sorted(result.accuracy_by_character.items(), key=lambda item: item[1])
    worst = ", ".join(f"{_visible(character)} {part:.1%}" for character, part in ranked[:5])
    print(f"Hardest characters: {worst}")
    bits = ", ".join(f"{bit} {part:.1%}" for bit, part in enumerate(result.accuracy_by_bit))
    print(f"Right by bit of the code: {bits}")
    print(f"Right if case does not count: {result.case_folded_accuracy:.2%}")
    if result.accuracy_by_writer:
        writers = list(result.accuracy_by_writer.values())
        print(
            f"Right by writer: {len(writers)} writers from {min(writers):.1%} to "
            f"{max(writers):.1%}, median {statistics.median(writers):.1%}, "
            f"standard deviation {statistics.pstdev(writers):.1%}"
        )
    if result.left_out:
        print(f"Left out: {result.left_out} images of characters outside its alphabet")
    if result.missing:
        print(f"Missing in the data: {' '.join(map(_visible, result.missing))}")


def _show_table(result: Score) -> None:
    """Print one line per character, folded into as many columns as the terminal can show."""
    from rich.console import Console

    header, *entries = _table_lines(result)
    column_width = len(header) + TABLE_GAP_COLUMNS
    fitting = max(1, (Console().width + TABLE_GAP_COLUMNS) // column_width)
    columns = min(fitting, -(-len(entries) // TABLE_ROWS))
    rows = -(-len(entries) // columns)
    for line in [[header] * columns, *(entries[row::rows] for row in range(rows))]:
        print((" " * TABLE_GAP_COLUMNS).join(line).rstrip())


def _table_lines(result: Score) -> list[str]:
    """Character, images, part read right and most frequent mistake, as lines of one width."""
    cells = [("", "images", "right", "mostly misread as")]
    read_as = [*result.characters, None]
    for index, character in enumerate(result.characters):
        counts = result.confusion[index].copy()
        images, right = int(counts.sum()), int(counts[index])
        counts[index] = 0
        most = int(counts.argmax())
        mistake = f"{_visible(read_as[most])} {counts[most] / images:.1%}" if counts[most] else ""
        part = f"{right / images:.1%}" if images else ""
        cells.append((_visible(character), str(images), part, mistake))
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    aligned = [
        [f"{text:{side}{width}}" for text, side, width in zip(row, "<>><", widths, strict=True)]
        for row in cells
    ]
    return ["  ".join(row) for row in aligned]


def _visible(character: str | None) -> str:
    """A character as it is, as Python writes it if it cannot be seen, None as an unknown code."""
    if character is None:
        return "unknown"
    return character if character.isprintable() and character != " " else repr(character)
