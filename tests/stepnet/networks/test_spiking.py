"""Spiking networks: their neuron by its formula, their codings, their file, and step networks."""

from dataclasses import replace

import numpy as np
import pytest

from stepnet.errors import NetworkError
from stepnet.networks import kinds, reference, spiking
from stepnet.networks.network import Layer, Network
from stepnet.networks.random_networks import random_images, random_network, random_spiking_network
from stepnet.networks.spiking import Coding, Rows, SpikingLayer, SpikingNetwork, encode, from_step


def neuron(layer, weights, threshold, leak, inputs):
    """One neuron by the formula, tick by tick: its spikes, and its potentials as compared."""
    potential, spikes, compared = 0, [], []
    for below in inputs:
        if layer.decay_shift is not None:
            potential -= potential // 2**layer.decay_shift
        potential += leak + sum(w for w, a in zip(weights, below, strict=True) if a)
        compared.append(potential)
        spikes.append(int(potential >= threshold))
        if spikes[-1]:
            potential = potential - threshold if layer.reset is None else layer.reset
        potential = max(potential, layer.floor)
    return spikes, compared


@pytest.mark.parametrize("decay_shift", [0, 2, None])
@pytest.mark.parametrize("reset", [None, -3])
@pytest.mark.parametrize("floor", [-5, spiking.LOWEST_FLOOR])
def test_a_neuron_by_its_formula(decay_shift, reset, floor):
    rng = np.random.default_rng(3)
    step = Layer(rng.integers(-8, 8, (6, 12)), rng.integers(-4, 12, 6), 4)
    layer = SpikingLayer(step, rng.integers(-3, 4, 6), decay_shift, reset, floor)
    network = SpikingNetwork("one", (layer,), 3, 4, readout="nearest", alphabet="abcdef", ticks=9)
    coded = rng.integers(0, 2, (5, 9, 12)).astype(np.uint8)
    (spikes,), counts = spiking.simulate(network, coded)
    lowest, highest = layer.bounds(9)
    for image in range(5):
        for j in range(6):
            expected, compared = neuron(
                layer, step.weights[j], step.thresholds[j], layer.leaks[j], coded[image]
            )
            assert spikes[image, :, j].tolist() == expected
            assert counts[image, j] == sum(expected)
            assert lowest[j] <= min(compared)
            assert max(compared) <= highest[j]


def test_spikes_are_counted_by_image_layer_and_row():
    rng = np.random.default_rng(4)
    network = random_spiking_network(rng, (20, 9, 10), ticks=5, height=4)
    images = random_images(rng, network, 3)
    coded = encode(network, images)
    spikes, sums = spiking.simulate(network, coded)
    for image, counts in enumerate(spiking.spike_counts(network, images)):
        assert counts.pixels == coded[image].sum()
        assert counts.layers == tuple(layer[image].sum() for layer in spikes)
        assert counts.rows == tuple(sums[image])
        assert counts.total == sum(counts.layers) > 0


@pytest.mark.parametrize("readout", ["bits", "tree", "nearest"])
@pytest.mark.parametrize("bits", [1, 5])
def test_a_step_network_is_one_tick(readout, bits):
    rng = np.random.default_rng(bits)
    rows = {"bits": 7, "tree": 15, "nearest": 10}[readout]
    alphabet = "0123456789" if readout == "nearest" else "".join(map(chr, range(1, 15)))
    network = random_network(
        rng, (30, 11, rows), (bits, bits), height=5, readout=readout, alphabet=alphabet
    )
    images = random_images(rng, network, 200)
    same = from_step(network)
    np.testing.assert_array_equal(spiking.infer(same, images), reference.infer(network, images))
    np.testing.assert_array_equal(spiking.margin(same, images), reference.margin(network, images))
    states = reference.activations(network, images)
    spikes, _ = spiking.simulate(same, encode(same, images))
    np.testing.assert_array_equal(spikes[0][:, 0], states[1])


