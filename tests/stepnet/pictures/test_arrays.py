"""Arrays that show a character are placed as the network learned them, unless they lie so."""

import dataclasses

import numpy as np
import pytest
from PIL import Image

from small_networks import random_network
from stepnet.boards.packing import ImagePacker, network_input, told
from stepnet.errors import ImageError
from stepnet.networks import reference
from stepnet.networks.placing import Placing
from stepnet.networks.shipped import load_network
from stepnet.pictures.arrays import lies_as, ready_array
from stepnet.samples import sample_pictures

SAMPLES = [np.asarray(Image.open(path).convert("L")) for path, _ in sample_pictures()]
LABELS = [label for _, label in sample_pictures()]


@pytest.fixture(scope="module")
def digits():
    return load_network("digits")


def redrawn(image, longer_side, left_top):
    """The same character in another size and place."""
    rows, columns = np.nonzero(image)
    cut = Image.fromarray(image[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1])
    scale = longer_side / max(cut.size)
    cut = cut.resize([max(1, round(side * scale)) for side in cut.size])
    page = Image.new("L", (28, 28))
    page.paste(cut, left_top)
    return np.asarray(page)


def read(network, images):
    codes = reference.infer(network, np.stack([ready_array(network, image) for image in images]))
    return "".join(map(chr, codes))


def test_images_of_the_collection_lie_as_they_should():
    assert all(lies_as(Placing.MNIST, image) for image in SAMPLES)


@pytest.mark.parametrize(("side", "left_top"), [(24, (2, 2)), (14, (0, 0)), (20, (0, 8))])
def test_characters_of_another_size_or_elsewhere_lie_elsewhere_and_are_read(side, left_top, digits):
    moved = [redrawn(image, side, left_top) for image in SAMPLES]
    assert not any(lies_as(Placing.MNIST, image) for image in moved)
    right = sum(a == b for a, b in zip(read(digits, moved), LABELS, strict=True))
    assert right >= 18


def test_small_characters_lie_as_they_should_where_sizes_are_relative():
    dot = np.zeros((28, 28), np.uint8)
    dot[12:16, 12:16] = 255
    assert lies_as(Placing.UNIPEN, dot)
    assert not lies_as(Placing.UNIPEN, np.roll(dot, 4, axis=0))
    large = np.zeros((28, 28), np.uint8)
    large[1:27, 12:16] = 255
    assert not lies_as(Placing.UNIPEN, large)


def test_array_that_lies_as_it_should_is_used_as_it_is(digits):
    for image in SAMPLES:
        assert ready_array(digits, image) is image


def test_dark_ink_and_axes_of_length_one_are_no_matter(digits):
    image, label = SAMPLES[14], LABELS[14]
    for given in (255 - image, image[..., np.newaxis], image[np.newaxis], image > 127):
        assert read(digits, [given]) == label


def test_array_of_any_size_is_placed(digits):
    large = np.kron(SAMPLES[14], np.ones((5, 7), np.uint8))
    assert read(digits, [large]) == LABELS[14]


def test_array_that_is_placed_already_is_used_as_it_is(digits):
    moved = np.roll(SAMPLES[3], 4, axis=1)
    assert ready_array(digits, moved, placed=True) is moved
    assert not np.array_equal(ready_array(digits, moved), moved)


def test_array_is_placed_anyhow_if_that_is_asked_for():
    network = random_network(np.random.default_rng(0), (784, 16, 7), height=28)
    moved = np.roll(SAMPLES[3], 4, axis=1)
    assert ready_array(network, moved) is moved  # its card does not tell what its data were
    assert lies_as(Placing.MNIST, ready_array(network, moved, placed=False))


def test_a_card_may_tell_how_characters_lie():
    network = random_network(np.random.default_rng(0), (784, 16, 7), height=28)
    network = dataclasses.replace(network, card={"data": "mine", "placing": "mnist"})
    moved = np.roll(SAMPLES[3], 4, axis=1)
    assert lies_as(Placing.MNIST, ready_array(network, moved))


def test_array_without_a_character_is_used_as_it_is(digits):
    empty = np.zeros((28, 28), np.uint8)
    assert ready_array(digits, empty) is empty
    with pytest.raises(ImageError, match="is blank"):
        ready_array(digits, empty, placed=False)


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (
            (SAMPLES[14] > 127).astype(np.uint8),
            "The image's grey values go up to 1 only, where 255 is full ink; give `image * 255`, "
            "or bool.",
        ),
        (
            SAMPLES[14] // 16,
            "The image's grey values go up to 15 only, where 255 is full ink; give `image * 17`, "
            "or bool.",
        ),
        (
            SAMPLES[14] / 255,
            "The image is an array of float64; give uint8 grey values from 0 to 255 or bool "
            "(values from 0 to 1: `numpy.uint8(255 * image)`).",
        ),
    ],
)
def test_grey_values_of_another_range_are_refused(image, message, digits):
    with pytest.raises(ImageError) as error:
        ready_array(digits, image)
    assert str(error.value) == message


def test_the_advice_about_ranges_works(digits):
    image, label = SAMPLES[14], LABELS[14]
    assert read(digits, [(image > 127).astype(np.uint8) * 255]) == label
    assert read(digits, [image // 16 * 17]) == label
    assert read(digits, [np.uint8(255 * (image / 255))]) == label


def test_array_of_another_size_that_is_placed_already_is_refused(digits):
    with pytest.raises(ImageError) as error:
        ready_array(digits, SAMPLES[0][:20], placed=True)
    assert str(error.value) == (
        "The image has 20 x 28 pixels, but network 'digits' takes 28 x 28; "
        "`stepnet.picture.normalise` makes any picture fit."
    )


def test_what_is_said_of_images_reaches_the_packer(digits):
    packer = ImagePacker(digits, 1)

    def pack(image, placed=None):
        packer.add(image, placed)
        return packer.take().tobytes()

    moved = np.roll(SAMPLES[3], 4, axis=1)
    as_it_is = pack(moved, placed=True)
    assert as_it_is == pack(network_input(digits, moved, True), placed=True)
    assert as_it_is != pack(moved) == pack(moved, placed=False)
    for placed in (None, True, False):
        ((image, said),) = told([moved], placed)
        assert image is moved
        assert said is placed
