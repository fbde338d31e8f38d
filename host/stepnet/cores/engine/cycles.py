"""How many cycles the engine takes for an image, exactly.

`cycles_per_image` is what `stepnet estimate` and the benches call; benches, fuzzer and tests check
every reading's cycles against it.
"""

from __future__ import annotations

from collections.abc import Sequence

from stepnet.cores.engine.memory_image import (
    image_bytes,
    is_tree,
    overlaps,
    positions_at_once,
    rows_evaluated,
    words_per_row,
)
from stepnet.cores.engine.shape import CODE_BITS, MOST_MAP_SIDE, EngineShape
from stepnet.networks.convolution import POOL, Convolution
from stepnet.networks.network import Layer, Network, Readout

WRITE_CYCLES = 2
"""Cycles from taking pixels until they are in the memory."""

START_CYCLES = 1
"""Cycles from the first pixels in the memory until the engine takes up the image."""

HEADER_CYCLES = 2
"""Cycles to fetch the two header words of a layer and to prepare it, beside
`EngineShape.read_cycles`."""

DATAPATH_CYCLES = 3
"""Cycles from a weight word to the activations that it completes: the registers of match,
accumulator and comparison. Memory and popcount come on top."""

REGISTER_CYCLES = 4
"""Cycles from the last bit of a code to the character register."""

MAP_DISTANCE_CYCLES = 4
"""The fewest cycles from one window of a map to the next, so that its place can be worked out."""

PAIR_DISTANCE_CYCLES = 2
"""The fewest cycles from one group to the next where two positions are evaluated at once whose
answers take several words each: both words of a pair have to be written by then."""

MAP_HEADER_CYCLES = 5 + MAP_DISTANCE_CYCLES
"""Cycles to fetch the other header words of a convolution and to prepare its walk, beside
`EngineShape.read_cycles`."""

WINDOW_CYCLES = 2
"""Cycles from when a convolution over the image could issue its first word to the first move of its
window."""

TREE_TURN_CYCLES = 5
"""Cycles from one row of a tree to the next, beside memory and popcount: those of the datapath, and
two to compute the address of the next row."""


def cycles_per_image(
    network: Network, shape: EngineShape, cycles_per_byte: int | None = None
) -> int:
    """Cycles from the transfer of an image's last pixels to the character register, exactly.

    cycles_per_byte: at which the pixels arrive at a free engine; None if they were there before it
    was free, and the cycles count from then on.

    The engine issues one weight word per cycle. Beside that a layer takes `HEADER_CYCLES`,
    `DATAPATH_CYCLES`, the popcount's latency and the memory's twice, because it starts when the one
    before it has written its last activation. The last layer's neurons go into the code one per
    cycle, so that its groups are at least `pe` cycles apart.

    A convolution issues its words again at every position, or at every second where two are
    evaluated at once, and takes `map_header_cycles` to begin.
    Over an image it also takes a cycle for each pixel, padding included, up to the last that a
    window sees (see `_image_map_cycles`).
    """
    if cycles_per_byte is None:
        first = START_CYCLES + _layer_header_cycles(network.layers[0], shape)
        first += _issue_cycles(network, network.layers[0], shape)
        return first + _cycles_after_issue(network, shape)
    end_cycle = image_bytes(network) * cycles_per_byte
    return cycles_after(network, shape, range(0, end_cycle, cycles_per_byte))


def cycles_after(network: Network, shape: EngineShape, arrival_cycles: Sequence[int]) -> int:
    """Cycles as in `cycles_per_image`, for a free engine that takes each byte of an image in the
    cycle that `arrival_cycles` has for it.
    """
    last = len(arrival_cycles) - 1
    word_ends = [*range(shape.weight_bytes - 1, last, shape.weight_bytes), last]
    there = [arrival_cycles[end] - arrival_cycles[last] + WRITE_CYCLES for end in word_ends]
    # The engine takes up the image with the first word.
    ready = there[0] + START_CYCLES + _layer_header_cycles(network.layers[0], shape)
    issue_cycles = _issue_cycles(network, network.layers[0], shape)
    if overlaps(network, shape):
        groups = shape.groups(network.layers[0].neurons)
        for word_there in there[:-1]:
            ready = max(ready, word_there) + groups
        issue_cycles -= (len(there) - 1) * groups
    return max(ready, there[-1]) + issue_cycles + _cycles_after_issue(network, shape)


