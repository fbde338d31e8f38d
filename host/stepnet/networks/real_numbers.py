"""What to do with weights and thresholds that no step neuron has: refuses them, with the way out.

Networks of other tools keep real numbers behind their binary weights. Rounding those makes most
weights 0 and shifts thresholds, and what comes out reads as badly as guessing; so each sentence
names the operation that changes nothing, or says that there is none.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from stepnet.errors import NetworkError

_SIGNS = "np.where(weights < 0, -1, 1)"


def check_weights_whole(weights: NDArray[Any], weight_bits: int) -> None:
    """Raise NetworkError if weights are real numbers, or truth values, instead of integers.

    weights: of any shape; what is no number at all passes.
    """
    if weights.dtype.kind == "b":
        raise NetworkError(
            "The weights of a layer are True and False; if those stand for +1 and -1, give "
            "np.where(weights, 1, -1)."
        )
    if not _has_fractions(weights):
        return
    _check_finite(weights, "weights")
    if (sizes := _one_size_per_row(weights)) is not None:
        raise _scaled(sizes)
    told = f"The weights of a layer are real numbers from {weights.min():g} to {weights.max():g}; "
    if weight_bits == 1:
        raise NetworkError(
            f"{told}do not round them: if only their signs count, as in a network trained with "
            f"binary weights, give {_SIGNS}, and if their sizes count, let `stepnet import` take "
            "the network over."
        )
    raise NetworkError(
        f"{told}rounding them alone would make another network, so let `stepnet import` take it "
        "over, or multiply the weights and the threshold of each neuron by one factor that makes "
        "them integers."
    )


def check_thresholds_whole(thresholds: NDArray[Any]) -> None:
    """Raise NetworkError if the thresholds of integer weights are real numbers."""
    if not _has_fractions(thresholds):
        return
    _check_finite(thresholds, "thresholds")
    raise NetworkError(
        "The thresholds of a layer are real numbers; do not round them to the nearest: sums are "
        "integers, so `sum >= t` is the same as `sum >= ceil(t)`; give np.ceil(thresholds), or "
        "np.floor(thresholds) + 1 if a neuron answers 1 only for `sum > t`."
    )


def check_signs(weights: NDArray[np.int8]) -> None:
    """Raise NetworkError if integers are no weights of 1 bit, which are -1 and +1.

    weights: (n_out, n_in).
    """
    if np.all(np.abs(weights) == 1):
        return
    low, high = int(weights.min()), int(weights.max())
    told = f"A layer with 1-bit weights, which are -1 and +1, holds weights from {low} to {high}; "
    if weights.any() and low == 0 and high == 1:
        raise NetworkError(
            f"{told}if those are the bits of -1 and +1, give 2 * weights - 1, and if they are 0 "
            "and +1 indeed, give weight_bits=2."
        )
    if low >= -1 and high <= 1:
        raise NetworkError(
            f"{told}if they come from rounding, give the signs of what was rounded, {_SIGNS}, and "
            "only if 0 is meant, give weight_bits=2."
        )
    if (sizes := _one_size_per_row(weights)) is not None:
        raise _scaled(sizes)
    bits = max(high.bit_length(), (-low - 1).bit_length() if low < 0 else 0) + 1
    raise NetworkError(
        f"{told}give weight_bits={bits} if their sizes count, and {_SIGNS} if only their signs do."
    )


def _has_fractions(values: NDArray[Any]) -> bool:
    return values.dtype.kind == "f" and not (
        np.isfinite(values).all() and np.all(values == np.floor(values))
    )


def _check_finite(values: NDArray[Any], what: str) -> None:
    if not np.isfinite(values).all():
        raise NetworkError(
            f"The {what} of a layer hold values that are no numbers (NaN or infinite); a training "
            "that diverged leaves such, so take the network from before that."
        )


def _one_size_per_row(weights: NDArray[Any]) -> NDArray[Any] | None:
    """The size that all weights of a row have, whatever their signs: (n_out,); None if they have
    several sizes, or the size 0.
    """
    if weights.ndim != 2 or 0 in weights.shape:
        return None
    sizes = np.abs(weights.astype(np.float64))
    least, most = sizes.min(axis=1), sizes.max(axis=1)
    return most if np.all(least > 0.999 * most) and least.all() else None


def _scaled(sizes: NDArray[Any]) -> NetworkError:
    low, high = float(sizes.min()), float(sizes.max())
    reach = f"{low:g}" if low == high else f"{low:g} to {high:g}"
    return NetworkError(
        f"The weights of a layer are -1 and +1 times a factor of each neuron ({reach}); divide by "
        f"it: give {_SIGNS} and as thresholds "
        "np.ceil(thresholds / abs(weights).mean(axis=1) - 1e-4), "
        "the last for what floating point adds."
    )
