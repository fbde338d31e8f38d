"""A testbench in plain Verilog 2005 that checks an exported core with images; its text is
`testbench.v`.

Pixels come with pauses and readings are taken with pauses, both from a shift register with
feedback, so that every run is the same. It ends by itself: `$finish` after PASS, `$stop` after
FAIL.
"""

from __future__ import annotations

import string
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from stepnet.networks import kinds, reference, spiking
from stepnet.networks.kinds import AnyNetwork
from stepnet.networks.spiking import SpikingNetwork
from stepnet.samples import sample_pictures

IMAGES = 20
SEED = 0

CYCLES_PER_IMAGE = 1_000_000
"""After so many cycles without a reading it gives up."""


class _Template(string.Template):
    """Text in which `@{name}` stands for what is filled in, and `@@` for an @: Verilog has uses of
    its own for `$`."""

    delimiter = "@"


def test_images(network: AnyNetwork) -> NDArray[np.uint8]:
    """(IMAGES, height, width) grey values: the shipped samples where they have that size, else
    noise."""
    if (network.height, network.width) == (28, 28):
        return np.stack([np.asarray(Image.open(path)) for path, _ in sample_pictures()])
    shape = (IMAGES, network.height, network.width)
    return np.random.default_rng(SEED).integers(0, 256, shape).astype(np.uint8)


def _packed(network: AnyNetwork, images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The bytes of each image as the core takes them: (N, bytes)."""
    if isinstance(network, SpikingNetwork):
        spikes = np.packbits(spiking.encode(network, images), axis=2, bitorder="little")
        return spikes.reshape(len(images), -1)
    return np.packbits(reference.binarise(network, images), axis=1, bitorder="little")


def testbench_verilog(network: AnyNetwork, name: str) -> str:
    """The text of a file with the module `name_tb`, which checks the module `name`."""
    images = test_images(network)
    packed = _packed(network, images)
    codes = kinds.infer(network, images)
    count, image_bytes = packed.shape
    # The first byte of an image is the lowest of its number.
    rows = "\n".join(
        f"        images[{number}] = {8 * image_bytes}'h{row[::-1].tobytes().hex()};"
        for number, row in enumerate(packed)
    )
    answers = "\n".join(
        f"        codes[{number}] = 8'h{code:02x};" for number, code in enumerate(codes)
    )
    return _Template((Path(__file__).parent / "testbench.v").read_text()).substitute(
        name=name,
        count=count,
        image_bytes=image_bytes,
        last_bit=8 * image_bytes - 1,
        patience=CYCLES_PER_IMAGE,
        rows=rows,
        answers=answers,
    )
