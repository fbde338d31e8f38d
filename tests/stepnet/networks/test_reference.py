"""The reference against the formulas of the design, written out in plain Python."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stepnet import Layer, Network
from stepnet.errors import ImageError
from stepnet.networks import reference


def naive_activations(network, image):
    """Input bits and every layer's activations of one image, as lists of ints."""
    states = [[int(grey >= network.ink_threshold) for row in image.tolist() for grey in row]]
    for layer in network.layers:
        state = []
        for row, threshold in zip(layer.weights.tolist(), layer.thresholds.tolist(), strict=True):
            total = sum(w * a for w, a in zip(row, states[-1], strict=True))
            state.append(1 if total >= threshold else 0)
        states.append(state)
    return states


def naive_code(network, image):
    *_, last_input, last = naive_activations(network, image)
    if network.readout == "bits":
        return sum(bit << k for k, bit in enumerate(last))
    if network.readout == "tree":
        text, node = network.code_prefix, 0
        while node < len(last):
            text += str(last[node])
            node = 2 * node + 1 + last[node]
        return int(text, 2)
    best_margin, best = None, None
    layer = network.layers[-1]
    for character, row, threshold in zip(
        network.alphabet, layer.weights.tolist(), layer.thresholds.tolist(), strict=True
    ):
        margin = sum(w * a for w, a in zip(row, last_input, strict=True)) - threshold
        if best_margin is None or margin > best_margin:
            best_margin, best = margin, ord(character)
    return best


@st.composite
def networks(draw):
    """Small networks of every readout and of all weight bits, thresholds near the sums."""
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    height, width = draw(st.integers(1, 5)), draw(st.integers(1, 5))
    readout = draw(st.sampled_from(["bits", "tree", "nearest"]))
    alphabet, prefix = "01234567", ""
    if readout == "bits":
        n_out = draw(st.sampled_from([7, 8]))
    elif readout == "tree":
        depth = draw(st.integers(1, 4))
        n_out, prefix = (1 << depth) - 1, "0011"[: draw(st.integers(0, 4))]
        alphabet = "".join(map(chr, range(1 << depth)))
    else:
        n_out = len(alphabet)
    layers, n_in = [], height * width
    for neurons in (*draw(st.lists(st.integers(1, 9), max_size=2)), n_out):
        bits = draw(st.integers(1, 8))
        limit = 1 << bits - 1
        weights = random.integers(-limit, limit, (neurons, n_in))
        if bits == 1:
            weights = 2 * weights + 1
        spread = int(np.ceil(np.sqrt(n_in) * limit))
        layers.append(Layer(weights, random.integers(-spread, spread + 1, neurons), bits))
        n_in = neurons
    ink_threshold = draw(st.sampled_from([0, 1, 128, 255]))
    return Network(
        "random",
        tuple(layers),
        height=height,
        width=width,
        ink_threshold=ink_threshold,
        readout=readout,
        alphabet=alphabet,
        code_prefix=prefix,
    )


@settings(deadline=None, max_examples=150, derandomize=True)
@given(networks(), st.integers(0, 2**32 - 1))
def test_it_computes_the_formulas(network, seed):
    shape = (5, network.height, network.width)
    images = np.random.default_rng(seed).choice(
        np.array([0, 1, 127, 128, 254, 255], dtype=np.uint8), shape
    )
    states = reference.activations(network, images)
    codes = reference.infer(network, images)
    assert codes.dtype == np.uint8
    for state in states:
        assert state.dtype == np.uint8
    for number, image in enumerate(images):
        assert [state[number].tolist() for state in states] == naive_activations(network, image)
        assert codes[number] == naive_code(network, image)


FARTHEST = 8000
"""Farther than any two sums of these networks are from each other."""


def naive_margin(network, image):
    """By moving one sum after the other, unit by unit, until the code changes or the sum ends."""
    *_, last_input, _ = naive_activations(network, image)
    layer = network.layers[-1]
    totals = layer.weights.astype(int) @ last_input
    excess = totals - layer.thresholds
    code = reference.read_out(network, excess[np.newaxis])[0]
    rooms = []
    for row in rows_that_count(network, excess):
        nearest = network.readout == "nearest"
        for way in (-1, 1) if nearest else (-1 if excess[row] >= 0 else 1,):
            moves = way * np.arange(1, FARTHEST)
            moved = np.tile(excess, (len(moves), 1))
            moved[:, row] += moves
            stops = reference.read_out(network, moved) != code
            if not nearest:
                weights = layer.weights[row].astype(int)
                lowest, highest = weights[weights < 0].sum(), weights[weights > 0].sum()
                stops |= (totals[row] + moves < lowest) | (totals[row] + moves > highest)
            if stops.any():
                rooms.append(int(np.argmax(stops)))
    return min(rooms)


def rows_that_count(network, excess):
    if network.readout != "tree":
        return range(len(excess))
    path, node = [], 0
    while node < len(excess):
        path.append(node)
        node = 2 * node + 1 + (excess[node] >= 0)
    return path


@settings(deadline=None, max_examples=100, derandomize=True)
@given(networks(), st.integers(0, 2**32 - 1))
def test_room_is_how_far_a_sum_may_move(network, seed):
    image = np.random.default_rng(seed).integers(0, 256, (network.height, network.width))
    image = image.astype(np.uint8)
    assert reference.margin(network, image[np.newaxis]).tolist() == [naive_margin(network, image)]


