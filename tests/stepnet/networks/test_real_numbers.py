"""Weights and thresholds from elsewhere: what each refusal advises, done, changes no answer."""

import dataclasses

import numpy as np
import pytest

from stepnet import Layer, NetworkError, networks, reference

NETWORK = networks.load_network("digits")
FIRST = NETWORK.layers[0]
RANDOM = np.random.default_rng(5)
SQUARES = RANDOM.random((300, 7, 7)) < RANDOM.random((300, 1, 1))
IMAGES = np.kron(SQUARES, np.full((4, 4), 255)).astype(np.uint8)
CODES = reference.infer(NETWORK, IMAGES)

LATENT = FIRST.weights * RANDOM.uniform(0.02, 1, FIRST.weights.shape)
REAL = FIRST.thresholds - RANDOM.uniform(0, 1, FIRST.thresholds.shape)
FACTORS = np.float32(RANDOM.uniform(0.01, 2, FIRST.n_out))
ONES = np.ones((2, 3), dtype=np.int8)


def refusal(*arguments):
    with pytest.raises(NetworkError) as caught:
        Layer(*arguments)
    return str(caught.value)


def assert_answers_as_before(weights, thresholds, weight_bits=1):
    layers = (Layer(weights, thresholds, weight_bits), *NETWORK.layers[1:])
    changed = dataclasses.replace(NETWORK, layers=layers)
    assert (reference.infer(changed, IMAGES) == CODES).all()


def test_the_answers_of_these_tests_depend_on_the_layer():
    assert len(set(CODES.tolist())) > 3
    rounded = Layer(np.round(LATENT), np.round(REAL), 2)
    changed = dataclasses.replace(NETWORK, layers=(rounded, *NETWORK.layers[1:]))
    assert (reference.infer(changed, IMAGES) != CODES).mean() > 0.2


def test_weights_whose_signs_count():
    assert refusal(LATENT, FIRST.thresholds) == (
        f"The weights of a layer are real numbers from {LATENT.min():g} to {LATENT.max():g}; do "
        "not round them: if only their signs count, as in a network trained with binary weights, "
        "give np.where(weights < 0, -1, 1), and if their sizes count, let `stepnet import` take "
        "the network over."
    )
    assert_answers_as_before(np.where(LATENT < 0, -1, 1), FIRST.thresholds)


def test_real_weights_of_several_bits():
    assert refusal([[0.5, -1.25]], [0], 4) == (
        "The weights of a layer are real numbers from -1.25 to 0.5; rounding them alone would make "
        "another network, so let `stepnet import` take it over, or multiply the weights and the "
        "threshold of each neuron by one factor that makes them integers."
    )


def test_real_thresholds():
    assert refusal(FIRST.weights, REAL) == (
        "The thresholds of a layer are real numbers; do not round them to the nearest: sums are "
        "integers, so `sum >= t` is the same as `sum >= ceil(t)`; give np.ceil(thresholds), or "
        "np.floor(thresholds) + 1 if a neuron answers 1 only for `sum > t`."
    )
    assert_answers_as_before(FIRST.weights, np.ceil(REAL))


@pytest.mark.parametrize("bits", [1, 2])
def test_signs_times_a_factor(bits):
    weights = FIRST.weights * FACTORS[:, np.newaxis]
    thresholds = FIRST.thresholds * FACTORS
    assert refusal(weights, thresholds, bits) == (
        "The weights of a layer are -1 and +1 times a factor of each neuron "
        f"({FACTORS.min():g} to {FACTORS.max():g}); divide by it: give "
        "np.where(weights < 0, -1, 1) and as thresholds "
        "np.ceil(thresholds / abs(weights).mean(axis=1) - 1e-4), the last for what floating point "
        "adds."
    )
    assert_answers_as_before(
        np.where(weights < 0, -1, 1), np.ceil(thresholds / abs(weights).mean(axis=1) - 1e-4)
    )


def test_signs_times_a_whole_factor():
    assert refusal(ONES * 3, [0, 0]) == (
        "The weights of a layer are -1 and +1 times a factor of each neuron (3); divide by it: "
        "give np.where(weights < 0, -1, 1) and as thresholds "
        "np.ceil(thresholds / abs(weights).mean(axis=1) - 1e-4), the last for what floating point "
        "adds."
    )


def test_rounded_weights():
    assert refusal(np.round(LATENT), FIRST.thresholds) == (
        "A layer with 1-bit weights, which are -1 and +1, holds weights from -1 to 1; if they come "
        "from rounding, give the signs of what was rounded, np.where(weights < 0, -1, 1), and only "
        "if 0 is meant, give weight_bits=2."
    )


def test_weights_that_are_bits():
    bits = (FIRST.weights + 1) // 2
    assert refusal(bits, FIRST.thresholds) == (
        "A layer with 1-bit weights, which are -1 and +1, holds weights from 0 to 1; if those are "
        "the bits of -1 and +1, give 2 * weights - 1, and if they are 0 and +1 indeed, give "
        "weight_bits=2."
    )
    assert_answers_as_before(2 * bits - 1, FIRST.thresholds)


@pytest.mark.parametrize(
    ("low", "high", "bits"), [(-2, 1, 2), (-1, 2, 3), (-128, 1, 8), (-5, 3, 4), (1, 127, 8)]
)
def test_weights_of_more_bits(low, high, bits):
    weights = [[low, high]]
    assert refusal(weights, [0]) == (
        f"A layer with 1-bit weights, which are -1 and +1, holds weights from {low} to {high}; "
        f"give weight_bits={bits} if their sizes count, and np.where(weights < 0, -1, 1) if only "
        "their signs do."
    )
    assert Layer(weights, [0], bits).weights.tolist() == weights


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_no_numbers(value):
    sentence = (
        "hold values that are no numbers (NaN or infinite); a training that diverged leaves such, "
        "so take the network from before that."
    )
    assert refusal(ONES * value, [0, 0]) == f"The weights of a layer {sentence}"
    assert refusal(ONES, [0, value]) == f"The thresholds of a layer {sentence}"


def test_the_names_of_the_shipped_networks_are_reached_from_the_room():
    from stepnet.networks import load_network, names, shipped

    assert load_network is shipped.load_network
    assert sorted(names()) == names()
    with pytest.raises(AttributeError) as caught:
        _ = networks.load
    assert str(caught.value) == "module 'stepnet.networks' has no attribute 'load'"
