"""How digits are read on the papers that people have: rules, squares, dots, desks, scanner edges.

    python benchmarks/papers.py [--pictures 1000] [--other] [--data-dir FOLDER] [--json]

Digits of MNIST's test part are redrawn large, one on each picture, on twelve kinds of paper. Of
every picture the same digit on plain paper is drawn as well, and only digits are taken that are
read right there, so that what is lost is lost to the paper. Each picture comes out right, refused
with a sentence, or wrong without a word.

Everything is drawn at random from a seed: size and place of the digit, greys, widths, spacings and
angles of rules, light, noise and compression. `--other` draws from other, wider ranges: thinner
and fainter ink, smaller digits, other spacings, steeper angles, rougher desks. Faults that either
showed were corrected, so neither is blind; another `--seed` gives pictures that nobody has seen.
"""

from __future__ import annotations

import argparse
import io
import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from stepnet import Network
from stepnet.data import sets
from stepnet.errors import ImageError
from stepnet.networks import reference
from stepnet.networks.shipped import load_network
from stepnet.pictures.preparing import prepare_character

Array = NDArray[np.float64]
Span = tuple[float, float]


@dataclass(frozen=True)
class Ranges:
    """From where to where what is drawn varies; lengths in pixels, greys of 0 to 255."""

    digit_side: Span = (200, 320)
    margin: Span = (40, 110)
    paper: Span = (215, 252)
    ink: Span = (15, 60)
    thinning: Span = (0.4, 0.55)
    noise: Span = (0.5, 4)
    quality: Span = (60, 95)
    rule_spacing: Span = (45, 100)
    square_spacing: Span = (28, 70)
    rule_width: Span = (1, 3.2)
    rule_contrast: Span = (30, 120)
    angle_degrees: Span = (-3, 3)
    dot_radius: Span = (1.2, 3)
    desk: Span = (30, 120)
    desk_noise: Span = (2, 10)
    edge_width: Span = (3, 30)
    shade: Span = (0.1, 0.4)


OTHER = Ranges(
    digit_side=(130, 420),
    margin=(25, 160),
    paper=(190, 255),
    ink=(5, 90),
    thinning=(0.35, 0.65),
    noise=(0, 6),
    quality=(45, 99),
    rule_spacing=(35, 140),
    square_spacing=(24, 90),
    rule_width=(0.8, 4),
    rule_contrast=(20, 140),
    angle_degrees=(-6, 6),
    dot_radius=(1, 4),
    desk=(10, 150),
    desk_noise=(0, 20),
    edge_width=(2, 45),
    shade=(0, 0.5),
)


class Drawing:
    """One picture in the making: what is random, and how it varies."""

    def __init__(self, ranges: Ranges, rng: np.random.Generator) -> None:
        self.ranges, self.rng = ranges, rng

    def between(self, span: Span) -> float:
        """A number from a range, at random."""
        return float(self.rng.uniform(*span))

    def chance(self, part: float) -> bool:
        """True in this part of all cases."""
        return bool(self.rng.uniform() < part)


def cover_of(image: NDArray[np.uint8], drawing: Drawing) -> Array:
    """A digit redrawn large with smooth edges, on a sheet with margins: ink from 0 to 1."""
    side = round(drawing.between(drawing.ranges.digit_side))
    large = Image.fromarray(image).resize((side, side), Image.Resampling.BICUBIC)
    smooth = np.asarray(large.filter(ImageFilter.GaussianBlur(side / 110)), np.float64) / 255
    sharp = 1 / (1 + np.exp((drawing.between(drawing.ranges.thinning) - smooth) * 40))
    margins = [round(drawing.between(drawing.ranges.margin)) for _ in range(4)]
    return np.pad(np.where(sharp < 1e-3, 0, sharp), ((margins[0], margins[1]), tuple(margins[2:])))


def stripes(
    shape: tuple[int, int], spacing: float, width: float, angle_degrees: float, offset: float
) -> Array:
    """Parallel rules with soft edges, from 0 to 1; level at an angle of 0."""
    rows, columns = np.indices(shape)
    angle = np.radians(angle_degrees)
    across = rows * np.cos(angle) - columns * np.sin(angle) + offset
    distance = np.abs((across + spacing / 2) % spacing - spacing / 2)
    return np.clip(width / 2 + 0.5 - distance, 0, 1) * min(width, 1)


@dataclass
class Page:
    """Greys of a sheet before anything is written on it, and how it goes on from there."""

    grey: Array
    ink_grey: float
    colour: tuple[float, float, float] = (1, 1, 1)


