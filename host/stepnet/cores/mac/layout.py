"""How a network lies in the weight memory of a multiply-accumulate core.

A word has a byte for each lane. The core reads the words in order, once per image:

- word 0, `shape.NETWORK_HEADER`, which it takes up when it is loaded;
- for each layer a word with `MacShape.layer_header`, and then, group by group, a word for each
  step: in lane l the weight of neuron `group * lanes + l` for the input of that step. Lanes behind
  the last neuron have weights of 0;
- the character codes, by the number that the last layer's sums make, see `program.Choice`.

The steps of a group are the inputs of the layer, then inputs that are always
`LARGEST_ACTIVATION`, and one that is always 1: those are the bias,
`b = 255 (h[0] + h[1] + ...) + l`. There are as many as the largest bias of the layer takes, and at
least enough for `MacShape.min_steps`.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from stepnet.cores.engine.memory_image import Load
from stepnet.cores.mac.program import (
    MacLayer,
    MacNetwork,
    choice_of,
    codes_of,
    largest_input,
    layers_of,
)
from stepnet.cores.mac.shape import (
    ENDS_BIT,
    NETWORK_HEADER,
    SETTLES_BIT,
    SUM_BITS,
    MacShape,
)
from stepnet.errors import NetworkError
from stepnet.link.messages import Space
from stepnet.networks.relu import LARGEST_ACTIVATION, LARGEST_WEIGHT

SETTLING_LANES = 2
"""A layer need not wait for the activations below it if so many neurons of the layer below, and one
for each cycle from a sum to its activation, lie in groups before the last one: those activations
are written in the cycles in which the first inputs are read."""

MOST_STEPS = 1 << 16
MOST_GROUPS = 256


@dataclass(frozen=True, eq=False)
class WeightImage:
    """A network as the weight memory of a multiply-accumulate core holds it.

    words: (words, lanes) uint8.
    """

    shape: MacShape
    words: NDArray[np.uint8]

    @cached_property
    def digest(self) -> int:
        """CRC-32 (ISO-HDLC) over all bytes; the gateware computes the same over what it is sent."""
        return zlib.crc32(self.words.tobytes())

    @property
    def image_bytes(self) -> int:
        """Bytes of one packed image."""
        return int.from_bytes(self.words[0, : NETWORK_HEADER["image_bytes"]].tobytes(), "little")

    @property
    def values(self) -> list[int]:
        """All bytes, word by word, and in a word lane by lane."""
        return self.words.reshape(-1).tolist()

    def loads(self, max_bytes: int) -> Iterator[Load]:
        """Everything that fills the memory, in pieces of at most `max_bytes`. An address counts
        bytes."""
        content = self.words.tobytes()
        for start in range(0, len(content), max_bytes):
            yield Load(Space.WEIGHTS, start, content[start : start + max_bytes])


@dataclass(frozen=True)
class LayerPlan:
    """How a core goes through a layer.

    first_word: of the layer in memory, which is its header.
    groups: of neurons.
    high_steps: steps with an input of `LARGEST_ACTIVATION`.
    last_neurons: how many neurons the last group has.
    settles: whether the layer waits for the activations below it.
    """

    first_word: int
    inputs: int
    groups: int
    high_steps: int
    last_neurons: int
    settles: bool

    @property
    def steps(self) -> int:
        """The words of weights of a group."""
        return self.inputs + self.high_steps + 1

    @property
    def next_word(self) -> int:
        """The word behind the layer."""
        return self.first_word + 1 + self.groups * self.steps


def layer_plans(network: MacNetwork, shape: MacShape) -> list[LayerPlan]:
    """How the core goes through each layer, first to last."""
    plans: list[LayerPlan] = []
    settling_lanes = SETTLING_LANES + shape.activation_cycles
    for layer in layers_of(network):
        high, _ = _bias_parts(layer)
        bias_steps = int(max(-(-high.max() // LARGEST_WEIGHT), -(high.min() // 128), 0))
        groups = shape.groups(layer.n_out)
        settles = bool(plans) and shape.lanes * (plans[-1].groups - 1) < settling_lanes
        plans.append(
            LayerPlan(
                first_word=plans[-1].next_word if plans else 1,
                inputs=layer.n_in,
                groups=groups,
                high_steps=max(bias_steps, shape.min_steps - layer.n_in - 1),
                last_neurons=layer.n_out - shape.lanes * (groups - 1),
                settles=settles,
            )
        )
    return plans


def words_needed(network: MacNetwork, shape: MacShape) -> int:
    """How many words of weight memory the network takes."""
    return layer_plans(network, shape)[-1].next_word + shape.groups(len(codes_of(network)))


def check_fits(network: MacNetwork, shape: MacShape, board: str = "") -> None:
    """Raise NetworkError, with the limit, if a core of `shape` cannot hold `network`.

    board: whose core it is, for the error; "" for no board.
    """
    core = f"multiply-accumulate core{board and f' of {board}'}"
    told = f"Network {network.name!r} does not fit the {core}: "
    pixels = network.height * network.width
    if pixels > shape.max_pixels:
        raise NetworkError(
            f"{told}its images have {pixels:,} pixels, the core takes {shape.max_pixels:,}; take "
            "a network of smaller images."
        )
    for number, layer in enumerate(layers_of(network)):
        hidden = number < len(network.layers) - 1
        if hidden and layer.n_out > shape.max_hidden:
            raise NetworkError(
                f"{told}layer {number} has {layer.n_out:,} neurons, the core holds the answers of "
                f"{shape.max_hidden:,}; train with fewer --hidden neurons."
            )
        largest = layer.largest_sum(largest_input(number))
        if largest >= 1 << SUM_BITS - 1:
            raise NetworkError(
                f"{told}a sum of layer {number} may reach {largest:,}, an accumulator holds less "
                f"than {1 << SUM_BITS - 1:,}; train with fewer --hidden neurons."
            )
    for number, plan in enumerate(layer_plans(network, shape)):
        if plan.steps > MOST_STEPS or plan.groups > MOST_GROUPS:
            raise NetworkError(
                f"{told}layer {number} has {plan.groups:,} groups of {plan.steps:,} steps, the "
                f"core counts to {MOST_GROUPS:,} and {MOST_STEPS:,}; take a smaller network."
            )
    needed = words_needed(network, shape)
    if needed > shape.weight_words:
        raise NetworkError(
            f"{told}it takes {needed:,} words of {shape.lanes} weights, "
            f"{needed - shape.weight_words:,} more than the {shape.weight_words:,} of the core; "
            "train with fewer --hidden neurons."
        )


def weight_image(network: MacNetwork, shape: MacShape) -> WeightImage:
    """Lay a network out; raises what `check_fits` raises."""
    check_fits(network, shape)
    words = np.zeros((words_needed(network, shape), shape.lanes), dtype=np.uint8)
    image_bytes = -(-network.height * network.width // 8)
    _put(words[0], NETWORK_HEADER, image_bytes=image_bytes)
    plans = layer_plans(network, shape)
    for layer, plan in zip(layers_of(network), plans, strict=True):
        flags = plan.settles << SETTLES_BIT | (plan is plans[-1]) << ENDS_BIT
        _put(
            words[plan.first_word],
            shape.layer_header,
            steps_minus_1=plan.steps - 1,
            inputs=plan.inputs,
            groups_minus_1=plan.groups - 1,
            multiplier=layer.multiplier & 0xFF,
            shift=layer.shift | flags,
            last_neurons_minus_1=plan.last_neurons - 1,
            multiplier_high=layer.multiplier >> 8,
            choice=choice_of(network),
        )
        words[plan.first_word + 1 : plan.next_word] = _weights(layer, plan, shape)
    codes = codes_of(network)
    words[plans[-1].next_word :].reshape(-1)[: len(codes)] = codes
    return WeightImage(shape, words)


def _weights(layer: MacLayer, plan: LayerPlan, shape: MacShape) -> NDArray[np.uint8]:
    """The words of a layer's groups: (groups * steps, lanes)."""
    rows = np.zeros((plan.groups * shape.lanes, plan.steps), dtype=np.int64)
    high, low = _bias_parts(layer)
    real = rows[: layer.n_out]
    real[:, : plan.inputs] = layer.weights
    for step in range(plan.inputs, plan.steps - 1):
        part = high.clip(-128, LARGEST_WEIGHT)
        real[:, step] = part
        high = high - part
    real[:, -1] = low
    by_group = rows.reshape(plan.groups, shape.lanes, plan.steps).transpose(0, 2, 1)
    return by_group.reshape(-1, shape.lanes).astype(np.int8).view(np.uint8)


def _bias_parts(layer: MacLayer) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """h and l of `b = 255 h + l`, with l within -127 to 127: (n_out,) each."""
    biases = layer.biases
    high = (biases + LARGEST_WEIGHT) // LARGEST_ACTIVATION
    return high, biases - LARGEST_ACTIVATION * high


def _put(word: NDArray[np.uint8], fields: dict[str, int], **values: int) -> None:
    """Write fields into the first bytes of a word; values of no field are left out."""
    content = b"".join(values[name].to_bytes(size, "little") for name, size in fields.items())
    word[: len(content)] = np.frombuffer(content, dtype=np.uint8)
