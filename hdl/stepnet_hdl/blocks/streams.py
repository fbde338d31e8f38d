"""Layouts of streams that several rooms agree on."""

from amaranth.lib import data

PacketByte = data.StructLayout({"data": 8, "last": 1})
"""One byte of a packet; `last` marks the end of the packet."""
