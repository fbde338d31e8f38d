"""Rule surrogate: it learns, with every helper, and does so the same way twice."""

import dataclasses

import numpy as np
import pytest
import torch

from characters import bars
from stepnet.data.sets import Dataset
from stepnet.errors import TrainingError
from stepnet.learning import Config, augmentation, train
from stepnet.learning.config import SURROGATES
from stepnet.networks import reference
from stepnet.networks.network import Readout

pytestmark = pytest.mark.slow

SMALL = Config(hidden=(16, 12), epochs=12, batch_size=50, augmentation=0.2, seed=3)


def test_it_learns():
    network = train(SMALL, bars(), name="bars")
    fresh = bars(seed=1)
    accuracy = (reference.infer(network, fresh.images) == fresh.labels).mean()
    assert accuracy > 0.95
    assert network.name == "bars"
    assert network.alphabet == "5Eacz"
    assert network.sizes == (64, 16, 12, 7)


@pytest.mark.parametrize("kinds", [(3, 2), ("ternary", 1), (2, "ternary"), (8, 4)])
def test_it_learns_with_weights_of_several_bits(kinds):
    config = Config(hidden=(16,), weight_bits=kinds, epochs=10, batch_size=50)
    network = train(config, bars())
    assert [layer.weight_bits for layer in network.layers] == list(config.bits_per_layer)
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


@pytest.mark.parametrize("surrogate", SURROGATES)
def test_it_learns_with_every_surrogate(surrogate):
    network = train(dataclasses.replace(SMALL, surrogate=surrogate), bars())
    fresh = bars(seed=1)
    assert (reference.infer(network, fresh.images) == fresh.labels).mean() > 0.9


@pytest.mark.parametrize("readout", Readout)
def test_it_learns_from_class_detectors_and_a_teacher(readout):
    """Without labels: all of the lesson comes from the teacher."""
    config = dataclasses.replace(
        SMALL, readout=readout, auxiliary=0.5, distillation=1.0, teacher_epochs=2
    )
    network = train(config, bars())
    fresh = bars(seed=1)
    assert (reference.infer(network, fresh.images) == fresh.labels).mean() > 0.9


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


def test_a_label_that_is_no_character_is_refused():
    dataset = Dataset(np.zeros((4, 8, 8), np.uint8), np.array([3, 51, 51, 52]))
    with pytest.raises(TrainingError) as caught:
        train(SMALL, dataset)
    assert str(caught.value) == (
        "The label 3 is the code of no printable character; give character codes, which for the "
        "digits 0 to 9 are 48 to 57."
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
    ink = (warped >= 64).sum(dim=(1, 2)) / (images >= 64).sum(dim=(1, 2))
    assert float(ink.min()) > 0.6
    assert float(ink.max()) < 1.7
    rows = torch.arange(28.0)
    centres = (warped.sum(dim=2) @ rows) / warped.sum(dim=(1, 2))
    assert 0.3 < float(centres.std()) < 1.5
    assert abs(float(centres.mean()) - 13.5) < 0.3


def test_warps_make_strokes_wider_and_narrower():
    """The edge of a stroke is grey; how much of it is ink changes from image to image."""
    images = torch.zeros(500, 28, 28)
    images[:, :, 13] = 255
    images[:, :, 12] = images[:, :, 14] = 64
    generator = torch.Generator().manual_seed(0)
    warped = augmentation.warp(images, 0.3, generator)
    assert float(warped.max()) <= 255
    widths = (warped[:, 10:18] >= 64).sum(dim=(1, 2)) / 8
    assert (widths < 2).any()
    assert (widths > 2.9).any()


CONFIG_REFUSALS = {
    "rule": (
        {"rule": "magic"},
        "There is no learning rule 'magic'; choose one of surrogate, delta, sigmoid, sgd, lut, "
        "spiking.",
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
        "The weight bits 9 are out of range; choose 1 to 8, or ternary.",
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
    "surrogate": (
        {"surrogate": "cubic"},
        "There is no surrogate 'cubic'; choose one of straight-through, hard-tanh, sigmoid, "
        "arctan, triangle.",
    ),
    "auxiliary": ({"auxiliary": -0.5}, "The setting auxiliary is -0.5; give at least 0."),
    "distillation": (
        {"distillation": 1.5},
        "The setting distillation is 1.5; give a part from 0 to 1.",
    ),
    "teacher epochs": (
        {"teacher_epochs": 0},
        "The setting teacher_epochs is 0; give at least 1.",
    ),
    "weight bits of sigmoid": (
        {"rule": "sigmoid", "weight_bits": 4},
        "The rule sigmoid rounds its weights to 8 bits, but the weight bits are 4; give 8 or none, "
        "or choose rule surrogate.",
    ),
    "learning rate": (
        {"learning_rate": 0},
        "The learning rate is 0; give a finite number greater than 0.",
    ),
    "endless learning rate": (
        {"learning_rate": float("inf")},
        "The learning rate is inf; give a finite number greater than 0.",
    ),
    "endless augmentation": (
        {"augmentation": float("inf")},
        "The setting augmentation is inf; give a finite number.",
    ),
    "huge seed": (
        {"seed": 1 << 63},
        "The setting seed is 9223372036854775808; give at most 9223372036854775807.",
    ),
    "huge layer": (
        {"hidden": (1 << 40,)},
        "The hidden layers (1099511627776,) hold one of more than 65536 neurons; give fewer.",
    ),
    "learning rate of delta": (
        {"rule": "delta", "learning_rate": 0.1},
        "The rule delta knows no setting learning_rate, but it is 0.1; leave it out, or choose "
        "rule surrogate.",
    ),
    "teacher of delta": (
        {"rule": "delta", "distillation": 0.5},
        "The rule delta knows no setting distillation, but it is 0.5; leave it out, or choose "
        "rule surrogate.",
    ),
    "slope of sigmoid": (
        {"rule": "sigmoid", "surrogate": "arctan"},
        "The rule sigmoid knows no setting surrogate, but it is arctan; leave it out, or choose "
        "rule surrogate.",
    ),
}


@pytest.mark.parametrize(("settings", "sentence"), CONFIG_REFUSALS.values(), ids=CONFIG_REFUSALS)
def test_a_setting_out_of_range_is_refused(settings, sentence):
    with pytest.raises(TrainingError) as caught:
        Config(**settings)
    assert str(caught.value) == sentence
