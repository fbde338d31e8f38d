"""Makes of whatever may be given as an image the bytes that a board gets, for `ImageStream`."""

from __future__ import annotations

import os
from collections.abc import Iterable
from itertools import repeat
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from stepnet.cores.spiking.contents import coded_bytes
from stepnet.errors import ImageError
from stepnet.networks import reference, spiking
from stepnet.networks.network import CharacterNetwork
from stepnet.networks.placing import placing_of
from stepnet.networks.spiking import SpikingNetwork

if TYPE_CHECKING:
    from PIL import Image

ImageLike: TypeAlias = "NDArray[np.generic] | Image.Image | bytes | str | os.PathLike[str]"
"""An array that shows a character, or a picture of any size: from Pillow, the bytes of an encoded
one (PNG, JPEG, ...), or its path."""


ToldImage: TypeAlias = tuple[ImageLike, bool | None]
"""An image, and whether it is placed already, or None: see `pictures.arrays.ready_array`."""


def told(images: Iterable[ImageLike], placed: bool | None) -> Iterable[ToldImage]:
    """The images, each with what is said of all of them.

    Raises ImageError if `images` is the path of a single one.
    """
    if isinstance(images, str | bytes | os.PathLike):
        given = "What is given as bytes" if isinstance(images, bytes) else repr(os.fspath(images))
        raise ImageError(
            f"{given} is one image, but a list of images is wanted; put it into a list, or read "
            "it with `infer`."
        )
    # Not a generator: what `images` raises may be no end.
    return zip(images, repeat(placed), strict=False)


_UINT8 = np.dtype(np.uint8)


class ImagePacker:
    """Takes images one by one, and gives what INFER carries for `network` of all of them at once:
    numpy is much quicker with many than with each.

    most: how many images it holds.
    """

    def __init__(self, network: CharacterNetwork[Any], most: int) -> None:
        self._network = network
        self._spiking = network if isinstance(network, SpikingNetwork) else None
        self._shape = (network.height, network.width)
        self._ink_threshold = np.array(network.ink_threshold, np.uint8)  # an array compares best
        self._as_it_is = self._spiking is None and placing_of(network) is None
        self._grey = np.empty((most, *self._shape), np.uint8)
        self._grey_rows = list(self._grey)  # to write into one is quicker than to index the whole
        self._is_ink = np.empty((most, *self._shape), np.bool_)
        self._compared = 0  # so many of those held are in `_is_ink`, the others in `_grey`
        self._spikes: list[bytes] = []
        self._held = 0

    def add(self, image: ImageLike, placed: bool | None = None) -> None:
        """Take one image; `placed` is as in `ToldImage`.

        Raises ImageError as `network_input` does, and if an array that is used as it is has another
        type than uint8 or bool; the image is not held then.
        """
        network = self._network
        if self._spiking is not None:
            seen = network_input(network, image, placed)[np.newaxis]
            spikes = spiking.encode(self._spiking, seen)[0]
            self._spikes.append(coded_bytes(self._spiking, spikes))
            self._held += 1
            return
        is_ready = self._as_it_is if placed is None else placed
        if is_ready and isinstance(image, np.ndarray):
            if image.shape == self._shape and image.dtype is _UINT8:
                # Without the checks of `binarise`, which take as long as all the rest.
                self._grey_rows[self._held][...] = image
                self._held += 1
                return
            placed = True
        bits = reference.binarise(network, network_input(network, image, placed)[np.newaxis])
        self._compare()
        self._is_ink[self._held] = bits.reshape(self._shape)
        self._held += 1
        self._compared = self._held

    def take(self) -> NDArray[np.uint8]:
        """The packed images in their order, uint8 of (images, image_bytes), which it lets go of."""
        held = self._held
        if self._spiking is not None:
            spikes, self._spikes, self._held = self._spikes, [], 0
            size = len(spikes[0]) if spikes else 0
            return np.frombuffer(b"".join(spikes), np.uint8).reshape(held, size)
        self._compare()
        self._held = self._compared = 0
        pixels = self._network.height * self._network.width
        return np.packbits(self._is_ink[:held].reshape(held, pixels), 1, "little")

    def _compare(self) -> None:
        """Make ink of the grey values that are held."""
        new = slice(self._compared, self._held)
        np.greater_equal(self._grey[new], self._ink_threshold, out=self._is_ink[new])
        self._compared = self._held


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
