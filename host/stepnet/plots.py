"""Pictures of learning and of networks, as PNG files: `curves`, `confusion`, `first_layer`.

Drawn by matplotlib, which only this module needs and which is imported by the first picture. No
window opens, and no figure of a program around it is touched.
"""

from __future__ import annotations

import importlib
import itertools
import math
import os
import textwrap
import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stepnet.errors import MissingToolError, PictureError
from stepnet.files import write_whole
from stepnet.networks.network import Network

DPI = 240
TEXT_POINTS = 9

INK = "#222222"
RULE = "#b8b8b8"
GRID = "#e6e6e6"
BLUE = "#1f5a94"
ORANGE = "#c8501e"
GREY = "#8a8a8a"

WHITE = (1.0, 1.0, 1.0, 1.0)
NO_IMAGES = (0.9, 0.9, 0.9, 1.0)

BAR_INCHES = 0.14
"""Width of the bar that explains a scale of colours."""

SCALE_AT_LEAST_PERCENT = 10.0
"""Where the scale of mistakes ends at the least: a good network must not look like a bad one."""

COUNTS_UP_TO = 16
"""Characters up to which every cell of a confusion matrix holds its count."""


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
    _matplotlib("figure")


def curves(records: Sequence[Mapping[str, Any]], path: str | os.PathLike[str], title: str) -> Path:
    """Loss and accuracy over the epochs of a training run, one above the other; returns the path.

    records: one per epoch, in order; "epoch", "loss" and "accuracy" (0 to 1, on warped training
    images), and in some of them "checked_accuracy" (0 to 1, of the exported integer network on
    held-out images), and "teaching" where it was the teacher that learned.

    Raises PictureError if there is no record or the file cannot be written, and MissingToolError if
    matplotlib is not installed.
    """
    check(path)
    if not records:
        raise PictureError(
            f"The picture {str(path)!r} would show no epoch; train for at least one first."
        )
    epochs = [record["epoch"] for record in records]
    figure = _figure(6.4, 5.4)
    _title(figure, title)
    loss, accuracy = figure.subplots(2, 1, sharex=True, height_ratios=(2, 3))
    figure.subplots_adjust(left=0.1, right=0.97, bottom=0.095, top=0.89, hspace=0.2)
    for axes in (loss, accuracy):
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="y", color=GRID, linewidth=0.7)
        _quiet(axes)
    # A line is seen from two epochs on, a point from the first.
    for teaching, colour, label in (
        (True, GREY, "teacher"),
        (False, BLUE, "warped training images"),
    ):
        part = [record for record in records if bool(record.get("teaching")) == teaching]
        if not part:
            continue
        passes = [record["epoch"] for record in part]
        line = {"color": colour, "marker": "o" if len(part) == 1 else None, "markersize": 4.5}
        loss.plot(passes, [record["loss"] for record in part], **line)
        accuracy.plot(passes, [100 * record["accuracy"] for record in part], **line, label=label)
    checks = {
        record["epoch"]: 100 * record["checked_accuracy"]
        for record in records
        if record.get("checked_accuracy") is not None
    }
    if checks:
        *_, last = checks.values()
        accuracy.plot(
            list(checks),
            list(checks.values()),
            "o",
            color=ORANGE,
            markersize=4.5,
            label=f"held-out images ({last:.2f} %)",
        )
    loss.set_ylabel("loss")
    accuracy.set_ylabel("accuracy (%)")
    figure.align_ylabels()
    accuracy.set_xlabel("epoch")
    edge = max(0.5, 0.02 * (epochs[-1] - epochs[0]))
    accuracy.set_xlim(epochs[0] - edge, epochs[-1] + edge)
    locator = _matplotlib("ticker").MaxNLocator(integer=True, steps=(1, 2, 5, 10), min_n_ticks=1)
    accuracy.xaxis.set_major_locator(locator)
    accuracy.legend(
        loc="lower left",
        bbox_to_anchor=(0, 1),
        ncols=3,
        frameon=False,
        fontsize=TEXT_POINTS,
        labelcolor=INK,
        borderaxespad=0,
        columnspacing=1.2,
    )
    return _save(figure, path)


