"""The spiking core: a network of integrate-and-fire neurons that take turns in groups."""

from amaranth.hdl import Array, Const, Module, Mux, Signal

from stepnet.boards.held_network import built_in_digest
from stepnet.cores.spiking.contents import spiking_contents, spiking_shape
from stepnet.cores.spiking.cycles import Passes, Walk
from stepnet.link.messages import Core
from stepnet.networks.spiking import Rows, SpikingNetwork
from stepnet_hdl.blocks.ram import Ram
from stepnet_hdl.cores.interface import CYCLES_BITS, InferenceCore
from stepnet_hdl.cores.spiking.input_walk import InputWalk
from stepnet_hdl.cores.spiking.potentials import Potentials
from stepnet_hdl.cores.spiking.row_readout import RowReadout
from stepnet_hdl.cores.spiking.row_values import RowValues

WEIGHT_CYCLES = 2
"""Cycles from the place of weights to the weights, which lie in many block RAMs."""


class SpikingCore(InferenceCore):
    """Keeps the spikes, the potentials and the weights in memory, and adds the weights of one input
    to a group of potentials in each cycle.

    An image is its spikes, tick by tick, as `stepnet.cores.spiking.contents` says. The character
    register has its code `stepnet.cores.spiking.cycles.image_cycles` after the transfer of the last
    pixels; an image that is still tentative waits before the register, and its reading does not
    count these cycles. No pixels are taken from the last ones of an image until its reading was.
    The margin is computed with readout nearest, and reads 0 with others.

    network: is built in for good.
    lanes: how many neurons take their turn together, 8, 16, 32 or 64.
    walk: over all inputs, or only over those that spiked.
    """

    def __init__(self, network: SpikingNetwork, lanes: int = 16, walk: Walk = Walk.EVENTS) -> None:
        self.network = network
        self.walk = walk
        self.shape = spiking_shape(network, lanes)
        self.image_transfers = self.shape.ticks * self.shape.tick_bytes
        super().__init__(Core.SPIKING, built_in_digest=built_in_digest(network))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        shape = self.shape
        contents = spiking_contents(self.network, shape)
        m.submodules.weights = weights = Ram(
            shape.weight_bits * shape.lanes, shape.weight_words, contents.weights, WEIGHT_CYCLES
        )
        m.submodules.spikes = spikes = Ram(shape.lanes, shape.spike_words)
        m.submodules.walk = walk = InputWalk(shape, self.walk)
        m.submodules.potentials = potentials = Potentials(self.network, shape, contents)
        m.submodules.readout = readout = RowReadout(self.network, self._row_bits)
        m.submodules.rows = rows = RowValues(self.network, shape, self._row_bits)
        layer, tick = Signal(range(len(shape.layers))), Signal(range(shape.ticks))
        group, first_group = Signal(range(shape.groups + 1)), Signal(range(shape.groups + 1))
        adds, added, spiked = Signal(), Signal.like(walk.group), Signal()
        answering = Signal()  # a layer's groups are compared
        answers, answered = Signal(), Signal(range(shape.groups + 1))  # of a group, and which
        m.d.comb += [
            answers.eq(answering & potentials.compared),
            self.image_bytes.eq(self.image_transfers),
            self.readings.p.code.eq(self.character),
            weights.read_address.eq(walk.weight),
            weights.read_enable.eq(walk.asks),
            walk.layer.eq(layer),
            walk.word.eq(spikes.read_data),
            walk.cancel.eq(self.cancel),
            potentials.layer.eq(layer),
            potentials.weights.as_value().eq(weights.read_data),
            potentials.group.eq(first_group + Mux(adds, added, group)),
            potentials.adds.eq(adds),
            potentials.final.eq(tick == shape.ticks - 1),
            rows.spikes.eq(potentials.spikes),
            rows.excesses.as_value().eq(potentials.excesses.as_value()),
            rows.group.eq(group),
            rows.counting.eq(answering),
            rows.counts.eq(answers & (layer == len(shape.layers) - 1)),
            rows.counted.eq(answered),
            rows.is_first_tick.eq(tick == 0),
            readout.excess.eq(rows.excess),
        ]
        # The weights come a cycle later than the potentials would.
        m.d.sync += [
            adds.eq(walk.asks),
            added.eq(walk.group),
            spiked.eq(walk.spikes),
            potentials.counts.eq(spiked),
        ]
        with m.If(walk.begin):
            m.d.sync += answered.eq(0)
        with m.Elif(answers):
            m.d.sync += answered.eq(answered + 1)
        starts = self._store_spikes(m, spikes, walk, potentials, layer, tick, answers, answered)
        self._count_spikes(m, potentials, layer, answers, starts)
        self._run(
            *(m, walk, potentials, rows, readout),
            *(layer, tick, group, first_group, answering, starts),
        )
        return m

    def _count_spikes(
        self, m: Module, potentials: Potentials, layer: Signal, answers: Signal, starts: Signal
    ) -> None:
        """Count the spikes of all groups of all layers in all ticks of an image. The last layer has
        none if its potentials are asked for."""
        of_group = Signal(range(self.shape.lanes + 1))
        counts, spikes_count = Signal(), Signal()
        m.d.comb += spikes_count.eq(
            (self.network.asked is Rows.SPIKES) | (layer != len(self.shape.layers) - 1)
        )
        m.d.sync += [
            of_group.eq(sum(potentials.spikes, Const(0))),
            counts.eq(answers & spikes_count),
        ]
        with m.If(counts):
            m.d.sync += self.readings.p.spikes.eq(self.readings.p.spikes + of_group)
        with m.If(starts):
            m.d.sync += self.readings.p.spikes.eq(0)

    @property
    def _row_bits(self) -> int:
        """Width of what a row exceeds by: of a potential over a threshold, or of a count."""
        return max(self.shape.potential_bits, self.shape.ticks.bit_length() + 1) + 1

    def _store_spikes(
        self,
        m: Module,
        spikes: Ram,
        walk: InputWalk,
        potentials: Potentials,
        layer: Signal,
        tick: Signal,
        answers: Signal,
        answered: Signal,
    ) -> Signal:
        """Write words of the coded image and of hidden layers, and read those that a layer sees.

        Returns 1 bit: the last pixels of an image come.
        """
        shape = self.shape
        tick_base = Signal(range(shape.spike_words))  # where the coded image of this tick begins
        below, own = Signal.like(tick_base), Signal.like(tick_base)
        place = Signal.like(tick_base)
        with m.Switch(layer):
            for number, of_layer in enumerate(shape.layers):
                with m.Case(number):
                    m.d.comb += below.eq(of_layer.spikes if number else tick_base)
                    if number + 1 < len(shape.layers):
                        m.d.comb += own.eq(shape.layers[number + 1].spikes)
        m.d.comb += [
            spikes.read_address.eq(Mux(walk.begin, below, place)),
            spikes.read_enable.eq(walk.begin | walk.fetch),
        ]
        with m.If(walk.begin):
            m.d.sync += place.eq(below + 1)
        with m.Elif(walk.fetch):
            m.d.sync += place.eq(place + 1)
        # A product would take a multiplier.
        bases = Array(number * shape.tick_words for number in range(shape.ticks))
        m.d.comb += tick_base.eq(bases[tick])

        bytes_per_word = shape.lanes // 8
        word, byte = Signal(shape.lanes), Signal(range(bytes_per_word))
        bytes_left, ticks_left = Signal(range(shape.tick_bytes)), Signal(range(shape.ticks))
        word_place = Signal.like(tick_base)
        filled = Signal(shape.lanes)
        starts = Signal()
        takes = self.pixels.valid & self.pixels.ready
        ends_tick = bytes_left == 0
        ends_word = ends_tick | (byte == bytes_per_word - 1)
        m.d.comb += [
            self.last_pixels.eq(ends_tick & (ticks_left == 0)),
            starts.eq(takes & self.last_pixels),
            filled.eq(word | self.pixels.p << (byte << 3)),
            spikes.write_enable.eq(
                (takes & ends_word) | (answers & (layer != len(shape.layers) - 1))
            ),
            spikes.write_address.eq(Mux(takes, word_place, own + answered)),
            spikes.write_data.eq(Mux(takes, filled, potentials.spikes)),
        ]
        with m.If(takes):
            m.d.sync += [byte.eq(byte + 1), bytes_left.eq(bytes_left - 1), word.eq(filled)]
            with m.If(ends_word):
                m.d.sync += [byte.eq(0), word.eq(0), word_place.eq(word_place + 1)]
            with m.If(ends_tick):
                m.d.sync += [bytes_left.eq(shape.tick_bytes - 1), ticks_left.eq(ticks_left - 1)]
        begins_anew = Signal(init=1)
        m.d.sync += begins_anew.eq(starts | self.cancel)
        with m.If(begins_anew | self.cancel):
            m.d.sync += [
                *(each.eq(0) for each in (byte, word, word_place)),
                bytes_left.eq(shape.tick_bytes - 1),
                ticks_left.eq(shape.ticks - 1),
            ]
        self._may_take = ~begins_anew
        return starts

    def _run(
        self,
        m: Module,
        walk: InputWalk,
        potentials: Potentials,
        rows: RowValues,
        readout: RowReadout,
        layer: Signal,
        tick: Signal,
        group: Signal,
        first_group: Signal,
        answering: Signal,
        starts: Signal,
    ) -> None:
        """All ticks, in each all layers, and then the rows of the readout.

        One machine, whose states stand in the order in which an image goes through them; most lead
        to the next one below, so it is not cut.
        """
        shape = self.shape
        is_last_layer = layer == len(shape.layers) - 1
        groups = Signal.like(group)
        with m.Switch(layer):
            for number, place in enumerate(shape.layers):
                with m.Case(number):
                    m.d.comb += groups.eq(place.groups)
        waited = Signal(range(max(Passes.FIRE, Passes.READ)))
        rows_left, lane = Signal(range(self.network.rows)), Signal(range(shape.lanes))
        counting, cycles = Signal(), Signal(CYCLES_BITS)
        m.d.comb += self.readings.p.cycles.eq(cycles)
        with m.If(counting):
            m.d.sync += cycles.eq(cycles + 1)

        def gives_up() -> None:
            with m.If(self.cancel):
                m.d.sync += counting.eq(0)
                m.next = "PIXELS"

        with m.FSM():
            with m.State("PIXELS"):
                m.d.comb += self.pixels.ready.eq(self._may_take)
                m.d.sync += [each.eq(0) for each in (layer, tick, group, first_group)]
                m.d.sync += cycles.eq(1)
                with m.If(starts & ~self.cancel):
                    m.d.sync += counting.eq(1)
                    m.next = "CLEAR"
            with m.State("CLEAR"):
                m.d.comb += [potentials.compares.eq(1), potentials.clears.eq(1)]
                m.d.sync += [group.eq(group + 1), waited.eq(0)]
                with m.If(group == shape.groups - 1):
                    m.next = "CLEARED"
                gives_up()
            with m.State("CLEARED"):
                m.d.sync += waited.eq(waited + 1)
                with m.If(waited == Passes.FIRE - 1):
                    m.next = "BEGIN"
                gives_up()
            with m.State("BEGIN"):
                m.d.comb += walk.begin.eq(1)
                m.d.sync += group.eq(0)
                m.next = "WALK"
                gives_up()
            with m.State("WALK"):
                with m.If(walk.done):
                    m.next = "ADDED"
                gives_up()
            with m.State("ADDED"):
                m.next = "COMPARE"
                gives_up()
            with m.State("COMPARE"):
                m.d.comb += [potentials.compares.eq(1), answering.eq(1)]
                m.d.sync += [group.eq(group + 1), waited.eq(0)]
                with m.If(group == groups - 1):
                    m.next = "COMPARED"
                gives_up()
            with m.State("COMPARED"):
                m.d.comb += answering.eq(1)
                m.d.sync += waited.eq(waited + 1)
                with m.If(waited == Passes.FIRE - 1):
                    m.d.sync += group.eq(0)
                    m.next = "BEGIN"
                    with m.If(~is_last_layer):
                        m.d.sync += [layer.eq(layer + 1), first_group.eq(first_group + groups)]
                    with m.Elif(~potentials.final):
                        m.d.sync += [layer.eq(0), first_group.eq(0), tick.eq(tick + 1)]
                    with m.Else():
                        m.d.comb += readout.restart.eq(1)
                        m.d.sync += rows_left.eq(self.network.rows - 1)
                        m.next = "READ"
                gives_up()
            with m.State("READ"):
                m.d.comb += [potentials.compares.eq(1), rows.reads.eq(1)]
                m.d.sync += [waited.eq(1), lane.eq(0), group.eq(group + 1)]
                m.next = "TAKE"
                gives_up()
            with m.State("TAKE"):
                m.d.sync += waited.eq(waited + 1)
                with m.If(waited == Passes.READ - 1):
                    m.d.comb += rows.takes.eq(1)
                    m.next = "ROWS"
                gives_up()
            with m.State("ROWS"):
                m.d.comb += [readout.takes.eq(1), rows.shifts.eq(1)]
                m.d.sync += [rows_left.eq(rows_left - 1), lane.eq(lane + 1)]
                with m.If(rows_left == 0):
                    m.next = "JUDGE"
                with m.Elif(lane == shape.lanes - 1):
                    m.next = "READ"
                gives_up()
            with m.State("JUDGE"):
                m.d.sync += counting.eq(0)
                with m.If(~self.tentative):
                    m.d.sync += [
                        self.character.eq(readout.code),
                        self.readings.p.margin.eq(readout.margin),
                    ]
                    m.next = "READING"
                gives_up()
            with m.State("READING"):
                m.d.comb += self.readings.valid.eq(1)
                with m.If(self.readings.ready):
                    m.next = "PIXELS"
