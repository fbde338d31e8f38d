"""Networks: what is refused, with which sentence, and what the file keeps."""

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest

from stepnet import Layer, Network, Readout
from stepnet.errors import NetworkError


def layer(n_out, n_in, weight_bits=1, seed=0):
    random = np.random.default_rng(seed)
    if weight_bits == 1:
        weights = random.choice([-1, 1], (n_out, n_in))
    else:
        limit = 1 << weight_bits - 1
        weights = random.integers(-limit, limit, (n_out, n_in))
    return Layer(weights, random.integers(-n_in, n_in, n_out), weight_bits)


def network(**changes):
    fields = {
        "name": "small",
        "layers": (layer(5, 12), layer(7, 5, 3)),
        "height": 4,
        "width": 3,
        "card": {"data": "none"},
    }
    return Network(**{**fields, **changes})


ONES = np.ones((2, 3), dtype=np.int8)
ZEROS = np.zeros(2, dtype=np.int32)

LAYER_REFUSALS = {
    "no weight bits": (
        (ONES, ZEROS, 0),
        "A layer has weights of 0 bits; choose 1 to 8.",
    ),
    "too many weight bits": (
        (ONES, ZEROS, 9),
        "A layer has weights of 9 bits; choose 1 to 8.",
    ),
    "weights are text": (
        ([["1"]], [0]),
        "The weights of a layer are not integers; give integers.",
    ),
    "truth values as weights": (
        (ONES > 0, ZEROS),
        "The weights of a layer are True and False; if those stand for +1 and -1, give "
        "np.where(weights, 1, -1).",
    ),
    "thresholds are text": (
        (ONES, ["0", "0"]),
        "The thresholds of a layer are not integers; give integers.",
    ),
    "weight beyond int8": (
        (ONES * np.int16(200), ZEROS, 8),
        "The weights of a layer reach from 200 to 200; they must lie in -128 to 127.",
    ),
    "threshold beyond int32": (
        (ONES, ZEROS + np.int64(1 << 31)),
        "The thresholds of a layer reach from 2147483648 to 2147483648; "
        "they must lie in -2147483648 to 2147483647.",
    ),
    "vector of weights": (
        (np.ones(3), ZEROS),
        "The weights of a layer have shape (3,); "
        "give a matrix (neurons, inputs) with at least one of each.",
    ),
    "no inputs": (
        (np.ones((2, 0)), ZEROS),
        "The weights of a layer have shape (2, 0); "
        "give a matrix (neurons, inputs) with at least one of each.",
    ),
    "thresholds do not match": (
        (ONES, np.zeros(3)),
        "A layer of 2 neurons has thresholds of shape (3,); give one threshold per neuron.",
    ),
    "weight too large": (
        (ONES * 4, ZEROS, 3),
        "A weight of 4 does not fit 3 bits, which hold -4 to 3; give a larger weight_bits.",
    ),
    "weight too small": (
        (ONES * -5, ZEROS, 3),
        "A weight of -5 does not fit 3 bits, which hold -4 to 3; give a larger weight_bits.",
    ),
}


@pytest.mark.parametrize(("arguments", "sentence"), LAYER_REFUSALS.values(), ids=LAYER_REFUSALS)
def test_a_layer_that_breaks_a_rule_is_refused(arguments, sentence):
    with pytest.raises(NetworkError) as caught:
        Layer(*arguments)
    assert str(caught.value) == sentence


