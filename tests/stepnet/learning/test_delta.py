"""The delta rule: its formulas, what it learns, and that it needs numpy alone."""

import subprocess
import sys

import numpy as np
import pytest

import characters
from stepnet import Network
from stepnet.errors import TrainingError
from stepnet.learning import Config, delta, train
from stepnet.networks import reference
from stepnet.networks.network import Readout


def bars(**settings):
    """Far enough apart to stay apart when images are shifted."""
    return characters.bars(side=16, spacing=3, **settings)


SMALL = Config(rule="delta", hidden=(48,), epochs=20, seed=3)


def accuracy(network):
    fresh = bars(seed=1)
    return (reference.infer(network, fresh.images) == fresh.labels).mean()


def neurons(weights, thresholds, weight_bits=8):
    """Neurons with these weights, near and margin as for one first sum of +-4."""
    weights = np.array(weights, dtype=np.float32)
    layer = delta.StepNeurons(weights.shape[1], len(weights), weight_bits, np.random.default_rng(0))
    layer.weights, layer.thresholds = weights, np.array(thresholds, dtype=np.float32)
    layer.spread = 4
    return layer


def one_step(layer):
    """As many votes as one image gives: each moves its weight by 1."""
    return layer.start


def test_the_formulas_on_one_image():
    """Two inputs, one of them active; four hidden neurons; one output neuron, wrongly silent."""
    assert (delta.NEAR, delta.SAFE) == (2, 4)
    hidden = neurons([[5, 9], [5, 9], [5, 9], [5, 9]], [5, 12, 13, -3])
    output = neurons([[3, -2, 7, 6]], [20])
    wrong = delta._learn(
        [hidden, output], np.array([[True, False]]), np.array([[1]]), one_step(output)
    )
    assert wrong.tolist() == [[True]]
    # Hidden distances are 0, -7, -8 and 8, so neurons 0 and 3 fire and 9 < 20 does not.
    # The active ones vote the output's weights up; the threshold falls.
    assert output.weights.tolist() == [[4, -2, 7, 7]]
    assert output.thresholds.tolist() == [19]
    # Nearer than 8 are neurons 0 and 1; the first weighs 3 and should fire, the second -2.
    assert hidden.weights.tolist() == [[6, 9], [4, 9], [5, 9], [5, 9]]
    assert hidden.thresholds.tolist() == [4, 13, 13, -3]


@pytest.mark.parametrize(
    ("distance", "wanted", "moves"),
    [(15, 1, True), (16, 1, False), (-15, -1, True), (-16, -1, False), (-30, 1, True)],
)
def test_right_answers_are_left_alone_beyond_the_margin(distance, wanted, moves):
    output = neurons([[1]], [-distance])
    wrong = delta._learn([output], np.array([[False]]), np.array([[wanted]]), one_step(output))
    assert wrong.tolist() == [[distance == -30]]
    assert output.thresholds.tolist() == [-distance - wanted * moves]


def test_an_answer_nobody_asks_for_moves_nothing():
    output = neurons([[1, 2]], [0])
    wrong = delta._learn([output], np.array([[True, True]]), np.array([[0]]), one_step(output))
    assert wrong.tolist() == [[False]]
    assert (output.weights.tolist(), output.thresholds.tolist()) == ([[1, 2]], [0])


def test_votes_are_counted_until_there_are_enough():
    layer = neurons([[0]], [0])
    needed = 3 * one_step(layer)
    for votes, weight in ((2, 0), (2, 1), (1, 1), (1, 2), (-4, 1), (-2, 0)):
        layer.vote(np.array([[np.float32(votes)]]), np.array([[np.float32(1)]]), needed)
        assert layer.weights.tolist() == [[weight]]


@pytest.mark.parametrize(("weight_bits", "limit"), [(4, 7), (6, 31), (8, 127)])
def test_weights_stay_in_their_range(weight_bits, limit):
    layer = neurons([[limit, -limit]], [0], weight_bits)
    layer.vote(np.float32([[1]]), np.float32([[9, -9]]), one_step(layer))
    assert layer.weights.tolist() == [[limit, -limit]]


