"""The engine in plain Python integers, from nothing but the bytes in its two memories.

Written from the description of the memories, not from the code that fills them, so that both can be
checked against each other. Bit k of an integer is bit k of a memory word.
"""

from collections.abc import Iterator

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
        readout = layer_header >> 12 & 3 if last_layer else BITS
        evaluated = (layer_header & (7 if readout == TREE else 0xFFF)) + 1
        neurons = (1 << evaluated) - 1 if readout == TREE else evaluated
        if len(activations) != words_per_row:
            raise ValueError(f"{len(activations)} words of inputs, but {words_per_row} of weights")
        position += 2
        groups = -(-neurons // shape.pe)
        reads = shape.pe // shape.parameter_lanes
        thresholds = program[position : position + groups * reads]
        thresholds = in_lanes([value for word in thresholds for value in word], shape.pe)
        position += groups * reads
        sums = _sums(activations, rows, groups, weight_bits, shape, by_input=by_input)
        margins = [
            [total - _signed(threshold, shape) for total, threshold in zip(*group, strict=True)]
            for group in zip(sums, thresholds, strict=True)
        ]
        bits = [[int(margin >= 0) for margin in group] for group in margins]
        if last_layer:
            flat = [margin for group in margins for margin in group][:neurons]
            bits = [int(margin >= 0) for margin in flat]
            if readout == NEAREST:
                return program[position + flat.index(max(flat))][0]
            if readout == TREE:
                return _walk(bits, evaluated, prefix=layer_header >> 3 & 0xFF)
            return sum(bit << index for index, bit in enumerate(bits))
        activations = gathered(bits, shape.simd // shape.pe, shape.simd)


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
