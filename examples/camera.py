"""The engine behind a camera, without any link: grey pixels go in, a character comes out.

The middle of each frame is cut into 28 x 28 blocks. A block is ink if it is darker on average than
`ink_level`; eight of these bits are a byte for the engine, whose network is in the bitstream.

    python examples/camera.py > camera.il
"""

from amaranth.hdl import Array, Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from stepnet.networks.network import Network
from stepnet.networks.shipped import load_network
from stepnet_hdl.cores.engine.engine import Engine
from stepnet_hdl.export.core import shape_for
from stepnet_hdl.flow.verilog import to_rtlil


class CameraReader(wiring.Component):
    """Reads the character in the middle of each frame, dark ink on light paper.

    network: what reads it.
    columns, rows: of a frame; the square of `block` x `block` pixels a bit lies in its middle.
    ink_level: the grey value below which a block is ink.
    """

    grey: Signal
    """8 bits, in: the grey value of a pixel, row by row from the upper left, 255 for white."""
    grey_valid: Signal
    """1 bit, in: `grey` is the next pixel of the frame."""
    frame_start: Signal
    """1 bit, in: the next pixel is the first of a frame. What came of a frame that broke off is
    forgotten."""
    character: Signal
    """8 bits, out: the code of the latest frame's character, until that of the next one."""
    new: Signal
    """1 bit, out: 1 for one cycle, when a frame was read and `character` is its code."""

    def __init__(
        self, network: Network, columns: int = 640, rows: int = 480, ink_level: int = 110
    ) -> None:
        self.engine = Engine(shape_for(network, simd=64, pe=1), network)
        self.side = network.width
        self.block = min(columns, rows) // self.side
        self.columns, self.rows, self.ink_level = columns, rows, ink_level
        super().__init__(
            {
                "grey": In(8),
                "grey_valid": In(1),
                "frame_start": In(1),
                "character": Out(8),
                "new": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Count pixels, add up each block, pack eight bits, hand them to the engine."""
        m = Module()
        m.submodules.engine = engine = self.engine
        block, side = self.block, self.side
        left, top = (self.columns - side * block) // 2, (self.rows - side * block) // 2

        # Where the pixel is: in the frame, and in its block.
        column, row = Signal(range(self.columns)), Signal(range(self.rows))
        inside_column, inside_row = Signal(range(block)), Signal(range(block))
        bit = Signal(range(side + 1))
        in_window = Signal()
        m.d.comb += in_window.eq(
            self.grey_valid
            & (column >= left)
            & (column < left + side * block)
            & (row >= top)
            & (row < top + side * block)
        )
        last_column = column == self.columns - 1
        with m.If(self.grey_valid):
            m.d.sync += [column.eq(column + 1), inside_column.eq(inside_column + 1)]
            with m.If((column < left) | (inside_column == block - 1)):
                m.d.sync += inside_column.eq(0)
            with m.If(in_window & (inside_column == block - 1)):
                m.d.sync += bit.eq(bit + 1)
            with m.If(last_column):
                m.d.sync += [column.eq(0), bit.eq(0), inside_column.eq(0), row.eq(row + 1)]
                m.d.sync += inside_row.eq(inside_row + 1)
                with m.If((row < top) | (inside_row == block - 1)):
                    m.d.sync += inside_row.eq(0)

        # The sum of each block of this row of blocks; after its last pixel it is compared.
        sums = Array(Signal(range(256 * block * block), name=f"sum_{n}") for n in range(side))
        total = Signal(range(256 * block * block))
        starts = (inside_row == 0) & (inside_column == 0)
        m.d.comb += total.eq(self.grey + Mux(starts, 0, sums[bit]))
        block_ends = in_window & (inside_row == block - 1) & (inside_column == block - 1)
        with m.If(in_window):
            m.d.sync += sums[bit].eq(total)

        # Eight bits make a byte, which waits until the engine takes it.
        byte, count = Signal(8), Signal(3)
        m.d.comb += [engine.pixels.p.eq(byte), engine.cancel.eq(self.frame_start)]
        with m.If(engine.pixels.ready):
            m.d.sync += engine.pixels.valid.eq(0)
        with m.If(block_ends):
            ink = total < self.ink_level * block * block
            m.d.sync += [byte.eq(Cat(byte[1:], ink)), count.eq(count + 1)]
            m.d.sync += engine.pixels.valid.eq(count == 7)

        with m.If(self.frame_start):
            m.d.sync += [column.eq(0), row.eq(0), inside_column.eq(0), inside_row.eq(0)]
            m.d.sync += [bit.eq(0), count.eq(0), engine.pixels.valid.eq(0)]
        m.d.comb += [
            engine.readings.ready.eq(1),
            self.character.eq(engine.character),
            self.new.eq(engine.readings.valid),
        ]
        return m


if __name__ == "__main__":
    print(to_rtlil(CameraReader(load_network("digits")), "camera_reader"))
