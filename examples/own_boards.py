"""Boards that amaranth-boards does not have.

    PYTHONPATH=examples stepnet build --board own_boards:HandMade

PYTHONPATH names the folder of this file, so that Python finds it.
"""

from amaranth.build import Attrs, Clock, Pins, Resource
from amaranth.vendor import LatticeICE40Platform
from amaranth_boards.ice40_up5k_b_evn import ICE40UP5KBEVNPlatform
from amaranth_boards.resources import LEDResources, UARTResource

LEVELS = Attrs(IO_STANDARD="SB_LVCMOS")


class Up5kWithPmodUart(ICE40UP5KBEVNPlatform):
    """A board without a UART of its own: a USB adapter is plugged into its PMOD, the adapter's TX
    at pin 8 and its RX at pin 7."""

    resources = (
        *ICE40UP5KBEVNPlatform.resources,
        UARTResource(0, rx="8", tx="7", conn=("pmod", 0), attrs=LEVELS),
    )


class HandMade(LatticeICE40Platform):
    """A board from scratch: part, clock, and the pins of the UART; a light if there is one."""

    device = "iCE40UP5K"
    package = "SG48"
    default_clk = "clk12"
    resources = (
        Resource("clk12", 0, Pins("35", dir="i"), Clock(12e6), LEVELS),
        UARTResource(0, rx="6", tx="9", attrs=LEVELS),
        *LEDResources(pins="11", invert=True, attrs=LEVELS),
    )
    connectors = ()
