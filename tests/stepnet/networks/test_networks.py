"""The shipped networks and samples, and measuring a network."""

from dataclasses import dataclass

import numpy as np
import pytest
from PIL import Image

from small_networks import reading_network, written
from stepnet import Layer, LutNetwork, Network
from stepnet.data.evaluation import score
from stepnet.data.sets import Dataset, load
from stepnet.errors import DataError, NetworkError
from stepnet.networks import reference
from stepnet.networks.shipped import (
    all_names,
    load_lut_network,
    load_network,
    load_spiking_network,
    lut_names,
    names,
    spiking_names,
)
from stepnet.samples import sample_pictures

PRINTABLE = "".join(map(chr, range(0x21, 0x7F)))
DIGITS = "0123456789"
LETTERS = "".join(filter(str.isalnum, PRINTABLE))


@dataclass(frozen=True)
class Shipped:
    """What the documentation says of a network."""

    sizes: tuple[int, ...]
    weight_bits: tuple[int, ...]
    readout: str
    alphabet: str
    data: str
    accuracy: float
    rule: str = "surrogate"


SHIPPED = {
    "digits": Shipped((784, 128, 64, 7), (1, 1, 8), "bits", DIGITS, "mnist", 0.95),
    "digits-medium": Shipped((784, 256, 256, 256, 7), (1, 1, 1, 8), "bits", DIGITS, "mnist", 0.97),
    "digits-large": Shipped(
        (784, 1024, 1024, 1024, 7), (1, 1, 1, 8), "bits", DIGITS, "mnist", 0.984
    ),
    "exercise": Shipped((784, 512, 7), (8, 8), "bits", DIGITS, "mnist", 0.93, "delta"),
    "ascii": Shipped((784, 576, 512, 256, 127), (1, 1, 1, 4), "tree", PRINTABLE, "unipen", 0.67),
    "ascii-bits": Shipped((784, 576, 512, 448, 7), (1, 1, 1, 8), "bits", PRINTABLE, "unipen", 0.55),
    "ascii-nearest": Shipped(
        (784, 576, 512, 256, 94), (1, 1, 1, 4), "nearest", PRINTABLE, "unipen", 0.72
    ),
    "digits-conv": Shipped(
        (784, 7744, 1600, 96, 10), (1, 1, 1, 4), "nearest", DIGITS, "mnist", 0.989
    ),
    "digits-conv-open": Shipped(
        (784, 7744, 2400, 160, 11), (1, 1, 1, 4), "nearest", "\0" + DIGITS, "mnist", 0.98
    ),
    "digits-conv-strict": Shipped(
        (784, 7744, 3200, 224, 11), (1, 1, 1, 4), "nearest", "\0" + DIGITS, "mnist", 0.975
    ),
    "ascii-conv-nearest": Shipped(
        (784, 4608, 1600, 1728, 384, 94), (1, 1, 1, 1, 4), "nearest", PRINTABLE, "unipen", 0.80
    ),
    "ascii-conv": Shipped(
        (784, 4608, 1600, 1728, 384, 127), (1, 1, 1, 1, 4), "tree", PRINTABLE, "unipen", 0.79
    ),
    "letters": Shipped((784, 576, 512, 256, 127), (1, 1, 1, 4), "tree", LETTERS, "unipen", 0.68),
}


def test_these_networks_are_shipped():
    assert names() == sorted(SHIPPED)


@pytest.mark.parametrize("name", SHIPPED)
def test_a_network_is_what_the_documentation_says(name):
    network, said = load_network(name), SHIPPED[name]
    assert network.name == name
    assert network.sizes == said.sizes
    assert tuple(layer.weight_bits for layer in network.layers) == said.weight_bits
    assert (network.readout, network.alphabet) == (said.readout, said.alphabet)
    assert network.ink_threshold == 64


@pytest.mark.parametrize("name", SHIPPED)
def test_a_network_tells_where_it_comes_from(name):
    card, said = load_network(name).card, SHIPPED[name]
    assert card["rule"] == said.rule
    assert card["command"].startswith(f"stepnet train --data {said.data} --rule {said.rule} ")
    assert f"--name {name}" in card["command"]
    assert {"mnist": "CC BY-SA 3.0", "unipen": "CC BY 4.0"}[said.data] in card["attribution"]
    assert float(card["accuracy"].split()[0]) >= said.accuracy


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in SHIPPED if SHIPPED[name].data == "mnist"])
def test_the_accuracy_on_the_card_is_measured_again_on_mnist(name, mnist):
    result = score(load_network(name), mnist.test)
    assert result.images == 10_000
    assert load_network(name).card["accuracy"].startswith(f"{result.accuracy:.4f} ")


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in SHIPPED if SHIPPED[name].data == "unipen"])
def test_the_accuracy_on_the_card_is_measured_again_on_unipen(name, unipen):
    result = score(load_network(name), unipen.test.cleaned())
    assert load_network(name).card["accuracy"].startswith(f"{result.accuracy:.4f} ")


