"""The blocks that proofs have to refuse, each with one thing done wrong, and one that tells a proof
more than it claims."""

from typing import Any

from amaranth.hdl import C, Cat, Module, Signal, Value
from amaranth.lib import crc  # pyright: ignore[reportAttributeAccessIssue] - not in the stubs

from stepnet_hdl.blocks.parallel_counter import ParallelCounter
from stepnet_hdl.blocks.popcount import Popcount
from stepnet_hdl.cores.engine.datapath import Datapath
from stepnet_hdl.cores.engine.map_walk import MapWalk
from stepnet_hdl.cores.engine.pixel_window import PixelWindow
from stepnet_hdl.cores.mac.accumulators import Accumulators
from stepnet_hdl.cores.mac.choice import ChosenNumber
from stepnet_hdl.cores.mac.largest_sum import LargestSum
from stepnet_hdl.cores.mac.requantiser import Requantiser
from stepnet_hdl.cores.mac.sigmoid import Sigmoid
from stepnet_hdl.cores.pipeline.largest_count import LargestCount
from stepnet_hdl.cores.pipeline.table_layer import TableLayer
from stepnet_hdl.cores.spiking.potentials import Potentials
from stepnet_hdl.link.answers import AnswerWriter
from stepnet_hdl.link.cobs import FULL_BLOCK_CODE, CobsDecoder, CobsEncoder
from stepnet_hdl.link.coded_images import CodedImages
from stepnet_hdl.link.endpoint import Endpoint
from stepnet_hdl.link.frames import FrameReceiver, FrameTransmitter
from stepnet_hdl.link.packet_buffer import PacketBuffer
from stepnet_hdl.link.uart import UartReceiver
from stepnet_sim.verification.formal import claim
from stepnet_sim.verification.mutants import driven


class LosesTheCarry(Popcount):
    """The bit in the carry of each adder does not count."""

    def _add(self, low: Value, high: Value, carry: Value) -> Value:
        return super()._add(low, high, C(0))


class NothingWaits(Popcount):
    """A count that is there early, and a bit that enters later, do not wait."""

    def _wait(self, m: Module, value: Value) -> Value:
        return value


class CountsTwoOfThree(ParallelCounter):
    """The third bit of each full adder does not count."""

    def _full_adder(self, a: Value, b: Value, c: Value) -> tuple[Value, Value]:
        return super()._full_adder(a, b, C(0))


class SeesAColumnBesideTheMap(MapWalk):
    """The first column to the right of the map counts as one of it."""

    def _is_outside(self, column: Value, row: Value) -> Value:
        return super()._is_outside(column - 1, row) | (column < 0)


class NeverEndsARow(MapWalk):
    """Behind the last position of a row it goes on to the right."""

    def _count_positions(
        self, m: Module, begins: Signal, next_position: Signal
    ) -> tuple[Value, Signal, Signal]:
        _, in_last_across, in_last_down = super()._count_positions(m, begins, next_position)
        return C(0), in_last_across, in_last_down


class StopsAtEveryWindow(PixelWindow):
    """Positions that are pooled are as close together as those that are not."""

    def _count_down(
        self, m: Module, restart: Value, step: Value, two: Value | int, name: str
    ) -> Signal:
        return super()._count_down(m, restart, step, 0, name)


class TurnsTheWindow(PixelWindow):
    """What lies before the last column is taken from above the last row, and the other way."""

    def _cut(
        self, m: Module, square: list[Signal], before: Value, above: Value, of_window: str
    ) -> Value:
        return super()._cut(m, square, above, before, of_window)


class AddressesBackwards(TableLayer):
    """The last wire of a table is the lowest bit of its address."""

    def _look_up(self, table: int, bits: list[Value]) -> Value:
        return super()._look_up(table, bits[::-1])


class LastOnATie(LargestCount):
    """Of two rows that lead by as much, the second wins."""

    def _on_a_tie(self) -> Value:
        return C(1, 1)


class RoundsDown(Requantiser):
    """An activation is rounded down."""

    def _round(self, twice: Value) -> Value:
        return twice >> 1


class WrapsAround(Sigmoid):
    """A sum behind the table's end looks up an entry from its beginning on."""

    def _is_above(self, steps: Value) -> Value:
        return C(0, 1)


class TurnsTheOtherWay(ChosenNumber):
    """A neuron that fires chooses the node that one which does not should."""

    def _below(self, node: Value, fires: Value) -> Value:
        return node << 1 | ~fires


class GoesOnAdding(Accumulators):
    """The sums of a group begin where those of the group before it ended."""

    def _begins(self) -> Value:
        return self.clear


