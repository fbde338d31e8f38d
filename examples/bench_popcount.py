"""Does the popcount count? Its answer is compared with Python's, for every word of eight bits.

stepnet verify --bench examples/bench_popcount.py --waves
"""

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles

from stepnet.cores.engine.shape import popcount_latency_cycles
from stepnet_hdl.blocks.popcount import Popcount


def component():
    """Make what is tested; in the test it is `dut`."""
    return Popcount(8)


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def counts_the_ones_of_every_word(dut):
    """Give a word, wait until its count is there, compare."""
    Clock(dut.clk, 10, unit="ns").start()
    for word in range(256):
        dut.bits.value = word
        await ClockCycles(dut.clk, popcount_latency_cycles(8) + 1)
        assert dut.count.value == word.bit_count(), f"the ones of {word:08b}"
