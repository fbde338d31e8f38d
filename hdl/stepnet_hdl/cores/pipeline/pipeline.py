"""The pipeline as a core of a chip: its network is built in, and images come byte by byte."""

from amaranth.hdl import Module, Mux, Signal

from stepnet.boards.held_network import built_in_digest
from stepnet.link.messages import Core
from stepnet.networks.lut import LutNetwork
from stepnet_hdl.cores.interface import InferenceCore
from stepnet_hdl.cores.pipeline.image_register import ImageRegister
from stepnet_hdl.cores.pipeline.table_pipeline import TablePipeline, table_latency_cycles

PIXELS_PER_BYTE = 8


def pipeline_latency_cycles(network: LutNetwork, *, registered: bool = True) -> int:
    """Cycles from the transfer of the last pixels to the character register in a `Pipeline`."""
    tables = table_latency_cycles(network, registered=registered)
    return ImageRegister.latency_cycles + 1 + tables


class Pipeline(InferenceCore):
    """Gathers the bytes of an image, sends it through a `TablePipeline`, and offers the reading.

    One image is under way at a time: a link brings the next one long after. The character register
    has its code `latency_cycles` after the transfer of the last pixels, and the reading is offered
    one cycle later; an image that is still tentative then waits before its tables, and its reading
    says `latency_cycles` all the same. The margin is not computed and reads 0.

    network: is built in for good.
    registered: as of `TablePipeline`.
    """

    def __init__(self, network: LutNetwork, *, registered: bool = True) -> None:
        self.network = network
        self._register = ImageRegister(network.height * network.width, PIXELS_PER_BYTE)
        self._tables = TablePipeline(network, registered=registered)
        self.latency_cycles = pipeline_latency_cycles(network, registered=registered)
        super().__init__(Core.PIPELINE, built_in_digest=built_in_digest(network))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.register = register = self._register
        m.submodules.tables = tables = self._tables
        busy = Signal()  # no pixels are taken: an image is on its way, or its reading waits
        complete = Signal()  # the image is in its register
        computed = Signal()  # its code is in the character register
        starts = complete & ~self.tentative
        m.d.comb += [
            self.image_bytes.eq(register.transfers),
            self.pixels.ready.eq(~busy),
            register.stream.p.eq(self.pixels.p),
            register.stream.valid.eq(self.pixels.valid & ~busy),
            register.restart.eq(self.cancel),
            self.last_pixels.eq(register.last),
            tables.pixels.eq(register.image),
            tables.valid.eq(starts),
            tables.cancel.eq(self.cancel),
            self.character.eq(tables.character),
            self.readings.p.code.eq(tables.character),
            self.readings.p.cycles.eq(self.latency_cycles),
            self.readings.valid.eq(computed),
        ]
        with m.If(self.pixels.valid & register.last):
            m.d.sync += busy.eq(1)
        with m.If(register.valid):
            m.d.sync += complete.eq(1)
        with m.If(starts):
            m.d.sync += complete.eq(0)
        with m.If(tables.character_valid):
            m.d.sync += computed.eq(1)
        # A reading that is offered stays, whatever is cancelled.
        with m.If(Mux(computed, self.readings.ready, self.cancel)):
            m.d.sync += [busy.eq(0), complete.eq(0), computed.eq(0)]
        return m
