"""`stepnet evaluate`: how well a network reads a data set."""

from __future__ import annotations

import json
import statistics
from typing import TYPE_CHECKING, Annotated

import typer

from stepnet.cli.options import CleanOption, DataDirOption, DataOption, JsonOption

if TYPE_CHECKING:
    from stepnet.evaluation import Score


def evaluate(
    network: Annotated[str, typer.Argument(help="A shipped network, or a .npz file.")] = "digits",
    data: DataOption = "mnist",
    data_dir: DataDirOption = None,
    part: Annotated[str, typer.Option(help="Part of the data set: test or train.")] = "test",
    clean: CleanOption = False,
    json_output: JsonOption = False,
) -> None:
    """Measure a network with the integer reference: a reading counts if its whole code is right."""
    from stepnet import data as data_sets
    from stepnet.evaluation import score
    from stepnet.networks import load_network

    step_network = load_network(network)
    dataset = data_sets.load(data, data_dir).part(part)
    if clean:
        dataset = dataset.cleaned()
    result = score(step_network, dataset)
    if json_output:
        print(
            json.dumps(
                {
                    "network": step_network.name,
                    "digest": step_network.digest,
                    "data": data,
                    "part": part,
                    "clean": clean,
                    "accuracy": result.accuracy,
                    "images": result.images,
                    "unknown": result.unknown,
                    "left_out": result.left_out,
                    "accuracy_by_character": result.accuracy_by_character,
                    "accuracy_by_bit": result.accuracy_by_bit,
                    "case_folded_accuracy": result.case_folded_accuracy,
                    "accuracy_by_writer": result.accuracy_by_writer,
                }
            )
        )
        return
    _show(step_network.name, f"{data}, {'clean ' if clean else ''}{part} part", result)


def _show(name: str, where: str, result: Score) -> None:
    from rich.console import Console
    from rich.table import Table

    wrong = result.images - result.right - result.unknown
    print(f"Network {name} on {where}: {result.images} images")
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
    ranked = sorted(result.accuracy_by_character.items(), key=lambda item: item[1])
    worst = ", ".join(f"{character} {part:.1%}" for character, part in ranked[:5])
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
