"""The multiply-accumulate core against the reference: characters and cycles of networks that are
loaded one over the other."""

from typing import Any

import cocotb
import numpy as np
from cocotb.triggers import RisingEdge

from stepnet.cores.mac.cycles import cycles_per_image
from stepnet.cores.mac.layout import weight_image
from stepnet.networks import kinds
from stepnet.networks.network import Readout
from stepnet.networks.random_networks import random_relu_network, random_sigmoid_network
from stepnet_hdl.blocks.streams import PacketByte
from stepnet_hdl.cores.interface import CoreReading
from stepnet_sim.benches.designs import MAC_SHAPES
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

NETWORKS = (
    ((36, 9, 5), Readout.NEAREST),
    ((36, 20, 17, 7), Readout.BITS),
    ((36, 15), Readout.TREE),
)
"""Sizes of the networks that each core is loaded with, and the readouts of those that have a
choice; images are 6 pixels high."""

IMAGES = 6


@cocotb.test()
@cocotb.parametrize(core=list(MAC_SHAPES), idle_share=IDLE_SHARES)
async def every_image_gives_its_reading(dut: Any, core: str, idle_share: float) -> None:
    rng = seeded_random()
    mac, shape = Part(dut, f"mac_{core}"), MAC_SHAPES[core]
    mac.cancel.value = mac.tentative.value = mac.readings__ready.value = 0
    pixels = StreamDriver(mac.stream("pixels"), Pauses(rng, idle_share))
    loads = StreamDriver(mac.stream("load"), Pauses(rng, idle_share))
    await start(dut)
    scoreboard = Scoreboard("readings")
    readings = mac.stream("readings")
    StreamMonitor(readings, lambda transfer: scoreboard.check(transfer.payload))
    StreamReader(readings, Pauses(rng, idle_share))
    for sizes, readout in NETWORKS:
        random = np.random.default_rng(rng.getrandbits(32))
        if shape.sigmoid:
            prefix = "011" if readout is Readout.TREE else ""
            network = random_sigmoid_network(random, sizes, 6, readout, prefix)
        else:
            network = random_relu_network(random, sizes, height=6)
        for piece in weight_image(network, shape).loads(rng.randrange(20, 200)):
            body = piece.address.to_bytes(3, "little") + bytes([piece.space]) + piece.words
            for number, byte in enumerate(body):
                last = number == len(body) - 1
                await loads.send(PacketByte.const({"data": byte, "last": last}).as_value().value)
            while mac.load_done.value != 1:
                await RisingEdge(dut.clk)
            assert mac.load_refusal.value == 0
        images = random.integers(0, 2, (IMAGES, 6, 6)) == 1
        cycles = cycles_per_image(network, shape)
        for image, code in zip(images, kinds.infer(network, images).tolist(), strict=True):
            reading = CoreReading.const({"code": code, "margin": 0, "cycles": cycles, "overrun": 0})
            scoreboard.expect(reading.as_value().value)
            for byte in np.packbits(image, bitorder="little").tolist():
                await pixels.send(byte)
        await scoreboard.drained(IMAGES * 100 * cycles)
    await scoreboard.finished(mac.clk, max_cycles=1, quiet_cycles=1_000)
