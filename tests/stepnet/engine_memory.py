"""The engine in plain Python integers, from nothing but the bytes in its two memories.

Written from the description of the memories, not from the code that fills them, so that both can be
checked against each other. Bit k of an integer is bit k of a memory word.
"""

from collections.abc import Iterator

from stepnet.engine import EngineShape

BITS, TREE, NEAREST = range(3)


def words(memory: bytes, bytes_per_word: int) -> list[int]:
    """The words of a memory as it is loaded over the link."""
    return [
        int.from_bytes(memory[start : start + bytes_per_word], "little")
        for start in range(0, len(memory), bytes_per_word)
    ]


def activation_words(bits: list[int], simd: int) -> list[int]:
    """Inputs as they lie beside the weights: from bit 0 up, in the last word up to the top bit."""
    last_start = (len(bits) - 1) // simd * simd
    rows = [bits[start : start + simd] for start in range(0, last_start, simd)]
    last = bits[last_start:]
    rows.append([0] * (simd - len(last)) + last)
    return [sum(bit << position for position, bit in enumerate(row)) for row in rows]


def run(parameters: bytes, weights: bytes, shape: EngineShape, image: bytes) -> int:
    """The character code that an engine of `shape` gives for one packed image.

    IndexError or StopIteration where the program runs past the memories.
    """
    program = words(parameters, shape.parameter_bytes)
    rows = iter(words(weights, shape.weight_bytes))
    if len(image) != program[0]:
        raise ValueError(f"an image has {program[0]} bytes")
    bits = [byte >> position & 1 for byte in image for position in range(8)]
    position = 1
    while True:
        row_header, layer_header = program[position : position + 2]
        words_per_row = (row_header & 0xFFF) + 1
        weight_bits = (row_header >> 12 & 7) + 1
        last_layer = row_header >> 15 & 1
        evaluated = (layer_header & 0xFFF) + 1
        readout = layer_header >> 12 & 3 if last_layer else BITS
        neurons = (1 << evaluated) - 1 if readout == TREE else evaluated
        activations = activation_words(bits, shape.simd)
        if len(activations) != words_per_row:
            raise ValueError(f"{len(bits)} inputs do not take {words_per_row} words")
        position += 2
        thresholds = program[position : position + neurons]
        position += neurons
        margins = [
            _sum(activations, rows, weight_bits, shape) - _signed(threshold, shape)
            for threshold in thresholds
        ]
        bits = [int(margin >= 0) for margin in margins]
        if last_layer:
            if readout == NEAREST:
                return thresholds[margins.index(max(margins))] >> shape.parameter_bits - 8
            if readout == TREE:
                return _walk(bits, evaluated, prefix=layer_header >> shape.parameter_bits - 8)
            return sum(bit << index for index, bit in enumerate(bits))


def _walk(bits: list[int], depth: int, prefix: int) -> int:
    node, code = 0, prefix
    for _ in range(depth):
        code = 2 * code + bits[node]
        node = 2 * node + 1 + bits[node]
    return code & 0xFF


def _sum(activations: list[int], rows: Iterator[int], weight_bits: int, shape: EngineShape) -> int:
    if weight_bits == 1:
        mask = (1 << shape.simd) - 1
        return sum((~(a ^ next(rows)) & mask).bit_count() for a in activations)
    total = 0
    for plane in reversed(range(weight_bits)):
        count = sum((a & next(rows)).bit_count() for a in activations)
        total += -(count << plane) if plane == weight_bits - 1 else count << plane
    return total


def _signed(word: int, shape: EngineShape) -> int:
    """The low `sum_bits` of a word, as two's complement."""
    word &= (1 << shape.sum_bits) - 1
    return word - (1 << shape.sum_bits) if word >> shape.sum_bits - 1 else word
