"""Boards that people own and amaranth-boards lacks, as Amaranth's platforms.

Each has what a chip of Stepnet needs: its clock, its serial pins and a light.
"""

from __future__ import annotations

from typing import Any

from amaranth.build import Attrs, Clock, Pins, Resource
from amaranth.vendor import GowinPlatform, LatticeECP5Platform, LatticeICE40Platform
from amaranth_boards import tinyfpga_bx
from amaranth_boards.resources import LEDResources, UARTResource

LVCMOS33 = Attrs(IO_TYPE="LVCMOS33")
SB_LVCMOS = Attrs(IO_STANDARD="SB_LVCMOS")


class ColorlightI9Platform(LatticeECP5Platform):
    """Colorlight i9 v7.2 in the extension board of Muse Lab, whose USB has the serial line.

    Pins: litex-boards, platforms/colorlight_i5.py.
    """

    device = "LFE5U-45F"
    package = "BG381"
    speed = "6"
    default_clk = "clk25"
    resources = (
        Resource("clk25", 0, Pins("P3", dir="i"), Clock(25e6), LVCMOS33),
        UARTResource(0, rx="H18", tx="J17", attrs=LVCMOS33),
        *LEDResources(pins="L2", invert=True, attrs=LVCMOS33),
    )
    connectors = ()

    def toolchain_prepare(self, fragment: Any, name: str, **overrides: Any) -> Any:
        """Program the board as Amaranth does it, with a compressed bitstream."""
        return super().toolchain_prepare(
            fragment, name, **{"ecppack_opts": "--compress", **overrides}
        )


class TangNano20kPlatform(GowinPlatform):
    """Sipeed Tang Nano 20K.

    Pins: litex-boards, platforms/sipeed_tang_nano_20k.py.
    """

    part = "GW2AR-LV18QN88C8/I7"
    family = "GW2AR-18C"
    default_clk = "clk27"
    resources = (
        Resource("clk27", 0, Pins("4", dir="i"), Clock(27e6), LVCMOS33),
        UARTResource(0, rx="70", tx="69", attrs=Attrs(PULL_MODE="UP", IO_TYPE="LVCMOS33")),
        *LEDResources(pins="15 16 17 18 19 20", invert=True, attrs=LVCMOS33),
    )
    connectors = ()


class TangPrimer25kPlatform(GowinPlatform):
    """Sipeed Tang Primer 25K in its dock, whose USB has the serial line.

    Pins: litex-boards, platforms/sipeed_tang_primer_25k.py.
    """

    part = "GW5A-LV25MG121NC1/I0"
    family = "GW5A-25A"
    default_clk = "clk50"
    resources = (
        Resource("clk50", 0, Pins("E2", dir="i"), Clock(50e6), LVCMOS33),
        UARTResource(0, rx="B3", tx="C3", attrs=Attrs(PULL_MODE="UP", IO_TYPE="LVCMOS33")),
    )
    connectors = ()

    def toolchain_prepare(self, fragment: Any, name: str, **overrides: Any) -> Any:
        """Prepare what Amaranth does, and free the clock's pin, which configures the part too."""
        return super().toolchain_prepare(
            fragment, name, **{"gowin_pack_opts": "--cpu_as_gpio", **overrides}
        )


class Upduino_3_0Platform(LatticeICE40Platform):  # noqa: N801 (the board's name comes of it)
    """tinyVision UPduino 3.0, with its crystal: the jumper OSC (R16) has to be bridged.

    Its USB chip reaches the FPGA on pins of the flash memory alone, which has to stay unselected,
    as it does while nobody drives its pin. Pins: tinyVision's UPduino-v3.0, RTL/common/upduino.pcf.
    """

    device = "iCE40UP5K"
    package = "SG48"
    default_clk = "clk12"
    resources = (
        Resource("clk12", 0, Pins("20", dir="i"), Clock(12e6), SB_LVCMOS),
        UARTResource(0, rx="15", tx="14", attrs=SB_LVCMOS),
        *LEDResources(pins="39", invert=True, attrs=SB_LVCMOS),
    )
    connectors = ()


class Upduino_3_1Platform(Upduino_3_0Platform):  # noqa: N801
    """tinyVision UPduino 3.1, which has the pins of the 3.0."""


class TinyFPGABXPlatform(tinyfpga_bx.TinyFPGABXPlatform):
    """TinyFPGA BX with a USB adapter for the serial line: its TX at pin 2, its RX at pin 1."""

    resources = (
        *tinyfpga_bx.TinyFPGABXPlatform.resources,
        UARTResource(0, rx="2", tx="1", conn=("gpio", 0), attrs=SB_LVCMOS),
    )
