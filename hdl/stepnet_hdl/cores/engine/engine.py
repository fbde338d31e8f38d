"""The engine: a core that runs any step network it is loaded with."""

from typing import Any

from amaranth.hdl import C, Cat, Module, Mux, ResetInserter, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.fifo import SyncFIFOBuffered

from stepnet.boards.identity import shape_fields
from stepnet.cores.engine.cycles import most_cycles_per_image
from stepnet.cores.engine.memory_image import check_fits, memory_image
from stepnet.cores.engine.shape import CODE_BITS, EngineShape
from stepnet.link.messages import Core
from stepnet.networks.network import Network
from stepnet_hdl.blocks.delay import delayed
from stepnet_hdl.blocks.lane_memory import LaneMemory
from stepnet_hdl.blocks.ram import Ram
from stepnet_hdl.blocks.streams import PacketByte
from stepnet_hdl.cores.engine.collector import Collector
from stepnet_hdl.cores.engine.datapath import Datapath
from stepnet_hdl.cores.engine.intake import Intake
from stepnet_hdl.cores.engine.pixel_window import PixelWindow
from stepnet_hdl.cores.engine.readout import Readout, ReadoutNumber
from stepnet_hdl.cores.engine.sequencer import Region, Sequencer
from stepnet_hdl.cores.engine.weight_memory import WeightMemory, check_filled_by_bitstream
from stepnet_hdl.cores.interface import InferenceCore


def check_built_in(network: Network, shape: EngineShape) -> None:
    """Raise NetworkError or BuildError if no engine of `shape` can hold `network` at power-on."""
    check_fits(network, shape)
    check_filled_by_bitstream(shape)


