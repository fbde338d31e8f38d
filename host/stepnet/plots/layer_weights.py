"""The weights of a network's first layer, as a picture of what each neuron looks for."""

from __future__ import annotations

import math
import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stepnet.networks.network import Network
from stepnet.plots import drawing
from stepnet.plots.drawing import (
    BAR_INCHES,
    BLUE,
    ORANGE,
    RULE,
    Page,
    check,
    matplotlib_module,
    quieten,
    save,
    write_title,
)


def first_layer(network: Network, path: str | os.PathLike[str], neurons: int | None = None) -> Path:
    """Draw the weights of each neuron of the first layer as an image; returns the path. Those of a
    convolution see no more than their window.

    The images stand row by row, the smoothest first, by the correlation between neighbouring
    weights (P. A. P. Moran, Biometrika 37, 1950).

    neurons: how many are drawn; all if None or more than there are.

    Raises PictureError if the file cannot be written, and MissingToolError if matplotlib is not
    installed.
    """
    check(path)
    layer = network.layers[0]
    seen = layer.convolution
    height, width = (seen.kernel, seen.kernel) if seen else (network.height, network.width)
    images = layer.weights.reshape(layer.neurons, height, width).astype(np.float64)
    order = np.argsort(-_smoothness(images), kind="stable")[:neurons]
    images = images[order]
    mosaic = _mosaic(images, _columns(len(images)))
    # Every weight is a square of whole pixels: anything else makes patterns that are not there.
    side_inches = max(2, round(6.5 * drawing.DPI / mosaic.shape[1])) / drawing.DPI
    page = Page(
        width=mosaic.shape[1] * side_inches,
        height=mosaic.shape[0] * side_inches,
        left=0.15,
        right=0.95,
        bottom=0.15,
        top=0.5,
    )
    shown = f"{len(images)} of {layer.neurons}" if len(images) < layer.neurons else layer.neurons
    write_title(
        page.figure,
        f"{network.name}: first layer, {shown} neurons, {height} x {width} weights "
        f"of {layer.weight_bits} bit{'s' if layer.weight_bits > 1 else ''}, smoothest first",
    )
    _draw_mosaic(page, mosaic, np.abs(images), binary=layer.weight_bits == 1)
    return save(page.figure, path)


def _draw_mosaic(
    page: Page, mosaic: NDArray[np.float64], magnitudes: NDArray[np.float64], *, binary: bool
) -> None:
    """The mosaic in colours, and beside it the bar that says which colour is which weight."""
    axes = page.axes(0, 0, page.width, page.height)
    axes.set_axis_off()
    # A few large weights must not make all others pale.
    limit = float(np.quantile(magnitudes, 0.995)) or 1.0
    colors = matplotlib_module("colors")
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
    quieten(bar)


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
