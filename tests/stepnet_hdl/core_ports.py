"""Drives the ports that every core has, in a testbench of Amaranth's simulator."""


async def cancel(ctx, core):
    ctx.set(core.cancel, 1)
    await ctx.tick()
    ctx.set(core.cancel, 0)


async def take(ctx, core):
    """The next reading, and how many cycles after now it is offered."""
    cycles = 0
    while not ctx.get(core.readings.valid):
        await ctx.tick()
        cycles += 1
    reading = ctx.get(core.readings.payload)
    ctx.set(core.readings.ready, 1)
    await ctx.tick()
    ctx.set(core.readings.ready, 0)
    return reading, cycles