class Engine(InferenceCore):
    """Infers images with the network in its memories, which `stepnet.cores.engine.memory_image`
    lays out.

    Weights and activations meet in a `Datapath`, SIMD bits of each of PE neurons per cycle, in the
    order of a `Sequencer`. A `Collector` gathers the activations, a `Readout` makes the character
    of the last layer, and an `Intake` takes in pixels and the words of a network.

    The register holds a new character `stepnet.cores.engine.cycles.cycles_per_image` cycles after
    an image's last pixels were transferred, if the engine was free then. Where the network allows
    it, its first layer is computed while pixels arrive. The next image is received while this one
    is computed.

    shape: the sizes of the engine, which the networks that run on it have to keep within.
    network: the network that is loaded from power-on, and can be replaced over the link like any
        other; None for none. NetworkError if it does not fit, BuildError if the weights are in
        single-port RAM, which no bitstream fills.
    """

    load_cycles = Intake.load_cycles + 1
    """Cycles from taking the last byte of a load until `load_done`."""

    def __init__(self, shape: EngineShape, network: Network | None = None) -> None:
        self.shape = shape
        self._initial = initial = memory_image(network, shape) if network else None
        self._weights = WeightMemory(shape, initial.weight_values if initial else ())
        super().__init__(
            Core.ENGINE,
            identity_fields=shape_fields(shape),
            takes_loads=True,
            built_in_digest=initial.digest if initial else None,
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        shape = self.shape
        initial_image_bytes = self._initial.image_bytes if self._initial else 0
        m.submodules.intake = intake = Intake(shape, initial_image_bytes)
        # The rest follows one cycle after the intake: that is far to go.
        cancel = Signal()
        m.d.sync += cancel.eq(intake.cancelled)
        sequencer, datapath = Sequencer(shape), Datapath(shape)
        collector, readout = Collector(shape), Readout(shape)
        m.submodules.sequencer = ResetInserter(cancel)(sequencer)
        m.submodules.datapath = ResetInserter(cancel)(datapath)
        m.submodules.collector = ResetInserter(cancel)(collector)
        m.submodules.readout = ResetInserter(cancel)(readout)

        wiring.connect(m, wiring.flipped(self.pixels), intake.pixels)
        # Words of a network may take their time: this keeps a long way out of the clock.
        m.submodules.load = load = SyncFIFOBuffered(width=PacketByte.size, depth=1)
        # Typed as Any because amaranth-stubs take a FIFO's streams for their signatures.
        load_in: Any = load.w_stream
        load_out: Any = load.r_stream
        wiring.connect(m, wiring.flipped(self.load), load_in)
        wiring.connect(m, load_out, intake.load)
        m.d.comb += [
            self.load_done.eq(intake.load_done),
            self.load_refusal.eq(intake.load_refusal),
            intake.cancel.eq(self.cancel),
            self.last_pixels.eq(intake.last_pixels),
            self.image_bytes.eq(intake.image_bytes),
            sequencer.cancel.eq(cancel),
        ]

        wiring.connect(m, intake.images, sequencer.images)
        wiring.connect(m, sequencer.readout, readout.steering)
        wiring.connect(m, datapath.decided, collector.decided, sequencer.decided, readout.decided)
        if shape.map_words:
            m.d.comb += collector.next_completes.eq(datapath.next_completes)
        if shape.map_windows > 1:
            m.d.comb += [
                datapath.joins.eq(sequencer.window.joins),
                collector.next_two_positions.eq(datapath.next_two_positions),
                collector.answer_words_minus_1.eq(
                    sequencer.window.header.origin.answer_words_minus_1
                ),
            ]
        m.submodules.weights = weights = self._weights
        m.d.comb += [
            weights.write_address.eq(intake.writes.address),
            weights.write_lane.eq(intake.writes.lane),
            weights.write_data.eq(intake.word[intake.top_bytes(shape.weight_bytes)]),
            weights.write_enable.eq(intake.writes.weights),
            weights.loading.eq(intake.writes.loading),
            weights.read_address.eq(sequencer.weight_address),
            datapath.weights.eq(weights.read_data),
        ]
        parameter = self._parameters(m, intake, sequencer, datapath)
        self._activations(m, intake, sequencer, collector, datapath)
        m.d.comb += [
            datapath.xnor.eq(sequencer.xnor),
            datapath.step.eq(sequencer.step),
            collector.fires.eq(
                datapath.fires
                if shape.map_words
                else Cat(~margin[-1] for margin in datapath.margins)
            ),
            sequencer.fires.eq(collector.fires[: shape.pe]),
            readout.margins.as_value().eq(datapath.margins.as_value()),
        ]
        self._result(m, sequencer, readout, parameter, cancel)
        return m

    def _parameters(
        self, m: Module, intake: Intake, sequencer: Sequencer, datapath: Datapath
    ) -> Signal:
        """Connect the parameter memory; return the first value of the word that is read."""
        shape = self.shape
        m.submodules.parameters = parameters = LaneMemory(
            shape.parameter_bits,
            shape.parameter_lanes,
            shape.parameter_words,
            self._initial.parameter_values if self._initial else (),
            shape.read_cycles,
        )
        first = Signal(shape.parameter_bits)
        written = {
            "write_address": intake.writes.address,
            "write_lane": intake.writes.lane,
            "write_data": intake.word[intake.top_bytes(shape.parameter_bytes)],
            "write_enable": intake.writes.parameters,
        }
        far_cycles = min(shape.skew_cycles, 1)  # thresholds lie where they are needed
        for name, value in written.items():
            m.d.comb += getattr(parameters, name).eq(delayed(m, value, far_cycles, name))
        m.d.comb += [
            parameters.read_address.eq(sequencer.parameters.address),
            parameters.read_enable.eq(sequencer.parameters.enable),
            first.eq(parameters.read_data),
            sequencer.parameters.value.eq(first),
            sequencer.parameters.need_thresholds.eq(datapath.need_thresholds),
        ]
        if shape.map_words:
            m.d.comb += [
                sequencer.parameters.again.eq(datapath.thresholds_again),
                sequencer.parameters.restart.eq(datapath.thresholds_restart),
            ]
        for lane in range(shape.parameter_lanes):
            value = parameters.read_data.word_select(lane, shape.parameter_bits)
            m.d.comb += datapath.thresholds[lane].eq(value[: shape.sum_bits])
        return first

    def _activations(
        self,
        m: Module,
        intake: Intake,
        sequencer: Sequencer,
        collector: Collector,
        datapath: Datapath,
    ) -> None:
        shape = self.shape
        word_bits = (shape.region_words - 1).bit_length()
        regions_words = len(Region) << word_bits
        m.submodules.activations = activations = Ram(
            shape.simd, regions_words, read_cycles=shape.read_cycles
        )
        blocked: Value = datapath.soon_done
        write_region: Value = sequencer.write_region
        if shape.map_windows > 1:  # the second of two words follows a cycle later
            blocked |= delayed(m, datapath.soon_done, 1, "soon_done")
            write_region = delayed(m, write_region, 1, "write_region")
        m.d.comb += [
            # More often than need be, but known at the start of the cycle.
            intake.pixels_blocked.eq(blocked),
            activations.write_enable.eq(collector.write | intake.write_pixels),
            activations.write_data.eq(intake.word[intake.top_bytes(shape.weight_bytes)]),
            activations.write_address.eq(
                Cat(
                    intake.images.words,
                    C(0, word_bits - len(intake.images.words)),
                    intake.image_buffer,
                )
            ),
            activations.read_address.eq(sequencer.activation_address),
            activations.read_enable.eq(1),
            datapath.activations.eq(activations.read_data),
        ]
        if shape.map_words:
            self._windows(m, sequencer, activations, datapath)
        with m.If(collector.write):
            m.d.comb += [
                activations.write_data.eq(collector.word),
                activations.write_address.eq(Cat(collector.word_address, write_region)),
            ]

    def _windows(
        self, m: Module, sequencer: Sequencer, activations: Ram, datapath: Datapath
    ) -> None:
        """Give the datapath the windows of an image, and nothing beside a map."""
        steering = sequencer.window
        m.submodules.window = window = PixelWindow(self.shape)
        m.d.comb += [
            window.begin.eq(steering.begin),
            window.header.eq(steering.header),
            window.cancel.eq(sequencer.cancel),
            window.taken.eq(steering.taken),
            window.last_position.eq(steering.last_position),
            window.below.eq(steering.below),
            window.beside.eq(steering.beside),
            window.read_data.eq(activations.read_data),
            steering.read_address.eq(window.read_address),
            steering.ready.eq(window.ready),
        ]
        found = [_cleared(m, activations.read_data, steering.outside, self.shape, "outside")]
        if self.shape.map_windows > 1:
            beside = self._activations_beside(m, sequencer, activations)
            outside = steering.outside_beside
            found.append(_cleared(m, beside, outside, self.shape, "outside_beside"))
        m.d.comb += datapath.activations.eq(Mux(steering.in_use, window.word, Cat(found)))

    def _activations_beside(self, m: Module, sequencer: Sequencer, activations: Ram) -> Signal:
        """Keep the activations once more, to read a second word in each cycle; return it."""
        m.submodules.activations_beside = beside = Ram(
            activations.width, activations.depth, read_cycles=self.shape.read_cycles
        )
        m.d.comb += [
            beside.write_enable.eq(activations.write_enable),
            beside.write_data.eq(activations.write_data),
            beside.write_address.eq(activations.write_address),
            beside.read_address.eq(sequencer.address_beside),
            beside.read_enable.eq(1),
        ]
        return beside.read_data

    def _result(
        self, m: Module, sequencer: Sequencer, readout: Readout, parameter: Signal, cancel: Value
    ) -> None:
        cycles = Signal(range(most_cycles_per_image(self.shape) + 1))
        # The result is in the register one cycle after it is there, and the image is complete three
        # cycles after its last pixels were taken.
        was_complete = Signal()
        m.d.sync += was_complete.eq(sequencer.is_complete)
        with m.If(~sequencer.is_complete):
            m.d.sync += cycles.eq(4)
        with m.Elif(sequencer.idle & was_complete):
            m.d.sync += cycles.eq(3)
        with m.Else():
            m.d.sync += cycles.eq(cycles + 1)

        # Without a look at `ready`, which would reach from the link into the sequencer.
        kept_back = Signal()
        m.d.comb += [
            sequencer.result_free.eq(~self.readings.valid & ~kept_back),
            self.readings.p.code.eq(self.character),
        ]
        with m.If(self.readings.ready):
            m.d.sync += self.readings.valid.eq(0)
        with m.If(sequencer.result):
            m.d.sync += [
                self.readings.p.margin.eq(readout.margin),
                self.readings.p.cycles.eq(cycles),
                self.readings.p.overrun.eq(sequencer.overrun),
                kept_back.eq(self.tentative),
            ]
        # While a result is kept back nothing else is computed, so that its code stays.
        with m.If((sequencer.result | kept_back) & ~self.tentative & ~cancel):
            m.d.sync += [
                self.readings.valid.eq(1),
                self.character.eq(readout.code),
                kept_back.eq(0),
            ]
            with m.If(sequencer.readout.kind == ReadoutNumber.NEAREST):
                m.d.sync += self.character.eq(parameter[:CODE_BITS])
        with m.If(cancel):
            m.d.sync += kept_back.eq(0)


def _cleared(m: Module, word: Signal, outside: Signal, shape: EngineShape, name: str) -> Value:
    """Return a word of activations, or 0 where its place lies beside the map."""
    is_there = ~delayed(m, outside, shape.read_cycles - 1, name)
    return word & is_there.replicate(shape.simd)
