"""Popcount against `int.bit_count`, to the cycle."""

from typing import Any

import cocotb
from cocotb.triggers import RisingEdge

from stepnet_hdl.blocks.popcount import Popcount
from stepnet_sim.benches.designs import POPCOUNT_WIDTHS
from stepnet_sim.benches.streams import IDLE_SHARES, Part, Pauses, seeded_random, start

RANDOM_WORDS = 200


class CountMonitor:
    """Writes down word and count of every cycle."""

    def __init__(self, popcount: Part) -> None:
        self.words: list[int] = []
        self.counts: list[int] = []
        cocotb.start_soon(self._run(popcount))

    async def _run(self, popcount: Part) -> None:
        while True:
            await RisingEdge(popcount.clk)
            self.words.append(int(popcount.bits.value))
            self.counts.append(int(popcount.count.value))


@cocotb.test()
@cocotb.parametrize(width=POPCOUNT_WIDTHS, idle_share=IDLE_SHARES)
async def every_count_comes_after_the_latency(dut: Any, width: int, idle_share: float) -> None:
    rng = seeded_random()
    pauses = Pauses(rng, idle_share)
    popcount = Part(dut, f"popcount_{width}")
    latency_cycles = Popcount(width).latency_cycles

    popcount.bits.value = 0
    await start(dut)
    for _ in range(latency_cycles):  # nothing in it is ever reset
        await RisingEdge(dut.clk)
    monitor = CountMonitor(popcount)
    one_hot = [1 << bit for bit in range(width)]
    one_cold = [~word & (1 << width) - 1 for word in one_hot]
    random_words = [rng.getrandbits(width) for _ in range(RANDOM_WORDS)]
    for word in [0, (1 << width) - 1, *one_hot, *one_cold, *random_words]:
        popcount.bits.value = word
        for _ in range(1 + pauses.length()):
            await RisingEdge(dut.clk)
    popcount.bits.value = 0
    for _ in range(latency_cycles + 2):
        await RisingEdge(dut.clk)

    expected = [word.bit_count() for word in monitor.words[:-latency_cycles]]
    assert len(expected) > RANDOM_WORDS
    assert monitor.counts[latency_cycles:] == expected
