"""Reading a line of separate characters in a picture.

`read_text` is what `Board.read_text` calls: it cuts the line into characters, has a board or the
reference infer each, and joins what was read with spaces between words. `segment_line` gives the
characters alone. Characters must not touch each other, as in a form; joined writing is not taken
apart.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from stepnet.networks.network import CharacterNetwork
from stepnet.pictures.picture import Picture
from stepnet.pictures.preparing import prepare_line
from stepnet.pictures.segmentation import Glyph, find_line

UNKNOWN_CHARACTER = "\N{REPLACEMENT CHARACTER}"
"""What stands in a text for a character that the network does not know."""


class CharacterReading(Protocol):
    """What a board or the reference says of an image, as far as a text needs it."""

    @property
    def character(self) -> str | None:
        """The character; None if the code is not in the network's alphabet."""
        ...


@dataclass(frozen=True, eq=False)
class LineText:
    """What was read in a line.

    text: the characters with one space between words; `UNKNOWN_CHARACTER` for one not known.
    readings: one for each character, in order, none for spaces.
    glyphs: the characters as they were cut out of the picture, in the same order.
    """

    text: str
    readings: tuple[CharacterReading, ...]
    glyphs: tuple[Glyph, ...]

    def __str__(self) -> str:
        return self.text


def read_text(
    infer_many: Callable[[Iterable[NDArray[np.uint8]]], Iterator[CharacterReading]],
    page: Picture,
    network: CharacterNetwork[Any],
) -> LineText:
    """Read the line of characters on `page`.

    infer_many: gives a reading for each (height, width) uint8 image, in order.
    network: the network that `infer_many` infers, which says how the images have to be.

    Raises what `segment_line` and `infer_many` raise.
    """
    prepared = prepare_line(page, network)
    readings = tuple(infer_many(prepared.images))
    return LineText(joined_text(prepared.glyphs, readings), readings, prepared.glyphs)


def joined_text(glyphs: Sequence[Glyph], readings: Sequence[CharacterReading]) -> str:
    """The text of a line from the reading of each of its characters; see `LineText`."""
    words: list[str] = []
    for glyph, reading in zip(glyphs, readings, strict=True):
        words.append(" " if glyph.after_space else "")
        words.append(UNKNOWN_CHARACTER if reading.character is None else reading.character)
    return "".join(words)


def segment_line(picture: Picture) -> list[Glyph]:
    """The characters of one line of handwriting, from left to right; at least one.

    picture: dark on light or light on dark, unevenly lit, climbing or falling by up to
    `segmentation.MAX_TILT_DEGREES`, with paper along the border. Pieces above each other are one
    character (i, j, =, %, :, ;), and so are the two strokes of a double quote.

    Raises ImageError if there are two lines, and as `stepnet.pictures.picture.normalise` does.
    """
    return list(find_line(picture).glyphs)
