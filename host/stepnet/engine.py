"""The engine as the host sees it: its shape, and how a network lies in its memories.

Gateware, host and benches take widths and layouts from here. The engine reads two memories in
order, from the first word to the last, once per image:

- parameter memory: word 0 is the bytes of one image; then per layer two header words (`ROW_HEADER`,
  `LAYER_HEADER`) and one threshold per neuron. Above each value a word holds a character code
  (`CODE_BITS`): with readout `nearest` that of the neuron, with `tree` the code prefix beside the
  second header word of the last layer, else 0;
- weight memory: words of `simd` bits; per layer, per neuron, per bit plane (most significant
  first), the words of one row.

A row of `n` inputs takes `ceil(n / simd)` words. Inputs fill a word from bit 0 up; in the last word
of a row they end at the top bit, so that a shift register that is filled from the top needs no
alignment. The unused low bits hold an activation of 0 and a weight that counts nothing. An image
fills its last word in whole bytes: spare bits above its last pixel are inputs of 0.

A layer with 1-bit weights counts matches: `sum w a = popcount(a XNOR b) - z` with `b = (w > 0)` and
z the number of -1 in the row, so its stored threshold is `t + z`. With B bits the planes are added
from the top: `sum = -p[B-1]`, then `sum = 2 sum + p[k]`, `p[k] = popcount(a AND w_k)`.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from stepnet.errors import NetworkError
from stepnet.network import MAX_WEIGHT_BITS, Layer, Network, Readout

IMAGE_BYTES_BITS = 16
"""Width of the register that holds the bytes of one image."""

ROW_HEADER = {"words_per_row_minus_1": 12, "weight_bits_minus_1": 3, "last_layer": 1}
"""First header word of a layer: fields and their widths in bits, from bit 0 up."""

LAYER_HEADER = {"rows_minus_1": 12, "readout": 2}
"""Second header word of a layer: how many rows are evaluated, and the number of its readout in
`READOUTS`, which counts in the last layer only. A tree evaluates one row per bit of the code."""

CODE_BITS = 8
"""Width of the character register, and of a code in parameter memory."""

HEADER_BITS = 16

IMAGE_OVERHEAD_CYCLES = 2
"""One cycle to take up the complete image, one to fill the register."""

LAYER_OVERHEAD_CYCLES = 7
"""Three cycles to fetch the two header words; memory, match, accumulator and comparison registers
on the way to the activation memory."""

TREE_TURN_CYCLES = 6
"""From one row of a tree to the next: the same registers, and two cycles to compute its address."""

READOUTS = (Readout.BITS, Readout.TREE, Readout.NEAREST)
"""Readouts by their number in `LAYER_HEADER`."""

MEMORIES = ("block", "single_port")
"""Kinds of weight memory: block RAM, or memory with one port for reading and writing, such as the
UP5K's 256-kbit SPRAM."""


