"""Networks from Keras' .h5 files of larq's dense layers, written here as Keras writes them."""

import json

import h5py
import numpy as np
import pytest

import stepnet
from onnx_graphs import all_images
from stepnet.errors import FormatError
from stepnet.formats.importing import Options, import_file
from stepnet.formats.keras_file import SUPPORTED, heaviside, sign
from stepnet.networks import reference

ZERO_CODE = ord("0")
IMAGES = all_images(2, 4)


class Model:
    """A Sequential model that grows layer by layer, with what each layer computes beside it."""

    def __init__(self, shape=(2, 4)):
        self.layers = [
            {
                "class_name": "InputLayer",
                "config": {"batch_input_shape": [None, *shape], "name": "input_1"},
            }
        ]
        self.weights, self.functions = {}, []

    def add(self, kind, weights=(), function=lambda x: x, **settings):
        name = f"{kind.rpartition('>')[2].lower()}_{len(self.layers)}"
        self.layers.append({"class_name": kind, "config": {"name": name, **settings}})
        self.weights[name] = dict(weights)
        self.functions.append(function)

    def save(self, path, kind="Sequential", layers=None, config=True):
        """The file in the layout of Keras 2: names end in `:0`, and the model's own come first."""
        described = {"class_name": kind, "config": {"name": "net", "layers": layers or self.layers}}
        with h5py.File(path, "w") as file:
            file.attrs["keras_version"] = "2.15.0"
            if config:
                file.attrs["model_config"] = json.dumps(described)
            groups = file.create_group("model_weights")
            for layer, arrays in self.weights.items():
                group = groups.create_group(layer)
                names = [f"{layer}/{name}:0" for name in arrays]
                group.attrs["weight_names"] = [name.encode() for name in names]
                for name, array in zip(names, arrays.values(), strict=True):
                    group.create_dataset(name, data=np.asarray(array, np.float32))
        return path

    def classes(self, images):
        values = images.reshape(len(images), -1).astype(np.float32) / np.float32(255)
        for function in self.functions:
            values = function(values)
        return values.argmax(axis=1)


def same(x):
    return x


def ternary(x):
    return np.sign(np.sign(x + np.float32(0.05)) + np.sign(x - np.float32(0.05)))


def scaled(x):
    return np.abs(x).mean(axis=0) * sign(x)


def dense(model, n_in, n_out, inputs, kernels, random, **settings):
    """A QuantDense layer, its quantisers given as (description, function)."""
    (input_quantiser, on_input), (kernel_quantiser, on_kernel) = inputs, kernels
    kernel = random.normal(0, 0.3, (n_in, n_out)).astype(np.float32)
    kernel[0, 0] = 0
    model.add(
        "Larq>QuantDense",
        {"kernel": kernel},
        lambda x: on_input(x) @ on_kernel(kernel),
        units=n_out,
        use_bias=False,
        input_quantizer=input_quantiser,
        kernel_quantizer=kernel_quantiser,
        **settings,
    )


def norm(model, count, random, gamma=False):
    """Moments that put sums on the threshold."""
    arrays = {"beta": random.integers(-1, 2, count).astype(np.float32)}
    if gamma:
        arrays["gamma"] = random.choice([-1, 0, 1, 2], count).astype(np.float32)
    mean = random.integers(-2, 3, count).astype(np.float32)
    variance = np.full(count, 1 - np.float32(1e-3), np.float32)
    slope = 1 / np.sqrt(variance + np.float32(1e-3)) * arrays.get("gamma", 1)
    offset = arrays["beta"] - mean * slope
    model.add(
        "BatchNormalization",
        {**arrays, "moving_mean": mean, "moving_variance": variance},
        lambda x: x * slope + offset,
        epsilon=1e-3,
        scale=gamma,
    )


STE_SIGN = ("ste_sign", sign)
SIGN_CLASS = ({"class_name": "Larq>SteSign", "config": {"clip_value": 1.0}}, sign)
TERNARY = ({"class_name": "SteTern", "config": {"threshold_value": 0.05}}, ternary)
NOTHING = (None, same)


