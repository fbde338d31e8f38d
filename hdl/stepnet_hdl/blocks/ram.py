"""Block RAM with one port to write and one to read."""

from collections.abc import Sequence

from amaranth.hdl import Module, Signal
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out


class Ram(wiring.Component):
    """A block RAM of `depth` words of `width` bits, which can read one word and write one in each
    cycle.

    What is read from a word in the cycle in which it is written means nothing: block RAMs differ in
    what they give, and logic that would make them agree costs more than a LUT per bit. That is why
    the read port is an asynchronous one behind a register, which Yosys merges into the RAM, with
    the attribute that tells it so.

    init: what the first words hold at power-on; the others are 0.
    read_cycles: cycles from an address to its word, 1 or 2. With 2 the word passes a second
        register, which lies in the block RAM where the family has one.
    """

    read_address: Signal
    """`range(depth)`, in: which word to read."""
    read_enable: Signal
    """1 bit, in: read the word at `read_address`. While it is 0, the word read before stays."""
    read_data: Signal
    """`width` bits, out: a word, `read_cycles` after its address and `read_enable` were given."""
    write_address: Signal
    """`range(depth)`, in: which word to write."""
    write_data: Signal
    """`width` bits, in: the new value of that word."""
    write_enable: Signal
    """1 bit, in: write `write_data`, which can be read from the next cycle on."""

    def __init__(
        self, width: int, depth: int, init: Sequence[int] = (), read_cycles: int = 1
    ) -> None:
        self.width = width
        self.depth = depth
        self.init = init
        self.read_cycles = read_cycles
        super().__init__(
            {
                "read_address": In(range(depth)),
                "read_enable": In(1),
                "read_data": Out(width),
                "write_address": In(range(depth)),
                "write_data": In(width),
                "write_enable": In(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.words = words = memory.Memory(
            shape=self.width, depth=self.depth, init=self.init, attrs={"no_rw_check": "1"}
        )
        read, write = words.read_port(domain="comb"), words.write_port()
        m.d.comb += [
            read.addr.eq(self.read_address),
            write.addr.eq(self.write_address),
            write.data.eq(self.write_data),
            write.en.eq(self.write_enable),
        ]
        word = Signal(self.width, reset_less=True)
        with m.If(self.read_enable):
            m.d.sync += word.eq(read.data)
        for _ in range(self.read_cycles - 1):
            registered = Signal(self.width, reset_less=True)
            m.d.sync += registered.eq(word)
            word = registered
        m.d.comb += self.read_data.eq(word)
        return m
