"""What `stepnet infer` writes for each picture: a line of text, of JSON or of CSV."""

from __future__ import annotations

import csv
import enum
import json
import sys
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from stepnet.printable import printable

if TYPE_CHECKING:
    from stepnet.cli.comparison import Comparison
    from stepnet.cli.picture_files import ReadyPicture
    from stepnet.networks.kinds import AnyNetwork
    from stepnet.pictures.segmentation import Glyph


class Format(enum.StrEnum):
    """What is written for each picture."""

    TEXT = "text"
    JSONL = "jsonl"
    CSV = "csv"


@dataclass(frozen=True, eq=False)
class Result:
    """A picture, and what a board and numpy read in each of its images."""

    picture: ReadyPicture
    comparisons: Sequence[Comparison]

    @property
    def path(self) -> str:
        """The picture's path."""
        return str(self.picture.path)

    @property
    def agrees(self) -> bool:
        """Whether the board reads in every image what numpy does."""
        return all(comparison.agrees for comparison in self.comparisons)

    def as_json(self) -> dict[str, object]:
        """The picture's entry in JSON."""
        glyphs = self.picture.glyphs
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
        """The columns of the picture's line in CSV."""
        if self.picture.glyphs is None:
            return self.as_json()
        return {**self.as_json(), "characters": len(self.comparisons)}

    def __str__(self) -> str:
        if self.picture.glyphs is not None:
            return _text_line(printable(self.path), self.picture.glyphs, self.comparisons)
        return _character_line(printable(self.path), self.comparisons[0])


@contextmanager
def result_writer(
    output_format: Format, json_output: bool, board: str, network: AnyNetwork
) -> Generator[Callable[[Result], None]]:
    """A function that writes a result to stdout: at once, or at the end as one JSON object."""
    if json_output:
        entries: list[dict[str, object]] = []
        yield lambda result: entries.append(result.as_json())
        print(json.dumps({"board": board, "network": network.name, "images": entries}))
    elif output_format is Format.JSONL:
        yield lambda result: print(json.dumps(result.as_json()), flush=True)
    elif output_format is Format.CSV:
        writer: csv.DictWriter[Any] | None = None

        def write_row(result: Result) -> None:
            nonlocal writer
            row = result.as_row()
            if sys.stdout.isatty():
                row = {name: _shown(value) for name, value in row.items()}
            if writer is None:
                writer = csv.DictWriter(sys.stdout, row, lineterminator="\n")
                writer.writeheader()
            writer.writerow(row)
            sys.stdout.flush()

        yield write_row
    else:
        yield lambda result: print(result, flush=True)


def _character_line(path: str, comparison: Comparison) -> str:
    reading = comparison.reading
    spikes = comparison.numpy_spikes
    verdict = "agrees with numpy"
    if not comparison.agrees:
        counted = "" if spikes is None else f" and {spikes.total} spikes"
        verdict = f"numpy says 0x{comparison.numpy_code:02x}{counted}"
    return (
        f"{path}: {repr(reading.character) if reading.known else 'unknown'}, "
        f"code 0x{reading.code:02x}, register {reading.code:08b}, margin {reading.margin}, "
        f"{reading.cycles} cycles, {_spikes_in_words(comparison)}{verdict}"
    )


def _spikes_in_words(comparison: Comparison) -> str:
    if comparison.numpy_spikes is None or comparison.reading.spikes is None:
        return ""
    of_pixels, of_neurons = comparison.numpy_spikes.pixels, comparison.reading.spikes
    return f"{of_pixels} spikes of pixels and {of_neurons} of neurons, "


def _text_line(path: str, glyphs: Sequence[Glyph], comparisons: Sequence[Comparison]) -> str:
    disagree = sum(not comparison.agrees for comparison in comparisons)
    verdict = f"{disagree} disagree" if disagree else "all agree"
    count = f"{len(glyphs)} character{'' if len(glyphs) == 1 else 's'}"
    return (
        f"{path}: {_text(glyphs, comparisons)!r}, {count}, margin {_least_margin(comparisons)} "
        f"or more, {verdict} with numpy"
    )


def _shown(value: object) -> object:
    """A cell of a table as a terminal may get it."""
    return printable(value) if isinstance(value, str) else value


def _least_margin(comparisons: Sequence[Comparison]) -> int:
    """The margin of the character in a line that is the least sure."""
    return min(comparison.reading.margin for comparison in comparisons)


def _text(glyphs: Sequence[Glyph], comparisons: Sequence[Comparison]) -> str:
    from stepnet.pictures.text_line import joined_text

    return joined_text(glyphs, [comparison.reading for comparison in comparisons])