NETWORK_REFUSALS = {
    "empty image": (
        {"height": 0},
        "An image of 0 x 3 pixels is empty; height and width are at least 1.",
    ),
    "too large an image": (
        {"height": 512, "width": 513},
        "An image of 512 x 513 pixels is more than a network reads; take one of at most 262,144 "
        "pixels.",
    ),
    "ink threshold": (
        {"ink_threshold": 256},
        "The ink threshold 256 is no grey value; choose 0 to 255.",
    ),
    "no layers": (
        {"layers": ()},
        "The network has no layers; give at least one.",
    ),
    "first layer does not match the image": (
        {"layers": (layer(7, 11),)},
        "Layer 0 takes 11 inputs, but the image gives 12.",
    ),
    "layers do not match": (
        {"layers": (layer(5, 12), layer(7, 6))},
        "Layer 1 takes 6 inputs, but layer 0 gives 5.",
    ),
    "empty alphabet": (
        {"alphabet": ""},
        "The alphabet is empty; give the characters the network answers.",
    ),
    "character twice": (
        {"alphabet": "010"},
        "The alphabet holds '0' more than once.",
    ),
    "character beyond the code": (
        {"alphabet": "0é"},
        "The character 'é' has code 233, which does not fit the 7 bits of the character code.",
    ),
    "unknown readout": (
        {"readout": "one-hot"},
        "There is no readout 'one-hot'; choose one of bits, tree, nearest.",
    ),
    "bits with 6 neurons": (
        {"layers": (layer(6, 12),)},
        "Readout bits needs a last layer of 7 or 8 neurons, one per bit of the code, but it has 6.",
    ),
    "tree with 6 neurons": (
        {"layers": (layer(6, 12),), "readout": "tree", "code_prefix": "01100", "alphabet": "a"},
        "Readout tree needs a last layer of 2^m - 1 neurons for m bits of a code of at most 8, "
        "but it has 6 after a prefix of 5 bits.",
    ),
    "tree with 9 bits": (
        {"layers": (layer(7, 12),), "readout": "tree", "code_prefix": "000000"},
        "Readout tree needs a last layer of 2^m - 1 neurons for m bits of a code of at most 8, "
        "but it has 7 after a prefix of 6 bits.",
    ),
    "nearest with too few neurons": (
        {"readout": "nearest"},
        "Readout nearest needs one neuron per character, but the last layer has 7 for an alphabet "
        "of 10.",
    ),
    "prefix that is no bits": (
        {"code_prefix": "012"},
        "The code prefix '012' holds more than 0 and 1.",
    ),
    "prefix without tree": (
        {"code_prefix": "01"},
        "A code prefix belongs to readout tree, but this network reads bits.",
    ),
}


@pytest.mark.parametrize(("changes", "sentence"), NETWORK_REFUSALS.values(), ids=NETWORK_REFUSALS)
def test_a_network_that_breaks_a_rule_is_refused(changes, sentence):
    with pytest.raises(NetworkError) as caught:
        network(**changes)
    assert str(caught.value) == sentence


def test_arrays_are_copied_and_read_only():
    weights = ONES.copy()
    held = Layer(weights, ZEROS)
    weights[0, 0] = -1
    assert held.weights[0, 0] == 1
    with pytest.raises(ValueError, match="read-only"):
        held.weights[0, 0] = -1
    with pytest.raises(ValueError, match="read-only"):
        held.thresholds[0] = 1


def test_derived_sizes():
    small = network()
    assert small.sizes == (12, 5, 7)
    assert small.weight_bits_total == 12 * 5 * 1 + 5 * 7 * 3
    assert small.code_bits == 7
    assert small.codes.tolist() == list(b"0123456789")


VARIANTS = {
    "bits": network(),
    "tree": network(
        layers=(layer(5, 12), layer(7, 5, 8)),
        readout=Readout.TREE,
        code_prefix="01100",
        alphabet="abc",
    ),
    "nearest": network(layers=(layer(3, 12, 2),), readout="nearest", alphabet="aé!", card={}),
}


@pytest.mark.parametrize("original", VARIANTS.values(), ids=VARIANTS)
def test_a_saved_network_comes_back_whole(original, tmp_path):
    path = original.save(tmp_path / "saved.npz")
    loaded = Network.load(path)
    for name in ("name", "height", "width", "ink_threshold", "readout", "alphabet", "card"):
        assert getattr(loaded, name) == getattr(original, name)
    assert loaded.code_prefix == original.code_prefix
    for ours, theirs in zip(original.layers, loaded.layers, strict=True):
        assert ours.weight_bits == theirs.weight_bits
        np.testing.assert_array_equal(ours.weights, theirs.weights)
        np.testing.assert_array_equal(ours.thresholds, theirs.thresholds)
    assert loaded.digest == original.digest
    assert list(tmp_path.iterdir()) == [path]


def test_every_part_of_the_content_changes_the_digest():
    variants = [
        network(),
        network(name="other"),
        network(ink_threshold=127),
        network(height=3, width=4),
        network(alphabet="012345678"),
        network(card={"data": "some"}),
        network(layers=(layer(5, 12, seed=1), layer(7, 5, 3))),
        network(layers=(layer(5, 12), layer(7, 5, 3, seed=1))),
        network(layers=(layer(5, 12), layer(7, 5, 4))),
    ]
    assert len({variant.digest for variant in variants}) == len(variants)


def test_a_file_of_python_objects_is_not_unpickled(tmp_path):
    path = tmp_path / "objects.npz"
    np.savez(path, schema_version=np.array([{"any": "object"}], dtype=object))
    with pytest.raises(NetworkError) as caught:
        Network.load(path)
    assert str(caught.value) == (
        f"The file {str(path)!r} is no network or is damaged; train it again or fetch a fresh copy."
    )


def test_the_file_holds_no_pickle(tmp_path):
    path = network().save(tmp_path / "saved.npz")
    with np.load(path, allow_pickle=False) as file:
        assert all(file[key].dtype != object for key in file.files)