class LastOfEquals(LargestSum):
    """Of two equal sums the second one wins."""

    def _wins(self, candidate: Value, largest: Value) -> Value:
        return candidate.as_signed() >= largest.as_signed()


class MarginWraps(Datapath):
    """A margin has no more bits than a sum."""

    def _compare(self, inverted: Value, threshold: Value) -> Value:
        return super()._compare(inverted, threshold)[:-1].as_signed()


class NegatesWithoutCarry(Datapath):
    """Counts of the plane that counts negative are inverted, and 1 is not added."""

    def _add(self, inverted: Value, count: Value, adds: Value) -> Value:
        addend = count ^ adds.replicate(self.shape.sum_bits)
        return (Cat(C(1), inverted) + Cat(C(1), addend))[1:]


class SecondNeuronSeesTheFirst(Datapath):
    """All neurons have the weights of the first."""

    def _weights(self, neuron: int) -> Value:
        return super()._weights(0)


class SeesTheLastWindowAlone(Datapath):
    """A neuron fires if it does over the last of the windows that are pooled."""

    def _goes_on(self) -> Value:
        return C(0, len(self.fires))


class PoolsOneOfTwoWindows(Datapath):
    """Of two windows that are evaluated at once and pooled, only the first counts."""

    def _joins(self) -> Value:
        return C(0)


class PoolsTwoPositions(Datapath):
    """Two windows that are evaluated at once are always pooled."""

    def _joins(self) -> Value:
        return C(1)


class PoolsIntoTheNextGroup(Datapath):
    """What a group fired is not forgotten before the next one."""

    def _goes_on(self) -> Value:
        return self.fires


class LosesZerosBetweenBlocks(CobsDecoder):
    """A code gives no token for the zero before it."""

    def elaborate(self, platform: object) -> Module:
        m = super().elaborate(platform)
        with m.If(self.bytes.ready & self.bytes.valid & (self.bytes.p != 0)):
            m.d.sync += self.tokens.valid.eq(~driven(m, "at_code"))
        return m


class NeverResynchronises(CobsDecoder):
    """A zero does not end the block that it cuts short."""

    def elaborate(self, platform: object) -> Module:
        m = super().elaborate(platform)
        block_left, at_code = driven(m, "block_left"), driven(m, "at_code")
        with m.If(self.bytes.ready & self.bytes.valid & (self.bytes.p == 0)):
            m.d.sync += [block_left.eq(block_left - 1), at_code.eq(block_left == 1)]
        return m


class NeverBroken(CobsDecoder):
    """A frame that is cut short ends like a whole one."""

    def elaborate(self, platform: object) -> Module:
        m = super().elaborate(platform)
        m.d.sync += self.tokens.p.broken.eq(0)
        return m


class ZeroAfterFullBlock(CobsDecoder):
    """A block of 254 bytes ends in a zero as others do."""

    def elaborate(self, platform: object) -> Module:
        m = super().elaborate(platform)
        takes_code = self.bytes.ready & self.bytes.valid & driven(m, "at_code")
        with m.If(takes_code & (self.bytes.p == FULL_BLOCK_CODE)):
            m.d.sync += driven(m, "zero_is_due").eq(1)
        return m


class OverwritesItsToken(CobsDecoder):
    """A byte is taken although the token before it still waits."""

    def elaborate(self, platform: object) -> Module:
        m = super().elaborate(platform)
        m.d.comb += self.bytes.ready.eq(1)
        return m


class CodeIsOneMore(CobsEncoder):
    """The code of a block that follows a zero is one too many."""

    def elaborate(self, platform: object) -> Module:
        m = super().elaborate(platform)
        with m.If(self.packets.ready & self.packets.valid & (self.packets.p.data == 0)):
            m.d.sync += driven(m, "code").eq(2)
        return m


class OffersWhatComes(CobsEncoder):
    """The byte on offer is lost when the next packet comes."""

    def elaborate(self, platform: object) -> Module:
        m = super().elaborate(platform)
        with m.If(self.packets.valid):
            m.d.sync += driven(m, "offered").eq(self.packets.p.data)
        return m


class WaitsForItsReader(CobsEncoder):
    """A byte is offered only to a reader who is ready, which no stream may do."""

    def elaborate(self, platform: object) -> Module:
        m = super().elaborate(platform)
        with m.If(~self.bytes.ready):
            m.d.comb += self.bytes.valid.eq(0)
        return m


class ReadsOverItsByte(PacketBuffer):
    """The byte on offer is replaced by the next one from memory."""

    def elaborate(self, platform: object) -> Module:
        m = super().elaborate(platform)
        m.d.sync += driven(m, "byte").eq(driven(m, "fetched_byte"))
        return m


