"""What the images of each character are read as, as a heat map."""

from __future__ import annotations

import itertools
import os
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stepnet.plots.drawing import (
    BAR_INCHES,
    INK,
    RULE,
    TEXT_POINTS,
    Page,
    check,
    matplotlib_module,
    quieten,
    save,
    write_title,
)

WHITE = (1.0, 1.0, 1.0, 1.0)
NO_IMAGES = (0.9, 0.9, 0.9, 1.0)

SCALE_AT_LEAST_PERCENT = 10.0
"""Where the scale of mistakes ends at the least: a good network must not look like a bad one."""

COUNTS_UP_TO = 16
"""Characters up to which every cell of a confusion matrix holds its count."""


def confusion(
    matrix: NDArray[np.integer[Any]],
    characters: str,
    path: str | os.PathLike[str],
    title: str,
) -> Path:
    """Draw what the images of each character were read as, as a heat map; returns the path.

    matrix: (characters, characters + 1) counts as in `Score.confusion`, rows true, columns read,
    the last one unknown codes.

    Shades are parts of a row: blue for right readings, from 0 to 100 %, and orange for mistakes,
    from 0 to the most frequent one (at least 10 %) by the square root, so that rare ones are seen.
    A row without images is grey. With 16 characters or fewer the cells hold their counts.

    Raises PictureError if the file cannot be written, and MissingToolError if matplotlib is not
    installed.
    """
    check(path)
    right = _scale("Blues", 100, 1)
    shares = 100 * matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    most_misread = float((shares * ~np.eye(*shares.shape, dtype=bool)).max())
    misread = _scale("Oranges", max(SCALE_AT_LEAST_PERCENT, most_misread), 0.5)
    colours = _cell_colours(matrix, right.to_rgba(shares), misread.to_rgba(shares))

    cells = _Cells(len(characters))
    page = Page(
        width=cells.columns * cells.inches,
        height=cells.count * cells.inches,
        left=0.6,
        right=1.3,
        bottom=0.85,
        top=0.75 if cells.many else 0.55,
    )
    write_title(page.figure, title)
    axes = page.axes(0, 0, page.width, page.height)
    _draw_cells(axes, cells, colours)
    if cells.many:
        _rule_between_groups(axes, characters)
    else:
        _write_counts(axes, cells.centres, matrix, colours)
    _name_axes(axes, cells, characters)

    bar_height = min(0.42 * page.height, 2.4)
    _draw_bar(page, right, (0, 25, 50, 75, 100), "read right", page.height - bar_height, bar_height)
    _draw_bar(page, misread, _ticks(misread.norm), "misread", 0, bar_height)
    return save(page.figure, path)


@dataclass(frozen=True)
class _Cells:
    """Where the cells of a matrix of `count` characters lie; a cell is 1 wide.

    Behind a gap, the column of unknown codes stands beside those of the characters.
    """

    count: int

    @property
    def many(self) -> bool:
        """Whether they are too small to hold their counts."""
        return self.count > COUNTS_UP_TO

    @property
    def inches(self) -> float:
        """The side of a cell."""
        return min(1.6, max(4.2 / self.count, min(0.42, 8 / self.count)))

    @property
    def unknown(self) -> float:
        """The left edge of the column of unknown codes."""
        return self.count - 0.5 + max(0.4, 0.12 / self.inches)

    @property
    def columns(self) -> float:
        """How wide all of it is."""
        return self.unknown + 1.5

    @property
    def centres(self) -> list[float]:
        """The middle of each column, that of unknown codes last."""
        return [*range(self.count), self.unknown + 0.5]


def _draw_cells(axes: Any, cells: _Cells, colours: NDArray[np.float64]) -> None:
    left, right = -0.5, cells.count - 0.5
    unknown = cells.unknown
    rows = (right, left)
    axes.imshow(colours[:, :-1], extent=(left, right, *rows), interpolation="nearest")
    axes.imshow(colours[:, -1:], extent=(unknown, unknown + 1, *rows), interpolation="nearest")
    axes.set(xlim=(left, unknown + 1), ylim=rows, aspect="auto")
    _frame(axes, left, left, cells.count, cells.count)
    _frame(axes, unknown, left, 1, cells.count)