@pytest.mark.parametrize("name", SHIPPED)
def test_the_samples_are_read_as_data_sets(name, sample_data):
    """Few enough to be there everywhere; how many are right is what was found."""
    part = load(SHIPPED[name].data, sample_data).train.cleaned()
    result = score(load_network(name), part)
    assert result.images == len(part)
    assert result.accuracy >= (0.9 if SHIPPED[name].data == "mnist" else 0.5)


@dataclass(frozen=True)
class ShippedTables:
    """Tables that are counted, tables in all, alphabet, data and an accuracy that was reached."""

    counted: int
    tables: int
    alphabet: str
    data: str
    accuracy: float


SHIPPED_TABLES = {
    "digits-lut-small": ShippedTables(1020, 1020, DIGITS, "mnist", 0.975),
    "ascii-lut": ShippedTables(4512, 14006, PRINTABLE, "unipen", 0.70),
    "digits-lut-compact": ShippedTables(420, 1592, DIGITS, "mnist", 0.970),
    "digits-lut": ShippedTables(830, 2863, DIGITS, "mnist", 0.980),
    "digits-lut-large": ShippedTables(2000, 6416, DIGITS, "mnist", 0.985),
}


def test_these_networks_of_tables_are_shipped():
    assert lut_names() == sorted(SHIPPED_TABLES)


@pytest.mark.parametrize("name", SHIPPED_TABLES)
def test_a_network_of_tables_is_what_its_card_says(name):
    network, said = load_lut_network(name), SHIPPED_TABLES[name]
    assert network.name == name
    assert len(network.counts.groups) == said.counted
    assert network.table_count == said.tables
    assert (network.readout, network.alphabet) == ("nearest", said.alphabet)
    assert network.card["command"].startswith(f"stepnet train --data {said.data} ")
    assert "--kind lut" in network.card["command"]
    assert f"--name {name}" in network.card["command"]
    assert f"{len(network.pixels_used)} pixels" in network.card["size"]
    assert float(network.card["accuracy"].split()[0]) >= said.accuracy


@pytest.mark.slow
@pytest.mark.parametrize("name", SHIPPED_TABLES)
def test_the_accuracy_of_tables_is_measured_again(name, mnist, unipen):
    network = load_lut_network(name)
    data = {"mnist": mnist, "unipen": unipen}[SHIPPED_TABLES[name].data]
    result = score(network, data.test.cleaned())
    assert network.card["accuracy"].startswith(f"{result.accuracy:.4f} ")


def test_a_spiking_network_is_shipped_with_its_card():
    assert spiking_names() == ["digits-spiking"]
    network = load_spiking_network("digits-spiking")
    assert (network.name, network.sizes) == ("digits-spiking", (784, 256, 10))
    assert (network.ticks, network.coding, network.readout) == (4, "rate", "nearest")
    assert network.card["command"].startswith("stepnet train --data mnist --rule spiking ")
    assert float(network.card["accuracy"].split()[0]) >= 0.979


@pytest.mark.slow
def test_the_accuracy_of_the_spiking_network_is_measured_again(mnist):
    network = load_spiking_network("digits-spiking")
    result = score(network, mnist.test)
    assert network.card["accuracy"].startswith(f"{result.accuracy:.4f} ")


def test_a_file_is_found_by_its_path(tmp_path):
    original = load_network("digits")
    path = original.save(tmp_path / "copy.npz")
    assert load_network(path).digest == original.digest
    assert load_network(str(path)).digest == original.digest


def test_an_unknown_name_lists_the_shipped_ones():
    with pytest.raises(NetworkError) as caught:
        load_network("letters-of-no-alphabet")
    assert str(caught.value) == (
        f"There is no network 'letters-of-no-alphabet'; choose one of "
        f"{', '.join(all_names())}, "
        "or name a .npz file that `stepnet train` wrote."
    )