class UndoesOutOfTurn(CodedImages):
    """A 0 that waits is withdrawn while the next byte is not there."""

    def elaborate(self, platform: object) -> Module:
        m = super().elaborate(platform)
        with m.If(~self.coded.valid):
            m.d.comb += self.plain.valid.eq(0)
        return m


class LastGroupIsWhole(CodedImages):
    """An image ends where its last group does, if that is shorter than others, too."""

    def elaborate(self, platform: object) -> Module:
        m = super().elaborate(platform)
        m.d.sync += driven(m, "in_last_group").eq(0)
        return m


class SecondByteAsTheFirst(CodedImages):
    """Whether a byte is 0 is told by the bit of the first one of its group."""

    def elaborate(self, platform: object) -> Module:
        m = super().elaborate(platform)
        mask = driven(m, "mask")
        with m.If(driven(m, "in_group")):
            m.d.sync += mask.eq(mask)
        return m


class DoesOneThingAtATime(CodedImages):
    """The sound block with claims, a lemma: it does one of four things, and before the end of a
    header it passes on what comes."""

    def elaborate(self, platform: object) -> Module:
        m = super().elaborate(platform)
        states = [driven(m, name) for name in ("passes", "gives_zero", "decides", "at_mask")]
        _, gives_zero, decides, at_mask = states
        in_group, header_left = driven(m, "in_group"), driven(m, "header_left")
        m.d.comb += [
            claim(sum(states) == 1),
            claim(~gives_zero | in_group),
            claim(~(in_group | decides | at_mask) | (header_left == 0)),
        ]
        return m


class ReceiverWithdraws(FrameReceiver):
    """A packet's byte is offered only while the wire has one too."""

    def elaborate(self, platform: object) -> Module:
        m = super().elaborate(platform)
        with m.If(~self.bytes.valid):
            m.d.comb += self.packets.valid.eq(0)
        return m


class TransmitterWithdraws(FrameTransmitter):
    """A frame's byte is offered only while the last byte of a packet waits."""

    def elaborate(self, platform: object) -> Module:
        m = super().elaborate(platform)
        with m.If(~self.packets.p.last):
            m.d.comb += self.bytes.valid.eq(0)
        return m


class OffersItsShiftRegister(UartReceiver):
    """The byte on offer changes while the next one comes in."""

    def elaborate(self, platform: object) -> Module:
        m = super().elaborate(platform)
        m.d.sync += self.bytes.p.eq(driven(m, "bits"))
        return m


class SamplesACycleEarly(UartReceiver):
    """Every bit but the start bit is sampled a cycle too early."""

    @property
    def _samples(self) -> list[int]:
        start, *later = super()._samples
        return [start, *(cycle - 1 for cycle in later)]


class AnswerFollowsItsField(AnswerWriter):
    """The byte on offer changes with the field that it was taken from."""

    def elaborate(self, platform: object) -> Module:
        m = super().elaborate(platform)
        m.d.sync += self.packets.p.data.eq(self.fields.as_value()[:8])
        return m


class EndpointWithdraws(Endpoint):
    """The byte of a load is offered only while the core has one to end."""

    def elaborate(self, platform: object) -> Module:
        m = super().elaborate(platform)
        with m.If(~self.core.load_done):
            m.d.comb += self.core.load.valid.eq(0)
        return m


class LeavesOutABit(crc.Processor):
    """The lowest bit of the data does not reach the register."""

    def __init__(self, parameters: Any) -> None:
        super().__init__(parameters)
        self._matrix_g = [[0] * self._crc_width, *self._matrix_g[1:]]


class GoesOn(crc.Processor):
    """A start goes on from where the last message ended."""

    def elaborate(self, platform: object) -> Module:
        m = super().elaborate(platform)
        register = driven(m, "crc_reg")
        with m.If(self.start & ~self.valid):
            m.d.sync += register.eq(register)
        return m


class NothingAfterTheLast(PacketBuffer):
    """The sound buffer with a claim, a lemma: after the last byte of a packet none follows, and
    while that byte is still to be taken the packet goes on."""

    def elaborate(self, platform: object) -> Module:
        m = super().elaborate(platform)
        goes_on = driven(m, "in_payload") & (self.bytes_after == 0)
        m.d.comb += claim(~self.packets.p.last | goes_on)
        return m


class ForgetsWhatItAdds(Potentials):
    """Weights right behind others are added to what was read, not to what is being stored."""

    def elaborate(self, platform: object) -> Module:
        m = super().elaborate(platform)
        m.d.sync += driven(m, "again").eq(0)
        return m


class LeaksNothing(Potentials):
    """The decay of a tick is left out."""

    def _decayed(self, potential: Value) -> Value:
        return potential
