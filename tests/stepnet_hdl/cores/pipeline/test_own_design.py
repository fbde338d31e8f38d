"""The example that has a pipeline in a design of its own."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from amaranth.sim import Simulator
from PIL import Image

from stepnet.samples import sample_pictures

EXAMPLE = Path(__file__).parents[4] / "examples" / "own_design.py"
LATENCY_CYCLES = 40
"""More than the example's pipeline takes."""


@pytest.mark.slow
def test_the_lamp_is_on_after_a_seven_alone():
    spec = importlib.util.spec_from_file_location("own_design", EXAMPLE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    design = module.SevenLamp()
    pictures = {label: path for path, label in sample_pictures()}
    seen = []

    async def testbench(ctx):
        for label in "173":
            ink = np.asarray(Image.open(pictures[label])) >= 128
            for row in ink:
                ctx.set(design.rows.payload, sum(int(bit) << x for x, bit in enumerate(row)))
                ctx.set(design.rows.valid, 1)
                await ctx.tick().until(design.rows.ready)
            ctx.set(design.rows.valid, 0)
            await ctx.tick().repeat(LATENCY_CYCLES)
            seen.append(ctx.get(design.lamp))

    simulator = Simulator(design)
    simulator.add_clock(1e-6)
    simulator.add_testbench(testbench)
    simulator.run()
    assert seen == [0, 1, 0]
