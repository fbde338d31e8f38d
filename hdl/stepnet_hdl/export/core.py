"""A core with a network built in, behind plain ports with valid and ready."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from stepnet.cores.engine.cycles import cycles_per_image
from stepnet.cores.engine.memory_image import layer_weight_words, parameter_words
from stepnet.cores.engine.shape import CODE_BITS, EngineShape
from stepnet.cores.mac.cycles import cycles_per_image as mac_cycles
from stepnet.cores.mac.layout import words_needed
from stepnet.cores.mac.program import MacNetwork
from stepnet.cores.mac.shape import MacShape
from stepnet.cores.spiking.contents import spiking_shape
from stepnet.cores.spiking.cycles import Walk, image_cycles
from stepnet.networks.kinds import AnyNetwork
from stepnet.networks.lut import LutNetwork
from stepnet.networks.network import Network
from stepnet.networks.sigmoid import SigmoidNetwork
from stepnet.networks.spiking import SpikingNetwork, encode
from stepnet_hdl.cores.engine.engine import Engine
from stepnet_hdl.cores.interface import CYCLES_BITS, MARGIN_BITS, InferenceCore
from stepnet_hdl.cores.mac.mac import Mac
from stepnet_hdl.cores.pipeline.pipeline import Pipeline
from stepnet_hdl.cores.spiking.spiking_core import SpikingCore

MIN_WEIGHT_WORDS, MIN_PARAMETER_WORDS = 2, 16
"""The smallest memories that an `EngineShape` may have."""

LANES = 16
"""Neurons side by side in a multiply-accumulate core or a spiking core, as on boards."""

AMPLE_WORDS = 1 << 16
"""More words than any network needs that is worth a core; the shape with so many counts what it
does need."""


class ExportedCore(wiring.Component):
    """A core behind plain ports, with its network built in for good: nothing is loaded, and every
    image that comes counts."""

    pixel_data: Signal
    """8 bits, in: pixels, row by row, the first in bit 0, 1 for ink."""
    pixel_valid: Signal
    """1 bit, in: `pixel_data` is offered."""
    pixel_ready: Signal
    """1 bit, out: `pixel_data` is taken if it is offered."""
    cancel: Signal
    """1 bit, in: images that have no reading yet are void, also one that is half in."""
    reading_valid: Signal
    """1 bit, out: a reading is offered; it stays until it is taken."""
    reading_ready: Signal
    """1 bit, in: the reading is taken if it is offered."""
    reading_code: Signal
    """8 bits, out: the character code."""
    reading_margin: Signal
    """24 bits, out: how far any one sum may move before the code changes; 0 where not computed."""
    reading_cycles: Signal
    """24 bits, out: cycles from the image's last pixels to its code."""
    character: Signal
    """8 bits, out: the code of the latest image until the next one's."""

    def __init__(self, core: InferenceCore) -> None:
        self._core = core
        super().__init__(
            {
                "pixel_data": In(8),
                "pixel_valid": In(1),
                "pixel_ready": Out(1),
                "cancel": In(1),
                "reading_valid": Out(1),
                "reading_ready": In(1),
                "reading_code": Out(CODE_BITS),
                "reading_margin": Out(MARGIN_BITS),
                "reading_cycles": Out(CYCLES_BITS),
                "character": Out(CODE_BITS),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.core = core = self._core
        m.d.comb += [
            core.pixels.p.eq(self.pixel_data),
            core.pixels.valid.eq(self.pixel_valid),
            self.pixel_ready.eq(core.pixels.ready),
            core.cancel.eq(self.cancel),
            self.reading_valid.eq(core.readings.valid),
            core.readings.ready.eq(self.reading_ready),
            self.reading_code.eq(core.readings.p.code),
            self.reading_margin.eq(core.readings.p.margin),
            self.reading_cycles.eq(core.readings.p.cycles),
            self.character.eq(core.character),
        ]
        return m


@dataclass(frozen=True)
class NetworkCore:
    """A core that has a network built in.

    kind: what it is, in words.
    latency_cycles: from an image's last pixels to its code, if the core was free.
    at_most: an image may take fewer.
    """

    core: InferenceCore
    kind: str
    latency_cycles: int
    at_most: bool = False


def core_for(network: AnyNetwork, simd: int, pe: int) -> NetworkCore:
    """The core that computes a network: an engine or a multiply-accumulate core with as much memory
    as it needs, a spiking core, or for a network of look-up tables the pipeline that is the
    network.

    simd, pe: of an engine, see `EngineShape`. Raises NetworkError if there is no such core.
    """
    if isinstance(network, LutNetwork):
        pipeline = Pipeline(network)
        return NetworkCore(pipeline, "pipeline of look-up tables", pipeline.latency_cycles)
    if isinstance(network, MacNetwork):
        mac_shape = mac_shape_for(network)
        return NetworkCore(
            Mac(mac_shape, network),
            f"multiply-accumulate core, {LANES} products per cycle",
            mac_cycles(network, mac_shape),
        )
    if isinstance(network, SpikingNetwork):
        return NetworkCore(
            SpikingCore(network, LANES, Walk.EVENTS),
            f"spiking core, {LANES} additions per cycle",
            _most_spiking_cycles(network),
            at_most=True,
        )
    shape = shape_for(network, simd, pe)
    return NetworkCore(
        Engine(shape, network),
        f"engine, {simd} weights of {pe} {'neuron' if pe == 1 else 'neurons'} per cycle",
        cycles_per_image(network, shape),
    )


def mac_shape_for(network: MacNetwork) -> MacShape:
    """A multiply-accumulate core that holds the network and hardly more."""
    pixels = -(-network.height * network.width // 8) * 8
    widest = max([1, *(layer.n_out for layer in network.layers[:-1]), -(-pixels // 16)])
    shape = MacShape(
        lanes=LANES,
        weight_words=MIN_WEIGHT_WORDS,
        max_pixels=pixels,
        max_hidden=1 << (widest - 1).bit_length(),
        sigmoid=isinstance(network, SigmoidNetwork),
    )
    return replace(shape, weight_words=words_needed(network, shape))


def _most_spiking_cycles(network: SpikingNetwork) -> int:
    """The cycles of an image in which every input of every layer is walked over."""
    blank = encode(network, np.zeros((1, network.height, network.width), np.uint8))
    shape = spiking_shape(network, LANES)
    return int(image_cycles(network, shape, Walk.INPUTS, blank)[0])


def shape_for(network: Network, simd: int, pe: int) -> EngineShape:
    """An engine of this width that holds the network and nothing more; NetworkError for none."""
    widest = max(network.sizes)
    ample = EngineShape(
        simd=simd,
        max_inputs=-(-widest // simd) * simd if simd > 0 else simd,
        weight_words=AMPLE_WORDS,
        parameter_words=AMPLE_WORDS,
        max_weight_bits=max(layer.weight_bits for layer in network.layers),
        pe=pe,
        parameter_lanes=pe,
    )
    weight_words = sum(layer_weight_words(network, layer, ample) for layer in network.layers)
    return EngineShape(
        simd=simd,
        max_inputs=ample.max_inputs,
        weight_words=max(weight_words, MIN_WEIGHT_WORDS),
        parameter_words=max(parameter_words(network, ample), MIN_PARAMETER_WORDS),
        max_weight_bits=ample.max_weight_bits,
        pe=pe,
        parameter_lanes=pe,
    )