def rewrite(path: Path, **changes):
    with np.load(path) as file:
        content = {key: file[key] for key in file.files}
    np.savez(path, **{**content, **changes})


def test_a_newer_file_is_refused_by_its_version(tmp_path):
    path = network().save(tmp_path / "saved.npz")
    rewrite(path, schema_version=np.array(3))
    with pytest.raises(NetworkError) as caught:
        Network.load(path)
    assert str(caught.value) == (
        f"The network file {str(path)!r} has schema version 3, but this stepnet reads up to 2; "
        "upgrade stepnet."
    )


def changed_header(path, **changes):
    with np.load(path) as file:
        return np.array(json.dumps({**json.loads(str(file["header"])), **changes}))


@pytest.mark.parametrize("what", ["weights", "thresholds", "header", "digest", "header is junk"])
def test_content_that_does_not_match_its_digest_is_refused(what, tmp_path):
    path = network().save(tmp_path / "saved.npz")
    with np.load(path) as file:
        weights, thresholds = -file["weights_0"], file["thresholds_1"] + 1
    changes = {
        "weights": {"weights_0": weights},
        "thresholds": {"thresholds_1": thresholds},
        "header": {"header": changed_header(path, ink_threshold=5)},
        "digest": {"digest": np.array("0" * 64)},
        "header is junk": {"header": np.array("[1, 2]")},
    }
    rewrite(path, **changes[what])
    with pytest.raises(NetworkError) as caught:
        Network.load(path)
    assert str(caught.value) == (
        f"The network file {str(path)!r} is damaged: its content does not match its digest; "
        "train it again or fetch a fresh copy."
    )


@pytest.mark.slow
def test_damage_to_any_byte_is_refused_or_without_effect(tmp_path):
    """Some bytes of a zip file, such as times, mean nothing; no other may be wrong unnoticed."""
    original = network()
    path = original.save(tmp_path / "saved.npz")
    content = path.read_bytes()
    refused = 0
    for position in range(len(content)):
        damaged = bytearray(content)
        damaged[position] ^= 0x55
        path.write_bytes(damaged)
        try:
            assert Network.load(path).digest == original.digest, position
        except NetworkError:
            refused += 1
    assert refused > len(content) / 2


def test_a_cut_file_is_refused(tmp_path):
    path = network().save(tmp_path / "saved.npz")
    content = path.read_bytes()
    for length in range(0, len(content), 97):
        path.write_bytes(content[:length])
        with pytest.raises(NetworkError):
            Network.load(path)


def test_a_missing_file_is_named(tmp_path):
    path = tmp_path / "absent.npz"
    with pytest.raises(NetworkError) as caught:
        Network.load(path)
    assert str(caught.value) == (
        f"There is no network file {str(path)!r}; name a .npz that `stepnet train` wrote, "
        "or a shipped network."
    )


def test_a_directory_is_no_network_file(tmp_path):
    with pytest.raises(NetworkError) as caught:
        Network.load(tmp_path)
    assert str(caught.value) == (
        f"The network file {str(tmp_path)!r} cannot be read (Is a directory); "
        "name a .npz that `stepnet train` wrote."
    )


@pytest.mark.parametrize("content", [b"", b"text", b"PK\x03\x04"], ids=["empty", "text", "zip"])
def test_another_file_is_no_network(content, tmp_path):
    path = tmp_path / "other.npz"
    path.write_bytes(content)
    with pytest.raises(NetworkError) as caught:
        Network.load(path)
    assert str(caught.value) == (
        f"The file {str(path)!r} is no network or is damaged; train it again or fetch a fresh copy."
    )


def test_an_array_file_is_no_network(tmp_path):
    path = tmp_path / "other.npy"
    np.save(path, ONES)
    with pytest.raises(NetworkError) as caught:
        Network.load(path)
    assert str(caught.value) == (
        f"The file {str(path)!r} is no network or is damaged; train it again or fetch a fresh copy."
    )


def test_another_zip_is_no_network(tmp_path):
    path = tmp_path / "other.npz"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("notes.txt", "nothing here")
    with pytest.raises(NetworkError) as caught:
        Network.load(path)
    assert str(caught.value) == (
        f"The file {str(path)!r} is no network or is damaged; train it again or fetch a fresh copy."
    )


def test_a_folder_that_does_not_exist_cannot_be_saved_to(tmp_path):
    path = tmp_path / "absent" / "saved.npz"
    with pytest.raises(NetworkError) as caught:
        network().save(path)
    assert str(caught.value) == (
        f"The network cannot be written to {str(path)!r} (No such file or directory); "
        "name a file in a folder that exists and is writable."
    )
