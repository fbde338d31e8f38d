"""The bare network: an image in, a character out, a new one in every cycle."""

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from stepnet.cores.engine.shape import CODE_BITS
from stepnet.networks.lut import LutNetwork
from stepnet_hdl.cores.pipeline.code_readout import CodeReadout, readout_latency_cycles
from stepnet_hdl.cores.pipeline.districts import Districts
from stepnet_hdl.cores.pipeline.group_counts import GroupCounts, counts_latency_cycles
from stepnet_hdl.cores.pipeline.table_layer import TableLayer


def table_latency_cycles(
    network: LutNetwork, *, registered: bool = True, districts: int = 1
) -> int:
    """Cycles from an image to its character in a `TablePipeline`."""
    if not registered:
        return 1
    stages = counts_latency_cycles(network.counts) + readout_latency_cycles(network)
    relays = districts if districts > 1 else 0
    return relays + len(network.layers) + stages + 1


class TablePipeline(wiring.Component):
    """A `LutNetwork` as logic. Images may come in every cycle or with gaps; none waits.

    network: which network it is.
    registered: registers behind each layer and in the counts and the readout; otherwise there are
    none but the character register itself, which is smaller, and the clock slow.
    districts: with more than one the pixels go from district to district, a cycle each, see
    `districts`: for networks that fill a large part.

    Raises ValueError if there are not as many rows as districts, or several without registers.
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

    def __init__(self, network: LutNetwork, *, registered: bool = True, districts: int = 1) -> None:
        if not 1 <= districts <= (network.rows if registered else 1):
            raise ValueError(
                f"A pipeline of {network.rows} rows, {'with' if registered else 'without'} "
                f"registers, cannot have {districts} districts; give 1."
            )
        self.network = network
        self.districts = districts
        self.registered = registered
        self.latency_cycles = table_latency_cycles(
            network, registered=registered, districts=districts
        )
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
        if self.districts > 1:
            m.submodules.counts = counts = Districts(self.network, self.districts)
            m.d.comb += counts.pixels.eq(self.pixels)
        else:
            bits = self.pixels
            for number, layer in enumerate(self.network.layers):
                tables = TableLayer(layer, registered=self.registered)
                m.submodules[f"layer_{number}"] = tables
                m.d.comb += tables.bits.eq(bits)
                bits = tables.answers
            counts = GroupCounts(self.network.counts, registered=self.registered)
            m.submodules.counts = counts
            m.d.comb += counts.answers.eq(bits)
        m.submodules.readout = readout = CodeReadout(self.network, registered=self.registered)
        m.d.comb += readout.sums.eq(counts.sums)
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
