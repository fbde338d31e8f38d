"""The multiply-accumulate core: its memories, its lanes, and what the chip sees of it."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, ResetInserter, Signal, Value
from amaranth.lib import wiring

from stepnet.cores.mac.layout import weight_image
from stepnet.cores.mac.program import MacNetwork
from stepnet.cores.mac.shape import SUM_BITS, MacShape
from stepnet.link.messages import Core
from stepnet.networks.relu import LARGEST_ACTIVATION
from stepnet_hdl.blocks.ram import Ram
from stepnet_hdl.cores.interface import CYCLES_BITS, InferenceCore
from stepnet_hdl.cores.mac.accumulators import Accumulators
from stepnet_hdl.cores.mac.choice import ChosenNumber
from stepnet_hdl.cores.mac.largest_sum import LargestSum
from stepnet_hdl.cores.mac.load_intake import MacLoadIntake
from stepnet_hdl.cores.mac.products import ACTIVATION_BITS, Products
from stepnet_hdl.cores.mac.requantiser import Requantiser
from stepnet_hdl.cores.mac.sequencer import GROUP_BITS, MacSequencer
from stepnet_hdl.cores.mac.sigmoid import Sigmoid
from stepnet_hdl.cores.mac.weight_memory import WeightMemory

PIXELS_PER_BYTE = 8
LANE_CYCLES = WeightMemory.latency_cycles + Products.latency_cycles
"""Cycles from the last address of a word of weights until its products are added."""


class Mac(InferenceCore):
    """Computes ReLU networks, or sigmoid networks if `shape` says so, `shape.lanes` neurons side by
    side: in each cycle one activation is multiplied with a weight of each of them.

    It takes `stepnet.cores.mac.cycles.cycles_per_image` from the transfer of the last pixels to the
    character register. The code of an image that is still tentative waits before the register, and
    its reading says as many cycles all the same. No pixels are taken from the last ones of an image
    until its reading was. The margin is not computed and reads 0.

    network: that it holds at power-on; None for none. NetworkError if it does not fit, ValueError
        if `shape` has single-port memory, which no bitstream fills.
    """

    def __init__(self, shape: MacShape, network: MacNetwork | None = None) -> None:
        self.shape = shape
        image = None if network is None else weight_image(network, shape)
        if image is not None and shape.wide_words is not None:
            raise ValueError("Single-port memory holds nothing at power-on; give no network.")
        self._init = [] if image is None else image.values
        self._image_bytes = 0 if image is None else image.image_bytes
        super().__init__(
            Core.MAC_SIGMOID if shape.sigmoid else Core.MAC,
            identity_fields={
                "simd": shape.lanes,
                "max_inputs": shape.max_pixels,
                "weight_words": shape.weight_words,
                "parameter_words": shape.max_hidden,
                "max_weight_bits": 8,
                "sum_bits": SUM_BITS,
            },
            takes_loads=True,
            built_in_digest=None if image is None else image.digest,
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        shape = self.shape
        m.submodules.load_intake = intake = MacLoadIntake(shape, self._image_bytes)
        m.submodules.weights = weights = WeightMemory(shape, self._init)
        m.submodules.state = state = Ram(8, 4 * shape.max_hidden)
        sequencer = MacSequencer(shape)
        m.submodules.sequencer = ResetInserter(self.cancel)(sequencer)
        wiring.connect(m, wiring.flipped(self.load), intake.load)
        fetch = Signal()
        m.d.sync += fetch.eq(sequencer.reads)
        m.d.comb += [
            self.load_done.eq(intake.done),
            self.load_refusal.eq(intake.refusal),
            self.image_bytes.eq(intake.image_bytes),
            weights.loading.eq(intake.loading),
            weights.write_address.eq(intake.address),
            weights.write_lane.eq(intake.lane),
            weights.write_data.eq(intake.data),
            weights.write_enable.eq(intake.write),
            weights.address.eq(sequencer.address),
            weights.upper.eq(sequencer.upper),
            weights.fetch.eq(fetch),
            weights.is_wide.eq(sequencer.is_wide),
            sequencer.word.eq(weights.word),
        ]
        activation = self._activation(m, sequencer, state)
        self._lanes(m, sequencer, weights, activation, state)
        self._images(m, sequencer, state, intake.loading)
        return m

    def _activation(self, m: Module, sequencer: MacSequencer, state: Ram) -> Signal:
        """Return what a step multiplies with, `WeightMemory.latency_cycles` after it is asked
        for: a pixel, an answer of the layer below, or a constant."""
        index = sequencer.index
        place_bits = len(state.read_address)
        byte = Cat(index[3:], 0)[: place_bits - 1]
        below = Cat(index[: place_bits - 2], sequencer.parity)
        m.d.comb += [
            state.read_enable.eq(1),
            state.read_address.eq(
                Mux(sequencer.of_pixels, Cat(byte, 1), Cat(below[: place_bits - 1], 0))
            ),
        ]
        pixel = Signal(3)
        is_input, is_one, of_pixels = Signal(), Signal(), Signal()
        m.d.sync += [
            pixel.eq(index[:3]),
            is_input.eq(sequencer.is_input),
            is_one.eq(sequencer.is_one),
            of_pixels.eq(sequencer.of_pixels),
        ]
        activation = Signal(ACTIVATION_BITS)
        m.d.sync += activation.eq(
            Mux(
                is_input,
                Mux(of_pixels, state.read_data.bit_select(pixel, 1), state.read_data),
                Mux(is_one, 1, LARGEST_ACTIVATION),
            )
        )
        return activation

    def _lanes(
        self,
        m: Module,
        sequencer: MacSequencer,
        weights: WeightMemory,
        activation: Signal,
        state: Ram,
    ) -> None:
        """Multiply, add up, and take the sums of a group one after the other."""
        shape = self.shape
        m.submodules.products = products = Products(shape.lanes)
        m.submodules.accumulators = accumulators = Accumulators(shape.lanes)
        index_bits = GROUP_BITS + shape.lane_bits
        if shape.sigmoid:
            m.submodules.sigmoid = function = Sigmoid()
            m.submodules.chosen = chosen = ChosenNumber(index_bits)
            m.d.comb += chosen.choice.eq(sequencer.choice)
        else:
            m.submodules.requantiser = function = Requantiser()
            m.submodules.largest_sum = chosen = LargestSum(index_bits)
        adds = self._along(m, sequencer.multiplies, LANE_CYCLES, "adds")
        captures = self._along(m, sequencer.captures, LANE_CYCLES, "captures")
        drains = Signal()  # a sum is taken in this cycle
        left = Signal(range(shape.lanes))
        hidden = self._along(m, drains & ~sequencer.last_layer, function.latency_cycles, "hidden")
        with m.If(drains):
            m.d.sync += [left.eq(left - 1), drains.eq(left != 0)]
        with m.If(captures[-1]):
            m.d.sync += [left.eq(sequencer.neurons_minus_1), drains.eq(1)]
        with m.If(self.cancel):
            m.d.sync += drains.eq(0)
        answer = Signal(range(shape.max_hidden))
        m.d.comb += [
            products.weights.eq(weights.word),
            products.activation.eq(activation),
            accumulators.products.eq(products.products),
            accumulators.add.eq(adds[-1]),
            accumulators.capture.eq(captures[-1]),
            accumulators.shift.eq(drains),
            function.sum.eq(accumulators.sum),
            function.multiplier.eq(sequencer.multiplier),
            function.shift.eq(sequencer.shift),
            chosen.sum.eq(accumulators.sum),
            chosen.take.eq(drains & sequencer.last_layer),
            chosen.restart.eq(captures[-1] & sequencer.first_group),
            sequencer.best.eq(chosen.index),
            sequencer.drained.eq(drains & (left == 0)),
        ]
        # A register, because what it is made of lies far apart.
        m.d.sync += sequencer.settled.eq(~(Cat(captures).any() | drains | Cat(hidden).any()))
        with m.If(hidden[-1]):
            m.d.sync += answer.eq(answer + 1)
            m.d.comb += [
                state.write_address.eq(Cat(answer, sequencer.answers_parity, 0)),
                state.write_data.eq(function.activation),
                state.write_enable.eq(1),
            ]
        with m.If(captures[-1] & sequencer.first_group):
            m.d.sync += answer.eq(0)

    def _along(self, m: Module, flag: Value, cycles: int, name: str) -> list[Signal]:
        """Registers that follow each other behind a flag; no flag outlasts a cancelled image."""
        registers: list[Signal] = []
        for cycle in range(cycles):
            register = Signal(name=f"{name}_{cycle + 1}")
            m.d.sync += register.eq(flag & ~self.cancel)
            registers.append(register)
            flag = register
        return registers

    def _images(self, m: Module, sequencer: MacSequencer, state: Ram, loading: Value) -> None:
        """Take the pixels of an image, have it computed, and offer its reading."""
        accumulators = m.submodules.accumulators
        byte = Signal(range(self.shape.max_pixels // PIXELS_PER_BYTE))
        cycles = Signal(CYCLES_BITS)
        overrun = Signal()
        starts = Signal()  # a register, because `pixels` comes from far
        m.d.sync += starts.eq(0)
        m.d.comb += [
            sequencer.start.eq(starts),
            self.readings.p.code.eq(self.character),
            self.readings.p.cycles.eq(cycles),
            self.readings.p.overrun.eq(overrun),
        ]
        taken = Signal()
        m.d.comb += taken.eq(self.pixels.valid & self.pixels.ready)
        self._find_last_byte(m, byte, taken)
        with m.FSM():
            with m.State("PIXELS"):
                m.d.comb += [
                    self.pixels.ready.eq(~loading),
                    accumulators.clear.eq(1),
                ]
                with m.If(taken):
                    m.d.comb += [
                        state.write_address.eq(Cat(byte, 0)[: len(state.write_address) - 1]),
                        state.write_address[-1].eq(1),
                        state.write_data.eq(self.pixels.p),
                        state.write_enable.eq(1),
                    ]
                    m.d.sync += byte.eq(byte + 1)
                    with m.If(self.last_pixels):
                        m.d.sync += starts.eq(1)
                        # The reading says how many cycles it took to the register, which comes
                        # after the last cycle that is counted.
                        m.d.sync += [byte.eq(0), cycles.eq(2)]
                        m.next = "COMPUTING"
            with m.State("COMPUTING"):
                with m.If(~sequencer.computed):
                    m.d.sync += cycles.eq(cycles + 1)
                with m.Elif(~self.tentative):
                    m.d.comb += sequencer.finish.eq(1)
                    m.d.sync += [self.character.eq(sequencer.code), overrun.eq(sequencer.overrun)]
                    m.next = "READING"
                with m.If(self.cancel):
                    m.next = "PIXELS"
            with m.State("READING"):
                m.d.comb += self.readings.valid.eq(1)
                with m.If(self.readings.ready):
                    m.next = "PIXELS"
        with m.If(self.cancel):
            m.d.sync += [byte.eq(0), starts.eq(0)]

    def _find_last_byte(self, m: Module, byte: Signal, taken: Signal) -> None:
        """Know a byte before that it is an image's last one, because much follows from it."""
        one_byte = Signal(init=self._image_bytes == 1)  # is all of an image
        last_but_one = Signal.like(self.image_bytes, init=max(0, self._image_bytes - 2))
        m.d.sync += [one_byte.eq(self.image_bytes == 1), last_but_one.eq(self.image_bytes - 2)]
        with m.If(taken):
            m.d.sync += self.last_pixels.eq(Mux(self.last_pixels, one_byte, byte == last_but_one))
        with m.If(self.cancel | (~taken & (byte == 0))):
            m.d.sync += self.last_pixels.eq(one_byte)
