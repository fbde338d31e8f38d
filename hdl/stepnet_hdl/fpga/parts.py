"""What FPGA parts have: LUTs and memories, from their data sheets."""

from __future__ import annotations

from dataclasses import dataclass

SPRAM_WORDS = 16384


SPRAM_BITS = 16
"""Depth and width of the UP5K's SB_SPRAM256KA (Lattice FPGA-TN-02022)."""

ICE40_BLOCK_RAM_BITS = 4096


ECP5_BLOCK_RAM_BITS = GOWIN_BLOCK_RAM_BITS = 18 * 1024


@dataclass(frozen=True)
class Fpga:
    """What a part has.

    luts: of four inputs.
    block_rams, block_ram_bits: how many, and the bits of each.
    single_port_bits: of memory with one port, in all.
    """

    luts: int
    block_rams: int
    block_ram_bits: int
    single_port_bits: int = 0

    @property
    def memory_bits(self) -> int:
        """Bits of all memory."""
        return self.block_rams * self.block_ram_bits + self.single_port_bits


SMALL_PARTS = {
    "iCE40HX1K": Fpga(1_280, 16, ICE40_BLOCK_RAM_BITS),
    "iCE40LP1K": Fpga(1_280, 16, ICE40_BLOCK_RAM_BITS),
    "GW1N-1": Fpga(1_152, 4, GOWIN_BLOCK_RAM_BITS),
}
"""Parts of boards with a UART that are too small for any engine and its link. Sizes: Lattice
FPGA-DS-02029, Gowin DS100."""
