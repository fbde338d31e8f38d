"""A SoC of LiteX that reads handwriting: the exported core as a peripheral with four registers.

    pip install litex migen
    stepnet export digits --to verilog --output core --simd 32 --pe 2
    python examples/litex_soc.py core/stepnet_digits.v soc

writes `soc/litex_soc.v`, and `soc/csr.json` with the addresses of the registers. The SoC has no
CPU: its bus is led outside, where `litex_soc_bench.py` reads and writes it in a simulation.

`HandwritingReader` is what goes into a SoC of your own. Its firmware reads an image like this:

    reader_start_write(1);
    for (int i = 0; i < 98; i++) {
        while (!(reader_status_read() & 1)) {}
        reader_pixels_write(image[i]);
    }
    while (!(reader_status_read() & 2)) {}
    char character = reader_code_read();
"""

# LiteX and Migen make attributes that no type says.
# pyright: reportAttributeAccessIssue=false, reportOperatorIssue=false, reportArgumentType=false

import sys
from pathlib import Path

from litex.build.generic_platform import GenericPlatform, Pins
from litex.build.io import CRG
from litex.gen import LiteXModule
from litex.soc.integration import export
from litex.soc.integration.soc_core import SoCMini
from litex.soc.interconnect import wishbone
from litex.soc.interconnect.csr import CSRField, CSRStatus, CSRStorage
from migen import ClockSignal, If, Instance, ResetSignal, Signal

CLOCK_HZ = 50_000_000

CANCEL_CYCLES = 3
"""How long `cancel` is held: two cycles after it begins, the images before give no reading."""


class HandwritingReader(LiteXModule):
    """A core that `stepnet export --to verilog` wrote, behind registers.

    platform: gets the core's file to build.
    core: the path of NAME.v, which has the module NAME.
    """

    def __init__(self, platform: GenericPlatform, core: Path) -> None:
        self.start = CSRStorage(1, description="Written: forget what has come, begin an image.")
        self.pixels = CSRStorage(8, description="Written: eight pixels, the first in bit 0.")
        self.status = CSRStatus(
            fields=[
                CSRField("ready", 1, description="The next eight pixels may be written."),
                CSRField("done", 1, description="`code` is that of the image since `start`."),
            ]
        )
        self.code = CSRStatus(8, description="The character code.")

        # `re` of a register is 1 for one cycle after it was written.
        offered = Signal()
        taken = Signal()
        cancelling = Signal(max=CANCEL_CYCLES + 1)
        reading_valid = Signal()
        reading_code = Signal(8)
        self.comb += self.status.fields.ready.eq(~offered & (cancelling == 0))
        self.sync += [
            If(taken, offered.eq(0)),
            If(self.pixels.re, offered.eq(1)),
            If(
                reading_valid,
                self.status.fields.done.eq(1),
                self.code.status.eq(reading_code),
            ),
            If(
                self.start.re,
                cancelling.eq(CANCEL_CYCLES),
            ).Elif(
                cancelling != 0,
                cancelling.eq(cancelling - 1),
                offered.eq(0),
                self.status.fields.done.eq(0),
            ),
        ]
        self.specials += Instance(
            core.stem,
            i_clk=ClockSignal("sys"),
            i_rst=ResetSignal("sys"),
            i_pixel_data=self.pixels.storage,
            i_pixel_valid=offered,
            o_pixel_ready=taken,
            i_cancel=cancelling != 0,
            o_reading_valid=reading_valid,
            i_reading_ready=1,
            o_reading_code=reading_code,
            # Left open: reading_margin, reading_cycles, character.
        )
        platform.add_source(str(core))


class HandwritingSoC(SoCMini):
    """The reader on a Wishbone bus, which is led outside as `wb`."""

    def __init__(self, platform: GenericPlatform, core: Path) -> None:
        super().__init__(platform, CLOCK_HZ)
        self.crg = CRG(platform.request("clk"), platform.request("rst"))
        self.reader = HandwritingReader(platform, core)
        bus = wishbone.Interface()
        platform.add_extension(bus.get_ios("wb"))
        self.comb += bus.connect_to_pads(platform.request("wb"), mode="slave")
        self.bus.add_master("outside", bus)


def write_soc(core: Path, folder: Path) -> None:
    """Write the SoC around a core into a folder."""
    platform = GenericPlatform("simulated", [("clk", 0, Pins(1)), ("rst", 0, Pins(1))])
    soc = HandwritingSoC(platform, core)
    soc.finalize()
    folder.mkdir(parents=True, exist_ok=True)
    platform.get_verilog(soc, name="litex_soc").write(str(folder / "litex_soc.v"))
    (folder / "csr.json").write_text(export.get_csr_json(soc.csr_regions, soc.constants))


if __name__ == "__main__":
    write_soc(Path(sys.argv[1]), Path(sys.argv[2]))
