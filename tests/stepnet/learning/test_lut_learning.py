"""Rule lut: that it learns, goes on where it was stopped, and exports what was trained."""

import numpy as np
import pytest
import torch

from characters import bars
from stepnet import Readout
from stepnet.data.sets import Dataset
from stepnet.errors import TrainingError
from stepnet.learning.config import TABLE_INPUTS, Config
from stepnet.learning.lut import LutLearner
from stepnet.learning.lut_model import LutModel, Tables
from stepnet.learning.pixel_choice import most_telling
from stepnet.networks import lut

pytestmark = pytest.mark.slow


def config(**changes):
    fields = {
        "kind": "lut",
        "readout": Readout.NEAREST,
        "tables": 60,
        "epochs": 4,
        "batch_size": 20,
        "augmentation": 0.2,
        "seed": 3,
    }
    return Config(**{**fields, **changes})


def learn(learner, epochs):
    return [progress for epoch in epochs for progress in learner.learn(epoch)]


def trained(dataset, **changes):
    settings = config(**changes)
    learner = LutLearner(settings, dataset)
    learn(learner, range(1, settings.epochs + 1))
    return learner.export("bars")


@pytest.mark.parametrize("readout", Readout)
@pytest.mark.parametrize("table_inputs", [4, 10])
def test_it_learns(readout, table_inputs):
    network = trained(bars(), readout=readout, table_inputs=table_inputs)
    fresh = bars(seed=1)
    assert (lut.infer(network, fresh.images) == fresh.labels).mean() > 0.95


@pytest.mark.parametrize("readout", Readout)
@pytest.mark.parametrize(
    "changes", [*({"table_inputs": inputs} for inputs in TABLE_INPUTS), {"gathered": 20}]
)
def test_the_export_counts_what_was_trained(readout, changes):
    """Also with a number of tables that leaves the rows groups of different sizes."""
    dataset = bars()
    settings = config(readout=readout, tables=37, **changes)
    learner = LutLearner(settings, dataset)
    # One step: enough to move everything, and too little to read every image.
    next(learner.learn(1))
    bits = torch.from_numpy((dataset.images >= 128).reshape(len(dataset), -1).T)
    counted = learner.counts(bits.to(torch.uint8)).numpy()
    network = learner.export("bars")
    rows = learner.lesson.targets.trained_rows
    np.testing.assert_array_equal(lut.sums(network, dataset.images)[:, rows], counted)
    margins = torch.from_numpy(counted) - learner.thresholds + learner._tie
    right = learner.lesson.right(margins, learner.indices).numpy()
    read = lut.infer(network, dataset.images)
    np.testing.assert_array_equal(read == dataset.labels, right)
    assert right.mean() < 1
    assert len(np.unique(counted)) > 3


def test_a_counted_table_sees_as_many_pixels_as_it_was_told():
    network = LutLearner(config(table_inputs=10, tables=40), bars()).export("bars")
    first, last = network.layers
    assert last.n_out == 40
    for wires in last.wires:
        below = first.wires[wires]
        assert [len(set(pixels)) > 1 for pixels in below.tolist()] == [True, True, False, False]
    # Two tables of its own for each, and one that passes on for each pixel seen directly.
    passed = first.wires[80:]
    assert (first.tables[80:] == 0xAAAA).all()
    assert len(np.unique(passed[:, 0])) == len(passed)


def test_the_gradient_of_an_entry_is_the_sum_over_the_images_that_ask_for_it():
    tables = Tables(1, torch.Generator().manual_seed(0))
    inputs = [torch.tensor([[0, 1, 1]], dtype=torch.uint8) for _ in range(4)]
    tables.forward(inputs)
    of_entries, _ = tables.backward(torch.tensor([[2.0, 3.0, 4.0]]))
    asked = of_entries[0] != 0
    assert asked.nonzero().flatten().tolist() == [0, 15]
    slope = of_entries[0, 15] / of_entries[0, 0]
    entries = torch.sigmoid(2 * tables.latents[0])
    steepness = entries * (1 - entries)
    assert slope == pytest.approx(float(7 * steepness[15] / (2 * steepness[0])))