def _name_axes(axes: Any, cells: _Cells, characters: str) -> None:
    """The characters along both sides, and what the two sides are."""
    style = {
        "fontsize": min(10.0, 0.85 * 72 * cells.inches),
        "family": "monospace",
        "parse_math": False,
    }
    labels = [_label(character) for character in characters]
    axes.set_xticks(range(cells.count), labels, **style)
    axes.set_yticks(range(cells.count), labels, **style)
    axes.tick_params(
        length=0, pad=2, top=False, labeltop=cells.many, labelright=False, labelcolor=INK
    )
    axes.spines[:].set_visible(False)
    text = {"fontsize": TEXT_POINTS, "color": INK}
    axes.set_xlabel("read", **text)
    axes.set_ylabel("true", **text)
    below = {"xytext": (0, -3), "textcoords": "offset points", "rotation": 90, **text}
    place = (cells.centres[-1], cells.count - 0.5)
    axes.annotate("unknown", place, ha="center", va="top", **below)


def _draw_bar(
    page: Page, scale: Any, ticks: Sequence[float], name: str, y: float, height: float
) -> None:
    """The bar beside the matrix that says which shade is which percentage."""
    bar = page.axes(page.width + 0.3, y, BAR_INCHES, height)
    page.figure.colorbar(scale, cax=bar, ticks=ticks)
    bar.yaxis.set_major_formatter("{x:g}")
    bar.set_ylabel(f"{name} (% of the row)")
    quieten(bar)


def _scale(colours: str, largest: float, exponent: float) -> Any:
    """Colours for 0 to `largest`, by the power `exponent`; the least is not white."""
    ramp = matplotlib_module("").colormaps[colours](np.linspace(0.12, 1, 256))
    colors = matplotlib_module("colors")
    return matplotlib_module("cm").ScalarMappable(
        colors.PowerNorm(exponent, 0, largest), colors.ListedColormap(ramp)
    )


def _cell_colours(
    matrix: NDArray[np.integer[Any]], right: NDArray[np.float64], misread: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The colour of every cell, RGBA, from its colour as a right reading and as a mistake."""
    colours = misread.copy()
    diagonal = np.arange(len(matrix))
    colours[diagonal, diagonal] = right[diagonal, diagonal]
    colours[matrix == 0] = WHITE
    colours[matrix.sum(axis=1) == 0] = NO_IMAGES
    return colours


def _ticks(norm: Any) -> list[float]:
    """Round percentages that stand well apart on the scale of `norm`."""
    ticks = [0.0]
    for percent in (0.1, 1, 2, 5, 10, 20, 50, 100):
        if norm(ticks[-1]) + 0.1 <= norm(percent) <= 1:
            ticks.append(percent)
    return ticks


def _frame(axes: Any, x: float, y: float, width: float, height: float) -> None:
    style = {"fill": False, "edgecolor": RULE, "linewidth": 0.8, "clip_on": False}
    axes.add_patch(matplotlib_module("patches").Rectangle((x, y), width, height, **style))


def _rule_between_groups(axes: Any, characters: str) -> None:
    """Lines between digits, capital letters, small letters and other characters."""
    categories = [unicodedata.category(character) for character in characters]
    groups = [category if category in ("Nd", "Lu", "Ll") else "" for category in categories]
    ends = (-0.5, len(characters) - 0.5)
    for place, (group, following) in enumerate(itertools.pairwise(groups)):
        if group != following:
            axes.plot(ends, (place + 0.5,) * 2, color=RULE, linewidth=0.6)
            axes.plot((place + 0.5,) * 2, ends, color=RULE, linewidth=0.6)


def _write_counts(
    axes: Any,
    columns: Sequence[float],
    matrix: NDArray[np.integer[Any]],
    colours: NDArray[np.float64],
) -> None:
    brightness = colours[..., :3] @ (0.299, 0.587, 0.114)
    for true, read in np.argwhere(matrix):
        colour = INK if brightness[true, read] > 0.5 else "white"
        style = {"ha": "center", "va": "center", "fontsize": 7.5, "color": colour}
        axes.text(columns[read], true, str(matrix[true, read]), **style)


def _label(character: str) -> str:
    """A character on an axis; a blank as an open box, what cannot be seen by its code."""
    if character == " ":
        return "\N{OPEN BOX}"
    return character if character.isprintable() else f"{ord(character):02x}"
