"""What an FPGA family is: all that differs between architectures, in one object.

Each module of `stepnet_hdl.fpga.families` makes the object of one family, and
`stepnet_hdl.fpga.parts` lists the parts that belong to it. A new family is one such module.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, TypeAlias

from stepnet.errors import BuildError
from stepnet_hdl.fpga.pll import Oscillators, Pll

NetlistPass: TypeAlias = Callable[[Path], int]
"""Changes a netlist that Yosys wrote as JSON, in its file; returns how many cells it changed."""


@dataclass(frozen=True)
class RamKind:
    """A RAM of a family, as Yosys' library describes it.

    shapes: width of a word in bits, and how many words there are at that width; the widest last.
    byte_bits: the bits of a word that can be written apart; words of several banks share a RAM by
        that.
    cost: of one RAM, in the unit of `ram_mapping.MUX_COST`.
    reset_cost: of logic that resets the register behind what is read, where the RAM cannot.
    rams_at_widest: how many RAMs nextpnr makes of one at the widest shape.
    scales_with_width: a RAM of whose word only a part is used costs only that part.
    """

    shapes: tuple[tuple[int, int], ...]
    byte_bits: int
    cost: int
    reset_cost: int = 0
    rams_at_widest: int = 1
    scales_with_width: bool = False

    @property
    def widest_bits(self) -> int:
        """The bits of the widest word."""
        return self.shapes[-1][0]

    @property
    def bits(self) -> int:
        """All bits of one RAM."""
        return max(width * words for width, words in self.shapes)


@dataclass(frozen=True)
class ToolSource:
    """Where a program of the flow comes from.

    package: the package on PyPI that brings it as the script `script`.
    oldest: the oldest native version that will do instead. A packer does not tell its version.
    placer: the tool that a packer has to come with; None for a tool that is no packer.
    """

    package: str
    script: str
    oldest: tuple[int, int] = (0, 0)
    placer: str | None = None


@dataclass(frozen=True)
class CellNames:
    """What the tools call the cells of a family.

    luts: the cells in nextpnr's report of a routed chip that take the places of LUTs, and how many
        each; the first is the LUT itself.
    flip_flop, block_ram, single_port_ram: in nextpnr's report; None if it does not count them, or
        if there are none.
    synthesised_flip_flop: what the names of all kinds of flip-flops start with in Yosys' netlist.
    suffixes: regular expressions for what the tools add, after an underscore, to the name of the
        signal that a cell drives or feeds.
    counted_when_packed: nextpnr's counts are final as soon as it has packed the cells; otherwise
        when it has routed them.
    """

    luts: Mapping[str, int]
    block_ram: str
    synthesised_flip_flop: str
    suffixes: tuple[str, ...]
    counted_when_packed: bool = True
    flip_flop: str | None = None
    single_port_ram: str | None = None


@dataclass(frozen=True)
class LutCosts:
    """The LUTs that the pieces of a chip take in a family, fitted to built chips.

    chip: what every chip has: link, endpoint, sequencer, readout.
    word_bit: a bit of SIMD: intake, collector, and the mux in front of the activation memory.
    chain_bit, chain: a bit of the popcount's adders, and what every adder takes beside its bits.
    delay: a flip-flop without logic in front of it.
    sum_bit: a bit of a neuron's accumulator and comparison; `waiting_bit` of its turn in the
        readout.
    partial_bit: a bit of a neuron whose sum waits in memory between words.
    mux_bit: a bit of the muxes behind banked memories.
    maps: the address arithmetic of convolutions, and the window over an image.
    """

    chip: float
    word_bit: float
    chain_bit: float
    chain: float
    delay: float
    sum_bit: float
    waiting_bit: float
    partial_bit: float
    mux_bit: float
    maps: float


@dataclass(frozen=True)
class TableCosts:
    """The LUTs that the pieces of a chip with a network of look-up tables take in a family, fitted
    to built chips.

    registered: the pipeline has registers between its stages; where a flip-flop takes the place of
        a LUT, it has none.
    link: what every chip has: link and endpoint.
    pixel: a pixel that is kept until its image is there; `pixel_byte` for each byte with any.
    adder: of the counts.
    judged_bit: of a count that is compared; `chosen_bit` of one that is chosen.
    walk: a table walk, whatever its network.
    """

    registered: bool
    link: float
    pixel: float
    pixel_byte: float
    adder: float
    judged_bit: float
    chosen_bit: float
    walk: float


@dataclass(frozen=True)
class Speed:
    """The period of the slowest clock in parts of one kind, fitted to built chips.

    The period is `base_ns` for SIMD * PE of 64, and grows with every doubling of that.

    registered_ns: how much shorter it is with memories that are read through a second register.
    banks_ns: how much longer it is without, where a mux joins banks of weights.
    """

    base_ns: float
    doubling_ns: float
    registered_ns: float = 0
    banks_ns: float = 0


@dataclass(frozen=True, eq=False, kw_only=True)
class Family:
    """What parts of one architecture have in common; a family is equal to itself alone.

    name: as its maker calls it.
    part_attribute: the attribute in which Amaranth's platforms of this family name the part.
    adapted: makes a platform class of Amaranth's fit for the tools of today.
    tools: the programs that place, route and pack, by the names that Amaranth's plans have for
        them.
    synthesis_target: options that tell Yosys which architecture it is.
    synthesis_options: options of synthesis that help the gateware.
    large_part_options: options of place and route for parts of more than `LARGE_PART_LUTS`.
    cells: what the tools call its cells.
    block_ram, lut_ram: its RAMs; lut_ram is None where LUTs are no RAM.
    luts_per_lut_ram: LUTs that a LUT RAM takes.
    use_output_registers: the netlist pass that moves registers into the block RAMs that they
        follow; None where block RAMs have no such registers, or Yosys uses them by itself.
    solve_pll: gives the PLL that makes a frequency (second argument, in Hz) of another one (first
        argument); None if there is none that makes it exactly.
    oscillators: those inside its parts that can feed a PLL.
    packages_without_pll: parts and packages that have none.
    input_output: attributes of a pin of 3.3 V, as Amaranth names them; pull_up those that pull it
        up besides.
    lut_costs: what an engine's chip takes of it, piece by piece; `table_costs` a chip with a
        network of look-up tables.
    speeds: how fast its parts are, by patterns for their names, of which the first that fits
        counts.
    """

    name: str
    part_attribute: str
    adapted: Callable[[type[Any]], type[Any]] = lambda platform: platform
    tools: Mapping[str, ToolSource]
    synthesis_target: tuple[str, ...] = ()
    synthesis_options: tuple[str, ...] = ()
    large_part_options: tuple[str, ...] = ()
    cells: CellNames
    block_ram: RamKind
    lut_ram: RamKind | None = None
    luts_per_lut_ram: int = 0
    use_output_registers: NetlistPass | None = None
    solve_pll: Callable[[float, float], Pll | None]
    oscillators: Oscillators = field(default_factory=dict)
    packages_without_pll: frozenset[tuple[str, str]] = frozenset()
    input_output: Mapping[str, str]
    pull_up: Mapping[str, str | int]
    lut_costs: LutCosts
    table_costs: TableCosts
    speeds: Mapping[str, Speed]

    @property
    def output_registers(self) -> bool:
        """Whether block RAMs have a register behind what they read, and builds use it."""
        return self.use_output_registers is not None

    def speed_of(self, part: str) -> Speed:
        """The speed of a part, by its name; BuildError if none is known."""
        for pattern, speed in self.speeds.items():
            if fnmatchcase(part, pattern):
                return speed
        raise BuildError(
            f"There is no estimate for the {part}; choose a part whose name is one of "
            f"{', '.join(self.speeds)}."
        )


LARGE_PART_LUTS = 50_000
"""A part with more LUTs than that is placed and routed with `Family.large_part_options`."""
