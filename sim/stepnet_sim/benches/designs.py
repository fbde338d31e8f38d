"""The parts that the benches test, declared once for the Verilog and for the benches."""

from collections.abc import Callable, Iterable, Mapping
from fractions import Fraction

import numpy as np
from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import Out

from stepnet.cores.engine.shape import EngineShape
from stepnet.cores.mac.shape import MacShape
from stepnet.cores.spiking.cycles import Walk
from stepnet.networks.lut import LutNetwork
from stepnet.networks.network import Readout
from stepnet.networks.random_networks import random_lut_network, random_spiking_network
from stepnet.networks.spiking import Rows, SpikingNetwork
from stepnet_hdl.blocks.popcount import Popcount
from stepnet_hdl.chip.chip import Chip, SerialChip
from stepnet_hdl.cores.engine.engine import Engine
from stepnet_hdl.cores.mac.mac import Mac
from stepnet_hdl.cores.pipeline.streamed_pipeline import StreamedPipeline
from stepnet_hdl.cores.pipeline.table_pipeline import TablePipeline
from stepnet_hdl.cores.spiking.spiking_core import SpikingCore
from stepnet_hdl.link.uart import UartReceiver, UartTransmitter
from stepnet_sim.chips.design import Design

POPCOUNT_WIDTHS = (1, 2, 3, 4, 8, 24, 64, 100)

UART_BIT_EIGHTHS = (24, 28, 32, 40)
"""How long bits are on average, in eighths of a cycle."""

ENGINE_SHAPES = {
    "narrow": EngineShape(
        8, max_inputs=64, weight_words=256, parameter_words=64, overlap_neurons=16
    ),
    "wide": EngineShape(
        24,
        max_inputs=96,
        weight_words=512,
        parameter_words=128,
        max_weight_bits=4,
        weight_memory="single_port",
    ),
    "parallel": EngineShape(
        16,
        max_inputs=96,
        weight_words=256,
        parameter_words=128,
        pe=6,
        parameter_lanes=2,
        weight_memory="registered",
        overlap_neurons=64,
    ),
    "maps": EngineShape(
        16,
        max_inputs=256,
        weight_words=256,
        parameter_words=64,
        max_weight_bits=3,
        pe=4,
        parameter_lanes=2,
        map_words=64,
    ),
    "pairs": EngineShape(
        16,
        max_inputs=256,
        weight_words=256,
        parameter_words=64,
        pe=4,
        parameter_lanes=4,
        weight_memory="registered",
        overlap_neurons=16,
        map_words=64,
        map_windows=2,
    ),
}

MAC_SHAPES = {
    "narrow": MacShape(lanes=8, weight_words=256, max_pixels=64, max_hidden=32),
    "halves": MacShape(lanes=16, weight_words=256, max_pixels=64, max_hidden=32, wide_words=60),
    "sigmoid": MacShape(lanes=16, weight_words=256, max_pixels=64, max_hidden=32, sigmoid=True),
}

CHIP = Design(
    shape=EngineShape(
        16,
        max_inputs=64,
        weight_words=64,
        parameter_words=32,
        max_weight_bits=4,
        overlap_neurons=16,
    ),
    clock_hz=4_000_000,
    buffer_bytes=128,
    uart=True,
    baud=1_000_000,
)


def table_networks() -> dict[Readout, LutNetwork]:
    """The networks of the pipelines, one for each readout; the same ones each time."""
    sizes = {Readout.BITS: (7, ""), Readout.TREE: (15, "011"), Readout.NEAREST: (10, "")}
    return {
        readout: random_lut_network(
            np.random.default_rng(rows), 36, (24, 40), rows, readout, height=6, code_prefix=prefix
        )
        for readout, (rows, prefix) in sizes.items()
    }


SPIKING_LANES = 8
SPIKING_WALKS = {"counts": Walk.EVENTS, "potentials": Walk.INPUTS}
"""The walk of each spiking core, by what its readout asks."""


