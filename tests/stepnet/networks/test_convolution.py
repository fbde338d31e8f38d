"""Convolutional layers: the reference against plain loops, the file, and what is refused."""

import itertools

import numpy as np
import pytest

from stepnet import Layer, Network
from stepnet.errors import NetworkError
from stepnet.formats.c_export import c_source
from stepnet.formats.qonnx_export import qonnx_model
from stepnet.networks import reference
from stepnet.networks.convolution import Convolution
from stepnet.networks.random_networks import (
    RandomMap,
    random_convolution_network,
    random_images,
    random_network,
)

GEOMETRIES = [
    {"kernel": kernel, "stride": stride, "padding": padding, "pool": pool}
    for kernel, stride, padding, pool in itertools.product((1, 3, 4), (1, 2), (0, 1, 2), (0, 1))
    if padding < kernel
]


def naive_map(layer: Layer, below: np.ndarray) -> np.ndarray:
    """The map of answers over a map (height, width, channels), loop by loop."""
    seen = layer.convolution
    assert seen is not None
    fired = {}
    rows = range(-seen.padding, seen.height + seen.padding - seen.kernel + 1, seen.stride)
    columns = range(-seen.padding, seen.width + seen.padding - seen.kernel + 1, seen.stride)
    for (down, top), (across, left) in itertools.product(enumerate(rows), enumerate(columns)):
        for neuron in range(layer.neurons):
            total = 0
            weights = iter(layer.weights[neuron].tolist())
            for row, column in itertools.product(range(seen.kernel), repeat=2):
                y, x = top + row, left + column
                inside = 0 <= y < seen.height and 0 <= x < seen.width
                for channel in range(seen.channels):
                    total += next(weights) * (int(below[y, x, channel]) if inside else 0)
            fired[down, across, neuron] = int(total >= layer.thresholds[neuron])
    side = 2 if seen.pool else 1
    answers = np.zeros((len(rows) // side, len(columns) // side, layer.neurons), dtype=np.uint8)
    for down, across, neuron in np.ndindex(answers.shape):
        answers[down, across, neuron] = max(
            fired[side * down + row, side * across + column, neuron]
            for row, column in itertools.product(range(side), repeat=2)
        )
    return answers


@pytest.mark.parametrize("bits", [1, 3])
@pytest.mark.parametrize(
    "geometry", GEOMETRIES, ids=lambda found: "-".join(map(str, found.values()))
)
def test_the_reference_equals_plain_loops(geometry, bits):
    rng = np.random.default_rng(bits)
    seen = Convolution(7, 6, 2, **{**geometry, "pool": bool(geometry["pool"])})
    low, high = (-1, 1) if bits == 1 else (-4, 3)
    weights = rng.choice([low, high], (3, seen.fan_in))
    layer = Layer(weights, rng.integers(-2, 3, 3), bits, seen)
    maps = rng.integers(0, 2, (4, seen.n_in), dtype=np.uint8)
    answers = reference.fires(layer, maps)
    assert answers.shape == (4, layer.n_out)
    for below, found in zip(maps, answers, strict=True):
        expected = naive_map(layer, below.reshape(7, 6, 2))
        np.testing.assert_array_equal(found, expected.ravel())


def small_network() -> Network:
    maps = [RandomMap(5, 3, pool=True), RandomMap(6, 3, 2, 1, weight_bits=2)]
    return random_convolution_network(np.random.default_rng(4), 11, 9, maps, hidden=12)


def test_more_images_than_are_held_at_a_time_are_each_computed():
    network = small_network()
    images = random_images(np.random.default_rng(0), network, reference.MAPS_AT_ONCE + 3)
    together = reference.infer(network, images)
    assert len(np.unique(together)) > 5
    for number in (0, reference.MAPS_AT_ONCE - 1, reference.MAPS_AT_ONCE, len(images) - 1):
        assert reference.infer(network, images[number : number + 1])[0] == together[number]


def test_the_sizes_are_those_of_whole_maps():
    network = small_network()
    assert network.sizes == (99, 4 * 3 * 5, 2 * 2 * 6, 12, 7)
    assert network.weight_bits_total == 5 * 9 + 6 * 45 * 2 + 12 * 24 + 7 * 12


def test_a_saved_network_comes_back_whole(tmp_path):
    network = small_network()
    loaded = Network.load(network.save(tmp_path / "saved.npz"))
    assert loaded.digest == network.digest
    assert [layer.convolution for layer in loaded.layers] == [
        layer.convolution for layer in network.layers
    ]


@pytest.mark.parametrize(
    ("use", "what"),
    [
        (c_source, "the export to C"),
        (qonnx_model, "the export to QONNX"),
    ],
)
def test_who_does_not_convolve_says_so(use, what):
    with pytest.raises(NetworkError) as caught:
        use(small_network())
    assert str(caught.value) == (
        f"The network 'random' has convolutions, which {what} does not offer; take one of dense "
        "layers alone."
    )


def test_only_a_network_with_convolutions_needs_the_newer_schema(tmp_path):
    dense = random_network(np.random.default_rng(0), (9, 7))
    for network, version in ((dense, 1), (small_network(), 2)):
        with np.load(network.save(tmp_path / "saved.npz")) as archive:
            assert archive["schema_version"] == version


def test_the_same_weights_with_another_geometry_have_another_digest():
    rng = np.random.default_rng(0)
    layer = Layer(rng.choice([-1, 1], (7, 16)), np.zeros(7))
    padded, plain = (
        Network(
            "",
            (
                Layer(rng.choice([-1, 1], (1, 9)), [0], 1, Convolution(side, side, 1, 3, 1, pad)),
                Layer(np.ones((7, 16)), np.zeros(7)),
            ),
            side,
            side,
        )
        for side, pad in ((4, 1), (6, 0))
    )
    assert layer.n_in == padded.sizes[1] == plain.sizes[1]
    assert padded.digest != plain.digest


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (
            {"kernel": 5},
            "A kernel of 5 x 5 is larger than its input of 4 x 4 positions; give a smaller kernel, "
            "or pad the input.",
        ),
        ({"kernel": 8}, "A convolution has a kernel of 8 x 8; choose 1 to 7."),
        ({"kernel": 3, "stride": 3}, "A convolution has stride 3; choose 1 or 2."),
        (
            {"kernel": 3, "stride": 2, "pool": True},
            "Pooling leaves nothing of 1 x 1 positions, which is all that a kernel of 3 x 3 with "
            "stride 2 gives; leave the pooling out, or take a smaller kernel or stride 1.",
        ),
        (
            {"kernel": 3, "padding": 3},
            "A convolution with a kernel of 3 x 3 has a padding of 3; choose 0 to 2.",
        ),
        (
            {"kernel": 3, "padding": 1, "padding_value": 0},
            "Padding with 0 is not offered: an activation is -1 or +1, the bit 0 or 1, so padding "
            "with 0 is not binary; pad with -1, which is the bit 0.",
        ),
        ({"kernel": 2.0}, "A convolution has kernel 2.0; give a whole number."),
        ({"kernel": 2, "pool": 1}, "A convolution has pool 1; give True or False."),
        (
            {"kernel": 1, "width": 0},
            "A convolution is over a map of 4 x 0 x 2; give at least one row, one column and one "
            "channel.",
        ),
        (
            {"kernel": 1, "width": 513},
            "A convolution is over a map of 4 x 513 positions; give at most 512 rows and columns, "
            "padding included.",
        ),
    ],
)
def test_what_no_convolution_can_be_is_refused(given, sentence):
    with pytest.raises(NetworkError) as caught:
        Convolution(**{"height": 4, "width": 4, "channels": 2, **given})
    assert str(caught.value) == sentence


