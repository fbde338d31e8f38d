"""The engine's shape, the headers of its layers and the arithmetic of its widths.

Gateware, host and benches take these from here, so that they agree. `memory_image` lays a network
out for a shape, `cycles` says how long an image takes on it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from stepnet.errors import NetworkError
from stepnet.networks.convolution import MOST_KERNEL
from stepnet.networks.network import MAX_WEIGHT_BITS, Readout

IMAGE_BYTES_BITS = 16
"""Width of the register that holds the bytes of one image."""

ROW_HEADER = {
    "words_per_row_minus_1": 10,
    "weight_bits_minus_1": 3,
    "last_layer": 1,
    "by_input": 1,
    "convolution": 1,
}
"""The first header word of a layer: its fields and their widths in bits, from bit 0 up. With
`by_input` the weights lie in the order of the inputs, so that a first layer can start before all
pixels are there. After the second header word of a `convolution` come those of `MAP_HEADERS`."""

LAYER_HEADER = {"rows_minus_1": 12, "readout": 2}
"""The second header word of a layer: how many rows are evaluated, and the number of the readout in
`READOUTS`, which the engine looks at in the last layer only."""

TREE_HEADER = {"rows_minus_1": 3, "prefix": 8, "unused": 1, "readout": 2}
"""The second header word of a layer that is read as a tree: how many bits it decides, one row for
each, and the `prefix` that stands above them in the code."""

WINDOW_HEADER = {
    "kernel_minus_1": 3,
    "stride_minus_1": 1,
    "pool": 1,
    "padding": 3,
    "words_minus_1": 8,
}
"""Where the neurons of a convolution look: as in `Convolution`, and how many words of activations a
position takes (of the image one, which does not count)."""

SIDES_HEADER = {"width_minus_1": 8, "height_minus_1": 8}
"""The columns and rows of the map below."""

POSITIONS_HEADER = {"across_minus_1": 8, "down_minus_1": 8}
"""The columns and rows of the map of answers, after pooling."""

PITCH_HEADER = {"pitch": 16}
"""How many words a row of the map below takes; for the image the place of its last word."""

ORIGIN_HEADER = {"origin": 12, "answer_words_minus_1": 4}
"""The place of the first window's first word, which lies before the map where that is padded, as a
number modulo the words of a map; for the image at which bit its last word begins. Then how many
words the answers at a position take, which matters where two positions are evaluated at once."""

MAP_HEADERS = (WINDOW_HEADER, SIDES_HEADER, POSITIONS_HEADER, PITCH_HEADER, ORIGIN_HEADER)
"""The header words of a convolution that follow the two of every layer, in their order."""

MOST_MAP_SIDE = 256
"""The most rows or columns of a map that an engine walks; of the image, padding included."""

MOST_MAP_WORDS = 1 << ORIGIN_HEADER["origin"]
"""The most words of activations that a map between two layers may take."""

MOST_ANSWER_WORDS = 1 << ORIGIN_HEADER["answer_words_minus_1"]
"""The most words of answers at a position that is evaluated together with the one beside it."""

MOST_MAP_WINDOWS = 2
"""How many windows of a map an engine evaluates at once at most."""

LEAST_IMAGE_WIDTH = 2
"""The fewest columns of an image, padding included, on which a first convolution runs: the pixels
above a column are written while those above the next one are read."""

CODE_BITS = 8
"""Width of the character register, and of a code in parameter memory."""

HEADER_BITS = 16

READOUTS = (Readout.BITS, Readout.TREE, Readout.NEAREST)
"""The readouts, in the order of their numbers in `LAYER_HEADER`."""

MEMORIES = ("block", "single_port", "registered")
"""Kinds of weight memory, in the order of their numbers on the link.

