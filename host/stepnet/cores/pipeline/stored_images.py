"""A network of look-up tables, and the images that its chip keeps to be measured with."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from stepnet.errors import DataError
from stepnet.networks import lut
from stepnet.networks.lut import LutNetwork
from stepnet.networks.reference import binarise

MOST_STORED = 1_000
"""How many images a chip keeps of a larger set."""


@dataclass(frozen=True)
class StoredImages:
    """What an on-chip bench is made of.

    network: is built in.
    pixels: (N, height * width) bool, the images as the network sees them, N at least 1.
    codes: (N,) uint8, the code of the character that each image shows.
    """

    network: LutNetwork
    pixels: NDArray[np.bool_]
    codes: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.codes)

    @cached_property
    def is_right(self) -> NDArray[np.bool_]:
        """Which of the images the network reads as what they show: (N,), by the reference."""
        shape = (-1, self.network.height, self.network.width)
        return lut.infer(self.network, self.pixels.reshape(shape)) == self.codes

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the network and of all images with their codes."""
        hasher = hashlib.sha256(self.network.digest.encode())
        hasher.update(np.packbits(self.pixels).tobytes() + self.codes.tobytes())
        return hasher.hexdigest()

    def right_of(self, images: int) -> int:
        """How many of so many images are read right, taken in order, and from the start again after
        the last one."""
        rounds, rest = divmod(images, len(self))
        return rounds * int(self.is_right.sum()) + int(self.is_right[:rest].sum())


def stored_images(
    network: LutNetwork,
    images: NDArray[np.generic],
    labels: NDArray[np.integer],
    count: int = MOST_STORED,
) -> StoredImages:
    """The first `count` of a set of images, or all if there are fewer.

    images: (N, height, width), as `binarise` takes them.
    labels: (N,) character codes.

    Raises ImageError as `binarise` does, and DataError if there is no image.
    """
    if not len(labels):
        raise DataError("There is no image to keep on the chip; name a data set with some.")
    pixels = binarise(network, images[:count]) != 0
    return StoredImages(network, pixels, np.asarray(labels[:count], dtype=np.uint8))
