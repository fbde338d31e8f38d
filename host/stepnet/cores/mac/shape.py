"""The shape of a multiply-accumulate core, and the fields of its headers."""

from __future__ import annotations

from dataclasses import dataclass

from stepnet.errors import NetworkError

SUM_BITS = 24
"""Width of an accumulator."""

LANES = (8, 16, 32, 64)
"""How many lanes a core can have."""

SINGLE_PORT_LANES = 8
"""Lanes whose weights a single-port memory holds, which reads 64 bits in a cycle."""

NETWORK_HEADER = {"image_bytes": 2}
"""The bytes of word 0, and how many each field has; little-endian."""

LAYER_HEADER = {
    "steps_minus_1": 2,
    "inputs": 2,
    "groups_minus_1": 1,
    "multiplier": 1,
    "shift": 1,
    "last_neurons_minus_1": 1,
}
"""The bytes of the word before each layer. Two flags share the byte of `shift`, which is that of
`MacLayer`."""

SIGMOID_LAYER_HEADER = {**LAYER_HEADER, "multiplier_high": 1, "choice": 1}
"""Likewise of a core for sigmoid networks: the multiplier has two bytes, and `choice` is a
`program.Choice`."""

SETTLES_BIT = 6
"""In the byte of `shift`: the layer begins after all activations below it are written."""
ENDS_BIT = 7
"""In the byte of `shift`: it is the last layer."""

RELU_CYCLES = 5
SIGMOID_CYCLES = 7
"""Cycles from a sum to its activation."""


@dataclass(frozen=True, kw_only=True)
class MacShape:
    """The shape of a multiply-accumulate core.

    lanes: neurons that are computed side by side, each in a lane with a multiplier and an
        accumulator.
    weight_words: words of the weight memory, a byte for each lane.
    max_pixels: of an image, a multiple of 8.
    max_hidden: neurons of a hidden layer, a power of two; an image has at most 16 times as many
        pixels.
    wide_words: how many words, the first ones, are read whole in a cycle; the others take two,
        because half of their lanes lie in the same single-port memory as the other half. None if
        all words are read whole, from block RAM alone. Otherwise there are 16 lanes.
    sigmoid: it computes sigmoid networks, and has 16 lanes or more; otherwise ReLU networks.

    Raises NetworkError if there is no such core.
    """

    lanes: int = 16
    weight_words: int
    max_pixels: int = 1024
    max_hidden: int = 128
    wide_words: int | None = None
    sigmoid: bool = False

    def __post_init__(self) -> None:
        possible = (
            self.lanes in LANES
            and self.weight_words > 1
            and 0 < self.max_pixels <= 16 * self.max_hidden
            and self.max_pixels % 8 == 0
            and self.max_hidden.bit_count() == 1
            and (
                self.wide_words is None
                or (self.lanes == 2 * SINGLE_PORT_LANES and self.wide_words > 0)
            )
            and self.lanes >= sum(self.layer_header.values())
        )
        if not possible:
            raise NetworkError(
                f"There is no multiply-accumulate core of {self.lanes} lanes, "
                f"{self.weight_words} words of weights, {self.max_pixels} pixels, "
                f"{self.max_hidden} hidden neurons and {self.wide_words} wide words"
                f"{' for sigmoid networks' if self.sigmoid else ''}; choose "
                f"{', '.join(map(str, LANES))} lanes, and see MacShape for the rest."
            )

    @property
    def lane_bits(self) -> int:
        """Bits of a lane's number."""
        return self.lanes.bit_length() - 1

    @property
    def layer_header(self) -> dict[str, int]:
        """The fields of the word before each layer, with their bytes."""
        return SIGMOID_LAYER_HEADER if self.sigmoid else LAYER_HEADER

    @property
    def activation_cycles(self) -> int:
        """Cycles from a sum to its activation."""
        return SIGMOID_CYCLES if self.sigmoid else RELU_CYCLES

    @property
    def min_steps(self) -> int:
        """The fewest words of weights that a group has: while they are read, the sums of the group
        before it are taken from the lanes, one in each cycle, and become activations."""
        return self.lanes + self.activation_cycles + 1

    def groups(self, neurons: int) -> int:
        """How many groups of `lanes` neurons there are."""
        return -(-neurons // self.lanes)

    def read_cycles(self, word: int) -> int:
        """Cycles to read a word of weights, by its address."""
        return 1 if self.wide_words is None or word < self.wide_words else 2
