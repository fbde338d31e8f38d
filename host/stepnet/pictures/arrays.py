"""Arrays that show one character each: where one lies, and what a network gets of it.

A network reads characters that lie as in its data, and an array of the right size need not: a
character from another collection, or cut out by a program of one's own, lies elsewhere or is of
another size. `ready_array` leaves an array alone that lies as the network's data do, and places the
others like pictures.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from stepnet.errors import ImageError
from stepnet.networks.network import CharacterNetwork
from stepnet.networks.placing import Placing, placing_of
from stepnet.pictures.paper import MIN_CONTRAST, MIN_INK
from stepnet.pictures.preparing import prepare_character

MOST_OFF = 1.0
"""How far a character's middle and the length of its longer side may be, in pixels, from where
`placing.place` puts them: it rounds both, and what is as near reads the same."""


def ready_array(
    network: CharacterNetwork[Any], image: NDArray[np.generic], placed: bool | None = None
) -> NDArray[np.generic]:
    """What `network` gets of an array: (height, width) of uint8 or of bool.

    image: (height, width) uint8 grey values or bool, with ink bright on 0; axes of length 1 beside
        these two are dropped. Unless it is used as it is, it may have any size and dark ink too.
    placed: True uses the array as it is, False places it like a picture, and None places it if it
        does not lie as the network's data do. Under None an array is used as it is as well if the
        network's card does not tell what its data were, or if no character is found on it.

    Raises ImageError if the array has another type, or grey values that are not spread over 0 to
    255; if it is used as it is, also if it has another size than the network takes; and under
    False what `stepnet.pictures.picture.normalise` raises.
    """
    image = _flat(image)
    placing = placing_of(network)
    if placed or (placed is None and placing is None):
        _check_size(network, image)
        return image
    _check_values(image)
    if placed is None:
        right_size = image.shape == (network.height, network.width)
        if right_size and (not image.any() or (placing and lies_as(placing, image))):
            return image
    try:
        (prepared,) = prepare_character(image, network).images
    except ImageError:
        if placed is None and image.shape == (network.height, network.width):
            return image
        raise
    return prepared


def lies_as(placing: Placing, image: NDArray[np.generic]) -> bool:
    """Whether the character in (height, width) `image`, ink bright on 0, lies where `placing` has
    it.

    Under `UNIPEN` small characters count as relative to their writer's capitals, so that only what
    is larger than a capital, or off the middle, lies elsewhere.
    """
    height, width = image.shape
    ink = image >= MIN_INK * image.max()
    rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    top, bottom, left, right = rows[0], rows[-1] + 1, columns[0], columns[-1] + 1
    too_long = max((bottom - top) / height, (right - left) / width) - placing.ink_part
    if placing is Placing.UNIPEN:
        middle = (top + bottom) / 2, (left + right) / 2
    else:
        total = image.sum()
        middle = (
            image.sum(axis=1) @ np.arange(0.5, height) / total,
            image.sum(axis=0) @ np.arange(0.5, width) / total,
        )
        too_long = abs(too_long)
    # Half a pixel more, as a side is rounded and so is the place.
    off = abs(middle[0] - height / 2), abs(middle[1] - width / 2)
    return bool(max(off) <= MOST_OFF and too_long * max(height, width) <= MOST_OFF)


def _flat(image: NDArray[np.generic]) -> NDArray[np.generic]:
    if image.ndim == 3 and 1 in (image.shape[0], image.shape[2]):
        return image[..., 0] if image.shape[2] == 1 else image[0]
    return image


def _check_size(network: CharacterNetwork[Any], image: NDArray[np.generic]) -> None:
    if image.shape != (network.height, network.width):
        size = " x ".join(map(str, image.shape))
        raise ImageError(
            f"The image has {size} pixels, but network {network.name!r} takes "
            f"{network.height} x {network.width}; `stepnet.picture.normalise` makes any "
            "picture fit."
        )


def _check_values(image: NDArray[np.generic]) -> None:
    """Raise ImageError unless the array is bool, or uint8 that uses its range."""
    if image.dtype == np.bool_:
        return
    if image.dtype != np.uint8:
        raise ImageError(
            f"The image is an array of {image.dtype}; give uint8 grey values from 0 to 255 or bool "
            "(values from 0 to 1: `numpy.uint8(255 * image)`)."
        )
    most = int(image.max(initial=0))
    if 0 < most < MIN_CONTRAST:
        raise ImageError(
            f"The image's grey values go up to {most} only, where 255 is full ink; give "
            f"`image * {255 // most}`, or bool."
        )
