"""Files that are no networks, or none that integers can follow: one sentence each."""

import pickle
import re
import resource
import zipfile

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

import stepnet
from onnx_graphs import Graph
from stepnet import Layer, Network
from stepnet.errors import FormatError
from stepnet.formats.importing import Options, import_file, import_onnx
from stepnet.formats.onnx_file import MAX_BYTES, MIB
from stepnet.formats.onnx_graph import SUPPORTED
from stepnet.formats.qonnx_export import write_qonnx


def refusal(path, **options):
    with pytest.raises(FormatError) as caught:
        import_file(path, Options(**options))
    return str(caught.value)


def tiny(batch=1, shape=(1, 2, 4)):
    """A network with one hidden layer, as far as its activation."""
    graph = Graph(shape, batch)
    graph.add("Flatten", axis=1)
    graph.add("Sub", np.float32(0.5))
    graph.custom("BipolarQuant", np.float32(1))
    graph.add("MatMul", np.random.default_rng(0).choice([-1, 1], (8, 4)).astype(np.float32))
    return graph


def finished(graph):
    """With a sign and scores behind it."""
    graph.custom("BipolarQuant", np.float32(1))
    graph.add("MatMul", np.random.default_rng(1).choice([-1, 1], (4, 3)).astype(np.float32))
    return graph


class Bomb:
    """Sets a mark when it is unpickled."""

    def __reduce__(self):
        return setattr, (Bomb, "went_off", True)


Bomb.went_off = False


