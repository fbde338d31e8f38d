"""The trainer: what it exports is what it trained, it learns, and it does so the same way twice."""

import numpy as np
import pytest

from characters import bars
from stepnet import Layer, Network, reference
from stepnet.data import Dataset
from stepnet.errors import TrainingError
from stepnet.learning import Config, train
from stepnet.network import Readout

torch = pytest.importorskip("torch")
surrogate = pytest.importorskip("stepnet.learning.surrogate")
augmentation = pytest.importorskip("stepnet.learning.augmentation")


PRINTABLE = "".join(map(chr, range(0x21, 0x7F)))


def random_model(sizes, weight_bits, readout=Readout.BITS, alphabet="0123456789", seed=0):
    """A model as training might leave it, with scales of both signs and some of 0."""
    generator = torch.Generator().manual_seed(seed)
    model = surrogate.StepModel(sizes, weight_bits, readout, alphabet, generator)
    with torch.no_grad():
        for layer in model.layers:
            if isinstance(layer, surrogate.ScoreLayer):
                layer.offset.normal_(0, 0.3, generator=generator)
                continue
            layer.scale.normal_(generator=generator)
            layer.scale[::5] = 0
            layer.shift.normal_(generator=generator)
    return model


def as_network(model, height, width):
    return Network(
        "exported",
        model.export(),
        height=height,
        width=width,
        readout=model.readout,
        alphabet=model.targets.alphabet,
        code_prefix=model.targets.code_prefix,
    )


@pytest.mark.parametrize("readout", Readout)
@pytest.mark.parametrize("weight_bits", [(1, 1, 1), (2, 1, 3), (8, 4, 1), (3, 8, 8)])
@pytest.mark.parametrize("seed", range(5))
def test_every_activation_is_the_same_after_export(readout, weight_bits, seed):
    model = random_model((30, 24, 17), weight_bits, readout, seed=seed)
    images = np.random.default_rng(seed).random((500, 5, 6)) < 0.5
    pixels = torch.from_numpy(images.reshape(500, 30)).float()
    model.collect_statistics(pixels)
    network = as_network(model, 5, 6)
    exported = reference.activations(network, images)[1:]
    trained = [state.numpy() for state in model.activations(pixels)]
    for ours, theirs in zip(trained[:-1], exported[:-1], strict=True):
        np.testing.assert_array_equal(ours, theirs)
    np.testing.assert_array_equal(trained[-1], exported[-1][:, model.targets.trained_rows])
    assert 0.05 < exported[1].mean() < 0.95


@pytest.mark.parametrize("alphabet", ["0123456789", PRINTABLE])
@pytest.mark.parametrize("seed", range(3))
def test_the_tree_is_walked_by_its_own_bits(alphabet, seed):
    """Where all rows on the true path are right the reference reads the code, and only there."""
    model = random_model((30, 40), (1, 4), Readout.TREE, alphabet, seed)
    images = np.random.default_rng(seed).random((2000, 5, 6)) < 0.5
    pixels = torch.from_numpy(images.reshape(2000, 30)).float()
    model.collect_statistics(pixels)
    read = reference.infer(as_network(model, 5, 6), images)
    assert set(read.tolist()) <= set(map(ord, alphabet))
    trained = model.activations(pixels)[-1]
    for index, character in enumerate(alphabet):
        right = model.right(trained - 0.5, model.wanted[index].expand(2000, -1))
        np.testing.assert_array_equal(right.numpy(), read == ord(character))


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
@pytest.mark.parametrize("seed", range(3))
def test_nearest_answers_the_same_row_after_export_ties_included(bits, seed):
    """Few inputs make scores small and ties frequent; the first of the best rows wins."""
    model = random_model((9, 12), (1, bits), Readout.NEAREST, seed=seed)
    images = (np.arange(512)[:, np.newaxis] >> np.arange(9) & 1 == 1).reshape(512, 3, 3)
    pixels = torch.from_numpy(images.reshape(512, 9)).float()
    model.collect_statistics(pixels)
    with torch.no_grad():
        scores = model.layers[-1].scores(model.activations(pixels)[0]).numpy()
    read = reference.infer(as_network(model, 3, 3), images)
    assert [chr(code) for code in read] == [
        "0123456789"[row.tolist().index(row.max())] for row in scores
    ]
    if bits == 1:
        best = scores.max(axis=1, keepdims=True)
        assert ((scores == best).sum(axis=1) > 1).mean() > 0.05


