"""How a network lies in the engine's memories: what the host loads, and what gateware reads.

`memory_image` lays a network out, `check_fits` says whether an engine can hold it. The engine reads
two memories in order, from the first word to the last, once per image:

- parameter memory, words of `parameter_lanes` values: the bytes of one image; then per layer two
  header words (`shape.ROW_HEADER`, `shape.LAYER_HEADER`), of a convolution those of
  `shape.MAP_HEADERS`, and the thresholds of each group; with
  readout `nearest` at the end one word per row with its character code. Headers and codes are the
  first value of their word;
- weight memory, words of `pe` times `simd` weights: layer by layer, in it group by group, in that
  bit plane by bit plane (most significant first), the words of one row. With `by_input` they come
  word by word, and for each word group by group.

A group is `pe` neurons; the last one of a layer is filled up with neurons that never fire. Inputs
fill a word from bit 0 up; in the last word of a row, and where a word holds `groups_per_word * pe`
inputs that are less than `simd`, they end at the top bit, so that a shift register that is filled
from the top needs no alignment. The unused low bits hold an activation of 0 and a weight that
counts nothing. An image fills its last word in whole bytes: bits behind its last pixel are inputs
of 0.

A convolution goes through its weights and thresholds again at every position. Each position of a
map starts with a new word of activations, so a window is rows of whole words; the next layer has a
weight that counts nothing for each bit that stays unused. The window over an image is one word
instead, a square of `EngineShape.max_kernel` bits from bit 0 up, row by row, in which a smaller
kernel takes the last columns of the last rows.

A layer with 1-bit weights counts matches: `sum w a = popcount(a XNOR b) - m` with `b = (w > 0)` and
m the number of -1 in the row, so its stored threshold is `t + m`. With B bits the planes are added
from the top: `sum = -p[B-1]`, then `sum = 2 sum + p[k]`, `p[k] = popcount(a AND w_k)`.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from stepnet.cores.engine.shape import (
    LAYER_HEADER,
    LEAST_IMAGE_WIDTH,
    MAP_HEADERS,
    MIN_OVERLAP_GROUPS,
    MOST_ANSWER_WORDS,
    MOST_MAP_SIDE,
    READOUTS,
    ROW_HEADER,
    TREE_HEADER,
    EngineShape,
)
from stepnet.errors import NetworkError
from stepnet.link.messages import Space
from stepnet.networks.convolution import Convolution
from stepnet.networks.network import CharacterNetwork, Layer, Network, Readout


class Load(NamedTuple):
    """The words that one LOAD message carries, and where they go."""

    space: Space
    address: int
    words: bytes


@dataclass(frozen=True, eq=False)
class MemoryImage:
    """A network as the memories of an engine of `shape` hold it, in the order of their addresses.

    parameters: (words * parameter_lanes, parameter_bytes) uint8, little-endian values.
    weights: (words * pe, simd / 8) uint8, bit 0 of byte 0 first.
    """

    shape: EngineShape
    parameters: NDArray[np.uint8]
    weights: NDArray[np.uint8]

    @cached_property
    def digest(self) -> int:
        """CRC-32 (ISO-HDLC) over the parameter bytes, then the weight bytes.

        The gateware computes the same over what it was sent, so this number tells whether a board
        holds this network.
        """
        return zlib.crc32(self.weights.tobytes(), zlib.crc32(self.parameters.tobytes()))

    @property
    def parameter_values(self) -> list[int]:
        """The values in parameter memory: word by word, and in a word lane by lane."""
        return [int.from_bytes(value.tobytes(), "little") for value in self.parameters]

    @property
    def weight_values(self) -> list[int]:
        """The values in weight memory: word by word, and in a word lane by lane.

        Bit 0 of a value is its first weight.
        """
        return [int.from_bytes(value.tobytes(), "little") for value in self.weights]

    @property
    def image_bytes(self) -> int:
        """Bytes of one packed image."""
        return int.from_bytes(self.parameters[0].tobytes(), "little")

    def loads(self, max_bytes: int) -> Iterator[Load]:
        """Everything that fills the memories, in pieces of whole values and at most `max_bytes`.

        The low bits of an address count the lanes of a memory word, the others the words.
        """
        shape = self.shape
        for space, values, lanes, lane_bits in (
            (Space.PARAMETERS, self.parameters, shape.parameter_lanes, shape.parameter_lane_bits),
            (Space.WEIGHTS, self.weights, shape.pe, shape.weight_lane_bits),
        ):
            count = max(1, max_bytes // values.shape[1])
            for start in range(0, len(values), count):
                word, lane = divmod(start, lanes)
                yield Load(space, word << lane_bits | lane, values[start : start + count].tobytes())


def check_fits(network: Network, shape: EngineShape) -> None:
    """Raise NetworkError, with layer and limit, if `shape` cannot hold `network`."""
    weight_words = 0
    for number, layer in enumerate(network.layers):
        if layer.convolution:
            _check_map(network, number, shape)
        inputs = layer.fan_in
        if below_is_map(network, layer):
            inputs = words_per_row(network, layer, shape) * shape.simd
        limits = (
            ("inputs", inputs, shape.max_inputs),
            ("neurons", layer.neurons, shape.max_inputs),
            ("weight bits", layer.weight_bits, shape.max_weight_bits),
            ("bits in a sum", _sum_bits(layer), shape.sum_bits),
        )
        for what, needed, limit in limits:
            if needed > limit:
                raise NetworkError(
                    f"Network {network.name!r} does not fit the engine: layer {number} has "
                    f"{needed} {what}, the engine takes up to {limit}; use a smaller network or an "
                    "engine of a larger shape."
                )
        weight_words += layer_weight_words(network, layer, shape)
        if weight_words > shape.weight_words:
            raise NetworkError(
                f"Network {network.name!r} does not fit the engine: with layer {number} it needs "
                f"{weight_words} weight words of {shape.simd * shape.pe} bits, the engine has "
                f"{shape.weight_words}; use a smaller network or an engine of a larger shape."
            )
    needed = parameter_words(network, shape)
    if needed > shape.parameter_words:
        neurons = sum(layer.neurons for layer in network.layers)
        raise NetworkError(
            f"Network {network.name!r} does not fit the engine: its {len(network.layers)} layers "
            f"and {neurons} neurons need {needed} parameter words, the "
            f"engine has {shape.parameter_words}; use a smaller network or an engine of a larger "
            "shape."
        )


def _check_map(network: Network, number: int, shape: EngineShape) -> None:
    """Raise NetworkError, with layer and limit, if `shape` cannot walk the windows of a layer."""
    layer = network.layers[number]
    seen = layer.convolution
    assert seen is not None
    if not shape.map_words:
        raise NetworkError(
            f"Network {network.name!r} does not fit the engine: layer {number} is a convolution, "
            "whose address arithmetic this engine was built without; build one with `stepnet build "
            f"--goal images --engine-for {network.name}`, or use a network of dense layers."
        )
    padding = 0
    if number == 0:
        padding = 2 * seen.padding
        if seen.kernel > shape.max_kernel:
            raise NetworkError(
                f"Network {network.name!r} does not fit the engine: layer 0 has a kernel of "
                f"{seen.kernel} x {seen.kernel} over the image, and an engine of SIMD {shape.simd} "
                f"takes up to {shape.max_kernel} x {shape.max_kernel}; use a smaller kernel or an "
                f"engine of SIMD {-(-(seen.kernel**2) // 8) * 8} or more."
            )
        if seen.width + padding < LEAST_IMAGE_WIDTH:
            raise NetworkError(
                f"Network {network.name!r} does not fit the engine: layer 0 is a convolution over "
                "an image of one column; use an image of two columns or more."
            )
    side = max(seen.width, seen.height) + padding
    if side > MOST_MAP_SIDE:
        raise NetworkError(
            f"Network {network.name!r} does not fit the engine: layer {number} sees a map of "
            f"{side} rows or columns, the engine walks up to {MOST_MAP_SIDE}; use a smaller map."
        )
    words = map_words(layer, shape)
    if words > shape.map_words:
        raise NetworkError(
            f"Network {network.name!r} does not fit the engine: layer {number} gives a map of "
            f"{words} words of {shape.simd} bits, the engine has {shape.map_words}; use a smaller "
            "network or an engine of a larger shape."
        )
    answer_words = shape.activation_words(layer.neurons)
    if shape.map_windows > 1 and answer_words > MOST_ANSWER_WORDS:
        raise NetworkError(
            f"Network {network.name!r} does not fit the engine: layer {number} gives "
            f"{answer_words} words of {shape.simd} bits at a position, and an engine that "
            f"evaluates two windows at once takes up to {MOST_ANSWER_WORDS}; use a smaller "
            "network, or an engine that evaluates one."
        )


def positions_at_once(seen: Convolution, shape: EngineShape) -> int:
    """At how many positions of a row a group is evaluated at once. Windows that are pooled are of
    one position."""
    return 1 if seen.pool else shape.map_windows


def map_words(layer: Layer, shape: EngineShape) -> int:
    """How many words of activations the map of a convolution takes; 0 for a dense layer."""
    positions = layer.convolution.positions if layer.convolution else 0
    return positions * shape.activation_words(layer.neurons)


def layer_below(network: Network, layer: Layer) -> Layer | None:
    """The layer whose answers `layer` sees; None for the first, which sees the image."""
    number = network.layers.index(layer)
    return network.layers[number - 1] if number else None


def below_is_map(network: Network, layer: Layer) -> bool:
    """Whether `layer` sees the answers of a convolution."""
    below = layer_below(network, layer)
    return below is not None and below.convolution is not None


def enlarged(shape: EngineShape, network: Network) -> EngineShape:
    """The engine of as many weights per cycle as `shape` that holds `network`: `shape` itself if it
    does, else one with larger memories, their depths powers of two.

    Raises NetworkError if there is none: a layer has more inputs than any engine takes, or a kernel
    that is too large for its SIMD.
    """
    try:
        check_fits(network, shape)
        return shape
    except NetworkError:
        pass
    larger = replace(
        shape,
        map_words=max(shape.map_words, largest_map_words(network, shape)),
        max_inputs=max(shape.max_inputs, widest_layer(network, shape)),
        max_weight_bits=max(shape.max_weight_bits, *(each.weight_bits for each in network.layers)),
        max_sum_bits=0,
    )
    weight_words = sum(layer_weight_words(network, each, larger) for each in network.layers)
    larger = replace(
        larger,
        weight_words=max(shape.weight_words, _power_of_2(weight_words)),
        parameter_words=max(shape.parameter_words, _power_of_2(parameter_words(network, larger))),
    )
    check_fits(network, larger)
    return larger


def widest_layer(network: Network, shape: EngineShape) -> int:
    """The least `max_inputs` with which an engine of as many weights per cycle takes each layer."""
    widest = max(
        max(words_per_row(network, layer, shape) * shape.simd, layer.fan_in, layer.neurons)
        for layer in network.layers
    )
    return -(-widest // shape.simd) * shape.simd


def largest_map_words(network: Network, shape: EngineShape) -> int:
    """The least `map_words` with which such an engine takes each map, as a power of 2; 0 where no
    layer is a convolution."""
    largest = max(map_words(layer, shape) for layer in network.layers)
    return _power_of_2(max(2, largest)) if largest else 0


def _power_of_2(count: int) -> int:
    """The smallest power of 2 that is not less than `count`."""
    return 1 << (count - 1).bit_length()


def memory_image(network: Network, shape: EngineShape) -> MemoryImage:
    """Lay `network` out for an engine of `shape`; raises NetworkError if it does not fit."""
    check_fits(network, shape)
    parameters = [_first_lane(image_bytes(network), shape)]
    weights: list[NDArray[np.uint8]] = []
    for layer in network.layers:
        by_input = layer is network.layers[0] and overlaps(network, shape)
        row_header = {
            "words_per_row_minus_1": words_per_row(network, layer, shape) - 1,
            "weight_bits_minus_1": layer.weight_bits - 1,
            "last_layer": int(layer is network.layers[-1]),
            "by_input": int(by_input),
            "convolution": int(layer.convolution is not None),
        }
        parameters.append(_first_lane(pack_fields(ROW_HEADER, row_header), shape))
        parameters.append(_first_lane(_second_header(network, layer), shape))
        parameters += [_first_lane(word, shape) for word in _map_headers(network, layer, shape)]
        parameters.append(_threshold_words(network, layer, shape))
        weights.append(_weight_words(network, layer, shape, by_input=by_input))
    if network.readout is Readout.NEAREST:
        parameters += [_first_lane(code, shape) for code in network.codes]
    values = np.concatenate(parameters).astype("<i8").view(np.uint8).reshape(-1, 8)
    return MemoryImage(shape, values[:, : shape.parameter_bytes].copy(), np.concatenate(weights))


def image_bytes(network: CharacterNetwork[Any]) -> int:
    """Bytes of one packed image."""
    return -(-network.height * network.width // 8)


def overlaps(network: Network, shape: EngineShape) -> bool:
    """Whether the first layer is computed while its pixels arrive."""
    first = network.layers[0]
    return (
        len(network.layers) > 1
        and first.weight_bits == 1
        and first.convolution is None
        and MIN_OVERLAP_GROUPS <= shape.groups(first.neurons) <= shape.overlap_groups
    )


def words_per_row(network: Network, layer: Layer, shape: EngineShape) -> int:
    """How many weight words one bit plane of a group of `layer` takes."""
    below = layer_below(network, layer)
    if below is None:
        return 1 if layer.convolution else shape.image_words(image_bytes(network))
    if below.convolution is None:
        return shape.activation_words(layer.n_in)
    return _positions_seen(layer, below.convolution) * shape.activation_words(below.neurons)


def _positions_seen(layer: Layer, below: Convolution) -> int:
    """How many positions of the map below a neuron sees: a window, or all."""
    return layer.convolution.kernel**2 if layer.convolution else below.positions


def layer_weight_words(network: Network, layer: Layer, shape: EngineShape) -> int:
    """How many words of weight memory `layer` takes."""
    words = words_per_row(network, layer, shape)
    return shape.groups(layer.neurons) * layer.weight_bits * words


def parameter_words(network: Network, shape: EngineShape) -> int:
    """How many words of parameter memory `network` takes."""
    words = 1
    for layer in network.layers:
        words += header_words(layer) + shape.groups(layer.neurons) * shape.parameter_reads
    return words + (network.sizes[-1] if network.readout is Readout.NEAREST else 0)


def header_words(layer: Layer) -> int:
    """How many words of parameter memory say what a layer is."""
    return 2 + (len(MAP_HEADERS) if layer.convolution else 0)


def rows_evaluated(network: Network, layer: Layer) -> int:
    """How many rows of `layer` are evaluated, for one image or at one position of a map: all, or in
    a tree one per bit."""
    if is_tree(network, layer):
        return (layer.neurons + 1).bit_length() - 1
    return layer.neurons


def is_tree(network: Network, layer: Layer) -> bool:
    """Whether `layer` is read as a tree."""
    return network.readout is Readout.TREE and layer is network.layers[-1]


def stored_thresholds(layer: Layer) -> NDArray[np.int64]:
    """Thresholds as the engine compares them: (n_out,) int64.

    A threshold below every possible sum or above all of them is moved to the nearest value that
    acts the same, so that all fit the width of a sum.
    """
    lowest, highest = _sum_range(layer)
    thresholds = np.clip(layer.thresholds.astype(np.int64), lowest, highest + 1)
    return thresholds + _minus_ones(layer)


def pack_fields(fields: dict[str, int], values: dict[str, int]) -> int:
    """One word from named values; `fields` gives the width of each in bits, from bit 0 up."""
    word, position = 0, 0
    for name, width in fields.items():
        word |= (values[name] & (1 << width) - 1) << position
        position += width
    return word


def _first_lane(value: int, shape: EngineShape) -> NDArray[np.int64]:
    """A word of parameter memory with one value in it."""
    word = np.zeros(shape.parameter_lanes, dtype=np.int64)
    word[0] = value
    return word


def _second_header(network: Network, layer: Layer) -> int:
    rows = rows_evaluated(network, layer)
    readout = READOUTS.index(network.readout)
    if is_tree(network, layer):
        prefix = int(network.code_prefix or "0", 2)
        tree = {"rows_minus_1": rows - 1, "prefix": prefix, "unused": 0, "readout": readout}
        return pack_fields(TREE_HEADER, tree)
    return pack_fields(LAYER_HEADER, {"rows_minus_1": rows - 1, "readout": readout})


def _map_headers(network: Network, layer: Layer, shape: EngineShape) -> list[int]:
    """The words of `MAP_HEADERS` of a convolution; none of a dense layer."""
    seen = layer.convolution
    if seen is None:
        return []
    below = layer_below(network, layer)
    words = 1 if below is None else shape.activation_words(below.neurons)
    if below is None:
        pitch = shape.image_words(image_bytes(network)) - 1
        origin = shape.simd - 8 * (image_bytes(network) - pitch * shape.weight_bytes)
    else:
        pitch = seen.width * words
        origin = -seen.padding * (pitch + words)
    values = (
        {
            "kernel_minus_1": seen.kernel - 1,
            "stride_minus_1": seen.stride - 1,
            "pool": int(seen.pool),
            "padding": seen.padding,
            "words_minus_1": words - 1,
        },
        {"width_minus_1": seen.width - 1, "height_minus_1": seen.height - 1},
        {"across_minus_1": seen.out_width - 1, "down_minus_1": seen.out_height - 1},
        {"pitch": pitch},
        {"origin": origin, "answer_words_minus_1": shape.activation_words(layer.neurons) - 1},
    )
    return [pack_fields(fields, given) for fields, given in zip(MAP_HEADERS, values, strict=True)]


def _threshold_words(network: Network, layer: Layer, shape: EngineShape) -> NDArray[np.int64]:
    """The thresholds of a layer, group by group, as values of parameter memory."""
    never_fires = (1 << shape.sum_bits - 1) - 1
    values = np.full(shape.groups(layer.neurons) * shape.pe, never_fires, dtype=np.int64)
    values[: layer.neurons] = _thresholds(network, layer, shape)
    return values & (1 << shape.parameter_bits) - 1


def _thresholds(network: Network, layer: Layer, shape: EngineShape) -> NDArray[np.int64]:
    """The thresholds of a layer as the engine compares them; NetworkError if one does not fit."""
    if not (network.readout is Readout.NEAREST and layer is network.layers[-1]):
        return stored_thresholds(layer)
    # Here the distance from the threshold counts, so none of them may be moved.
    thresholds = layer.thresholds.astype(np.int64) + _minus_ones(layer)
    limit = 1 << shape.sum_bits - 1
    worst = int(thresholds[np.argmax(np.abs(thresholds))])
    if not -limit <= worst < limit:
        raise NetworkError(
            f"Network {network.name!r} does not fit the engine: its last layer has a threshold of "
            f"{worst}, the engine holds {-limit} to {limit - 1}; move all thresholds of the layer "
            "by the same amount."
        )
    return thresholds


def _minus_ones(layer: Layer) -> NDArray[np.int64]:
    """By how much a neuron's count of matches is larger than its sum: (n_out,).

    For weights of one bit it is the number of -1 in the row; for others it is 0.
    """
    if layer.weight_bits > 1:
        return np.zeros(layer.neurons, dtype=np.int64)
    return np.count_nonzero(layer.weights < 0, axis=1).astype(np.int64)


def _sum_range(layer: Layer) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The lowest and the highest sum of every neuron."""
    weights = layer.weights.astype(np.int64)
    return np.minimum(weights, 0).sum(axis=1), np.maximum(weights, 0).sum(axis=1)


