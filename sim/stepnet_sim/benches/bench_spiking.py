"""The spiking core against the reference: characters, margins and cycles, whatever pauses, and with
images that are broken off."""

from typing import Any

import cocotb
import numpy as np
from cocotb.triggers import ClockCycles

from stepnet.cores.spiking.contents import coded_bytes, spiking_shape
from stepnet.cores.spiking.cycles import image_cycles
from stepnet.networks import spiking
from stepnet.networks.random_networks import random_images
from stepnet.networks.spiking import encode
from stepnet_hdl.cores.interface import CANCEL_CYCLES, SpikingReading
from stepnet_sim.benches.designs import SPIKING_LANES, SPIKING_WALKS, spiking_networks
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

IMAGES = 8


@cocotb.test()
@cocotb.parametrize(core=list(SPIKING_WALKS), idle_share=IDLE_SHARES)
async def every_image_gives_its_reading(dut: Any, core: str, idle_share: float) -> None:
    rng = seeded_random()
    part, network = Part(dut, f"spiking_{core}"), spiking_networks()[core]
    part.cancel.value = part.tentative.value = part.readings__ready.value = 0
    pixels = StreamDriver(part.stream("pixels"), Pauses(rng, idle_share))
    await start(dut)
    scoreboard = Scoreboard("readings")
    readings = part.stream("readings")
    StreamMonitor(readings, lambda transfer: scoreboard.check(transfer.payload))
    StreamReader(readings, Pauses(rng, idle_share))
    images = random_images(np.random.default_rng(rng.getrandbits(32)), network, IMAGES)
    images[0] = 0  # words without spikes
    coded = encode(network, images)
    shape = spiking_shape(network, SPIKING_LANES)
    cycles = image_cycles(network, shape, SPIKING_WALKS[core], coded).tolist()
    spikes = spiking.spike_counts(network, images)
    codes, margins = spiking.infer(network, images).tolist(), spiking.margin(network, images)
    for number, image in enumerate(coded):
        sent = coded_bytes(network, image)
        if number % 2:
            for byte in sent[: rng.randrange(1, len(sent))]:
                await pixels.send(byte)
            part.cancel.value = 1
            await ClockCycles(part.clk, 1)
            part.cancel.value = 0
            await ClockCycles(part.clk, CANCEL_CYCLES)
        reading = {"code": codes[number], "margin": int(margins[number]), "cycles": cycles[number]}
        told: dict[int | str, int] = {"overrun": 0, "spikes": spikes[number].total}
        scoreboard.expect(SpikingReading.const({**told, **reading}).as_value().value)
        for byte in sent:
            await pixels.send(byte)
        await scoreboard.drained(100 + 100 * cycles[number])
        assert part.character.value == codes[number]
    await scoreboard.finished(part.clk, max_cycles=1, quiet_cycles=1_000)
