"""Learning on from a network of which the first layers stay as they are.

What these layers answer is computed once, by the reference, and the rest of the network learns from
the answers as from images. So a pass takes a small part of the time, which is what learning other
pens on convolutions needs; warped images are not to be had.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from stepnet.data.sets import Dataset
from stepnet.errors import TrainingError
from stepnet.learning.config import Config, Progress
from stepnet.learning.learner import State
from stepnet.learning.starting import config_from
from stepnet.learning.surrogate import SurrogateLearner
from stepnet.networks import reference
from stepnet.networks.network import Network

ANSWERED_AT_ONCE = 1000
"""How many images the layers that stay are shown together."""


class RestLearner:
    """Rule surrogate at work on the layers of `start` behind the first `config.fixed_layers`; see
    `stepnet.learning.learner.Learner`.

    `config` and `dataset` suit `start`, as `stepnet.learning.starting` and `check_fixed` see to.
    """

    def __init__(self, config: Config, dataset: Dataset, start: Network) -> None:
        self.start, self.count = start, config.fixed_layers
        rest = rest_of(start, self.count)
        usual = Config()
        config = dataclasses.replace(
            config,
            convolutions=usual.convolutions,
            hidden=usual.hidden,
            weight_bits=None,
            ink_threshold=usual.ink_threshold,
            fixed_layers=0,
        )
        answered = Dataset(answers(start, self.count, dataset.images), dataset.labels)
        self.rest = SurrogateLearner(config_from(rest, config), answered, rest)

    def learn(self, epoch: int) -> Iterator[Progress]:
        """See `Learner.learn`."""
        return self.rest.learn(epoch)

    def state(self) -> State:
        """See `Learner.state`."""
        return self.rest.state()

    def restore(self, state: State) -> None:
        """See `Learner.restore`."""
        self.rest.restore(state)

    def export(self, name: str) -> Network:
        """The whole network, with the rest as it stands."""
        rest = self.rest.export(name)
        layers = (*self.start.layers[: self.count], *rest.layers)
        return dataclasses.replace(
            rest, layers=layers, height=self.start.height, width=self.start.width
        )


def check_fixed(config: Config, start: Network | None) -> None:
    """Raise TrainingError unless the first `config.fixed_layers` layers of `start` can stay."""
    count = config.fixed_layers
    if not count:
        return
    if start is None:
        raise TrainingError(
            "Layers that stay as they are belong to a network that learning starts from; name it "
            "with --from."
        )
    if count >= len(start.layers):
        raise TrainingError(
            f"The network {start.name!r} has {len(start.layers)} layers, and with {count} that "
            "stay as they are none is left to learn; give fewer --fixed-layers."
        )
    if start.layers[count].convolution is not None:
        convolutions = sum(layer.convolution is not None for layer in start.layers)
        raise TrainingError(
            f"Layer {count} of the network {start.name!r} is a convolution, and none can learn "
            f"above others that stay as they are; give --fixed-layers {convolutions} or more."
        )
    if config.augmentation or config.distillation:
        raise TrainingError(
            "Layers that stay as they are answer once for each image, and see neither warps nor a "
            "teacher; give --augmentation 0 and no --distillation."
        )


def rest_of(network: Network, count: int) -> Network:
    """The layers behind the first `count` as a network whose image is a row of their answers."""
    layers = network.layers[count:]
    return dataclasses.replace(network, layers=layers, height=1, width=layers[0].n_in)


def answers(network: Network, count: int, images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """What layer `count` - 1 answers to (N, height, width) uint8 images, as images of the network
    that `rest_of` gives: (N, 1, neurons) uint8, 0 or 255.
    """
    found: list[NDArray[np.uint8]] = []
    for batch in np.array_split(images, -(-len(images) // ANSWERED_AT_ONCE)):
        state = reference.binarise(network, batch)
        for layer in network.layers[:count]:
            state = reference.fires(layer, state)
        found.append(state.reshape(len(batch), 1, -1) * np.uint8(255))
    return np.concatenate(found)
