"""The engine: a core that runs any step network it is loaded with."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from stepnet.engine import IMAGE_BYTES_BITS, EngineShape
from stepnet_hdl.cobs import PacketByte
from stepnet_hdl.collector import Collector
from stepnet_hdl.core import CYCLES_BITS, CoreReading
from stepnet_hdl.datapath import Datapath
from stepnet_hdl.intake import Intake
from stepnet_hdl.ram import Ram
from stepnet_hdl.sequencer import Region, Sequencer
from stepnet_hdl.weight_memory import WeightMemory


class Engine(wiring.Component):
    """Infers images with the network in its memories, laid out as in `stepnet.engine`.

    Weights and activations meet in a `Datapath` one word of SIMD bits per cycle, in the order of a
    `Sequencer`; a `Collector` gathers the results, and an `Intake` takes in pixels and the words of
    a network. The register holds a new character `stepnet.engine.cycles_per_image` cycles after
    the transfer of an image's last pixels, if the engine was idle then. The next image is received
    meanwhile.

    Members
    -------
    pixels : stream of 8 bits, in
        Packed images, row by row, first pixel in bit 0; `image_bytes` bytes each.
    readings : stream of CoreReading, out
        One per image, in order.
    character : Signal(8), out
        The character register: the code of the latest image until the next one's is ready.
    load : stream of PacketByte, in
        Words for the memories. Only while no image is being computed.
    load_done : Signal(1), out
    load_refusal : Signal(8), out
        The end of a load, and why it failed: see `Intake`.
    clear : Signal(1), in
        Forgets images that are not being computed yet.
    image_bytes : Signal(16), out
        Bytes of one image; 0 before a network is loaded.
    """

    pixels: stream.Interface
    readings: stream.Interface
    character: Signal
    load: stream.Interface
    load_done: Signal
    load_refusal: Signal
    clear: Signal
    image_bytes: Signal

    def __init__(self, shape: EngineShape) -> None:
        self.shape = shape
        super().__init__(
            {
                "pixels": In(stream.Signature(8)),
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
        m.submodules.intake = intake = Intake(shape)
        m.submodules.sequencer = sequencer = Sequencer(shape)
        m.submodules.datapath = datapath = Datapath(shape)
        m.submodules.collector = collector = Collector(shape)

        wiring.connect(m, wiring.flipped(self.pixels), intake.pixels)
        wiring.connect(m, wiring.flipped(self.load), intake.load)
        m.d.comb += [
            self.load_done.eq(intake.load_done),
            self.load_refusal.eq(intake.load_refusal),
            intake.clear.eq(self.clear),
            self.image_bytes.eq(intake.image_bytes),
            sequencer.image_complete.eq(intake.image_complete),
            intake.image_done.eq(sequencer.image_done),
        ]

        m.submodules.weights = weights = WeightMemory(shape)
        m.d.comb += [
            weights.write_address.eq(intake.address),
            weights.write_data.eq(intake.word[intake.top_bytes(shape.weight_bytes)]),
            weights.write_enable.eq(intake.write_weights),
            weights.read_address.eq(sequencer.weight_address),
            datapath.weights.eq(weights.read_data),
        ]

        m.submodules.parameters = parameters = Ram(shape.parameter_bits, shape.parameter_words)
        m.d.comb += [
            parameters.write_address.eq(intake.address),
            parameters.write_data.eq(intake.word[intake.top_bytes(shape.parameter_bytes)]),
            parameters.write_enable.eq(intake.write_parameters),
            parameters.read_address.eq(sequencer.parameter_address),
            parameters.read_enable.eq(sequencer.parameter_enable),
            sequencer.parameter.eq(parameters.read_data),
            sequencer.need_threshold.eq(datapath.need_threshold),
            datapath.threshold.eq(parameters.read_data[: shape.sum_bits]),
        ]
        # One cycle later, as the margin.
        m.d.sync += collector.row_code.eq(parameters.read_data[shape.value_bits :])

        regions_words = len(Region) << (shape.row_words - 1).bit_length()
        m.submodules.activations = activations = Ram(shape.simd, regions_words)
        m.d.comb += [
            intake.pixels_blocked.eq(collector.write),
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

        m.d.comb += [
            datapath.xnor.eq(sequencer.xnor),
            datapath.step.eq(sequencer.step),
            collector.done.eq(datapath.done),
            collector.margin.eq(datapath.margin),
            collector.last.eq(datapath.last),
            collector.readout.eq(sequencer.readout),
            collector.prefix.eq(sequencer.prefix),
            sequencer.decided.eq(datapath.done),
            sequencer.fires.eq(collector.fires),
            sequencer.last_decided.eq(datapath.done & datapath.last),
        ]
        self._result(m, sequencer, collector)
        return m

    def _result(self, m: Module, sequencer: Sequencer, collector: Collector) -> None:
        cycles = Signal(CYCLES_BITS)
        m.d.sync += cycles.eq(cycles + 1)
        with m.If(sequencer.start):
            # `start` is one cycle after the last pixel; the register changes one cycle after its
            # last bit.
            m.d.sync += cycles.eq(3)

        # Without a look at `ready`, which would reach from the link into the sequencer.
        m.d.comb += sequencer.result_free.eq(~self.readings.valid)
        with m.If(self.readings.ready):
            m.d.sync += self.readings.valid.eq(0)
        with m.If(sequencer.last_decided & (sequencer.last_layer | sequencer.overrun)):
            m.d.sync += [
                self.readings.valid.eq(1),
                self.readings.p.code.eq(collector.code),
                self.readings.p.cycles.eq(cycles),
                self.readings.p.overrun.eq(sequencer.overrun),
                self.character.eq(collector.code),
            ]
