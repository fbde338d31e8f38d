"""Drives the ports of an engine, in a testbench of Amaranth's simulator."""

from amaranth.sim import Simulator

from stepnet.cores.engine.memory_image import memory_image
from stepnet.link.messages import pack_pixels
from stepnet.networks import reference


async def load(ctx, engine, address, space, words):
    """Returns the refusal."""
    body = address.to_bytes(3, "little") + bytes([space]) + words
    for index, byte in enumerate(body):
        ctx.set(engine.load.p, {"data": byte, "last": index == len(body) - 1})
        ctx.set(engine.load.valid, 1)
        await ctx.tick().until(engine.load.ready)
    ctx.set(engine.load.valid, 0)
    done, refusals = [], []
    for _ in range(engine.load_cycles):
        _, _, is_done, refusal = await ctx.tick().sample(engine.load_done, engine.load_refusal)
        done.append(is_done)
        refusals.append(refusal)
    assert done == [0] * (engine.load_cycles - 1) + [1]
    return refusals[-1]


async def load_network(ctx, engine, network):
    for address, space, words in pieces(network, engine.shape):
        assert await load(ctx, engine, address, space, words) == 0


def pieces(network, shape):
    for piece in memory_image(network, shape).loads(max_bytes=100):
        yield piece.address, piece.space, piece.words


async def send_pixels(ctx, engine, pixels, cycles_per_byte=1):
    for number, byte in enumerate(pixels):
        if number and cycles_per_byte > 1:
            await ctx.tick().repeat(cycles_per_byte - 1)
        ctx.set(engine.pixels.p, byte)
        ctx.set(engine.pixels.valid, 1)
        await ctx.tick().until(engine.pixels.ready)
        ctx.set(engine.pixels.valid, 0)


async def take_reading(ctx, engine):
    ctx.set(engine.readings.ready, 1)
    (reading,) = await ctx.tick().sample(engine.readings.p).until(engine.readings.valid)
    ctx.set(engine.readings.ready, 0)
    return reading


def run(engine, *processes):
    simulator = Simulator(engine)
    simulator.add_clock(1e-6)
    for process in processes:
        simulator.add_testbench(process)
    simulator.run()


def packed(network, images):
    return [pack_pixels(bits) for bits in reference.binarise(network, images)]
