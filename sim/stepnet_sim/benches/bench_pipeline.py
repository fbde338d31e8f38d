"""The pipeline against the reference, to the cycle: back to back, with gaps, and cancelled; and
between two streams, of which either may wait."""

from typing import Any

import cocotb
import numpy as np
from cocotb.triggers import RisingEdge

from stepnet.networks import lut
from stepnet.networks.network import Readout
from stepnet_hdl.cores.pipeline.table_pipeline import table_latency_cycles
from stepnet_sim.benches.designs import NEIGHBOURHOODS, STREAMED_PIXELS, table_networks
from stepnet_sim.benches.streams import (
    IDLE_SHARES,
    Part,
    Pauses,
    Scoreboard,
    StreamDriver,
    StreamMonitor,
    StreamReader,
    seeded_random,
    start,
)

IMAGES = 300

STREAMED_IMAGES = 80
"""Several times as many as there is room for."""

CANCELLED_SHARE = 0.02
"""In what part of all cycles everything on its way is cancelled."""


class CharacterMonitor:
    """Writes down what every cycle shows at both ends."""

    def __init__(self, pipeline: Part) -> None:
        self.taken: list[int | None] = []
        self.cancelled: list[bool] = []
        self.given: list[int | None] = []
        cocotb.start_soon(self._run(pipeline))

    async def _run(self, pipeline: Part) -> None:
        while True:
            await RisingEdge(pipeline.clk)
            self.taken.append(int(pipeline.pixels.value) if int(pipeline.valid.value) else None)
            self.cancelled.append(bool(int(pipeline.cancel.value)))
            is_new = int(pipeline.character_valid.value)
            self.given.append(int(pipeline.character.value) if is_new else None)


@cocotb.test()
@cocotb.parametrize(
    readout=list(Readout),
    neighbourhoods=NEIGHBOURHOODS,
    idle_share=IDLE_SHARES,
    cancels=(False, True),
)
async def every_image_gives_its_character(
    dut: Any, readout: Readout, neighbourhoods: int, idle_share: float, cancels: bool
) -> None:
    rng = seeded_random()
    pauses = Pauses(rng, idle_share)
    pipeline = Part(dut, f"pipeline_{readout}_{neighbourhoods}")
    network = table_networks()[readout]
    latency_cycles = table_latency_cycles(network, neighbourhoods=neighbourhoods)

    pipeline.valid.value, pipeline.cancel.value, pipeline.pixels.value = 0, 0, 0
    await start(dut)
    monitor = CharacterMonitor(pipeline)
    left = IMAGES
    while left:
        comes = not pauses.now()
        left -= comes
        pipeline.valid.value = int(comes)
        pipeline.pixels.value = rng.getrandbits(network.height * network.width)
        pipeline.cancel.value = int(cancels and rng.random() < CANCELLED_SHARE)
        await RisingEdge(dut.clk)
    pipeline.valid.value, pipeline.cancel.value = 0, 0
    for _ in range(latency_cycles + 2):
        await RisingEdge(dut.clk)

    expected: list[int | None] = [None] * len(monitor.given)
    for cycle, word in enumerate(monitor.taken):
        arrives = cycle + latency_cycles
        if word is not None and not any(monitor.cancelled[cycle:arrives]):
            expected[arrives] = _code(network, word)
    assert monitor.given == expected
    assert any(monitor.cancelled) == cancels
    assert len({code for code in expected if code is not None}) > 3


@cocotb.test()
@cocotb.parametrize(
    pixels_per_cycle=list(STREAMED_PIXELS), idle_share=IDLE_SHARES, reader_idle_share=IDLE_SHARES
)
async def whoever_waits_every_image_gives_its_character(
    dut: Any, pixels_per_cycle: int, idle_share: float, reader_idle_share: float
) -> None:
    rng = seeded_random()
    pipeline = Part(dut, f"streamed_{pixels_per_cycle}")
    network = table_networks()[Readout.NEAREST]
    pixels, characters = pipeline.stream("pixels"), pipeline.stream("characters")
    driver = StreamDriver(pixels, Pauses(rng, idle_share))
    characters.ready.value = 0
    await start(dut)
    scoreboard = Scoreboard("characters")
    StreamMonitor(characters, lambda transfer: scoreboard.check(transfer.payload))
    StreamReader(characters, Pauses(rng, reader_idle_share))
    for _ in range(STREAMED_IMAGES):
        image = rng.getrandbits(network.height * network.width)
        scoreboard.expect(_code(network, image))
        for first in range(0, network.height * network.width, pixels_per_cycle):
            await driver.send(image >> first & (1 << pixels_per_cycle) - 1)
    await scoreboard.finished(pipeline.clk, max_cycles=1_000, quiet_cycles=100)


def _code(network: lut.LutNetwork, word: int) -> int:
    bits = [word >> place & 1 for place in range(network.height * network.width)]
    image = np.array(bits, dtype=bool).reshape(1, network.height, network.width)
    return int(lut.infer(network, image)[0])
