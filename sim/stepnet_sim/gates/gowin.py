"""Gowin chips as Verilog: models of the cells that synthesis maps to.

No tool turns a Gowin bitstream back into all of its gates: gowin_unpack leaves out the block RAMs.
"""

from __future__ import annotations

from pathlib import Path

from stepnet_sim.gates.cells import without, yosys_models

BLOCK_RAM_MODEL = Path(__file__).with_name("bsram.v")


def cell_models() -> str:
    """Verilog of the cells of every Gowin family, in one text: Yosys' own, and the block RAMs that
    it lacks."""
    return without(yosys_models("gowin/cells_sim.v"), "SP", "SPX9") + BLOCK_RAM_MODEL.read_text()
