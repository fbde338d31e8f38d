"""The digest of what was loaded: a CRC-32 over the words since the last restart."""

import random
import zlib

import pytest
from amaranth.hdl import ResetInserter, Signal

from stepnet_hdl.link.loaded_digest import LoadedDigest
from streams import Bench, Pauses

INITIAL = 0x8BADF00D


async def digest_of(ctx, digest):
    """The digest, read byte by byte in one cycle."""
    content = []
    for index in range(4):
        ctx.set(digest.byte_index, index)
        content.append(ctx.get(digest.byte))
    return int.from_bytes(bytes(content), "little")


@pytest.mark.parametrize("initial", [None, INITIAL])
@pytest.mark.parametrize("pauses", [0.0, 0.5])
def test_digest_is_the_crc_of_the_words(initial, pauses):
    digest = LoadedDigest(initial)
    rng = random.Random(3)
    gaps = Pauses(pauses, seed=4)
    bench = Bench(digest, max_cycles=2000)

    async def pulse(ctx, signal):
        ctx.set(signal, 1)
        await ctx.tick()
        ctx.set(signal, 0)

    async def take(ctx, content):
        """After each byte, that byte is in the digest."""
        for byte in content:
            for _ in range(gaps.cycles()):
                ctx.set(digest.word_byte, rng.getrandbits(8))
                await ctx.tick()
            ctx.set(digest.word_byte, byte)
            ctx.set(digest.word_byte_taken, 1)
            before = await digest_of(ctx, digest)
            await ctx.tick()
            ctx.set(digest.word_byte_taken, 0)
            for _ in range(digest.latency_cycles - 1):
                assert await digest_of(ctx, digest) == before
                await ctx.tick()

    async def testbench(ctx):
        at_first = 0 if initial is None else initial
        assert await digest_of(ctx, digest) == at_first
        assert ctx.get(digest.untouched) == (initial is not None)
        await take(ctx, b"\x01\x02")
        if initial is not None:
            # Until the memories change, it is that of the network at power-on.
            assert await digest_of(ctx, digest) == initial
        await pulse(ctx, digest.unload)
        assert not ctx.get(digest.untouched)
        assert await digest_of(ctx, digest) == zlib.crc32(b"\x01\x02")
        for _ in range(3):
            await pulse(ctx, digest.restart)
            assert await digest_of(ctx, digest) == 0
            words = b""
            for length in (1, 7, 20):
                content = rng.randbytes(length)
                await take(ctx, content)
                words += content
                assert await digest_of(ctx, digest) == zlib.crc32(words)
                await pulse(ctx, digest.unload)  # a further load; the digest goes on
        assert not ctx.get(digest.untouched)

    bench.run(testbench)


def test_a_reset_leaves_the_memories_as_they_are():
    digest = LoadedDigest(INITIAL)
    reset = Signal()

    async def testbench(ctx):
        async def reset_it():
            ctx.set(reset, 1)
            await ctx.tick()
            ctx.set(reset, 0)
            await ctx.tick()

        await reset_it()
        assert ctx.get(digest.untouched)
        assert await digest_of(ctx, digest) == INITIAL
        ctx.set(digest.unload, 1)
        await ctx.tick()
        ctx.set(digest.unload, 0)
        await reset_it()
        assert not ctx.get(digest.untouched)
        assert await digest_of(ctx, digest) == 0

    Bench(ResetInserter(reset)(digest), max_cycles=50).run(testbench)
