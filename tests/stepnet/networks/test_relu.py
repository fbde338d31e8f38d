"""ReLU networks: the reference against its formulas, rounding, the file, and what is refused."""

import numpy as np
import pytest

from stepnet import Network
from stepnet.errors import NetworkError
from stepnet.networks import kinds, relu
from stepnet.networks.random_networks import random_relu_network
from stepnet.networks.relu import ReluLayer, ReluNetwork, quantised


def network(hidden=(9, 6), seed=0):
    return random_relu_network(np.random.default_rng(seed), (20, *hidden, 5), height=4)


def pictures(count=200, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, 4, 5)).astype(np.uint8)


def slow(network, image):
    """Activations and character by the formulas of the module, in Python's own numbers."""
    state = [int(grey >= network.ink_threshold) for grey in image.flatten().tolist()]
    states = [state]
    for number, layer in enumerate(network.layers):
        sums = [
            sum(weight * a for weight, a in zip(row, state, strict=True)) + bias
            for row, bias in zip(layer.weights.tolist(), layer.biases.tolist(), strict=True)
        ]
        if number == len(network.layers) - 1:
            return states, network.alphabet[sums.index(max(sums))]
        half = 1 << layer.shift - 1
        state = [
            min((max(each, 0) * layer.multiplier + half) // (1 << layer.shift), 255)
            for each in sums
        ]
        states.append(state)
    raise AssertionError


@pytest.mark.parametrize("hidden", [(), (9,), (9, 6)])
def test_the_reference_is_its_formulas(hidden):
    net, images = network(hidden), pictures()
    states, codes = relu.activations(net, images), relu.infer(net, images)
    for number, image in enumerate(images):
        expected, character = slow(net, image)
        assert [state[number].tolist() for state in states] == expected
        assert chr(codes[number]) == character
    assert len(set(codes.tolist())) > 2
    np.testing.assert_array_equal(kinds.infer(net, images), codes)


def test_requantisation_rounds_up_from_halfway_and_saturates():
    layer = ReluLayer(np.ones((1, 1)), np.zeros(1), multiplier=3, shift=2)
    sums = np.array([-100, -1, 0, 1, 2, 3, 339, 340, 1 << 22])
    # 0.75, 1.5, 2.25, 254.25, 255
    assert relu.requantised(layer, sums).tolist() == [0, 0, 0, 1, 2, 2, 254, 255, 255]


def test_the_first_of_equal_sums_wins():
    layer = ReluLayer(np.ones((3, 4)), np.array([0, 1, 1]))
    net = ReluNetwork("tie", (layer,), 2, 2, readout="nearest", alphabet="abc")
    assert bytes(relu.infer(net, np.full((1, 2, 2), 255, np.uint8))) == b"b"


def test_rounding_real_layers_changes_little():
    random = np.random.default_rng(1)
    weights = [random.normal(0, 0.3, (16, 20)), random.normal(0, 0.3, (5, 16))]
    biases = [random.normal(0, 0.3, 16), random.normal(0, 0.3, 5)]
    pixels = random.integers(0, 2, (500, 20))
    hidden = np.maximum(pixels @ weights[0].T + biases[0], 0)
    layers = quantised(weights, biases, [hidden.max()])
    assert np.abs(layers[0].weights).max() == np.abs(layers[1].weights).max() == 127
    state = relu.requantised(layers[0], relu.layer_sums(layers[0], pixels.astype(np.uint8)))
    np.testing.assert_allclose(state * hidden.max() / 255, hidden, atol=0.03)
    sums = relu.layer_sums(layers[1], state)
    real = hidden @ weights[1].T + biases[1]
    scale = np.abs(weights[1]).max() / 127 * hidden.max() / 255
    np.testing.assert_allclose(sums * scale, real, atol=0.06)


def test_the_file_gives_the_network_back(tmp_path):
    net = network()
    path = net.save(tmp_path / "net.npz")
    for again in (ReluNetwork.load(path), kinds.load(path), kinds.load(path)):
        assert isinstance(again, ReluNetwork)
        assert again.digest == net.digest
        np.testing.assert_array_equal(relu.infer(again, pictures()), relu.infer(net, pictures()))
    other = ReluNetwork("small", net.layers, 4, 5, readout="nearest", alphabet="fghij")
    assert other.digest != net.digest


def test_it_is_no_step_network_and_a_step_network_is_none(tmp_path):
    path = network().save(tmp_path / "net.npz")
    with pytest.raises(NetworkError) as caught:
        Network.load(path)
    assert str(caught.value) == (
        f"The file {str(path)!r} holds a relu network, whose neurons are no steps; name a step "
        "network."
    )
    with pytest.raises(NetworkError) as caught:
        ReluNetwork.load("digits")
    assert str(caught.value).endswith(
        "holds a step network, not a ReLU network; name one that `stepnet train --rule sgd` made."
    )


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"multiplier": 256}, "A layer has the multiplier 256; give 0 to 255."),
        ({"shift": 0}, "A layer has the shift 0; give 1 to 31."),
        ({"shift": 32}, "A layer has the shift 32; give 1 to 31."),
        (
            {"weights": np.full((1, 2), 128)},
            "The weights of a layer reach from 128 to 128; they must lie in -128 to 127.",
        ),
    ],
)
def test_what_a_layer_refuses(changes, sentence):
    with pytest.raises(NetworkError) as caught:
        ReluLayer(**{"weights": np.ones((1, 2)), "biases": np.zeros(1), **changes})
    assert str(caught.value) == sentence


def test_another_readout_is_refused():
    layer = ReluLayer(np.ones((7, 4)), np.zeros(7))
    with pytest.raises(NetworkError) as caught:
        ReluNetwork("bits", (layer,), 2, 2)
    assert str(caught.value) == (
        "A ReLU network reads nearest, but this one says bits; give one neuron per character and "
        "readout nearest."
    )
