"""The level `proofs`: small blocks equal their formula for every input, and keep the stream rules.

Every proof is also made with the block broken in some way, and has to refuse that.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path

from amaranth.lib import crc  # pyright: ignore[reportAttributeAccessIssue] - not in the stubs
from amaranth.lib.wiring import Component

from stepnet.link.serial_line import MAX_BAUD_ERROR, MIN_DIVISOR
from stepnet.networks.spiking import LOWEST_FLOOR
from stepnet_hdl.blocks import parallel_counter, popcount
from stepnet_hdl.cores.engine import datapath, map_walk, pixel_window
from stepnet_hdl.cores.mac import accumulators, choice, largest_sum, requantiser, sigmoid
from stepnet_hdl.cores.pipeline import largest_count, table_layer
from stepnet_hdl.cores.spiking import potentials
from stepnet_hdl.link import answers, cobs, coded_images, endpoint, frames, packet_buffer, uart
from stepnet_sim.verification import broken_blocks
from stepnet_sim.verification.combinational import paths_from_ready
from stepnet_sim.verification.formal import Proof, prove
from stepnet_sim.verification.harnesses.cobs import (
    DecodesEveryPacket,
    DecodesEveryString,
    DecodesFullBlocks,
    EncodesEveryPacket,
)
from stepnet_sim.verification.harnesses.coded_images import UndoesEveryImage
from stepnet_sim.verification.harnesses.crc import StartsAnew, TakesAByte
from stepnet_sim.verification.harnesses.datapath import (
    DecidesANeuron,
    EvaluatesTwoPositions,
    PoolsOverWindows,
)
from stepnet_sim.verification.harnesses.mac import (
    AddsALaneUp,
    ChoosesANumber,
    FindsTheLargestSum,
    LooksEverySumUp,
    RequantisesEverySum,
)
from stepnet_sim.verification.harnesses.map_walk import WalksOverEveryMap
from stepnet_sim.verification.harnesses.pipeline import (
    CountsWithAdders,
    FindsTheLargest,
    LooksEveryTableUp,
)
from stepnet_sim.verification.harnesses.pixel_window import GathersEveryWindow
from stepnet_sim.verification.harnesses.popcount import CountsEveryWord
from stepnet_sim.verification.harnesses.spiking import AGAIN, UpdatesANeuron
from stepnet_sim.verification.harnesses.streams import KeepsOffers
from stepnet_sim.verification.harnesses.uart import ReceivesEveryByte
from stepnet_sim.verification.ladder import Outcome
from stepnet_sim.verification.mutants import Mutant

SMALLEST_BUFFER_BYTES = packet_buffer.BUFFER_BYTES[0]

UART_DIVISORS = (Fraction(MIN_DIVISOR), Fraction(7, 2), Fraction(4))
"""The fewest cycles to a bit, those of an iCEBreaker, and the fewest whole ones beyond."""

STREAM_DEPTH = 3
ENDPOINT_DEPTH = 5
"""Cycles from the last byte of a header to the second cycle of what follows it."""

_LOSES_THE_CARRY = Mutant(popcount, broken_blocks.LosesTheCarry)
_MARGIN_WRAPS = Mutant(datapath, broken_blocks.MarginWraps)
_NEGATES_WITHOUT_CARRY = Mutant(datapath, broken_blocks.NegatesWithoutCarry)
_FORGETS_WHAT_IT_ADDS = Mutant(potentials, broken_blocks.ForgetsWhatItAdds)
_LEAKS_NOTHING = Mutant(potentials, broken_blocks.LeaksNothing)
_ZERO_AFTER_FULL_BLOCK = Mutant(cobs, broken_blocks.ZeroAfterFullBlock)
_NEVER_RESYNCHRONISES = Mutant(cobs, broken_blocks.NeverResynchronises)


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


def _neuron(
    decay_shift: int | None, reset: int | None, floor: int, weight_bits: int, *, quick: bool = False
) -> Proof:
    decay = "no decay" if decay_shift is None else f"decay 2^-{decay_shift}"
    after = "less its threshold" if reset is None else f"reset to {reset}"
    mutants = [_FORGETS_WHAT_IT_ADDS] + ([] if decay_shift is None else [_LEAKS_NOTHING])
    return Proof(
        f"spiking neuron, {weight_bits}-bit weights, {decay}, {after}",
        "the update of its potential",
        partial(UpdatesANeuron, decay_shift, reset, floor, weight_bits),
        AGAIN + 3,
        mutants=tuple(mutants),
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


_PIPELINE_STAGES = (
    Proof(
        "layer of 40 look-up tables",
        "table >> address & 1",
        partial(LooksEveryTableUp, 40),
        3,
        unbounded=True,
        mutants=(Mutant(table_layer, broken_blocks.AddressesBackwards),),
        quick=True,
    ),
    *(
        Proof(
            f"parallel counter of {width} bits",
            "the sum of the bits",
            partial(CountsWithAdders, width),
            depth,
            unbounded=True,
            mutants=(Mutant(parallel_counter, broken_blocks.CountsTwoOfThree),),
            quick=width == 8,
        )
        for width, depth in ((8, 7), (13, 9))
    ),
    Proof(
        "largest of 5 counts of up to 12",
        "the first row whose count leads over its threshold by the most",
        partial(FindsTheLargest, (2, 0, 3, 0, 1), 12),
        13,
        unbounded=True,
        mutants=(Mutant(largest_count, broken_blocks.LastOnATie),),
    ),
)


_MAC_STAGES = (
    Proof(
        "requantiser",
        "min((max(sum, 0) m + 2^(k-1)) >> k, 255)",
        RequantisesEverySum,
        7,
        mutants=(Mutant(requantiser, broken_blocks.RoundsDown),),
        quick=True,
    ),
    Proof(
        "sigmoid",
        "TABLE[clamp(128 + (m sum >> k), 0, 255)]",
        LooksEverySumUp,
        9,
        mutants=(Mutant(sigmoid, broken_blocks.WrapsAround),),
    ),
    Proof(
        "number of 7 sums",
        "their bits, the leaf that they lead to, or that of the largest",
        ChoosesANumber,
        11,
        mutants=(Mutant(choice, broken_blocks.TurnsTheOtherWay),),
    ),
    Proof(
        "two lanes",
        "the sum of weight times activation",
        AddsALaneUp,
        9,
        mutants=(Mutant(accumulators, broken_blocks.GoesOnAdding),),
    ),
    Proof(
        "largest of 3 sums",
        "the first sum that no other one exceeds",
        partial(FindsTheLargestSum, 3),
        6,
        mutants=(Mutant(largest_sum, broken_blocks.LastOfEquals),),
    ),
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
        Mutant(cobs, broken_blocks.OverwritesItsToken),
    ),
    StreamBlock(
        "COBS encoder",
        lambda: cobs.CobsEncoder(),
        Mutant(cobs, broken_blocks.OffersWhatComes),
    ),
    StreamBlock(
        "coded images",
        lambda: coded_images.CodedImages(SMALLEST_BUFFER_BYTES),
        Mutant(coded_images, broken_blocks.UndoesOutOfTurn),
        lemma=Mutant(coded_images, broken_blocks.DoesOneThingAtATime),
    ),
    StreamBlock(
        "packet buffer",
        lambda: packet_buffer.PacketBuffer(SMALLEST_BUFFER_BYTES),
        Mutant(packet_buffer, broken_blocks.ReadsOverItsByte),
    ),
    StreamBlock(
        "frame receiver",
        lambda: frames.FrameReceiver(SMALLEST_BUFFER_BYTES),
        Mutant(frames, broken_blocks.ReceiverWithdraws),
    ),
    StreamBlock(
        "frame transmitter",
        lambda: frames.FrameTransmitter(),
        Mutant(frames, broken_blocks.TransmitterWithdraws),
    ),
    StreamBlock(
        "UART receiver",
        lambda: uart.UartReceiver(MIN_DIVISOR),
        Mutant(uart, broken_blocks.OffersItsShiftRegister),
    ),
    StreamBlock(
        "answer writer",
        lambda: answers.AnswerWriter({}),
        Mutant(answers, broken_blocks.AnswerFollowsItsField),
    ),
    StreamBlock(
        "endpoint",
        lambda: endpoint.Endpoint(
            dict.fromkeys(endpoint.IDENTITY_CONSTANTS, 1), SMALLEST_BUFFER_BYTES
        ),
        Mutant(endpoint, broken_blocks.EndpointWithdraws),
        depth=ENDPOINT_DEPTH,
        lemma=Mutant(frames, broken_blocks.NothingAfterTheLast),
        # A preview of pixels comes as the wire gives them, valid for one cycle, and is aborted if
        # the core does not take it: see `stepnet_hdl.link.early_pixels`.
        exempt=("core.pixels",),
    ),
)


def _gathers(map_windows: int) -> Proof:
    height, width = 3, 3
    return Proof(
        f"windows over an image of {height} x {width} pixels, "
        + ("one at a time" if map_windows == 1 else "two at a time"),
        "the pixels that each sees",
        partial(GathersEveryWindow, height, width, map_windows),
        GathersEveryWindow.cycles(height, width),
        mutants=(
            Mutant(pixel_window, broken_blocks.StopsAtEveryWindow),
            Mutant(pixel_window, broken_blocks.TurnsTheWindow),
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


def _receives(divisor: Fraction, after_another: bool) -> Proof:
    return Proof(
        f"UART receiver, {float(divisor):g} cycles per bit, "
        + ("a byte after another" if after_another else "a byte"),
        f"the bytes on a line that is {MAX_BAUD_ERROR:.0%} off and jitters",
        partial(ReceivesEveryByte, divisor, after_another=after_another),
        ReceivesEveryByte.cycles(divisor, after_another=after_another),
        mutants=(Mutant(uart, broken_blocks.SamplesACycleEarly),),
    )


ALL = (
    _popcount(8, 5, _LOSES_THE_CARRY, quick=True),
    _popcount(16, 6, _LOSES_THE_CARRY, Mutant(popcount, broken_blocks.NothingWaits)),
    _popcount(23, 6, _LOSES_THE_CARRY),
    _popcount(64, 8, _LOSES_THE_CARRY, in_halves=True),
    _popcount(255, 9, _LOSES_THE_CARRY, in_halves=True),
    _decision(8, 1, _MARGIN_WRAPS, quick=True),
    _decision(8, 8, _MARGIN_WRAPS, _NEGATES_WITHOUT_CARRY),
    _decision(24, 4, _NEGATES_WITHOUT_CARRY),
    _decision(8, 3, Mutant(datapath, broken_blocks.SecondNeuronSeesTheFirst), pe=2),
    Proof(
        "datapath, SIMD 8, PE 2, pooling",
        "sum >= threshold over one of four windows",
        partial(PoolsOverWindows, 8, 2),
        16,
        mutants=(
            Mutant(datapath, broken_blocks.SeesTheLastWindowAlone),
            Mutant(datapath, broken_blocks.PoolsIntoTheNextGroup),
        ),
    ),
    Proof(
        "datapath, SIMD 8, PE 2, pooling two windows at once",
        "sum >= threshold over one of four windows",
        partial(PoolsOverWindows, 8, 2, at_once=2),
        16,
        mutants=(
            Mutant(datapath, broken_blocks.SeesTheLastWindowAlone),
            Mutant(datapath, broken_blocks.PoolsOneOfTwoWindows),
        ),
    ),
    Proof(
        "datapath, SIMD 8, PE 2, two positions at once",
        "sum - threshold at each position",
        partial(EvaluatesTwoPositions, 8, 2),
        16,
        mutants=(Mutant(datapath, broken_blocks.PoolsTwoPositions),),
    ),
    *(
        Proof(
            f"walk over a map, {windows} at a time",
            "where each word of a window lies",
            partial(WalksOverEveryMap, map_windows),
            2,
            unbounded=True,
            any_state=True,
            mutants=(
                Mutant(map_walk, broken_blocks.SeesAColumnBesideTheMap),
                Mutant(map_walk, broken_blocks.NeverEndsARow),
            ),
            quick=map_windows == 2,
        )
        for map_windows, windows in ((1, "a window"), (2, "two windows"))
    ),
    _gathers(map_windows=1),
    _gathers(map_windows=2),
    *_PIPELINE_STAGES,
    *_MAC_STAGES,
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
            (4, (Mutant(cobs, broken_blocks.LosesZerosBetweenBlocks), _NEVER_RESYNCHRONISES)),
        )
    ),
    Proof(
        "COBS decoder, any 5 bytes and a zero",
        "the definition of the code",
        partial(DecodesEveryString, 5),
        12,
        any_state=True,
        mutants=(Mutant(cobs, broken_blocks.NeverBroken),),
    ),
    *(
        Proof(
            f"COBS decoder, {size} bytes other than zero",
            "the definition of the code",
            partial(DecodesFullBlocks, size),
            size + 5,
            mutants=(Mutant(cobs, broken_blocks.ZeroAfterFullBlock),)
            if size > DecodesFullBlocks.FULL_BLOCK
            else (),
        )
        for size in (253, 254, 255)
    ),
    Proof(
        "COBS encoder, packets of 1 and 2 bytes",
        "encode(packet)",
        partial(EncodesEveryPacket, 2),
        16,
        mutants=(Mutant(cobs, broken_blocks.CodeIsOneMore),),
    ),
    Proof(
        "coded images of 1 to 98 bytes, and frames of any other kind",
        "undone(code(image)) = image",
        partial(UndoesEveryImage, 98),
        9,
        unbounded=True,
        mutants=(
            Mutant(coded_images, broken_blocks.LastGroupIsWhole),
            Mutant(coded_images, broken_blocks.SecondByteAsTheFirst),
        ),
        quick=True,
    ),
    *(
        Proof(
            f"CRC-{bits}, a byte",
            "the polynomial, bit by bit",
            partial(TakesAByte, bits),
            bits + 1,
            any_state=True,
            mutants=(Mutant(crc, broken_blocks.LeavesOutABit),),
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
            mutants=(Mutant(crc, broken_blocks.GoesOn),),
        )
        for bits in (16, 32)
    ),
    _neuron(2, None, -20, 4, quick=True),
    _neuron(None, 0, LOWEST_FLOOR, 4),
    _neuron(0, None, LOWEST_FLOOR, 1),
    _neuron(1, -3, -9, 8),
    *(_receives(divisor, False) for divisor in UART_DIVISORS),
    *(_receives(divisor, True) for divisor in UART_DIVISORS),
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
