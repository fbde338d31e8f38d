"""Makes of whatever may be given as an image the bytes that a board gets, for `ImageStream`."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from stepnet.cores.spiking.contents import coded_bytes
from stepnet.errors import ImageError
from stepnet.link.messages import pack_pixels
from stepnet.networks import reference, spiking
from stepnet.networks.network import CharacterNetwork
from stepnet.networks.placing import placing_of
from stepnet.networks.spiking import SpikingNetwork

if TYPE_CHECKING:
    from PIL import Image

ImageLike: TypeAlias = "NDArray[np.generic] | Image.Image | bytes | str | os.PathLike[str]"
"""An array that shows a character, or a picture of any size: from Pillow, the bytes of an encoded
one (PNG, JPEG, ...), or its path."""


@dataclass(frozen=True, slots=True, eq=False)
class Told:
    """An image, and whether it is placed already: see `pictures.arrays.ready_array`."""

    image: ImageLike
    placed: bool


def told(images: Iterable[ImageLike], placed: bool | None) -> Iterable[ImageLike | Told]:
    """The images, each with what is said of all of them; as they are if nothing is said.

    Raises ImageError if `images` is the path of a single one.
    """
    if isinstance(images, str | bytes | os.PathLike):
        given = "What is given as bytes" if isinstance(images, bytes) else repr(os.fspath(images))
        raise ImageError(
            f"{given} is one image, but a list of images is wanted; put it into a list, or read "
            "it with `infer`."
        )
    # Not a generator: what `images` raises may be no end.
    return images if placed is None else map(partial(Told, placed=placed), images)


def packer(network: CharacterNetwork[Any]) -> Callable[[ImageLike | Told], bytes]:
    """A function that makes of an image what INFER carries for `network`.

    It raises ImageError as `network_input` does, and if an array that is used as it is has another
    type than uint8 or bool.
    """
    if isinstance(network, SpikingNetwork):
        return partial(_pack_spikes, network)
    shape = (network.height, network.width)
    ink_threshold = np.array(network.ink_threshold, np.uint8)  # an array compares quickest
    as_it_is = placing_of(network) is None

    def pack(image: ImageLike | Told) -> bytes:
        placed: bool | None = None
        if isinstance(image, Told):
            image, placed = image.image, image.placed
        is_ready = as_it_is if placed is None else placed
        if is_ready and isinstance(image, np.ndarray):
            if image.shape == shape and image.dtype == np.uint8:
                # Without the checks of `binarise`, which take as long as all the rest.
                return pack_pixels(reference.ink(image, ink_threshold))
            placed = True
        bits = reference.binarise(network, network_input(network, image, placed)[np.newaxis])
        return pack_pixels(bits)

    return pack


def _pack_spikes(network: SpikingNetwork, image: ImageLike | Told) -> bytes:
    """The spikes that an image is coded as, tick by tick."""
    placed: bool | None = None
    if isinstance(image, Told):
        image, placed = image.image, image.placed
    seen = network_input(network, image, placed)[np.newaxis]
    return coded_bytes(network, spiking.encode(network, seen)[0])


def network_input(
    network: CharacterNetwork[Any], image: ImageLike, placed: bool | None = None
) -> NDArray[np.generic]:
    """What `network` sees of an image: (height, width) of uint8 grey values or of bool.

    placed: of an array, whether it lies as the network's data do; see
        `stepnet.pictures.arrays.ready_array`. Pictures are always placed.

    Raises ImageError as `ready_array` does, or if the picture cannot be read.
    """
    if isinstance(image, np.ndarray):
        from stepnet.pictures.arrays import ready_array

        return ready_array(network, image, placed)
    from stepnet.pictures.preparing import prepare_character

    (prepared,) = prepare_character(image, network).images
    return prepared
