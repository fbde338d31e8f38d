"""What the last layer has to answer, by readout."""

import numpy as np
import pytest

from stepnet import Layer, Network
from stepnet.learning.targets import Targets
from stepnet.networks import reference
from stepnet.networks.network import Readout

DIGITS = "0123456789"
PRINTABLE = "".join(map(chr, range(0x21, 0x7F)))


def test_bits_are_those_of_the_code():
    targets = Targets.of(Readout.BITS, "AB")
    assert targets.wanted.tolist() == [[1, -1, -1, -1, -1, -1, 1], [-1, 1, -1, -1, -1, -1, 1]]
    assert targets.trained_rows.tolist() == [0, 1]
    assert targets.code_prefix == ""


def test_codes_beyond_ascii_have_eight_bits():
    assert Targets.of(Readout.BITS, "aé").wanted.shape == (2, 8)
    assert Targets.of(Readout.TREE, "aé").wanted.shape == (2, 255)


def test_a_tree_asks_the_rows_on_the_path_of_the_bits():
    """1 is 0b0110001, 2 is 0b0110010, 3 is 0b0110011: two bits below the shared prefix."""
    targets = Targets.of(Readout.TREE, "123")
    assert targets.code_prefix == "01100"
    assert targets.wanted.tolist() == [[-1, 1, 0], [1, 0, -1], [1, 0, 1]]
    assert targets.trained_rows.tolist() == [0, 2]


@pytest.mark.parametrize(
    ("alphabet", "prefix", "rows"),
    [(DIGITS, "011", 15), (PRINTABLE, "", 127), ("az", "11", 31), ("é\xff", "111", 31)],
)
def test_the_prefix_is_what_all_codes_share(alphabet, prefix, rows):
    targets = Targets.of(Readout.TREE, alphabet)
    assert targets.code_prefix == prefix
    assert targets.wanted.shape == (len(alphabet), rows)


def test_nearest_wants_the_own_row_alone():
    targets = Targets.of(Readout.NEAREST, "abc")
    assert targets.wanted.tolist() == [[1, -1, -1], [-1, 1, -1], [-1, -1, 1]]
    assert targets.trained_rows.tolist() == [0, 1, 2]


def test_bits_of_no_character_are_all_silent():
    targets = Targets.of(Readout.BITS, "\0?@")
    assert targets.wanted[0].tolist() == [-1] * 7
    assert targets.answered == "?@"


def test_a_bit_that_all_characters_have_is_enough_to_tell_no_character():
    """Of the digits bits 4 and 5: where one is silent, the others spell no digit."""
    targets = Targets.of(Readout.BITS, "\0" + DIGITS)
    assert targets.wanted[0].tolist() == [0, 0, 0, 0, -1, -1, 0]
    assert targets.trained_rows.tolist() == [0, 1, 2, 3, 4, 5]
    assert targets.answered == DIGITS


def test_a_tree_has_a_leaf_for_no_character():
    targets = Targets.of(Readout.TREE, "\0" + DIGITS)
    assert (targets.code_prefix, targets.answered) == ("0", DIGITS)
    assert targets.wanted[0].nonzero()[0].tolist() == [0, 1, 3, 7, 15, 31]
    assert targets.wanted[0].sum() == -6


def test_nearest_has_a_row_for_no_character():
    targets = Targets.of(Readout.NEAREST, "\0ab")
    assert targets.wanted.tolist() == [[1, -1, -1], [-1, 1, -1], [-1, -1, 1]]
    assert targets.answered == "\0ab"


def test_indices_are_places_in_the_alphabet():
    codes = np.frombuffer(b"cabba", dtype=np.uint8)
    assert Targets.of(Readout.BITS, "abc").indices(codes).tolist() == [2, 0, 1, 1, 0]


@pytest.mark.parametrize("readout", Readout)
@pytest.mark.parametrize("alphabet", ["05", DIGITS, PRINTABLE, "aé\xff"])
def test_a_layer_that_answers_the_targets_is_read_as_the_characters(readout, alphabet):
    """One input per character and trained rows that are right: the reference reads each code."""
    targets = Targets.of(readout, alphabet)
    wanted = targets.wanted[:, targets.trained_rows].T
    last = targets.complete(Layer(wanted, np.ones(len(wanted)), 2))
    network = Network(
        "right",
        (last,),
        height=1,
        width=len(alphabet),
        readout=readout,
        alphabet=alphabet,
        code_prefix=targets.code_prefix,
    )
    one_each = np.eye(len(alphabet), dtype=bool)[:, np.newaxis]
    assert reference.infer(network, one_each).tolist() == list(map(ord, alphabet))


@pytest.mark.parametrize("alphabet", ["05", DIGITS, PRINTABLE])
def test_a_tree_never_leaves_the_alphabet(alphabet):
    """Whatever the trained rows answer, rows with one way only keep to it."""
    targets = Targets.of(Readout.TREE, alphabet)
    random = np.random.default_rng(0)
    rows = len(targets.trained_rows)
    last = targets.complete(Layer(random.choice([-1, 1], (rows, 40)), np.zeros(rows), 1))
    network = Network(
        "random",
        (last,),
        height=1,
        width=40,
        readout=Readout.TREE,
        alphabet=alphabet,
        code_prefix=targets.code_prefix,
    )
    codes = reference.infer(network, random.random((5000, 1, 40)) < 0.5)
    assert set(codes.tolist()) <= set(map(ord, alphabet))
    assert len(set(codes.tolist())) >= min(len(alphabet), 20)


def test_rows_with_one_answer_keep_to_it_for_any_input():
    targets = Targets.of(Readout.BITS, "AB")
    last = targets.complete(Layer(np.ones((2, 5)), np.ones(2), 1))
    inputs = np.array([[0] * 5, [1] * 5], dtype=np.uint8)
    fires = reference.sums(last, inputs) >= last.thresholds
    assert fires[:, 2:].tolist() == [[False, False, False, False, True]] * 2