def test_the_gradient_of_an_input_is_what_the_table_gains_from_it():
    tables = Tables(1, torch.Generator().manual_seed(0))
    a = [torch.tensor([[bit]], dtype=torch.uint8) for bit in (1, 0, 1, 1)]
    tables.forward(a)
    _, of_inputs = tables.backward(torch.tensor([[1.0]]))
    entries = torch.sigmoid(2 * tables.latents[0])
    for place, found in enumerate(of_inputs):
        gain = entries[13 | 1 << place] - entries[13 & ~(1 << place)]
        assert float(found) == pytest.approx(float(gain))


def test_a_wire_learns_the_pixel_that_helps():
    """Pixel 2 is what is to be counted, the others are noise."""
    generator = torch.Generator().manual_seed(0)
    model = LutModel(torch.arange(8), 1, 1, 4, generator)
    model.counted.latents[:] = torch.where(torch.arange(16) & 1 == 1, 1.0, -1.0)
    for step in range(1, 60):
        pixels = torch.randint(0, 2, (8, 64), generator=generator, dtype=torch.uint8)
        error = model.forward(pixels)[:, 0] - pixels[2]
        *_, of_weights = model.backward(error[:, None])
        model.wires.move(of_weights, step, 0.02)
    assert int(model.wires.chosen[0]) == 2


def test_few_pixels_are_used_when_few_are_allowed():
    network = trained(bars(), pixels=9, tables=30)
    assert len(network.pixels_used) <= 9
    fresh = bars(seed=1)
    assert (lut.infer(network, fresh.images) == fresh.labels).mean() > 0.8


def test_gathered_bits_see_pixels_of_one_byte_each():
    learner = LutLearner(config(gathered=12, tables=30, table_inputs=7), bars())
    learn(learner, [1, 2, 3, 4])
    network = learner.export("bars")
    gathered, first, last = network.layers
    assert (gathered.n_out, last.n_out) == (12, 30)
    assert (gathered.wires // 8 == gathered.wires[:, :1] // 8).all()
    assert first.n_in == 12
    fresh = bars(seed=1)
    assert (lut.infer(network, fresh.images) == fresh.labels).mean() > 0.9


def test_the_last_byte_of_an_image_may_be_short():
    """25 pixels: the fourth byte has one."""
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (60, 5, 5)).astype(np.uint8)
    digits = Dataset(images, np.arange(60) % 3 + ord("0"))
    learner = LutLearner(config(gathered=25, tables=30), digits)
    learn(learner, [1])
    assert learner.export("digits").layers[0].wires.max() == 24


def test_the_gradient_goes_back_to_gathered_bits():
    model = LutModel(torch.arange(3), 1, 1, 4, torch.Generator().manual_seed(0))
    model.forward(torch.tensor([[0], [1], [1]], dtype=torch.uint8))
    *_, of_inputs, _ = model.backward(torch.ones(1, 1))
    found = model.of_candidates(of_inputs)
    for candidate in range(3):
        mine = of_inputs[model.wires.chosen == candidate].sum()
        assert float(found[candidate]) == pytest.approx(float(mine))


def test_the_pixels_that_tell_most_do_not_tell_the_same():
    random = np.random.default_rng(0)
    bits = random.integers(0, 2, (500, 6)).astype(bool)
    bits[:, 1] = bits[:, 0]
    bits[:, 2] = ~bits[:, 0]
    bits[:, 5] = False
    chosen = most_telling(bits.reshape(500, 2, 3), 3).tolist()
    assert len(set(chosen) & {0, 1, 2}) == 1
    assert {3, 4} < set(chosen)
    assert most_telling(bits.reshape(500, 2, 3), None).tolist() == [0, 1, 2, 3, 4]
    assert most_telling(bits.reshape(500, 2, 3), 4).tolist() == chosen
    assert most_telling(bits.reshape(500, 2, 3), 9).tolist() == [0, 1, 2, 3, 4]


def test_bits_that_never_change_are_constant():
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (40, 6, 6)).astype(np.uint8)
    digits = Dataset(images, np.arange(40) % 10 + ord("0"))
    network = LutLearner(config(readout=Readout.BITS), digits).export("digits")
    assert set((lut.infer(network, images) >> 4).tolist()) == {0b011}
    assert network.counts.sizes.tolist() == [15, 15, 15, 15, 0, 0, 0]


