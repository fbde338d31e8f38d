"""The model under training: what it exports is what it trained."""

import numpy as np
import pytest
import torch

from step_models import PRINTABLE, as_network, random_model
from stepnet import Layer
from stepnet.learning import step_model
from stepnet.networks import reference
from stepnet.networks.network import Readout

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("readout", Readout)
@pytest.mark.parametrize("weight_bits", [(1, 1, 1), (2, 1, 3), (8, 4, 1), (3, 8, "ternary")])
@pytest.mark.parametrize("seed", range(5))
def test_every_activation_is_the_same_after_export(readout, weight_bits, seed):
    model = random_model((30, 24, 17), weight_bits, readout, seed=seed)
    images = np.random.default_rng(seed).random((500, 5, 6)) < 0.5
    pixels = torch.from_numpy(images.reshape(500, 30)).float()
    model.set_statistics(pixels)
    network = as_network(model, 5, 6)
    exported = reference.activations(network, images)[1:]
    trained = [state.numpy() for state in model.activations(pixels)]
    for ours, theirs in zip(trained[:-1], exported[:-1], strict=True):
        np.testing.assert_array_equal(ours, theirs)
    np.testing.assert_array_equal(trained[-1], exported[-1][:, model.lesson.targets.trained_rows])
    assert 0.05 < exported[1].mean() < 0.95


@pytest.mark.parametrize("alphabet", ["0123456789", PRINTABLE])
@pytest.mark.parametrize("seed", range(3))
def test_the_tree_is_walked_by_its_own_bits(alphabet, seed):
    """Where all rows on the true path are right the reference reads the code, and only there."""
    model = random_model((30, 40), (1, 4), Readout.TREE, alphabet, seed)
    images = np.random.default_rng(seed).random((2000, 5, 6)) < 0.5
    pixels = torch.from_numpy(images.reshape(2000, 30)).float()
    model.set_statistics(pixels)
    read = reference.infer(as_network(model, 5, 6), images)
    assert set(read.tolist()) <= set(map(ord, alphabet))
    trained = model.activations(pixels)[-1]
    for index, character in enumerate(alphabet):
        right = model.lesson.right(trained - 0.5, torch.full((2000,), index))
        np.testing.assert_array_equal(right.numpy(), read == ord(character))


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
@pytest.mark.parametrize("seed", range(3))
def test_nearest_answers_the_same_row_after_export_ties_included(bits, seed):
    """Few inputs make scores small and ties frequent; the first of the best rows wins."""
    model = random_model((9, 12), (1, bits), Readout.NEAREST, seed=seed)
    images = (np.arange(512)[:, np.newaxis] >> np.arange(9) & 1 == 1).reshape(512, 3, 3)
    pixels = torch.from_numpy(images.reshape(512, 9)).float()
    model.set_statistics(pixels)
    with torch.no_grad():
        scores = model.layers[-1].scores(model.activations(pixels)[0]).numpy()
    read = reference.infer(as_network(model, 3, 3), images)
    assert [chr(code) for code in read] == [
        "0123456789"[row.tolist().index(row.max())] for row in scores
    ]
    if bits == 1:
        best = scores.max(axis=1, keepdims=True)
        assert ((scores == best).sum(axis=1) > 1).mean() > 0.05


@pytest.mark.parametrize("scale", [0.75, -0.75])
def test_a_sum_exactly_at_the_threshold_fires_after_export(scale):
    """normalise(sum) is 0 at the sum 3 and nowhere else: an even choice of either side is wrong."""
    generator = torch.Generator().manual_seed(0)
    layer = step_model.StepLayer(7, 1, 1, generator)
    with torch.no_grad():
        layer.latent.fill_(0.5)
        layer.scale.fill_(scale)
    layer.mean = torch.tensor([3.0], dtype=torch.float64)
    exported = layer.export()
    assert exported.weights.tolist() == [[1 if scale > 0 else -1] * 7]
    assert exported.thresholds.tolist() == [3 if scale > 0 else -3]


@pytest.mark.parametrize(("shift", "always"), [(0.5, True), (0.0, True), (-0.5, False)])
def test_a_scale_of_zero_makes_a_constant_neuron(shift, always):
    layer = step_model.StepLayer(6, 1, 1, torch.Generator().manual_seed(0))
    with torch.no_grad():
        layer.scale.zero_()
        layer.shift.fill_(shift)
    exported = layer.export()
    inputs = (np.arange(64)[:, np.newaxis] >> np.arange(6) & 1).astype(np.uint8)
    fires = reference.sums(exported, inputs) >= exported.thresholds
    assert (fires == always).all()


