"""Learning that starts from a network: what goes on, and what does not suit each other."""

import dataclasses

import numpy as np
import pytest
import torch

from characters import bars
from step_models import PRINTABLE, as_network, random_model
from stepnet import Layer, Network
from stepnet.errors import NetworkError, TrainingError
from stepnet.learning import Config, train
from stepnet.learning.learner import Learner
from stepnet.learning.starting import (
    check_start,
    config_from,
    learned_alphabet,
    start_network,
)
from stepnet.learning.surrogate import SurrogateLearner
from stepnet.learning.targets import Targets
from stepnet.networks import reference
from stepnet.networks.network import Readout

KINDS = [(1, 1, 8), (2, "ternary", 3), (8, 4, 1)]


def started(network, dataset) -> Learner:
    config = config_from(network, Config(start="any"))
    return SurrogateLearner(config, dataset, network)


@pytest.mark.slow
@pytest.mark.parametrize("readout", Readout)
@pytest.mark.parametrize("kinds", KINDS)
def test_a_network_taken_up_reads_as_before(readout, kinds):
    """Whatever the statistics of the images are: the thresholds come out again."""
    model = random_model((64, 24, 17), kinds, readout, alphabet="5Eacz")
    images = bars()
    model.set_statistics(torch.from_numpy(images.images >= 128).flatten(1))
    network = dataclasses.replace(as_network(model, 8, 8), ink_threshold=100)
    exported = started(network, images).export("again")
    random = np.random.default_rng(1).integers(0, 256, (500, 8, 8)).astype(np.uint8)
    assert np.array_equal(reference.infer(exported, random), reference.infer(network, random))
    assert exported.ink_threshold == 100


def short_bars(count, seed):
    """Bars of which only the left quarter is there."""
    whole = bars(count=count, seed=seed)
    images = whole.images.copy()
    images[:, :, 2:] = 0
    return dataclasses.replace(whole, images=images)


@pytest.mark.slow
def test_learning_goes_on_from_a_network(tmp_path):
    """A hundred images teach it another hand."""
    before = train(Config(hidden=(16, 12), epochs=12, batch_size=50, seed=3), bars())
    path = before.save(tmp_path / "before.npz")
    after = train(
        Config(start=str(path), augmentation=0.2, learning_rate=0.1, epochs=100), short_bars(100, 5)
    )
    assert (after.sizes, after.alphabet) == (before.sizes, before.alphabet)
    fresh = short_bars(500, 6)
    right = [(reference.infer(net, fresh.images) == fresh.labels).mean() for net in (before, after)]
    assert right[0] < 0.7
    assert right[1] > 0.9


def network_of(alphabet="5Eacz", side=8, readout=Readout.NEAREST):
    rows = len(alphabet) if readout is Readout.NEAREST else 8
    weights = np.random.default_rng(0).choice([-1, 1], (rows, side * side))
    layer = Layer(weights, np.arange(rows))
    return Network("mine", (layer,), side, side, readout=readout, alphabet=alphabet)


def test_an_alphabet_in_another_order_is_put_in_order(tmp_path):
    path = network_of("zE5ca").save(tmp_path / "mine.npz")
    ordered = start_network(Config(start=str(path)))
    images = bars().images
    assert ordered.alphabet == "5Eacz"
    assert np.array_equal(
        reference.infer(ordered, images), reference.infer(Network.load(path), images)
    )


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        (
            {"hidden": (64,)},
            "The network 'digits', which learning starts from, has hidden 128,64, but 64 is asked "
            "for; leave it out, or learn without --from.",
        ),
        (
            {"weight_bits": 4},
            "The network 'digits', which learning starts from, has weight_bits 1,1,8, but 4 is "
            "asked for; leave it out, or learn without --from.",
        ),
        (
            {"readout": "tree"},
            "The network 'digits', which learning starts from, has readout bits, but tree is asked "
            "for; leave it out, or learn without --from.",
        ),
        (
            {"ink_threshold": 100},
            "The network 'digits', which learning starts from, has ink_threshold 64, but 100 is "
            "asked for; leave it out, or learn without --from.",
        ),
    ],
)
def test_settings_that_the_network_has_otherwise(settings, sentence):
    config = Config(start="digits", **settings)
    with pytest.raises(TrainingError) as caught:
        config_from(start_network(config), config)
    assert str(caught.value) == sentence


def test_settings_that_the_network_has_too():
    config = Config(start="digits", hidden=(128, 64), weight_bits=(1, 1, 8), ink_threshold=64)
    assert config_from(start_network(config), config) == config
    assert (config.batch_size, config.learning_rate) == (32, 0.01)
    assert (Config().batch_size, Config().learning_rate) == (256, 0.03)


@pytest.mark.parametrize("rule", ["delta", "sigmoid", "lut"])
def test_other_rules_start_from_nothing(rule):
    with pytest.raises(TrainingError) as caught:
        Config(rule=rule, start="digits")
    assert str(caught.value) == (
        f"The rule {rule} knows no setting start (--from), but it is digits; leave it out, or "
        "choose rule surrogate."
    )


def test_a_network_of_tables_is_no_start():
    with pytest.raises(NetworkError, match=r"holds a lut network, whose tables are no weights"):
        start_network(Config(start="digits-lut"))


@pytest.mark.parametrize(
    ("network", "sentence"),
    [
        (
            network_of(side=9),
            "The images have 8 x 8 pixels, but the network 'mine', which learning starts from, "
            "takes 9 x 9; place them with --placed no, or learn without --from.",
        ),
        (
            network_of("5Ea"),
            "The images show 'cz', which the network 'mine' does not read; leave them out with "
            "--characters, or start from a network that reads them.",
        ),
        (
            network_of(readout=Readout.BITS),
            "The last layer of the network 'mine' has 8 rows after the prefix '', and training "
            "makes 7 after '' for its alphabet; start from a network that `stepnet train` made.",
        ),
    ],
)
def test_images_and_networks_that_do_not_suit(network, sentence):
    with pytest.raises(TrainingError) as caught:
        check_start(network, bars(50))
    assert str(caught.value) == sentence


def test_every_character_of_ascii_can_be_gone_on_with():
    assert start_network(Config(start="ascii")).alphabet == PRINTABLE


@pytest.mark.parametrize("readout", Readout)
@pytest.mark.parametrize("learned", ["0123", "\0000123"])
def test_a_network_tells_whether_it_was_taught_no_character(readout, learned):
    targets = Targets.of(readout, learned)
    trained = np.ones((len(targets.trained_rows), 9), np.int8)
    last = targets.complete(Layer(trained, np.full(len(trained), 3), 1))
    network = Network(
        "taught",
        (last,),
        height=3,
        width=3,
        readout=readout,
        alphabet=targets.answered,
        code_prefix=targets.code_prefix,
    )
    assert learned_alphabet(network) == learned
