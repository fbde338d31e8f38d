"""Makes of whatever may be given as an image the bytes that a board gets, for `ImageStream`."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from stepnet.errors import ImageError
from stepnet.link.messages import pack_pixels
from stepnet.networks import reference
from stepnet.networks.network import CharacterNetwork

if TYPE_CHECKING:
    from PIL import Image

ImageLike: TypeAlias = "NDArray[np.generic] | Image.Image | bytes | str | os.PathLike[str]"
"""An image of the network's size, or a picture of any size: from Pillow, the bytes of an encoded
one (PNG, JPEG, ...), or its path."""


def packer(network: CharacterNetwork[Any]) -> Callable[[ImageLike], bytes]:
    """A function that makes of an image what INFER carries for `network`.

    It takes an array (height, width) of uint8 grey values with bright ink, or of bool; or a
    picture, which `picture.normalise` makes fit. It raises ImageError if the image has another size
    or type or the picture cannot be read.
    """
    shape = (network.height, network.width)
    ink_threshold = np.array(network.ink_threshold, np.uint8)  # an array compares quickest

    def pack(image: ImageLike) -> bytes:
        if isinstance(image, np.ndarray) and image.shape == shape and image.dtype == np.uint8:
            # Without the checks of `binarise`, which take as long as all the rest.
            return pack_pixels(reference.ink(image, ink_threshold))
        bits = reference.binarise(network, network_input(network, image)[np.newaxis])
        return pack_pixels(bits)

    return pack


def network_input(network: CharacterNetwork[Any], image: ImageLike) -> NDArray[np.generic]:
    """What `network` sees of an image: (height, width) of uint8 grey values or of bool.

    An array stays as it is; a picture is placed as the characters were that the network learned.

    Raises ImageError if an array has another size or the picture cannot be read.
    """
    if isinstance(image, np.ndarray):
        if image.shape != (network.height, network.width):
            size = " x ".join(map(str, image.shape))
            raise ImageError(
                f"The image has {size} pixels, but network {network.name!r} takes "
                f"{network.height} x {network.width}; `stepnet.picture.normalise` makes any "
                "picture fit."
            )
        return image
    from stepnet.pictures.preparing import prepare_character

    (prepared,) = prepare_character(image, network).images
    return prepared
