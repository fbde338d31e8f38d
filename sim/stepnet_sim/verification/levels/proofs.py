"""The level `proofs`: small blocks equal their formula for every input, and keep the stream rules.

Every proof is also made with the block broken in some way, and has to refuse that.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from amaranth.lib.wiring import Component

from stepnet.link.serial_line import MIN_DIVISOR
from stepnet_hdl.link import answers, cobs, endpoint, frames, packet_buffer, uart
from stepnet_sim.verification.combinational import paths_from_ready
from stepnet_sim.verification.formal import Proof, prove
from stepnet_sim.verification.harnesses.cobs import (
    DecodesEveryPacket,
    DecodesEveryString,
    DecodesFullBlocks,
    EncodesEveryPacket,
)
from stepnet_sim.verification.harnesses.crc import StartsAnew, TakesAByte
from stepnet_sim.verification.harnesses.datapath import DecidesANeuron
from stepnet_sim.verification.harnesses.popcount import CountsEveryWord
from stepnet_sim.verification.harnesses.streams import KeepsOffers
from stepnet_sim.verification.ladder import Outcome
from stepnet_sim.verification.mutants import Mutant

SMALLEST_BUFFER_BYTES = packet_buffer.BUFFER_BYTES[0]

STREAM_DEPTH = 3
ENDPOINT_DEPTH = 5
"""Cycles from the last byte of a header to the second cycle of what follows it."""

_POPCOUNT = "stepnet_hdl.blocks.popcount"
_DATAPATH = "stepnet_hdl.cores.engine.datapath"
_COBS = "stepnet_hdl.link.cobs"

_LOSES_THE_CARRY = Mutant(_POPCOUNT, "Cat(carry, high)", "Cat(C(0), high)")
_TOO_EARLY = Mutant(
    _POPCOUNT,
    "m.d.sync += count.eq(early)",
    "m.d.comb += count.eq(early)",
)
_MARGIN_WRAPS = Mutant(
    _DATAPATH,
    "opposites[neuron].eq(inverted[neuron] + thresholds[neuron])",
    "opposites[neuron].eq((inverted[neuron] + thresholds[neuron])[:-1].as_signed())",
)
_NO_CARRY_TO_NEGATE = Mutant(_DATAPATH, "Cat(adds, addend)", "Cat(C(1), addend)")
_SECOND_NEURON_SEES_THE_FIRST = Mutant(
    _DATAPATH,
    "self.weights.word_select(neuron, ",
    "self.weights.word_select(0, ",
)
_ZEROS_BETWEEN_BLOCKS_LOST = Mutant(_COBS, "~at_code | zero_is_due", "~at_code")
_NEVER_RESYNCHRONISES = Mutant(
    _COBS, "block_left.eq(Mux(closes, 0, ", "block_left.eq(Mux(closes & 0, 0, "
)
_NEVER_BROKEN = Mutant(_COBS, "token.broken.eq(~at_code)", "token.broken.eq(0)")
_FULL_BLOCK_GIVES_ZERO = Mutant(_COBS, "FULL_BLOCK_CODE = 0xFF", "FULL_BLOCK_CODE = 0x1FF")
_CODE_IS_ONE_MORE = Mutant(_COBS, "after_zero.eq(1), code.eq(1)]", "after_zero.eq(1), code.eq(2)]")
_NOTHING_COMES_AFTER_THE_LAST = Mutant(
    "stepnet_hdl.link.packet_buffer",
    "        nothing_read = ",
    "        from amaranth.hdl import Assert\n"
    "        m.d.comb += Assert(~last | (in_payload & (bytes_after == 0)), '')\n"
    "        nothing_read = ",
)
_A_BIT_IS_LEFT_OUT = Mutant(
    "amaranth.lib.crc", "if self._matrix_g[j][i]:", "if self._matrix_g[j][i] and i != j:"
)
_GOES_ON = Mutant(
    "amaranth.lib.crc",
    "source = Mux(self.start, self._initial_crc, crc_reg)",
    "source = crc_reg",
)


def _popcount(
    width: int, depth: int, *mutants: Mutant, in_halves: bool = False, quick: bool = False
) -> Proof:
    return Proof(
        f"popcount of {width} bits",
        "the sum of the bits" + (", in halves" if in_halves else ""),
        partial(CountsEveryWord, width, in_halves=in_halves),
        depth,
        unbounded=True,
        mutants=mutants,
        quick=quick,
    )


def _decision(
    simd: int, weight_bits: int, *mutants: Mutant, pe: int = 1, quick: bool = False
) -> Proof:
    kind = "match count" if weight_bits == 1 else f"{weight_bits}-bit weights"
    return Proof(
        f"datapath, SIMD {simd}, PE {pe}, {kind}",
        "sum >= threshold, by bit planes",
        partial(DecidesANeuron, simd, weight_bits, pe),
        weight_bits + 9,
        any_state=True,
        mutants=mutants,
        quick=quick,
    )


def _bad_connection(inner: str, outer: str, unless: str) -> str:
    """Source that connects two streams, but withdraws the offer `unless` something."""
    return (
        f"m.d.comb += [{outer}.p.eq({inner}.p), {inner}.ready.eq({outer}.ready), "
        f"{outer}.valid.eq({inner}.valid & {unless})]"
    )


@dataclass(frozen=True)
class StreamBlock:
    """A block with output streams: a fresh one, made through its module so that a mutant of that
    comes into effect; how it breaks their rules; and which of its streams have others."""

    name: str
    make: Callable[[], Component]
    mutant: Mutant
    depth: int = STREAM_DEPTH
    lemma: Mutant | None = None
    exempt: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Its name, and what is left out."""
        return f"{self.name} but its {', '.join(self.exempt)}" if self.exempt else self.name


