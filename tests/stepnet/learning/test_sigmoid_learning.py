"""Rule sigmoid: that it learns, goes on where it was stopped, and what it exports."""

import numpy as np
import pytest
import torch

from characters import bars
from stepnet import Readout
from stepnet.data.sets import Dataset
from stepnet.errors import TrainingError
from stepnet.learning.config import Config
from stepnet.learning.sigmoid import SigmoidLearner
from stepnet.networks import sigmoid

pytestmark = pytest.mark.slow

PRINTABLE = "".join(map(chr, range(33, 127)))


def config(**changes):
    fields = {
        "rule": "sigmoid",
        "hidden": (16, 12),
        "epochs": 4,
        "batch_size": 20,
        "learning_rate": 1.0,
        "augmentation": 0.2,
        "seed": 3,
    }
    return Config(**{**fields, **changes})


def learn(learner, epochs):
    return [progress for epoch in epochs for progress in learner.learn(epoch)]


def trained(dataset, **changes):
    settings = config(**changes)
    learner = SigmoidLearner(settings, dataset)
    learn(learner, range(1, settings.epochs + 1))
    return learner.export("bars")


def accuracy(infer, network):
    fresh = bars(seed=1)
    return (infer(network, fresh.images) == fresh.labels).mean()


@pytest.mark.parametrize("readout", Readout)
def test_it_learns_and_the_twin_reads_the_same(readout):
    network = trained(bars(), readout=readout)
    assert accuracy(sigmoid.infer_float, network) > 0.95
    assert accuracy(sigmoid.infer, network) > 0.95
    images = bars(count=3000, seed=2).images
    agree = sigmoid.infer(network, images) == sigmoid.infer_float(network, images)
    assert agree.mean() > 0.99


def test_it_learns_through_three_hidden_layers():
    network = trained(bars(), hidden=(16, 16, 16), epochs=8)
    assert accuracy(sigmoid.infer, network) > 0.95


def test_it_learns_without_hidden_layers():
    assert accuracy(sigmoid.infer, trained(bars(), hidden=())) > 0.95


def test_the_export_says_what_it_is():
    network = trained(bars(), epochs=1, ink_threshold=99)
    assert network.name == "bars"
    assert network.alphabet == "5Eacz"
    assert network.sizes == (64, 16, 12, 7)
    assert network.ink_threshold == 99
    assert network.readout is Readout.BITS


@pytest.mark.parametrize("readout", Readout)
def test_the_export_computes_what_was_trained(readout):
    dataset = bars()
    learner = SigmoidLearner(config(readout=readout, learning_rate=0.02), dataset)
    learn(learner, [1])
    pixels = torch.from_numpy(dataset.images >= 128).flatten(1).float()
    with torch.no_grad():
        right = learner.lesson.right(learner.excess(pixels), learner.indices).numpy()
    read = sigmoid.infer_float(learner.export("bars"), dataset.images)
    np.testing.assert_array_equal(read == dataset.labels, right)
    assert 0 < right.mean() < 1


def test_bits_that_never_change_are_constant():
    """The upper three bits of digits are 0, 1, 1 whatever the image; no training told them."""
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (40, 6, 6)).astype(np.uint8)
    digits = Dataset(images, np.arange(40) % 10 + ord("0"))
    network = SigmoidLearner(config(), digits).export("digits")
    for infer in (sigmoid.infer, sigmoid.infer_float):
        assert set((infer(network, images) >> 4).tolist()) == {0b011}


def test_a_tree_never_leaves_its_alphabet():
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (940, 6, 6)).astype(np.uint8)
    alphabet = "03Aaz~"
    labels = np.array([ord(character) for character in alphabet])[np.arange(940) % 6]
    learner = SigmoidLearner(config(readout=Readout.TREE, hidden=(8,)), Dataset(images, labels))
    network = learner.export("tree")
    for infer in (sigmoid.infer, sigmoid.infer_float):
        assert set(infer(network, images).tolist()) <= set(map(ord, alphabet))


