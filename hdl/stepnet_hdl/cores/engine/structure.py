"""Counts what an engine is made of, by its shape: the quantities that a chip's size grows with."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from stepnet.cores.engine.shape import MOST_MAP_SIDE, EngineShape, popcount_latency_cycles
from stepnet_hdl.cores.engine.datapath import step_layout
from stepnet_hdl.cores.engine.pixel_window import MOST_STRIDE
from stepnet_hdl.cores.engine.sequencer import Region
from stepnet_hdl.fpga.family import Family
from stepnet_hdl.fpga.parts import SPRAM_BITS, SPRAM_WORDS
from stepnet_hdl.fpga.ram_mapping import RamMapping, map_ram


@dataclass(frozen=True)
class PopcountStructure:
    """What a `popcount.Popcount` is made of, with the XNOR in front of it.

    leaf_luts: LUTs of the full adders over three bits, and one per bit to match it.
    adder_bits: bits of all carry chains above the leaves, the one below bit 0 among them.
    adders: how many carry chains there are.
    delays: flip-flops without logic in front of them.
    flip_flops: all flip-flops.
    """

    leaf_luts: int
    adder_bits: int
    adders: int
    delays: int
    flip_flops: int


@cache
def popcount_structure(width: int) -> PopcountStructure:
    """Return what a popcount over `width` bits is made of."""
    tree = _tree(width, popcount_latency_cycles(width))
    return PopcountStructure(
        leaf_luts=tree.leaf_luts + width,
        adder_bits=tree.adder_bits,
        adders=tree.adders,
        delays=tree.delays,
        flip_flops=tree.flip_flops + width,
    )


@cache
def _tree(width: int, latency_cycles: int) -> PopcountStructure:
    """Return the structure of the tree that `popcount._count` makes."""
    count_bits = width.bit_length()
    if latency_cycles == 1:
        luts = min(width, 2) if width > 1 else 0
        return PopcountStructure(luts, 0, 0, width == 1, count_bits)
    if width <= 3:
        early = _tree(width, latency_cycles - 1)
        return PopcountStructure(
            early.leaf_luts, 0, 0, early.delays + count_bits, early.flip_flops + count_bits
        )
    half = width // 2
    halves = [_tree(half, latency_cycles - 1), _tree(width - half - 1, latency_cycles - 1)]
    carry_delays = latency_cycles - 1
    return PopcountStructure(
        leaf_luts=sum(part.leaf_luts for part in halves),
        adder_bits=sum(part.adder_bits for part in halves) + half.bit_length() + 1,
        adders=sum(part.adders for part in halves) + 1,
        delays=sum(part.delays for part in halves) + carry_delays,
        flip_flops=sum(part.flip_flops for part in halves) + carry_delays + count_bits,
    )


@dataclass(frozen=True)
class Memory:
    """A memory of `lanes` equal parts side by side, each mapped as `ram`.

    width: bits of a lane.
    read_cycles: cycles from an address to its word, as in `ram.Ram`.
    output_registers: the family's block RAMs have a register behind what they read.
    """

    width: int
    lanes: int
    ram: RamMapping
    read_cycles: int
    output_registers: bool

    @property
    def block_rams(self) -> int:
        """Block RAMs of all lanes."""
        return self.lanes * self.ram.block_rams

    @property
    def lut_rams(self) -> int:
        """LUT RAMs of all lanes."""
        return self.lanes * self.ram.lut_rams

    @property
    def mux_bits(self) -> int:
        """2:1 muxes of one bit that join the banks."""
        return self.lanes * self.width * (self.ram.banks - 1)

    @property
    def register_bits(self) -> int:
        """Flip-flops behind the words that are read, where no block RAM has them."""
        if self.output_registers and self.ram.block_rams and self.ram.banks == 1:
            return 0
        # A LUT RAM has none at all.
        registers = self.read_cycles - (0 if self.ram.lut_rams else 1)
        return self.lanes * self.width * registers

    @property
    def lone_register_bits(self) -> int:
        """How many of the `register_bits` have no mux in front of them."""
        return self.register_bits if self.ram.banks == 1 else 0


def memories(
    shape: EngineShape, family: Family, buffer_bytes: int, *, has_single_port: bool
) -> list[Memory]:
    """Return the memories of a chip whose size is free, which single-port RAMs are not.

    buffer_bytes: size of the receive buffer.
    has_single_port: the part has RAMs with a single port for weights of that kind.
    """

    def memory(width: int, lanes: int, depth: int, read_cycles: int = 1) -> Memory:
        ram = map_ram(family, width, depth)
        return Memory(width, lanes, ram, read_cycles, family.output_registers)

    activation_words = len(Region) << (shape.region_words - 1).bit_length()
    found = [
        memory(8, 1, buffer_bytes),
        memory(shape.simd, shape.map_windows, activation_words, shape.read_cycles),
        memory(
            shape.parameter_bits, shape.parameter_lanes, shape.parameter_words, shape.read_cycles
        ),
    ]
    if shape.map_words:
        found.append(memory(shape.max_kernel + MOST_STRIDE - 1, 1, MOST_MAP_SIDE))
    if shape.overlap_neurons:
        found += [
            memory(len(lanes) * shape.max_inputs.bit_length(), 1, shape.overlap_groups)
            for lanes in shape.neighbourhoods
        ]
    if shape.weight_memory != "single_port" or not has_single_port:
        found.append(memory(shape.simd, shape.pe, shape.weight_words, shape.read_cycles))
    return found


def skew_flip_flops(shape: EngineShape) -> int:
    """Return how many flip-flops `EngineShape.neighbourhoods` take to pass on what the next needs,
    and to wait for the last."""
    if not shape.skew_cycles:
        return 0
    address_bits = (shape.weight_words - 1).bit_length()
    written = shape.simd + address_bits + shape.weight_lane_bits + 1
    read = shape.simd + address_bits + step_layout(shape).size
    waiting = sum(
        len(lanes) * shape.sum_bits * (shape.skew_cycles - number)
        for number, lanes in enumerate(shape.neighbourhoods)
    )
    kinds_of_weights = len(shape.neighbourhoods)
    return (
        len(shape.neighbourhoods) * written
        + shape.pe  # the lanes' write enables
        + shape.skew_cycles * read
        + waiting
        + kinds_of_weights
    )


def single_port_rams(shape: EngineShape) -> int:
    """Return how many RAMs with a single port the weights take on a part that has them."""
    if shape.weight_memory != "single_port":
        return 0
    columns, banks = -(-shape.simd // SPRAM_BITS), -(-shape.weight_words // SPRAM_WORDS)
    return shape.pe * columns * banks
