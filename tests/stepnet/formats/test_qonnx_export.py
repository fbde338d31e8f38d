"""Networks as QONNX files: the same codes in onnxruntime and in qonnx, and back bit for bit."""

import numpy as np
import onnx
import onnxruntime
import pytest
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.core.onnx_exec import execute_onnx

import stepnet
from small_networks import network_of_random_shape
from stepnet import Layer, Network
from stepnet.errors import FormatError
from stepnet.formats.importing import Options, import_onnx
from stepnet.formats.qonnx_export import leaves, qonnx_model, write_qonnx
from stepnet.networks import reference
from stepnet.networks.shipped import load_network, names

BATCH = 100


def codes_by_both(network, images):
    """What onnxruntime and qonnx read: two arrays of codes."""
    model = qonnx_model(network, len(images))
    onnx.checker.check_model(model, full_check=True)
    given = {"image": images[:, np.newaxis].astype(np.float32)}
    session = onnxruntime.InferenceSession(model.SerializeToString())
    (by_runtime,) = session.run(None, given)
    return by_runtime, execute_onnx(ModelWrapper(model), given)["code"]


@pytest.mark.parametrize("readout", ["bits", "tree", "nearest"])
@pytest.mark.parametrize("seed", range(4))
def test_a_random_network_gives_the_same_codes_and_comes_back_bit_for_bit(readout, seed, tmp_path):
    network = network_of_random_shape(readout, seed)
    images = np.random.default_rng(seed).integers(0, 256, (BATCH, 5, 7)).astype(np.uint8)
    expected = reference.infer(network, images)
    for codes in codes_by_both(network, images):
        np.testing.assert_array_equal(codes, expected)
    found = import_onnx(write_qonnx(network, tmp_path / "network.onnx"), Options())
    assert found.network.digest == network.digest
    assert found.is_exact
    assert found.on_full_ink.equal == found.on_full_ink.images
    assert found.on_grey.equal == found.on_grey.images
    assert found.notes == ()


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in names() if "-conv" not in name])
def test_a_shipped_network_goes_through_qonnx_bit_for_bit(name, tmp_path):
    network = load_network(name)
    path = write_qonnx(network, tmp_path / "network.onnx")
    assert stepnet.from_onnx(path).digest == network.digest
    images = np.random.default_rng(0).integers(0, 256, (BATCH, 28, 28)).astype(np.uint8)
    for codes in codes_by_both(network, images):
        np.testing.assert_array_equal(codes, reference.infer(network, images))


def test_a_file_takes_one_image_or_as_many_as_are_asked_for(tmp_path):
    network = network_of_random_shape("bits", 0)
    for batch, sizes in ((1, [1, 1, 5, 7]), (3, [3, 1, 5, 7]), (0, ["batch", 1, 5, 7])):
        path = write_qonnx(network, tmp_path / "network.onnx", batch)
        session = onnxruntime.InferenceSession(path)
        assert session.get_inputs()[0].shape == sizes
        assert stepnet.from_onnx(path).digest == network.digest
    images = np.random.default_rng(0).integers(0, 256, (17, 5, 7)).astype(np.uint8)
    (codes,) = session.run(None, {"image": images[:, np.newaxis].astype(np.float32)})
    np.testing.assert_array_equal(codes, reference.infer(network, images))


@pytest.mark.parametrize("readout", ["bits", "tree", "nearest"])
def test_without_its_metadata_a_file_is_read_as_any_other(readout, tmp_path):
    """Then `bits` and `tree` become `nearest` with a row for every code."""
    network = network_of_random_shape(readout, 1)
    model = qonnx_model(network)
    model.ClearField("metadata_props")
    onnx.save(model, tmp_path / "network.onnx")
    found = import_onnx(tmp_path / "network.onnx", Options())
    assert found.is_exact
    images = np.random.default_rng(0).integers(0, 256, (BATCH, 5, 7)).astype(np.uint8)
    if readout == "nearest":
        np.testing.assert_array_equal(
            reference.infer(found.network, images), reference.infer(network, images)
        )
    assert found.on_full_ink.equal == found.on_full_ink.images


def test_another_name_and_alphabet_may_be_given(tmp_path):
    network = network_of_random_shape("nearest", 2)
    path = write_qonnx(network, tmp_path / "network.onnx")
    found = import_onnx(path, Options(name="mine", alphabet="abcde")).network
    assert (found.name, found.alphabet) == ("mine", "abcde")
    np.testing.assert_array_equal(found.layers[0].weights, network.layers[0].weights)


@pytest.mark.parametrize("code", [-1, 256, 1 << 40])
def test_a_code_that_is_no_character_is_refused(code, tmp_path):
    """Though all else in the file is as it was written."""
    model = onnx.load(write_qonnx(network_of_random_shape("tree", 0), tmp_path / "a.onnx"))
    (table,) = [each for each in model.graph.initializer if each.name == "codes"]
    codes = onnx.numpy_helper.to_array(table).copy()
    codes[0] = code
    table.CopyFrom(onnx.numpy_helper.from_array(codes, "codes"))
    onnx.save(model, tmp_path / "a.onnx")
    with pytest.raises(FormatError, match="are no characters by themselves"):
        stepnet.from_onnx(tmp_path / "a.onnx")


def test_the_leaves_of_a_tree_are_the_codes_that_a_walk_ends_at():
    network = network_of_random_shape("tree", 0)
    wanted, codes = leaves(network)
    rows = np.random.default_rng(0).integers(0, 2, (50, 15)).astype(np.uint8)
    right = (wanted[np.newaxis] == 2 * rows[:, np.newaxis, :].astype(int) - 1).sum(axis=2)
    np.testing.assert_array_equal(right.max(axis=1), 4)
    np.testing.assert_array_equal(
        codes[right.argmax(axis=1)], reference.read_out(network, rows.astype(float) - 0.5)
    )


def test_a_threshold_that_float32_cannot_hold_is_refused(tmp_path):
    layer = Layer(np.ones((7, 4)), [0, 0, 0, 20_000_001, 0, 0, 0])
    network = Network("wide", (layer,), height=2, width=2)
    with pytest.raises(FormatError) as caught:
        write_qonnx(network, tmp_path / "wide.onnx")
    assert str(caught.value) == (
        "A threshold of layer_0 is 20000001, and float32 holds integers up to 16777216 alone; no "
        "sum reaches either, so choose one just beyond the sums."
    )


def test_a_folder_that_does_not_exist_is_named(tmp_path):
    path = tmp_path / "absent" / "network.onnx"
    with pytest.raises(FormatError) as caught:
        write_qonnx(network_of_random_shape("bits", 0), path)
    assert str(caught.value) == (
        f"The QONNX file cannot be written to {str(path)!r} (No such file or directory); name a "
        "file in a folder that exists and is writable."
    )
