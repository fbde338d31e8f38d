"""A pipeline in a design of one's own, without any link: rows of pixels go in, a lamp comes out.

`TablePipeline` takes an image of one bit per pixel in every cycle. `ImageRegister` gathers it, here
a row at a time; the lamp is on while the latest character is a 7.

    python examples/own_design.py > seven_lamp.il
"""

from amaranth.hdl import Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from stepnet.networks.shipped import load_lut_network
from stepnet_hdl.cores.pipeline.image_register import ImageRegister
from stepnet_hdl.cores.pipeline.table_pipeline import TablePipeline
from stepnet_hdl.flow.verilog import to_rtlil


class SevenLamp(wiring.Component):
    """Lights `lamp` while the latest image shows a 7."""

    rows: stream.Interface
    """Stream of 28 bits, in: the rows of images, the leftmost pixel lowest, ink 1."""
    lamp: Signal
    """1 bit, out."""

    def __init__(self) -> None:
        super().__init__({"rows": In(stream.Signature(28)), "lamp": Out(1)})

    def elaborate(self, platform: object) -> Module:
        """Connect rows, register, pipeline and lamp."""
        m = Module()
        m.submodules.image = image = ImageRegister(28 * 28, pixels_per_cycle=28)
        m.submodules.pipeline = pipeline = TablePipeline(load_lut_network("digits-lut-compact"))
        wiring.connect(m, wiring.flipped(self.rows), image.stream)
        m.d.comb += [pipeline.pixels.eq(image.image), pipeline.valid.eq(image.valid)]
        m.d.comb += self.lamp.eq(pipeline.character == ord("7"))
        return m


if __name__ == "__main__":
    print(to_rtlil(SevenLamp(), "seven_lamp"))
