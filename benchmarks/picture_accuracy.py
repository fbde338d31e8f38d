"""How well pictures become network input: handwriting fonts, clean and as if photographed.

    pip install ".[bench]"
    python benchmarks/picture_accuracy.py --network digits --network ascii [--fonts FOLDER] [--json]

Every character of a network's alphabet is drawn in every face. Clean means large, black on white
and upright. Photographed means at random: 24 to 96 pixels high, turned by up to 10 degrees, light
on dark or dark on light, on unevenly lit paper, in half of the pictures with a shadow's edge across
it, with noise, as a JPEG. Both go through the same normalisation; the difference is what a
photograph costs. Lines are eight characters in two words, read by `read_text`: a line counts as cut
right if its characters and spaces are as many, and in the same places, as were drawn.

`--upright` makes single characters upright in one of two ways before they are framed, which
Stepnet does not do, and tells what that would gain.

`--fonts` adds the outline fonts (.ttf, .otf, .woff) in a folder to the stroke fonts; open ones of
handwriting come in packages of the npm registry: `npm pack @fontsource/caveat`, unpack it, take
files/caveat-latin-400-normal.woff.
"""

from __future__ import annotations

import argparse
import io
import json
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from stepnet import Network
from stepnet.errors import ImageError
from stepnet.networks import reference
from stepnet.networks.shipped import load_network
from stepnet.pictures.paper import find_ink
from stepnet.pictures.picture import grey_values
from stepnet.pictures.placing import cut_out, place_for
from stepnet.pictures.text_line import segment_line

HERSHEY_FACES = ("futural", "futuram", "scripts", "cursive", "rowmans")
CAPITAL_PIXELS = 96
MIN_CAPITAL_PIXELS = 24
WORDS_LENGTHS = (5, 3)
MAX_ANGLE_DEGREES = 10

HEIGHT = 2 * CAPITAL_PIXELS
BASELINE = round(1.4 * CAPITAL_PIXELS)

FONT_SUFFIXES = (".ttf", ".otf", ".woff")

Array = NDArray[np.float32]


class Face(ABC):
    """A font that draws single characters."""

    name: str

    @abstractmethod
    def draw(self, character: str) -> Array:
        """The character's ink, (H, W) of 0 to 1, capitals `CAPITAL_PIXELS` high, the baseline at
        `BASELINE`; nothing left or right of it.
        """


class StrokeFace(Face):
    """A Hershey font, drawn with a round pen."""

    def __init__(self, name: str, pen_part: float = 0.11) -> None:
        from HersheyFonts import HersheyFonts  # pyright: ignore[reportMissingImports]

        self.name = f"hershey {name}"
        self._font = HersheyFonts()
        self._font.load_default_font(name)
        heights = [y for stroke in self._font.strokes_for_text("H") for _, y in stroke]
        self._bottom, self._pen = max(heights), round(pen_part * CAPITAL_PIXELS)
        self._scale = (CAPITAL_PIXELS - self._pen) / (max(heights) - min(heights))

    def draw(self, character: str) -> Array:
        """As in `Face`."""
        strokes = [list(stroke) for stroke in self._font.strokes_for_text(character)]
        page = Image.new("L", (4 * CAPITAL_PIXELS, HEIGHT))
        pen, radius = ImageDraw.Draw(page), self._pen / 2
        for stroke in strokes:
            points = [
                (
                    2 * CAPITAL_PIXELS + x * self._scale,
                    BASELINE - radius + (y - self._bottom) * self._scale,
                )
                for x, y in stroke
            ]
            pen.line(points, fill=255, width=self._pen, joint="curve")
            for x, y in points:
                pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=255)
        return _trimmed(page)


class OutlineFace(Face):
    """A font file."""

    def __init__(self, path: Path) -> None:
        self.name = path.stem
        probe = ImageFont.truetype(str(path), 400)
        _, top, _, bottom = probe.getbbox("H", anchor="ls")
        self._font = ImageFont.truetype(str(path), round(400 * CAPITAL_PIXELS / (bottom - top)))

    def draw(self, character: str) -> Array:
        """As in `Face`."""
        page = Image.new("L", (4 * CAPITAL_PIXELS, HEIGHT))
        ImageDraw.Draw(page).text(
            (CAPITAL_PIXELS, BASELINE), character, fill=255, font=self._font, anchor="ls"
        )
        return _trimmed(page)


def _trimmed(page: Image.Image) -> Array:
    ink = np.asarray(page, dtype=np.float32) / np.float32(255)
    columns = np.flatnonzero(ink.any(axis=0))
    return ink[:, columns[0] : columns[-1] + 1]


