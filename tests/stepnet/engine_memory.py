"""The engine in plain Python integers, from nothing but the bytes in its two memories.

Written from the description of the memories, not from the code that fills them, so that both can be
checked against each other. Bit k of an integer is bit k of a memory word.
"""

from collections.abc import Iterator
from itertools import islice

from stepnet.cores.engine.shape import EngineShape

BITS, TREE, NEAREST = range(3)


def words(memory: bytes, bytes_per_word: int) -> list[int]:
    """The words of a memory as it is loaded over the link."""
    return [
        int.from_bytes(memory[start : start + bytes_per_word], "little")
        for start in range(0, len(memory), bytes_per_word)
    ]


def gathered(groups: list[list[int]], groups_per_word: int, simd: int) -> list[int]:
    """Words of inputs that come in groups; in every word they end at the top bit."""
    result = []
    for start in range(0, len(groups), groups_per_word):
        bits = [bit for group in groups[start : start + groups_per_word] for bit in group]
        bits = [0] * (simd - len(bits)) + bits
        result.append(sum(bit << position for position, bit in enumerate(bits)))
    return result


def in_lanes(values: list[int], lanes: int) -> list[list[int]]:
    """Words of so many values."""
    return [values[start : start + lanes] for start in range(0, len(values), lanes)]


