"""Learning on from a network whose first layers stay as they are."""

import numpy as np
import pytest

from stepnet.data.sets import Dataset
from stepnet.errors import TrainingError
from stepnet.learning import Config, train
from stepnet.learning.convolution_sizes import ConvolutionSize
from stepnet.networks import reference
from stepnet.networks.random_networks import RandomMap, random_convolution_network

pytest.importorskip("torch")

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    """Its path and the network: a convolution, a layer of 12 and the last one, which learned to
    call bars by each other's names.
    """
    data = bars()
    swapped = Dataset(data.images, data.labels[::-1])
    convolutions = (ConvolutionSize(3, 4),)
    shape = Config(
        convolutions=convolutions, hidden=(12,), epochs=10, batch_size=20, augmentation=0.0
    )
    network = train(shape, swapped, name="swapped")
    path = tmp_path_factory.mktemp("start") / "start.npz"
    network.save(path)
    return str(path), network


def bars():
    """Upright and level bars, with noise."""
    rng = np.random.default_rng(1)
    images = rng.integers(0, 100, (200, 8, 8)).astype(np.uint8)
    images[:100, :, 3:5] = 255
    images[100:, 3:5, :] = 255
    return Dataset(images, np.repeat(np.array([49, 45], np.uint8), 100))


def config(start, **settings):
    return Config(
        start=start,
        **({"augmentation": 0.0, "epochs": 20, "batch_size": 20, "learning_rate": 0.1} | settings),
    )


@pytest.mark.parametrize("count", [1, 2])
def test_what_is_fixed_stays_and_the_rest_learns(start, count):
    path, before = start
    data = bars()
    learned = train(config(path, fixed_layers=count), data, name="mine")
    assert (learned.name, learned.sizes) == ("mine", before.sizes)
    for one, other in zip(learned.layers[:count], before.layers[:count], strict=True):
        assert np.array_equal(one.weights, other.weights)
        assert np.array_equal(one.thresholds, other.thresholds)
    right = [
        (reference.infer(each, data.images) == data.labels).mean() for each in (before, learned)
    ]
    assert right[0] < 0.1
    assert right[1] > 0.9


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"fixed_layers": 3},
            "The network 'swapped' has 3 layers, and with 3 that stay as they are none is left to "
            "learn; give fewer --fixed-layers.",
        ),
        (
            {"fixed_layers": 1, "augmentation": 0.5},
            "Layers that stay as they are answer once for each image, and see neither warps nor a "
            "teacher; give --augmentation 0 and no --distillation.",
        ),
    ],
)
def test_what_cannot_stay_is_refused(start, settings, message):
    with pytest.raises(TrainingError) as caught:
        train(config(start[0], **settings), bars())
    assert str(caught.value) == message


def test_a_convolution_above_a_fixed_one_is_refused(tmp_path):
    rng = np.random.default_rng(0)
    maps = (RandomMap(4, 3), RandomMap(4, 3))
    random_convolution_network(rng, 8, 8, maps).save(tmp_path / "two.npz")
    with pytest.raises(TrainingError) as caught:
        train(config(str(tmp_path / "two.npz"), fixed_layers=1), bars())
    assert str(caught.value) == (
        "Layer 1 of the network 'random' is a convolution, and none can learn above others that "
        "stay as they are; give --fixed-layers 2 or more."
    )


def test_fixed_layers_need_a_network_to_start_from():
    with pytest.raises(TrainingError) as caught:
        train(config(None, fixed_layers=1), bars())
    assert str(caught.value) == (
        "Layers that stay as they are belong to a network that learning starts from; name it with "
        "--from."
    )