def first_layer() -> Layer:
    return Layer(np.ones((2, 9)), np.zeros(2), 1, Convolution(6, 6, 1, 3))


def refusal(*layers: Layer) -> str:
    with pytest.raises(NetworkError) as caught:
        Network("refused", layers, 6, 6)
    return str(caught.value)


def test_a_layer_with_other_weights_than_its_window_is_refused():
    with pytest.raises(NetworkError) as caught:
        Layer(np.ones((2, 10)), np.zeros(2), 1, Convolution(6, 6, 1, 3))
    assert str(caught.value) == (
        "The neurons of a convolution have 10 weights, but a window of 3 x 3 positions with 1 "
        "channels has 9 inputs; give a weight for each."
    )


def test_a_convolution_is_not_the_last_layer():
    assert refusal(first_layer()) == (
        "The last layer is a convolution, but the readout asks each of its rows once; add a dense "
        "layer."
    )


def test_a_convolution_does_not_follow_a_dense_layer():
    dense = Layer(np.ones((36, 36)), np.zeros(36))
    last = Layer(np.ones((7, 32)), np.zeros(7))
    assert refusal(dense, first_layer(), last) == (
        "Layer 1 is a convolution, but layer 0 is dense and gives no map; put convolutions before "
        "dense layers."
    )


def test_a_convolution_sees_the_map_that_the_layer_below_gives():
    other = Layer(np.ones((2, 9)), np.zeros(2), 1, Convolution(8, 4, 1, 3))
    assert refusal(first_layer(), other, Layer(np.ones((7, 24)), np.zeros(7))) == (
        "Layer 1 takes a map of 8 x 4 x 1, but layer 0 gives one of 4 x 4 x 2."
    )
    other = Layer(np.ones((2, 9)), np.zeros(2), 1, Convolution(4, 9, 1, 3))
    assert refusal(other, Layer(np.ones((7, 28)), np.zeros(7))) == (
        "Layer 0 takes a map of 4 x 9 x 1, but the image gives one of 6 x 6 x 1."
    )
