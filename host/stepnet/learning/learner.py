"""What all learning rules have in common: a learner that goes over the images pass by pass.

`stepnet.learning.training` drives one, whatever its rule, and `stepnet.learning.run` keeps its
state.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from stepnet.data.sets import Dataset
from stepnet.errors import TrainingError
from stepnet.learning.config import Config, Progress
from stepnet.learning.convolution_sizes import over_image
from stepnet.networks.kinds import AnyNetwork
from stepnet.networks.lut import TABLE_BITS
from stepnet.networks.network_file import MOST_BYTES, fits_a_file

MOST_OUTPUTS = 255
"""Rows of a last layer: those of a tree for codes of eight bits."""

State = dict[str, NDArray[np.generic]]
"""Everything a learner needs to go on as if it had never stopped, as plain arrays."""


class Learner(Protocol):
    """A rule at work on one data set.

    A pass depends on the state before it and on the number of the epoch, and on nothing else; so a
    learner that takes up the `state` another one had between two passes goes on bit for bit as
    that one would have.
    """

    def learn(self, epoch: int) -> Iterator[Progress]:
        """Make pass `epoch`, 1 to the number of epochs; yields after every step."""
        ...

    def state(self) -> State:
        """A copy of all that passes change, between two of them."""
        ...

    def restore(self, state: State) -> None:
        """Take up a state that a learner of the same configuration and data had."""
        ...

    def export(self, name: str) -> AnyNetwork:
        """The network as it stands, in integers, under this name."""
        ...


def check_learnable(dataset: Dataset) -> None:
    """Raise TrainingError if the data set has one character only, or labels that are none.

    A frequent slip is a digit's number in place of its code.
    """
    if len(dataset.characters) < 2:
        raise TrainingError(
            f"All images show the character {dataset.characters!r}; "
            "give a data set with at least two characters."
        )
    for character in dataset.characters:
        if not character.isprintable():
            code = ord(character)
            raise TrainingError(
                f"The label {code} is the code of no printable character; give character codes, "
                f"which for the digits 0 to 9 are {ord('0')} to {ord('9')}."
            )


def weight_count(config: Config, dataset: Dataset) -> int:
    """How many weights a network that learns `dataset` has at most, all layers together. Tables
    count what learning keeps of them: a weight for each pixel that an input may be wired to, and
    the entries.
    """
    _, height, width = dataset.images.shape
    if config.rule == "lut":
        return config.tables * config.table_inputs * (height * width + TABLE_BITS)
    weights, n_in = 0, height * width
    for over, size in zip(
        over_image(config.convolutions, height, width), config.convolutions, strict=True
    ):
        weights += over.fan_in * size.channels
        n_in = over.positions * size.channels
    sizes = (n_in, *config.hidden, MOST_OUTPUTS)
    return weights + sum(inputs * outputs for inputs, outputs in itertools.pairwise(sizes))


def check_size(config: Config, dataset: Dataset) -> None:
    """Raise TrainingError, before hours of training, if no file would hold the network.

    Tables are few enough for any file, as many as there may be.
    """
    if config.rule == "lut":
        return
    weight_bytes = np.dtype(np.float32 if config.rule == "sigmoid" else np.int8).itemsize
    weights = weight_count(config, dataset)
    channels = sum(size.channels for size in config.convolutions)
    if not fits_a_file(weights * weight_bytes, channels + sum(config.hidden) + MOST_OUTPUTS):
        raise TrainingError(
            f"The network would have {weights:,} weights, and a network file holds at most "
            f"{MOST_BYTES // weight_bytes:,}; give fewer --hidden neurons."
        )


def random_state(random: np.random.Generator) -> NDArray[np.uint64]:
    """The state of numpy's PCG64 generator: (6,) uint64."""
    state: dict[str, Any] = dict(random.bit_generator.state)
    inner = state["state"]
    mask = (1 << 64) - 1
    numbers = [
        part for number in (inner["state"], inner["inc"]) for part in (number & mask, number >> 64)
    ]
    return np.array([*numbers, state["has_uint32"], state["uinteger"]], dtype=np.uint64)


def restore_random(random: np.random.Generator, state: NDArray[np.generic]) -> None:
    """Take up what `random_state` gave."""
    low, high, inc_low, inc_high, has_uint32, uinteger = (int(number) for number in state)
    random.bit_generator.state = {
        "bit_generator": "PCG64",
        "state": {"state": high << 64 | low, "inc": inc_high << 64 | inc_low},
        "has_uint32": has_uint32,
        "uinteger": uinteger,
    }