def test_pixels_spike_as_often_and_as_early_as_they_are_bright():
    image = np.array([[[0, 63, 64, 100, 128, 200, 254, 255]]], np.uint8)
    layer = SpikingLayer(Layer(np.ones((10, 8)), np.zeros(10)), np.zeros(10))
    network = SpikingNetwork("codes", (layer,), 1, 8, ink_threshold=64, readout="nearest", ticks=8)

    def coded(coding):
        return encode(replace(network, coding=coding), image)[0]

    assert coded(Coding.ONCE).sum(axis=0).tolist() == [0, 0, 1, 1, 1, 1, 1, 1]
    assert coded(Coding.ONCE)[0].sum() == 6
    assert coded(Coding.RATE).sum(axis=0).tolist() == [0, 0, 2, 3, 4, 6, 7, 8]
    assert coded(Coding.RATE)[:, 4].tolist() == [0, 1, 0, 1, 0, 1, 0, 1]
    assert coded(Coding.LATENCY).sum(axis=0).tolist() == [0, 0, 1, 1, 1, 1, 1, 1]
    assert coded(Coding.LATENCY).argmax(axis=0).tolist()[2:] == [7, 6, 5, 2, 0, 0]
    set_pixels = image >= 64
    np.testing.assert_array_equal(
        encode(replace(network, coding=Coding.RATE), set_pixels)[0].sum(axis=0),
        8 * set_pixels[0, 0],
    )


@pytest.mark.parametrize("asked", Rows)
def test_the_readouts(asked):
    """Rows are counts that fire from one spike on, or potentials over their thresholds."""
    layer = SpikingLayer(Layer(np.ones((7, 4)), np.arange(7)), np.zeros(7), None)
    network = SpikingNetwork(
        "rows", (layer,), 1, 4, alphabet="A", ticks=2, coding="rate", asked=asked
    )
    image = np.array([[[255, 255, 0, 0]]], np.uint8)
    sums = spiking.row_sums(network, image)[0].tolist()
    if asked is Rows.POTENTIALS:
        assert sums == [4] * 7
        assert spiking.infer(network, image) == [0b11111]
    else:
        assert sums == [2, 2, 2, 1, 1, 0, 0]
        assert spiking.infer(network, image) == [0b11111]


def test_its_file(tmp_path):
    network = random_spiking_network(np.random.default_rng(1), (12, 9, 10), ticks=5, height=3)
    path = network.save(tmp_path / "spiking.npz")
    read = kinds.load(path)
    assert isinstance(read, SpikingNetwork)
    assert read.digest == network.digest
    images = random_images(np.random.default_rng(2), network, 50)
    np.testing.assert_array_equal(kinds.infer(read, images), spiking.infer(network, images))
    with pytest.raises(NetworkError) as caught:
        Network.load(path)
    assert str(caught.value) == (
        f"The file {str(path)!r} holds a spiking network, whose neurons spike tick by tick; name a "
        "step network."
    )


STEP = Layer(np.ones((2, 3)), np.zeros(2))
"""Two neurons of three inputs."""


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (
            {"leaks": [0, 0, 0]},
            "A layer of 2 neurons has leaks of shape (3,); give one leak per neuron.",
        ),
        (
            {"decay_shift": 16},
            "A layer has potentials that decay by 2^-16; choose a decay shift of 0 to 15, or None "
            "for no decay.",
        ),
        (
            {"reset": 1 << 21},
            "A layer resets its potentials to 2097152; choose -1048576 to 1048576, or None to "
            "subtract the threshold.",
        ),
        (
            {"floor": 1},
            "A layer has potentials of at least 1; choose a floor of -1048576 to 0.",
        ),
    ],
)
def test_layers_that_do_not_hold_together(given, sentence):
    with pytest.raises(NetworkError) as caught:
        SpikingLayer(STEP, **{"leaks": [0, 0], **given})
    assert str(caught.value) == sentence


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"ticks": 65}, "A spiking network sees images for 65 ticks; choose 1 to 64."),
        (
            {"coding": "phase"},
            "A spiking network has coding 'phase'; choose one of once, rate, latency.",
        ),
        (
            {"asked": "currents"},
            "A spiking network has asked 'currents'; choose one of spikes, potentials.",
        ),
    ],
)
def test_networks_that_do_not_hold_together(given, sentence):
    layer = SpikingLayer(STEP, [0, 0])
    with pytest.raises(NetworkError) as caught:
        SpikingNetwork(
            "two", (layer,), 1, 3, readout="nearest", alphabet="ab", **{"ticks": 1, **given}
        )
    assert str(caught.value) == sentence