def line_of(face: Face, text: str, rng: np.random.Generator) -> Array:
    """The ink of a line of separate characters."""
    parts: list[Array] = []
    for character in text:
        if character == " ":
            parts.append(np.zeros((HEIGHT, round(0.6 * CAPITAL_PIXELS)), np.float32))
        else:
            gap = round(rng.uniform(0.15, 0.3) * CAPITAL_PIXELS)
            parts += [face.draw(character), np.zeros((HEIGHT, gap), np.float32)]
    return np.hstack(parts)


def clean(ink: Array) -> Image.Image:
    """Black on white, with a margin."""
    paper = 255 - 255 * np.pad(ink, CAPITAL_PIXELS // 4)
    return Image.fromarray(paper.astype(np.uint8))


def photographed(ink: Array, rng: np.random.Generator) -> Image.Image:
    """As if written on some paper and photographed; see the head of this file."""
    scale = np.exp(rng.uniform(np.log(MIN_CAPITAL_PIXELS), np.log(CAPITAL_PIXELS))) / CAPITAL_PIXELS
    angle = float(rng.uniform(-MAX_ANGLE_DEGREES, MAX_ANGLE_DEGREES))
    large = Image.fromarray((255 * np.pad(ink, 8)).astype(np.uint8))
    turned = large.rotate(angle, Image.Resampling.BICUBIC, expand=True)
    size = (max(8, round(turned.width * scale)), max(8, round(turned.height * scale)))
    small = np.asarray(turned.resize(size, Image.Resampling.BOX), np.float32) / 255
    margins = (rng.uniform(0.15, 0.8, 4) * CAPITAL_PIXELS * scale).astype(int) + 4
    cover = np.pad(small, (tuple(margins[:2]), tuple(margins[2:])))
    height, width = cover.shape
    rows, columns = np.meshgrid(
        np.linspace(-1, 1, height), np.linspace(-1, 1, width), indexing="ij"
    )
    direction = rng.uniform(0, 2 * np.pi)
    across = rows * np.sin(direction) + columns * np.cos(direction)
    light = 1 - 0.15 * rng.uniform() * (1 + across) - 0.1 * rng.uniform() * (rows**2 + columns**2)
    if rng.uniform() < 0.5:
        light *= 1 - 0.25 / (1 + np.exp((across - rng.uniform(-0.5, 0.5)) * 12))
    grey = rng.uniform(190, 250), rng.uniform(20, 80)
    paper, pen = grey if rng.uniform() < 0.75 else grey[::-1]
    page = (paper + (pen - paper) * cover) * light
    page += rng.normal(0, rng.uniform(1, 8), page.shape)
    file = io.BytesIO()
    picture = Image.fromarray(np.clip(page, 0, 255).astype(np.uint8))
    picture.save(file, "JPEG", quality=int(rng.integers(60, 96)))
    return Image.open(file)


@dataclass
class Tally:
    """How many of how many."""

    right: int = 0
    of: int = 0

    def add(self, right: int, of: int) -> None:
        """Count some more."""
        self.right, self.of = self.right + right, self.of + of

    @property
    def part(self) -> float:
        """0 to 1."""
        return self.right / max(1, self.of)


def as_it_is(ink: Array) -> Array:
    """What Stepnet does."""
    return ink


def sheared(ink: Array) -> Array:
    """Leaning until, by its second moments, it does not."""
    ink = _with_room(ink)
    down, both, _ = _second_moments(ink)
    lean, middle = float(np.clip(both / max(down, 1.0), -0.5, 0.5)), ink.shape[0] / 2
    moved = Image.fromarray(ink).transform(
        (ink.shape[1], ink.shape[0]),
        Image.Transform.AFFINE,
        (1, lean, -lean * middle, 0, 1, 0),
        Image.Resampling.BICUBIC,
    )
    return np.maximum(np.asarray(moved), 0)


def turned(ink: Array) -> Array:
    """Turned until its main axis is upright, by up to `MAX_ANGLE_DEGREES`; what lies stays."""
    ink = _with_room(ink)
    down, both, across = _second_moments(ink)
    axis = float(np.degrees(np.arctan2(2 * both, down - across))) / 2
    angle = 0.0 if abs(axis) > 45 else float(np.clip(axis, -MAX_ANGLE_DEGREES, MAX_ANGLE_DEGREES))
    return np.maximum(np.asarray(Image.fromarray(ink).rotate(-angle, Image.Resampling.BICUBIC)), 0)


def _with_room(ink: Array) -> Array:
    """The character alone, with space to lean or to turn in."""
    ink = cut_out(ink)
    return np.pad(ink, max(ink.shape))


def _second_moments(ink: Array) -> tuple[float, float, float]:
    """Of the places with strong ink around their middle: down, both, across."""
    rows, columns = np.nonzero(ink >= 0.3 * ink.max())
    down, across = rows - rows.mean(), columns - columns.mean()
    return float((down**2).mean()), float((down * across).mean()), float((across**2).mean())


UPRIGHT = {change.__name__: change for change in (as_it_is, sheared, turned)}


def read_single(
    network: Network, pictures: list[Image.Image], upright: Callable[[Array], Array]
) -> NDArray[np.uint8]:
    """The codes that the reference reads in pictures of one character; 0 where one is refused."""
    images = np.zeros((len(pictures), network.height, network.width), np.uint8)
    refused = np.zeros(len(pictures), np.bool_)
    for number, picture in enumerate(pictures):
        try:
            ink = find_ink(*grey_values(picture)).strength
            images[number] = place_for(network, upright(ink))
        except ImageError:
            refused[number] = True
    return np.where(refused, 0, reference.infer(network, images))


def read_line(network: Network, picture: Image.Image, text: str) -> tuple[bool, int]:
    """Whether a line is cut right, and how many of its characters are read right if it is."""
    try:
        glyphs = segment_line(picture)
    except ImageError:
        return False, 0
    pattern = "".join(" ." if glyph.after_space else "." for glyph in glyphs)
    if pattern != "".join(" " if character == " " else "." for character in text):
        return False, 0
    images = [place_for(network, glyph.ink, glyph.capital_height) for glyph in glyphs]
    codes = reference.infer(network, np.stack(images))
    return True, int((codes == np.frombuffer(text.replace(" ", "").encode(), np.uint8)).sum())


def measure(
    network: Network,
    faces: list[Face],
    repeats: int,
    lines: int,
    seed: int,
    upright: Callable[[Array], Array],
) -> dict[str, float]:
    """Accuracies, each a part of all that were drawn."""
    rng = np.random.default_rng(seed)
    alphabet = sorted(network.characters)
    codes = np.array([ord(character) for character in alphabet], np.uint8)
    tallies: dict[str, Tally] = {}

    def count(what: str, right: int, of: int) -> None:
        tallies.setdefault(what, Tally()).add(right, of)

    for face in faces:
        drawn = [face.draw(character) for character in alphabet]
        single = read_single(network, [clean(ink) for ink in drawn], upright) == codes
        count("clean", int(single.sum()), len(codes))
        for _ in range(repeats):
            photographs = [photographed(ink, rng) for ink in drawn]
            found = read_single(network, photographs, upright) == codes
            count("photographed", int(found.sum()), len(codes))
        for _ in range(lines):
            words = ["".join(rng.choice(alphabet, length)) for length in WORDS_LENGTHS]
            text = " ".join(words)
            ink = line_of(face, text, rng)
            for kind, picture in (("clean", clean(ink)), ("photographed", photographed(ink, rng))):
                cut, right = read_line(network, picture, text)
                count(f"{kind} line cut right", int(cut), 1)
                if cut:
                    count(f"{kind} character in a line cut right", right, sum(WORDS_LENGTHS))
    return {what: tally.part for what, tally in tallies.items()}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Accuracy on pictures of handwriting fonts.")
    parser.add_argument("--network", action="append", help="shipped name or .npz; repeatable")
    parser.add_argument("--fonts", type=Path, help="folder of .ttf, .otf and .woff files")
    parser.add_argument("--repeats", type=int, default=2, help="photographs of each character")
    parser.add_argument("--lines", type=int, default=8, help="lines in each face; 0 for none")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--upright", choices=UPRIGHT, default="as_it_is", help="single characters")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    faces: list[Face] = [StrokeFace(name) for name in HERSHEY_FACES]
    if arguments.fonts is not None:
        files = (path for path in arguments.fonts.iterdir() if path.suffix in FONT_SUFFIXES)
        faces += [OutlineFace(path) for path in sorted(files)]
    results = {
        name: measure(
            load_network(name),
            faces,
            arguments.repeats,
            arguments.lines,
            arguments.seed,
            UPRIGHT[arguments.upright],
        )
        for name in arguments.network or ["digits"]
    }
    if arguments.json:
        print(json.dumps({"faces": [face.name for face in faces], "accuracy": results}))
        return
    print(f"Faces: {', '.join(face.name for face in faces)}")
    for name, result in results.items():
        print(name)
        for what, part in result.items():
            print(f"  {100 * part:6.2f} %  {what}")


if __name__ == "__main__":
    main()
