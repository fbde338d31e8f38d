"""The specification: what a step network computes, in numpy, exactly.

`infer` gives the character code of each image, `margin` how far its sums are from another code, and
`activations` what every neuron answers on the way. Gateware, netlists, bitstreams and boards are
compared with this module; `stepnet evaluate` and training measure with it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from stepnet.errors import ImageError
from stepnet.networks.network import CharacterNetwork, Layer, Network, Readout

FLOAT32_EXACT = 1 << 24
"""The largest integer up to which float32 holds every one, so that products and partial sums stay
exact as long as no sum can exceed it (IEEE 754 binary32: 24 bits of significand)."""

MAPS_AT_ONCE = 256
"""How many images' windows are held at a time: each pixel is in up to 49 of them."""


def ink(grey: Any, ink_threshold: int | NDArray[np.uint8]) -> Any:
    """Which pixels are 1: those whose grey value, ink bright, is at least the ink threshold.

    grey: 0 to 255, an array of numpy or a tensor of torch of any shape; the result is bool of that
    kind and shape.
    """
    return grey >= ink_threshold


def binarise(network: CharacterNetwork[Any], images: NDArray[np.generic]) -> NDArray[np.uint8]:
    """The input bits of a batch of images: (N, height * width) uint8 of 0 and 1.

    images: (N, height, width); uint8 grey values with bright ink, compared with
    `network.ink_threshold`, or bool, taken as they are.

    Raises ImageError if the shape or the type is another.
    """
    images = np.asarray(images)
    if images.ndim != 3 or images.shape[1:] != (network.height, network.width):
        raise ImageError(
            f"The images have shape {images.shape}, but network {network.name!r} takes "
            f"(N, {network.height}, {network.width})."
        )
    if images.dtype == np.bool_:
        pixels = images
    elif images.dtype == np.uint8:
        pixels = ink(images, network.ink_threshold)
    else:
        raise ImageError(
            f"The images hold {images.dtype} values; "
            "give uint8 grey values with bright ink, or bool."
        )
    return pixels.reshape(len(images), network.height * network.width).view(np.uint8)


def sums(
    layer: Layer, activations: NDArray[np.uint8], largest_activation: int = 1
) -> NDArray[np.floating]:
    """`sum_i w[j, i] * a[i]` of every neuron: (..., neurons), integers, exact in a float type.

    activations: (..., fan_in) of 0 to `largest_activation`, what the neurons see: the layer below,
    or the windows of a convolution. A sum is at most `fan_in * max |w|` times that; where it stays
    within `FLOAT32_EXACT` a float32 matrix product is exact whatever the order of its additions.
    """
    largest_weight = int(np.abs(layer.weights.astype(np.int16)).max())
    largest_sum = layer.fan_in * largest_weight * largest_activation
    dtype = np.float32 if largest_sum <= FLOAT32_EXACT else np.float64
    return activations.astype(dtype) @ layer.weights.T.astype(dtype)


