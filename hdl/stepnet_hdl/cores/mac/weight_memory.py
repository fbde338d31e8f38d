"""The weights: block RAM, or on parts with single-port RAM half of each."""

from collections.abc import Sequence

from amaranth.hdl import C, Cat, ClockSignal, Instance, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from stepnet.cores.mac.shape import SINGLE_PORT_LANES, MacShape
from stepnet_hdl.blocks.lane_memory import LaneMemory
from stepnet_hdl.fpga.parts import SPRAM_BITS, SPRAM_WORDS, has_single_port_ram

BYTES_PER_COLUMN = SPRAM_BITS // 8


class WeightMemory(wiring.Component):
    """Gives a word of `shape.lanes` bytes in each cycle, or in two for words behind
    `shape.wide_words`.

    Of words that are read whole, the single-port memory has the lower half of the lanes, and block
    RAM the upper one. Of the others the single-port memory has both, the upper half in its upper
    half; they are read with `upper` 0 and then, in the next cycle, with `upper` 1. While bytes are
    loaded, what is read means nothing.

    init: the bytes at power-on, word by word; only where no memory is single-port.
    """

    latency_cycles = 2
    """Cycles from the last address of a word to the word."""

    address: Signal
    """`range(weight_words)`, in: which word to read."""
    upper: Signal
    """1 bit, in: the second read of a word that takes two."""
    is_wide: Signal
    """1 bit, in: the word at `address` takes a single read."""
    fetch: Signal
    """1 bit, in: `address` was, a cycle ago, that of a word that is wanted; the word stays until
    the next one."""
    word: Signal
    """`8 * lanes` bits, out: the word, lane 0 lowest."""
    loading: Signal
    """1 bit, in: bytes are written."""
    write_address: Signal
    """`range(weight_words)`, in: the word of which a byte is written."""
    write_lane: Signal
    """`range(lanes)`, in: its lane."""
    write_data: Signal
    """8 bits, in: the byte."""
    write_enable: Signal
    """1 bit, in: write it."""

    def __init__(self, shape: MacShape, init: Sequence[int] = ()) -> None:
        self.shape = shape
        self.init = init
        super().__init__(
            {
                "address": In(range(shape.weight_words)),
                "upper": In(1),
                "is_wide": In(1),
                "fetch": In(1),
                "word": Out(8 * shape.lanes),
                "loading": In(1),
                "write_address": In(range(shape.weight_words)),
                "write_lane": In(range(shape.lanes)),
                "write_data": In(8),
                "write_enable": In(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        if self.shape.wide_words is None:
            read = self._block(m, self.shape.lanes, self.shape.weight_words, self.write_enable, 0)
            word = read
        else:
            word = self._halves(m, platform, self.shape.wide_words)
        with m.If(self.fetch):
            m.d.sync += self.word.eq(word)
        return m

    def _block(self, m: Module, lanes: int, depth: int, enable: Value, first_lane: int) -> Signal:
        m.submodules.block = block = LaneMemory(8, lanes, depth, self.init)
        m.d.comb += [
            block.read_address.eq(self.address),
            block.read_enable.eq(1),
            block.write_address.eq(self.write_address),
            block.write_lane.eq(self.write_lane - first_lane),
            block.write_data.eq(self.write_data),
            block.write_enable.eq(enable),
        ]
        return block.read_data

    def _halves(self, m: Module, platform: object, wide_words: int) -> Value:
        """Keep each half of a word where it belongs."""
        half = SINGLE_PORT_LANES
        writes_upper, writes_wide = self.write_lane[-1], self.write_address < wide_words
        above = self._block(
            m, half, wide_words, self.write_enable & writes_upper & writes_wide, half
        )
        below = Signal(8 * half)
        address = Mux(
            self.loading,
            Cat(self.write_address, writes_upper),
            Cat(self.address, self.upper),
        )
        enable = self.write_enable & ~(writes_upper & writes_wide)
        lane = self.write_lane[:-1]
        if has_single_port_ram(platform):
            self._spram(m, address, lane, enable, below)
        else:
            depth = 1 << len(self.address) + 1
            m.submodules.single_port = ram = LaneMemory(8, half, depth)
            m.d.comb += [
                ram.read_address.eq(address),
                ram.read_enable.eq(1),
                ram.write_address.eq(address),
                ram.write_lane.eq(lane),
                ram.write_data.eq(self.write_data),
                ram.write_enable.eq(enable),
                below.eq(ram.read_data),
            ]
        before = Signal(8 * half, reset_less=True)  # the lower half, when `below` is the upper one
        whole = Signal(reset_less=True)
        m.d.sync += [before.eq(below), whole.eq(self.is_wide)]
        return Cat(Mux(whole, below, before), Mux(whole, above, below))

    def _spram(self, m: Module, address: Value, lane: Value, enable: Value, read: Signal) -> None:
        """Keep bytes in SB_SPRAM256KA, in columns of two lanes side by side."""
        if len(address) > SPRAM_WORDS.bit_length() - 1:
            raise ValueError("A single-port memory has 16,384 words; give fewer weight_words.")
        for column in range(SINGLE_PORT_LANES // BYTES_PER_COLUMN):
            m.submodules[f"spram_{column}"] = Instance(
                "SB_SPRAM256KA",
                i_ADDRESS=Cat(address, C(0, SPRAM_WORDS.bit_length() - 1 - len(address))),
                i_DATAIN=Cat(self.write_data, self.write_data),
                # A bit for each nibble.
                i_MASKWREN=Mux(lane[0], C(0b1100, 4), C(0b0011, 4)),
                i_WREN=enable & (lane[1:] == column),
                i_CHIPSELECT=C(1),
                i_CLOCK=ClockSignal(),
                i_STANDBY=C(0),
                i_SLEEP=C(0),
                i_POWEROFF=C(1),  # active low
                o_DATAOUT=read.word_select(column, SPRAM_BITS),
            )
