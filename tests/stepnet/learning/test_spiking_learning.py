"""Rule spiking: that it learns, and that the exported network computes what was trained."""

import numpy as np
import pytest
import torch

from characters import bars
from stepnet.errors import TrainingError
from stepnet.learning.config import Config
from stepnet.learning.spiking import SpikingLearner
from stepnet.networks import spiking
from stepnet.networks.spiking import Coding


def learner_for(dataset, **changes):
    fields = {
        **{"rule": "spiking", "hidden": (16,), "epochs": 5, "batch_size": 20, "seed": 3},
        **{"readout": "nearest", "ticks": 3, "augmentation": 0.2},
    }
    return SpikingLearner(Config(**{**fields, **changes}), dataset)


def passes(learner, epochs):
    for epoch in epochs:
        *_, progress = learner.learn(epoch)
    return progress


@pytest.mark.parametrize("coding", Coding)
@pytest.mark.parametrize("readout", ["bits", "nearest"])
def test_it_learns_and_what_is_exported_is_what_was_trained(coding, readout):
    dataset = bars()
    learner = learner_for(dataset, coding=str(coding), readout=readout)
    passes(learner, range(1, 6))
    network = learner.export("bars")
    fresh = bars(seed=1)
    assert (spiking.infer(network, fresh.images) == fresh.labels).mean() > 0.75
    coded = spiking.encode(network, fresh.images)
    with torch.no_grad():
        excess = learner.excess(torch.from_numpy(coded).float()) * learner.units[-1]
    exact = spiking.row_sums(network, fresh.images) - network.row_thresholds
    rows = learner.lesson.targets.trained_rows
    np.testing.assert_allclose(excess.numpy(), exact[:, rows], rtol=0, atol=1e-3)


@pytest.mark.parametrize("weight_bits", [1, 8, "ternary"])
def test_weights_of_any_bits(weight_bits):
    dataset = bars()
    learner = learner_for(dataset, weight_bits=weight_bits, epochs=1)
    passes(learner, [1])
    network = learner.export("bars")
    weights = network.layers[0].step.weights
    limit = {1: 1, 8: 127, "ternary": 1}[weight_bits]
    assert np.abs(weights).max() <= limit
    exact = spiking.row_sums(network, dataset.images) - network.row_thresholds
    coded = torch.from_numpy(spiking.encode(network, dataset.images)).float()
    with torch.no_grad():
        excess = learner.excess(coded) * learner.units[-1]
    np.testing.assert_allclose(excess.numpy(), exact, rtol=0, atol=1e-3)


def test_it_goes_on_as_if_it_had_never_stopped():
    dataset = bars()
    whole = learner_for(dataset)
    passes(whole, (1, 2))
    first, second = learner_for(dataset), learner_for(dataset)
    passes(first, [1])
    second.restore(first.state())
    passes(second, [2])
    assert second.export("bars").digest == whole.export("bars").digest


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (
            {"ticks": 8},
            "The rule surrogate knows no setting ticks, but it is 8; leave it out, or choose rule "
            "spiking.",
        ),
        ({"rule": "spiking", "ticks": 65}, "The setting ticks is 65; give at most 64."),
        (
            {"rule": "spiking", "coding": "phase"},
            "There is no coding 'phase'; choose one of once, rate, latency.",
        ),
    ],
)
def test_settings_that_cannot_be(given, sentence):
    with pytest.raises(TrainingError) as caught:
        Config(**given)
    assert str(caught.value) == sentence