def fires(layer: Layer, activations: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """`y[j] = 1 if sum_i w[j, i] * a[i] >= t[j] else 0`: (N, n_out) from (N, n_in).

    In a convolution `a` is each window in turn, and with pooling the answer is 1 if one of 2 x 2
    neighbouring windows gives 1.
    """
    if layer.convolution is None:
        return (sums(layer, activations) >= layer.thresholds).view(np.uint8)
    answers = np.empty((len(activations), layer.n_out), dtype=np.uint8)
    for start in range(0, len(activations), MAPS_AT_ONCE):
        part = slice(start, start + MAPS_AT_ONCE)
        windows = layer.convolution.windows(activations[part])
        fired = (sums(layer, windows) >= layer.thresholds).view(np.uint8)
        answers[part] = layer.convolution.pooled(fired).reshape(-1, layer.n_out)
    return answers


def excess(
    layer: Layer, activations: NDArray[np.uint8], largest_activation: int = 1
) -> NDArray[np.float64]:
    """By how much each neuron's sum exceeds its threshold: `sum_i w[j, i] * a[i] - t[j]`, exactly.

    A neuron fires where that is not negative. activations: as in `sums`; (N, n_out) results from
    (N, n_in). float64 holds every difference of a 32-bit threshold and an exact sum.
    """
    return sums(layer, activations, largest_activation).astype(np.float64) - layer.thresholds


def activations(network: Network, images: NDArray[np.generic]) -> tuple[NDArray[np.uint8], ...]:
    """The input bits and then the activations of every layer, each (N, neurons) uint8 of 0 and 1.

    images: as in `binarise`.
    """
    states = [binarise(network, images)]
    for layer in network.layers:
        states.append(fires(layer, states[-1]))
    return tuple(states)


def infer(network: Network, images: NDArray[np.generic]) -> NDArray[np.uint8]:
    """The character code of every image: (N,) uint8.

    images: as in `binarise`. A code may be one that is not in the network's alphabet; whoever shows
    it calls it unknown.
    """
    *hidden, last = network.layers
    state = binarise(network, images)
    for layer in hidden:
        state = fires(layer, state)
    return read_out(network, excess(last, state))


def margin(network: Network, images: NDArray[np.generic]) -> NDArray[np.int64]:
    """How far any one sum of the last layer may move before the code changes: (N,), at least 0.

    With readout `bits` and `tree` each bit that is read has a distance: `sum - t` where it is 1,
    `t - 1 - sum` where it is 0, but no more than from the sum to the lowest or the highest that the
    neuron can have. The margin is the smallest of these. With `nearest` it is how far the largest
    excess lies above each other one, less one for a row before it, which would win a tie.

    images: as in `binarise`.
    """
    *_, state, _ = activations(network, images)
    last = network.layers[-1]
    lowest = np.minimum(last.weights, 0).sum(axis=1, dtype=np.int64)
    highest = np.maximum(last.weights, 0).sum(axis=1, dtype=np.int64)
    return margin_of(network, sums(last, state).astype(np.int64), last.thresholds, lowest, highest)


def margin_of(
    network: CharacterNetwork[Any],
    totals: NDArray[np.int64],
    thresholds: NDArray[np.integer[Any]],
    lowest: NDArray[np.int64],
    highest: NDArray[np.int64],
) -> NDArray[np.int64]:
    """The margin of images whose sums in the last layer are known: (N,).

    totals: (N, rows), the sums.
    thresholds: (rows,), what each sum is compared with.
    lowest, highest: (rows,), the least and the largest sum that each row can have.
    """
    rows = totals - thresholds
    if network.readout is Readout.NEAREST:
        winner = np.argmax(rows, axis=1)
        behind: NDArray[np.int64] = rows.max(axis=1, keepdims=True) - rows
        behind[np.arange(rows.shape[1]) < winner[:, np.newaxis]] -= 1
        behind[np.arange(len(rows)), winner] = np.iinfo(np.int64).max
        return behind.min(axis=1)
    down, up = np.minimum(rows, totals - lowest), np.minimum(~rows, highest - totals)
    distances = np.where(rows >= 0, down, up)
    if network.readout is Readout.TREE:
        distances = np.take_along_axis(distances, _path((rows >= 0).view(np.uint8)), axis=1)
    return distances.min(axis=1)


def read_out(network: CharacterNetwork[Any], excess: NDArray[np.number[Any]]) -> NDArray[np.uint8]:
    """The character code of each image: (N,) uint8.

    excess: (N, n_out), by how much each sum of the last layer exceeds its threshold.
    """
    match network.readout:
        case Readout.BITS:
            return np.packbits(excess >= 0, axis=1, bitorder="little")[:, 0]
        case Readout.TREE:
            return _walk_tree((excess >= 0).view(np.uint8), network.code_prefix)
        case Readout.NEAREST:
            return network.codes[np.argmax(excess, axis=1)]


def _walk_tree(rows: NDArray[np.uint8], code_prefix: str) -> NDArray[np.uint8]:
    """Follow each image's bits from the root of the heap: (N,) codes from (N, 2^m - 1) rows."""
    code = np.full(len(rows), int(code_prefix or "0", 2), dtype=np.uint8)
    for bit in np.take_along_axis(rows, _path(rows), axis=1).T:
        code <<= 1
        code |= bit
    return code


def _path(rows: NDArray[np.uint8]) -> NDArray[np.intp]:
    """The rows of the tree that decide each image's bits, as numbers in its heap: (N, m)."""
    images = np.arange(len(rows))
    path = [np.zeros(len(rows), dtype=np.intp)]
    for _ in range((rows.shape[1] + 1).bit_length() - 2):
        path.append(2 * path[-1] + 1 + rows[images, path[-1]])
    return np.stack(path, axis=1)