def confusion(
    matrix: NDArray[np.integer[Any]],
    characters: str,
    path: str | os.PathLike[str],
    title: str,
) -> Path:
    """What the images of each character were read as, as a heat map; returns the path.

    matrix: (characters, characters + 1) counts as in `Score.confusion`, rows true, columns read,
    the last one unknown codes. Shades are parts of a row: blue for right readings, from 0 to 100 %,
    and orange for mistakes, from 0 to the most frequent one (at least 10 %) by the square root, so
    that rare ones are seen. A row without images is grey. With 16 characters or fewer the cells
    hold their counts.

    Raises PictureError if the file cannot be written, and MissingToolError if matplotlib is not
    installed.
    """
    check(path)
    count = len(characters)
    right = _scale("Blues", 100, 1)
    shares = 100 * matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    most_misread = float((shares * ~np.eye(*shares.shape, dtype=bool)).max())
    misread = _scale("Oranges", max(SCALE_AT_LEAST_PERCENT, most_misread), 0.5)
    colours = _cell_colours(matrix, right.to_rgba(shares), misread.to_rgba(shares))

    many = count > COUNTS_UP_TO
    cell_inches = min(1.6, max(4.2 / count, min(0.42, 8 / count)))
    # Cells between the characters and the column of unknown codes.
    gap = max(0.4, 0.12 / cell_inches)
    page = _Page(
        width=(count + gap + 1) * cell_inches,
        height=count * cell_inches,
        left=0.6,
        right=1.3,
        bottom=0.85,
        top=0.75 if many else 0.55,
    )
    _title(page.figure, title)
    axes = page.axes(0, 0, page.width, page.height)
    unknown = count - 0.5 + gap
    rows = (count - 0.5, -0.5)
    axes.imshow(colours[:, :-1], extent=(-0.5, count - 0.5, *rows), interpolation="nearest")
    axes.imshow(colours[:, -1:], extent=(unknown, unknown + 1, *rows), interpolation="nearest")
    axes.set(xlim=(-0.5, unknown + 1), ylim=rows, aspect="auto")
    _frame(axes, -0.5, -0.5, count, count)
    _frame(axes, unknown, -0.5, 1, count)
    columns = [*range(count), unknown + 0.5]
    if many:
        _rule_between_groups(axes, characters)
    else:
        _write_counts(axes, columns, matrix, colours)

    style = {
        "fontsize": min(10.0, 0.85 * 72 * cell_inches),
        "family": "monospace",
        "parse_math": False,
    }
    labels = [_label(character) for character in characters]
    axes.set_xticks(range(count), labels, **style)
    axes.set_yticks(range(count), labels, **style)
    axes.tick_params(length=0, pad=2, top=False, labeltop=many, labelright=False, labelcolor=INK)
    axes.spines[:].set_visible(False)
    text = {"fontsize": TEXT_POINTS, "color": INK}
    axes.set_xlabel("read", **text)
    axes.set_ylabel("true", **text)
    below = {"xytext": (0, -3), "textcoords": "offset points", "rotation": 90, **text}
    axes.annotate("unknown", (columns[-1], count - 0.5), ha="center", va="top", **below)

    bar_height = min(0.42 * page.height, 2.4)
    for name, scale, ticks, y in (
        ("read right", right, (0, 25, 50, 75, 100), page.height - bar_height),
        ("misread", misread, _ticks(misread.norm), 0),
    ):
        bar = page.axes(page.width + 0.3, y, BAR_INCHES, bar_height)
        page.figure.colorbar(scale, cax=bar, ticks=ticks)
        bar.yaxis.set_major_formatter("{x:g}")
        bar.set_ylabel(f"{name} (% of the row)")
        _quiet(bar)
    return _save(page.figure, path)


def first_layer(network: Network, path: str | os.PathLike[str], neurons: int | None = None) -> Path:
    """The weights of the first layer, each neuron's as one image of its input; returns the path.

    Neurons stand in the order of how smooth their images are, smoothest first, row by row: by the
    correlation between neighbouring weights (P. A. P. Moran, Biometrika 37, 1950). `neurons`: draw
    the first so many of them, all if None or more than there are.

    Raises PictureError if the file cannot be written, and MissingToolError if matplotlib is not
    installed.
    """
    check(path)
    layer = network.layers[0]
    images = layer.weights.reshape(layer.n_out, network.height, network.width).astype(np.float64)
    order = np.argsort(-_smoothness(images), kind="stable")[:neurons]
    images = images[order]
    mosaic = _mosaic(images, _columns(len(images)))
    # Every weight is a square of whole pixels: anything else makes patterns that are not there.
    side_inches = max(2, round(6.5 * DPI / mosaic.shape[1])) / DPI
    page = _Page(
        width=mosaic.shape[1] * side_inches,
        height=mosaic.shape[0] * side_inches,
        left=0.15,
        right=0.95,
        bottom=0.15,
        top=0.5,
    )
    shown = f"{len(images)} of {layer.n_out}" if len(images) < layer.n_out else f"{layer.n_out}"
    _title(
        page.figure,
        f"{network.name}: first layer, {shown} neurons, {network.height} x {network.width} weights "
        f"of {layer.weight_bits} bit{'s' if layer.weight_bits > 1 else ''}, smoothest first",
    )
    axes = page.axes(0, 0, page.width, page.height)
    axes.set_axis_off()
    magnitudes = np.abs(images)
    # A few large weights must not make all others pale.
    limit = float(np.quantile(magnitudes, 0.995)) or 1.0
    colors = _matplotlib("colors")
    binary = layer.weight_bits == 1
    ramp = colors.LinearSegmentedColormap.from_list(
        "weights", (BLUE, "white", ORANGE), N=2 if binary else 256
    ).with_extremes(bad="white" if binary else RULE)
    drawn = axes.imshow(
        mosaic,
        cmap=ramp,
        norm=colors.Normalize(-limit, limit),
        interpolation="nearest",
        aspect="auto",
    )
    bar_height = min(page.height, 2.4)
    bar = page.axes(page.width + 0.2, page.height - bar_height, BAR_INCHES, bar_height)
    beyond = "both" if magnitudes.max() > limit else "neither"
    page.figure.colorbar(drawn, cax=bar, extend=beyond)
    if binary:
        bar.set_yticks((-0.5, 0.5), ("\N{MINUS SIGN}1", "+1"))
        bar.tick_params(length=0)
    bar.set_ylabel("weight")
    _quiet(bar)
    return _save(page.figure, path)


