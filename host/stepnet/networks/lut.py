"""LUT networks: every neuron is a look-up table of four bits, and groups of them are counted.

A table is the most general step neuron of four inputs. The network computes, with `a` the bits of
the layer below (the image's pixels, row by row, below the first layer):

    y[j] = tables[j] >> (a[w[j,0]] + 2 a[w[j,1]] + 4 a[w[j,2]] + 8 a[w[j,3]]) & 1
    sum[r] = the number of ones among the last layer's y[j] with groups[j] = r
    excess[r] = sum[r] - thresholds[r]

and that is read out as in a step network (see `Readout`): bits and tree ask whether
`excess[r] >= 0`, nearest asks which one is the largest, the first on a tie. So the register holds
plain ASCII, whatever the readout.

The functions here are the specification. They compute 64 images at a time, one in each bit of a
word.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from stepnet.errors import NetworkError
from stepnet.networks.network import CharacterNetwork, whole_numbers
from stepnet.networks.reference import binarise, margin_of, read_out

TABLE_INPUTS = 4
TABLE_BITS = 1 << TABLE_INPUTS

ALL = np.uint64((1 << 64) - 1)

AT_ONCE = 1024
"""How many images are computed together: few enough that what stands between two steps of a layer
stays in the processor's cache."""


@dataclass(frozen=True, eq=False)
class LutLayer:
    """One layer of look-up tables. Arrays are copied and made read-only.

    wires: (n_out, 4) int32, the four inputs of each table: which bit of the layer below is a0 to
    a3, 0 to `n_in` - 1.
    tables: (n_out,) uint16, the truth tables: bit i is the answer at the address
    `i = a0 + 2 a1 + 4 a2 + 8 a3`.
    n_in: bits of the layer below; of the image, its pixels.

    A table that only passes one input on (0xAAAA for a0) needs no logic: in gateware it is a
    register.

    Raises NetworkError if a shape, a type or a range does not hold.
    """

    wires: NDArray[np.integer[Any]]
    tables: NDArray[np.integer[Any]]
    n_in: int

    def __post_init__(self) -> None:
        wires = whole_numbers(self.wires, np.int32, "wires")
        tables = whole_numbers(self.tables, np.uint16, "tables")
        if wires.ndim != 2 or wires.shape[1] != TABLE_INPUTS or not len(wires):
            raise NetworkError(
                f"The wires of a layer have shape {wires.shape}; "
                f"give (tables, {TABLE_INPUTS}) with at least one table."
            )
        if tables.shape != wires.shape[:1]:
            raise NetworkError(
                f"A layer of {len(wires)} tables has truth tables of shape {tables.shape}; "
                "give one of 16 bits per table."
            )
        outside = (wires < 0) | (wires >= self.n_in)
        if outside.any():
            table, place = np.unravel_index(outside.argmax(), outside.shape)
            raise NetworkError(
                f"Input {place} of table {table} is wired to bit {wires[table, place]} of the "
                f"layer below, which has bits 0 to {self.n_in - 1}."
            )
        wires.flags.writeable = False
        tables.flags.writeable = False
        object.__setattr__(self, "wires", wires)
        object.__setattr__(self, "tables", tables)

    @property
    def n_out(self) -> int:
        """How many tables the layer has."""
        return len(self.tables)

    def asks_for(self, asked: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """The bits of the layer below that some tables depend on: (n_in,) bool.

        asked: (n_out,) bool, the tables that count.
        """
        answers = self.tables[:, np.newaxis] >> np.arange(TABLE_BITS, dtype=np.uint16) & 1
        needed = np.zeros(self.n_in, dtype=bool)
        for place in range(TABLE_INPUTS):
            other = np.arange(TABLE_BITS) ^ 1 << place
            depends = (answers != answers[:, other]).any(axis=1)
            needed[self.wires[depends & asked, place]] = True
        return needed


@dataclass(frozen=True, eq=False)
class Counts:
    """How the last layer's tables are counted. Arrays are copied and made read-only.

    groups: (tables of the last layer,) int32, the row that each table is counted for.
    thresholds: (rows,) int32. A row fires where its count is at least its threshold; with readout
    nearest they are what each count is lowered by before the largest wins.

    A row may have no table: its count is 0, so it fires always with the threshold 0 and never with
    the threshold 1. That is how bits stand that are the same in every code of the alphabet.

    Raises NetworkError if a shape, a type or a range does not hold.
    """

    groups: NDArray[np.integer[Any]]
    thresholds: NDArray[np.integer[Any]]

    def __post_init__(self) -> None:
        groups = whole_numbers(self.groups, np.int32, "groups")
        thresholds = whole_numbers(self.thresholds, np.int32, "thresholds")
        if groups.ndim != 1 or thresholds.ndim != 1 or not len(thresholds):
            raise NetworkError(
                f"The groups have shape {groups.shape} and the thresholds {thresholds.shape}; "
                "give (tables,) and (rows,), with at least one row."
            )
        outside = np.flatnonzero((groups < 0) | (groups >= len(thresholds)))
        if len(outside):
            raise NetworkError(
                f"Table {outside[0]} of the last layer is counted for row {groups[outside[0]]}, "
                f"but there are rows 0 to {len(thresholds) - 1}."
            )
        groups.flags.writeable = False
        thresholds.flags.writeable = False
        object.__setattr__(self, "groups", groups)
        object.__setattr__(self, "thresholds", thresholds)

    @property
    def rows(self) -> int:
        """How many rows the readout has, each with a count of its own."""
        return len(self.thresholds)

    @property
    def sizes(self) -> NDArray[np.int64]:
        """How many tables are counted for each row: (rows,)."""
        return np.bincount(self.groups, minlength=self.rows)


@dataclass(frozen=True, eq=False)
class LutNetwork(CharacterNetwork[LutLayer]):
    """A network of look-up tables; see `CharacterNetwork` for its other attributes.

    layers: of tables, first to last; the first is wired to the pixels.
    counts: which tables of the last layer are counted for which row of the readout. There are as
    many rows as the last layer of a step network with the same readout has neurons: 7 or 8 (bits),
    2^m - 1 in heap order (tree), one per character of the alphabet (nearest).

    Raises NetworkError if any of this does not hold together.
    """

    kind: ClassVar[str] = "lut"
    other_kinds: ClassVar[Mapping[str, str]] = dict.fromkeys(
        ("step", "sigmoid", "relu", "spiking"),
        "not a network of look-up tables; name one that `stepnet train --kind lut` made.",
    )

    counts: Counts = field(kw_only=True)

    def _check_layers(self) -> None:
        super()._check_layers()
        if len(self.counts.groups) != self.layers[-1].n_out:
            raise NetworkError(
                f"The last layer has {self.layers[-1].n_out} tables, but {len(self.counts.groups)} "
                "are counted; give the row of each table."
            )

    @property
    def rows(self) -> int:
        """How many rows the readout has; see `Counts`."""
        return self.counts.rows

    @property
    def table_count(self) -> int:
        """How many tables all layers have together."""
        return sum(layer.n_out for layer in self.layers)

    @cached_property
    def pixels_used(self) -> NDArray[np.int64]:
        """The pixels on which the code depends, in their order; no table asks for the others.

        What a table does not depend on, and a table that nobody asks for, does not count.
        """
        asked = np.ones(self.layers[-1].n_out, dtype=bool)
        for layer in reversed(self.layers):
            asked = layer.asks_for(asked)
        return np.flatnonzero(asked)

    @property
    def weight_bits_total(self) -> int:
        """Bits that all truth tables take; the wires are no memory on a chip."""
        return self.table_count * TABLE_BITS

    def _layer_entries(self) -> dict[str, Any]:
        return {"kind": self.kind, "layer_count": len(self.layers)}

    def _arrays(self) -> dict[str, NDArray[Any]]:
        arrays: dict[str, NDArray[Any]] = {
            "groups": self.counts.groups,
            "thresholds": self.counts.thresholds,
        }
        for number, layer in enumerate(self.layers):
            arrays[f"wires_{number}"] = layer.wires
            arrays[f"tables_{number}"] = layer.tables
        return arrays

    @classmethod
    def _take_layers(
        cls, header: dict[str, Any], arrays: Mapping[str, NDArray[Any]]
    ) -> tuple[LutLayer, ...]:
        n_in = header["height"] * header["width"]
        layers: list[LutLayer] = []
        for number in range(header.pop("layer_count")):
            layers.append(LutLayer(arrays[f"wires_{number}"], arrays[f"tables_{number}"], n_in))
            n_in = layers[-1].n_out
        header["counts"] = Counts(arrays["groups"], arrays["thresholds"])
        return tuple(layers)


def pack(bits: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """Bits of images as words: (n, words), image 64 w + b in bit b of word w, from (N, n).

    The last word is filled up with images whose bits are all 0.
    """
    words = -(-len(bits) // 64)
    planes = np.zeros((bits.shape[1], words * 8), dtype=np.uint8)
    packed = np.packbits(bits, axis=0, bitorder="little")
    planes[:, : len(packed)] = packed.T
    return planes.view("<u8").astype(np.uint64, copy=False)


def unpack(planes: NDArray[np.uint64], images: int) -> NDArray[np.uint8]:
    """What `pack` packed, the other way round: (n, images) uint8 of 0 and 1."""
    octets = planes.astype("<u8", copy=False).view(np.uint8)
    return np.unpackbits(octets, axis=1, count=images, bitorder="little")


def look_up(layer: LutLayer, planes: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The answer of every table: (n_out, words) from the bits of the layer below, (n_in, words).

    Each input in turn chooses between the entries where it is 0 and those where it is 1, until one
    of the 16 is left.
    """
    ones = layer.tables[:, np.newaxis] >> np.arange(TABLE_BITS, dtype=np.uint16) & 1
    entries = list((ones.astype(np.uint64) * ALL).T[:, :, np.newaxis])
    for place in range(TABLE_INPUTS):
        a = planes[layer.wires[:, place]]
        entries = [
            low ^ (a & (low ^ high)) for low, high in zip(entries[::2], entries[1::2], strict=True)
        ]
    return entries[0]


def count(counts: Counts, answers: NDArray[np.uint8]) -> NDArray[np.int64]:
    """`sum[r]`, how many tables of each row answer 1: (N, rows) from (tables, N) of 0 and 1."""
    belongs = counts.groups == np.arange(counts.rows)[:, np.newaxis]
    # Sums far below 2^24 are exact in float32, whose matrix products are fast.
    return (belongs.astype(np.float32) @ answers.astype(np.float32)).T.astype(np.int64)


def activations(network: LutNetwork, images: NDArray[np.generic]) -> tuple[NDArray[np.uint8], ...]:
    """The pixels and then the answers of every layer, each (N, bits) uint8 of 0 and 1.

    images: as in `stepnet.networks.reference.binarise`.
    """
    planes = [pack(binarise(network, images))]
    for layer in network.layers:
        planes.append(look_up(layer, planes[-1]))
    return tuple(unpack(each, len(images)).T for each in planes)


def sums(network: LutNetwork, images: NDArray[np.generic]) -> NDArray[np.int64]:
    """The count of every row: (N, rows). images: as in `stepnet.networks.reference.binarise`."""
    pixels = binarise(network, images)
    counted = [_sums(network, part) for part in _parts(pixels)]
    return np.concatenate(counted) if counted else np.zeros((0, network.rows), dtype=np.int64)


def infer(network: LutNetwork, images: NDArray[np.generic]) -> NDArray[np.uint8]:
    """The character code of every image: (N,) uint8.

    images: as in `stepnet.networks.reference.binarise`. A code outside the alphabet stands as it
    is.
    """
    return read_out(network, sums(network, images) - network.counts.thresholds)


def margin(network: LutNetwork, images: NDArray[np.generic]) -> NDArray[np.int64]:
    """How far any one count may move before the code changes: (N,), at least 0.

    See `stepnet.networks.reference.margin`; a count lies between 0 and the size of its group.
    images: as in `stepnet.networks.reference.binarise`.
    """
    lowest = np.zeros(network.rows, dtype=np.int64)
    return margin_of(
        network, sums(network, images), network.counts.thresholds, lowest, network.counts.sizes
    )


def _sums(network: LutNetwork, pixels: NDArray[np.uint8]) -> NDArray[np.int64]:
    planes = pack(pixels)
    for layer in network.layers:
        planes = look_up(layer, planes)
    return count(network.counts, unpack(planes, len(pixels)))


def _parts(pixels: NDArray[np.uint8]) -> Iterator[NDArray[np.uint8]]:
    for start in range(0, len(pixels), AT_ONCE):
        yield pixels[start : start + AT_ONCE]


def tables_of(answers: ArrayLike) -> NDArray[np.uint16]:
    """Truth tables from their 16 answers each: (n,) uint16 from (n, 16) of 0 and 1."""
    bits = np.packbits(np.asarray(answers, dtype=np.uint8), axis=1, bitorder="little")
    return bits.view("<u2")[:, 0].astype(np.uint16)
