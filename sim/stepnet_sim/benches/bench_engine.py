"""The engine against the reference: characters, cycles, the character register, and loading."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import cocotb
import numpy as np
from cocotb.triggers import ClockCycles, RisingEdge

from stepnet.link.messages import Refusal, Space
from stepnet.networks.network import Network, Readout
from stepnet.networks.random_networks import (
    RandomMap,
    random_convolution_network,
    random_network,
)
from stepnet_hdl.blocks.streams import PacketByte
from stepnet_hdl.cores.engine.engine import Engine
from stepnet_hdl.cores.interface import CoreReading
from stepnet_sim.benches.coverage import cover
from stepnet_sim.benches.designs import ENGINE_SHAPES
from stepnet_sim.benches.networks import Program
from stepnet_sim.benches.streams import (
    Part,
    Pauses,
    Scoreboard,
    StreamDriver,
    StreamMonitor,
    StreamReader,
    Transfer,
    cycle_before,
    seeded_random,
    start,
)

NETWORKS = {
    "narrow": (
        ((1, 8), (1,), Readout.BITS),
        ((13, 5, 7), (1, 8), Readout.TREE),
        ((21, 10), (3,), Readout.NEAREST),
        ((20, 6, 9, 8), (5, 6, 7), Readout.BITS),
        ((40, 9, 16, 7), (1, 2, 1), Readout.BITS),
    ),
    "wide": (
        ((50, 25, 23, 48, 7), (4, 1, 3, 1), Readout.BITS),
        ((30, 1, 26), (2, 1), Readout.NEAREST),
        ((25, 15), (2,), Readout.TREE),
        ((96, 24, 8), (1, 1), Readout.BITS),
    ),
    "parallel": (
        ((50, 25, 23, 48, 7), (1, 1, 3, 1), Readout.BITS),
        ((33, 26, 31), (1, 2), Readout.TREE),
        ((40, 30, 50), (1, 2), Readout.NEAREST),
    ),
    "maps": (((20, 9, 7), (1, 2), Readout.BITS),),
    "pairs": (((20, 30, 7), (1, 2), Readout.BITS),),
}
"""Layer sizes, weight bits and readout, per engine; most sizes are no multiple of its SIMD."""

CONVOLUTIONS = {
    "maps": (
        (6, 5, [RandomMap(5, 2, pool=True), RandomMap(18, 2)]),
        (5, 4, [RandomMap(4, 3, 2, 2, weight_bits=3)]),
        (
            5,
            5,
            [RandomMap(3, 2, padding=1), RandomMap(9, 3, padding=2, pool=True), RandomMap(2, 1)],
        ),
    ),
    "pairs": (
        (6, 5, [RandomMap(5, 2, pool=True), RandomMap(18, 2)]),
        (5, 6, [RandomMap(18, 3, padding=1), RandomMap(20, 2, 2), RandomMap(3, 2)]),
        (5, 6, [RandomMap(4, 3, 2, 2, weight_bits=3), RandomMap(3, 1)]),
    ),
}
"""Height, width and convolutions of further networks, per engine."""

IMAGES = 4


def networks(engine: str, rng: np.random.Generator) -> Iterator[Network]:
    """The networks that an engine runs, with random weights."""
    for sizes, weight_bits, readout in NETWORKS[engine]:
        yield random_network(rng, sizes, weight_bits, readout)
    for height, width, maps in CONVOLUTIONS.get(engine, ()):
        yield random_convolution_network(rng, height, width, maps)


class Pace(NamedTuple):
    """In what part of the time each side pauses."""

    loads: float
    pixels: float
    readings: float


PACES = {
    "full_rate": Pace(0.0, 0.0, 0.0),
    "random": Pace(0.4, 0.4, 0.4),
    # A reading stays unread for longer than some images take.
    "slow_reader": Pace(0.0, 0.0, 0.98),
}

MAX_CYCLES = 10_000
"""More cycles than all images of a network take, pauses included."""

QUIET_CYCLES = 700
"""How long nothing more may come at the end: longer than any image takes."""


class LoadDriver:
    """Loads memory words, and gives what the engine says of each load."""

    def __init__(self, engine: Part, pauses: Pauses) -> None:
        self._engine = engine
        self._bytes = StreamDriver(engine.stream("load"), pauses)

    async def load(self, space: int, address: int, words: bytes) -> int:
        """Send one load; returns 0 or its refusal."""
        body = address.to_bytes(3, "little") + bytes([space]) + words
        for number, byte in enumerate(body):
            last = number == len(body) - 1
            assert self._engine.load_done.value == 0
            await self._bytes.send(PacketByte.const({"data": byte, "last": last}).as_value().value)
        for _ in range(Engine.load_cycles - 1):
            await RisingEdge(self._engine.clk)
            assert self._engine.load_done.value == 0
        await RisingEdge(self._engine.clk)
        assert self._engine.load_done.value == 1
        refusal = self._engine.load_refusal.value.to_unsigned()
        if refusal:
            cover("engine: load refused", Refusal(refusal).name)
        await RisingEdge(self._engine.clk)
        assert self._engine.load_done.value == 0
        return refusal

    async def load_program(self, program: Program) -> None:
        """Load a whole network."""
        memory = program.memory
        assert await self.load(Space.PARAMETERS, 0, memory.parameters.tobytes()) == 0
        assert await self.load(Space.WEIGHTS, 0, memory.weights.tobytes()) == 0


class RegisterMonitor:
    """Writes down each change of the character register and its cycle."""

    def __init__(self, engine: Part) -> None:
        self.changes: list[tuple[int, int]] = []
        cocotb.start_soon(self._run(engine))

    async def _run(self, engine: Part) -> None:
        last = 0
        while True:
            await RisingEdge(engine.clk)
            value = engine.character.value.to_unsigned()
            if value != last:
                self.changes.append((cycle_before(), value))
                last = value


class EngineBench:
    """Drivers and monitors around one engine."""

    def __init__(self, dut: Any, name: str, pace: Pace) -> None:
        self.rng = seeded_random()
        self._pace = pace
        self.engine = Part(dut, f"engine_{name}")
        self.engine.cancel.value = 0
        self.engine.tentative.value = 0
        self.engine.readings__ready.value = 0
        self.loader = LoadDriver(self.engine, Pauses(self.rng, pace.loads))
        self._pixels = StreamDriver(self.engine.stream("pixels"), Pauses(self.rng, pace.pixels))
        self.scoreboard = Scoreboard("readings")
        self.readings: list[Transfer] = []

    async def start(self, dut: Any) -> None:
        """Reset, then take readings and watch the register."""
        await start(dut)
        readings = self.engine.stream("readings")
        StreamReader(readings, Pauses(self.rng, self._pace.readings))
        StreamMonitor(readings, self._take)
        self._register = RegisterMonitor(self.engine)

    def _take(self, transfer: Transfer) -> None:
        reading = CoreReading.from_bits(transfer.payload)
        assert reading.overrun == 0
        self.scoreboard.check((reading.code, reading.margin))
        self.readings.append(transfer)

    async def send(self, pixels: bytes) -> list[int]:
        """Send packed pixels; returns the cycle in which each byte was taken."""
        return [await self._pixels.send(byte) for byte in pixels]

    async def finish(self) -> None:
        """See that all readings came, that nothing more does, and what the register did."""
        await self.scoreboard.finished(self.engine.clk, MAX_CYCLES, QUIET_CYCLES)
        assert self._register.changes == self._expected_changes()

    def _expected_changes(self) -> list[tuple[int, int]]:
        """The register takes the code of each reading in the cycle in which that is offered."""
        changes: list[tuple[int, int]] = []
        value = 0
        for reading in self.readings:
            code = CoreReading.from_bits(reading.payload).code
            if code != value:
                changes.append((reading.offered, code))
                value = code
        return changes


def cover_run(program: Program, back_to_back: bool, pace: Pace) -> None:
    network = program.network
    cover("engine: readout", network.readout.value)
    cover("engine: layers", len(network.layers))
    for layer in network.layers:
        cover("engine: weight bits", layer.weight_bits)
        partly = layer.n_in % program.shape.simd
        cover("engine: last word of a row", "partly filled" if partly else "full")
        if layer.convolution:
            seen = layer.convolution
            cover("engine: convolution over", "a map" if seen.channels > 1 else "an image")
            cover("engine: stride", seen.stride)
            cover("engine: padding", "yes" if seen.padding else "no")
            cover("engine: pooling", "yes" if seen.pool else "no")
            cover("engine: windows at once", program.shape.map_windows)
    cover("engine: images", "back to back" if back_to_back else "one by one")
    pausing = [name for name, share in pace._asdict().items() if share]
    for name in pausing or ["nobody"]:
        cover("engine: pauses", name)


@cocotb.test()
@cocotb.parametrize(engine=tuple(ENGINE_SHAPES), back_to_back=(False, True), pace=tuple(PACES))
async def every_image_gets_its_character_in_time(
    dut: Any, engine: str, back_to_back: bool, pace: str
) -> None:
    bench = EngineBench(dut, engine, PACES[pace])
    numbers = np.random.default_rng(bench.rng.getrandbits(32))
    await bench.start(dut)
    count = 0
    for network in networks(engine, numbers):
        count += 1
        program = Program(network, ENGINE_SHAPES[engine])
        cover_run(program, back_to_back, PACES[pace])
        await bench.loader.load_program(program)
        assert bench.engine.image_bytes.value.to_unsigned() == -(-network.sizes[0] // 8)

        arrivals: list[list[int]] = []
        for image in program.random_images(numbers, IMAGES):
            bench.scoreboard.expect((program.code(image), program.margin(image)))
            arrivals.append(await bench.send(image))
            if not back_to_back:
                await bench.scoreboard.drained(MAX_CYCLES)
        await bench.scoreboard.drained(MAX_CYCLES)
        await ClockCycles(dut.clk, bench.rng.randrange(1, 10))

        idle_from = 0
        for taken, reading in zip(arrivals, bench.readings[-IMAGES:], strict=True):
            if idle_from <= taken[0]:
                cycles = program.cycles_after(taken)
                assert reading.offered - taken[-1] == cycles
                assert CoreReading.from_bits(reading.payload).cycles == cycles
            idle_from = reading.taken
    assert bench.scoreboard.checked == IMAGES * count
    await bench.finish()


@cocotb.test()
@cocotb.parametrize(engine=tuple(ENGINE_SHAPES))
async def the_next_image_may_come_in_any_cycle_of_a_computation(dut: Any, engine: str) -> None:
    bench = EngineBench(dut, engine, PACES["full_rate"])
    numbers = np.random.default_rng(bench.rng.getrandbits(32))
    await bench.start(dut)
    shape = ENGINE_SHAPES[engine]
    network = random_network(numbers, (shape.simd, 2 * shape.simd, 8), (1, 1))
    if engine in CONVOLUTIONS:
        network = random_convolution_network(numbers, 4, 4, [RandomMap(3, 2, pool=True)])
    program = Program(network, shape)
    await bench.loader.load_program(program)
    for delay_cycles in range(program.cycles):
        early, late = program.random_images(numbers, 2)
        bench.scoreboard.expect((program.code(early), program.margin(early)))
        bench.scoreboard.expect((program.code(late), program.margin(late)))
        await bench.send(early)
        if delay_cycles:
            await ClockCycles(dut.clk, delay_cycles)
        await bench.send(late)
        await bench.scoreboard.drained(MAX_CYCLES)
    await bench.finish()


@cocotb.test()
@cocotb.parametrize(engine=tuple(ENGINE_SHAPES), pace=("full_rate", "random"))
async def a_bad_load_is_refused_and_a_half_image_forgotten(
    dut: Any, engine: str, pace: str
) -> None:
    bench = EngineBench(dut, engine, PACES[pace])
    numbers = np.random.default_rng(bench.rng.getrandbits(32))
    await bench.start(dut)
    shape = ENGINE_SHAPES[engine]
    *_, network = networks(engine, numbers)
    program = Program(network, shape)
    await bench.loader.load_program(program)

    weight, parameter = bytes(shape.weight_bytes), bytes(shape.parameter_bytes)
    beyond_weights = shape.weight_words << shape.weight_lane_bits
    beyond_parameters = shape.parameter_words << shape.parameter_lane_bits
    last = (shape.weight_words - 1 << shape.weight_lane_bits) + shape.pe - 1
    load = bench.loader.load
    assert await load(Space.WEIGHTS, last, weight) == 0
    assert await load(Space.WEIGHTS, last, 2 * weight) == Refusal.OUT_OF_RANGE
    assert await load(Space.WEIGHTS, beyond_weights, weight) == Refusal.OUT_OF_RANGE
    assert await load(Space.PARAMETERS, beyond_parameters, parameter) == Refusal.OUT_OF_RANGE
    assert await load(Space.PARAMETERS, 1 << 23, parameter) == Refusal.OUT_OF_RANGE
    assert await load(max(Space) + 1, 0, parameter) == Refusal.OUT_OF_RANGE
    assert await load(Space.PARAMETERS, 1, parameter + parameter[:-1]) == Refusal.WRONG_LENGTH
    for image_bytes in (0, shape.max_inputs // 8 + 1):
        word = image_bytes.to_bytes(shape.parameter_bytes, "little")
        assert await load(Space.PARAMETERS, 0, word) == Refusal.OUT_OF_RANGE
    await bench.loader.load_program(program)

    for image in program.random_images(numbers, IMAGES):
        await bench.send(image[: bench.rng.randrange(len(image))])
        bench.engine.cancel.value = 1
        await RisingEdge(dut.clk)
        bench.engine.cancel.value = 0
        cover("engine: half an image forgotten", "yes")
        bench.scoreboard.expect((program.code(image), program.margin(image)))
        await bench.send(image)
        await bench.scoreboard.drained(MAX_CYCLES)
    await bench.finish()
