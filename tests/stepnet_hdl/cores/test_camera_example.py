"""The engine behind a camera, examples/camera.py: frames with dark ink, and one that breaks off."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from amaranth.sim import Simulator
from PIL import Image

from stepnet.networks.shipped import load_network
from stepnet.samples import sample_pictures

EXAMPLE = Path(__file__).parents[3] / "examples" / "camera.py"
COLUMNS, ROWS = 64, 60
SAMPLES = (14, 8)
"""A 7 and a 4."""


def frame(rng, number):
    """A sample as a camera of 64 x 60 pixels sees it: dark ink on uneven paper."""
    path, _ = sample_pictures()[number]
    ink = np.kron(np.asarray(Image.open(path), float), np.ones((2, 2)))
    paper = np.full((ROWS, COLUMNS), 30.0)  # dark beside the window, which must not count
    paper[2:58, 4:60] = rng.uniform(190, 230, (56, 56)) - 0.7 * ink
    return paper.astype(np.uint8).reshape(-1).tolist()


@pytest.mark.slow
def test_it_reads_frames_and_forgets_what_breaks_off():
    spec = importlib.util.spec_from_file_location("camera", EXAMPLE)
    camera = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(camera)
    dut = camera.CameraReader(load_network("digits"), COLUMNS, ROWS)
    rng = np.random.default_rng(0)
    seven, four = (frame(rng, number) for number in SAMPLES)
    read = []

    async def send(ctx):
        for pixels in (seven, four[: len(four) // 3], four):
            ctx.set(dut.frame_start, 1)
            await ctx.tick()
            ctx.set(dut.frame_start, 0)
            ctx.set(dut.grey_valid, 1)
            for pixel in pixels:
                ctx.set(dut.grey, pixel)
                await ctx.tick()
            ctx.set(dut.grey_valid, 0)
            if len(pixels) == len(seven):
                await ctx.tick().repeat(1950)

    async def watch(ctx):
        while True:
            _, _, new, character = await ctx.tick().sample(dut.new, dut.character)
            if new:
                read.append(chr(character))

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(send)
    simulator.add_testbench(watch, background=True)
    simulator.run()
    assert read == ["7", "4"]