block: block RAM.
single_port: memory with one port for reading and writing, such as the UP5K's 256-kbit SPRAM.
registered: block RAM that is read through a second register, which some families have inside of it.
That allows a faster clock, and costs a cycle; all memories of the engine are then read so.
"""

MIN_OVERLAP_GROUPS = 4
"""How many groups a first layer needs at least to be computed while its pixels arrive: each partial
sum is read again after as many cycles as there are groups, and has to be written by then."""

NEAR_WEIGHT_BITS = 16 * 18 * 1024
"""How much weight memory lies close enough together that its lanes do the same in the same cycle:
16 block RAMs of an ECP5."""

ADDRESS_BITS = 24
"""Width of an address on the link."""


@dataclass(frozen=True)
class EngineShape:
    """What an engine is built for. Any network within these limits runs on it.

    `pe` neurons at a time make a *group*; each of them takes `simd` weights per cycle, and all of
    them meet the same `simd` activations.

    simd: weights of one neuron handled per cycle; a multiple of 8, 8 to 1,024.
    max_inputs: inputs of the widest layer; a multiple of simd.
    weight_words: depth of the weight memory, in words of simd * pe bits.
    parameter_words: depth of the parameter memory, in words of parameter_lanes values.
    max_weight_bits: 1 to 8.
    weight_memory: one of `MEMORIES`.
    pe: neurons handled per cycle; 1 to 64 and at most simd.
    parameter_lanes: thresholds that are read per cycle; a divisor of pe. A narrower memory wastes
        less block RAM, but a group takes at least pe / parameter_lanes cycles.
    max_sum_bits: width of a signed sum; 0 becomes what the largest possible sum needs.
    overlap_neurons: how many neurons of a first layer with 1-bit weights can be computed while its
        pixels arrive; 0 for none.
    map_words: how many words of activations a map between two layers may take; 0 for an engine
        without the address arithmetic of convolutions.
    map_windows: over how many windows of a map, one beside the other, a weight word is evaluated at
        once: 1 or 2. With 2 there are twice as many popcounts, and the activations are kept twice.

    Raises NetworkError if such an engine cannot exist.
    """

    simd: int = 64
    max_inputs: int = 1024
    weight_words: int = 16384
    parameter_words: int = 1024
    max_weight_bits: int = MAX_WEIGHT_BITS
    weight_memory: str = "block"
    pe: int = 1
    parameter_lanes: int = 1
    max_sum_bits: int = 0
    overlap_neurons: int = 0
    map_words: int = 0
    map_windows: int = 1

    def __post_init__(self) -> None:
        self._check_datapath()
        self._check_memories()
        self._check_reads()
        largest = (self.max_inputs << self.max_weight_bits - 1).bit_length() + 1
        if not self.max_sum_bits:
            object.__setattr__(self, "max_sum_bits", largest)
        if not min(HEADER_BITS, largest) <= self.max_sum_bits <= largest:
            raise NetworkError(
                f"An engine cannot have sums of {self.max_sum_bits} bits; "
                f"choose {min(HEADER_BITS, largest)} to {largest}, or 0 for {largest}."
            )
        if not 0 <= self.overlap_neurons <= self.max_inputs:
            raise NetworkError(
                f"An engine of {self.max_inputs} inputs cannot compute {self.overlap_neurons} "
                f"neurons while pixels arrive; choose 0 to {self.max_inputs}."
            )

        self._check_maps()

    def _check_maps(self) -> None:
        if self.map_words and not 2 <= self.map_words <= MOST_MAP_WORDS:
            raise NetworkError(
                f"An engine cannot have maps of {self.map_words} words; choose 2 to "
                f"{MOST_MAP_WORDS}, or 0 for none."
            )
        if not 1 <= self.map_windows <= MOST_MAP_WINDOWS:
            raise NetworkError(
                f"An engine cannot evaluate {self.map_windows} windows at once; "
                f"choose 1 to {MOST_MAP_WINDOWS}."
            )
        if self.map_windows > 1 and not self.map_words:
            raise NetworkError(
                "An engine without convolutions has no windows to evaluate two at once; "
                "give it maps, or choose 1 window."
            )
        # The words of two positions are written one after the other.
        if self.map_windows > 1 and self.groups_per_word == 1:
            raise NetworkError(
                f"An engine of SIMD {self.simd} and PE {self.pe} cannot evaluate two windows at "
                f"once; choose PE 1 to {self.simd // 2}, or 1 window."
            )

    def _check_datapath(self) -> None:
        if not 8 <= self.simd <= 1024 or self.simd % 8:
            raise NetworkError(
                f"An engine cannot have SIMD {self.simd}; choose a multiple of 8 from 8 to 1024."
            )
        if not 1 <= self.pe <= min(64, self.simd):
            raise NetworkError(
                f"An engine of SIMD {self.simd} cannot have PE {self.pe}; "
                f"choose 1 to {min(64, self.simd)}."
            )
        inputs_limit = min(self.simd << ROW_HEADER["words_per_row_minus_1"], 4096) // self.simd
        if self.max_inputs % self.simd or not 0 < self.max_inputs <= inputs_limit * self.simd:
            raise NetworkError(
                f"An engine of SIMD {self.simd} cannot take {self.max_inputs} inputs; choose a "
                f"multiple of {self.simd} up to {inputs_limit * self.simd}."
            )
        if not 1 <= self.max_weight_bits <= MAX_WEIGHT_BITS:
            raise NetworkError(
                f"An engine cannot have weights of {self.max_weight_bits} bits; "
                f"choose 1 to {MAX_WEIGHT_BITS}."
            )

    def _check_memories(self) -> None:
        weight_words_limit = 1 << ADDRESS_BITS - self.weight_lane_bits
        if not 2 <= self.weight_words <= weight_words_limit:
            raise NetworkError(
                f"An engine of PE {self.pe} cannot have {self.weight_words} weight words; "
                f"choose 2 to {weight_words_limit}."
            )
        if not 16 <= self.parameter_words <= 1 << 16:
            raise NetworkError(
                f"An engine cannot have {self.parameter_words} parameter words; "
                f"choose 16 to {1 << 16}."
            )
        if self.weight_memory not in MEMORIES:
            raise NetworkError(
                f"There is no weight memory {self.weight_memory!r}; "
                f"choose one of {', '.join(MEMORIES)}."
            )

    def _check_reads(self) -> None:
        reads_limit = self.popcount_latency_cycles + 2
        if (
            self.parameter_lanes < 1
            or self.pe % self.parameter_lanes
            or self.parameter_reads > reads_limit
        ):
            lanes = [n for n in range(1, self.pe + 1) if self.pe % n == 0]
            lanes = [n for n in lanes if self.pe // n <= reads_limit]
            raise NetworkError(
                f"An engine of PE {self.pe} cannot read {self.parameter_lanes} thresholds at a "
                f"time; choose one of {', '.join(map(str, lanes))}."
            )

    @property
    def sum_bits(self) -> int:
        """Width of a signed sum, and of a threshold one beyond any sum."""
        return self.max_sum_bits

    @property
    def parameter_bits(self) -> int:
        """Width of a value in parameter memory: a threshold, a header or a character code."""
        return max(HEADER_BITS, self.sum_bits)

    @property
    def parameter_bytes(self) -> int:
        """Bytes of a value in parameter memory on the link."""
        return -(-self.parameter_bits // 8)

    @property
    def read_cycles(self) -> int:
        """Cycles from an address of weights, activations or parameters to the word there."""
        return 2 if self.weight_memory == "registered" else 1

    @property
    def weight_memory_bits(self) -> int:
        """Bits of weights that the engine holds."""
        return self.simd * self.pe * self.weight_words

    @property
    def weight_bytes(self) -> int:
        """Bytes of the weights of one neuron in a weight word."""
        return self.simd // 8

    @property
    def weight_lane_bits(self) -> int:
        """How many low bits of a weight address on the link count the neurons of a word."""
        return (self.pe - 1).bit_length()

    @property
    def parameter_lane_bits(self) -> int:
        """How many low bits of a parameter address on the link count the values of a word."""
        return (self.parameter_lanes - 1).bit_length()

    @property
    def parameter_reads(self) -> int:
        """How many parameter words hold the thresholds of a group."""
        return self.pe // self.parameter_lanes

    @property
    def group_distance(self) -> int:
        """The fewest cycles from one group of the last layer to the next: its neurons go into the
        code one by one."""
        return max(self.pe, self.parameter_reads)

    @property
    def groups_per_word(self) -> int:
        """How many groups share a word of activations, of which `simd - groups_per_word * pe` bits
        stay unused."""
        return self.simd // self.pe

    @property
    def row_words(self) -> int:
        """How many weight words one bit plane of the widest row takes."""
        return self.activation_words(self.max_inputs)

    @property
    def region_words(self) -> int:
        """How many words of activations an image, or what a layer gives, may take."""
        return max(self.row_words, self.map_words)

    @property
    def max_kernel(self) -> int:
        """The largest kernel over an image: its window is one word."""
        return min(MOST_KERNEL, math.isqrt(self.simd))

    @property
    def popcount_latency_cycles(self) -> int:
        """How many cycles the popcount of one word takes."""
        return popcount_latency_cycles(self.simd)

    @property
    def neighbourhoods(self) -> tuple[range, ...]:
        """The lanes, by their numbers, divided into neighbourhoods.

        On a large part a signal takes longer from one side to the other than a cycle lasts. That is
        why lanes that lie close together are a neighbourhood, and each neighbourhood works a cycle
        behind the one before it, from which it gets through registers what it needs.
        """
        if self.weight_memory == "single_port":
            return (range(self.pe),)
        places = -(-self.weight_memory_bits // NEAR_WEIGHT_BITS)
        lanes = -(-self.pe // places)
        return tuple(
            range(first, min(first + lanes, self.pe)) for first in range(0, self.pe, lanes)
        )

    @property
    def skew_cycles(self) -> int:
        """How many cycles the last of the `neighbourhoods` works behind the first."""
        return len(self.neighbourhoods) - 1

    @property
    def overlap_groups(self) -> int:
        """How many groups of neurons can keep partial sums while pixels arrive."""
        return self.groups(self.overlap_neurons)

    def groups(self, neurons: int) -> int:
        """How many groups hold `neurons`; the last is filled up with neurons that never fire."""
        return -(-neurons // self.pe)

    def image_words(self, image_bytes: int) -> int:
        """How many activation words an image takes."""
        return -(-image_bytes // self.weight_bytes)

    def activation_words(self, neurons: int) -> int:
        """How many activation words the outputs of a layer take."""
        return -(-self.groups(neurons) // self.groups_per_word)


def popcount_latency_cycles(width: int, leaf_bits: int = 3) -> int:
    """How many cycles the popcount of `width` bits takes: the depth of its tree of adders.

    A leaf counts up to `leaf_bits` bits; every adder takes the counts of two halves, and one more
    bit as its carry.
    """
    if width <= leaf_bits:
        return 1
    return 1 + popcount_latency_cycles(-(-(width - 1) // 2), leaf_bits)