def _rules(drawing: Drawing, shape: tuple[int, int], spacing: Span, upright: bool) -> Array:
    ranges = drawing.ranges
    angle = drawing.between(ranges.angle_degrees)
    width, gap = drawing.between(ranges.rule_width), drawing.between(spacing)
    drawn = stripes(shape, gap, width, angle, drawing.between((0, gap)))
    if upright:
        offset = drawing.between((0, gap))
        drawn = np.maximum(drawn, stripes(shape, gap, width, angle + 90, offset))
    return drawn * drawing.between(ranges.rule_contrast)


def plain(drawing: Drawing, shape: tuple[int, int]) -> Array:
    """Nothing but paper."""
    return np.zeros(shape)


def ruled(drawing: Drawing, shape: tuple[int, int]) -> Array:
    """Rules across the sheet."""
    return _rules(drawing, shape, drawing.ranges.rule_spacing, upright=False)


def squared(drawing: Drawing, shape: tuple[int, int]) -> Array:
    """Squares."""
    return _rules(drawing, shape, drawing.ranges.square_spacing, upright=True)


def seyes(drawing: Drawing, shape: tuple[int, int]) -> Array:
    """French school paper: squares, with three fainter rules within each."""
    ranges = drawing.ranges
    angle, gap = drawing.between(ranges.angle_degrees), drawing.between((70, 140))
    width, contrast = drawing.between(ranges.rule_width), drawing.between(ranges.rule_contrast)
    offset = drawing.between((0, gap))
    strong = np.maximum(
        stripes(shape, gap, width, angle, offset),
        stripes(shape, gap, width, angle + 90, drawing.between((0, gap))),
    )
    faint = stripes(shape, gap / 4, max(0.8, width * 0.6), angle, offset)
    return np.maximum(strong * contrast, faint * contrast * drawing.between((0.4, 0.8)))


def dotted(drawing: Drawing, shape: tuple[int, int]) -> Array:
    """A lattice of dots."""
    angle = np.radians(drawing.between(drawing.ranges.angle_degrees))
    gap, radius = (
        drawing.between(drawing.ranges.square_spacing),
        drawing.between(drawing.ranges.dot_radius),
    )
    rows, columns = np.indices(shape)
    down = rows * np.cos(angle) - columns * np.sin(angle) + drawing.between((0, gap))
    along = rows * np.sin(angle) + columns * np.cos(angle) + drawing.between((0, gap))
    far = np.hypot((down + gap / 2) % gap - gap / 2, (along + gap / 2) % gap - gap / 2)
    return np.clip(radius + 0.5 - far, 0, 1) * drawing.between(drawing.ranges.rule_contrast)


def margin_line(drawing: Drawing, shape: tuple[int, int]) -> Array:
    """Rules, and one or two upright lines at the margin."""
    drawn = ruled(drawing, shape) if drawing.chance(0.7) else np.zeros(shape)
    for _ in range(1 + drawing.chance(0.3)):
        place = drawing.between((0.03, 0.3)) * shape[1]
        place = shape[1] - place if drawing.chance(0.4) else place
        angle = 90 + drawing.between(drawing.ranges.angle_degrees)
        width = drawing.between(drawing.ranges.rule_width)
        line = stripes(shape, 10 * max(shape), width, angle, place)
        drawn = np.maximum(drawn, line * drawing.between(drawing.ranges.rule_contrast))
    return drawn


def form_box(drawing: Drawing, shape: tuple[int, int]) -> Array:
    """A box round the digit, as forms have."""
    distance = np.full(shape, np.inf)
    rows, columns = np.indices(shape)
    places = (rows, shape[0] - 1 - rows, columns, shape[1] - 1 - columns)
    insets = [drawing.between((0.25, 0.7)) * drawing.ranges.margin[0] for _ in places]
    for place, inset in zip(places, insets, strict=True):
        within = [
            other >= other_inset - 1
            for other, other_inset in zip(places, insets, strict=True)
            if other is not place
        ]
        distance = np.where(
            np.all(within, axis=0), np.minimum(distance, abs(place - inset)), distance
        )
    width = max(1.0, drawing.between(drawing.ranges.rule_width))
    line = np.clip(width / 2 + 0.5 - distance, 0, 1)
    return line * drawing.between(drawing.ranges.rule_contrast) * 1.4


