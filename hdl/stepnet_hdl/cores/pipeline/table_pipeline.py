"""The bare network: an image in, a character out, a new one in every cycle."""

from amaranth.hdl import Module, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from stepnet.cores.engine.shape import CODE_BITS
from stepnet.networks.lut import LutNetwork
from stepnet_hdl.cores.pipeline.code_readout import CodeReadout, readout_latency_cycles
from stepnet_hdl.cores.pipeline.group_counts import GroupCounts, counts_latency_cycles
from stepnet_hdl.cores.pipeline.neighbourhoods import Neighbourhood
from stepnet_hdl.cores.pipeline.neighbourhoods import neighbourhoods as split
from stepnet_hdl.cores.pipeline.table_layer import TableLayer


def table_latency_cycles(
    network: LutNetwork, *, registered: bool = True, neighbourhoods: int = 1
) -> int:
    """Cycles from an image to its character in a `TablePipeline`."""
    if not registered:
        return 1
    layers = len(network.layers) * neighbourhoods
    return layers + counts_latency_cycles(network.counts) + readout_latency_cycles(network) + 1


class TablePipeline(wiring.Component):
    """A `LutNetwork` as logic. Images may come in every cycle or with gaps; none waits.

    network: which network it is.
    registered: registers behind each layer and in the counts and the readout; otherwise there are
    none but the character register itself, which is smaller, and the clock slow.
    neighbourhoods: in how many parts the tables work, each with registers of its own for its pixels
    and as many cycles behind the part before it as there are layers; more than one suits large
    networks on large parts, and needs registers behind each layer.

    Raises BuildError if there are fewer counts than neighbourhoods.
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

    def __init__(
        self, network: LutNetwork, *, registered: bool = True, neighbourhoods: int = 1
    ) -> None:
        assert registered or neighbourhoods == 1, "without registers nothing is a cycle behind"
        self.network = network
        self.neighbourhoods = neighbourhoods
        self._parts = [
            _Part(neighbourhood, registered=registered)
            for neighbourhood in split(network, neighbourhoods)
        ]
        self._readout = CodeReadout(network, registered=registered)
        self.latency_cycles = table_latency_cycles(
            network, registered=registered, neighbourhoods=neighbourhoods
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
        m.submodules.readout = readout = self._readout
        longest = max(part.counts.latency_cycles for part in self._parts)
        # A pixel that a layer hands on is in a register, too. Were this the one that the next
        # neighbourhood reads, synthesis would make one of both, and its wire would be long.
        apart = len(self.network.layers)
        pixels = self.pixels
        for number, part in enumerate(self._parts):
            name = f"_{number}" if number else ""
            if number:
                pixels = _later(m, pixels, apart, f"pixels{name}")
            bits = pixels
            for place, layer in enumerate(part.layers):
                m.submodules[f"layer_{place}{name}"] = layer
                m.d.comb += layer.bits.eq(bits)
                bits = layer.answers
            m.submodules[f"counts{name}"] = counts = part.counts
            m.d.comb += counts.answers.eq(bits)
            behind = apart * (len(self._parts) - 1 - number)
            cycles = behind + longest - counts.latency_cycles
            for row in part.rows:
                count = _later(m, counts.sums[f"row_{row}"], cycles, f"count_{row}")
                m.d.comb += readout.sums[f"row_{row}"].eq(count)
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


class _Part:
    """The stages of a neighbourhood, from its pixels to its counts."""

    def __init__(self, neighbourhood: Neighbourhood, *, registered: bool) -> None:
        self.rows = neighbourhood.rows
        self.layers = [TableLayer(layer, registered=registered) for layer in neighbourhood.layers]
        self.counts = GroupCounts(neighbourhood.counts, registered=registered)


def _later(m: Module, value: Value, cycles: int, name: str) -> Value:
    """The value of so many cycles before."""
    for cycle in range(cycles):
        kept = Signal(value.shape(), name=f"{name}_{cycle}", reset_less=True)
        m.d.sync += kept.eq(value)
        value = kept
    return value
