"""Sigmoid networks: the integer twin against its formulas, and the file."""

import json
import math
from itertools import pairwise

import numpy as np
import pytest

from stepnet import Layer, Network, Readout
from stepnet.errors import ImageError, NetworkError
from stepnet.networks import kinds, reference, sigmoid
from stepnet.networks.sigmoid import SigmoidLayer, SigmoidNetwork

HEIGHT, WIDTH = 4, 5

LAST_ROWS = {
    "bits": (7, {}),
    "tree": (7, {"code_prefix": "01100", "alphabet": "abcdefg"}),
    "nearest": (5, {"alphabet": "!abcé"}),
}


def layer(n_out, n_in, scale=1.0, seed=0):
    random = np.random.default_rng(seed)
    weights = random.normal(0, scale, (n_out, n_in))
    # So that the sums of inputs that are half active spread around 0.
    biases = random.normal(0, scale / 4, n_out) - weights.sum(axis=1) / 2
    return SigmoidLayer(weights, biases)


def network(readout="bits", hidden=(9, 6), scale=3.0, seed=0, **changes):
    n_out, fields = LAST_ROWS[readout]
    sizes = (HEIGHT * WIDTH, *hidden, n_out)
    layers = [
        layer(n_out, n_in, scale, seed * 10 + number)
        for number, (n_in, n_out) in enumerate(pairwise(sizes))
    ]
    defaults = {"height": HEIGHT, "width": WIDTH, "card": {"data": "none"}}
    return SigmoidNetwork(
        **{"name": "small", "layers": layers, "readout": readout, **defaults, **fields, **changes}
    )


def pictures(count=200, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, HEIGHT, WIDTH)).astype(np.uint8)


def slow_twin(network, image):
    """Activations and character code by the formulas of the module, in Python's own numbers."""
    state, one = [int(grey >= network.ink_threshold) for grey in image.flatten().tolist()], 1
    states = [state]
    for number, layer in enumerate(network.layers):
        weights, biases = layer.weights.tolist(), layer.biases.tolist()
        unit = max(
            max(abs(weight) for row in weights for weight in row) / 127,
            one * max(abs(bias) for bias in biases) / 2**30,
        )
        unit = unit or 1.0
        margins = []
        for row, bias in zip(weights, biases, strict=True):
            quantised = [round(weight / unit) for weight in row]
            threshold = round(-bias * one / unit)
            assert all(-127 <= weight <= 127 for weight in quantised)
            assert -(1 << 31) <= threshold < 1 << 31
            total = sum(w * a for w, a in zip(quantised, state, strict=True))
            margins.append(total - threshold)
        if number == len(network.layers) - 1:
            return states, slow_readout(network, margins)
        steps = 16 * unit / one
        exponent = 0
        while steps >= 2.0**exponent:
            exponent += 1
        while steps < 2.0 ** (exponent - 1):
            exponent -= 1
        shift = min(max(15 - exponent, 0), 62)
        multiplier = min(round(steps * 2.0**shift), 1 << 15)
        indices = [128 + (multiplier * margin >> shift) for margin in margins]
        state = [slow_table(min(max(index, 0), 255)) for index in indices]
        states.append(state)
        one = 255
    raise AssertionError


def slow_table(index):
    return round(255 / (1 + math.exp(-(index - 127.5) / 16)))


def slow_readout(network, margins):
    fires = [int(margin >= 0) for margin in margins]
    if network.readout == "bits":
        return sum(bit << place for place, bit in enumerate(fires))
    if network.readout == "nearest":
        return ord(network.alphabet[margins.index(max(margins))])
    code, row = network.code_prefix, 0
    while row < len(fires):
        code += str(fires[row])
        row = 2 * row + 1 + fires[row]
    return int(code, 2)


def assert_reads_as_its_formulas(network, images):
    read = sigmoid.infer(network, images)
    activations = sigmoid.activations(network, images)
    assert {array.dtype for array in (read, *activations)} == {np.dtype(np.uint8)}
    for number, image in enumerate(images):
        states, code = slow_twin(network, image)
        assert [state[number].tolist() for state in activations] == states
        assert read[number] == code


