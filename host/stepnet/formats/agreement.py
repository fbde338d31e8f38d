"""Whether a network reads images as its source does.

A source may see more of a pixel than one bit. So there are two questions: of images of paper and
full ink alone, which a network of bits can read exactly, and of grey images, each network by its
own way to look at them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stepnet.formats.source import Source
from stepnet.networks import reference
from stepnet.networks.network import Network

RANDOM_IMAGES = 1000
SEED = 0
BATCH = 1000

SEARCH_IMAGES = 1000
"""Images that an ink threshold is chosen by, spread over all that there are."""

FIRST_STEP = 32
"""The grey values that are tried first are so far apart, then half as far around the best."""


@dataclass(frozen=True)
class Agreement:
    """How many of `images` images a network and its source read as the same character."""

    images: int
    equal: int

    @property
    def part(self) -> float:
        """Which part of the images are read alike, 0 to 1."""
        return self.equal / self.images

    def __str__(self) -> str:
        return f"{self.equal:,} of {self.images:,}"


def random_images(height: int, width: int, *, grey: bool) -> NDArray[np.uint8]:
    """(RANDOM_IMAGES, height, width) grey values, the same each time.

    Each image has more or less ink than the others. grey: any grey values; else 0 and 255 alone.
    """
    random = np.random.default_rng(SEED)
    shape = (RANDOM_IMAGES, height, width)
    shade = random.random((RANDOM_IMAGES, 1, 1))
    noise = random.random(shape)
    if grey:
        # Powers of even noise, so that all greys occur and some images are dark.
        return np.floor(256 * noise ** (0.25 + 4 * shade)).clip(0, 255).astype(np.uint8)
    return np.where(noise < shade, 255, 0).astype(np.uint8)


def full_ink(images: NDArray[np.uint8], ink_threshold: int) -> NDArray[np.uint8]:
    """The images with every pixel as paper, 0, or full ink, 255."""
    return np.where(images >= ink_threshold, np.uint8(255), np.uint8(0))


def source_codes(
    source: Source, codes: NDArray[np.uint8], images: NDArray[np.uint8]
) -> NDArray[np.uint8]:
    """What the source reads: (N,) codes, `codes` being those of its classes."""
    return codes[source.classes(images.reshape(len(images), -1))]


def compare(network: Network, expected: NDArray[np.uint8], images: NDArray[np.uint8]) -> Agreement:
    """How many of the images the network reads as `expected` says."""
    equal = 0
    for start in range(0, len(images), BATCH):
        part = slice(start, start + BATCH)
        equal += int((reference.infer(network, images[part]) == expected[part]).sum())
    return Agreement(len(images), equal)


def best_ink_threshold(
    with_threshold: Callable[[int], Network],
    expected: NDArray[np.uint8],
    images: NDArray[np.uint8],
) -> int:
    """The ink threshold, 1 to 255, with which most images are read as `expected` says, of equal
    ones that in the middle. Some far apart are tried first, then ever nearer to the best.

    with_threshold: the network with that threshold.
    """
    chosen = np.unique(np.linspace(0, len(images) - 1, SEARCH_IMAGES).astype(np.intp))
    images, expected = images[chosen], expected[chosen]
    equal: dict[int, int] = {}
    step = FIRST_STEP
    tried: Sequence[int] = range(step, 256, step)
    while True:
        for threshold in set(tried) - set(equal):
            equal[threshold] = compare(with_threshold(threshold), expected, images).equal
        most = max(equal.values())
        best_ones = sorted(threshold for threshold in equal if equal[threshold] == most)
        best = best_ones[len(best_ones) // 2]
        if step == 1:
            return best
        step //= 2
        tried = [each for each in (best - step, best + step) if 1 <= each <= 255]
