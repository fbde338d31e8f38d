"""The other end of an SPI line in Amaranth's simulator: a controller with a clock of its own."""

import random
from typing import Any

from streams import CLOCK_PERIOD_S


class SpiController:
    """Clocks bytes through an SPI peripheral that has ports `sck`, `selected`, `copi` and `cipo`.

    bit_cycles: how long a bit lasts, in cycles of the chip's clock; any positive number.
    jitter: by how much of a half bit each edge comes late at most.
    heard: what the peripheral said in bytes that came to their end.
    """

    def __init__(self, dut: Any, bit_cycles: float, *, jitter: float = 0.0, seed: int = 0) -> None:
        self._dut = dut
        self._half_s = bit_cycles * CLOCK_PERIOD_S / 2
        self._jitter = jitter
        self._random = random.Random(seed)
        self._late_s = 0.0
        self.heard: list[int] = []

    async def transfer(self, ctx: Any, data: bytes, *, bits_of_last: int = 8) -> None:
        """One transaction, of which the last byte may end after some of its bits."""
        await self.selected(ctx, 1)
        for number, byte in enumerate(data):
            await self.byte(ctx, byte, 8 if number < len(data) - 1 else bits_of_last)
        await self.selected(ctx, 0)

    async def selected(self, ctx: Any, level: int) -> None:
        ctx.set(self._dut.selected, level)
        await self._half(ctx)

    async def byte(self, ctx: Any, byte: int, bits: int = 8) -> None:
        """`bits` bits of a byte; the line's clock is low before and after them."""
        heard = 0
        for bit in range(7, 7 - bits, -1):
            ctx.set(self._dut.copi, byte >> bit & 1)
            await self._half(ctx)
            heard = heard << 1 | ctx.get(self._dut.cipo)  # what is there just before the edge
            ctx.set(self._dut.sck, 1)
            await self._half(ctx)
            ctx.set(self._dut.sck, 0)
        if bits == 8:
            self.heard.append(heard)

    async def pause(self, ctx: Any, cycles: float) -> None:
        await ctx.delay(cycles * CLOCK_PERIOD_S)

    async def _half(self, ctx: Any) -> None:
        before_s, self._late_s = self._late_s, self._jitter * self._half_s * self._random.random()
        await ctx.delay(self._half_s + self._late_s - before_s)


def said(heard: list[int]) -> bytes:
    """What was said beside idle bytes, which stand nowhere else than between frames."""
    return bytes(heard).strip(b"\0")
