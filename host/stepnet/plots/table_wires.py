"""The tables of a network of look-up tables and their wires, as a picture on the pixels."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stepnet.networks.lut import TABLE_BITS, TABLE_INPUTS, LutLayer, LutNetwork
from stepnet.networks.network import Readout
from stepnet.plots.drawing import (
    BAR_INCHES,
    BLUE,
    INK,
    ORANGE,
    RULE,
    TEXT_POINTS,
    Page,
    check,
    matplotlib_module,
    quieten,
    save,
    write_title,
)

TABLES_PER_ROW = 3
"""Tables whose wires are drawn in each panel where nobody says how many."""

PANEL_INCHES = 1.3
GAP_INCHES = 0.28
PANELS_ACROSS = 5

PALE = 0.995
"""Part of the pixels that the scale of colours covers: a few must not make all others pale."""


def table_wires(
    network: LutNetwork, path: str | os.PathLike[str], tables: int | None = None
) -> Path:
    """Draw for each count what it gains from each pixel, and some of its tables; returns the path.

    A panel shows one row of the readout. A pixel is the more orange the more ink there raises the
    count, and the more blue the more it lowers it, averaged over all that the other pixels may be
    (see `influences`). A few of its tables are stars: their wires run from the pixels that they see
    to the middle between these.

    tables: how many stars a panel has, those first whose answers depend on their pixels the most;
    None for `TABLES_PER_ROW`.

    Raises PictureError if the file cannot be written, and MissingToolError if matplotlib is not
    installed.
    """
    check(path)
    stars = TABLES_PER_ROW if tables is None else tables
    each = influences(network)
    sizes = network.counts.sizes
    rows = np.flatnonzero(sizes)
    shape = (network.height, network.width)
    gains = np.stack([each[network.counts.groups == row].sum(axis=0) for row in rows])
    limit = float(np.quantile(np.abs(gains), PALE)) or 1.0
    across = min(PANELS_ACROSS if len(rows) <= 2 * PANELS_ACROSS else 12, len(rows))
    down = math.ceil(len(rows) / across)
    step_x, step_y = PANEL_INCHES + GAP_INCHES / 2, PANEL_INCHES + GAP_INCHES
    page = Page(
        width=across * step_x,
        height=down * step_y,
        left=0.15,
        right=0.95,
        bottom=0.1,
        top=0.55,
    )
    write_title(
        page.figure,
        f"{network.name}: what {len(rows)} counts gain from each pixel, and the wires of "
        f"{stars} of the {sizes.max()} tables that are counted for each",
    )
    colors = matplotlib_module("colors")
    ramp = colors.LinearSegmentedColormap.from_list("gains", (BLUE, "white", ORANGE))
    drawn = None
    for panel, row in enumerate(rows):
        x = panel % across * step_x
        y = page.height - (panel // across + 1) * step_y
        axes = page.axes(x, y, PANEL_INCHES, PANEL_INCHES)
        drawn = axes.imshow(
            gains[panel].reshape(shape), cmap=ramp, norm=colors.Normalize(-limit, limit)
        )
        axes.set(xticks=(), yticks=())
        axes.spines[:].set_color(RULE)
        _caption(axes, network, int(row))
        members = np.flatnonzero(network.counts.groups == row)
        strength = np.abs(each[members]).sum(axis=1)
        for table in members[np.argsort(-strength, kind="stable")[:stars]]:
            _draw_star(axes, each[table].reshape(shape))
    bar_height = min(page.height, 2.4)
    bar = page.axes(page.width + 0.2, page.height - bar_height, BAR_INCHES, bar_height)
    page.figure.colorbar(drawn, cax=bar, extend="both")
    bar.set_ylabel("gain of the count from ink")
    quieten(bar)
    return save(page.figure, path)


def influences(network: LutNetwork) -> NDArray[np.float32]:
    """How much each counted table depends on each pixel: (tables of the last layer, pixels).

    For one table and one of its inputs it is the mean, over the eight cases of the other three, of
    its answer where the input is 1 less that where it is 0. Through several layers these multiply,
    and what comes by several ways adds up.
    """
    below = np.eye(network.height * network.width, dtype=np.float32)
    for layer in network.layers:
        gains = _gains(layer)
        below = np.einsum("tp,tpi->ti", gains, below[layer.wires])
    return below


def _gains(layer: LutLayer) -> NDArray[np.float32]:
    """The mean gain of each table from each of its inputs: (tables, 4), -1 to 1."""
    addresses = np.arange(TABLE_BITS)
    answers = (layer.tables[:, np.newaxis] >> addresses.astype(np.uint16) & 1).astype(np.float32)
    return np.stack(
        [
            (answers[:, addresses | 1 << place] - answers[:, addresses & ~(1 << place)]).mean(1)
            for place in range(TABLE_INPUTS)
        ],
        axis=1,
    )


def _draw_star(axes: Any, influence: NDArray[np.float32]) -> None:
    """The wires of one table to the pixels that it sees."""
    down, across = np.nonzero(influence)
    if not len(down):
        return
    x, y = across.mean(), down.mean()
    for to_x, to_y in zip(across, down, strict=True):
        axes.plot((x, to_x), (y, to_y), color=INK, linewidth=0.5, alpha=0.7)
    colours = [ORANGE if influence[at] > 0 else BLUE for at in zip(down, across, strict=True)]
    axes.scatter(across, down, s=7, c=colours, edgecolors=INK, linewidths=0.4, zorder=3)
    axes.plot([x], [y], "s", color=INK, markersize=3, zorder=4)


def _caption(axes: Any, network: LutNetwork, row: int) -> None:
    """What the count of a row is for."""
    match network.readout:
        case Readout.NEAREST:
            text = network.alphabet[row]
        case Readout.BITS:
            text = f"bit {row}"
        case Readout.TREE:
            # Heap order: in binary, the row's number plus 1 is a 1 and the bits that lead to it.
            text = f"after {network.code_prefix}{f'{row + 1:b}'[1:]}" if row else "first bit"
    axes.set_title(text, fontsize=TEXT_POINTS, color=INK, pad=2, parse_math=False)
