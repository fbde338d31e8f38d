"""Memory whose words are read whole and written lane by lane."""

from collections.abc import Sequence

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from stepnet_hdl.blocks.ram import Ram


class LaneMemory(wiring.Component):
    """A block RAM of `depth` words, each of which holds `lanes` values of `width` bits.

    All lanes of a word are read together, and one lane of a word is written at a time. What is read
    from a word in the cycle in which it is written means nothing, as with `Ram`.

    init: values of `width` bits that the memory holds at power-on: all lanes of word 0 in order,
        then those of word 1, and so on. What is not given is 0.
    read_cycles: cycles from an address to its word, 1 or 2, as in `Ram`.
    """

    read_address: Signal
    """`range(depth)`, in: which word to read."""
    read_enable: Signal
    """1 bit, in: read the word at `read_address`. While it is 0, the word read before stays."""
    read_data: Signal
    """`lanes * width` bits, out: all lanes of a word, the first lane lowest, `read_cycles` after
    its address and `read_enable` were given."""
    write_address: Signal
    """`range(depth)`, in: the word of which a lane is written."""
    write_lane: Signal
    """`range(lanes)`, in: which lane of that word is written."""
    write_data: Signal
    """`width` bits, in: the new value of the lane."""
    write_enable: Signal
    """1 bit, in: write `write_data`, which can be read from the next cycle on."""

    def __init__(
        self,
        width: int,
        lanes: int,
        depth: int,
        init: Sequence[int] = (),
        read_cycles: int = 1,
    ) -> None:
        self.width = width
        self.lanes = lanes
        self.depth = depth
        self.init = init
        self.read_cycles = read_cycles
        super().__init__(
            {
                "read_address": In(range(depth)),
                "read_enable": In(1),
                "read_data": Out(lanes * width),
                "write_address": In(range(depth)),
                "write_lane": In(range(lanes)),
                "write_data": In(width),
                "write_enable": In(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        lanes: list[Signal] = []
        for lane in range(self.lanes):
            of_lane = self.init[lane :: self.lanes]
            m.submodules[f"lane_{lane}"] = ram = Ram(
                self.width, self.depth, of_lane, self.read_cycles
            )
            m.d.comb += [
                ram.read_address.eq(self.read_address),
                ram.read_enable.eq(self.read_enable),
                ram.write_address.eq(self.write_address),
                ram.write_data.eq(self.write_data),
                ram.write_enable.eq(self.write_enable & (self.write_lane == lane)),
            ]
            lanes.append(ram.read_data)
        m.d.comb += self.read_data.eq(Cat(lanes))
        return m