def most_cycles_per_image(shape: EngineShape) -> int:
    """A bound that `cycles_per_image` does not exceed for any network that fits `shape`.

    Without a tree every weight word is issued once, and every parameter word belongs to a group or
    to a layer's headers. With a tree as the last layer, the groups before it are no farther apart
    than reading their thresholds takes, but the path through the tree may come back to its first
    group, in which the nodes 0, 1, 3, 7 and so on are.
    """
    layer_cycles = _header_cycles(shape) + DATAPATH_CYCLES + _word_cycles(shape)
    groups = shape.parameter_words // shape.parameter_reads
    without_tree = groups * shape.group_distance + shape.parameter_words // 2 * layer_cycles

    turns = CODE_BITS - 1
    turns_into_first_group = min(turns, shape.pe.bit_length() - 1)
    layers = shape.parameter_words // (2 + shape.parameter_reads)  # with a group each, at least
    with_tree = (
        groups * shape.parameter_reads
        + layers * layer_cycles
        + turns * max(TREE_TURN_CYCLES + _word_cycles(shape), shape.pe)
        + turns_into_first_group * shape.row_words * shape.max_weight_bits
    )
    readout_cycles = shape.pe + shape.read_cycles + REGISTER_CYCLES
    cycles = START_CYCLES + shape.weight_words + max(without_tree, with_tree) + readout_cycles
    if not shape.map_words:
        return cycles
    # Every weight word and every threshold at every position, and the pixels of an image.
    evaluations = POOL**2 * shape.map_words
    repeated = shape.weight_words + shape.parameter_words
    return cycles + evaluations * repeated + 2 * MOST_MAP_SIDE**2


def _header_cycles(shape: EngineShape) -> int:
    return shape.read_cycles + HEADER_CYCLES


def _layer_header_cycles(layer: Layer, shape: EngineShape) -> int:
    """Cycles from the fetch of a layer's first header to when its first word could be issued."""
    cycles = _header_cycles(shape)
    return cycles + MAP_HEADER_CYCLES + shape.read_cycles if layer.convolution else cycles


def _word_cycles(shape: EngineShape) -> int:
    """The cycles of a weight word that depend on the shape: memory, popcount and neighbourhoods."""
    return shape.read_cycles + shape.popcount_latency_cycles + shape.skew_cycles


def _cycles_after_issue(network: Network, shape: EngineShape) -> int:
    """Cycles from the last weight word of the first layer to the character register."""
    decide_cycles = DATAPATH_CYCLES + _word_cycles(shape)
    cycles = len(network.layers) * decide_cycles
    for layer in network.layers[1:]:
        cycles += _layer_header_cycles(layer, shape) + _issue_cycles(network, layer, shape)
    return cycles + _readout_cycles(network, shape) + REGISTER_CYCLES


def _issue_cycles(network: Network, layer: Layer, shape: EngineShape) -> int:
    """Cycles from the first weight word of a layer to its last, both included."""
    words = words_per_row(network, layer, shape)
    groups = shape.groups(layer.neurons)
    if layer is network.layers[0] and overlaps(network, shape):
        # Thresholds are read with the last word only.
        return (words - 1) * groups + (groups - 1) * shape.parameter_reads + 1
    group_cycles = words * layer.weight_bits
    if layer.convolution and layer is network.layers[0]:
        distance = max(group_cycles, shape.parameter_reads)
        pairs = positions_at_once(layer.convolution, shape) > 1
        if pairs and shape.activation_words(layer.neurons) > 1:
            distance = max(distance, PAIR_DISTANCE_CYCLES)
        return _image_map_cycles(network, layer.convolution, groups, group_cycles, distance, shape)
    if layer.convolution:
        seen = layer.convolution
        evaluations = _stops(seen, shape) * _windows(seen, shape) * groups
        distance = max(group_cycles, shape.parameter_reads, MAP_DISTANCE_CYCLES)
        return (evaluations - 1) * distance + group_cycles
    if is_tree(network, layer):
        turn_cycles = TREE_TURN_CYCLES + _word_cycles(shape) + group_cycles
        return (rows_evaluated(network, layer) - 1) * max(turn_cycles, shape.pe) + group_cycles
    last = layer is network.layers[-1]
    distance_cycles = shape.group_distance if last else shape.parameter_reads
    return (groups - 1) * max(group_cycles, distance_cycles) + group_cycles


