"""What a score says about which characters are read as which."""

import numpy as np
import pytest

from stepnet import Layer, Network
from stepnet.data.evaluation import score
from stepnet.data.sets import Dataset
from stepnet.networks.sigmoid import SigmoidLayer, SigmoidNetwork

STEP = Network, Layer(np.eye(7), np.ones(7), 2)
SIGMOID = SigmoidNetwork, SigmoidLayer(np.eye(7), np.full(7, -0.5))
"""Kinds of networks, each with a layer that passes on what it gets."""


def measure(alphabet, shown, read, kind=STEP):
    """The score of a network with this alphabet that reads images of `shown` as `read`.

    Bit k of its answer is pixel k of an image of 1 x 7 pixels.
    """
    make, layer = kind
    network = make("reading", (layer,), height=1, width=7, alphabet=alphabet)
    bits = np.array([list(read)]).T >> np.arange(7) & 1
    images = (255 * bits).astype(np.uint8).reshape(-1, 1, 7)
    return score(network, Dataset(images, np.frombuffer(shown, dtype=np.uint8)))


@pytest.mark.parametrize("kind", [STEP, SIGMOID], ids=["step", "sigmoid"])
def test_confusion_counts_true_by_read_in_the_order_of_codes(kind):
    result = measure("cab", shown=b"aaabbccccz", read=b"aacbac?c~a", kind=kind)
    assert result.characters == "abc"
    assert result.confusion.dtype == np.int64
    np.testing.assert_array_equal(result.confusion, [[2, 0, 1, 0], [1, 1, 0, 0], [0, 0, 2, 2]])


def test_confusion_agrees_with_the_other_counts():
    random = np.random.default_rng(0)
    shown, read = random.integers(ord("a"), ord("j"), (2, 500)).astype(np.uint8)
    result = measure("abcdef", bytes(shown), bytes(read))
    assert result.confusion.sum() == result.images < 500
    assert np.trace(result.confusion) == result.right
    assert result.confusion[:, -1].sum() == result.unknown > 0
    right = np.diagonal(result.confusion) / result.confusion.sum(axis=1)
    assert result.accuracy_by_character == pytest.approx(dict(zip("abcdef", right, strict=True)))


def test_the_most_frequent_mistakes_come_first():
    result = measure("abc", shown=b"aaabbbbcccc", read=b"abb?cacaaac")
    assert result.top_confusions(3) == [("c", "a", 3), ("a", "b", 2), ("b", "c", 2)]
    assert result.top_confusions(9) == [
        ("c", "a", 3),
        ("a", "b", 2),
        ("b", "c", 2),
        ("b", "a", 1),
        ("b", None, 1),
    ]
    assert result.top_confusions(0) == []


def test_a_network_without_mistakes_confuses_nothing():
    assert measure("abc", shown=b"abc", read=b"abc").top_confusions(5) == []


def test_characters_that_no_image_shows_are_missing():
    assert measure("dbac", shown=b"ccz", read=b"cac").missing == "abd"
    assert measure("ab", shown=b"ab", read=b"??").missing == ""
