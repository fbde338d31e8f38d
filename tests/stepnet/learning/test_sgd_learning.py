"""Rule sgd: that it learns, and that the network of integers reads as the real one does."""

import numpy as np
import pytest
import torch

from characters import bars
from stepnet.errors import TrainingError
from stepnet.learning.config import Config
from stepnet.learning.sgd import SgdLearner
from stepnet.networks import relu
from stepnet.networks.network import Readout


def learner_for(dataset, **changes):
    fields = {"rule": "sgd", "hidden": (16,), "epochs": 6, "batch_size": 20, "seed": 3}
    return SgdLearner(Config(**{**fields, **changes}), dataset)


def test_it_learns_and_rounding_changes_nearly_nothing():
    dataset = bars()
    learner = learner_for(dataset, augmentation=0.2)
    for epoch in range(1, 7):
        for _ in learner.learn(epoch):
            pass
    network = learner.export("bars")
    assert network.sizes == (64, 16, 5)
    assert network.readout is Readout.NEAREST
    fresh = bars(seed=1)
    read = relu.infer(network, fresh.images)
    assert (read == fresh.labels).mean() > 0.95
    pixels = torch.from_numpy(fresh.images >= 128).flatten(1).float()
    with torch.no_grad():
        real = network.codes[learner.excess(pixels).argmax(dim=1).numpy()]
    assert (real == read).mean() > 0.98
    largest = np.concatenate(relu.activations(network, dataset.images)[1:]).max(axis=0)
    assert 253 <= largest.max() <= 255


def test_a_batch_is_one_plain_step_down_the_gradient():
    dataset = bars()
    learner = learner_for(dataset, augmentation=0, batch_size=600, epochs=1, learning_rate=0.5)
    before = {name: tensor.detach().clone() for name, tensor in learner.parameters.items()}
    pixels = torch.from_numpy(dataset.images >= 128).flatten(1).float()
    loss = learner.lesson.loss(learner.excess(pixels), learner.lesson.chances(learner.indices))
    loss.backward()
    gradients = {name: tensor.grad.clone() for name, tensor in learner.parameters.items()}
    list(learner.learn(1))
    for name, tensor in learner.parameters.items():
        torch.testing.assert_close(tensor.detach(), before[name] - 0.5 * gradients[name])


def test_another_readout_is_refused():
    with pytest.raises(TrainingError) as caught:
        Config(rule="sgd", readout=Readout.TREE)
    assert str(caught.value) == (
        "The rule sgd makes networks that read nearest, but the readout is tree; leave it out, or "
        "choose rule sigmoid."
    )


def test_other_weights_are_refused():
    with pytest.raises(TrainingError) as caught:
        Config(rule="sgd", weight_bits=4)
    assert str(caught.value) == (
        "The rule sgd rounds its weights to 8 bits, but the weight bits are 4; give 8 or none, or "
        "choose rule surrogate."
    )