def test_a_pickle_is_never_opened(tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes(pickle.dumps(Bomb()))
    assert refusal(path) == (
        f"The file {str(path)!r} is a pickle, which may run anything when it is opened, and is "
        "left closed; export the module with torch.onnx.export, or call stepnet.from_torch where "
        "you have it."
    )
    assert not Bomb.went_off


def test_what_torch_saves_is_a_pickle_too(tmp_path):
    import torch

    path = tmp_path / "model.pt"
    torch.save({"weight": torch.zeros(3)}, path)
    assert refusal(path).startswith(f"The file {str(path)!r} is a pickle, which may run anything")


def test_zips_are_told_apart(tmp_path):
    keras, arrays, other = (tmp_path / name for name in ("m.keras", "m.npz", "m.zip"))
    for path, name in ((keras, "model.weights.h5"), (other, "readme.txt")):
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(name, "x")
    np.savez(arrays, a=np.zeros(3))
    wanted = "name an ONNX file or a Keras .h5."
    assert refusal(keras) == (
        f"The file {str(keras)!r} is in the format of Keras 3; save the model as .h5 with "
        'model.save("model.h5"), which is read.'
    )
    assert refusal(arrays) == (
        f"The file {str(arrays)!r} holds arrays of numpy; if it is a network of Stepnet, use it as "
        f"it is, else {wanted}"
    )
    assert refusal(other) == f"The file {str(other)!r} is a zip archive; {wanted}"


def test_a_file_of_500_mb_is_not_read(tmp_path):
    path = tmp_path / "large.onnx"
    with path.open("wb") as file:
        file.truncate(500_000_000)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert refusal(path) == (
        f"The file {str(path)!r} has 477 MiB, and no network for a board has more than "
        f"{MAX_BYTES // MIB}; name a smaller one."
    )
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 10_000


def test_missing_empty_and_damaged_files(tmp_path):
    missing, empty, damaged = (tmp_path / name for name in ("a.onnx", "b.onnx", "c.onnx"))
    empty.touch()
    damaged.write_bytes(b"no model at all" * 20)
    wanted = "name an ONNX file or a Keras .h5."
    assert refusal(missing) == f"There is no file {str(missing)!r}; {wanted}"
    assert refusal(empty) == f"The file {str(empty)!r} is empty; export the network again."
    assert refusal(damaged) == (
        f"The file {str(damaged)!r} is no ONNX model or is damaged; export it again."
    )
    whole = finished(tiny()).save(tmp_path / "whole.onnx").read_bytes()
    for length in (10, len(whole) // 3, len(whole) - 200):
        damaged.write_bytes(whole[:length])
        assert str(damaged) in refusal(damaged) or "tensor" in refusal(damaged)


def test_attributes_that_are_none_and_names_that_a_terminal_obeys(tmp_path):
    layer = Layer(np.ones((7, 4), dtype=int), np.zeros(7, dtype=int))
    path = write_qonnx(Network("odd", (layer,), 2, 2), tmp_path / "odd.onnx")
    model = onnx.load(path)
    (chooser,) = [node for node in model.graph.node if node.op_type == "ArgMax"]
    for attribute in chooser.attribute:
        attribute.type = TensorProto.UNDEFINED
    onnx.save(model, path)
    assert re.fullmatch(
        r"Node '[^']+' \(ArgMax\) lacks an operand or holds one of another kind \(.+\); export the "
        r"network again\.",
        refusal(path),
    )
    chooser.op_type = "Bad\x1b[2J"
    onnx.save(model, path)
    assert r"(Bad\x1b[2J)" in refusal(path)


def test_a_folder_is_no_file(tmp_path):
    assert refusal(tmp_path) == (
        f"The file {str(tmp_path)!r} cannot be read (Is a directory); "
        "name an ONNX file or a Keras .h5."
    )


def external(path, **changed):
    """A network whose first weights lie in a file beside it; returns that file."""
    model = finished(tiny()).model()
    weights = model.graph.initializer[2]
    beside = path.parent / "weights.bin"
    beside.write_bytes(weights.raw_data)
    weights.ClearField("raw_data")
    weights.data_location = TensorProto.EXTERNAL
    for key, value in {"location": "weights.bin", **changed}.items():
        weights.external_data.add(key=key, value=value)
    onnx.save(model, path)
    return beside


def test_weights_beside_the_file_are_read(tmp_path):
    path = tmp_path / "network.onnx"
    external(path)
    whole = finished(tiny()).save(tmp_path / "whole.onnx")
    first, second = stepnet.from_onnx(path, name="x"), stepnet.from_onnx(whole, name="x")
    np.testing.assert_array_equal(first.layers[0].weights, second.layers[0].weights)


def test_weights_that_are_not_beside_the_file(tmp_path):
    path = tmp_path / "network.onnx"
    external(path).unlink()
    assert refusal(path) == (
        "The weights of 'constant_2' lie in the file 'weights.bin', which is not beside the ONNX "
        "file; copy it there, or export with external_data=False."
    )
    external(path).write_bytes(b"short")
    assert refusal(path) == (
        "The tensor 'constant_2' does not hold the 32 numbers that its shape says; export the "
        "network again."
    )
    external(path, length="10000")
    assert refusal(path) == (
        "The file 'weights.bin' is shorter than the weights of 'constant_2'; copy it again, or "
        "export with external_data=False."
    )


@pytest.mark.parametrize("location", ["../weights.bin", "/etc/passwd", ""])
def test_weights_are_read_from_nowhere_else(location, tmp_path):
    folder = tmp_path / "inside"
    folder.mkdir()
    external(folder / "network.onnx", location=location)
    (tmp_path / "weights.bin").write_bytes(bytes(200))
    assert refusal(folder / "network.onnx") == (
        f"The weights of 'constant_2' are said to lie in {location!r}, which is not beside the "
        "ONNX file; keep both files in one folder."
    )


def test_two_outputs(tmp_path):
    model = finished(tiny()).model()
    model.graph.output.append(helper.make_tensor_value_info("flatten_0_0", 1, None))
    onnx.save(model, tmp_path / "two.onnx")
    assert refusal(tmp_path / "two.onnx") == (
        "The graph has 2 outputs ('matmul_5_0', 'flatten_0_0'); supported are networks with one, "
        "the scores or the class; export it without the others."
    )


def test_two_inputs(tmp_path):
    model = finished(tiny()).model()
    model.graph.input.append(helper.make_tensor_value_info("mask", 1, [1, 8]))
    onnx.save(model, tmp_path / "two.onnx")
    assert refusal(tmp_path / "two.onnx") == (
        "The graph has 2 inputs ('image', 'mask'); supported are networks with one, the image."
    )


def test_an_unknown_operator_is_named(tmp_path):
    graph = tiny()
    graph.add("Unsqueeze", np.array([2]))
    graph.add("Conv", np.ones((1, 4, 1), np.float32))
    assert refusal(graph.save(tmp_path / "conv.onnx")) == (
        f"Node 'Conv_5' (Conv) is of a kind that is not supported; supported are {SUPPORTED}."
    )


def test_an_operator_of_another_domain_is_named(tmp_path):
    graph = tiny()
    graph.add("Thing", domain="com.example")
    assert refusal(graph.save(tmp_path / "thing.onnx")) == (
        "Node 'Thing_4' (Thing) comes from the domain 'com.example'; supported are "
        f"{SUPPORTED} of ONNX, QONNX, Brevitas and FINN."
    )


def test_weights_that_are_not_of_few_levels(tmp_path):
    graph = tiny()
    graph.custom("BipolarQuant", np.float32(1))
    weights = np.array([[0.1, 0.2, 0.30001], [0.5, -0.7, 0.9], [0.11, 0, 0], [0, 1, 1]], np.float32)
    graph.add("MatMul", weights)
    assert refusal(graph.save(tmp_path / "real.onnx")) == (
        "The weights of node 'MatMul_5' (MatMul) are no integers of up to 8 bits times a scale: "
        "neuron 2 has 0, 0.30001, 0.9, 1 and more; quantise them when training, to 1 to 8 bits."
    )


@pytest.mark.parametrize(("place", "what"), [(2, "constant_2"), (3, "constant_3")])
def test_nan_is_refused(place, what, tmp_path):
    model = finished(tiny()).model()
    tensor = model.graph.initializer[place]
    values = onnx.numpy_helper.to_array(tensor).copy()
    values.reshape(-1)[0] = np.nan
    tensor.CopyFrom(onnx.numpy_helper.from_array(values, tensor.name))
    onnx.save(model, tmp_path / "nan.onnx")
    assert refusal(tmp_path / "nan.onnx") == (
        f"The tensor {what!r} holds NaN; train the network again with a lower learning rate."
    )


def test_a_norm_that_gives_nan_is_refused(tmp_path):
    graph = tiny()
    ones = np.ones(4, np.float32)
    graph.add("BatchNormalization", ones, ones, ones, -ones)
    assert refusal(finished(graph).save(tmp_path / "nan.onnx")) == (
        "Node 'BatchNormalization_4' (BatchNormalization) gives NaN; it divides by 0, or holds a "
        "variance below 0."
    )


def test_infinite_weights_are_refused(tmp_path):
    graph = tiny()
    graph.custom("BipolarQuant", np.float32(1))
    graph.add("MatMul", np.full((4, 3), np.inf, np.float32))
    assert refusal(graph.save(tmp_path / "inf.onnx")) == (
        "The weights of node 'MatMul_5' (MatMul) hold a number that is not finite; train with a "
        "lower learning rate."
    )


def test_activations_of_many_levels_are_refused(tmp_path):
    graph = tiny()
    graph.add("Mul", np.float32(0.01))
    graph.add("Tanh")
    graph.add("MatMul", np.ones((4, 3), np.float32))
    # Nine sums are nine values, which are no multiples of one.
    assert refusal(graph.save(tmp_path / "tanh.onnx")).startswith(
        "The weights of node 'MatMul_6' (MatMul) are no integers of up to 8 bits times a scale"
    )


def test_a_layer_without_an_activation_of_few_levels_is_refused(tmp_path):
    random = np.random.default_rng(0)
    graph = Graph((64,))
    graph.custom("BipolarQuant", np.float32(1))
    graph.add("MatMul", random.integers(-100, 100, (64, 8)).astype(np.float32))
    graph.add("MatMul", random.choice([-1, 1], (8, 3)).astype(np.float32))
    assert refusal(graph.save(tmp_path / "linear.onnx"), pixels="-1..1") == (
        "Node 'MatMul_1' (MatMul) gives values of more than 256 levels; put a sign or a quantiser "
        "of few bits behind it, as in QuantIdentity(bit_width=2)."
    )


def test_too_many_step_neurons_are_refused(tmp_path):
    random = np.random.default_rng(0)
    graph = Graph((64,))
    graph.custom("BipolarQuant", np.float32(1))
    graph.add("MatMul", random.choice([-1, 1], (64, 200)).astype(np.float32))
    settings = {"signed": 1, "narrow": 0, "rounding_mode": "ROUND"}
    graph.custom("Quant", np.float32(1), np.float32(0), np.float32(6), **settings)
    graph.add("MatMul", random.choice([-1, 1], (200, 3)).astype(np.float32))
    assert refusal(graph.save(tmp_path / "wide.onnx"), pixels="-1..1") == (
        "Node 'Quant_2' (Quant) takes so many values that its 200 neurons become 6400 step "
        "neurons; no engine takes more than 4096, use activations of fewer bits."
    )


def test_a_layer_wider_than_any_engine_is_refused(tmp_path):
    graph = Graph((5000,))
    graph.custom("BipolarQuant", np.float32(1))
    graph.add("MatMul", np.ones((5000, 2), np.float32))
    assert refusal(graph.save(tmp_path / "wide.onnx")) == (
        "Node 'MatMul_1' (MatMul) has 5000 inputs and 2 neurons; no engine takes more than 4096 of "
        "either."
    )


def test_two_values_that_depend_on_the_image_are_not_multiplied(tmp_path):
    graph = tiny()
    graph.add("MatMul", graph.last)
    assert refusal(graph.save(tmp_path / "square.onnx")) == (
        "Node 'MatMul_4' (MatMul) multiplies two values that depend on the image; supported are "
        "constant weights."
    )


def test_a_way_round_a_layer_is_refused(tmp_path):
    graph = Graph((8,))
    before = graph.custom("BipolarQuant", np.float32(1))
    graph.add("MatMul", np.eye(8, dtype=np.float32))
    graph.add("Add", before)
    assert refusal(graph.save(tmp_path / "residual.onnx")) == (
        "Node 'Add_2' (Add) joins values that depend on the image in different ways; supported are "
        "networks of one layer behind the other."
    )


def test_one_score_is_no_choice(tmp_path):
    graph = tiny()
    graph.custom("BipolarQuant", np.float32(1))
    graph.add("MatMul", np.ones((4, 1), np.float32))
    assert refusal(graph.save(tmp_path / "one.onnx")) == (
        "Node 'MatMul_5' (MatMul) gives one score, which is no choice between characters; "
        "supported are networks with one score per class."
    )


def test_the_best_five_are_no_answer(tmp_path):
    graph = finished(tiny())
    graph.add("TopK", np.array([2]), outputs=2, axis=1)
    assert refusal(graph.save(tmp_path / "top.onnx")) == (
        "Node 'TopK_6' (TopK) gives the 2 best classes; supported is the best one, k = 1."
    )


def test_a_node_without_its_operand_is_refused(tmp_path):
    model = finished(tiny()).model()
    del model.graph.node[0].input[:]
    onnx.save(model, tmp_path / "bare.onnx")
    assert refusal(tmp_path / "bare.onnx") == (
        "Node 'Flatten_0' (Flatten) lacks an operand or holds one of another kind (list index out "
        "of range); export the network again."
    )


def test_a_choice_along_an_axis_that_there_is_not_is_refused(tmp_path):
    graph = finished(tiny())
    graph.add("ArgMax", axis=7)
    assert refusal(graph.save(tmp_path / "axis.onnx")) == (
        "Node 'ArgMax_6' (ArgMax) does not compare all scores; supported is a choice among all "
        "classes."
    )


def test_training_mode_is_refused(tmp_path):
    graph = tiny()
    ones = np.ones(4, np.float32)
    graph.add("BatchNormalization", ones, ones, ones, ones, training_mode=1)
    assert refusal(graph.save(tmp_path / "train.onnx")) == (
        "Node 'BatchNormalization_4' (BatchNormalization) is in training mode; export the network "
        "after module.eval()."
    )


def test_an_open_number_of_pixels_is_refused(tmp_path):
    model = finished(tiny()).model()
    sizes = model.graph.input[0].type.tensor_type.shape.dim
    sizes[3].dim_param = "width"
    onnx.save(model, tmp_path / "open.onnx")
    assert refusal(tmp_path / "open.onnx") == (
        "The input 'image' has the shape 1 x 1 x 2 x width, which leaves open how many pixels an "
        "image has; export with fixed sizes."
    )


def test_a_fixed_batch_is_read_for_one_image_where_the_graph_allows_it(tmp_path):
    path = finished(tiny(batch=16)).save(tmp_path / "batch.onnx")
    assert import_onnx(path, Options()).notes == (
        "The input 'image' takes 16 images at a time; it was read for one.",
    )
    graph = tiny(batch=16)
    graph.add("Reshape", np.array([16, 4]))
    assert refusal(finished(graph).save(tmp_path / "batch.onnx")) == (
        "Node 'Reshape_4' (Reshape) cannot bring 4 values of shape (1, 4) into the shape it names; "
        "export the network again with a batch of 1."
    )


def test_colours_are_refused(tmp_path):
    graph = Graph((3, 2, 4))
    graph.add("Flatten", axis=1)
    graph.custom("BipolarQuant", np.float32(1))
    graph.add("MatMul", np.ones((24, 2), np.float32))
    assert refusal(graph.save(tmp_path / "rgb.onnx")) == (
        "The source takes images of 3 x 2 x 4 values; supported are images of one channel."
    )


def test_a_source_that_sees_no_ink_is_refused(tmp_path):
    graph = Graph((8,))
    graph.add("Relu")
    graph.custom("BipolarQuant", np.float32(1))
    graph.add("MatMul", np.ones((8, 2), np.float32))
    assert refusal(graph.save(tmp_path / "blind.onnx")) == (
        "The source sees no difference between paper and ink where pixels are 0..1; name another "
        "range, as with --pixels 0..255."
    )


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (
            {"pixels": "0..7"},
            "There is no pixel range '0..7'; choose one of 0..1, 0..255, -1..1.",
        ),
        (
            {"image_size": (3, 3)},
            "An image of 3 x 3 pixels does not suit the source, which takes 8; choose a size of at "
            "most as many.",
        ),
        (
            {"alphabet": "abcd"},
            "The alphabet has 4 characters, but the source has 3 classes; give one for each, or "
            "fewer to leave out the last classes.",
        ),
        (
            {"alphabet": "a"},
            "The alphabet has fewer than two characters; give at least two.",
        ),
        (
            {"images": np.zeros((5, 4, 4), np.uint8)},
            "The images have 4 x 4 pixels, but the source takes 2 x 4; choose other images, or "
            "another image size.",
        ),
    ],
)
def test_options_that_do_not_suit(options, sentence, tmp_path):
    assert refusal(finished(tiny()).save(tmp_path / "tiny.onnx"), **options) == sentence


