"""The pipeline between two streams: pixels in, characters out, and either side may wait."""

from amaranth.hdl import Module, Signal
from amaranth.lib import fifo, stream, wiring
from amaranth.lib.wiring import In, Out

from stepnet.cores.engine.shape import CODE_BITS
from stepnet.networks.lut import LutNetwork
from stepnet_hdl.cores.pipeline.image_register import ImageRegister
from stepnet_hdl.cores.pipeline.table_pipeline import TablePipeline

QUEUE_CYCLES = 2
"""Cycles from the pipeline's character to its offer, and from a transfer to room for an image."""


class StreamedPipeline(wiring.Component):
    """A `TablePipeline` that waits for whoever takes its characters, without losing one and without
    standing still inside.

    What is on its way through the pipeline cannot wait, so the last pixels of an image are taken
    only while there is room for its character behind the pipeline. There is room for as many as are
    under way at once: with a reader that always takes, an image of `pixels_per_cycle` pixels enters
    in every cycle.

    network: which network it is.
    pixels_per_cycle: BuildError if neither 8 nor a divisor of the number of pixels.
    """

    pixels: stream.Interface
    """Stream of `pixels_per_cycle` bits, in: images row by row, the first pixel lowest. Spare bits
    of an image's last transfer do not count."""
    characters: stream.Interface
    """Stream of 8 bits, out: the code of each image, in their order, offered `latency_cycles` after
    the transfer of its last pixels if the ones before it have been taken."""

    def __init__(self, network: LutNetwork, pixels_per_cycle: int) -> None:
        self.network = network
        self._register = ImageRegister(network.height * network.width, pixels_per_cycle)
        self._tables = TablePipeline(network)
        self.latency_cycles = (
            self._register.latency_cycles + self._tables.latency_cycles + QUEUE_CYCLES
        )
        self.room = self.latency_cycles + 1
        super().__init__(
            {
                "pixels": In(stream.Signature(pixels_per_cycle)),
                "characters": Out(stream.Signature(CODE_BITS)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.register = register = self._register
        m.submodules.tables = tables = self._tables
        m.submodules.queue = queue = fifo.SyncFIFOBuffered(width=CODE_BITS, depth=self.room)
        under_way = Signal(range(self.room + 1))  # taken, and its character is not
        has_room = Signal(init=1)
        enters, leaves = Signal(), Signal()
        m.d.comb += [
            self.pixels.ready.eq(~register.last | has_room),
            register.stream.p.eq(self.pixels.p),
            register.stream.valid.eq(self.pixels.valid & self.pixels.ready),
            tables.pixels.eq(register.image),
            tables.valid.eq(register.valid),
            queue.w_data.eq(tables.character),
            queue.w_en.eq(tables.character_valid),
            self.characters.p.eq(queue.r_data),
            self.characters.valid.eq(queue.r_rdy),
            queue.r_en.eq(self.characters.ready),
            enters.eq(register.stream.valid & register.last),
            leaves.eq(self.characters.valid & self.characters.ready),
        ]
        following = Signal.like(under_way)
        m.d.comb += following.eq(under_way + enters - leaves)
        m.d.sync += [under_way.eq(following), has_room.eq(following != self.room)]
        return m