def bnn(inputs, kernels, seed=0, gamma=True):
    """A network as larq's guides build them: the first layer sees the pixels as they are."""
    random = np.random.default_rng(seed)
    model = Model()
    model.add("Flatten")
    dense(model, 8, 6, NOTHING, kernels, random)
    norm(model, 6, random, gamma)
    dense(model, 6, 5, inputs, kernels, random)
    norm(model, 5, random, gamma)
    dense(model, 5, 3, inputs, kernels, random)
    model.add("Activation", activation="softmax")
    return model


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(
    ("inputs", "kernels"),
    [
        (STE_SIGN, STE_SIGN),
        (SIGN_CLASS, SIGN_CLASS),
        (("approx_sign", sign), TERNARY),
        (("ste_heaviside", heaviside), ("ste_sign", sign)),
    ],
)
def test_a_network_of_larq_reads_every_image_as_its_formulas_do(inputs, kernels, seed, tmp_path):
    model = bnn(inputs, kernels, seed)
    found = import_file(model.save(tmp_path / "bnn.h5"), Options())
    assert found.is_exact
    assert found.tool == "Keras 2.15.0"
    codes = reference.infer(found.network, IMAGES).astype(int)
    np.testing.assert_array_equal(codes - ZERO_CODE, model.classes(IMAGES))


def test_the_signs_of_larq_differ_at_0():
    x = np.array([-1, 0, 1], np.float32)
    assert sign(x).tolist() == [-1, 1, 1]
    assert heaviside(x).tolist() == [0, 0, 1]


def test_a_scale_of_each_neuron_and_activations_of_two_bits(tmp_path):
    def two_bits(x):
        return np.rint(np.clip(x, np.float32(0), np.float32(1)) * np.float32(3)) / np.float32(3)

    random = np.random.default_rng(1)
    model = Model()
    dorefa = ({"class_name": "DoReFa", "config": {"k_bit": 2, "mode": "activations"}}, two_bits)
    dense(model, 8, 6, STE_SIGN, ("magnitude_aware_sign", scaled), random)
    dense(model, 6, 3, dorefa, STE_SIGN, random)
    found = import_file(model.save(tmp_path / "bnn.h5"), Options(pixels="-1..1"))
    assert found.is_exact
    assert found.widened[0][1] > 6
    images = np.where(IMAGES > 0, 1, -1).astype(np.float32)
    values = images.reshape(-1, 8)
    for function in model.functions:
        values = function(values)
    codes = reference.infer(found.network, IMAGES).astype(int)
    agree = codes - ZERO_CODE == values.argmax(axis=1)
    assert agree.mean() > 0.99  # sums of thirds are rounded, and ties of them are chance


def test_a_bias_and_activations_of_keras(tmp_path):
    random = np.random.default_rng(2)
    model = Model()
    kernel = random.choice([-1, 1], (8, 6)).astype(np.float32)
    bias = random.integers(-2, 3, 6).astype(np.float32)
    model.add("Flatten")
    model.add(
        "Dense",
        {"kernel": kernel, "bias": bias},
        lambda x: sign(x @ kernel + bias),
        units=6,
        activation={"class_name": "Larq>ste_sign", "config": {}},
    )
    last = random.choice([-1, 1], (6, 3)).astype(np.float32)
    model.add("Dense", {"kernel": last}, lambda x: x @ last, units=3, activation="softmax")
    network = stepnet.from_keras(model.save(tmp_path / "bnn.h5"))
    codes = reference.infer(network, IMAGES).astype(int)
    np.testing.assert_array_equal(codes - ZERO_CODE, model.classes(IMAGES))


def chained(layers, form):
    """The layers of a Functional model, each behind the one before it."""
    found, before = [], None
    for layer in layers:
        name = layer["config"]["name"]
        if before is None:
            nodes = []
        elif form == "keras 2":
            nodes = [[[before, 0, 0, {}]]]
        else:
            history = {"config": {"keras_history": [before, 0, 0]}}
            nodes = [{"args": [{"class_name": "__keras_tensor__", **history}], "kwargs": {}}]
        found.append({**layer, "name": name, "inbound_nodes": nodes})
        before = name
    return found


