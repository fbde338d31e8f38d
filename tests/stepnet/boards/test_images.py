"""What of an image goes over the link."""

import numpy as np
import pytest

from stepnet import Layer, Network
from stepnet.boards.packing import ImagePacker
from stepnet.link import messages
from stepnet.networks import reference


def network(ink_threshold):
    weights = np.ones((7, 30), int)
    return Network("small", (Layer(weights, [15] * 7),), 5, 6, ink_threshold=ink_threshold)


GREY = np.random.default_rng(0).integers(0, 256, (5, 6), dtype=np.uint8)
GREY[0, :4] = 0, 127, 128, 255


@pytest.mark.parametrize("ink_threshold", [0, 1, 128, 255])
@pytest.mark.parametrize(
    "image",
    [
        GREY,
        GREY >= 77,
        np.asfortranarray(GREY),
        np.repeat(GREY, 2, axis=1)[:, ::2],
        np.frombuffer(GREY.tobytes(), np.uint8).reshape(5, 6),  # read-only
    ],
    ids=["grey", "bool", "columns first", "every second byte", "read-only"],
)
def test_a_packed_image_holds_the_bits_of_the_reference(ink_threshold, image):
    small = network(ink_threshold)
    (bits,) = reference.binarise(small, image[np.newaxis])
    packer = ImagePacker(small, 3)
    for given in (image, ~image, image):
        packer.add(given)
    first, between, last = packer.take()
    assert first.tobytes() == last.tobytes() == messages.pack_pixels(bits)
    assert between.tobytes() != first.tobytes() or ink_threshold == 0
    assert len(packer.take()) == 0