def shadowed(drawing: Drawing, page: Array) -> Array:
    """A sheet in uneven light, in half of the cases with a shadow's edge across."""
    height, width = page.shape
    rows, columns = np.meshgrid(
        np.linspace(-1, 1, height), np.linspace(-1, 1, width), indexing="ij"
    )
    direction = drawing.between((0, 2 * np.pi))
    across = rows * np.sin(direction) + columns * np.cos(direction)
    light = 1 - drawing.between(drawing.ranges.shade) * (1 + across) / 2.4
    if drawing.chance(0.5):
        edge = (across - drawing.between((-0.6, 0.6))) * drawing.between((6, 15))
        light *= 1 - 0.25 / (1 + np.exp(edge))
    return page * light


def _desk_grey(drawing: Drawing, shape: tuple[int, int]) -> Array:
    """A desk's top, rough, in half of the cases with a grain."""
    ranges = drawing.ranges
    desk = drawing.between(ranges.desk)
    rough = drawing.rng.normal(0, drawing.between(ranges.desk_noise), shape)
    if drawing.chance(0.5):
        rows, columns = np.indices(shape)
        wave = np.sin((rows + columns * drawing.between((-0.3, 0.3))) / drawing.between((3, 15)))
        rough += wave * drawing.between(ranges.desk_noise)
    return desk + rough


def desk_round(drawing: Drawing, page: Array) -> Array:
    """The sheet on a desk, a little turned, the desk on every side."""
    margins = [round(drawing.between((0.06, 0.3)) * max(page.shape)) for _ in range(4)]
    pads = (tuple(margins[:2]), tuple(margins[2:]))
    sheet = Image.fromarray(np.pad(page, pads, mode="edge").astype(np.float32))
    known = Image.fromarray(np.pad(np.ones(page.shape, np.float32), pads))
    angle = drawing.between(drawing.ranges.angle_degrees)
    turned = [np.asarray(each.rotate(angle, Image.Resampling.BICUBIC)) for each in (sheet, known)]
    part = np.clip(turned[1], 0, 1)
    return turned[0] * part + _desk_grey(drawing, part.shape) * (1 - part)


def _beside(drawing: Drawing, page: Array, sides: int, width: Span, grey: Array) -> Array:
    """The sheet with something along some of its sides, the edge between them nearly straight."""
    height, length = page.shape
    rows, columns = np.indices(page.shape)
    distances = (rows, height - 1 - rows, columns, length - 1 - columns)
    found = page
    for side in drawing.rng.permutation(4)[:sides]:
        angle = np.radians(drawing.between(drawing.ranges.angle_degrees) / 3)
        along = columns - length / 2 if side < 2 else rows - height / 2
        edge = drawing.between(width) + np.tan(angle) * along
        part = np.clip(edge - distances[side] + 0.5, 0, 1)
        found = found * (1 - part) + grey * part
    return found


def desk_beside(drawing: Drawing, page: Array) -> Array:
    """The sheet with the desk on one side or two."""
    pads = tuple((round(drawing.between((0, 60))), round(drawing.between((0, 60)))) for _ in "..")
    page = np.pad(page, pads, mode="edge")
    sides, width = 1 + drawing.chance(0.4), (15.0, 60.0)
    return _beside(drawing, page, sides, width, _desk_grey(drawing, page.shape))


def scanner_edges(drawing: Drawing, page: Array) -> Array:
    """Black or dark bars where the scanner looked past the sheet."""
    grey = np.full(page.shape, drawing.between((0, 70)))
    sides = int(drawing.rng.integers(1, 5))
    return _beside(drawing, page, sides, drawing.ranges.edge_width, grey)


def dithered(drawing: Drawing, page: Array) -> Array:
    """Black and white alone: errors diffused, or a screen of 4 or 8 pixels."""
    if drawing.chance(0.6):
        grey = Image.fromarray(np.clip(page, 0, 255).astype(np.uint8))
        return np.asarray(grey.convert("1"), np.float64) * 255
    screen = np.array([[0, 2], [3, 1]])
    for _ in range(1 + drawing.chance(0.5)):
        screen = np.block([[4 * screen, 4 * screen + 2], [4 * screen + 3, 4 * screen + 1]])
    side = len(screen)
    tiles = -(-np.array(page.shape) // side)
    threshold = np.tile((screen + 0.5) * 255 / side**2, tiles)[: page.shape[0], : page.shape[1]]
    return np.where(page > threshold, 255.0, 0.0)


def with_paper_round(drawing: Drawing, page: Array) -> Array:
    """More of the same paper on every side, in half of the cases."""
    most = round(drawing.between((0, 100))) if drawing.chance(0.5) else 0
    return np.pad(page, most, constant_values=page[0, 0])


def as_it_is(drawing: Drawing, page: Array) -> Array:
    """Nothing happens to the sheet."""
    return page


KINDS: dict[
    str,
    tuple[
        Callable[[Drawing, tuple[int, int]], Array],
        Callable[[Drawing, Array], Array],
    ],
] = {
    "plain, noise": (plain, as_it_is),
    "ruled": (ruled, as_it_is),
    "squared": (squared, as_it_is),
    "Seyès": (seyes, as_it_is),
    "dotted": (dotted, as_it_is),
    "margin line": (margin_line, as_it_is),
    "box of a form": (form_box, with_paper_round),
    "shadow across rules": (ruled, shadowed),
    "desk round the page": (plain, desk_round),
    "desk on one side": (plain, desk_beside),
    "scanner edges": (plain, scanner_edges),
    "dithered to one bit": (plain, dithered),
}


def compressed(drawing: Drawing, page: Array) -> Image.Image:
    """The sheet as a file holds it: noise, and JPEG in two of three cases."""
    noisy = page + drawing.rng.normal(0, drawing.between(drawing.ranges.noise), page.shape)
    picture = Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8))
    if drawing.chance(1 / 3):
        return picture
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=round(drawing.between(drawing.ranges.quality)))
    return Image.open(file)


