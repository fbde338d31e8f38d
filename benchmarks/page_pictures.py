"""How often the page without Python makes the same of a picture as Python does.

    python benchmarks/page_pictures.py [--pictures 1000] [--seed 0] [--json]

Draws the shipped handwriting on the twelve kinds of paper of papers.py, one picture in two from its
wider ranges, one in four a whole line. Each is prepared for `ascii` or `digits` by Python and, in
the system's Chromium, by the modules of the exported page, from the same grey values. What is
compared is all that a network or a reader gets: the grey values of every image, the spaces of a
line, or the sentence with which the picture is refused.
"""

from __future__ import annotations

import argparse
import json
from base64 import b64decode, b64encode
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from papers import KINDS, OTHER, Drawing, Ranges, cover_of, drawn
from PIL import Image
from web_page import browser, exported

from stepnet.errors import ImageError
from stepnet.networks.kinds import AnyNetwork
from stepnet.networks.shipped import load_any_network, load_network
from stepnet.pictures.picture import grey_values
from stepnet.pictures.preparing import prepare_character, prepare_line
from stepnet.samples import sample_pictures
from stepnet.web.network_json import network_json

NETWORKS = ("ascii", "digits")
"""One for each placing."""

LINES = Ranges(digit_side=(60, 130), margin=(10, 40))
LINE_ANGLE_DEGREES = 8
PREPARE = {"picture": prepare_character, "line": prepare_line}

IN_THE_PAGE = """async ([packed, width, height, kind, json]) => {
    const preparing = await import('./js/pictures/preparing.js');
    const { bytesOf, readNetwork } = await import('./js/network.js');
    const grey = { width, height, data: Float32Array.from(bytesOf(packed)) };
    const prepare = kind === 'line' ? preparing.prepareLine : preparing.prepareCharacter;
    try {
        const { images, line } = prepare(readNetwork(json), grey);
        const spaces = line ? line.glyphs.map((glyph) => glyph.afterSpace) : [];
        return [images.map((image) => btoa(String.fromCharCode(...image))), spaces, ''];
    } catch (error) {
        if (error.constructor.name !== 'ImageError') throw error;
        return [[], [], error.message];
    }
}"""


@dataclass(frozen=True)
class Found:
    """What becomes of a picture: images as bytes, spaces before them, or why it is refused."""

    images: tuple[bytes, ...] = ()
    spaces: tuple[bool, ...] = ()
    refusal: str = ""

    def bits(self, network: AnyNetwork) -> NDArray[np.bool_]:
        """The bits of all images, one after the other."""
        return np.frombuffer(b"".join(self.images), np.uint8) >= network.ink_threshold


def shipped_digits() -> list[NDArray[np.uint8]]:
    """The handwriting that comes with Stepnet, 28 x 28."""
    digits = load_network("digits")
    return [prepare_character(path, digits).images[0] for path, _ in sample_pictures()]


def line_of(drawing: Drawing, digits: list[NDArray[np.uint8]]) -> NDArray[np.float64]:
    """A line of three to eight digits that climbs or falls, some with a space between: ink from 0
    to 1."""
    rng = drawing.rng
    covers = [
        cover_of(digits[rng.integers(len(digits))], drawing) for _ in range(rng.integers(3, 9))
    ]
    height = max(len(cover) for cover in covers) + 60
    placed: list[NDArray[np.float64]] = []
    for cover in covers:
        top = int(rng.integers(0, 25))
        space = int(rng.integers(40, 90)) if drawing.chance(0.5) else 0
        placed.append(np.pad(cover, ((top, height - len(cover) - top), (0, space))))
    line = Image.fromarray(np.concatenate(placed, axis=1).astype(np.float32))
    angle = drawing.between((-LINE_ANGLE_DEGREES, LINE_ANGLE_DEGREES))
    turned = line.rotate(angle, Image.Resampling.BICUBIC, expand=True)
    return np.pad(np.clip(np.asarray(turned, np.float64), 0, 1), 30)


def picture_on(
    kind: str, what: str, ranges: Ranges, digits: list[NDArray[np.uint8]], seed: list[int]
) -> Image.Image:
    """A "picture" of a digit or a "line" of them, on one kind of paper."""
    drawing = Drawing(ranges, np.random.default_rng(seed))
    if what == "line":
        return drawn(kind, line_of(drawing, digits), drawing)[0]
    digit = digits[drawing.rng.integers(len(digits))]
    return drawn(kind, cover_of(digit, drawing), drawing)[0]


def pictures(count: int, seed: int) -> Iterator[tuple[str, str, AnyNetwork, Image.Image]]:
    """`count` pictures with their kind of paper, "picture" or "line", and a network for each."""
    digits = shipped_digits()
    networks = [load_any_network(name) for name in NETWORKS]
    for number in range(count):
        turn, kind = divmod(number, len(KINDS))
        what = "line" if turn % 4 == 3 else "picture"
        ranges = LINES if what == "line" else (Ranges(), OTHER)[turn % 2]
        picture = picture_on(list(KINDS)[kind], what, ranges, digits, [seed, number])
        yield list(KINDS)[kind], what, networks[turn // 2 % 2], picture


def in_python(what: str, network: AnyNetwork, picture: Image.Image) -> Found:
    """What Python makes of a picture."""
    try:
        prepared = PREPARE[what](picture, network)
    except ImageError as error:
        return Found(refusal=str(error))
    images = tuple(image.tobytes() for image in prepared.images)
    return Found(images, tuple(glyph.after_space for glyph in prepared.glyphs))


def in_the_page(page: Any, what: str, network: AnyNetwork, picture: Image.Image) -> Found:
    """What the page makes of the same grey values."""
    grey, _ = grey_values(picture)
    packed = b64encode(grey.astype(np.uint8).tobytes()).decode()
    height, width = grey.shape
    images, spaces, refusal = page.evaluate(
        IN_THE_PAGE, [packed, width, height, what, network_json(network)]
    )
    return Found(tuple(map(b64decode, images)), tuple(spaces), refusal)


def measure(page: Any, count: int, seed: int) -> dict[str, Any]:
    """How many pictures of each kind come out the same, and how many bits of all that both read."""
    kinds: dict[str, Counter[str]] = {kind: Counter() for kind in KINDS}
    for kind, what, network, picture in pictures(count, seed):
        here, there = in_python(what, network, picture), in_the_page(page, what, network, picture)
        tally = kinds[kind]
        tally.update(pictures=1, same=here == there, refused=bool(here.refusal))
        if len(here.images) == len(there.images):
            bits = here.bits(network)
            tally.update(bits=bits.size, same_bits=int((bits == there.bits(network)).sum()))
    return {"kinds": kinds, "all": sum(kinds.values(), Counter[str]())}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Pictures in the page and in Python.")
    parser.add_argument("--pictures", type=int, default=1000, help="in all, over every kind")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args()
    with browser() as chromium, exported() as url:
        page = chromium.new_page()
        page.goto(url)
        found = measure(page, arguments.pictures, arguments.seed)
    if arguments.json:
        print(json.dumps(found))
        return
    print(f"{'':24}{'pictures':>10}{'same':>8}{'refused':>9}{'bits':>12}{'same':>12}")
    for name, tally in {**found["kinds"], "all": found["all"]}.items():
        print(
            f"{name:24}{tally['pictures']:10,}{tally['same']:8,}{tally['refused']:9,}"
            f"{tally['bits']:12,}{tally['same_bits']:12,}"
        )


if __name__ == "__main__":
    main()