STREAM_BLOCKS = (
    StreamBlock(
        "COBS decoder",
        lambda: cobs.CobsDecoder(),
        Mutant(_COBS, "~self.tokens.valid | self.tokens.ready", "1"),
    ),
    StreamBlock(
        "COBS encoder",
        lambda: cobs.CobsEncoder(),
        Mutant(
            _COBS,
            "self.bytes.valid.eq(1)",
            "self.bytes.valid.eq(self.packets.p.last)",
        ),
    ),
    StreamBlock(
        "packet buffer",
        lambda: packet_buffer.PacketBuffer(SMALLEST_BUFFER_BYTES),
        Mutant("stepnet_hdl.link.packet_buffer", "~byte_valid | byte_ready", "Value.cast(1)"),
    ),
    StreamBlock(
        "frame receiver",
        lambda: frames.FrameReceiver(SMALLEST_BUFFER_BYTES),
        Mutant(
            "stepnet_hdl.link.frames",
            "wiring.connect(m, buffer.packets, wiring.flipped(self.packets))",
            _bad_connection("buffer.packets", "self.packets", "self.bytes.valid"),
        ),
    ),
    StreamBlock(
        "frame transmitter",
        lambda: frames.FrameTransmitter(),
        Mutant(
            "stepnet_hdl.link.frames",
            "wiring.connect(m, encoder.bytes, wiring.flipped(self.bytes))",
            _bad_connection("encoder.bytes", "self.bytes", "self.packets.p.last"),
        ),
    ),
    StreamBlock(
        "UART receiver",
        lambda: uart.UartReceiver(MIN_DIVISOR),
        Mutant("stepnet_hdl.link.uart", "line & (~self.bytes.valid | self.bytes.ready)", "line"),
    ),
    StreamBlock(
        "answer writer",
        lambda: answers.AnswerWriter({}),
        Mutant(
            "stepnet_hdl.link.answers",
            "self.packets.valid.eq(1)",
            "self.packets.valid.eq(planned.last)",
        ),
    ),
    StreamBlock(
        "endpoint",
        lambda: endpoint.Endpoint(
            dict.fromkeys(endpoint.IDENTITY_CONSTANTS, 1), SMALLEST_BUFFER_BYTES
        ),
        Mutant(
            "stepnet_hdl.link.endpoint",
            "load.valid.eq(packets.valid & is_load)",
            "load.valid.eq(packets.valid & is_load & self.core.load_done)",
        ),
        depth=ENDPOINT_DEPTH,
        lemma=_NOTHING_COMES_AFTER_THE_LAST,
        # A preview of pixels comes as the wire gives them, valid for one cycle, and is aborted if
        # the core does not take it: see `stepnet_hdl.link.early_pixels`.
        exempt=("core.pixels",),
    ),
)


def _offers(block: StreamBlock) -> Proof:
    return Proof(
        f"{block}, offers stay until taken",
        "the stream rules",
        partial(KeepsOffers, block.make, block.exempt),
        block.depth,
        unbounded=True,
        mutants=(block.mutant,),
        lemma=block.lemma,
        quick=block.name in ("COBS decoder", "endpoint"),
    )


