"""The bare network: an image in, a character out, a new one in every cycle."""

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from stepnet.cores.engine.shape import CODE_BITS
from stepnet.networks.lut import LutNetwork
from stepnet_hdl.cores.pipeline.code_readout import CodeReadout, readout_latency_cycles
from stepnet_hdl.cores.pipeline.group_counts import GroupCounts, counts_latency_cycles
from stepnet_hdl.cores.pipeline.table_layer import TableLayer


def table_latency_cycles(network: LutNetwork, *, registered: bool = True) -> int:
    """Cycles from an image to its character in a `TablePipeline`."""
    if not registered:
        return 1
    stages = counts_latency_cycles(network.counts) + readout_latency_cycles(network)
    return len(network.layers) + stages + 1


class TablePipeline(wiring.Component):
    """A `LutNetwork` as logic. Images may come in every cycle or with gaps; none waits.

    network: which network it is.
    registered: registers behind each layer and in the counts and the readout; otherwise there are
    none but the character register itself, which is smaller, and the clock slow.
    """

    pixels: Signal
    """`height * width` bits, in: the pixels of one image, row by row, the first one lowest."""
    valid: Signal
    """1 bit, in: `pixels` is an image."""
    cancel: Signal
    """1 bit, in: images on their way, and one that comes in this cycle, give no character."""
    character: Signal
    """8 bits, out: the character register, the code of the image of `latency_cycles` before; it
    stays until the next image's is there."""
    character_valid: Signal
    """1 bit, out: `character` is new in this cycle."""

    def __init__(self, network: LutNetwork, *, registered: bool = True) -> None:
        self.network = network
        self._layers = [TableLayer(layer, registered=registered) for layer in network.layers]
        self._counts = GroupCounts(network.counts, registered=registered)
        self._readout = CodeReadout(network, registered=registered)
        self.latency_cycles = table_latency_cycles(network, registered=registered)
        super().__init__(
            {
                "pixels": In(network.height * network.width),
                "valid": In(1),
                "cancel": In(1),
                "character": Out(CODE_BITS),
                "character_valid": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        bits = self.pixels
        for number, layer in enumerate(self._layers):
            m.submodules[f"layer_{number}"] = layer
            m.d.comb += layer.bits.eq(bits)
            bits = layer.answers
        m.submodules.counts = counts = self._counts
        m.submodules.readout = readout = self._readout
        m.d.comb += [counts.answers.eq(bits), readout.sums.eq(counts.sums)]
        # Whether there is an image goes beside it; this alone is ever reset.
        valid = self.valid & ~self.cancel
        for cycle in range(1, self.latency_cycles):
            later = Signal(name=f"valid_{cycle}")
            m.d.sync += later.eq(valid)
            valid = later & ~self.cancel
        m.d.sync += self.character_valid.eq(valid)
        with m.If(valid):
            m.d.sync += self.character.eq(readout.code)
        return m
