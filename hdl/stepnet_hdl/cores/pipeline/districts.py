"""Shares the rows of a large network out among districts, to which the pixels come in turn.

Each pixel is wired to tables anywhere, so that in a large network its wires reach across the part.
The tables of one row lie together, because they are counted together. That is why neighbouring rows
make a district, each with a register of its own for every pixel, which hands it on to the next.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from amaranth.hdl import Module, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from stepnet.networks.lut import Counts, LutLayer, LutNetwork
from stepnet_hdl.blocks.delay import delayed
from stepnet_hdl.cores.pipeline.group_counts import (
    GroupCounts,
    counts_latency_cycles,
    sums_layout,
)
from stepnet_hdl.cores.pipeline.table_layer import TableLayer


class Districts(wiring.Component):
    """Counts the tables of every row, a new image in every cycle, and gives all counts of an image
    in the same cycle.

    network: which network it is.
    districts: among how many its rows are shared out, 1 to as many as there are.
    """

    pixels: Signal
    """`height * width` bits, in: the pixels of one image."""
    sums: data.View
    """`sums_layout`, out: the counts of the image of `latency_cycles` before."""

    def __init__(self, network: LutNetwork, districts: int) -> None:
        self.network = network
        self._rows = np.array_split(np.arange(network.rows), districts)
        counted = counts_latency_cycles(network.counts)
        self.latency_cycles = districts + len(network.layers) + counted
        pixels = network.height * network.width
        super().__init__({"pixels": In(pixels), "sums": Out(sums_layout(network.counts))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        pixels = self.pixels
        for number, rows in enumerate(self._rows):
            pixels = delayed(m, pixels, 1, f"pixels_{number}")
            if not np.isin(self.network.counts.groups, rows).any():
                continue  # these counts are 0
            layers, counts = district(self.network, rows)
            bits = pixels
            for depth, layer in enumerate(layers):
                m.submodules[f"layer_{depth}_{number}"] = tables = TableLayer(layer)
                m.d.comb += tables.bits.eq(bits)
                bits = tables.answers
            m.submodules[f"counts_{number}"] = counted = GroupCounts(counts)
            m.d.comb += counted.answers.eq(bits)
            late = self.latency_cycles - (number + 1 + len(layers) + counted.latency_cycles)
            for row in map(int, rows):
                name = f"row_{row}"
                m.d.comb += self.sums[name].eq(delayed(m, counted.sums[name], late, name))
        return m


def district(network: LutNetwork, rows: np.ndarray) -> tuple[list[LutLayer], Counts]:
    """The tables that count for some rows, and those that they depend on, layer by layer; and how
    the last of them are counted, other rows having none."""
    kept = np.isin(network.counts.groups, rows)
    counts = replace(network.counts, groups=network.counts.groups[kept])
    layers: list[LutLayer] = []
    for layer in reversed(network.layers[1:]):
        below = layer.asks_for(kept)
        # Where a bit of the layer below stands among those that are kept; any place does for one
        # that does not change the answer.
        places = np.cumsum(below) - 1
        wires = np.where(below[layer.wires[kept]], places[layer.wires[kept]], 0)
        layers.append(LutLayer(wires, layer.tables[kept], int(below.sum())))
        kept = below
    first = network.layers[0]
    layers.append(LutLayer(first.wires[kept], first.tables[kept], first.n_in))
    return layers[::-1], counts