def spiking_networks() -> dict[str, SpikingNetwork]:
    """The networks of the spiking cores, by the names of `SPIKING_WALKS`; the same ones each time.

    One has a last group that is full and three kinds of neurons, the other weights of one bit.
    """
    rng = np.random.default_rng(11)
    return {
        "counts": random_spiking_network(rng, (36, 20, 16, 10), ticks=3, height=6),
        "potentials": random_spiking_network(
            rng, (36, 11, 9), ticks=2, height=6, weight_bits=1, asked=Rows.POTENTIALS
        ),
    }


NEIGHBOURHOODS = (1, 3)
"""In how many parts the tables of a pipeline work."""

STREAMED_PIXELS = (8, 36)
"""Pixels per cycle of the pipelines between streams, whose images have 36."""

Tested = (
    Popcount
    | UartReceiver
    | UartTransmitter
    | Engine
    | Chip
    | SerialChip
    | TablePipeline
    | StreamedPipeline
    | Mac
    | SpikingCore
)


class SideBySide(wiring.Component):
    """Several components in one top, so that one compilation serves all benches.

    Port `p` of the component called `name` is port `name__p`.
    """

    def __init__(self, parts: Mapping[str, Tested]) -> None:
        self.parts = parts
        super().__init__({name: Out(part.signature) for name, part in parts.items()})

    def elaborate(self, platform: object) -> Module:
        """Put the parts beside each other and wire their ports to the face."""
        m = Module()
        for name, part in self.parts.items():
            m.submodules[name] = part
            wiring.connect(m, part, wiring.flipped(getattr(self, name)))
        return m


def top(benches: Iterable[str]) -> SideBySide:
    """A new instance of everything that the named benches test."""
    return SideBySide({name: part for bench in benches for name, part in PARTS[bench]().items()})


def _popcount_parts() -> dict[str, Tested]:
    return {f"popcount_{width}": Popcount(width) for width in POPCOUNT_WIDTHS}


def _uart_parts() -> dict[str, Tested]:
    parts: dict[str, Tested] = {}
    for eighths in UART_BIT_EIGHTHS:
        parts[f"receiver_{eighths}"] = UartReceiver(Fraction(eighths, 8))
        parts[f"transmitter_{eighths}"] = UartTransmitter(Fraction(eighths, 8))
    return parts


def _engine_parts() -> dict[str, Tested]:
    return {f"engine_{name}": Engine(shape) for name, shape in ENGINE_SHAPES.items()}


def _chip_parts() -> dict[str, Tested]:
    return {"chip": CHIP.component()}


def _pipeline_parts() -> dict[str, Tested]:
    networks = table_networks()
    bare = {
        f"pipeline_{readout}_{count}": TablePipeline(each, neighbourhoods=count)
        for readout, each in networks.items()
        for count in NEIGHBOURHOODS
    }
    streamed = {
        f"streamed_{pixels}": StreamedPipeline(networks[Readout.NEAREST], pixels)
        for pixels in STREAMED_PIXELS
    }
    return {**bare, **streamed}


def _mac_parts() -> dict[str, Tested]:
    return {f"mac_{name}": Mac(shape) for name, shape in MAC_SHAPES.items()}


def _spiking_parts() -> dict[str, Tested]:
    return {
        f"spiking_{name}": SpikingCore(network, SPIKING_LANES, SPIKING_WALKS[name])
        for name, network in spiking_networks().items()
    }


PARTS: dict[str, Callable[[], dict[str, Tested]]] = {
    "popcount": _popcount_parts,
    "uart": _uart_parts,
    "engine": _engine_parts,
    "chip": _chip_parts,
    "pipeline": _pipeline_parts,
    "mac": _mac_parts,
    "spiking": _spiking_parts,
}
"""A function for each bench that makes the parts it tests, by the names under which it finds them.
"""
