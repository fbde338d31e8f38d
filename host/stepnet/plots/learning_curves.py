"""Loss and accuracy over the epochs of a training run, as a picture."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from stepnet.errors import PictureError
from stepnet.plots.drawing import (
    BLUE,
    GREY,
    GRID,
    INK,
    ORANGE,
    TEXT_POINTS,
    check,
    matplotlib_module,
    new_figure,
    quieten,
    save,
    write_title,
)

MARKER_POINTS = 4.5


def curves(records: Sequence[Mapping[str, Any]], path: str | os.PathLike[str], title: str) -> Path:
    """Draw loss and accuracy over the epochs, one above the other; returns the path.

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
    figure = new_figure(6.4, 5.4)
    write_title(figure, title)
    loss, accuracy = figure.subplots(2, 1, sharex=True, height_ratios=(2, 3))
    figure.subplots_adjust(left=0.1, right=0.97, bottom=0.095, top=0.89, hspace=0.2)
    for axes in (loss, accuracy):
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="y", color=GRID, linewidth=0.7)
        quieten(axes)
    for teaching, colour, label in (
        (True, GREY, "teacher"),
        (False, BLUE, "warped training images"),
    ):
        part = [record for record in records if bool(record.get("teaching")) == teaching]
        if part:
            _draw_course(part, loss, accuracy, colour, label)
    _draw_checks(records, accuracy)
    loss.set_ylabel("loss")
    accuracy.set_ylabel("accuracy (%)")
    figure.align_ylabels()
    _mark_epochs(accuracy, [record["epoch"] for record in records])
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
    return save(figure, path)


def _draw_course(
    records: Sequence[Mapping[str, Any]], loss: Any, accuracy: Any, colour: str, label: str
) -> None:
    # A line is seen from two epochs on, a point from the first.
    marker = "o" if len(records) == 1 else None
    line = {"color": colour, "marker": marker, "markersize": MARKER_POINTS}
    epochs = [record["epoch"] for record in records]
    loss.plot(epochs, [record["loss"] for record in records], **line)
    accuracy.plot(epochs, [100 * record["accuracy"] for record in records], **line, label=label)


def _draw_checks(records: Sequence[Mapping[str, Any]], accuracy: Any) -> None:
    """A point for each epoch after which the network was measured."""
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
            markersize=MARKER_POINTS,
            label=f"held-out images ({last:.2f} %)",
        )


def _mark_epochs(axes: Any, epochs: Sequence[int]) -> None:
    """Whole numbers below the axis, and a little room on both sides of the course."""
    axes.set_xlabel("epoch")
    edge = max(0.5, 0.02 * (epochs[-1] - epochs[0]))
    axes.set_xlim(epochs[0] - edge, epochs[-1] + edge)
    ticker = matplotlib_module("ticker")
    locator = ticker.MaxNLocator(integer=True, steps=(1, 2, 5, 10), min_n_ticks=1)
    axes.xaxis.set_major_locator(locator)