def test_a_missing_file_is_named(tmp_path):
    path = tmp_path / "absent.npz"
    with pytest.raises(NetworkError) as caught:
        load_network(path)
    assert str(caught.value) == (
        f"There is no network file {str(path)!r}; name a .npz that `stepnet train` wrote, "
        "or a shipped network."
    )


def test_samples_are_two_of_each_digit_in_network_size():
    pictures = sample_pictures()
    assert [label for _, label in pictures] == sorted("0123456789" * 2)
    for path, _ in pictures:
        with Image.open(path) as picture:
            assert (picture.mode, picture.size) == ("L", (28, 28))


def test_samples_are_the_first_two_of_each_digit_in_the_test_part(mnist):
    for path, label in sample_pictures():
        index = int(path.stem.partition("_")[2])
        first_two = np.flatnonzero(mnist.test.labels == ord(label))[:2]
        assert index in first_two
        np.testing.assert_array_equal(np.asarray(Image.open(path)), mnist.test.images[index])


def test_most_samples_are_read_right():
    digits = load_network("digits")
    images = np.stack([np.asarray(Image.open(path)) for path, _ in sample_pictures()])
    labels = np.array([ord(label) for _, label in sample_pictures()])
    assert np.count_nonzero(reference.infer(digits, images) == labels) >= 18


def test_a_score_counts_right_wrong_unknown_and_left_out():
    labels = np.frombuffer(b"aabbbz", dtype=np.uint8)
    result = score(reading_network("ab"), Dataset(written(b"abbb?a"), labels))
    assert (result.images, result.right, result.unknown, result.left_out) == (5, 3, 1, 1)
    assert result.accuracy == 3 / 5
    assert result.accuracy_by_character == {"a": 1 / 2, "b": 2 / 3}


def test_a_score_tells_which_bits_are_right():
    """a, b, c and A are 0b1100001, 0b1100010, 0b1100011 and 0b1000001."""
    labels = np.frombuffer(b"aabA", dtype=np.uint8)
    result = score(reading_network("abcA"), Dataset(written(b"cbba"), labels))
    assert result.accuracy_by_bit == (3 / 4, 1 / 2, 1, 1, 1, 3 / 4, 1)


def test_a_score_with_case_folded():
    """@ and ` differ by the same bit as A and a, but are no letters; Q is unknown."""
    labels = np.frombuffer(b"aAbZz@qb", dtype=np.uint8)
    read = written(b"AabzZ`QA")
    result = score(reading_network("aAbzZ@`q"), Dataset(read, labels))
    assert result.right == 1
    assert result.case_folded_accuracy == 5 / 8


def test_a_score_by_writer():
    labels = np.frombuffer(b"aabbbz", dtype=np.uint8)
    dataset = Dataset(written(b"abbb?a"), labels, writer=np.array([7, 7, 3, 3, 3, 9]))
    assert score(reading_network("ab"), dataset).accuracy_by_writer == {3: 2 / 3, 7: 1 / 2}
    assert score(reading_network("ab"), Dataset(written(b"a"), labels[:1])).accuracy_by_writer == {}


def test_a_data_set_without_known_characters_cannot_be_measured():
    dataset = Dataset(written(b"xy"), np.frombuffer(b"xy", dtype=np.uint8))
    with pytest.raises(DataError) as caught:
        score(reading_network("ab"), dataset)
    assert str(caught.value) == (
        "The data set shows none of the characters of network 'reading' (ab); "
        "choose another data set."
    )


def test_a_class_loads_a_shipped_network_by_its_name():
    assert Network.load("digits").digest == load_network("digits").digest
    assert LutNetwork.load("digits-lut").name == "digits-lut"
    with pytest.raises(NetworkError, match=r"There is no network 'digit'; choose one of ascii, "):
        Network.load("digit")


def test_a_row_of_code_0_is_no_character():
    """The largest of three pixels wins; the first stands for images without a character."""
    network = Network(
        "none",
        (Layer(np.eye(3), np.ones(3), 2),),
        height=1,
        width=3,
        readout="nearest",
        alphabet="\0ab",
    )
    assert network.characters == "ab"
    assert network.character_codes.tolist() == [97, 98]
    images = 255 * np.eye(3, dtype=np.uint8)[[0, 1, 2, 0], np.newaxis]
    found = score(network, Dataset(images, np.frombuffer(b"abb\0", dtype=np.uint8)))
    assert (found.images, found.right, found.unknown, found.left_out) == (3, 1, 1, 1)
    assert found.characters == "ab"
    assert found.confusion.tolist() == [[0, 0, 1], [1, 1, 0]]
