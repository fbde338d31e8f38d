"""The engine: a core that runs any step network it is loaded with."""

from amaranth.hdl import Cat, Module, Mux, ResetInserter, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from stepnet.cores.engine.cycles import most_cycles_per_image
from stepnet.cores.engine.memory_image import MemoryImage
from stepnet.cores.engine.shape import CODE_BITS, IMAGE_BYTES_BITS, EngineShape
from stepnet_hdl.blocks.delay import delayed
from stepnet_hdl.blocks.lane_memory import LaneMemory
from stepnet_hdl.blocks.ram import Ram
from stepnet_hdl.blocks.streams import PacketByte
from stepnet_hdl.cores.engine.collector import Collector
from stepnet_hdl.cores.engine.datapath import Datapath
from stepnet_hdl.cores.engine.intake import Intake
from stepnet_hdl.cores.engine.readout import Readout, ReadoutNumber
from stepnet_hdl.cores.engine.sequencer import Region, Sequencer
from stepnet_hdl.cores.engine.weight_memory import WeightMemory
from stepnet_hdl.cores.interface import CoreReading


class Engine(wiring.Component):
    """Infers images with the network in its memories, which `stepnet.cores.engine.memory_image`
    lays out.

    Weights and activations meet in a `Datapath`, SIMD bits of each of PE neurons per cycle, in the
    order of a `Sequencer`; a `Collector` gathers the activations, a `Readout` makes the character
    of the last layer's, and an `Intake` takes in pixels and the words of a network. The register
    holds a new character `stepnet.cores.engine.cycles.cycles_per_image` cycles after the transfer
    of an image's last pixels, if the engine was free then. Where the network allows it, its first
    layer is computed while pixels arrive; the next image is received meanwhile in any case.

    initial: what the memories hold at power-on, laid out for `shape`; None for nothing. BuildError
    if the weights are in single-port RAM, see `WeightMemory`.

    Members
    -------
    pixels : stream of 8 bits, in
        Packed images, row by row, first pixel in bit 0; `image_bytes` bytes each.
    tentative : Signal(1), in
        The image in progress may still be forgotten: its result is kept back.
    last_pixels : Signal(1), out
        The next pixels are an image's last ones.
    readings : stream of CoreReading, out
        One per image, in order.
    character : Signal(8), out
        The character register: the code of the latest image until the next one's is ready.
    load : stream of PacketByte, in
        Words for the memories. Forgets images as `clear` does.
    load_done : Signal(1), out
    load_refusal : Signal(8), out
        The end of a load, and why it failed: see `Intake`.
    clear : Signal(1), in
        Forgets all images that have no reading yet, but for one that is ready in this cycle; not
        while words are loaded.
    image_bytes : Signal(16), out
        Bytes of one image; 0 before there is a network.
    """

    pixels: stream.Interface
    tentative: Signal
    last_pixels: Signal
    readings: stream.Interface
    character: Signal
    load: stream.Interface
    load_done: Signal
    load_refusal: Signal
    clear: Signal
    image_bytes: Signal

    def __init__(self, shape: EngineShape, initial: MemoryImage | None = None) -> None:
        self.shape = shape
        self._initial = initial
        self._weights = WeightMemory(shape, initial.weight_values if initial else ())
        super().__init__(
            {
                "pixels": In(stream.Signature(8)),
                "tentative": In(1),
                "last_pixels": Out(1),
                "readings": Out(stream.Signature(CoreReading)),
                "character": Out(8),
                "load": In(stream.Signature(PacketByte)),
                "load_done": Out(1),
                "load_refusal": Out(8),
                "clear": In(1),
                "image_bytes": Out(IMAGE_BYTES_BITS),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        shape = self.shape
        initial_image_bytes = self._initial.image_bytes if self._initial else 0
        m.submodules.intake = intake = Intake(shape, initial_image_bytes)
        # The rest follows one cycle after the intake: that is far to go.
        forget = Signal()
        m.d.sync += forget.eq(intake.forgotten)
        sequencer, datapath = Sequencer(shape), Datapath(shape)
        collector, readout = Collector(shape), Readout(shape)
        m.submodules.sequencer = ResetInserter(forget)(sequencer)
        m.submodules.datapath = ResetInserter(forget)(datapath)
        m.submodules.collector = ResetInserter(forget)(collector)
        m.submodules.readout = ResetInserter(forget)(readout)

        wiring.connect(m, wiring.flipped(self.pixels), intake.pixels)
        wiring.connect(m, wiring.flipped(self.load), intake.load)
        m.d.comb += [
            self.load_done.eq(intake.load_done),
            self.load_refusal.eq(intake.load_refusal),
            intake.clear.eq(self.clear),
            self.last_pixels.eq(intake.last_pixels),
            self.image_bytes.eq(intake.image_bytes),
            sequencer.image_complete.eq(intake.image_complete),
            sequencer.image_complete_next.eq(intake.image_complete_next),
            sequencer.image_words.eq(intake.image_word),
            sequencer.image_word_comes.eq(intake.write_pixels),
            intake.image_done.eq(Mux(forget, 0, sequencer.image_done)),
        ]

        m.submodules.weights = weights = self._weights
        m.d.comb += [
            weights.write_address.eq(intake.address),
            weights.write_lane.eq(intake.lane),
            weights.write_data.eq(intake.word[intake.top_bytes(shape.weight_bytes)]),
            weights.write_enable.eq(intake.write_weights),
            weights.loading.eq(intake.loading),
            weights.read_address.eq(sequencer.weight_address),
            datapath.weights.eq(weights.read_data),
        ]
        parameter = self._parameters(m, intake, sequencer, datapath)
        self._activations(m, intake, sequencer, collector, datapath)
        m.d.comb += [
            datapath.xnor.eq(sequencer.xnor),
            datapath.step.eq(sequencer.step),
            collector.next_done.eq(datapath.next_done),
            collector.next_last.eq(datapath.next_last),
            collector.fires.eq(Cat(~margin[-1] for margin in datapath.margins)),
            sequencer.fires.eq(collector.fires),
            sequencer.next_done.eq(datapath.next_done),
            sequencer.next_last.eq(datapath.next_last),
            readout.next_done.eq(datapath.next_done),
            readout.next_last.eq(datapath.next_last),
            readout.last_layer.eq(sequencer.last_layer),
            readout.margins.eq(datapath.margins),
            readout.rows_left.eq(sequencer.rows_left),
            readout.kind.eq(sequencer.readout),
            readout.lane.eq(sequencer.lane),
            readout.prefix.eq(sequencer.prefix),
            sequencer.finished.eq(readout.finished),
            sequencer.winner.eq(readout.winner),
        ]
        self._result(m, sequencer, readout, parameter, forget)
        return m

    def _parameters(
        self, m: Module, intake: Intake, sequencer: Sequencer, datapath: Datapath
    ) -> Signal:
        """Connect the parameter memory; returns the first value of the word read."""
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
            "write_address": intake.address,
            "write_lane": intake.lane,
            "write_data": intake.word[intake.top_bytes(shape.parameter_bytes)],
            "write_enable": intake.write_parameters,
        }
        far_cycles = min(shape.skew_cycles, 1)  # thresholds lie where they are needed
        for name, value in written.items():
            m.d.comb += getattr(parameters, name).eq(delayed(m, value, far_cycles, name))
        m.d.comb += [
            parameters.read_address.eq(sequencer.parameter_address),
            parameters.read_enable.eq(sequencer.parameter_enable),
            first.eq(parameters.read_data),
            sequencer.parameter.eq(first),
            sequencer.need_thresholds.eq(datapath.need_thresholds),
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
        regions_words = len(Region) << (shape.row_words - 1).bit_length()
        m.submodules.activations = activations = Ram(
            shape.simd, regions_words, read_cycles=shape.read_cycles
        )
        m.d.comb += [
            # More often than need be, but known at the start of the cycle.
            intake.pixels_blocked.eq(datapath.soon_done),
            activations.write_enable.eq(collector.write | intake.write_pixels),
            activations.write_data.eq(intake.word[intake.top_bytes(shape.weight_bytes)]),
            activations.write_address.eq(Cat(intake.image_word, intake.image_buffer)),
            activations.read_address.eq(sequencer.activation_address),
            activations.read_enable.eq(1),
            datapath.activations.eq(activations.read_data),
        ]
        with m.If(collector.write):
            m.d.comb += [
                activations.write_data.eq(collector.word),
                activations.write_address.eq(Cat(collector.word_address, sequencer.write_region)),
            ]

    def _result(
        self, m: Module, sequencer: Sequencer, readout: Readout, parameter: Signal, void: Value
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
        with m.If((sequencer.result | kept_back) & ~self.tentative & ~void):
            m.d.sync += [
                self.readings.valid.eq(1),
                self.character.eq(readout.code),
                kept_back.eq(0),
            ]
            with m.If(sequencer.readout == ReadoutNumber.NEAREST):
                m.d.sync += self.character.eq(parameter[:CODE_BITS])
        with m.If(void):
            m.d.sync += kept_back.eq(0)