def _smoothness(images: NDArray[np.float64]) -> NDArray[np.float64]:
    """Moran's I of each image of (N, height, width) over its horizontal and vertical neighbours.

    `mean(d[p] d[q] over neighbours p, q) / mean(d[p]^2)`, d being the distance from the mean:
    1 for a slow gradient, about 0 for noise; 0 for an image of one value.
    """
    distance = images - images.mean(axis=(1, 2), keepdims=True)
    products = [
        (distance[:, 1:] * distance[:, :-1]).reshape(len(images), -1),
        (distance[:, :, 1:] * distance[:, :, :-1]).reshape(len(images), -1),
    ]
    variance = (distance**2).mean(axis=(1, 2))
    return np.concatenate(products, axis=1).mean(axis=1) / np.where(variance > 0, variance, 1)


def _columns(count: int) -> int:
    """Columns of a grid of `count` that leaves few places empty and is no higher than wide."""
    least = math.ceil(math.sqrt(count))
    return min(range(least, 2 * least + 1), key=lambda columns: (-count % columns, columns))


def _mosaic(images: NDArray[np.float64], columns: int) -> NDArray[np.float64]:
    """Images of (N, height, width) row by row in a grid, NaN in the gaps and empty places."""
    count, height, width = images.shape
    rows = -(-count // columns)
    gap = 1
    cells = np.full((rows * columns, height + gap, width + gap), np.nan)
    cells[:count, :height, :width] = images
    grid = cells.reshape(rows, columns, height + gap, width + gap).swapaxes(1, 2)
    return grid.reshape(rows * (height + gap), columns * (width + gap))[:-gap, :-gap]


def _scale(colours: str, largest: float, exponent: float) -> Any:
    """Colours for 0 to `largest`, by the power `exponent`; the least is not white."""
    ramp = _matplotlib("").colormaps[colours](np.linspace(0.12, 1, 256))
    colors = _matplotlib("colors")
    return _matplotlib("cm").ScalarMappable(
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
    axes.add_patch(_matplotlib("patches").Rectangle((x, y), width, height, **style))


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


def _quiet(axes: Any) -> None:
    axes.tick_params(labelsize=TEXT_POINTS, labelcolor=INK, color=RULE)
    axes.xaxis.label.set(size=TEXT_POINTS, color=INK)
    axes.yaxis.label.set(size=TEXT_POINTS, color=INK)
    axes.spines[:].set_color(RULE)


def _title(figure: Any, title: str) -> None:
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


class _Page:
    """A figure around an area of `width` x `height` inches, placed by inches from its lower left
    corner.
    """

    def __init__(
        self, width: float, height: float, left: float, right: float, bottom: float, top: float
    ) -> None:
        self.width, self.height = width, height
        self._left, self._bottom = left, bottom
        self.figure = _figure(left + width + right, bottom + height + top)

    def axes(self, x: float, y: float, width: float, height: float) -> Any:
        across, up = self.figure.get_size_inches()
        place = (self._left + x) / across, (self._bottom + y) / up, width / across, height / up
        return self.figure.add_axes(place)


def _figure(width_inches: float, height_inches: float) -> Any:
    size = (width_inches, height_inches)
    return _matplotlib("figure").Figure(figsize=size, dpi=DPI, facecolor="white")


def _save(figure: Any, path: str | os.PathLike[str]) -> Path:
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


def _matplotlib(module: str) -> Any:
    """A module of matplotlib, whose own types are incomplete."""
    try:
        return importlib.import_module(f"matplotlib.{module}".rstrip("."))
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "matplotlib":
            raise
        raise MissingToolError(
            "Pictures need the package matplotlib, which is not installed; install it with "
            'pip install "stepnet[train]".'
        ) from None
