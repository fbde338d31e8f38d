"""Keeps the digest of what a core's memories hold: IDENTITY says it, and COMMIT has to match it."""

from typing import Any

from amaranth.hdl import Module, Mux, ResetInserter, Signal
from amaranth.lib import wiring
from amaranth.lib.crc import Processor
from amaranth.lib.crc.catalog import CRC32_ISO_HDLC
from amaranth.lib.wiring import In, Out


class LoadedDigest(wiring.Component):
    """Computes a CRC-32 over all memory words that were loaded since the last `restart`. A byte is
    in the digest `latency_cycles` after it was taken.

    initial_digest: digest of a network that the memories hold at power-on; None if they hold none.
        It is the digest until the first `unload`, also over resets, because the memories outlast
        those too.
    """

    latency_cycles = 1
    """Cycles from taking a byte to a digest with that byte in it."""

    word_byte: Signal
    """8 bits, in: a byte of a memory word."""
    word_byte_taken: Signal
    """1 bit, in: `word_byte` goes into a memory in this cycle."""
    restart: Signal
    """1 bit, in: what was loaded so far counts no more, and the digest starts anew."""
    unload: Signal
    """1 bit, in: the memories are about to change."""
    byte_index: Signal
    """2 bits, in: which byte of the digest is wanted, counted from the lowest."""
    byte: Signal
    """8 bits, out: the byte of the digest that `byte_index` asks for in the same cycle."""
    untouched: Signal
    """1 bit, out: the memories hold the network that they held at power-on."""

    def __init__(self, initial_digest: int | None) -> None:
        self.initial_digest = initial_digest
        super().__init__(
            {
                "word_byte": In(8),
                "word_byte_taken": In(1),
                "restart": In(1),
                "unload": In(1),
                "byte_index": In(2),
                "byte": Out(8),
                "untouched": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        # Typed as Any because amaranth-stubs leave this module of Amaranth out.
        crc: Any = Processor(CRC32_ISO_HDLC(data_width=8))
        m.submodules.crc = ResetInserter(self.restart)(crc)
        m.d.comb += [crc.data.eq(self.word_byte), crc.valid.eq(self.word_byte_taken)]
        digest = crc.crc
        if self.initial_digest is not None:
            untouched = Signal(init=1, reset_less=True)
            m.d.comb += self.untouched.eq(untouched)
            digest = Mux(untouched, self.initial_digest, crc.crc)
            with m.If(self.unload):
                m.d.sync += untouched.eq(0)
        m.d.comb += self.byte.eq(digest.word_select(self.byte_index, 8))
        return m
