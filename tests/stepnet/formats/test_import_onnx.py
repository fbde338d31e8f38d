"""Networks from ONNX, in every dialect, read as QONNX and onnxruntime do, on the edges too."""

import numpy as np
import pytest

import stepnet
from onnx_graphs import (
    DIALECTS,
    EPSILON,
    Graph,
    all_images,
    by_qonnx,
    classes_by_qonnx,
    output_type,
    random_graph,
)
from stepnet.formats.importing import Options, import_onnx
from stepnet.networks import reference

ZERO_CODE = ord("0")
IMAGES = all_images(2, 4)


def imported(graph, path, **options):
    graph.save(path / "network.onnx", output_type=output_type(graph))
    return import_onnx(path / "network.onnx", Options(**options))


def classes(network, images):
    return reference.infer(network, images).astype(int) - ZERO_CODE


def rounds(found):
    """Whether the import says that the source's own rounding decides somewhere."""
    return any("round" in note for note in found.notes)


def check_random(dialect, seed, path):
    found = imported(random_graph(dialect, seed), path, pixels="0..1")
    assert found.is_exact
    assert found.on_full_ink.equal == found.on_full_ink.images
    if not rounds(found):
        expected = classes_by_qonnx(random_graph(dialect, seed, batch=len(IMAGES)), IMAGES)
        np.testing.assert_array_equal(classes(found.network, IMAGES), expected)


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("seed", range(3))
def test_random_networks_read_every_image_as_qonnx_does(dialect, seed, tmp_path):
    check_random(dialect, seed, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("dialect", DIALECTS)
def test_many_random_networks_read_every_image_as_qonnx_does(dialect, tmp_path):
    for seed in range(3, 18):
        check_random(dialect, seed, tmp_path)


def one_layer(batch, activate, weights, norm=None, domain="qonnx.custom_op.general"):
    """Paper and ink as -1 and +1, one layer with an activation, and scores that tell its value:
    two classes of which the first wins where the only neuron gives more than nothing."""
    graph = Graph((1, 2, 4), batch, domain)
    graph.add("Flatten", axis=1)
    graph.add("Mul", np.float32(2))
    graph.add("Sub", np.float32(1))
    graph.custom("BipolarQuant", np.float32(1))
    graph.add("MatMul", np.asarray(weights, np.float32).reshape(8, 1))
    if norm is not None:
        gamma, beta, mean, variance = (np.array([value], np.float32) for value in norm)
        graph.add("BatchNormalization", gamma, beta, mean, variance, epsilon=float(EPSILON))
    activate(graph)
    graph.add("MatMul", np.array([[1, -1]], np.float32))
    return graph


def bipolar(graph):
    graph.custom("BipolarQuant", np.float32(1))


def sign(graph):
    graph.add("Sign")


def strictly(graph):
    above = graph.add("Greater", np.float32(0), keep=True)
    graph.add("Where", np.float32(1), np.float32(-1), first=above)


def not_below(graph):
    below = graph.add("Less", np.float32(0), keep=True)
    graph.add("Where", np.float32(-1), np.float32(1), first=below)


def sign_with_zero_up(graph):
    """`sign(sign(x) + 0.1)`, which is how larq writes it."""
    graph.add("Sign")
    graph.add("Add", np.float32(0.1))
    graph.add("Sign")


def sign_or_one(graph):
    """The sign, and 1 in its zeros: two values of the same sum meet again."""
    found = graph.add("Sign")
    zero = graph.add("Equal", np.float32(0), keep=True)
    graph.add("Where", np.float32(1), found, first=zero)


def threshold_at_zero(graph):
    graph.custom(
        "MultiThreshold",
        np.zeros((1, 1), np.float32),
        out_dtype="BIPOLAR",
        out_scale=2.0,
        out_bias=-1.0,
    )


BALANCED = (1, 1, 1, 1, -1, -1, -1, -1)
"""Weights whose sum over -1 and +1 is 0 for many images."""


@pytest.mark.parametrize(
    ("activate", "at_zero"),
    [
        (bipolar, 1),
        (sign_with_zero_up, 1),
        (sign_or_one, 1),
        (not_below, 1),
        (threshold_at_zero, 1),
        (strictly, -1),
        (sign, 0),
    ],
)
def test_a_sum_of_zero_goes_where_the_source_puts_it(activate, at_zero, tmp_path):
    found = imported(one_layer(1, activate, BALANCED), tmp_path)
    neurons = found.network.layers[0]
    # Over bits of 0 and 1 the sum is half of that over -1 and +1, as the weights add up to 0.
    assert set(neurons.thresholds.tolist()) == {1: {0}, -1: {1}, 0: {0, 1}}[at_zero]
    expected = classes_by_qonnx(one_layer(len(IMAGES), activate, BALANCED), IMAGES)
    np.testing.assert_array_equal(classes(found.network, IMAGES), expected)


def test_a_sign_whose_zero_no_sum_reaches_is_one_neuron(tmp_path):
    odd = one_layer(1, sign, (1, 1, 1, 1, -1, -1, -1, -1), norm=(1, 0, 0.5, 1 - EPSILON))
    assert imported(odd, tmp_path).network.sizes == (8, 1, 2)


@pytest.mark.parametrize("gamma", [1, -1, 2, -0.5])
@pytest.mark.parametrize("mean", [-2, 0, 2])
@pytest.mark.parametrize("beta", [-2, 0, 1])
def test_a_norm_folds_into_an_integer_threshold(gamma, mean, beta, tmp_path):
    """With a deviation of 1 every sum is even, and beta moves the threshold onto one of them."""
    norm = (gamma, beta, mean, 1 - EPSILON)
    found = imported(one_layer(1, bipolar, BALANCED, norm), tmp_path)
    threshold = mean - beta / gamma
    layer = found.network.layers[0]
    sum_of_weights = int(layer.weights.sum())
    if gamma > 0:
        assert layer.weights[0].tolist() == list(BALANCED)
        assert layer.thresholds[0] == np.ceil((threshold + sum_of_weights) / 2)
    else:
        assert layer.weights[0].tolist() == [-weight for weight in BALANCED]
        assert layer.thresholds[0] == np.ceil((-threshold + sum_of_weights) / 2)
    expected = classes_by_qonnx(one_layer(len(IMAGES), bipolar, BALANCED, norm), IMAGES)
    np.testing.assert_array_equal(classes(found.network, IMAGES), expected)


@pytest.mark.parametrize("beta", [-1, 0, 1])
def test_a_norm_with_gamma_0_is_a_constant(beta, tmp_path):
    norm = (0, beta, 3, 1)
    found = imported(one_layer(1, bipolar, BALANCED, norm), tmp_path)
    expected = classes_by_qonnx(one_layer(len(IMAGES), bipolar, BALANCED, norm), IMAGES)
    assert len(set(expected)) == 1
    np.testing.assert_array_equal(classes(found.network, IMAGES), expected)


def scored(batch, weights, end=lambda graph: None):
    """Paper and ink as -1 and +1, and the scores of one layer."""
    graph = Graph((1, 2, 4), batch)
    graph.add("Flatten", axis=1)
    graph.add("Mul", np.float32(2))
    graph.add("Sub", np.float32(1))
    graph.custom("BipolarQuant", np.float32(1))
    graph.add("MatMul", np.asarray(weights, np.float32))
    end(graph)
    return graph


@pytest.fixture
def signs():
    return np.random.default_rng(0).choice([-1, 1], (8, 5))


def check_scored(found, weights, end=lambda graph: None):
    expected = classes_by_qonnx(scored(len(IMAGES), weights, end), IMAGES)
    np.testing.assert_array_equal(classes(found.network, IMAGES), expected)


def test_scores_become_nearest_with_half_the_sum_of_weights(signs, tmp_path):
    found = imported(scored(1, signs), tmp_path)
    (layer,) = found.network.layers
    assert found.network.readout == stepnet.Readout.NEAREST
    assert layer.weight_bits == 1
    np.testing.assert_array_equal(layer.weights, signs.T)
    np.testing.assert_array_equal(layer.thresholds, signs.sum(axis=0) // 2)
    check_scored(found, signs)


def test_an_odd_number_of_inputs_moves_all_thresholds_by_a_half(signs, tmp_path):
    """`(sum w + n mod 2) / 2`; the last input is paper for good, as its weights are not asked."""
    weights = signs[:7]

    def graph(batch):
        made = Graph((7,), batch)
        made.add("Mul", np.float32(2))
        made.add("Sub", np.float32(1))
        made.custom("BipolarQuant", np.float32(1))
        made.add("MatMul", weights.astype(np.float32))
        return made

    images = all_images(1, 7)
    found = imported(graph(1), tmp_path)
    thresholds = found.network.layers[0].thresholds
    np.testing.assert_array_equal(thresholds, (weights.sum(axis=0) + 1) // 2)
    expected = classes_by_qonnx(graph(len(images)), images)
    np.testing.assert_array_equal(classes(found.network, images), expected)


def scalar_norm(graph):
    graph.add("Sub", np.float32(0.3))
    graph.add("Div", np.float32(2.7))
    graph.add("Mul", np.float32(1.1))
    graph.add("Add", np.float32(-7))


def test_a_scalar_norm_behind_the_scores_drops_out(signs, tmp_path):
    plain = imported(scored(1, signs), tmp_path).network
    normed = imported(scored(1, signs, scalar_norm), tmp_path)
    assert normed.is_exact
    np.testing.assert_array_equal(normed.network.layers[0].thresholds, plain.layers[0].thresholds)


def test_a_negative_scalar_turns_all_rows(signs, tmp_path):
    def end(graph):
        graph.add("Mul", np.float32(-0.2))

    found = imported(scored(1, signs, end), tmp_path)
    assert found.is_exact
    np.testing.assert_array_equal(found.network.layers[0].weights, -signs.T)
    check_scored(found, signs, end)


def test_a_bias_of_each_class_is_exact_because_rows_can_stand_in_another_order(signs, tmp_path):
    """A tie of integers is settled by what is left of the biases, so by the order of the rows."""
    bias = np.array([0.1, 0.9, -0.3, 0.4, 0.2], np.float32)

    def end(graph):
        graph.add("Add", bias)

    found = imported(scored(1, signs, end), tmp_path)
    assert found.is_exact
    assert found.network.alphabet != "01234"
    assert sorted(found.network.alphabet) == list("01234")
    check_scored(found, signs, end)


def test_a_norm_of_each_class_is_folded_into_8_bits_with_a_figure(tmp_path):
    random = np.random.default_rng(1)
    weights = random.choice([-1, 1], (8, 5))
    numbers = (
        random.uniform(0.5, 2, 5),
        random.normal(0, 1, 5),
        random.normal(0, 1, 5),
        np.ones(5),
    )

    def end(graph):
        graph.add("BatchNormalization", *(each.astype(np.float32) for each in numbers))

    found = imported(scored(1, weights, end), tmp_path)
    assert not found.is_exact
    assert found.network.layers[0].weight_bits == 8
    assert found.notes == (
        "Each class has a scale of its own, which integers cannot follow exactly; the scales were "
        "folded into weights of 8 bits.",
    )
    expected = classes_by_qonnx(scored(len(IMAGES), weights, end), IMAGES)
    equal = np.mean(classes(found.network, IMAGES) == expected)
    assert equal > 0.9
    assert 0.9 < found.on_full_ink.part <= 1
    assert found.network.card["exact"] == "no"
    assert found.network.card["agreement"] == (
        f"{found.on_full_ink} random images of paper and full ink"
    )


def test_classes_whose_scales_are_small_integers_stay_exact(signs, tmp_path):
    scales = np.array([1, 2, 3, 1, 4], np.float32) * np.float32(0.5)

    def end(graph):
        graph.add("Mul", scales)

    found = imported(scored(1, signs, end), tmp_path)
    assert found.is_exact
    check_scored(found, signs, end)


@pytest.mark.parametrize(
    ("kind", "attributes"),
    [
        ("ArgMax", {"axis": 1, "keepdims": 0}),
        ("ArgMax", {"axis": -1, "keepdims": 1}),
        ("ArgMax", {"axis": 1, "keepdims": 0, "select_last_index": 1}),
        ("ArgMin", {"axis": 1, "keepdims": 0}),
    ],
)
def test_ties_go_to_the_class_that_argmax_takes(kind, attributes, tmp_path):
    """Two equal columns of weights tie in every image."""
    weights = np.random.default_rng(2).choice([-1, 1], (8, 3))[:, [0, 1, 0, 2]]

    def end(graph):
        graph.add(kind, **attributes)

    graph = scored(1, weights, end)
    graph.save(tmp_path / "network.onnx", output_type=7)
    found = import_onnx(tmp_path / "network.onnx", Options())
    expected = by_qonnx(
        scored(len(IMAGES), weights, end).model(output_type=7), IMAGES / np.float32(255)
    )
    np.testing.assert_array_equal(classes(found.network, IMAGES), expected.reshape(-1))


@pytest.mark.parametrize("largest", [0, 1])
def test_topk_chooses_as_argmax_does(largest, signs, tmp_path):
    def end(graph):
        graph.add("TopK", np.array([1]), outputs=2, axis=1, largest=largest)
        graph.last = graph.nodes[-1].output[1]

    graph = scored(1, signs, end)
    graph.save(tmp_path / "network.onnx", output_type=7)
    found = import_onnx(tmp_path / "network.onnx", Options())
    expected = by_qonnx(
        scored(len(IMAGES), signs, end).model(output_type=7), IMAGES / np.float32(255)
    )
    np.testing.assert_array_equal(classes(found.network, IMAGES), expected.reshape(-1))


def named(graph):
    """The class as one of five letters."""
    chosen = graph.add("ArgMax", axis=1, keepdims=0)
    table = graph.constant(np.frombuffer(b"HELO!", np.uint8).astype(np.int64))
    graph.add("Gather", chosen, first=table, axis=0)


def moved(graph):
    """The class as a digit's code."""
    graph.add("ArgMax", axis=1, keepdims=0)
    graph.add("Add", np.array(ZERO_CODE))


@pytest.mark.parametrize(("end", "alphabet"), [(named, "HELO!"), (moved, "01234")])
def test_codes_behind_the_choice_become_the_alphabet(end, alphabet, signs, tmp_path):
    scored(1, signs, end).save(tmp_path / "network.onnx", output_type=7)
    found = import_onnx(tmp_path / "network.onnx", Options())
    assert found.network.alphabet == alphabet
    expected = by_qonnx(
        scored(len(IMAGES), signs, end).model(output_type=7), IMAGES / np.float32(255)
    )
    np.testing.assert_array_equal(reference.infer(found.network, IMAGES), expected)


def test_scores_of_few_values_are_step_neurons_of_their_own(signs, tmp_path):
    """Scores that a quantiser cuts off tie where the sums do not."""

    def end(graph):
        settings = {"signed": 1, "narrow": 0, "rounding_mode": "ROUND"}
        graph.custom("Quant", np.float32(2), np.float32(0), np.float32(2), **settings)

    found = imported(scored(1, signs, end), tmp_path)
    assert found.is_exact
    assert len(found.network.layers) == 2
    check_scored(found, signs, end)


def test_a_neuron_is_repeated_where_a_weight_behind_it_needs_more_than_8_bits(tmp_path):
    """-128 times a value that falls as its sum rises is 128, which is 127 and 1."""

    def graph(batch):
        made = scored(batch, np.stack([BALANCED, (-128, 1, 2, 3, 4, 5, 6, 7)], axis=1))
        made.add(
            "MultiThreshold",
            np.zeros((1, 1), np.float32),
            domain=made.domain,
            out_dtype="BIPOLAR",
            out_scale=-2.0,
            out_bias=1.0,
        )
        made.add("MatMul", np.array([[1, 3], [-128, 0]], np.float32))
        return made

    found = imported(graph(1), tmp_path)
    assert found.is_exact
    assert found.network.layers[0].n_out == 3
    expected = classes_by_qonnx(graph(len(IMAGES)), IMAGES)
    np.testing.assert_array_equal(classes(found.network, IMAGES), expected)


def shared(batch):
    """One constant is scale, bias and norm of several nodes; weights are real numbers times 0.25,
    transposed in front of the product; a dropout and a dead branch lead nowhere."""
    graph = Graph((1, 2, 4), batch)
    one = graph.constant(np.ones(1, np.float32), "one")
    shape = graph.add("Shape", keep=True)
    count = graph.add("Gather", np.array(0), first=shape, keep=True, axis=0)
    row = graph.add("Unsqueeze", np.array([0]), first=count, keep=True)
    whole = graph.add("Concat", np.array([-1]), first=row, keep=True, axis=0)
    graph.add("Reshape", whole)
    graph.add("Mul", np.float32(2))
    graph.add("Sub", one)
    graph.custom("BipolarQuant", one)
    random = np.random.default_rng(4)
    weights = graph.constant((random.choice([-1, 1], (6, 8)) * 0.25).astype(np.float32))
    across = graph.add("Transpose", first=weights, perm=[1, 0], keep=True)
    graph.add("MatMul", across)
    graph.add("Add", one)
    kept = graph.add("Dropout", outputs=2)
    graph.add("Relu", first=kept, keep=True)
    graph.custom("BipolarQuant", one)
    graph.add("MatMul", random.choice([-1, 1], (6, 4)).astype(np.float32))
    return graph


def test_shared_constants_real_weights_and_dead_ends(tmp_path):
    found = imported(shared(1), tmp_path)
    assert found.is_exact
    assert found.network.sizes == (8, 6, 4)
    assert [layer.weight_bits for layer in found.network.layers] == [1, 1]
    expected = classes_by_qonnx(shared(len(IMAGES)), IMAGES)
    np.testing.assert_array_equal(classes(found.network, IMAGES), expected)


def columns(batch):
    """Every vector is a column: weights come first in each product."""
    graph = Graph((8, 1), batch)
    graph.add("Mul", np.float32(2))
    graph.add("Sub", np.float32(1))
    graph.custom("BipolarQuant", np.float32(1))
    random = np.random.default_rng(5)
    for n_in, n_out in ((8, 6), (6, 3)):
        weights = graph.constant(random.choice([-1, 1], (n_out, n_in)).astype(np.float32))
        before, graph.last = graph.last, weights
        graph.add("MatMul", before)
        if n_out == 6:
            graph.custom("BipolarQuant", np.float32(1))
    graph.add("Transpose", perm=[0, 2, 1])
    return graph


def test_weights_may_stand_in_front(tmp_path):
    found = imported(columns(1), tmp_path)
    assert found.is_exact
    output = by_qonnx(columns(len(IMAGES)).model(), IMAGES / np.float32(255))
    expected = output.reshape(len(IMAGES), -1).argmax(axis=1)
    np.testing.assert_array_equal(classes(found.network, IMAGES), expected)


def popcounts(batch):
    """FINN's own form: bits of 0 and 1, and the number of places where input and weight agree."""
    graph = Graph((1, 8), batch)
    settings = {"out_dtype": "BINARY"}
    graph.add("Flatten", axis=1)
    graph.custom("MultiThreshold", np.full((1, 1), 0.5, np.float32), **settings)
    random = np.random.default_rng(6)
    graph.custom("XnorPopcountMatMul", random.integers(0, 2, (8, 5)).astype(np.float32))
    graph.custom("MultiThreshold", random.integers(2, 7, (5, 1)).astype(np.float32), **settings)
    graph.custom("XnorPopcountMatMul", random.integers(0, 2, (5, 3)).astype(np.float32))
    return graph


def test_popcounts_of_finn(tmp_path):
    found = imported(popcounts(1), tmp_path)
    assert found.is_exact
    assert [layer.weight_bits for layer in found.network.layers] == [1, 1]
    expected = classes_by_qonnx(popcounts(len(IMAGES)), IMAGES)
    np.testing.assert_array_equal(classes(found.network, IMAGES.reshape(-1, 2, 4)), expected)


def quantised(batch):
    """Brevitas' standard form: quantise, clip, dequantise, for weights too."""
    graph = Graph((1, 2, 4), batch, "")
    zero = graph.constant(np.int8(0), "zero")

    def quantise(scale, low, high, first=None):
        steps = graph.add("QuantizeLinear", np.float32(scale), zero, first=first, keep=True)
        limits = (np.int8(low), np.int8(high))
        clipped = graph.add("Clip", *limits, first=steps, keep=True)
        return graph.add("DequantizeLinear", np.float32(scale), zero, first=clipped, keep=True)

    random = np.random.default_rng(7)
    graph.add("Flatten", axis=1)
    graph.last = quantise(1, 0, 1)
    for n_in, n_out in ((8, 6), (6, 3)):
        weights = graph.constant(random.uniform(-1.5, 1.5, (n_in, n_out)).astype(np.float32))
        graph.add("MatMul", quantise(0.5, -2, 1, weights))
        if n_out == 6:
            graph.last = quantise(0.5, -1, 1)
    return graph


def test_quantise_and_dequantise_of_plain_onnx(tmp_path):
    found = imported(quantised(1), tmp_path)
    assert found.is_exact
    assert found.widened == ((6, found.network.sizes[1]),)
    expected = classes_by_qonnx(quantised(len(IMAGES)), IMAGES)
    np.testing.assert_array_equal(classes(found.network, IMAGES), expected)


def levels(batch, bits=2):
    """Activations of several levels."""
    graph = scored(batch, np.random.default_rng(8).choice([-1, 1], (8, 4)))
    settings = {"signed": 0, "narrow": 0, "rounding_mode": "ROUND"}
    graph.custom("Quant", np.float32(2), np.float32(0), np.float32(bits), **settings)
    graph.add("MatMul", np.random.default_rng(9).choice([-1, 1], (4, 3)).astype(np.float32))
    return graph


def test_activations_of_two_bits_are_three_step_neurons_with_the_same_weights(tmp_path):
    found = imported(levels(1), tmp_path)
    assert found.is_exact
    assert found.widened == ((4, 12),)
    layer = found.network.layers[0]
    np.testing.assert_array_equal(layer.weights, np.repeat(layer.weights[::3], 3, axis=0))
    assert np.all(np.diff(layer.thresholds.reshape(4, 3), axis=1) > 0)
    expected = classes_by_qonnx(levels(len(IMAGES)), IMAGES)
    np.testing.assert_array_equal(classes(found.network, IMAGES), expected)


def grey(batch, thresholds, scale=2.0, bias=-1.0):
    """A threshold, or several, right at the pixels."""
    graph = Graph((1, 2, 4), batch)
    graph.add("Flatten", axis=1)
    row = np.array([thresholds], np.float32)
    settings = {"out_dtype": "INT4", "out_scale": scale, "out_bias": bias}
    graph.custom("MultiThreshold", row, **settings)
    graph.add("MatMul", np.eye(8, 4, dtype=np.float32) + np.eye(8, 4, -4, dtype=np.float32))
    return graph


GREY = np.random.default_rng(11).integers(0, 256, (300, 2, 4)).astype(np.uint8)


@pytest.mark.parametrize(
    ("threshold", "pixels", "ink"),
    [(0.5, None, 128), (0.25, None, 64), (100, None, 100), (0.0, None, 128), (-0.5, "-1..1", 64)],
)
def test_the_source_s_own_threshold_is_the_ink_threshold(threshold, pixels, ink, tmp_path):
    found = imported(grey(1, [threshold]), tmp_path, pixels=pixels)
    assert (found.network.ink_threshold, found.ink_from) == (ink, "the source")
    assert not found.sees_grey
    assert found.on_grey.equal == found.on_grey.images == 1000
    low, high = {0.5: (0, 1), 0.25: (0, 1), 100: (0, 255)}.get(threshold, (-1, 1))
    values = GREY / np.float32(255) * np.float32(high - low) + np.float32(low)
    expected = by_qonnx(grey(len(GREY), [threshold]).model(), values).argmax(axis=1)
    np.testing.assert_array_equal(classes(found.network, GREY), expected)


def test_without_a_threshold_of_its_own_the_one_that_agrees_best_is_found(tmp_path):
    """Images of dark paper and dark ink: read right from anywhere between the two greys on."""
    images = np.where(IMAGES > 0, 120, 70).astype(np.uint8)
    found = imported(grey(1, [0.25, 0.4], 1.0, 0.0), tmp_path, images=images)
    assert found.sees_grey
    assert found.ink_from == "images"
    assert 70 < found.network.ink_threshold <= 120
    expected = by_qonnx(
        grey(len(images), [0.25, 0.4], 1.0, 0.0).model(), images / np.float32(255)
    ).argmax(axis=1)
    equal = int((classes(found.network, images) == expected).sum())
    assert (found.on_grey.equal, found.on_grey.images) == (equal, len(images))
    assert found.on_full_ink.equal == found.on_full_ink.images


def test_without_images_the_threshold_lies_in_the_middle_of_the_source_s(tmp_path):
    found = imported(grey(1, [0.25, 0.75], 1.0, 0.0), tmp_path)
    assert (found.network.ink_threshold, found.ink_from) == (128, "nothing")
    assert found.on_grey is None
    assert found.on_full_ink.equal == 1000


def test_inputs_beyond_the_image_see_paper(tmp_path):
    weights = np.random.default_rng(12).choice([-1, 1], (12, 4)).astype(np.float32)

    def graph(batch):
        made = Graph((12,), batch)
        made.add("Mul", np.float32(2))
        made.add("Sub", np.float32(1))
        made.custom("BipolarQuant", np.float32(1))
        made.add("MatMul", weights)
        return made

    assert imported(graph(1), tmp_path).network.sizes == (12, 4)
    assert imported(graph(1), tmp_path).network.height == 3
    found = imported(graph(1), tmp_path, image_size=(2, 4))
    assert (found.network.height, found.network.width, found.network.sizes) == (2, 4, (8, 4))
    padded = np.concatenate([IMAGES.reshape(-1, 8), np.zeros((len(IMAGES), 4))], axis=1)
    expected = by_qonnx(graph(len(IMAGES)).model(), padded / 255).argmax(axis=1)
    np.testing.assert_array_equal(classes(found.network, IMAGES), expected)


def test_an_alphabet_of_fewer_characters_leaves_out_the_last_classes(signs, tmp_path):
    found = imported(scored(1, signs), tmp_path, alphabet="abc")
    assert found.network.alphabet == "abc"
    assert "The alphabet names 3 of 5 classes; the last 2 were left out." in found.notes
    scores = by_qonnx(scored(len(IMAGES), signs).model(), IMAGES / np.float32(255))
    codes = np.frombuffer(b"abc", np.uint8)[scores[:, :3].argmax(axis=1)]
    np.testing.assert_array_equal(reference.infer(found.network, IMAGES), codes)


def test_any_number_of_images_at_a_time_is_told(signs, tmp_path):
    path = tmp_path / "network.onnx"
    scored(1, signs).save(path, batch_name="N")
    found = import_onnx(path, Options())
    assert found.notes == (
        "The input 'image' takes any number of images at a time; it was read for one.",
    )


def test_the_source_s_own_rounding_is_told(tmp_path):
    """Sums of tenths are rounded with every addition, so that which of them is 0 is chance."""
    found = imported(one_layer(1, bipolar, np.array(BALANCED) * 0.1), tmp_path)
    assert found.undecided == 1
    assert found.notes == (
        "At 1 thresholds a sum comes so near that the source's own rounding in float32 may decide "
        "otherwise; the network follows the exact sum.",
    )
    assert found.network.layers[0].thresholds.tolist() == [0]


def test_from_onnx_gives_the_network_with_a_card(signs, tmp_path):
    path = scored(1, signs).save(tmp_path / "tiny.onnx")
    network = stepnet.from_onnx(path, name="mine", alphabet="abcde")
    assert (network.name, network.alphabet) == ("mine", "abcde")
    assert network.card == {
        "source": "tiny, test",
        "exact": "yes, on images of paper and full ink",
        "agreement": "1,000 of 1,000 random images of paper and full ink",
        "agreement on grey": "1,000 of 1,000 random images",
    }