@pytest.mark.parametrize("form", ["keras 2", "keras 3"])
def test_a_functional_model_in_a_chain(form, tmp_path):
    model = bnn(STE_SIGN, STE_SIGN)
    plain = stepnet.from_keras(model.save(tmp_path / "a.h5"), name="x")
    layers = chained(model.layers, form)
    functional = stepnet.from_keras(model.save(tmp_path / "b.h5", "Functional", layers), name="x")
    np.testing.assert_array_equal(plain.layers[0].weights, functional.layers[0].weights)
    layers[4]["inbound_nodes"] = [[["input_1", 0, 0, {}]]]
    with pytest.raises(FormatError) as caught:
        stepnet.from_keras(model.save(tmp_path / "c.h5", "Functional", layers))
    assert str(caught.value) == (
        "Layer 'quantdense_4' (QuantDense) does not follow the layer before it; supported are "
        f"{SUPPORTED}."
    )


def refusal(path):
    with pytest.raises(FormatError) as caught:
        import_file(path, Options())
    return str(caught.value)


def test_layers_that_are_not_supported_are_named(tmp_path):
    model = Model()
    model.add("Conv2D", {"kernel": np.zeros((3, 3, 1, 8))})
    dense(model, 8, 3, STE_SIGN, STE_SIGN, np.random.default_rng(0))
    assert refusal(model.save(tmp_path / "m.h5")) == (
        f"Layer 'conv2d_1' (Conv2D) is of a kind that is not supported; supported are {SUPPORTED}."
    )
    model = Model()
    dense(model, 8, 3, ("my_sign", sign), STE_SIGN, np.random.default_rng(0))
    assert refusal(model.save(tmp_path / "m.h5")) == (
        "Layer 'quantdense_1' (QuantDense) has the quantiser 'my_sign'; supported are SteSign, "
        "ApproxSign, SwishSign, MagnitudeAwareSign, SteHeaviside, SteTern, DoReFa."
    )
    model = Model()
    dense(model, 8, 3, STE_SIGN, STE_SIGN, np.random.default_rng(0), activation="gelu")
    assert refusal(model.save(tmp_path / "m.h5")) == (
        "Layer 'quantdense_1' (QuantDense) has the activation 'gelu'; supported are hard_tanh, "
        "relu, tanh, ste_sign, approx_sign, swish_sign, ste_heaviside and softmax."
    )


@pytest.mark.parametrize("kind", ["external", "soft", "virtual", "elsewhere", "text"])
def test_weights_come_out_of_this_file_alone(kind, tmp_path):
    """HDF5 would open any other file, a pipe too, that the file names."""
    path = tmp_path / "model.h5"
    model = Model()
    model.add("Flatten")
    model.add("Dense", {"kernel": np.ones((8, 3), np.float32)}, use_bias=False)
    model.save(path)
    with h5py.File(path, "r+") as file:
        group = file["model_weights/dense_2"]
        (name,) = group.attrs["weight_names"]
        del group[name]
        match kind:
            case "external":
                group[name] = h5py.ExternalLink(str(tmp_path / "other.h5"), "/secret")
            case "soft":
                group[name] = h5py.SoftLink("/model_weights")
            case "virtual":
                layout = h5py.VirtualLayout((8, 3), "f4")
                layout[:] = h5py.VirtualSource(str(tmp_path / "other.h5"), "secret", (8, 3))
                group.create_virtual_dataset(name, layout)
            case "elsewhere":
                outside = [(str(tmp_path / "secret"), 0, 96)]
                group.create_dataset(name, (8, 3), "f4", external=outside)
            case _:
                group.create_dataset(name, (8, 3), "S1000")
    linked = "no model of Keras or is damaged" if kind in ("external", "soft") else "no numbers in"
    with pytest.raises(FormatError, match=linked):
        stepnet.from_keras(path)


def test_weights_without_a_model_and_nan_are_refused(tmp_path):
    path = tmp_path / "m.h5"
    model = bnn(STE_SIGN, STE_SIGN)
    model.save(path, config=False)
    assert refusal(path) == (
        f"The file {str(path)!r} holds weights without the model they belong to; save both with "
        'model.save("model.h5").'
    )
    model.weights["quantdense_2"]["kernel"][1, 1] = np.nan
    assert refusal(model.save(path)) == (
        "Layer 'quantdense_2' (QuantDense) holds NaN; train the network again with a lower "
        "learning rate."
    )
    path.write_bytes(path.read_bytes()[:600])
    assert refusal(path).startswith(f"The file {str(path)!r} is no model of Keras or is damaged (")