@pytest.mark.parametrize("readout", Readout)
@pytest.mark.parametrize("hidden", [(), (9,), (9, 6), (7, 8, 9)])
@pytest.mark.parametrize("seed", range(3))
def test_the_twin_computes_its_formulas(readout, hidden, seed):
    small = network(readout, hidden, seed=seed, ink_threshold=100)
    images = pictures(seed=seed)
    assert_reads_as_its_formulas(small, images)
    assert len(set(sigmoid.infer(small, images).tolist())) > 2


@pytest.mark.parametrize("scale", [0.0, 1e-44, 1e-20, 1e-6, 0.01, 30.0, 1e6, 1e30])
def test_weights_of_any_size_make_a_twin(scale):
    assert_reads_as_its_formulas(network(scale=scale), pictures(50))


def test_biases_far_larger_than_the_weights_fit_the_thresholds():
    hidden = SigmoidLayer(np.full((3, HEIGHT * WIDTH), 1e-9), [3.0, -3.0, 0.0])
    small = network(layers=(hidden, layer(7, 3)))
    step, multiplier, shift = small.twin[0]
    assert step.thresholds.tolist() == [-(1 << 30), 1 << 30, 0]
    assert [128 + (-t * multiplier >> shift) for t in step.thresholds.tolist()] == [176, 80, 128]
    assert_reads_as_its_formulas(small, pictures(50))


@pytest.mark.parametrize("behind", [(), (layer(7, 7),)], ids=["last", "hidden"])
@pytest.mark.parametrize("moved", range(-1, 3))
def test_sums_beyond_float32_are_exact(moved, behind):
    """Sums around the threshold, one apart, where float32 holds even numbers only."""
    width = 700
    biases = np.full(width, 100.0)
    biases[-1] = -5.5
    hidden = SigmoidLayer(np.zeros((width, HEIGHT * WIDTH)), biases)
    # Weights up to 127 make a unit of 1. The last input is 1 in 255ths.
    weights = np.full((7, width), 127.0)
    weights[:, -1] -= np.arange(7)
    total = 127 * (255 * (width - 1) + 1)
    bias = np.float32(-(total - 3) / 255)
    summing = SigmoidLayer(weights, np.full(7, bias + moved * np.spacing(bias)))
    wide = network(layers=(hidden, summing, *behind))
    distances = total - np.arange(7) - wide.twin[1].step.thresholds
    assert total > 1 << 24
    assert 0 in distances
    assert_reads_as_its_formulas(wide, pictures(1))


def test_margins_of_8_bit_activations_are_exact():
    row = Layer(np.full((1, 700), 127), [1], 8)
    activations = np.full((1, 700), 255, dtype=np.uint8)
    activations[0, 0] = 2
    expected = 127 * (255 * 699 + 2) - 1
    assert reference.excess(row, activations, 255).tolist() == [[expected]]


def test_the_table_is_the_sigmoid_in_255ths():
    assert sigmoid.TABLE.tolist() == [slow_table(index) for index in range(256)]
    assert sigmoid.TABLE.tolist() == [255 - entry for entry in reversed(sigmoid.TABLE.tolist())]
    exact = [255 / (1 + math.exp(-(index - 127.5) / 16)) for index in range(256)]
    # No other exponential function rounds an entry to the other side.
    assert min(abs(entry % 1 - 0.5) for entry in exact) > 0.001


@pytest.mark.parametrize("readout", Readout)
def test_the_float_network_computes_sigmoids(readout):
    small, images = network(readout), pictures()
    expected = []
    for image in images:
        state = [float(grey >= small.ink_threshold) for grey in image.flatten().tolist()]
        for one in small.layers:
            sums = [
                math.fsum(w * a for w, a in zip(row, state, strict=True)) + bias
                for row, bias in zip(one.weights.tolist(), one.biases.tolist(), strict=True)
            ]
            state = [1 / (1 + math.exp(-total)) for total in sums]
        expected.append(slow_readout(small, sums))
    assert sigmoid.infer_float(small, images).tolist() == expected