def test_export_agrees_for_every_sum_when_rounding_decides():
    """Statistics for which normalise is 0, or a rounding error away from it, at a whole sum."""
    random = np.random.default_rng(0)
    count = 2000
    layer = step_model.StepLayer(12, count, 1, torch.Generator().manual_seed(0))
    with torch.no_grad():
        layer.scale.copy_(torch.from_numpy(random.normal(size=count)))
    layer.mean = torch.from_numpy(random.normal(size=count))
    layer.variance = torch.from_numpy(random.random(count))
    target = torch.from_numpy(random.integers(-6, 7, count).astype(np.float64))
    factor = layer.scale.detach().double() / torch.sqrt(layer.variance + step_model.EPSILON)
    with torch.no_grad():
        layer.shift.copy_(-(target - layer.mean) * factor)
        inputs = torch.from_numpy(random.random((4000, 12)) < 0.5).float()
        trained = layer.fires(inputs).numpy()
    exported = layer.export()
    fires = reference.sums(exported, inputs.numpy().astype(np.uint8)) >= exported.thresholds
    np.testing.assert_array_equal(fires, trained)


def test_bits_that_never_change_are_constant_neurons():
    alphabet = "0123456789"
    model = random_model((12, 5), (1, 1), alphabet=alphabet)
    assert model.lesson.targets.trained_rows.tolist() == [0, 1, 2, 3]
    model.set_statistics(torch.ones(2, 12))
    *_, last = model.export()
    for activations in (np.zeros((1, 5), np.uint8), np.ones((1, 5), np.uint8)):
        fires = reference.sums(last, activations) >= last.thresholds
        assert fires[0, 4:].tolist() == [True, True, False]


def test_codes_beyond_ascii_have_eight_bits():
    model = random_model((12,), (1,), alphabet="aé")
    assert [layer.n_out for layer in model.export()] == [8]


@pytest.mark.parametrize(
    ("kind", "stored_bits", "values"),
    [
        (1, 1, {-1, 1}),
        ("ternary", 2, {-1, 0, 1}),
        (2, 2, {-2, -1, 0, 1}),
        (3, 3, set(range(-3, 4))),
        (4, 4, set(range(-7, 8))),
        (8, 8, set(range(-127, 128))),
    ],
)
def test_weights_take_all_values_of_their_kind(kind, stored_bits, values):
    hidden, last = random_model((80, 99), (kind, kind)).export()
    assert isinstance(hidden, Layer)
    assert (hidden.weight_bits, last.weight_bits) == (stored_bits, stored_bits)
    assert set(hidden.weights.flatten().tolist()) == values


@pytest.mark.parametrize("weight_bits", [(1, 1), (8, 4)])
def test_an_imperfection_moves_the_sums_of_the_integers(weight_bits):
    """A neuron fires while training where the integer sum, moved, still exceeds the threshold."""
    layer = random_model((30, 24), weight_bits).layers[0]
    pixels = (torch.rand(400, 30, generator=torch.Generator().manual_seed(1)) < 0.5).float()
    exact = layer.excess(pixels)
    farthest = 9 if weight_bits[0] == 1 else 900
    steps = torch.linspace(-farthest, farthest, 24)
    asked = []

    def moved(integers, activations):
        asked.append(integers)
        torch.testing.assert_close(activations, pixels)
        return steps.expand(len(activations), -1)

    found = layer.excess(pixels, moved)
    (integers,) = asked
    sums = reference.sums(integers, pixels.numpy().astype(np.uint8))
    beyond = sums - (integers.thresholds - 0.5) + steps.numpy()
    sure = (np.abs(beyond) > 1) & (layer.scale.detach().numpy() != 0)
    np.testing.assert_array_equal((found.detach().numpy() >= 0)[sure], (beyond > 0)[sure])
    assert ((found >= 0) != (exact >= 0)).float().mean() > 0.05
    torch.testing.assert_close(layer.excess(pixels, lambda *_: torch.zeros(400, 24)), exact)


def test_an_imperfection_moves_scores():
    layer = random_model((30, 24), (1, 4), Readout.NEAREST).layers[-1]
    pixels = torch.ones(3, 24)
    moved = layer.excess(pixels, lambda integers, activations: torch.full((3, 10), 5.0))
    gain = layer.log_gain.exp() / layer.unit
    torch.testing.assert_close(moved, layer.excess(pixels) + 5 * gain)