def test_thresholds_far_out_do_not_make_a_bit_surer():
    """One sum of 4 could reach 6 at most, the other 0 at least."""
    weights = np.array([[2, 2, 2]] * 3)
    image = np.array([[[True, True, False]]])
    for far, margin in ((2**31 - 1, 2), (-(2**31), 4)):
        network = one_layer(weights, [far] * 3, 4, readout="tree", alphabet="\0\1")
        assert reference.margin(network, image).tolist() == [margin]


def one_layer(weights, thresholds, weight_bits=1, **changes):
    weights = np.atleast_2d(weights)
    layer = Layer(weights, thresholds, weight_bits)
    return Network("one", (layer,), height=1, width=weights.shape[1], **changes)


def test_a_neuron_fires_at_its_threshold_and_not_below():
    network = one_layer(np.ones((7, 3)), [0, 1, 2, 3, 4, -1, 3])
    states = reference.activations(network, np.array([[[255, 255, 0]]], dtype=np.uint8))
    assert states[-1].tolist() == [[1, 1, 1, 0, 0, 1, 0]]


def test_the_first_of_equal_characters_is_nearest():
    network = one_layer([[1, -1], [1, 1], [1, 1]], [5, 0, 0], readout="nearest", alphabet="abc")
    assert reference.infer(network, np.ones((1, 1, 2), dtype=bool)).tolist() == [ord("b")]


def test_nearest_margins_are_exact_with_extreme_thresholds():
    """2^31 - 1 and 2^31 - 2 are one number in float32, but not the same threshold."""
    network = one_layer([[1], [1]], [2**31 - 1, 2**31 - 2], readout="nearest", alphabet="ab")
    assert reference.infer(network, np.ones((1, 1, 1), dtype=bool)).tolist() == [ord("b")]


def test_bool_images_are_taken_as_they_are():
    network = one_layer(np.ones((7, 4)), range(7), ink_threshold=255)
    bits = np.array([[[True, False, True, True]]])
    np.testing.assert_array_equal(reference.binarise(network, bits), [[1, 0, 1, 1]])


def test_an_empty_batch_gives_no_codes():
    network = one_layer(np.ones((7, 4)), range(7))
    assert reference.infer(network, np.zeros((0, 1, 4), dtype=np.uint8)).shape == (0,)


@pytest.mark.parametrize("shape", [(4,), (1, 4), (2, 4, 1), (2, 1, 5)])
def test_images_of_another_size_are_refused(shape):
    network = one_layer(np.ones((7, 4)), range(7))
    with pytest.raises(ImageError) as caught:
        reference.infer(network, np.zeros(shape, dtype=np.uint8))
    assert str(caught.value) == (
        f"The images have shape {shape}, but network 'one' takes (N, 1, 4)."
    )


@pytest.mark.parametrize("dtype", ["float32", "int64"])
def test_images_of_another_type_are_refused(dtype):
    network = one_layer(np.ones((7, 4)), range(7))
    with pytest.raises(ImageError) as caught:
        reference.infer(network, np.zeros((2, 1, 4), dtype=dtype))
    assert str(caught.value) == (
        f"The images hold {dtype} values; give uint8 grey values with bright ink, or bool."
    )


# Why float32 products are exact: every partial sum of a row, in whatever order a matrix product
# adds it up and whether or not it fuses products, is a sum of some of the row's weights, so an
# integer of at most n_in * max|w|. While that is at most 2^24, float32 represents it, hence no
# addition rounds.


def largest_sum_layer(n_in, weight):
    """A row whose largest sum is n_in * weight, and one a unit away in both sum and threshold."""
    weights = np.full((2, n_in), weight)
    weights[1, -1] -= 1
    total = n_in * weight
    return Layer(weights, [total, total], 8)


@pytest.mark.parametrize("n_in", [(1 << 24) // 64, (1 << 24) // 64 + 1])
def test_sums_are_exact_at_and_beyond_the_float32_bound(n_in):
    layer = largest_sum_layer(n_in, 64)
    activations = np.ones((1, n_in), dtype=np.uint8)
    sums = reference.sums(layer, activations)
    assert sums.dtype == (np.float32 if n_in * 64 <= 1 << 24 else np.float64)
    assert sums.astype(np.int64).tolist() == [[64 * n_in, 64 * n_in - 1]]
    assert (sums >= layer.thresholds).tolist() == [[True, False]]


def test_float32_holds_every_integer_up_to_the_bound_and_no_further():
    bound = reference.FLOAT32_EXACT
    edge = np.arange(bound - 1000, bound + 1)
    assert np.array_equal(edge.astype(np.float32).astype(np.int64), edge)
    assert int(np.float32(bound + 1)) != bound + 1


def test_thresholds_are_compared_exactly_beyond_float32():
    """2^24 + 1 rounds to 2^24 in float32; a sum of 2^24 does not reach it."""
    n_in = (1 << 24) // 128
    layer = Layer(np.full((2, n_in), -128), [-(1 << 24), -(1 << 24) + 1], 8)
    assert (reference.sums(layer, np.ones((1, n_in), dtype=np.uint8)) == -(1 << 24)).all()
    network = Network(
        "edge",
        (layer, Layer(np.tile([[1, -1]], (7, 1)), np.ones(7))),
        height=1,
        width=n_in,
    )
    states = reference.activations(network, np.ones((1, 1, n_in), dtype=bool))
    assert states[1].tolist() == [[1, 0]]


@pytest.mark.parametrize("threshold", [2**31 - 1, -(2**31), (1 << 24) + 1])
def test_thresholds_out_of_reach_never_or_always_hold(threshold):
    network = one_layer(np.ones((7, 3)), [threshold] * 7)
    states = reference.activations(network, np.ones((1, 1, 3), dtype=bool))
    assert states[-1].tolist() == [[int(threshold < 0)] * 7]
