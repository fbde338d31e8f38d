"""What the memories of a `TableWalk` hold: the tables in the order of their turn, and bits.

The memory of bits has two halves. The lower one holds what tables see: the pixels that are kept, in
their order, and then the answers of all tables but those that are counted, in the order of their
turn. In the upper half stands, at the place of each pixel of an image, whether it is kept.

The memory of tables has two words for each, the first of which holds, from bit 0 up, the places of
inputs 0 and 1 among the bits and the lower half of the truth table; the second one the same of
inputs 2 and 3 and the upper half. Behind each layer but the last comes one table whose answer
nobody sees, so that no table reads what the one right before it answers. In the last layer each row
of the readout has as many tables as the largest; those that it lacks answer 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stepnet.networks.lut import TABLE_BITS, TABLE_INPUTS, LutNetwork

HALF_TABLE_BITS = TABLE_BITS // 2


@dataclass(frozen=True)
class WalkShape:
    """The sizes of both memories.

    half: places in one half of the memory of bits.
    wire_bits: bits of a place in the lower half, as the memory of tables has them.
    stored_tables: how many tables have an answer that is stored; the others are counted.
    row_tables: how many tables of each row are counted.
    tables: how many there are in all.
    """

    half: int
    wire_bits: int
    stored_tables: int
    row_tables: int
    tables: int

    @property
    def word_bits(self) -> int:
        """Width of the memory of tables."""
        return 2 * self.wire_bits + HALF_TABLE_BITS

    @property
    def words(self) -> int:
        """How many words the memory of tables has."""
        return 2 * self.tables


def walk_shape(network: LutNetwork) -> WalkShape:
    """The sizes of a `TableWalk` that is `network`."""
    stored = sum(layer.n_out + 1 for layer in network.layers[:-1])
    row_tables = max(1, int(network.counts.sizes.max()))
    places = len(network.pixels_used) + stored
    return WalkShape(
        half=1 << (max(places, network.height * network.width) - 1).bit_length(),
        wire_bits=max(1, (places - 1).bit_length()),
        stored_tables=stored,
        row_tables=row_tables,
        tables=stored + network.rows * row_tables,
    )


@dataclass(frozen=True)
class WalkContents:
    """The contents of both memories.

    bits: the memory of bits, each 0 or 1, whose lower half is 0.
    words: the memory of tables.
    """

    bits: tuple[int, ...]
    words: tuple[int, ...]


def walk_contents(network: LutNetwork) -> WalkContents:
    """The contents of a `TableWalk` that is `network`."""
    shape = walk_shape(network)
    kept = network.pixels_used
    below = np.zeros(network.height * network.width, dtype=np.int64)
    below[kept] = np.arange(len(kept))
    next_place = len(kept)
    unseen = (0, np.zeros(TABLE_INPUTS, dtype=np.int64))
    tables: list[tuple[int, NDArray[np.int64]]] = []
    for layer in network.layers[:-1]:
        tables += [
            (int(table), below[of]) for table, of in zip(layer.tables, layer.wires, strict=True)
        ]
        tables.append(unseen)
        below = next_place + np.arange(layer.n_out)
        next_place += layer.n_out + 1
    last, counts = network.layers[-1], network.counts
    for row in range(counts.rows):
        members = np.flatnonzero(counts.groups == row)
        tables += [(int(last.tables[number]), below[last.wires[number]]) for number in members]
        tables += [unseen] * (shape.row_tables - len(members))
    is_kept = np.isin(np.arange(shape.half), kept)
    return WalkContents(
        (0,) * shape.half + tuple(is_kept.astype(int).tolist()),
        tuple(word for table, wires in tables for word in _words(table, wires, shape.wire_bits)),
    )


def _words(table: int, wires: NDArray[np.int64], wire_bits: int) -> tuple[int, int]:
    a, b, c, d = (int(wire) for wire in wires)
    low, high = table & ((1 << HALF_TABLE_BITS) - 1), table >> HALF_TABLE_BITS
    return (
        a | b << wire_bits | low << 2 * wire_bits,
        c | d << wire_bits | high << 2 * wire_bits,
    )