def test_votes_needed_grow_from_the_first_pass_to_the_last():
    needed = [delta._votes_needed(epoch, 6) for epoch in range(1, 7)]
    assert needed == [32, 64, 128, 256, 512, 1024]
    assert delta._votes_needed(1, 1) == 32


@pytest.mark.parametrize("weight_bits", [4, 6, 8])
def test_it_learns(weight_bits):
    network = train(
        Config(rule="delta", hidden=(48,), weight_bits=weight_bits, epochs=20), bars(), name="bars"
    )
    assert accuracy(network) > 0.95
    assert (network.name, network.alphabet, network.sizes) == ("bars", "5Eacz", (256, 48, 7))
    assert [layer.weight_bits for layer in network.layers] == [weight_bits] * 2


def test_it_learns_with_two_hidden_layers_and_without_any():
    assert accuracy(train(Config(rule="delta", hidden=(48, 32), epochs=20), bars())) > 0.95
    assert accuracy(train(Config(rule="delta", hidden=(), epochs=20), bars())) > 0.95


@pytest.mark.parametrize("readout", Readout)
def test_it_learns_under_every_readout(readout):
    network = train(Config(rule="delta", hidden=(48,), epochs=20, readout=readout), bars())
    assert network.readout is readout
    assert accuracy(network) > 0.95


def test_hidden_neurons_learn_too():
    hidden = train(SMALL, bars()).layers[0]
    first_weights_at_most = 127 // 16
    assert (np.abs(hidden.weights) > first_weights_at_most).mean() > 0.05


def test_the_seed_decides_everything():
    first, again = train(SMALL, bars()), train(SMALL, bars())
    other = train(Config(rule="delta", hidden=(48,), epochs=20, seed=4), bars())
    assert first.digest == again.digest
    assert first.digest != other.digest


def test_progress_is_reported_after_every_batch():
    reports = []
    config = Config(rule="delta", hidden=(8,), epochs=2)
    train(config, bars(count=64), on_progress=reports.append)
    assert [report.images_done for report in reports] == [32, 64, 96, 128]
    assert {report.images_total for report in reports} == {128}
    assert [report.epoch for report in reports] == [1, 1, 2, 2]
    assert all(0 <= report.accuracy <= 1 and 0 <= report.loss <= 7 for report in reports)


def test_the_last_accuracy_told_is_that_of_the_network():
    """One batch, one pass: nothing has moved when the answers are counted."""
    reports = []
    dataset = bars(count=32)
    train(Config(rule="delta", hidden=(48,), epochs=60), dataset, on_progress=reports.append)
    assert reports[-1].accuracy == 1
    assert reports[-1].loss == 0
    assert reports[0].accuracy < 1


def test_an_interrupt_ends_the_run():
    def interrupt(progress):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(SMALL, bars(), on_progress=interrupt)


def test_it_runs_without_torch():
    """A fresh interpreter in which torch cannot be imported learns, and says what needs it."""
    program = """
import sys
sys.modules["torch"] = None
import numpy as np
from stepnet import learning
from stepnet.data.sets import Dataset
from stepnet.errors import MissingToolError
images = np.zeros((40, 2, 2), np.uint8)
images[::2] = 255
dataset = Dataset(images, np.tile(np.frombuffer(b"ab", np.uint8), 20))
network = learning.train(learning.Config(rule="delta", hidden=(4,), epochs=2), dataset)
try:
    learning.train(learning.Config(), dataset)
except MissingToolError as error:
    print(error)
"""
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert result.stdout == (
        "The rule surrogate needs the package torch, which is not installed; install it with "
        'pip install "stepnet[train]", or choose the rule delta, which does without.\n'
    )


@pytest.mark.parametrize(("weight_bits", "named"), [(1, 1), (3, 3), ((8, 2), 2)])
def test_weights_of_too_few_bits_are_refused(weight_bits, named):
    with pytest.raises(TrainingError) as caught:
        Config(rule="delta", hidden=(8,), weight_bits=weight_bits)
    assert str(caught.value) == (
        f"The rule delta moves weights of 4 to 8 bits, but the weight bits are {named}; "
        "give more, or choose rule surrogate."
    )


def test_what_is_exported_fits_a_network_file(tmp_path):
    network = train(SMALL, bars())
    assert Network.load(network.save(tmp_path / "bars.npz")).digest == network.digest
