"""Turns a picture into what one network gets of it: the one place where that is decided.

Boards, commands and `read_text` call `prepare_character` or `prepare_line`. Each finds the ink,
cuts the characters out and places them as the characters were that the network learned from. What
was found on the way is kept, so that `stepnet.pictures.steps` can draw it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stepnet.networks.network import CharacterNetwork
from stepnet.pictures.one_character import check_one_character
from stepnet.pictures.paper import Ink, drawn_ink, find_ink
from stepnet.pictures.picture import Picture, grey_values
from stepnet.pictures.placing import place_for
from stepnet.pictures.segmentation import Glyph, Line, find_line


@dataclass(frozen=True, eq=False)
class Prepared:
    """A picture as a network gets it, and what was found on it.

    images: one for each character, (height, width) uint8 grey values, bright ink on 0.
    ink: the whole picture taken apart into paper and ink.
    line: the line of characters; None if the picture was taken for one character.
    """

    images: tuple[NDArray[np.uint8], ...]
    ink: Ink
    line: Line | None = None

    @property
    def glyphs(self) -> tuple[Glyph, ...]:
        """The characters of the line; none if the picture was taken for one character."""
        return self.line.glyphs if self.line else ()


def prepare_character(
    picture: Picture, network: CharacterNetwork[Any], name: str | None = None
) -> Prepared:
    """A picture of one character as `network` gets it.

    name: how the picture is called in errors; the path if not given.

    Raises ImageError as `stepnet.pictures.picture.normalise` does.
    """
    grey, what = grey_values(picture, name)
    ink = find_ink(grey, what)
    check_one_character(ink.strength, what, network.alphabet)
    return Prepared((place_for(network, ink.strength),), ink)


def prepare_drawing(
    picture: Picture, network: CharacterNetwork[Any], name: str | None = None
) -> Prepared:
    """A drawing of one character, black on white as a program makes it, as `network` gets it.

    name: how the drawing is called in errors; the path if not given.

    Raises ImageError if the drawing cannot be read or is blank.
    """
    ink = drawn_ink(*grey_values(picture, name))
    return Prepared((place_for(network, ink.strength),), ink)


def prepare_line(
    picture: Picture, network: CharacterNetwork[Any], name: str | None = None
) -> Prepared:
    """A picture of one line of separate characters as `network` gets it; at least one character.

    name: how the picture is called in errors; the path if not given.

    Raises ImageError as `stepnet.pictures.text_line.segment_line` does.
    """
    line = find_line(picture, name)
    images = tuple(place_for(network, glyph.ink, glyph.capital_height) for glyph in line.glyphs)
    return Prepared(images, line.ink, line)
