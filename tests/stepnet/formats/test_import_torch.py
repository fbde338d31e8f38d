"""Networks from torch and Brevitas, as modules and as the files that Brevitas exports."""

import numpy as np
import pytest
import torch
from torch import nn

import stepnet
from onnx_graphs import all_images, by_qonnx
from stepnet.errors import FormatError
from stepnet.formats.importing import Options, import_onnx, import_torch
from stepnet.formats.torch_module import SUPPORTED
from stepnet.networks import reference

ZERO_CODE = ord("0")
IMAGES = all_images(2, 4)


class Step(nn.Module):
    """A sign of some kind, as people write it."""

    def __init__(self, function):
        super().__init__()
        self._function = function

    def forward(self, x):
        return self._function(x)


SIGNS = {
    "zero up": lambda x: torch.where(x >= 0, 1.0, -1.0),
    "zero down": lambda x: torch.where(x > 0, 1.0, -1.0),
    "three values": torch.sign,
    "bits": lambda x: (x > 0).float(),
    "clipped first": lambda x: torch.sign(torch.clamp(x, -1, 1) + 0.5),
}


def binary(n_in, n_out, bias=False):
    layer = nn.Linear(n_in, n_out, bias=bias)
    layer.weight.data = torch.where(layer.weight.data >= 0, 1.0, -1.0)
    if bias:
        layer.bias.data = layer.bias.data.sign() * 2
    return layer


def norm(count):
    """A norm with gammas of both signs and 0, whose deviation is 1, so that sums fall on edges."""
    layer = nn.BatchNorm1d(count)
    layer.weight.data = torch.randint(-2, 3, (count,)).float()
    layer.bias.data = torch.randint(-1, 2, (count,)).float()
    layer.running_mean.copy_(torch.randint(-2, 3, (count,)))
    layer.running_var.fill_(1 - 1e-5)
    return layer


def classes_by(module, images):
    values = torch.from_numpy(images.astype(np.float32) / np.float32(255))
    with torch.no_grad():
        found = module.eval()(values)
    return getattr(found, "value", found).numpy().argmax(axis=1)


def check(module, images=IMAGES, **options):
    found = import_torch(module, Options(image_size=images.shape[1:], **options))
    assert found.is_exact
    codes = reference.infer(found.network, images).astype(int)
    np.testing.assert_array_equal(codes - ZERO_CODE, classes_by(module, images))
    return found


@pytest.mark.parametrize("kind", SIGNS)
def test_a_sequential_with_any_sign_reads_every_image_as_torch_does(kind):
    torch.manual_seed(0)
    module = nn.Sequential(
        nn.Flatten(),
        binary(8, 6),
        norm(6),
        Step(SIGNS[kind]),
        nn.Sequential(binary(6, 5, bias=True), Step(SIGNS[kind]), nn.Dropout(0.2)),
        binary(5, 3),
        nn.Softmax(dim=1),
    )
    found = check(module)
    assert found.tool == f"torch {torch.__version__}"
    assert module.training is False  # as `classes_by` left it


def test_the_module_stays_as_it_is():
    module = nn.Sequential(nn.Flatten(), binary(8, 6), norm(6), Step(torch.sign), binary(6, 3))
    stepnet.from_torch(module.train())
    assert all(each.training for each in module.modules())


def test_parametrised_weights_are_those_that_the_layer_computes_with():
    from torch.nn.utils import parametrize

    torch.manual_seed(1)
    layer = nn.Linear(8, 6, bias=False)
    parametrize.register_parametrization(layer, "weight", Step(SIGNS["zero up"]))
    found = check(nn.Sequential(nn.Flatten(), layer, Step(SIGNS["zero up"]), binary(6, 3)))
    assert [each.weight_bits for each in found.network.layers] == [1, 1]


def test_brevitas_layers_with_a_scale_of_a_power_of_two():
    import brevitas.nn as qnn
    from brevitas.inject.enum import RestrictValueType, ScalingImplType

    torch.manual_seed(2)
    even = {
        "weight_scaling_impl_type": ScalingImplType.STATS,
        "weight_restrict_scaling_type": RestrictValueType.POWER_OF_TWO,
    }
    module = nn.Sequential(
        nn.Flatten(),
        qnn.QuantLinear(8, 6, bias=False, weight_bit_width=3, **even),
        qnn.QuantIdentity(
            bit_width=2,
            scaling_impl_type=ScalingImplType.CONST,
            scaling_init=0.5,
            signed=True,
            return_quant_tensor=True,
        ),
        qnn.QuantLinear(6, 4, bias=False, weight_bit_width=2, **even),
    )
    found = check(module)
    assert found.widened[0][0] == 6
    assert found.widened[0][1] > 6


def test_brevitas_layers_with_any_scale_agree_on_random_images():
    """Scales that Brevitas learns are real numbers; then Brevitas rounds, and ties are chance."""
    import brevitas.nn as qnn

    torch.manual_seed(3)
    layer = nn.BatchNorm1d(32)
    layer.running_mean.normal_(0, 0.5)
    module = nn.Sequential(
        nn.Flatten(),
        qnn.QuantLinear(64, 32, bias=True, weight_bit_width=4, bias_quant=None),
        layer,
        qnn.QuantReLU(bit_width=2),
        qnn.QuantLinear(32, 10, bias=True, weight_bit_width=8, bias_quant=None),
    )
    images = np.random.default_rng(0).choice([0, 255], (1000, 8, 8)).astype(np.uint8)
    check(module, images)