ALL = (
    _popcount(8, 5, _LOSES_THE_CARRY, quick=True),
    _popcount(16, 6, _LOSES_THE_CARRY, _TOO_EARLY),
    _popcount(23, 6, _LOSES_THE_CARRY),
    _popcount(64, 8, _LOSES_THE_CARRY, in_halves=True),
    _popcount(255, 9, _LOSES_THE_CARRY, in_halves=True),
    _decision(8, 1, _MARGIN_WRAPS, quick=True),
    _decision(8, 8, _MARGIN_WRAPS, _NO_CARRY_TO_NEGATE),
    _decision(24, 4, _NO_CARRY_TO_NEGATE),
    _decision(8, 3, _SECOND_NEURON_SEES_THE_FIRST, pe=2),
    *(
        Proof(
            f"COBS decoder, packets of 0 to {max_bytes} bytes",
            "decode(encode(packet)) = packet",
            partial(DecodesEveryPacket, max_bytes),
            2 * max_bytes + 4,
            any_state=True,
            mutants=mutants,
            quick=max_bytes == 2,
        )
        for max_bytes, mutants in (
            (2, (_NEVER_RESYNCHRONISES,)),
            (4, (_ZEROS_BETWEEN_BLOCKS_LOST, _NEVER_RESYNCHRONISES)),
        )
    ),
    Proof(
        "COBS decoder, any 5 bytes and a zero",
        "the definition of the code",
        partial(DecodesEveryString, 5),
        12,
        any_state=True,
        mutants=(_NEVER_BROKEN,),
    ),
    *(
        Proof(
            f"COBS decoder, {size} bytes other than zero",
            "the definition of the code",
            partial(DecodesFullBlocks, size),
            size + 5,
            mutants=(_FULL_BLOCK_GIVES_ZERO,) if size > DecodesFullBlocks.FULL_BLOCK else (),
        )
        for size in (253, 254, 255)
    ),
    Proof(
        "COBS encoder, packets of 1 and 2 bytes",
        "encode(packet)",
        partial(EncodesEveryPacket, 2),
        16,
        mutants=(_CODE_IS_ONE_MORE,),
    ),
    *(
        Proof(
            f"CRC-{bits}, a byte",
            "the polynomial, bit by bit",
            partial(TakesAByte, bits),
            bits + 1,
            any_state=True,
            mutants=(_A_BIT_IS_LEFT_OUT,),
            quick=bits == 16,
        )
        for bits in (16, 32)
    ),
    *(
        Proof(
            f"CRC-{bits}, a start",
            "the initial value",
            partial(StartsAnew, bits),
            3,
            any_state=True,
            mutants=(_GOES_ON,),
        )
        for bits in (16, 32)
    ),
    *map(_offers, STREAM_BLOCKS),
)
"""Every proof. The quick ones together stand for each kind of claim."""


def run(
    folder: Path, progress: Callable[[str], None], boards: Sequence[str] = ()
) -> Iterator[Outcome]:
    """Every proof with its mutants, then the paths from ready to valid."""
    del boards  # they are not about any one board
    for number, proof in enumerate(ALL):
        progress(f"Proving {proof.name}")
        yield checked(proof, folder / f"{number:02}")
    for block in STREAM_BLOCKS:
        progress(f"Looking for paths through the {block.name}")
        started_s = time.monotonic()
        found = paths_from_ready(block.make(), folder / block.name.replace(" ", "_"))
        paths = [name for name in found if name not in block.exempt]
        yield Outcome(
            f"{block}, valid and payload",
            "no path from ready",
            "every path",
            time.monotonic() - started_s,
            disagreement=f"ready reaches {', '.join(paths)}" if paths else "",
        )


def checked(proof: Proof, folder: Path) -> Outcome:
    """A proof that holds, and refuses its mutants."""
    verdict = prove(proof, folder / "sound")
    disagreement, seconds = verdict.detail, verdict.seconds
    for number, mutant in enumerate(proof.mutants if verdict.holds else ()):
        refusal = prove(proof, folder / f"mutant_{number}", mutant)
        seconds += refusal.seconds
        if refusal.holds:
            disagreement = f"the proof accepts a broken block, {mutant}"
    return Outcome(
        proof.name,
        proof.against,
        f"{proof.scope}; {len(proof.mutants)} mutants refused" if proof.mutants else proof.scope,
        seconds,
        proof.depth,
        disagreement,
    )