@pytest.mark.parametrize("readout", Readout)
def test_every_printable_character_is_exported(readout):
    images = np.zeros((94, 5, 5), np.uint8)
    dataset = Dataset(images, np.array([ord(character) for character in PRINTABLE]))
    network = SigmoidLearner(config(readout=readout), dataset).export("printable")
    assert network.alphabet == PRINTABLE
    assert network.sizes[-1] == {"bits": 7, "tree": 127, "nearest": 94}[readout]


def test_a_learner_that_takes_up_a_state_goes_on_bit_for_bit():
    whole = SigmoidLearner(config(epochs=4), bars())
    learn(whole, [1, 2, 3, 4])
    first = SigmoidLearner(config(epochs=4), bars())
    learn(first, [1, 2])
    state = first.state()
    kept = {key: array.copy() for key, array in state.items()}
    learn(first, [3])
    second = SigmoidLearner(config(epochs=4), bars())
    # The state is a copy: going on has not changed it.
    for key, array in state.items():
        np.testing.assert_array_equal(array, kept[key])
    second.restore(state)
    progress = learn(second, [3, 4])
    assert second.export("bars").digest == whole.export("bars").digest
    assert progress[-1].images_done == 4 * 600
    # And what was taken up is a copy too.
    for key, array in state.items():
        np.testing.assert_array_equal(array, kept[key])


def test_the_seed_decides_everything():
    first, again, other = (trained(bars(), epochs=2, seed=seed) for seed in (3, 3, 4))
    assert first.digest == again.digest
    assert first.digest != other.digest


def test_a_batch_is_one_plain_step_down_the_gradient():
    learner = SigmoidLearner(config(augmentation=0, batch_size=600, epochs=1), bars())
    before = {name: tensor.detach().clone() for name, tensor in learner.parameters.items()}
    pixels = torch.from_numpy(bars().images >= 128).flatten(1).float()
    loss = learner.lesson.loss(learner.excess(pixels), learner.lesson.chances(learner.indices))
    loss.backward()
    gradients = {name: tensor.grad.clone() for name, tensor in learner.parameters.items()}
    (progress,) = learner.learn(1)
    assert progress.loss == pytest.approx(loss.item())
    assert progress.learning_rate == 1.0
    for name, tensor in learner.parameters.items():
        torch.testing.assert_close(tensor.detach(), before[name] - gradients[name])


def test_the_rate_warms_up_and_falls():
    rates = [step.learning_rate for step in learn(SigmoidLearner(config(), bars()), range(1, 5))]
    assert max(rates) == 1.0
    assert rates[:2] == [0.5, 1.0]
    assert rates[-1] < 0.001


def test_training_leaves_the_state_of_torch_alone():
    torch.manual_seed(0)
    before = torch.get_rng_state(), torch.get_num_threads()
    learn(SigmoidLearner(config(threads=before[1] + 1), bars()), [1])
    assert torch.equal(torch.get_rng_state(), before[0])
    assert torch.get_num_threads() == before[1]


def test_progress_is_told_after_every_batch():
    reports = learn(SigmoidLearner(config(epochs=2, batch_size=100), bars()), [1, 2])
    assert [report.images_done for report in reports] == list(range(100, 1201, 100))
    assert {report.images_total for report in reports} == {1200}
    assert [report.epoch for report in reports] == [1] * 6 + [2] * 6
    assert all(0 <= report.accuracy <= 1 and report.loss > 0 for report in reports)


def test_a_loss_that_is_no_number_is_an_error():
    learner = SigmoidLearner(config(learning_rate=1e39, epochs=3), bars())
    with pytest.raises(TrainingError) as caught:
        learn(learner, [1, 2, 3])
    assert str(caught.value) == (
        "The loss became nan in epoch 1; give a lower learning rate than 1e+39."
    )
