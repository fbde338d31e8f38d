"""Pixels come into one of two buffers, word by word, unless they have to wait."""

import random
from itertools import pairwise

import pytest

from stepnet.cores.engine.shape import EngineShape
from stepnet_hdl.cores.engine.pixel_intake import PixelIntake
from streams import Bench

SHAPE = EngineShape(16, max_inputs=64)
MAX_WORD_BYTES = 4
CYCLES = 600
NEVER = 1 << 30


class Model:
    """What the intake has to say in each cycle."""

    def __init__(self, image_bytes):
        self.image_bytes = image_bytes
        self.taken = 0  # bytes of the current image
        self.word_bytes = 0
        self.fill = 0  # the buffer that the next byte goes to
        self.open_from = 0
        self.writes = {}  # by cycle: buffer, place in it, whether that ends the image
        self.words = 0
        self.complete = [False, False]

    def may_take(self, cycle):
        return cycle >= self.open_from and not self.complete[self.fill]

    def ends_image(self):
        return self.taken == self.image_bytes - 1

    def ends_word(self):
        return self.ends_image() or self.word_bytes == SHAPE.weight_bytes - 1

    def step(self, cycle, *, take, done, cancel, load_begins, load_ends):
        write = self.writes.pop(cycle, None)
        if write is not None:
            buffer, _, ends_image = write
            self.words = 0 if ends_image else self.words + 1
            self.complete[buffer] |= ends_image
        for buffer in range(2):
            self.complete[buffer] &= not done >> buffer & 1
        if take:
            place = self.taken // SHAPE.weight_bytes
            if self.ends_word():
                written = cycle + PixelIntake.latency_cycles
                self.writes[written] = (self.fill, place, self.ends_image())
            self.word_bytes = 0 if self.ends_word() else self.word_bytes + 1
            if self.ends_image():
                self.fill ^= 1
                self.open_from = cycle + 1 + PixelIntake.image_gap_cycles
            self.taken = 0 if self.ends_image() else self.taken + 1
        if cancel:
            self.taken = self.word_bytes = self.fill = self.words = 0
            self.writes.clear()
            self.complete = [False, False]
        if cancel or load_ends:
            self.open_from = NEVER if load_begins else cycle + 1


@pytest.mark.parametrize("image_bytes", [1, 3, 8])
@pytest.mark.parametrize("disturbed", [False, True])
def test_pixels_come_into_two_buffers(image_bytes, disturbed):
    """disturbed: bytes pause, the memory is taken, images are cancelled and networks loaded."""
    intake = PixelIntake(SHAPE, image_bytes, MAX_WORD_BYTES)
    model = Model(image_bytes)
    rng = random.Random(image_bytes)
    bench = Bench(intake, CYCLES + 1)
    outputs = {
        "ready": intake.pixels.ready,
        "take": intake.take,
        "last_pixels": intake.last_pixels,
        "completes": intake.completes,
        "write": intake.write,
        "buffer": intake.buffer,
        "words": intake.images.words,
        "word_comes": intake.images.word_comes,
        "complete": intake.images.complete,
        "complete_next": intake.images.complete_next,
    }
    trace = bench.trace(**outputs)
    images = 0

    def happens(share):
        return disturbed and rng.random() < share

    async def testbench(ctx):
        nonlocal images
        ctx.set(intake.image_bytes, image_bytes)
        loading = offers = False
        to_release = 0
        for cycle in range(CYCLES):
            blocked = happens(0.2)
            cancel = load_begins = load_ends = False
            if loading:
                load_ends = happens(0.2)
            else:
                load_begins = happens(0.02)
                cancel = load_begins or happens(0.03)
            offers = offers or not happens(0.4)  # a byte that is offered stays
            # Whoever computes the images is done with one after a while.
            done = 0
            if model.complete[to_release] and rng.random() < 0.2:
                done = 1 << to_release
            ctx.set(intake.pixels.valid, offers)
            ctx.set(intake.blocked, blocked)
            ctx.set(intake.cancel, cancel)
            ctx.set(intake.load_begins, load_begins)
            ctx.set(intake.load_ends, load_ends)
            ctx.set(intake.images.done, done)
            ctx.set(intake.word_bytes, model.word_bytes)
            ready = model.may_take(cycle) and not blocked
            take = ready and offers
            write = model.writes.get(cycle)
            expected = {
                "ready": ready,
                "take": take,
                "last_pixels": model.ends_image(),
                "completes": model.ends_word(),
                "write": write is not None,
                "words": model.words,
                "word_comes": write is not None,
                "complete": model.complete[0] | model.complete[1] << 1,
            }
            if write is not None:
                expected |= {"buffer": write[0], "words": write[1]}
                images += write[2]
            model.step(
                cycle,
                take=take,
                done=done,
                cancel=cancel,
                load_begins=load_begins,
                load_ends=load_ends,
            )
            offers &= not take
            loading = (loading or load_begins) and not load_ends
            to_release = 0 if cancel else to_release ^ (done != 0)
            await ctx.tick()
            found = {name: trace[name][cycle] for name in expected}
            assert found == expected, f"in cycle {cycle}"

    bench.run(testbench)
    assert [before for before, _ in pairwise(trace["complete_next"])] == trace["complete"][1:]
    assert images > 10