def _sum_bits(layer: Layer) -> int:
    """The width that holds every sum of `layer` as the engine has it, and a threshold above it."""
    lowest, highest = _sum_range(layer)
    minus_ones = _minus_ones(layer)
    largest = max(int((highest + minus_ones).max()) + 1, -int((lowest + minus_ones).min()) - 1)
    return largest.bit_length() + 1


def _weight_words(
    network: Network, layer: Layer, shape: EngineShape, *, by_input: bool
) -> NDArray[np.uint8]:
    """The weight words of a layer, in each of them lane by lane: (words * pe, simd / 8) uint8."""
    words = words_per_row(network, layer, shape)
    groups = shape.groups(layer.neurons)
    if layer.weight_bits == 1:
        planes = (layer.weights > 0)[:, np.newaxis, :]
        unused = True  # beside an activation of 0: no match
    else:
        shifts = np.arange(layer.weight_bits - 1, -1, -1)
        planes = (layer.weights[:, np.newaxis, :] >> shifts[:, np.newaxis] & 1).astype(bool)
        unused = False
    rows = np.full((groups * shape.pe, layer.weight_bits, words * shape.simd), unused, dtype=bool)
    rows[: layer.neurons, :, _input_positions(network, layer, shape)] = planes
    by_group = rows.reshape(groups, shape.pe, layer.weight_bits, words, shape.simd)
    order = (3, 0, 2, 1, 4) if by_input else (0, 2, 3, 1, 4)
    in_order = by_group.transpose(order).reshape(-1, shape.simd)
    return np.packbits(in_order, axis=-1, bitorder="little")