@pytest.mark.parametrize(
    ("module", "sentence"),
    [
        (
            nn.Linear(8, 3),
            "The module is a Linear; supported is nn.Sequential, so put its layers into one, or "
            "export it to ONNX and import the file.",
        ),
        (
            nn.Sequential(nn.Flatten()),
            f"The module has no linear layer; supported are {SUPPORTED}.",
        ),
        (
            nn.Sequential(binary(8, 6), nn.LayerNorm(6), Step(torch.sign), binary(6, 3)),
            f"Module '1' (LayerNorm) looks at more than one value at a time; supported are "
            f"{SUPPORTED}.",
        ),
        (
            nn.Sequential(binary(8, 6), Step(torch.sign), binary(5, 3)),
            "Module '2' (Linear) has weights for 5 inputs, but 6 values come in; make both the "
            "same.",
        ),
        (
            nn.Sequential(binary(8, 6), nn.Softmax(dim=1), binary(6, 3)),
            "Module '2' (Linear) computes with what a softmax gives; supported is a softmax at the "
            "end, which is left out.",
        ),
    ],
)
def test_what_a_sequential_cannot_hold_is_named(module, sentence):
    with pytest.raises(FormatError) as caught:
        stepnet.from_torch(module)
    assert str(caught.value) == sentence


def test_a_linear_layer_with_a_forward_of_its_own_is_refused():
    class Masked(nn.Linear):
        def forward(self, x):
            return super().forward(x) * 2

    with pytest.raises(FormatError) as caught:
        stepnet.from_torch(nn.Sequential(Masked(8, 3)))
    assert str(caught.value) == (
        "Module '0' (Masked) has a forward of its own, which may do anything with its weights; "
        f"supported are {SUPPORTED}."
    )


def test_a_module_that_wants_another_shape_is_refused():
    module = nn.Sequential(binary(8, 6), nn.Conv1d(1, 1, 3), binary(6, 3))
    with pytest.raises(FormatError) as caught:
        stepnet.from_torch(module)
    assert str(caught.value).startswith("Module '1' (Conv1d) ")
    assert str(caught.value).endswith(f"supported are {SUPPORTED}.")


def zoo_network(weight_bits, activation_bits, input_bits, width):
    """A network of Brevitas' BNN-PYNQ examples, which the public model zoos hold, untrained, with
    statistics as training leaves them."""
    from brevitas_examples.bnn_pynq.models.FC import FC

    torch.manual_seed(4)
    network = FC(10, weight_bits, activation_bits, input_bits, 1, (width,) * 3)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm1d):
            module.running_mean.normal_(0, 5)
            module.running_var.uniform_(10, 60)
            module.weight.data.normal_()
            module.bias.data.normal_()
    return network.eval()


ZOO = {"TFC_1W1A": (1, 1, 1, 64), "TFC_1W2A": (1, 2, 2, 64), "TFC_2W2A": (2, 2, 2, 64)}


@pytest.mark.slow
@pytest.mark.parametrize("name", ZOO)
def test_a_network_of_the_model_zoo_agrees_with_qonnx_on_every_one_of_1000_images(name, tmp_path):
    from brevitas.export import export_qonnx

    network = zoo_network(*ZOO[name])
    path = tmp_path / f"{name}.onnx"
    export_qonnx(network, torch.zeros(1, 1, 28, 28), str(path), dynamo=False)
    found = import_onnx(path, Options())
    assert found.is_exact
    assert found.undecided == 0
    assert found.on_full_ink.equal == 1000
    assert found.network.sizes[0] == 784
    assert found.sees_grey == (ZOO[name][2] > 1)
    images = np.random.default_rng(5).choice([0, 255], (1000, 28, 28)).astype(np.uint8)
    if not found.sees_grey:
        images = np.random.default_rng(6).integers(0, 256, (1000, 28, 28)).astype(np.uint8)
    model = export_qonnx(network, torch.zeros(1000, 1, 28, 28), dynamo=False)
    model.graph.input[0].name, name_before = "image", model.graph.input[0].name
    for node in model.graph.node:
        node.input[:] = ["image" if each == name_before else each for each in node.input]
    expected = by_qonnx(model, images / np.float32(255)).argmax(axis=1)
    codes = reference.infer(found.network, images).astype(int) - ZERO_CODE
    np.testing.assert_array_equal(codes, expected)


@pytest.mark.slow
def test_what_torch_s_newer_exporter_writes_is_read_alike(tmp_path):
    from brevitas.export import export_onnx_qcdq, export_qonnx

    network = zoo_network(2, 2, 2, 16)
    paths = [tmp_path / f"{number}.onnx" for number in range(3)]
    one = torch.zeros(1, 1, 28, 28)
    export_qonnx(network, one, str(paths[0]), dynamo=False)
    export_qonnx(network, one, str(paths[1]), dynamo=True)
    export_onnx_qcdq(network, one, str(paths[2]), dynamo=False)
    first, *others = [stepnet.from_onnx(path, name="x") for path in paths]
    for other in others:
        for one_layer, other_layer in zip(first.layers, other.layers, strict=True):
            np.testing.assert_array_equal(one_layer.weights, other_layer.weights)
            np.testing.assert_array_equal(one_layer.thresholds, other_layer.thresholds)
