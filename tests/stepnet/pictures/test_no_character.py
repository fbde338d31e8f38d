"""Images of no character, and data sets that are learned beside another."""

import numpy as np
import pytest

from stepnet.data.sets import Dataset
from stepnet.networks.placing import Placing
from stepnet.pictures import no_character
from stepnet.pictures.arrays import lies_as
from stepnet.pictures.wider import with_lone, with_more, with_no_character


def strokes(*codes, height=28):
    """An upright stroke for each code, as MNIST would place it."""
    images = np.zeros((len(codes), height, height), np.uint8)
    images[:, 4:24, 12:16] = 255
    return Dataset(images, np.array(codes, np.uint8))


DIGITS = strokes(*b"1177")


def test_what_is_drawn_depends_on_the_seed_alone():
    first, again, other = (
        no_character.draw(DIGITS.images, 40, Placing.MNIST, seed) for seed in (1, 1, 2)
    )
    assert first.dtype == np.uint8
    assert first.shape == (40, 28, 28)
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_each_kind_is_what_its_name_says():
    random = np.random.default_rng(0)

    def drawn(drawer):
        return [drawer(DIGITS.images, Placing.MNIST, random) for _ in range(20)]

    for lines in (no_character.scribble, no_character.coil, no_character.hatching):
        assert all(lies_as(Placing.MNIST, image) for image in drawn(lines))
    ink = np.array([(image > 0).mean() for image in drawn(no_character.dots)])
    assert ink.min() < 0.2
    assert ink.max() > 0.8
    assert {int(image[0, 0]) for image in drawn(no_character.blank)} == {0, 255}
    whole = DIGITS.images[0].astype(int)
    for image in drawn(no_character.part):
        assert 0 < image.sum() < 0.7 * whole.sum()
        assert not image[whole == 0].any()
    for image in drawn(no_character.two):
        rows, columns = image.any(axis=1).sum(), image.any(axis=0).sum()
        assert max(rows, columns) == 20
        assert image.any()


def test_what_others_have_is_learned_or_is_no_character():
    """`l` looks like 1, so it is neither."""
    base = strokes(*b"1177")
    others = strokes(*b"7lxx")
    learned, none = with_more(base, [others], Placing.MNIST)
    assert learned.labels.tobytes() == b"11777"
    assert len(none) == 2
    both = with_no_character(learned, none, 0.8, Placing.MNIST, seed=0)
    assert both.labels.tobytes() == b"11777" + bytes(4)
    assert np.array_equal(both.images[5:7], none)
    assert both.alphabet == "\x0017"
    assert both.characters == "17"


@pytest.mark.parametrize("side", [20, 60])
def test_what_lies_elsewhere_is_placed(side):
    page = np.zeros((1, side, side), np.uint8)
    page[0, 3:13, 5:7] = 255
    learned, _ = with_more(DIGITS, [Dataset(page, np.array([49], np.uint8))], Placing.MNIST)
    assert learned.images.shape == (5, 28, 28)
    assert lies_as(Placing.MNIST, learned.images[4])


def test_lone_characters_are_as_large_as_capitals():
    """Half of four, taken by the seed; what was small beside capitals no longer is."""
    images = np.zeros((4, 28, 28), np.uint8)
    images[:, 10:18, 13:15] = 255
    small = Dataset(images, np.frombuffer(b"oooo", np.uint8))
    with_both = with_lone(small, 0.5, seed=0)
    assert with_both.labels.tobytes() == b"oooooo"
    assert np.array_equal(with_both.images[:4], images)
    heights = with_both.images[4:].any(axis=2).sum(axis=1)
    assert heights.tolist() == [22, 22]
