"""Memory whose words are read whole and written lane by lane."""

from collections.abc import Sequence

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from stepnet_hdl.blocks.ram import Ram


class LaneMemory(wiring.Component):
    """`depth` words of `lanes` lanes of `width` bits, in block RAM.

    A word that is read in the cycle in which it is written means nothing, as of `Ram`.

    init: values of `width` bits at power-on, lane by lane of word by word; the others are 0.
    read_cycles: as of `Ram`.
    """

    read_address: Signal
    """Signal(range(depth)), in."""
    read_enable: Signal
    """1 bit, in."""
    read_data: Signal
    """Lanes * width bits, out: the word at `read_address` in the latest cycle with `read_enable`
    that is `read_cycles` ago, the first lane lowest."""
    write_address: Signal
    """Signal(range(depth)), in."""
    write_lane: Signal
    """Signal(range(lanes)), in."""
    write_data: Signal
    """Width bits, in."""
    write_enable: Signal
    """1 bit, in."""

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