@dataclass(frozen=True)
class EngineShape:
    """What an engine is built for; any network within these limits runs on it.

    simd: weights handled per cycle; a multiple of 8, 8 to 1,024.
    max_inputs: inputs of the widest layer; a multiple of simd.
    weight_words: depth of the weight memory, in words of simd bits.
    parameter_words: depth of the parameter memory.
    max_weight_bits: 1 to 8.
    weight_memory: one of `MEMORIES`.

    Raises NetworkError if such an engine cannot exist.
    """

    simd: int = 64
    max_inputs: int = 1024
    weight_words: int = 16384
    parameter_words: int = 1024
    max_weight_bits: int = MAX_WEIGHT_BITS
    weight_memory: str = "block"

    def __post_init__(self) -> None:
        if not 8 <= self.simd <= 1024 or self.simd % 8:
            raise NetworkError(
                f"An engine cannot have SIMD {self.simd}; choose a multiple of 8 from 8 to 1024."
            )
        row_words = 1 << ROW_HEADER["words_per_row_minus_1"]
        neurons = 1 << LAYER_HEADER["rows_minus_1"]
        if self.max_inputs % self.simd or not 0 < self.max_inputs <= min(
            row_words * self.simd, neurons
        ):
            raise NetworkError(
                f"An engine of SIMD {self.simd} cannot take {self.max_inputs} inputs; choose a "
                f"multiple of {self.simd} up to {min(row_words * self.simd, neurons)}."
            )
        if not 1 <= self.max_weight_bits <= MAX_WEIGHT_BITS:
            raise NetworkError(
                f"An engine cannot have weights of {self.max_weight_bits} bits; "
                f"choose 1 to {MAX_WEIGHT_BITS}."
            )
        if not 2 <= self.weight_words <= 1 << 24:
            raise NetworkError(
                f"An engine cannot have {self.weight_words} weight words; choose 2 to {1 << 24}."
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

    @property
    def sum_bits(self) -> int:
        """Width of a signed sum, and of a threshold one beyond any sum."""
        return (self.max_inputs << self.max_weight_bits - 1).bit_length() + 1

    @property
    def value_bits(self) -> int:
        """Width of what a parameter word says beside a code: a threshold or a header."""
        return max(HEADER_BITS, self.sum_bits)

    @property
    def parameter_bits(self) -> int:
        """Width of a parameter word: a value, and above it a character code."""
        return self.value_bits + CODE_BITS

    @property
    def parameter_bytes(self) -> int:
        """Bytes of a parameter word on the link."""
        return -(-self.parameter_bits // 8)

    @property
    def weight_bytes(self) -> int:
        """Bytes of a weight word on the link."""
        return self.simd // 8

    @property
    def row_words(self) -> int:
        """Weight words that one bit plane of the widest row takes."""
        return self.words_per_row(self.max_inputs)

    @property
    def popcount_latency_cycles(self) -> int:
        """Cycles that the popcount of one word takes."""
        return popcount_latency_cycles(self.simd)

    def words_per_row(self, n_in: int) -> int:
        """Weight words that one bit plane of one neuron takes."""
        return -(-n_in // self.simd)


def popcount_latency_cycles(width: int) -> int:
    """Depth of a compressor tree over `width` bits: three bits at the leaves, and every adder
    takes in two halves and one more bit as its carry."""
    return 1 if width <= 3 else 1 + popcount_latency_cycles(-(-(width - 1) // 2))


def cycles_per_image(network: Network, shape: EngineShape) -> int:
    """Cycles from the last pixel of an image to the character register, exactly.

    The engine issues one weight word per cycle. Beside that it takes `IMAGE_OVERHEAD_CYCLES` per
    image, and per layer `LAYER_OVERHEAD_CYCLES` and the popcount's latency, because a layer starts
    when the one before it has written its last activation. In a tree each row waits for the bit of
    the row above it, `TREE_TURN_CYCLES` and the popcount's latency.
    """
    latency_cycles = shape.popcount_latency_cycles
    cycles = IMAGE_OVERHEAD_CYCLES
    for layer in network.layers:
        rows = _rows_evaluated(network, layer)
        cycles += rows * layer.weight_bits * shape.words_per_row(layer.n_in)
        cycles += LAYER_OVERHEAD_CYCLES + latency_cycles
        if rows < layer.n_out:
            cycles += (rows - 1) * (TREE_TURN_CYCLES + latency_cycles)
    return cycles


@dataclass(frozen=True, eq=False)
class MemoryImage:
    """A network as the engine's memories hold it.

    parameters: (words, parameter_bytes) uint8, little-endian words.
    weights: (words, simd / 8) uint8, bit 0 of byte 0 first.
    """

    parameters: NDArray[np.uint8]
    weights: NDArray[np.uint8]

    @cached_property
    def digest(self) -> int:
        """CRC-32 (ISO-HDLC) over the parameter bytes, then the weight bytes.

        The gateware computes the same over what it was sent, so this number tells whether a board
        holds this network.
        """
        return zlib.crc32(self.weights.tobytes(), zlib.crc32(self.parameters.tobytes()))


def check_fits(network: Network, shape: EngineShape) -> None:
    """Raise NetworkError, with layer and limit, if `shape` cannot hold `network`."""
    weight_words = 0
    for number, layer in enumerate(network.layers):
        limits = (
            ("inputs", layer.n_in, shape.max_inputs),
            ("neurons", layer.n_out, shape.max_inputs),
            ("weight bits", layer.weight_bits, shape.max_weight_bits),
        )
        for what, needed, limit in limits:
            if needed > limit:
                raise NetworkError(
                    f"Network {network.name!r} does not fit the engine: layer {number} has "
                    f"{needed} {what}, the engine takes up to {limit}; use a smaller network or an "
                    "engine of a larger shape."
                )
        weight_words += layer.n_out * layer.weight_bits * shape.words_per_row(layer.n_in)
        if weight_words > shape.weight_words:
            raise NetworkError(
                f"Network {network.name!r} does not fit the engine: with layer {number} it needs "
                f"{weight_words} weight words of {shape.simd} bits, the engine has "
                f"{shape.weight_words}; use a smaller network or an engine of a larger shape."
            )
    parameter_words = 1 + sum(2 + layer.n_out for layer in network.layers)
    if parameter_words > shape.parameter_words:
        raise NetworkError(
            f"Network {network.name!r} does not fit the engine: its {len(network.layers)} layers "
            f"and {sum(network.sizes[1:])} neurons need {parameter_words} parameter words, the "
            f"engine has {shape.parameter_words}; use a smaller network or an engine of a larger "
            "shape."
        )


def memory_image(network: Network, shape: EngineShape) -> MemoryImage:
    """Lay `network` out for an engine of `shape`; raises NetworkError if it does not fit."""
    check_fits(network, shape)
    code_at = shape.value_bits
    parameters = [image_bytes(network)]
    weights: list[NDArray[np.uint8]] = []
    for layer in network.layers:
        row_header = {
            "words_per_row_minus_1": shape.words_per_row(layer.n_in) - 1,
            "weight_bits_minus_1": layer.weight_bits - 1,
            "last_layer": int(layer is network.layers[-1]),
        }
        layer_header = {
            "rows_minus_1": _rows_evaluated(network, layer) - 1,
            "readout": READOUTS.index(network.readout),
        }
        parameters.append(pack_fields(ROW_HEADER, row_header))
        parameters.append(
            pack_fields(LAYER_HEADER, layer_header) | int(network.code_prefix or "0", 2) << code_at
        )
        thresholds = _thresholds(network, layer, shape)
        codes = network.codes if _is_nearest(network, layer) else np.zeros(layer.n_out, dtype=int)
        for threshold, code in zip(thresholds, codes, strict=True):
            parameters.append(int(threshold) & (1 << code_at) - 1 | int(code) << code_at)
        # Pixels come in whole bytes; the spare bits of the last one are inputs that count nothing.
        inputs = 8 * image_bytes(network) if layer is network.layers[0] else layer.n_in
        weights.append(_weight_rows(layer, inputs, shape.simd))
    words = np.array(parameters, dtype="<i8").view(np.uint8).reshape(-1, 8)
    return MemoryImage(words[:, : shape.parameter_bytes].copy(), np.concatenate(weights))


def image_bytes(network: Network) -> int:
    """Bytes of one packed image."""
    return -(-network.height * network.width // 8)


def stored_thresholds(layer: Layer) -> NDArray[np.int64]:
    """Thresholds as the engine compares them: (n_out,) int64.

    A threshold below every possible sum or above all of them is moved to the nearest value that
    acts the same, so that all fit `EngineShape.sum_bits`.
    """
    weights = layer.weights.astype(np.int64)
    thresholds = layer.thresholds.astype(np.int64)
    lowest = np.minimum(weights, 0).sum(axis=1)
    highest = np.maximum(weights, 0).sum(axis=1)
    thresholds = np.clip(thresholds, lowest, highest + 1)
    if layer.weight_bits == 1:
        thresholds += np.sum(layer.weights < 0, axis=1)
    return thresholds


def _is_nearest(network: Network, layer: Layer) -> bool:
    return network.readout is Readout.NEAREST and layer is network.layers[-1]


def _rows_evaluated(network: Network, layer: Layer) -> int:
    """Rows of `layer` that one image needs: all, or in a tree one per bit."""
    if network.readout is Readout.TREE and layer is network.layers[-1]:
        return (layer.n_out + 1).bit_length() - 1
    return layer.n_out


def _thresholds(network: Network, layer: Layer, shape: EngineShape) -> NDArray[np.int64]:
    """What the parameter words of a layer say; NetworkError if a threshold does not fit."""
    if not _is_nearest(network, layer):
        return stored_thresholds(layer)
    # Here the distance from the threshold counts, so none of them may be moved.
    thresholds = layer.thresholds.astype(np.int64)
    if layer.weight_bits == 1:
        thresholds += np.sum(layer.weights < 0, axis=1)
    limit = 1 << shape.sum_bits - 1
    worst = int(thresholds[np.argmax(np.abs(thresholds))])
    if not -limit <= worst < limit:
        raise NetworkError(
            f"Network {network.name!r} does not fit the engine: its last layer has a threshold of "
            f"{worst}, the engine holds {-limit} to {limit - 1}; move all thresholds of the layer "
            "by the same amount."
        )
    return thresholds


def pack_fields(fields: dict[str, int], values: dict[str, int]) -> int:
    """One word from named values; `fields` gives the width of each in bits, from bit 0 up."""
    word, position = 0, 0
    for name, width in fields.items():
        word |= (values[name] & (1 << width) - 1) << position
        position += width
    return word


def _weight_rows(layer: Layer, inputs: int, simd: int) -> NDArray[np.uint8]:
    """The words of every row of a layer: (n_out * weight_bits * words_per_row, simd / 8) uint8.

    inputs: bits that arrive for a row; those beyond `layer.n_in` are always 0.
    """
    if layer.weight_bits == 1:
        planes = (layer.weights > 0)[:, np.newaxis, :]
        padding = True  # beside an activation of 0: no match
    else:
        shifts = np.arange(layer.weight_bits - 1, -1, -1)
        planes = (layer.weights[:, np.newaxis, :] >> shifts[:, np.newaxis] & 1).astype(bool)
        padding = False
    unused = -inputs % simd  # at the bottom of the last word
    bottom = inputs + unused - simd
    rows = np.full((*planes.shape[:2], inputs + unused), padding, dtype=bool)
    rows[..., :bottom] = planes[..., :bottom]
    rows[..., bottom + unused : layer.n_in + unused] = planes[..., bottom:]
    return np.packbits(rows, axis=-1, bitorder="little").reshape(-1, simd // 8)
