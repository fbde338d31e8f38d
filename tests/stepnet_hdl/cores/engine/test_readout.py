"""Margins of the last layer become the code, how far it is from another, and the winner's row."""

import random
from dataclasses import dataclass

import pytest

from stepnet.cores.engine.shape import EngineShape
from stepnet_hdl.cores.engine.readout import Readout, ReadoutNumber
from streams import Bench, Pauses


@dataclass
class Image:
    """The neurons of one image's last layer.

    margins: of each neuron; in a tree of those on the path.
    lanes: where in its group each of them lies in a tree.
    """

    kind: ReadoutNumber
    margins: list[int]
    lanes: list[int]
    prefix: int = 0

    def code(self):
        """What the code has to be; None with `nearest`."""
        fires = [margin >= 0 for margin in self.margins]
        if self.kind == ReadoutNumber.BITS:
            return sum(1 << bit for bit, fire in enumerate(fires[:8]) if fire)
        if self.kind == ReadoutNumber.TREE:
            code = self.prefix
            for fire in fires:
                code = code << 1 & 0xFF | fire
            return code
        return None

    def winner(self):
        return self.margins.index(max(self.margins))

    def room(self, margin_bits):
        """How far any one sum may move before the code changes."""
        if self.kind != ReadoutNumber.NEAREST:
            # It may fall to 0, which still fires, or rise to -1.
            return min(margin if margin >= 0 else -1 - margin for margin in self.margins)
        winner = self.winner()
        # A row before the winner would win a tie.
        behind = [
            self.margins[winner] - margin - (row < winner)
            for row, margin in enumerate(self.margins)
            if row != winner
        ]
        return min(behind, default=(1 << margin_bits) - 1)


def random_image(rng, kind, pe, margin_bits):
    limit = (1 << margin_bits - 1) - 1
    margin = rng.choice(
        (
            lambda: rng.randint(-3, 2),  # ties, and margins around 0
            lambda: rng.randint(-limit - 1, limit),
            lambda: rng.choice((0, -1, limit, -limit - 1)),
        )
    )

    if kind == ReadoutNumber.TREE:
        depth = rng.randint(1, 8)
        lanes = [rng.randrange(pe) for _ in range(depth)]
        return Image(kind, [margin() for _ in lanes], lanes, rng.getrandbits(8 - depth))
    most = 10 if kind == ReadoutNumber.BITS else rng.choice((4, 40))
    count = rng.randint(1, most)
    return Image(kind, [margin() for _ in range(count)], [])


@pytest.mark.parametrize("pauses", [0.0, 0.5])
@pytest.mark.parametrize("pe", [1, 4, 7])
@pytest.mark.parametrize("kind", ReadoutNumber)
def test_margins_become_a_code(kind, pe, pauses):
    shape = EngineShape(16, max_inputs=128, max_weight_bits=4, pe=pe, parameter_lanes=pe)
    readout = Readout(shape)
    margin_bits = shape.sum_bits + 1
    rng = random.Random(10 * pe + kind.value)
    images = [random_image(rng, kind, pe, margin_bits) for _ in range(16)]
    bench = Bench(readout, max_cycles=20_000)
    trace = bench.trace(
        finished=readout.steering.finished,
        code=readout.code,
        winner=readout.steering.winner,
        margin=readout.margin,
    )
    last_taken = []

    async def testbench(ctx):
        gaps = Pauses(pauses, seed=2)
        steering = readout.steering
        cycle = 0

        async def tick(cycles=1):
            nonlocal cycle
            await ctx.tick().repeat(cycles)
            cycle += cycles

        def noise():
            return [rng.randrange(-5, 5) for _ in range(pe)]

        async def group(margins, last):
            """Announce a group, and keep the distance that its neurons need."""
            ctx.set(readout.decided.next_done, 1)
            ctx.set(readout.decided.next_last, last)
            await tick()
            ctx.set(readout.decided.next_done, 0)
            ctx.set(readout.decided.next_last, 0)
            ctx.set(readout.margins, margins)
            decided = cycle
            for _ in range(pe - 1):
                await tick()
                ctx.set(readout.margins, noise())
            for _ in range(gaps.cycles()):
                await tick()
                ctx.set(readout.margins, noise())
            return decided

        for image in images:
            ctx.set(steering.last_layer, 0)
            await group(noise(), last=True)  # of a layer that does not count
            await tick(2)
            ctx.set(steering.last_layer, 1)
            ctx.set(steering.kind, image.kind)
            ctx.set(steering.prefix, image.prefix)
            groups = [
                image.margins[first : first + pe] for first in range(0, len(image.margins), pe)
            ]
            if image.lanes:
                groups = [noise() for _ in image.lanes]
                for margins, lane, margin in zip(groups, image.lanes, image.margins, strict=True):
                    margins[lane] = margin
            else:
                left = (len(image.margins) - 1) % pe
                if pe > 1:
                    ctx.set(steering.rows_left, left)
                groups[-1] += noise()[left + 1 :]
            await tick(2)
            for number, margins in enumerate(groups):
                if image.lanes and pe > 1:
                    ctx.set(steering.lane, image.lanes[number])
                decided = await group(margins, last=number == len(groups) - 1)
            last_lane = pe - 1 if image.lanes else left
            last_taken.append(decided + last_lane)
            await tick(readout.margin_cycles + 1)

    bench.run(testbench)
    assert trace.cycles("finished") == [cycle + readout.latency_cycles for cycle in last_taken]
    for image, cycle in zip(images, last_taken, strict=True):
        if kind == ReadoutNumber.NEAREST:
            assert trace["winner"][cycle + readout.latency_cycles] == image.winner()
        else:
            assert trace["code"][cycle + readout.latency_cycles] == image.code()
        assert trace["margin"][cycle + readout.margin_cycles] == image.room(margin_bits)
