"""Counts what a pipeline is made of: the quantities that its size grows with."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stepnet.networks.lut import TABLE_BITS, TABLE_INPUTS, LutLayer, LutNetwork
from stepnet.networks.network import Readout

PIXELS_PER_BYTE = 8


@dataclass(frozen=True)
class PipelineStructure:
    """What a network of look-up tables is made of, once it is logic.

    pixels, pixel_bytes: how many pixels the code depends on, and how many bytes of an image they
        lie in.
    tables: tables that need logic: somebody asks for them, and they do not only hand a bit on.
    counted: tables whose answers are counted.
    adders: full and half adders that it takes to count them, see `ParallelCounter`.
    judged_bits: bits of all counts that are compared, with a threshold or in a pair.
    chosen_bits: bits of counts and of row numbers that are chosen between, with `nearest`.
    """

    pixels: int
    pixel_bytes: int
    tables: int
    counted: int
    adders: int
    judged_bits: int
    chosen_bits: int


def pipeline_structure(network: LutNetwork) -> PipelineStructure:
    """What `network` is made of."""
    tables = 0
    asked = np.ones(network.layers[-1].n_out, dtype=bool)
    for layer in reversed(network.layers):
        tables += int((asked & _needs_logic(layer)).sum())
        asked = layer.asks_for(asked)
    sizes: list[int] = network.counts.sizes.tolist()
    bits = max(size.bit_length() for size in sizes)
    nearest = network.readout is Readout.NEAREST
    pairs = network.rows - 1
    return PipelineStructure(
        pixels=int(asked.sum()),
        pixel_bytes=len(np.unique(np.flatnonzero(asked) // PIXELS_PER_BYTE)),
        tables=tables,
        counted=sum(sizes),
        adders=sum(map(_adders, sizes)),
        judged_bits=bits * (pairs if nearest else network.rows),
        chosen_bits=(bits * (pairs - 1) + network.rows) if nearest else 0,
    )


def _adders(size: int) -> int:
    """Adders that count `size` bits: of each weight every second bit makes one, and a carry."""
    found = 0
    while size > 1:
        size //= 2
        found += size
    return found


def _needs_logic(layer: LutLayer) -> NDArray[np.bool_]:
    """Which tables are more than one of their inputs, or a constant: (n_out,)."""
    answers = layer.tables[:, np.newaxis] >> np.arange(TABLE_BITS, dtype=np.uint16) & 1
    depends = np.zeros((layer.n_out, TABLE_INPUTS), dtype=bool)
    rises = np.zeros((layer.n_out, TABLE_INPUTS), dtype=bool)
    for place in range(TABLE_INPUTS):
        other = np.arange(TABLE_BITS) ^ 1 << place
        depends[:, place] = (answers != answers[:, other]).any(axis=1)
        rises[:, place] = answers[:, 1 << place] > answers[:, 0]
    inputs = depends.sum(axis=1)
    handed_on = (inputs == 1) & (depends & rises).any(axis=1)
    return (inputs > 0) & ~handed_on
