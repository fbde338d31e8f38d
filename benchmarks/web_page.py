"""How quick the drawing page is: started, painted, and read after the pen is lifted.

    python benchmarks/web_page.py [--strokes 30] [--runs 5] [--json]

Runs `stepnet web` with a warm virtual board and the system's Chromium, without a screen. Times are
taken in the browser: of a start from the command to a page that the board reads for; of a
painting, the browser's own first paint; of a reading, from lifting the pen to the character that
stands in the register, which the page itself measures. Each is the median.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import http.server
import json
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from typing import Any

STROKE = ((0.4, 0.15), (0.35, 0.5), (0.4, 0.85), (0.7, 0.8))
CHROMIUM = ("chromium", "chromium-browser", "google-chrome")

FIRST_PAINT = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? null"
SIZES = """performance.getEntries()
    .filter((each) => ['navigation', 'resource'].includes(each.entryType))
    .map((each) => [new URL(each.name).pathname, each.encodedBodySize, each.decodedBodySize])"""


@contextlib.contextmanager
def browser() -> Iterator[Any]:
    """The system's Chromium."""
    from playwright.sync_api import sync_playwright  # pyright: ignore[reportMissingImports]

    executable = next(filter(None, map(shutil.which, CHROMIUM)), None)
    if executable is None:
        sys.exit("Chromium is not installed; on Debian: apt-get install chromium.")
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        yield opened
        opened.close()


@contextlib.contextmanager
def stepnet_web(*options: str) -> Iterator[str]:
    """Run `stepnet web`; gives its address once it prints it."""
    command = (sys.executable, "-m", "stepnet", "web", "--no-browser", *options)
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        found = re.search(r"at (http\S+);", process.stdout.readline())
        try:
            if found is None:
                sys.exit("stepnet web did not start.")
            yield found[1]
        finally:
            process.terminate()


@contextlib.contextmanager
def exported() -> Iterator[str]:
    """The page as files behind a server of files; gives its address."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            pass

    with tempfile.TemporaryDirectory() as folder:
        command = (sys.executable, "-m", "stepnet", "web", "--export", folder)
        subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
        handler = functools.partial(Quiet, directory=folder)
        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            yield f"http://127.0.0.1:{server.server_port}/"
            server.shutdown()


def ready(page: Any) -> None:
    """Wait until the page can be drawn on; with a server, until its board is there."""
    page.locator("html[data-ready=yes]").wait_for(timeout=60_000)


def strokes_ms(page: Any, count: int) -> list[float]:
    """Draw one stroke `count` times; the times that the page shows, without those of the first
    few, in which a browser still translates the page's code."""
    box = page.locator("#pad").bounding_box()
    times: list[float] = []
    for number in range(count + 3):
        page.locator("#clear").click()
        page.wait_for_timeout(150)
        points = [
            (box["x"] + (x + number % 7 / 50) * box["width"], box["y"] + y * box["height"])
            for x, y in STROKE
        ]
        page.mouse.move(*points[0])
        page.mouse.down()
        for point in points[1:]:
            page.mouse.move(*point, steps=6)
        page.mouse.up()
        page.locator("#time", has_text="ms").wait_for()
        times.append(float(page.locator("#time").inner_text().split()[0]))
    return times[3:]


def start_s(chromium: Any) -> tuple[float, float]:
    """Seconds from the command to a page that the board reads for, and to its first paint, in
    milliseconds from the request for it."""
    begin_s = time.perf_counter()
    with stepnet_web() as url:
        page = chromium.new_page()
        page.goto(url)
        ready(page)
        page.locator("#status", has_text="ready").wait_for(timeout=60_000)
        taken_s = time.perf_counter() - begin_s
        paint_ms = page.evaluate(FIRST_PAINT)
        page.close()
    return taken_s, paint_ms


def measure(strokes: int, runs: int) -> dict[str, float | int]:
    """All figures."""
    with browser() as chromium:
        starts = [start_s(chromium) for _ in range(1 + runs)][1:]  # the first fills caches
        with stepnet_web() as url:
            page = chromium.new_page()
            page.goto(url)
            ready(page)
            page.locator("#status", has_text="ready").wait_for(timeout=60_000)
            sizes = page.evaluate(SIZES)
            by_board = strokes_ms(page, strokes)
            assert page.locator("#by").inner_text() == "the board"
            page.close()
        with exported() as url:
            page = chromium.new_page()
            page.goto(url)
            ready(page)
            by_page = strokes_ms(page, strokes)
    own = [each for each in sizes if not each[0].startswith(("/networks/", "/api/"))]
    return {
        "start_s": round(statistics.median(each[0] for each in starts), 2),
        "start_min_s": round(min(each[0] for each in starts), 2),
        "first_paint_ms": round(statistics.median(each[1] for each in starts)),
        "first_paint_min_ms": round(min(each[1] for each in starts)),
        "board_ms": round(statistics.median(by_board)),
        "board_min_ms": round(min(by_board)),
        "page_ms": round(statistics.median(by_page), 1),
        "page_min_ms": round(min(by_page), 1),
        "files": len(own),
        "kilobytes": round(sum(each[2] for each in own) / 1000),
        "kilobytes_sent": round(sum(each[1] for each in own) / 1000),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Measure how quick the drawing page is.")
    parser.add_argument("--strokes", type=int, default=30, help="strokes that are read")
    parser.add_argument("--runs", type=int, default=5, help="starts of the server")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args()
    found = measure(arguments.strokes, arguments.runs)
    if arguments.json:
        print(json.dumps(found))
        return
    print(
        f"stepnet web to a usable page: {found['start_s']} s "
        f"(fastest {found['start_min_s']} s)\n"
        f"first paint: {found['first_paint_ms']} ms (fastest {found['first_paint_min_ms']} ms)\n"
        f"pen up to character, virtual board: {found['board_ms']} ms "
        f"(fastest {found['board_min_ms']} ms)\n"
        f"pen up to character, the page alone: {found['page_ms']} ms "
        f"(fastest {found['page_min_ms']} ms)\n"
        f"page without networks: {found['files']} files of {found['kilobytes']} kB, "
        f"{found['kilobytes_sent']} kB sent"
    )


if __name__ == "__main__":
    main()
