"""The system's own Chromium, the page in it, and hands that draw."""

import functools
import http.server
import shutil
import threading
from contextlib import closing, contextmanager
from types import SimpleNamespace

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import sync_playwright

from stepnet.link.share import Share, listen, shared_at
from stepnet.web.site import write_site
from stepnet_sim.chips import served
from stepnet_sim.chips.served import RestingLink
from stepnet_sim.chips.virtual_board import open_link

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)

needs_chromium = pytest.mark.skipif(
    CHROMIUM is None, reason="chromium is not installed; on Debian: apt-get install chromium"
)

READY = "html[data-ready=yes]"

REST_CYCLES = 100_000
"""Some times as many as an image takes."""

LETTERS = {
    "K": [[(0.3, 0.1), (0.3, 0.9)], [(0.75, 0.12), (0.32, 0.55)], [(0.42, 0.47), (0.78, 0.9)]],
    "7": [[(0.25, 0.12), (0.75, 0.12), (0.45, 0.9)]],
    "L": [[(0.35, 0.1), (0.35, 0.88), (0.75, 0.88)]],
}
"""Strokes, each as points in parts of the paper's sides."""


@contextmanager
def chromium():
    """The browser; what it may need to run as root changes nothing of the page."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        with closing(browser):
            yield browser


@contextmanager
def shared_board():
    """A virtual board over TCP, which can be taken away and given back: `stop()` and `start()`."""
    board = SimpleNamespace(where=None)

    def start():
        # A board that rests soon takes nothing from the tests beside it.
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(served, "REST_CYCLES", REST_CYCLES)
            board.link = RestingLink(open_link())
        address = "127.0.0.1:0" if board.where is None else board.where.removeprefix("socket://")
        board.listener = listen(address)
        board.share = Share(lambda: board.link, board.listener)
        board.where = shared_at(board.listener)
        board.thread = threading.Thread(target=board.share.serve)
        board.thread.start()

    def stop():
        board.share.stop()
        board.thread.join()
        board.listener.close()
        board.link.close()

    board.start, board.stop = start, stop
    start()
    try:
        yield board
    finally:
        stop()


@contextmanager
def as_files(folder, networks):
    """The page as `stepnet web --export` writes it, behind a server of files; gives its address."""
    write_site(folder, networks)

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format, *args):
            pass

    handler = functools.partial(Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def tab(browser, url, **options):
    """A page of its own that is ready; anything it complains about fails the test."""
    options = {"viewport": {"width": 1280, "height": 900}, **options}
    with closing(browser.new_context(**options)) as context:
        page = context.new_page()
        page.set_default_timeout(120_000)  # a board may have to be compiled first
        complaints = []
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(url)
        page.locator(READY).wait_for()
        yield page
        assert not complaints, complaints


def draw(page, letter, box=None, *, slowly=False):
    """Draw with the mouse; `box` is where, the whole paper if not given.

    slowly: each stroke is read before the next one begins, so that no image waits in the board.
    """
    box = box or page.locator("#pad").bounding_box()
    for stroke in LETTERS[letter]:
        (first, *others) = [
            (box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in stroke
        ]
        page.mouse.move(*first)
        page.mouse.down()
        for point in others:
            page.mouse.move(*point, steps=5)
        page.mouse.up()
        if slowly:
            wait_until_read(page)


def wait_until_read(page):
    """Until the last stroke was read: while the pen moves there is no time."""
    page.locator("#time", has_text="ms").wait_for()


def lit(page):
    """The bits of the register as a string, most significant first."""
    return "".join(page.locator("#lamps .bit").all_inner_texts())


def shown(page):
    """The character in the register."""
    return page.locator("#character").inner_text()


def violations(page):
    """What axe-core finds wrong, and where."""
    found = Axe().run(page).response["violations"]
    return [(each["id"], [node["html"] for node in each["nodes"]]) for each in found]


PIXELS = """() => {
    const pad = document.getElementById('layers').querySelector('canvas');
    const { data, width } = pad.getContext('2d').getImageData(0, 0, pad.width, pad.height);
    const cell = width / 28;
    const off = getComputedStyle(pad).outlineColor.match(/\\d+/g).map(Number);
    return Array.from({ length: 784 }, (_, i) => {
        const x = Math.floor(((i % 28) + 0.5) * cell);
        const y = Math.floor((Math.floor(i / 28) + 0.5) * cell);
        return data[4 * (y * width + x)] === off[0] ? 0 : 1;
    });
}"""
"""The lights of the input, as they are painted."""


def seen_pixels(page):
    """The picture as the network sees it: (28, 28) bool."""
    return np.array(page.evaluate(PIXELS), np.uint8).reshape(28, 28).astype(bool)