def test_the_float_network_does_not_overflow():
    with np.errstate(all="raise", under="ignore"):
        sigmoid.infer_float(network(scale=1e6), pictures(10))


@pytest.mark.parametrize("infer", [sigmoid.infer, sigmoid.infer_float])
def test_images_of_another_size_are_refused(infer):
    with pytest.raises(ImageError) as caught:
        infer(network(), np.zeros((1, 5, 5), np.uint8))
    assert str(caught.value) == (
        "The images have shape (1, 5, 5), but network 'small' takes (N, 4, 5)."
    )


def test_derived_sizes():
    small = network()
    assert small.sizes == (20, 9, 6, 7)
    assert small.weight_bits_total == (20 * 9 + 9 * 6 + 6 * 7) * 8
    assert small.codes.tolist() == list(b"0123456789")
    assert small.code_bits == 7


LAYER_REFUSALS = {
    "weights are text": (
        ([["1"]], [0]),
        "The weights of a layer are <U1 values; give real numbers.",
    ),
    "weight is no number": (
        ([[math.nan]], [0]),
        "The weights of a layer hold a number that is not finite in float32; "
        "train with a lower learning rate.",
    ),
    "bias beyond float32": (
        ([[1]], [1e39]),
        "The biases of a layer hold a number that is not finite in float32; "
        "train with a lower learning rate.",
    ),
    "vector of weights": (
        ([1], [0]),
        "The weights of a layer have shape (1,); "
        "give a matrix (neurons, inputs) with at least one of each.",
    ),
    "biases do not match": (
        ([[1], [2]], [0]),
        "A layer of 2 neurons has biases of shape (1,); give one bias per neuron.",
    ),
}


@pytest.mark.parametrize(("arguments", "sentence"), LAYER_REFUSALS.values(), ids=LAYER_REFUSALS)
def test_a_layer_that_breaks_a_rule_is_refused(arguments, sentence):
    with pytest.raises(NetworkError) as caught:
        SigmoidLayer(*arguments)
    assert str(caught.value) == sentence


def test_a_network_that_breaks_a_rule_is_refused():
    with pytest.raises(NetworkError) as caught:
        network(layers=(layer(9, 20), layer(7, 8)))
    assert str(caught.value) == "Layer 1 takes 8 inputs, but layer 0 gives 9."


def test_arrays_are_copied_and_read_only():
    weights = np.ones((2, 3), dtype=np.float32)
    held = SigmoidLayer(weights, np.zeros(2))
    weights[0, 0] = 5
    assert held.weights[0, 0] == 1
    for array in (held.weights, held.biases, sigmoid.TABLE):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1


@pytest.mark.parametrize("readout", Readout)
@pytest.mark.parametrize("load", [SigmoidNetwork.load, kinds.load])
def test_a_saved_network_comes_back_whole(readout, load, tmp_path):
    original = network(readout, ink_threshold=77)
    path = original.save(tmp_path / "saved.npz")
    loaded = load(path)
    assert type(loaded) is SigmoidNetwork
    for name in ("name", "height", "width", "ink_threshold", "readout", "alphabet", "card"):
        assert getattr(loaded, name) == getattr(original, name)
    assert loaded.code_prefix == original.code_prefix
    for ours, theirs in zip(original.layers, loaded.layers, strict=True):
        assert ours.weights.tobytes() == theirs.weights.tobytes()
        assert ours.biases.tobytes() == theirs.biases.tobytes()
    assert loaded.digest == original.digest
    assert list(tmp_path.iterdir()) == [path]


def test_every_part_of_the_content_changes_the_digest():
    first, second, last = network().layers
    shifted = SigmoidLayer(first.weights, np.nextafter(first.biases, np.float32(9)))
    variants = [
        network(),
        network(name="other"),
        network(ink_threshold=127),
        network(height=WIDTH, width=HEIGHT),
        network(alphabet="012345678"),
        network(card={"data": "some"}),
        network(layers=(shifted, second, last)),
        network(seed=1),
    ]
    assert len({variant.digest for variant in variants}) == len(variants)