def test_only_rows_on_the_true_path_are_taught():
    model = random_model((30, 12), (1, 1), Readout.TREE)
    margins = torch.zeros(1, model.wanted.shape[1], requires_grad=True)
    wanted = model.wanted[:1]
    loss = model.loss(margins, wanted)
    loss.backward()
    asked = wanted[0] != 0
    # "0" is 011 0000: the rows on its path are 0, 1, 3 and 7, each with a chance of 1/2.
    assert model.targets.trained_rows[asked].tolist() == [0, 1, 3, 7]
    assert loss.item() == pytest.approx(4 * np.log(2))
    assert (margins.grad[0] != 0).tolist() == asked.tolist()


@pytest.mark.parametrize("scale", [0.75, -0.75])
def test_a_sum_exactly_at_the_threshold_fires_after_export(scale):
    """normalise(sum) is 0 at the sum 3 and nowhere else: an even choice of either side is wrong."""
    generator = torch.Generator().manual_seed(0)
    layer = surrogate.StepLayer(7, 1, 1, generator)
    with torch.no_grad():
        layer.latent.fill_(0.5)
        layer.scale.fill_(scale)
    layer.mean = torch.tensor([3.0], dtype=torch.float64)
    exported = layer.export()
    assert exported.weights.tolist() == [[1 if scale > 0 else -1] * 7]
    assert exported.thresholds.tolist() == [3 if scale > 0 else -3]


@pytest.mark.parametrize(("shift", "always"), [(0.5, True), (0.0, True), (-0.5, False)])
def test_a_scale_of_zero_makes_a_constant_neuron(shift, always):
    layer = surrogate.StepLayer(6, 1, 1, torch.Generator().manual_seed(0))
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
    layer = surrogate.StepLayer(12, count, 1, torch.Generator().manual_seed(0))
    with torch.no_grad():
        layer.scale.copy_(torch.from_numpy(random.normal(size=count)))
    layer.mean = torch.from_numpy(random.normal(size=count))
    layer.variance = torch.from_numpy(random.random(count))
    target = torch.from_numpy(random.integers(-6, 7, count).astype(np.float64))
    factor = layer.scale.detach().double() / torch.sqrt(layer.variance + surrogate.EPSILON)
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
    assert model.targets.trained_rows.tolist() == [0, 1, 2, 3]
    model.collect_statistics(torch.ones(2, 12))
    *_, last = model.export()
    for activations in (np.zeros((1, 5), np.uint8), np.ones((1, 5), np.uint8)):
        fires = reference.sums(last, activations) >= last.thresholds
        assert fires[0, 4:].tolist() == [True, True, False]


def test_codes_beyond_ascii_have_eight_bits():
    model = random_model((12,), (1,), alphabet="aé")
    assert [layer.n_out for layer in model.export()] == [8]


def test_exported_layers_are_valid_layers_of_their_bits():
    for bits in range(1, 9):
        model = random_model((12, 9), (bits, bits))
        hidden, last = model.export()
        assert isinstance(hidden, Layer)
        assert (hidden.weight_bits, last.weight_bits) == (bits, bits)
        limit = max(1, (1 << bits - 1) - 1)
        assert int(np.abs(hidden.weights).max()) == limit


SMALL = Config(hidden=(16, 12), epochs=12, batch_size=50, augmentation=0.2, seed=3)


def test_it_learns():
    network = train(SMALL, bars(), name="bars")
    fresh = bars(seed=1)
    accuracy = (reference.infer(network, fresh.images) == fresh.labels).mean()
    assert accuracy > 0.95
    assert network.name == "bars"
    assert network.alphabet == "5Eacz"
    assert network.sizes == (64, 16, 12, 7)


def test_it_learns_with_weights_of_several_bits():
    network = train(Config(hidden=(16,), weight_bits=(3, 2), epochs=8, batch_size=50), bars())
    assert [layer.weight_bits for layer in network.layers] == [3, 2]
    fresh = bars(seed=1)
    assert (reference.infer(network, fresh.images) == fresh.labels).mean() > 0.95


@pytest.mark.parametrize("readout", [Readout.TREE, Readout.NEAREST])
@pytest.mark.parametrize("last_bits", [1, 4])
def test_it_learns_under_other_readouts(readout, last_bits):
    config = Config(
        hidden=(16,), weight_bits=(1, last_bits), readout=readout, epochs=12, batch_size=50
    )
    network = train(config, bars())
    assert network.readout is readout
    fresh = bars(seed=1)
    assert (reference.infer(network, fresh.images) == fresh.labels).mean() > 0.95