def _image_map_cycles(
    network: Network,
    seen: Convolution,
    groups: int,
    group_cycles: int,
    distance: int,
    shape: EngineShape,
) -> int:
    """Cycles of a convolution over the image, from when its first word could be issued if no
    window were waited for.

    A window moves on by one pixel per cycle, and `read_cycles` later where a pixel is the first of
    its word. It stands still while groups are evaluated over windows that are pooled; others are
    put aside, and it moves on meanwhile.

    distance: the fewest cycles from one group to the next.
    """
    evaluations = groups * _windows(seen, shape)
    # The cycle in which the windows leave the square, which then moves on; of the last evaluation;
    # and the first in which the next may begin.
    leaves, end, earliest, steps = WINDOW_CYCLES, 0, 0, 0
    for stop in range(_stops(seen, shape)):
        steps_here = _steps_to(network, seen, stop, shape)
        leaves = max(leaves + steps_here - steps + 1, end + 1)
        begin = max(leaves, earliest)
        last_begin = begin + (evaluations - 1) * distance
        end, earliest, steps = last_begin + group_cycles - 1, last_begin + distance, steps_here
        if seen.pool:
            leaves = end
    return end


def _stops_across(seen: Convolution, shape: EngineShape) -> int:
    """How often the walk along a row of positions stops: at each, or at every second."""
    return -(-seen.out_width // positions_at_once(seen, shape))


def _stops(seen: Convolution, shape: EngineShape) -> int:
    """How often the walk over a map stops, to evaluate all groups."""
    return seen.out_height * _stops_across(seen, shape)


def _windows(seen: Convolution, shape: EngineShape) -> int:
    """Over how many windows a group is evaluated one after the other where the walk stops."""
    return seen.pool_side**2 * positions_at_once(seen, shape) // shape.map_windows


def _steps_to(network: Network, seen: Convolution, stop: int, shape: EngineShape) -> int:
    """Cycles in which the window over an image moves, or waits for pixels, before it stands where
    the walk stops."""
    down, across = divmod(stop, _stops_across(seen, shape))
    rows, columns = seen.pool_side, seen.pool_side * positions_at_once(seen, shape)
    last_row = seen.stride * (rows * down + rows - 1) + seen.kernel - 1
    last_column = seen.stride * (columns * across + columns - 1) + seen.kernel - 1
    row_steps = seen.width + 2 * seen.padding
    # The last of an odd number of positions in a row stands at its end.
    last_column = min(last_column, row_steps - 1)
    steps = last_row * row_steps + last_column + 1
    # The pixels of the image among them.
    rows = min(max(last_row - seen.padding, 0), seen.height)
    pixels = rows * seen.width
    if 0 <= last_row - seen.padding < seen.height:
        pixels += min(max(last_column - seen.padding + 1, 0), seen.width)
    words = pixels // shape.simd + (pixels == 8 * image_bytes(network) and pixels % shape.simd > 0)
    return 1 + steps + (1 + words) * shape.read_cycles


def _readout_cycles(network: Network, shape: EngineShape) -> int:
    """Cycles from the last group of neurons to the last bit of the code."""
    if network.readout is Readout.TREE:
        return shape.pe - 1
    cycles = (network.layers[-1].neurons - 1) % shape.pe
    return cycles + (shape.read_cycles if network.readout is Readout.NEAREST else 0)
