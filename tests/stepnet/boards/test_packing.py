"""Images of every kind share a batch, and each is what it was when it was given."""

import numpy as np
import pytest

from stepnet.boards.packing import ImagePacker
from stepnet.networks import reference
from stepnet.networks.shipped import load_network


@pytest.mark.parametrize("order", ["gb", "bg", "gbg", "bbg", "ggbbg", "g" * 5])
def test_grey_and_bool_arrays_are_packed_in_order_batch_after_batch(order):
    network, rng = load_network("digits"), np.random.default_rng(1)
    packer = ImagePacker(network, 5)
    reused = np.empty((28, 28), np.uint8)
    for _ in range(3):
        expected = []
        for kind in order:
            grey = rng.integers(0, 256, (28, 28), dtype=np.uint8)
            image = reused if kind == "g" else grey > 50
            reused[...] = grey
            packer.add(image, placed=True)
            bits = reference.binarise(network, image[np.newaxis])
            expected.append(np.packbits(bits, None, "little"))
        assert np.array_equal(packer.take(), expected)
