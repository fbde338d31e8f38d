"""Simulates the SoC that `litex_soc.py` wrote, in Icarus Verilog, and reads three images with it.

    python examples/litex_soc_bench.py core/stepnet_digits.v soc

What it does on the SoC's bus is what firmware does, register by register.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.triggers import RisingEdge
from cocotb_tools.check_results import get_results
from cocotb_tools.runner import get_runner
from PIL import Image

from stepnet.networks import reference
from stepnet.networks.shipped import load_network
from stepnet.samples import sample_pictures

READY, DONE = 1, 2
REGISTERS = "STEPNET_REGISTERS"
"""The variable that names csr.json to the simulation."""


class Bus:
    """Reads and writes registers over Wishbone, by the names that csr.json has for them."""

    def __init__(self, dut: Any) -> None:
        self.dut = dut
        self.registers = json.loads(Path(os.environ[REGISTERS]).read_text())["csr_registers"]

    async def write(self, name: str, value: int) -> None:
        """Write a register."""
        self.dut.wb_dat_w.value = value
        await self._transfer(name, write=1)

    async def read(self, name: str) -> int:
        """Read a register."""
        return await self._transfer(name, write=0)

    async def _transfer(self, name: str, write: int) -> int:
        self.dut.wb_adr.value = self.registers[name]["addr"] // 4
        self.dut.wb_sel.value = 0xF
        self.dut.wb_we.value = write
        self.dut.wb_cyc.value = self.dut.wb_stb.value = 1
        await RisingEdge(self.dut.clk)
        while not self.dut.wb_ack.value:
            await RisingEdge(self.dut.clk)
        value = self.dut.wb_dat_r.value
        self.dut.wb_cyc.value = self.dut.wb_stb.value = 0
        await RisingEdge(self.dut.clk)
        return 0 if write else value.to_unsigned()


async def send(bus: Bus, packed: bytes) -> None:
    """Write the bytes of an image, or the first of them."""
    for byte in packed:
        while not await bus.read("reader_status") & READY:
            pass
        await bus.write("reader_pixels", byte)


@cocotb.test(timeout_time=10, timeout_unit="ms")
async def it_reads_images(dut: Any) -> None:
    """The character codes are those of the reference, also after half an image was given up."""
    Clock(dut.clk, 20, unit="ns").start()
    dut.wb_cyc.value = dut.wb_stb.value = 0
    dut.rst.value = 1
    for _ in range(4):
        await RisingEdge(dut.clk)
    dut.rst.value = 0
    bus = Bus(dut)
    network = load_network("digits")
    for path, _ in sample_pictures()[::7]:
        image = np.asarray(Image.open(path))[None]
        packed = np.packbits(reference.binarise(network, image), bitorder="little").tobytes()
        await bus.write("reader_start", 1)
        await send(bus, packed[:40])
        await bus.write("reader_start", 1)
        await send(bus, packed)
        while not await bus.read("reader_status") & DONE:
            pass
        code = await bus.read("reader_code")
        dut._log.info(f"{path.name}: {chr(code)}")
        assert code == reference.infer(network, image)[0]


def simulate(core: Path, folder: Path) -> int:
    """Run the bench; returns how many of its tests failed."""
    runner = get_runner("icarus")
    runner.build(
        sources=[core, folder / "litex_soc.v"],
        hdl_toplevel="litex_soc",
        build_dir=folder / "simulation",
        timescale=("1ns", "1ps"),
    )
    results = runner.test(
        hdl_toplevel="litex_soc",
        test_module="litex_soc_bench",
        build_dir=folder / "simulation",
        extra_env={
            REGISTERS: str((folder / "csr.json").absolute()),
            "PYTHONPATH": str(Path(__file__).parent),
        },
    )
    return get_results(results)[1]


if __name__ == "__main__":
    sys.exit(simulate(Path(sys.argv[1]), Path(sys.argv[2])))
