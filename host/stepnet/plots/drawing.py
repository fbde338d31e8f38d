"""What all pictures share: colours, sizes, a page that is measured in inches, and the file."""

from __future__ import annotations

import importlib
import os
import textwrap
from pathlib import Path
from typing import Any

from stepnet.errors import MissingToolError, PictureError
from stepnet.files import write_whole

DPI = 240
MOST_PIXELS = 32_000_000
"""Of a picture: the machine holds several times as many bytes while it is drawn."""

TEXT_POINTS = 9

INK = "#222222"
RULE = "#b8b8b8"
GRID = "#e6e6e6"
BLUE = "#1f5a94"
ORANGE = "#c8501e"
GREY = "#8a8a8a"

BAR_INCHES = 0.14
"""Width of the bar that explains a scale of colours."""


def check(path: str | os.PathLike[str]) -> None:
    """Raise what drawing to `path` would raise, before the work whose result is to be drawn.

    Raises PictureError if the name does not end in .png or the folder does not exist, and
    MissingToolError if matplotlib is not installed.
    """
    path = Path(path)
    if path.suffix.lower() != ".png":
        raise PictureError(
            f"Pictures are PNG files, but {str(path)!r} ends otherwise; "
            "name a file that ends in .png."
        )
    if not path.parent.is_dir():
        raise PictureError(
            f"There is no folder {str(path.parent)!r}; "
            "name a picture in a folder that exists and is writable."
        )
    matplotlib_module("figure")


class Page:
    """A figure around an area of `width` x `height` inches, with a border of the given widths.

    figure: the whole of it, as matplotlib has it.
    """

    def __init__(
        self, width: float, height: float, left: float, right: float, bottom: float, top: float
    ) -> None:
        self.width, self.height = width, height
        self._left, self._bottom = left, bottom
        whole = (left + width + right, bottom + height + top)
        columns, rows = (round(inches * DPI) for inches in whole)
        if columns * rows > MOST_PIXELS:
            raise PictureError(
                f"The picture would have {columns:,} x {rows:,} pixels, and at most "
                f"{MOST_PIXELS // 1_000_000} million are drawn; draw fewer neurons, or a smaller "
                "network."
            )
        self.figure = new_figure(*whole)

    def axes(self, x: float, y: float, width: float, height: float) -> Any:
        """Axes of this size, in inches from the lower left corner of the area."""
        across, up = self.figure.get_size_inches()
        place = (self._left + x) / across, (self._bottom + y) / up, width / across, height / up
        return self.figure.add_axes(place)


def new_figure(width_inches: float, height_inches: float) -> Any:
    """A white figure of this size."""
    size = (width_inches, height_inches)
    return matplotlib_module("figure").Figure(figsize=size, dpi=DPI, facecolor="white")


def quieten(axes: Any) -> None:
    """Small text and grey lines, so that what is drawn is seen first."""
    axes.tick_params(labelsize=TEXT_POINTS, labelcolor=INK, color=RULE)
    axes.xaxis.label.set(size=TEXT_POINTS, color=INK)
    axes.yaxis.label.set(size=TEXT_POINTS, color=INK)
    axes.spines[:].set_color(RULE)


def write_title(figure: Any, title: str) -> None:
    """Put a title at the top left of a figure, in as many lines as it needs."""
    # matplotlib wraps too, but then takes $ for a formula whatever it is told.
    points = TEXT_POINTS + 1.5
    letters = int(72 * (figure.get_figwidth() - 0.3) / (0.56 * points))
    figure.suptitle(
        textwrap.fill(title, letters),
        x=0.15 / figure.get_figwidth(),
        y=1 - 0.15 / figure.get_figheight(),
        ha="left",
        va="top",
        fontsize=points,
        color=INK,
        parse_math=False,
    )


def save(figure: Any, path: str | os.PathLike[str]) -> Path:
    """Write a figure to `path` and return that; PictureError if it cannot be written."""
    try:
        return write_whole(
            path,
            # Without the version of matplotlib the same picture is the same file.
            lambda file: figure.savefig(file, format="png", dpi=DPI, metadata={"Software": None}),
        )
    except OSError as error:
        raise PictureError(
            f"The picture cannot be written to {str(path)!r} ({error.strerror}); "
            "name a file in a folder that exists and is writable."
        ) from error


def matplotlib_module(name: str) -> Any:
    """A module of matplotlib, whose own types are incomplete; "" for matplotlib itself.

    Raises MissingToolError if it is not installed.
    """
    try:
        return importlib.import_module(f"matplotlib.{name}".rstrip("."))
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "matplotlib":
            raise
        raise MissingToolError(
            "Pictures need the package matplotlib, which is not installed; install it with "
            'pip install "stepnet[train]".'
        ) from None