def drawn(kind: str, cover: Array, drawing: Drawing) -> tuple[Image.Image, Image.Image]:
    """A picture of one kind, and the same digit on plain paper."""
    printed, seen = KINDS[kind]
    paper, ink = drawing.between(drawing.ranges.paper), drawing.between(drawing.ranges.ink)
    bare = np.maximum(paper - printed(drawing, cover.shape), 0)
    sheet = seen(drawing, bare + (np.minimum(ink, bare) - bare) * cover)
    clean = Image.fromarray(np.clip(250 - 230 * cover, 0, 255).astype(np.uint8))
    if seen is dithered:
        return Image.fromarray(sheet.astype(np.uint8)).convert("1"), clean
    return compressed(drawing, sheet), clean


def reading(network: Network, picture: Image.Image) -> str | None:
    """The character; None if the picture is refused, or the reading is no character that the
    network knows, which Stepnet says."""
    try:
        (image,) = prepare_character(picture, network).images
    except ImageError:
        return None
    read = chr(int(reference.infer(network, image[np.newaxis])[0]))
    return read if read in network.characters else None


def pictures_of(
    kind: str, network: Network, test: sets.Dataset, count: int, ranges: Ranges, seed: int
) -> list[tuple[Image.Image, str]]:
    """Pictures of one kind whose digit is read right on plain paper, and the digits."""
    rng = np.random.default_rng([seed, list(KINDS).index(kind)])
    found: list[tuple[Image.Image, str]] = []
    while len(found) < count:
        chosen = int(rng.integers(len(test.labels)))
        drawing = Drawing(ranges, rng)
        picture, clean = drawn(kind, cover_of(test.images[chosen], drawing), drawing)
        truth = chr(int(test.labels[chosen]))
        if reading(network, clean) == truth:
            found.append((picture, truth))
    return found


def measure(
    network: Network, test: sets.Dataset, count: int, ranges: Ranges, seed: int
) -> dict[str, Counter[str]]:
    """How many pictures of each kind are right, wrong and refused."""
    results: dict[str, Counter[str]] = {}
    for kind in KINDS:
        tally = results[kind] = Counter(right=0, wrong=0, refused=0)
        for picture, truth in pictures_of(kind, network, test, count, ranges, seed):
            found = reading(network, picture)
            tally["refused" if found is None else "right" if found == truth else "wrong"] += 1
    return results


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Digits on ruled paper, desks and the like.")
    parser.add_argument("--pictures", type=int, default=1000, help="in all, over every kind")
    parser.add_argument("--other", action="store_true", help="other, wider ranges")
    parser.add_argument("--network", default="digits", help="shipped name or .npz")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--data-dir", type=Path, help="folder of the data sets")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    network = load_network(arguments.network)
    test = sets.load("mnist", arguments.data_dir).test
    ranges = OTHER if arguments.other else Ranges()
    count = -(-arguments.pictures // len(KINDS))
    results = measure(network, test, count, ranges, arguments.seed + 1000 * arguments.other)
    total = sum(results.values(), Counter[str]())
    if arguments.json:
        print(json.dumps({"kinds": results, "all": total}))
        return
    print(f"{'':24}{'right':>8}{'wrong':>8}{'refused':>9}")
    for name, tally in {**results, "all": total}.items():
        parts = {what: tally[what] / sum(tally.values()) for what in ("right", "wrong", "refused")}
        print(f"{name:24}{parts['right']:8.1%}{parts['wrong']:8.1%}{parts['refused']:9.1%}")


if __name__ == "__main__":
    main()