def test_the_seed_decides_everything():
    first, again = train(SMALL, bars()), train(SMALL, bars())
    other = train(Config(hidden=(16, 12), epochs=12, batch_size=50, seed=4), bars())
    assert first.digest == again.digest
    assert first.digest != other.digest


def test_training_leaves_the_state_of_torch_alone():
    torch.manual_seed(0)
    before = torch.get_rng_state(), torch.get_num_threads()
    train(Config(hidden=(), epochs=1, threads=before[1] + 1), bars())
    assert torch.equal(torch.get_rng_state(), before[0])
    assert torch.get_num_threads() == before[1]


def test_progress_is_reported_at_every_step():
    reports = []
    train(Config(hidden=(4,), epochs=2, batch_size=100), bars(), on_progress=reports.append)
    assert [report.images_done for report in reports] == list(range(100, 1201, 100))
    assert {report.images_total for report in reports} == {1200}
    assert [report.epoch for report in reports] == [1] * 6 + [2] * 6
    assert all(0 <= report.accuracy <= 1 and report.loss > 0 for report in reports)


def test_an_interrupt_ends_the_run():
    def interrupt(progress):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(SMALL, bars(), on_progress=interrupt)


def test_a_loss_that_is_no_number_is_an_error():
    with pytest.raises(TrainingError) as caught:
        train(Config(hidden=(4,), epochs=3, learning_rate=1e36), bars())
    assert str(caught.value) == (
        "The loss became inf in epoch 1; give a lower learning rate than 1e+36."
    )


def test_a_single_character_is_nothing_to_learn():
    with pytest.raises(TrainingError) as caught:
        train(SMALL, Dataset(np.zeros((4, 8, 8), np.uint8), np.full(4, ord("a"))))
    assert str(caught.value) == (
        "All images show the character 'a'; give a data set with at least two characters."
    )


def test_a_warp_of_no_strength_changes_nothing():
    images = torch.rand(3, 9, 14, generator=torch.Generator().manual_seed(0))
    warped = augmentation.warp(images, 0.0, torch.Generator())
    torch.testing.assert_close(warped, images, atol=1e-5, rtol=0)


def test_warps_move_ink_but_keep_it():
    images = torch.zeros(200, 28, 28)
    images[:, 8:20, 10:18] = 255
    warped = augmentation.warp(images, 1.0, torch.Generator().manual_seed(0))
    assert len({tuple(image.flatten().tolist()) for image in warped}) == 200
    mass = warped.sum(dim=(1, 2)) / images.sum(dim=(1, 2))
    assert float(mass.min()) > 0.6
    assert float(mass.max()) < 1.5
    rows = torch.arange(28.0)
    centres = (warped.sum(dim=2) @ rows) / warped.sum(dim=(1, 2))
    assert 0.3 < float(centres.std()) < 1.5
    assert abs(float(centres.mean()) - 13.5) < 0.3


CONFIG_REFUSALS = {
    "rule": (
        {"rule": "magic"},
        "There is no learning rule 'magic'; choose one of surrogate, delta.",
    ),
    "hidden": (
        {"hidden": (128, 0)},
        "The hidden layers (128, 0) hold one without neurons; give at least 1 for each.",
    ),
    "readout": (
        {"readout": "oracle"},
        "There is no readout 'oracle'; choose one of bits, tree, nearest.",
    ),
    "weight bits": (
        {"weight_bits": 9},
        "The weight bits 9 are out of range; choose 1 to 8.",
    ),
    "weight bits of layers": (
        {"weight_bits": (1, 1)},
        "There are 2 numbers of weight bits for 3 layers; give one for all, or one for each layer.",
    ),
    "ink threshold": (
        {"ink_threshold": -1},
        "The ink threshold -1 is no grey value; choose 0 to 255.",
    ),
    "epochs": ({"epochs": 0}, "The setting epochs is 0; give at least 1."),
    "batch size": ({"batch_size": 1}, "The setting batch_size is 1; give at least 2."),
    "threads": ({"threads": 0}, "The setting threads is 0; give at least 1."),
    "seed": ({"seed": -1}, "The setting seed is -1; give at least 0."),
    "augmentation": (
        {"augmentation": float("nan")},
        "The setting augmentation is nan; give at least 0.",
    ),
    "learning rate": (
        {"learning_rate": 0},
        "The learning rate is 0; give a number greater than 0.",
    ),
}


@pytest.mark.parametrize(("settings", "sentence"), CONFIG_REFUSALS.values(), ids=CONFIG_REFUSALS)
def test_a_setting_out_of_range_is_refused(settings, sentence):
    with pytest.raises(TrainingError) as caught:
        Config(**settings)
    assert str(caught.value) == sentence
