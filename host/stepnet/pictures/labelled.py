"""Pictures of single characters whose label is in their place or in their name, as a data set.

`stepnet dataset` uses it: `label_of` reads a name, `place_pictures` makes the images, and
`contact_sheet` draws them for a person to look at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from stepnet.data.sets import Dataset
from stepnet.errors import ImageError
from stepnet.networks.placing import Placing
from stepnet.pictures.paper import find_ink
from stepnet.pictures.picture import grey_values
from stepnet.pictures.placing import place

LARGEST_CODE = 0xFF

SHEET_COLUMNS = 32
SHEET_CELL_PIXELS = 60
SHEET_MARGIN_PIXELS = 60
SHEET_MOST_OF_CHARACTER = 320
"""How many pictures of one character are on a contact sheet, the first ones."""


@dataclass(frozen=True)
class Labelled:
    """A picture's file, and the character code that it shows."""

    path: Path
    code: int


def label_of(word: str) -> int | None:
    """The character code that the name of a folder or the start of a file's name stands for; None
    if it stands for none.

    It is the character itself, or its code in hexadecimal, such as 0x2f for a slash: not every
    character can be in a name, and some systems do not tell a from A.
    """
    if len(word) == 1:
        code = ord(word)
    elif word.lower().startswith("0x") and word[2:].isalnum():
        try:
            code = int(word, 16)
        except ValueError:
            return None
    else:
        return None
    return code if code <= LARGEST_CODE and chr(code).isprintable() and code != ord(" ") else None


def usual_placing(alphabet: str) -> Placing:
    """How networks that read `alphabet` have their characters: digits all of one size, others
    beside letters or signs as large as their writer's capitals make them."""
    return Placing.MNIST if alphabet.isdigit() else Placing.UNIPEN


def place_pictures(
    pictures: Iterable[Labelled],
    size: tuple[int, int],
    placing: Placing,
    refuse: Callable[[ImageError], None],
    capital_height: float | None = None,
) -> Dataset | None:
    """The pictures that can be read as a data set; the others are refused one by one. None if none
    can be read.

    size: height and width of the images.
    capital_height: how high capitals are in all the pictures, in their pixels; None if it is not
        known, see `placing.place`.
    """
    images: list[NDArray[np.uint8]] = []
    codes: list[int] = []
    for picture in pictures:
        try:
            ink = find_ink(*grey_values(picture.path, str(picture.path)))
        except ImageError as error:
            refuse(error)
            continue
        images.append(place(ink.strength, *size, placing, capital_height))
        codes.append(picture.code)
    return Dataset(np.stack(images), np.array(codes, dtype=np.uint8)) if images else None


def contact_sheet(dataset: Dataset) -> Image.Image:
    """All images as a network gets them, each character in rows of its own behind its label: dark
    ink on white. Of each character the first `SHEET_MOST_OF_CHARACTER` are there.
    """
    rows = list(_rows(dataset))
    widest = max(len(numbers) for _, numbers in rows)
    width = SHEET_MARGIN_PIXELS + widest * SHEET_CELL_PIXELS
    sheet = Image.new("L", (width, len(rows) * SHEET_CELL_PIXELS), 255)
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(SHEET_CELL_PIXELS // 2)
    inside = SHEET_CELL_PIXELS - 4
    for number, (label, numbers) in enumerate(rows):
        top = number * SHEET_CELL_PIXELS
        draw.text((SHEET_CELL_PIXELS // 4, top + SHEET_CELL_PIXELS // 5), label, 0, font)
        for column, index in enumerate(numbers):
            image = Image.fromarray(255 - dataset.images[index])
            left = SHEET_MARGIN_PIXELS + column * SHEET_CELL_PIXELS
            sheet.paste(image.resize((inside, inside), Image.Resampling.NEAREST), (left, top))
            draw.rectangle((left, top, left + inside, top + inside), outline=200)
    return sheet


def _rows(dataset: Dataset) -> Iterable[tuple[str, Sequence[int]]]:
    """The label of each row, which only the first of a character has, and its images' numbers."""
    for character in dataset.alphabet:
        numbers = np.flatnonzero(dataset.labels == ord(character))[:SHEET_MOST_OF_CHARACTER]
        for start in range(0, len(numbers), SHEET_COLUMNS):
            yield "" if start else character, numbers[start : start + SHEET_COLUMNS].tolist()