def run(parameters: bytes, weights: bytes, shape: EngineShape, image: bytes) -> int:
    """The character code that an engine of `shape` gives for one packed image.

    IndexError or StopIteration where the program runs past the memories.
    """
    program = in_lanes(words(parameters, shape.parameter_bytes), shape.parameter_lanes)
    rows = iter(in_lanes(words(weights, shape.weight_bytes), shape.pe))
    if len(image) != program[0][0]:
        raise ValueError(f"an image has {program[0][0]} bytes")
    pixels = [[byte >> position & 1 for position in range(8)] for byte in image]
    activations = gathered(pixels, shape.simd // 8, shape.simd)
    position = 1
    while True:
        row_header, layer_header = (word[0] for word in program[position : position + 2])
        words_per_row = (row_header & 0x3FF) + 1
        weight_bits = (row_header >> 10 & 7) + 1
        last_layer = row_header >> 13 & 1
        by_input = row_header >> 14 & 1
        convolution = row_header >> 15 & 1
        readout = layer_header >> 12 & 3 if last_layer else BITS
        evaluated = (layer_header & (7 if readout == TREE else 0xFFF)) + 1
        neurons = (1 << evaluated) - 1 if readout == TREE else evaluated
        position += 2
        if convolution:
            map_header = [word[0] for word in program[position : position + 5]]
            position += len(map_header)
            seen = _windows(activations, map_header, shape, in_image=position == 8)
        else:
            seen = [[activations]]
        if any(len(window) != words_per_row for pool in seen for window in pool):
            raise ValueError(f"not {words_per_row} words of inputs, as of weights")
        groups = -(-neurons // shape.pe)
        reads = shape.pe // shape.parameter_lanes
        thresholds = program[position : position + groups * reads]
        thresholds = in_lanes([value for word in thresholds for value in word], shape.pe)
        position += groups * reads
        layer_rows = list(islice(rows, groups * weight_bits * words_per_row))
        answers = []
        for pool in seen:
            fired = [[0] * shape.pe for _ in range(groups)]
            for window in pool:
                sums = _sums(
                    window, iter(layer_rows), groups, weight_bits, shape, by_input=by_input
                )
                margins = [
                    [total - _signed(limit, shape) for total, limit in zip(*group, strict=True)]
                    for group in zip(sums, thresholds, strict=True)
                ]
                fired = [
                    [int(bit or margin >= 0) for bit, margin in zip(*group, strict=True)]
                    for group in zip(fired, margins, strict=True)
                ]
            answers.append(fired)
        if last_layer:
            flat = [margin for group in margins for margin in group][:neurons]
            bits = [int(margin >= 0) for margin in flat]
            if readout == NEAREST:
                return program[position + flat.index(max(flat))][0]
            if readout == TREE:
                return _walk(bits, evaluated, prefix=layer_header >> 3 & 0xFF)
            return sum(bit << index for index, bit in enumerate(bits))
        by_position = [gathered(bits, shape.simd // shape.pe, shape.simd) for bits in answers]
        if convolution and {(len(words) - 1) % 16 for words in by_position} != {
            map_header[4] >> 12
        }:
            raise ValueError(f"not {(map_header[4] >> 12) + 1} words of answers at a position")
        activations = [word for words in by_position for word in words]


def _windows(
    activations: list[int], header: list[int], shape: EngineShape, *, in_image: bool
) -> list[list[list[int]]]:
    """The words of every window: for each position of the map of answers, one window or, with
    pooling, four."""
    kernel, stride = (header[0] & 7) + 1, (header[0] >> 3 & 1) + 1
    side, padding = (2 if header[0] >> 4 & 1 else 1), header[0] >> 5 & 7
    words = (header[0] >> 8) + 1
    width, height = (header[1] & 0xFF) + 1, (header[1] >> 8) + 1
    across, down = (header[2] & 0xFF) + 1, (header[2] >> 8) + 1
    origin = header[4] & 0xFFF

    def at(row: int, column: int) -> list[int]:
        if not (0 <= row < height and 0 <= column < width):
            return [0] * words
        if in_image:
            bit = row * width + column
            word, place = divmod(bit, shape.simd)
            return [activations[word] >> place + (origin if word == header[3] else 0) & 1]
        first = row * header[3] + column * words
        return activations[first : first + words]

    def window(top: int, left: int) -> list[int]:
        rows = range(top, top + kernel)
        columns = range(left, left + kernel)
        inputs = [word for row in rows for column in columns for word in at(row, column)]
        if not in_image:
            return inputs
        grid = min(7, int(shape.simd**0.5))
        place = {
            (row, column): (grid - kernel + row) * grid + grid - kernel + column
            for row in range(kernel)
            for column in range(kernel)
        }
        return [sum(bit << place[divmod(n, kernel)] for n, bit in enumerate(inputs))]

    return [
        [
            window(
                stride * (side * row + below) - padding, stride * (side * column + beside) - padding
            )
            for below in range(side)
            for beside in range(side)
        ]
        for row in range(down)
        for column in range(across)
    ]


def _walk(bits: list[int], depth: int, prefix: int) -> int:
    node, code = 0, prefix
    for _ in range(depth):
        code = 2 * code + bits[node]
        node = 2 * node + 1 + bits[node]
    return code & 0xFF


def _sums(
    activations: list[int],
    rows: Iterator[list[int]],
    groups: int,
    weight_bits: int,
    shape: EngineShape,
    *,
    by_input: int,
) -> list[list[int]]:
    """The sum of every neuron, group by group."""
    totals = [[0] * shape.pe for _ in range(groups)]
    if by_input:
        order = [(group, 0, word) for word in activations for group in range(groups)]
    else:
        order = [
            (group, plane, word)
            for group in range(groups)
            for plane in reversed(range(weight_bits))
            for word in activations
        ]
    mask = (1 << shape.simd) - 1
    for group, plane, word in order:
        for neuron, weights in enumerate(next(rows)):
            if weight_bits == 1:
                totals[group][neuron] += (~(word ^ weights) & mask).bit_count()
            else:
                count = (word & weights).bit_count() << plane
                totals[group][neuron] += -count if plane == weight_bits - 1 else count
    return totals


def _signed(word: int, shape: EngineShape) -> int:
    """The low `sum_bits` of a word, as two's complement."""
    word &= (1 << shape.sum_bits) - 1
    return word - (1 << shape.sum_bits) if word >> shape.sum_bits - 1 else word
