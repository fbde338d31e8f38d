"""Runs a chip for one image in Amaranth's simulator and records every signal in it."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np
from amaranth.hdl import Fragment, MemoryData
from amaranth.sim import Simulator
from numpy.typing import NDArray

from stepnet.cores.engine.memory_image import MemoryImage, memory_image
from stepnet.cores.engine.shape import EngineShape
from stepnet.link import messages as protocol
from stepnet.link.frames import encode_frame
from stepnet.link.messages import Request, Space, pack_pixels
from stepnet.networks import reference
from stepnet.networks.network import Network
from stepnet.temporary import temporary_folder
from stepnet_hdl.chip.chip import Chip
from stepnet_hdl.cores.engine.engine import Engine
from stepnet_sim.waves.recording import Recording, read_vcd

LEAD_CYCLES = 4
"""How many cycles are recorded before the first byte of the image's message, and after the last
byte of the answer."""


def record(
    network: Network,
    image: NDArray[np.generic],
    shape: EngineShape,
    clock_hz: int,
    cycles_per_byte: int = 1,
) -> Recording:
    """Infer one image on a chip at its byte stream, from the message's first byte to the answer.

    The words of the network are put into the chip's memories, as loading them over the link would
    leave them; over the link come the first one, the commit and the image.

    image: (height, width), as in `reference.binarise`.
    cycles_per_byte: how far apart the bytes of the image's message arrive.

    Raises NetworkError if the network does not fit the shape, ImageError if the image does not fit
    the network.
    """
    memory = memory_image(network, shape)
    pixels = pack_pixels(reference.binarise(network, image[np.newaxis])[0])
    chip = Chip(Engine(shape), clock_hz)
    fragment = Fragment.get(chip, None)
    memories = dict(_memories(fragment))
    simulator = Simulator(fragment)
    starts_at_cycle = 0

    async def testbench(ctx: Any) -> None:
        nonlocal starts_at_cycle
        for data, words in _contents(memory, memories):
            for address, word in enumerate(words):
                ctx.set(data[address], word)
        ctx.set(chip.tx.ready, 1)
        for payload in _loading(memory):
            starts_at_cycle += await _send(ctx, chip, payload)
        await ctx.tick().repeat(LEAD_CYCLES)
        infer = protocol.INFER.pack(kind=Request.INFER, sequence=0)
        await _send(ctx, chip, infer + pixels, cycles_per_byte)
        await ctx.tick().repeat(LEAD_CYCLES)

    simulator.add_clock(1 / clock_hz)
    simulator.add_testbench(testbench)
    with temporary_folder() as folder:
        path = folder / "chip.vcd"
        with simulator.write_vcd(str(path)):
            simulator.run()
        with path.open() as file:
            return read_vcd(file, memories).since(starts_at_cycle)


async def _send(ctx: Any, chip: Chip, payload: bytes, cycles_per_byte: int = 1) -> int:
    """Send one message and await its answer; returns how many cycles that took."""
    cycle = 0
    pending = list(encode_frame(payload))
    answer_ended = False
    while pending or not answer_ended:
        offered = bool(pending) and cycle % cycles_per_byte == 0
        ctx.set(chip.rx.valid, offered)
        ctx.set(chip.rx.payload, pending[0] if offered else 0)
        _, _, ready, given, byte = await ctx.tick().sample(
            chip.rx.ready, chip.tx.valid, chip.tx.payload
        )
        if offered and ready:
            pending.pop(0)
        answer_ended = given and byte == 0
        cycle += 1
    ctx.set(chip.rx.valid, 0)
    return cycle


def _memories(
    fragment: Any, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], MemoryData]]:
    """The contents of every memory below `fragment`, with the path of names that leads to it."""
    # Amaranth has no public way from a design to the memories in it.
    for inside, name, _ in fragment.subfragments:
        place = (*path, str(name))
        if (data := getattr(inside, "_data", None)) is not None:
            yield place, data
        yield from _memories(inside, place)


def _contents(
    image: MemoryImage, memories: dict[tuple[str, ...], MemoryData]
) -> Iterator[tuple[MemoryData, list[int]]]:
    """The memories of weights and parameters, each with the words that it holds once the network is
    loaded.
    """
    shape = image.shape
    for place, lanes, values in (
        (("engine", "weights"), shape.pe, image.weights),
        (("engine", "parameters"), shape.parameter_lanes, image.parameters),
    ):
        for lane in range(lanes):
            words = [int.from_bytes(value.tobytes(), "little") for value in values[lane::lanes]]
            mask = (1 << shape.parameter_bits) - 1 if "parameters" in place else -1
            # Lanes that lie far apart are memories of their own, others lie in one module.
            (data,) = (
                data
                for at, data in memories.items()
                if at[: len(place)] == place and f"lane_{lane}" in at
            )
            yield data, [word & mask for word in words]


def _loading(image: MemoryImage) -> Iterator[bytes]:
    """The messages after which the chip infers: a load of the first parameter word, which has to
    come over the link, and a commit.
    """
    first = image.parameters[0].tobytes()
    header = protocol.LOAD.pack(kind=Request.LOAD, sequence=0, address=0, space=Space.PARAMETERS)
    yield header + first
    yield protocol.COMMIT.pack(kind=Request.COMMIT, sequence=0, digest=zlib.crc32(first))
