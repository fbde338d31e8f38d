"""Data sets that people bring are placed as a network expects them, unless they lie so."""

import dataclasses

import numpy as np
import pytest
from PIL import Image

from small_networks import random_network
from stepnet.data.evaluation import score
from stepnet.data.sets import Dataset
from stepnet.errors import DataError
from stepnet.networks.placing import Placing
from stepnet.networks.shipped import load_network
from stepnet.pictures.data_sets import doubts, placed_for, placed_to_learn, placing_in
from stepnet.samples import sample_pictures

IMAGES = np.stack([np.asarray(Image.open(path).convert("L")) for path, _ in sample_pictures()])
LABELS = np.array([ord(label) for _, label in sample_pictures()], np.uint8)
READY = Dataset(IMAGES, LABELS)
SHIFTED = Dataset(np.roll(IMAGES, 4, axis=2), LABELS)
ON_PAPER = Dataset(np.roll(IMAGES, 2, axis=2), LABELS)


@pytest.fixture(scope="module")
def digits():
    return load_network("digits")


def bars(heights):
    """Vertical bars, each in the middle."""
    images = np.zeros((len(heights), 28, 28), np.uint8)
    for image, height in zip(images, heights, strict=True):
        top = 14 - height // 2
        image[top : top + height, 12:16] = 255
    return images


def bar_height(image):
    rows = np.flatnonzero(image.any(axis=1))
    return rows[-1] + 1 - rows[0]


def test_placing_of_a_collection_is_seen():
    assert placing_in(IMAGES) is Placing.MNIST
    assert placing_in(bars([22, 22, 12, 22, 6])) is Placing.UNIPEN
    assert placing_in(SHIFTED.images) is None


def test_characters_that_lie_elsewhere_are_placed(digits):
    said = []
    placed = placed_for(digits, SHIFTED, progress=said.append)
    assert said == ["Placing 20 characters as digits learned them"]
    assert score(digits, placed).accuracy >= 0.9 > score(digits, SHIFTED).accuracy


def test_images_that_lie_as_they_should_or_are_said_to_stay(digits):
    assert placed_for(digits, READY) is READY
    assert placed_for(digits, SHIFTED, True) is SHIFTED
    assert placing_in(placed_for(digits, SHIFTED, False).images) is Placing.MNIST


def test_a_network_of_other_data_takes_images_as_they_are():
    network = random_network(np.random.default_rng(0), (784, 16, 7), height=28)
    assert placed_for(network, SHIFTED) is SHIFTED


def test_empty_images_stay(digits):
    empty = dataclasses.replace(
        SHIFTED, images=SHIFTED.images * (ord("7") != LABELS)[:, None, None]
    )
    placed = placed_for(digits, empty)
    assert not placed.images[ord("7") == LABELS].any()


def test_sizes_stay_relative_to_the_writer_where_writers_are_known():
    network = load_network("ascii")
    heights = np.tile([20, 20, 20, 10], 10)
    labels = np.tile(np.array([ord(c) for c in "ABCo"], np.uint8), 10)
    shifted = np.roll(bars(heights), 5, axis=2)
    writers = np.zeros(40, np.int64)
    known = placed_for(network, Dataset(shifted, labels, writers))
    assert [bar_height(image) for image in known.images[:4]] == [22, 22, 22, 11]
    unknown = placed_for(network, Dataset(shifted, labels))
    assert [bar_height(image) for image in unknown.images[:4]] == [22, 22, 22, 22]


def test_what_is_learned_is_placed_too():
    placed, placing = placed_to_learn(ON_PAPER)
    assert placing is Placing.MNIST
    assert placing_in(placed.images) is Placing.MNIST
    assert placed_to_learn(READY) == (READY, Placing.MNIST)
    assert placed_to_learn(SHIFTED, True) == (SHIFTED, None)
    letters = dataclasses.replace(ON_PAPER, labels=np.full(20, ord("a"), np.uint8))
    assert placed_to_learn(letters)[1] is Placing.UNIPEN


def test_grey_values_of_another_range_are_refused(digits):
    with pytest.raises(DataError) as error:
        placed_for(
            digits, dataclasses.replace(SHIFTED, images=(SHIFTED.images > 127) * np.uint8(1))
        )
    assert str(error.value) == (
        "The grey values of the data set go up to 1 only, where 255 is full ink; multiply them by "
        "255 first."
    )


def test_images_of_zeros_and_ones_are_not_learned():
    with pytest.raises(DataError, match="go up to 1 only"):
        placed_to_learn(Dataset(np.uint8(IMAGES > 127), LABELS))


def test_other_pictures_are_learned_as_they_are():
    striped = Dataset(np.roll(IMAGES, 14, axis=2), LABELS)  # ink at the border
    assert placed_to_learn(striped) == (striped, None)
    small = Dataset(SHIFTED.images[:, 8:20, 8:20], LABELS)
    assert placed_to_learn(small)[0] is small


def test_what_looks_wrong_is_said():
    """Ink that is dark, and labels that are signs alone: a sentence each."""
    images = np.full((4, 28, 28), 255, dtype=np.uint8)
    images[:, 8:20, 14] = 0
    signs = Dataset(images, np.frombuffer(b"!!..", dtype=np.uint8))
    assert doubts(signs) == [
        "Of the pixels of the images 98% are bright, where ink is bright on 0: they look inverted; "
        "give 255 - images if they are.",
        "No label is a letter or a digit, only '!.'; give character codes, which for the digits 0 "
        "to 9 are 48 to 57, if others are meant.",
    ]
    assert doubts(Dataset(255 - images, np.full(4, ord("7"), dtype=np.uint8))) == []
