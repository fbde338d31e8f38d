"""The memory that holds the weights: block RAM, or RAM with a single port."""

from collections.abc import Sequence

from amaranth.hdl import C, Cat, ClockSignal, Instance, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from stepnet.cores.engine.shape import EngineShape
from stepnet.errors import BuildError
from stepnet_hdl.blocks.delay import delayed
from stepnet_hdl.blocks.lane_memory import LaneMemory
from stepnet_hdl.blocks.ram import Ram
from stepnet_hdl.fpga.parts import SPRAM_BITS, SPRAM_WORDS, has_single_port_ram


def check_filled_by_bitstream(shape: EngineShape) -> None:
    """Raise BuildError if no bitstream can fill the weight memory of such an engine."""
    if shape.weight_memory == "single_port":
        raise BuildError(
            "A bitstream cannot fill single-port RAM, so that no network can be built into an "
            "engine that has its weights there; build it with weights in block RAM."
        )


class WeightMemory(wiring.Component):
    """The memory for the weights of an engine: `shape.weight_words` words of `shape.pe` lanes of
    `shape.simd` bits, one access per cycle.

    While `loading` is 1 nothing is read, and `read_data` means nothing, whatever the kind of
    memory. On an iCE40 UltraPlus the kind `single_port` becomes SB_SPRAM256KA, elsewhere a memory
    with the same timing.

    init: weights at power-on, `simd` bits each, in the order in which `LaneMemory` takes them.
        BuildError with the kind `single_port`, which no bitstream fills.
    """

    read_address: Signal
    """`range(weight_words)`, in: which word to read."""
    read_data: Signal
    """`pe * simd` bits, out: the word whose address came `lane_read_cycles` before, the first lane
    lowest."""
    write_address: Signal
    """`range(weight_words)`, in: the word of which a lane is written."""
    write_lane: Signal
    """`range(pe)`, in: which lane of that word is written."""
    write_data: Signal
    """`simd` bits, in: the new weights of the lane."""
    write_enable: Signal
    """1 bit, in: write `write_data`, only while `loading` is 1. The word can be read `write_cycles`
    later."""
    loading: Signal
    """1 bit, in: weights are being loaded, so that nothing is read."""

    def __init__(self, shape: EngineShape, init: Sequence[int] = ()) -> None:
        if init:
            check_filled_by_bitstream(shape)
        self.shape = shape
        self.init = init
        super().__init__(
            {
                "read_address": In(range(shape.weight_words)),
                "read_data": Out(shape.pe * shape.simd),
                "write_address": In(range(shape.weight_words)),
                "write_lane": In(range(shape.pe)),
                "write_data": In(shape.simd),
                "write_enable": In(1),
                "loading": In(1),
            }
        )

    @property
    def lane_read_cycles(self) -> tuple[int, ...]:
        """Cycles from an address to the weights of each lane: `shape.read_cycles` in the first of
        `shape.neighbourhoods`, and one more in each after it."""
        return tuple(
            self.shape.read_cycles + number
            for number, lanes in enumerate(self.shape.neighbourhoods)
            for _ in lanes
        )

    @property
    def write_cycles(self) -> int:
        """Cycles from `write_enable` until the address of the word can be given to read it: 1, or 2
        where there are several `shape.neighbourhoods`."""
        return 2 if self.shape.skew_cycles else 1

    def elaborate(self, platform: object) -> Module:
        m = Module()
        if self.shape.skew_cycles:
            self._far_lanes(m)
            return m
        if self.shape.weight_memory != "single_port":
            self._block(m, self.read_address, self.write_address)
            return m
        address = Signal.like(self.read_address)
        m.d.comb += address.eq(Mux(self.loading, self.write_address, self.read_address))
        if has_single_port_ram(platform):
            self._spram(m, address)
        else:
            self._block(m, address, address)
        return m

    def _block(self, m: Module, read_address: Signal, write_address: Signal) -> None:
        """Keep the weights in block RAM, or in what stands in for single-port RAM."""
        shape = self.shape
        m.submodules.ram = ram = LaneMemory(
            shape.simd, shape.pe, shape.weight_words, self.init, shape.read_cycles
        )
        m.d.comb += [
            ram.read_address.eq(read_address),
            ram.read_enable.eq(~self.loading),
            self.read_data.eq(ram.read_data),
            ram.write_address.eq(write_address),
            ram.write_lane.eq(self.write_lane),
            ram.write_data.eq(self.write_data),
            ram.write_enable.eq(self.write_enable),
        ]

    def _far_lanes(self, m: Module) -> None:
        """Keep the weights in block RAM, and pass addresses and words to write from one
        neighbourhood to the next through registers."""
        shape = self.shape
        read: Value = self.read_address
        address: Value = self.write_address
        lane: Value = self.write_lane
        word: Value = self.write_data
        enable: Value = self.write_enable
        for number, lanes in enumerate(shape.neighbourhoods):
            if number:
                read = delayed(m, read, 1, f"read_address_{number}")
            chosen = Cat(enable & (lane == of_lane) for of_lane in lanes)
            chosen = delayed(m, chosen, 1, f"chosen_{number}")
            address = delayed(m, address, 1, f"write_address_{number}")
            lane = delayed(m, lane, 1, f"write_lane_{number}")
            word = delayed(m, word, 1, f"write_data_{number}")
            enable = delayed(m, enable, 1, f"write_enable_{number}")
            for of_lane, write_enable in zip(lanes, chosen, strict=True):
                init = self.init[of_lane :: shape.pe]
                ram = Ram(shape.simd, shape.weight_words, init, shape.read_cycles)
                m.submodules[f"lane_{of_lane}"] = ram
                m.d.comb += [
                    ram.read_address.eq(read),
                    ram.read_enable.eq(1),
                    self.read_data.word_select(of_lane, shape.simd).eq(ram.read_data),
                    ram.write_address.eq(address),
                    ram.write_data.eq(word),
                    ram.write_enable.eq(write_enable),
                ]

    def _spram(self, m: Module, address: Signal) -> None:
        """Keep the weights in SB_SPRAM256KA: columns of 16 bits side by side, banks of 16,384 words
        one above the other."""
        columns = -(-self.shape.simd // SPRAM_BITS)
        banks = -(-self.shape.weight_words // SPRAM_WORDS)
        bank = address[14:]
        bank_read = Signal.like(bank)
        m.d.sync += bank_read.eq(bank)
        padded = Signal(columns * SPRAM_BITS)
        m.d.comb += padded.eq(self.write_data)
        for bank_number in range(banks):
            lanes: list[Value] = []
            for lane in range(self.shape.pe):
                write = self.write_enable & (self.write_lane == lane) & (bank == bank_number)
                data = Signal(columns * SPRAM_BITS, name=f"data_{bank_number}_{lane}")
                lanes.append(data[: self.shape.simd])
                for column in range(columns):
                    bits = slice(column * SPRAM_BITS, (column + 1) * SPRAM_BITS)
                    m.submodules[f"spram_{bank_number}_{lane}_{column}"] = Instance(
                        "SB_SPRAM256KA",
                        i_ADDRESS=Cat(address[:14], C(0, max(0, 14 - len(address)))),
                        i_DATAIN=padded[bits],
                        i_MASKWREN=C(0b1111, 4),
                        i_WREN=write,
                        i_CHIPSELECT=C(1),
                        i_CLOCK=ClockSignal(),
                        i_STANDBY=C(0),
                        i_SLEEP=C(0),
                        i_POWEROFF=C(1),  # active low
                        o_DATAOUT=data[bits],
                    )
            with m.If(bank_read == bank_number):
                m.d.comb += self.read_data.eq(Cat(lanes))
