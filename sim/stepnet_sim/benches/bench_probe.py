import cocotb
from cocotb.clock import Clock
from cocotb.triggers import RisingEdge, FallingEdge
from cocotb.utils import get_sim_time

@cocotb.test()
async def probe(dut):
    Clock(dut.clk, 10, unit="ns").start()
    dut.rst.value = 1
    b, c = dut.width_8__bits, dut.width_8__count
    b.value = 0
    for _ in range(4):
        await RisingEdge(dut.clk)
    dut.rst.value = 0
    for n in range(12):
        b.value = (1 << (n % 9)) - 1
        await RisingEdge(dut.clk)
        print("cycle", get_sim_time("ns"), n % 9, c.value.to_unsigned())
