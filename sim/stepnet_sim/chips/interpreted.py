"""A chip in Amaranth's own simulator: slow, but it needs nothing beside Python.

The virtual board is one where there is no C++ compiler.
"""

from __future__ import annotations

from typing import Any

from amaranth.sim import Simulator

from stepnet_hdl.chip.chip import Chip
from stepnet_sim.chips.design import Design

PERIOD_FS = 1_000_000
"""How long a cycle of the simulated clock lasts; any value does."""


class InterpretedChip:
    """A running chip with the methods of `VerilatedChip`, driven at its byte streams."""

    def __init__(self, design: Design) -> None:
        component = design.component()
        if not isinstance(component, Chip):
            raise TypeError("Amaranth's simulator is driven at the byte stream only.")
        self._chip = component
        self._input = bytearray()
        self._output = bytearray()
        self._simulator = Simulator(component)
        self._simulator.add_clock(PERIOD_FS * 1e-15)
        self._simulator.add_testbench(self._drive, background=True)
        self.cycles = 0
        self.character = 0

    async def _drive(self, ctx: Any) -> None:
        chip = self._chip
        ctx.set(chip.tx.ready, 1)
        while True:
            offered = bool(self._input)  # more may come while this cycle passes
            ctx.set(chip.rx.valid, offered)
            if offered:
                ctx.set(chip.rx.payload, self._input[0])
            _, _, taken, given, byte, self.character = await ctx.tick().sample(
                chip.rx.ready, chip.tx.valid, chip.tx.payload, chip.character
            )
            if offered and taken:
                del self._input[0]
            if given:
                self._output.append(byte)

    def run(self, pending: bytearray, max_cycles: int) -> bytes:
        """Clock the chip until it completes a frame, at most `max_cycles`; returns what it sent.

        Bytes that the chip takes are removed from the front of `pending`.
        """
        self._input = pending
        for _ in range(max_cycles):
            self.cycles += 1
            self._simulator.run_until(self.cycles * PERIOD_FS * 1e-15)
            if self._output.endswith(b"\0"):
                break
        output = bytes(self._output)
        self._output.clear()
        return output

    def close(self) -> None:
        """End the simulation."""
