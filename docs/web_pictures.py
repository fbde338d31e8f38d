"""Takes the pictures of web.md: the page on a light and a dark screen, and on a telephone, and the
lights of a network with convolutions; and that of the README, in which a character is drawn and its
bits appear.

    python docs/web_pictures.py

Serves the page with the virtual board, draws a K in the system's Chromium, and packs what it shows
into few colours.
"""

from __future__ import annotations

import io
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import sync_playwright

HERE = Path(__file__).parent
CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
COLOURS = 64

STROKES = (
    ((0.3, 0.1), (0.31, 0.5), (0.29, 0.9)),
    ((0.75, 0.12), (0.5, 0.4), (0.32, 0.55)),
    ((0.42, 0.47), (0.6, 0.7), (0.78, 0.9)),
)

SCREENS = {
    "web_light": {"color_scheme": "light", "viewport": {"width": 1120, "height": 1010}},
    "web_dark": {"color_scheme": "dark", "viewport": {"width": 1120, "height": 1010}},
    "web_phone": {"color_scheme": "dark", "viewport": {"width": 360, "height": 800}},
}

CONVOLVING = "ascii-conv"

ANIMATED = {"color_scheme": "light", "viewport": {"width": 1120, "height": 1010}}
ANIMATION_SIZE = 800, 721
STEPS = 4
"""Pictures of each piece of a stroke."""
FRAME_MS, LAST_FRAME_MS = 110, 3000


def draw(page: Any, seen: Callable[[], None] = lambda: None) -> None:
    """Draw a K with the mouse and wait until the board has read it.

    seen: is called after each movement of the pen, and when the board has read.
    """
    box = page.locator("#pad").bounding_box()
    for stroke in STROKES:
        points = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in stroke]
        page.mouse.move(*points[0])
        page.mouse.down()
        for (x, y), (to_x, to_y) in pairwise(points):
            for step in range(1, STEPS + 1):
                part = step / STEPS
                page.mouse.move(x + part * (to_x - x), y + part * (to_y - y), steps=2)
                seen()
        page.mouse.up()
    page.locator("#by", has_text="the board").wait_for()
    page.locator("#time", has_text="ms").wait_for()
    seen()


def save(screenshot: bytes, path: Path) -> None:
    """Write what was seen in few colours."""
    taken = Image.open(io.BytesIO(screenshot)).convert("RGB")
    packed = taken.quantize(COLOURS, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    packed.save(path, optimize=True)


def animate(page: Any, path: Path) -> None:
    """Draw a K and write each state of the page on the way, as a picture that moves."""
    frames: list[Image.Image] = []

    def seen() -> None:
        shown = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
        frames.append(shown.resize(ANIMATION_SIZE, Image.Resampling.LANCZOS))

    seen()
    draw(page, seen)
    palette = frames[-1].quantize(COLOURS, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    first, *others = [frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]
    durations = [FRAME_MS] * len(others) + [LAST_FRAME_MS]
    first.save(path, save_all=True, append_images=others, duration=durations, loop=0, optimize=True)


def main() -> None:
    """Take them all."""
    executable = next(filter(None, map(shutil.which, CHROMIUM)), None)
    command = (sys.executable, "-m", "stepnet", "web", "--no-browser")
    with (
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server,
        sync_playwright() as playwright,
    ):
        assert server.stdout is not None
        found = re.search(r"at (http\S+);", server.stdout.readline())
        assert found is not None
        browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        for name, screen in SCREENS.items():
            page = browser.new_page(**screen)
            page.goto(found[1])
            page.locator("#status", has_text="ready").wait_for()
            draw(page)
            page.mouse.move(0, 0)
            save(page.screenshot(), HERE / f"{name}.png")
            page.close()
        page = browser.new_page(**ANIMATED)
        page.goto(found[1])
        page.locator("#status", has_text="ready").wait_for()
        animate(page, HERE / "drawing.gif")
        page.locator("#network").select_option(CONVOLVING)
        page.locator("#about", has_text=f"{CONVOLVING}:").wait_for()
        page.locator("#status", has_text="ready").wait_for(timeout=120_000)  # it is compiled once
        page.locator("#clear").click()
        draw(page)
        save(
            page.locator("section", has=page.locator("#layers")).screenshot(), HERE / "web_maps.png"
        )
        browser.close()
        server.terminate()


if __name__ == "__main__":
    main()