def _input_positions(network: Network, layer: Layer, shape: EngineShape) -> NDArray[np.intp]:
    """Where each input lies in the words of a row, counted in bits: (fan_in,)."""
    below = layer_below(network, layer)
    if below is None and layer.convolution:
        kernel = layer.convolution.kernel
        places = np.arange(shape.max_kernel - kernel, shape.max_kernel)
        return (places[:, np.newaxis] * shape.max_kernel + places).ravel()
    if below is None:
        return _in_words(layer.n_in, 8 * image_bytes(network), shape.simd, shape)
    slots_per_word = shape.groups_per_word * shape.pe
    in_words = _in_words(
        below.neurons, shape.groups(below.neurons) * shape.pe, slots_per_word, shape
    )
    if below.convolution is None:
        return in_words
    positions = np.arange(_positions_seen(layer, below.convolution))
    words = positions * shape.activation_words(below.neurons)
    return (words[:, np.newaxis] * shape.simd + in_words).ravel()


def _in_words(count: int, slots: int, slots_per_word: int, shape: EngineShape) -> NDArray[np.intp]:
    """Where `count` bits lie that fill words from bit 0 up, the last one up to its top: (count,).

    slots: as how many bits they are written, which may be more.
    slots_per_word: how many of them one word takes.
    """
    word, slot = np.divmod(np.arange(count), slots_per_word)
    in_word = np.minimum(slots_per_word, slots - word * slots_per_word)
    return word * shape.simd + shape.simd - in_word + slot