def step_network():
    random = np.random.default_rng(0)
    return Network(
        "steps",
        (Layer(random.choice([-1, 1], (7, HEIGHT * WIDTH)), np.zeros(7)),),
        height=HEIGHT,
        width=WIDTH,
    )


def test_each_kind_refuses_a_file_of_the_other(tmp_path):
    ours = network().save(tmp_path / "sigmoid.npz")
    theirs = step_network().save(tmp_path / "step.npz")
    with pytest.raises(NetworkError) as caught:
        Network.load(ours)
    assert str(caught.value) == (
        f"The file {str(ours)!r} holds a sigmoid network, whose neurons are no steps; name a step "
        "network."
    )
    with pytest.raises(NetworkError) as caught:
        SigmoidNetwork.load(theirs)
    assert str(caught.value) == (
        f"The file {str(theirs)!r} holds a step network, not a sigmoid network; name one that "
        "`stepnet train --rule sigmoid` made."
    )


def test_load_takes_either_kind(tmp_path):
    steps = step_network()
    assert kinds.load(steps.save(tmp_path / "step.npz")).digest == steps.digest


class FutureNetwork(SigmoidNetwork):
    kind = "quantum"


def test_a_kind_of_a_later_version_is_refused(tmp_path):
    small = network()
    future = FutureNetwork(small.name, small.layers, height=HEIGHT, width=WIDTH)
    path = future.save(tmp_path / "future.npz")
    with pytest.raises(NetworkError) as caught:
        kinds.load(path)
    assert str(caught.value) == (
        f"The file {str(path)!r} holds a quantum network, which this stepnet does not know; "
        "upgrade stepnet."
    )


def damaged(path):
    return (
        f"The network file {str(path)!r} is damaged: its content does not match its digest; "
        "train it again or fetch a fresh copy."
    )


@pytest.mark.parametrize("what", ["weights", "biases", "header", "kind", "digest", "more", "less"])
def test_content_that_does_not_match_its_digest_is_refused(what, tmp_path):
    path = network().save(tmp_path / "saved.npz")
    with np.load(path) as file:
        content = {key: file[key] for key in file.files}
    header = json.loads(str(content["header"]))
    match what:
        case "weights":
            content["weights_0"] = -content["weights_0"]
        case "biases":
            content["biases_2"] = content["biases_2"] + 1
        case "header":
            content["header"] = np.array(json.dumps({**header, "ink_threshold": 5}))
        case "kind":
            content["header"] = np.array(json.dumps({**header, "kind": "step"}))
        case "digest":
            content["digest"] = np.array("0" * 64)
        case "more":
            content["weights_3"] = content["weights_0"]
        case "less":
            del content["biases_1"]
    np.savez(path, **content)
    with pytest.raises(NetworkError) as caught:
        SigmoidNetwork.load(path)
    assert str(caught.value) == damaged(path)


def test_damage_to_any_byte_is_refused_or_without_effect(tmp_path):
    """Some bytes of a zip file, such as times, mean nothing; no other may be wrong unnoticed."""
    original = network(hidden=(3,))
    path = original.save(tmp_path / "saved.npz")
    content = path.read_bytes()
    refused = 0
    positions = range(0, len(content), 7)
    for position in positions:
        changed = bytearray(content)
        changed[position] ^= 0x55
        path.write_bytes(changed)
        try:
            assert SigmoidNetwork.load(path).digest == original.digest, position
        except NetworkError:
            refused += 1
    assert refused > len(positions) / 2


def test_a_missing_file_is_named(tmp_path):
    path = tmp_path / "absent.npz"
    with pytest.raises(NetworkError) as caught:
        kinds.load(path)
    assert str(caught.value) == (
        f"There is no network file {str(path)!r}; name a .npz that `stepnet train` wrote, "
        "or a shipped network."
    )