def test_it_learns_from_a_teacher():
    """Without labels: all of the lesson comes from the teacher, whose passes are the first."""
    learner = LutLearner(config(distillation=1.0, teacher_epochs=2), bars())
    teaching = {progress.epoch: progress.teaching for progress in learn(learner, range(1, 7))}
    assert teaching == {1: True, 2: True, 3: False, 4: False, 5: False, 6: False}
    fresh = bars(seed=1)
    assert (lut.infer(learner.export("bars"), fresh.images) == fresh.labels).mean() > 0.95


def test_the_rate_is_low_again_at_the_end_of_each_course():
    learner = LutLearner(config(distillation=0.5, teacher_epochs=2), bars())
    rates = [progress.learning_rate for progress in learn(learner, range(1, 7))]
    of_teacher, of_network = rates[: 2 * learner.batches], rates[2 * learner.batches :]
    assert max(of_teacher) == pytest.approx(1, rel=0.01)
    assert max(of_network) == pytest.approx(learner.config.peak_rate, rel=0.01)
    for course in (of_teacher, of_network):
        assert course[-1] < 0.05 * max(course)


@pytest.mark.parametrize(
    "changes", [{}, {"gathered": 20}, {"distillation": 0.5, "teacher_epochs": 1, "epochs": 3}]
)
def test_a_learner_that_takes_up_a_state_goes_on_bit_for_bit(changes):
    whole = LutLearner(config(table_inputs=7, **changes), bars())
    learn(whole, [1, 2, 3, 4])
    first = LutLearner(config(table_inputs=7, **changes), bars())
    learn(first, [1, 2])
    state = first.state()
    kept = {key: array.copy() for key, array in state.items()}
    learn(first, [3])
    second = LutLearner(config(table_inputs=7, **changes), bars())
    # The state is a copy: going on has not changed it.
    for key, array in state.items():
        np.testing.assert_array_equal(array, kept[key])
    second.restore(state)
    learn(second, [3, 4])
    assert second.export("bars").digest == whole.export("bars").digest


def test_the_seed_decides_everything():
    first, again, other = (trained(bars(), epochs=1, seed=seed) for seed in (3, 3, 4))
    assert first.digest == again.digest
    assert first.digest != other.digest


def test_fewer_tables_than_counts_are_refused():
    with pytest.raises(TrainingError) as refusal:
        LutLearner(config(tables=4), bars())
    assert str(refusal.value) == (
        "There are 4 tables for 5 counts; give at least one for each, better a hundred."
    )


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        (
            {"table_inputs": 5},
            "The setting table_inputs is 5; choose one of 4, 7, 10, 13, 16.",
        ),
        ({"pixels": 0}, "The setting pixels is 0; give at least 1."),
        (
            {"pixels": 9, "gathered": 8},
            "Of 9 pixels, 8 bits are to be gathered; give one of both, pixels or gathered.",
        ),
        ({"temperature": -1.0}, "The temperature is -1.0; give a finite number greater than 0."),
        ({"tables": 0}, "The setting tables is 0; give at least 1."),
        (
            {"hidden": (5,)},
            "The rule lut knows no setting hidden, but it is 5; leave it out, or choose rule "
            "surrogate.",
        ),
        (
            {"kind": "step", "rule": "sigmoid"},
            "The rule sigmoid knows no setting tables, but it is 60; leave it out, or choose rule "
            "lut.",
        ),
        (
            {"rule": "delta"},
            "The rule delta makes no network of look-up tables; leave out the rule or the kind.",
        ),
        ({"kind": "magic"}, "There is no kind of network 'magic'; choose one of step, lut."),
    ],
)
def test_a_setting_that_makes_no_sense_is_refused(settings, sentence):
    with pytest.raises(TrainingError) as refusal:
        config(**settings)
    assert str(refusal.value) == sentence


def test_either_word_chooses_the_rule():
    assert Config(kind="lut") == Config(rule="lut") == Config(kind="lut", rule="lut")