@pytest.mark.parametrize("kind", ["Expand", "ConstantOfShape", "Mul"])
def test_constants_do_not_grow_beyond_bounds(kind, tmp_path):
    graph = tiny()
    side = 1 << 15
    if kind == "Expand":
        one = graph.constant(np.ones(1, np.float32))
        large = graph.add("Expand", np.array([side, side]), first=one, keep=True)
    elif kind == "ConstantOfShape":
        shape = graph.constant(np.array([side, side]))
        large = graph.add("ConstantOfShape", first=shape, keep=True)
    else:
        column = graph.constant(np.ones((side, 1), np.float32))
        large = graph.add("Mul", np.ones((1, side), np.float32), first=column, keep=True)
    graph.add("Add", large)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert refusal(graph.save(tmp_path / "bomb.onnx")) == (
        f"Node '{kind}_4' ({kind}) makes a tensor of shape ({side}, {side}); no layer for a board "
        "has more than 16,777,216 numbers."
    )
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000


def test_a_tensor_larger_than_any_layer_is_refused(tmp_path):
    model = finished(tiny()).model()
    model.graph.initializer[2].dims[:] = [1 << 20, 1 << 20]
    onnx.save(model, tmp_path / "dims.onnx")
    assert refusal(tmp_path / "dims.onnx") == (
        "The tensor 'constant_2' has 1,099,511,627,776 numbers, and no layer for a board has more "
        "than 16,777,216; name a smaller network."
    )


def test_a_long_chain_of_nodes_does_not_overflow(tmp_path):
    graph = tiny()
    for _ in range(1500):
        graph.add("Identity")
    assert stepnet.from_onnx(finished(graph).save(tmp_path / "long.onnx")).sizes == (8, 4, 3)
    for _ in range(9000):
        graph.add("Identity")
    assert refusal(graph.save(tmp_path / "longer.onnx")) == (
        f"The graph in {str(tmp_path / 'longer.onnx')!r} has 10,506 nodes, and at most 10,000 are "
        "read; name a network of dense layers."
    )


def test_a_tensor_that_nothing_gives_is_named(tmp_path):
    graph = tiny()
    graph.add("Add", "nowhere")
    assert refusal(graph.save(tmp_path / "hole.onnx")) == (
        "The graph uses the tensor 'nowhere' before any node gives it; export the network again."
    )


def test_an_output_without_the_image_is_refused(tmp_path):
    graph = tiny()
    ones = graph.constant(np.ones((1, 3), np.float32))
    graph.last = graph.add("Neg", first=ones)
    assert refusal(graph.save(tmp_path / "constant.onnx")) == (
        "The output 'neg_4_0' of the graph does not depend on its input 'image'; export the whole "
        "network."
    )


def test_without_the_package_the_extra_is_named(tmp_path, monkeypatch, capsys):
    import sys

    from stepnet import cli

    path = finished(tiny()).save(tmp_path / "tiny.onnx")
    monkeypatch.setitem(sys.modules, "onnx", None)
    monkeypatch.setattr(sys, "argv", ["stepnet", "import", str(path)])
    with pytest.raises(SystemExit) as left:
        cli.main()
    assert left.value.code == 3
    assert capsys.readouterr().err == (
        "stepnet: This needs the package onnx, which is not installed; install it with: "
        'pip install "stepnet[import]".\n'
    )


def test_a_network_that_was_changed_after_its_export_is_read_as_any_other(tmp_path):
    from stepnet.formats.qonnx_export import qonnx_model
    from stepnet.networks.shipped import load_network

    model = qonnx_model(load_network("digits"))
    weights = next(each for each in model.graph.initializer if each.name == "layer_0_weights")
    values = -onnx.numpy_helper.to_array(weights)
    weights.CopyFrom(onnx.numpy_helper.from_array(values, weights.name))
    onnx.save(model, tmp_path / "changed.onnx")
    found = import_onnx(tmp_path / "changed.onnx", Options())
    assert found.notes == (
        "What Stepnet had written into the file no longer fits its graph and was not used.",
    )
    assert found.is_exact
    assert found.on_full_ink.equal == found.on_full_ink.images
