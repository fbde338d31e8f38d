"""Images that show no character, drawn by a seed, for networks that learn to answer "none".

They are what comes to a network that watches a pen, a camera or a sensor and no character is there:
scribbles, coils, hatching, dots of any density, empty and full images, parts of characters, two at
once. A network that has seen such images in training tells others of their kind too (outlier
exposure: Hendrycks, Mazeika and Dietterich, arXiv:1812.04606).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from stepnet.networks.placing import Placing
from stepnet.pictures.placing import place

CANVAS = 112
"""Side of the square, in pixels, that scribbles are drawn on."""

PENS = (6, 16)
"""Limits of their pen's width: from thin to bold once the square has become an image."""

WIDE_PENS = (3, 10)
"""The same for coils and hatching."""

TURNS = (6, 16)
"""Limits of how many points each line of a scribble has; with fewer it may be a digit."""

LEFT_PART = (0.25, 0.6)
"""How much of the ink is left of a character of which a part is shown."""

Images = NDArray[np.uint8]
Random = np.random.Generator
Drawer = Callable[[Images, Placing, Random], Images]
"""Makes one (height, width) image; may look at any of the (N, height, width) characters given."""


def scribble(characters: Images, placing: Placing, random: Random) -> Images:
    """A line that turns at random points, placed as characters are; curved or with corners, in one
    stroke or in several.
    """
    page = Image.new("L", (CANVAS, CANVAS))
    pen, width = ImageDraw.Draw(page), int(random.integers(*PENS))
    for _ in range(int(random.integers(1, 4))):
        turns = random.uniform(width, CANVAS - width, (int(random.integers(*TURNS)), 2))
        points = _curved(turns) if random.random() < 0.7 else turns
        pen.line([(float(x), float(y)) for x, y in points], 255, width, joint="curve")
    _, height, wide = characters.shape
    return place(np.asarray(page, np.float32) / np.float32(255), height, wide, placing)


def coil(characters: Images, placing: Placing, random: Random) -> Images:
    """A pen that goes round and round while it moves on, or inwards: what strikes out a word, and
    what tries whether a pen writes.
    """
    # On one spot and of one size it would be a bold 0, and close together a bold 1.
    moves = random.random() < 0.7
    length, shrink = (random.uniform(60, 160), 0.3) if moves else (0.0, 0.95)
    rounds = length / random.uniform(14, 24) if moves else random.uniform(3, 7)
    along = np.linspace(0, 1, int(24 * rounds))
    angle = 2 * np.pi * (rounds * along + random.random())
    reach = random.uniform(14, 28, 2) * (1 - random.random() * shrink * along)[:, np.newaxis]
    if not moves:
        reach = random.uniform(20, 40, 2) * (1 - shrink * along)[:, np.newaxis]
    heading = random.uniform(0, 2 * np.pi)
    moved = length * np.outer(along - 0.5, (np.cos(heading), np.sin(heading)))
    points = moved + reach * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    points += random.normal(0, random.uniform(0, 2.5), points.shape)
    return _drawn([points], characters, placing, random)


def hatching(characters: Images, placing: Placing, random: Random) -> Images:
    """Lines beside each other, to and fro in one stroke or each for itself, some crossed by more of
    them: a filled area, or one that was struck out.
    """
    strokes: list[NDArray[np.float64]] = []
    first = random.uniform(0, np.pi)
    for crossing in range(1 + int(random.random() < 0.3)):
        lines = int(random.integers(5, 12))
        across = np.repeat(np.linspace(-1, 1, lines), 2) * random.uniform(15, 45)
        ends = np.resize([-1.0, 1.0], 2 * lines) * random.uniform(12, 45)
        if random.random() < 0.6:  # to and fro: every second line the other way round
            ends = ends * np.repeat(np.resize([1.0, -1.0], lines), 2)
        points = np.stack([across, ends], axis=1) + random.normal(0, 4, (2 * lines, 2))
        angle = first + crossing * np.pi / 2
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        lifts = random.random() < 0.3
        strokes += np.split(points @ turn, lines if lifts else 1)
    return _drawn(strokes, characters, placing, random)


def _drawn(
    strokes: list[NDArray[np.float64]], characters: Images, placing: Placing, random: Random
) -> Images:
    """Strokes around 0, each (N, 2), drawn with a pen of random width and placed."""
    width = int(random.integers(*WIDE_PENS))
    reach = max(float(np.abs(points).max()) for points in strokes) + width
    side = int(2 * reach) + 1
    page = Image.new("L", (side, side))
    pen = ImageDraw.Draw(page)
    for points in strokes:
        pen.line([(float(x), float(y)) for x, y in points + reach], 255, width, joint="curve")
    _, height, wide = characters.shape
    return place(np.asarray(page, np.float32) / np.float32(255), height, wide, placing)


def _curved(turns: NDArray[np.float64]) -> NDArray[np.float64]:
    """Points on the quadratic B-spline of these control points: a smooth line near them."""
    middles = (turns[:-1] + turns[1:]) / 2
    along = np.linspace(0, 1, 8)[:, np.newaxis, np.newaxis]
    starts, bends, ends = middles[:-1], turns[1:-1], middles[1:]
    curve = (1 - along) ** 2 * starts + 2 * along * (1 - along) * bends + along**2 * ends
    return curve.transpose(1, 0, 2).reshape(-1, 2)


def dots(characters: Images, placing: Placing, random: Random) -> Images:
    """Random dots of one to four pixels, of any density, all bright or of any grey."""
    _, height, width = characters.shape
    side = int(random.integers(1, 5))
    shape = -(-height // side), -(-width // side)
    bright = 255 if random.random() < 0.5 else random.integers(64, 256, shape)
    spots = np.where(random.random(shape) < random.random(), bright, 0).astype(np.uint8)
    return np.kron(spots, np.ones((side, side), np.uint8))[:height, :width]


def blank(characters: Images, placing: Placing, random: Random) -> Images:
    """An empty or a full image, every second with a part of the other kind; some have specks."""
    _, height, width = characters.shape
    full = random.random() < 0.5
    image = np.full((height, width), 255 if full else 0, np.uint8)
    if random.random() < 0.5:
        edge = int(random.integers(1, len(image)))
        image[:edge] = 255 - image[:edge]
        image = np.rot90(image, int(random.integers(4))) if height == width else image
    drawn = random.random(image.shape)
    chance = (0.0, 0.01, 0.03)[int(random.integers(3))]
    return np.where(drawn < chance, 255 - image, image).astype(np.uint8)


def part(characters: Images, placing: Placing, random: Random) -> Images:
    """A character of which a straight cut leaves less than the larger part, where it was."""
    image = characters[random.integers(len(characters))]
    _, height, width = characters.shape
    rows, columns = np.mgrid[:height, :width]
    angle = random.uniform(0, 2 * np.pi)
    along = rows * np.sin(angle) + columns * np.cos(angle)
    ink = np.sort(along[image > image.max() // 2])
    cut = ink[int(random.uniform(*LEFT_PART) * len(ink))]
    return np.where(along < cut, image, 0).astype(np.uint8)


def two(characters: Images, placing: Placing, random: Random) -> Images:
    """Two characters beside or above each other, as one character is placed."""
    pair = [characters[index] for index in random.integers(len(characters), size=2)]
    axis = int(random.random() < 0.7)
    cut = [image[:, image.any(axis=0)] if axis else image[image.any(axis=1)] for image in pair]
    both = np.concatenate(cut, axis=axis).astype(np.float32)
    _, height, width = characters.shape
    return place(both / np.float32(255), height, width, placing)


DRAWERS: tuple[tuple[float, Drawer], ...] = (
    (0.4, scribble),
    (0.1, coil),
    (0.1, hatching),
    (0.08, dots),
    (0.04, blank),
    (0.14, part),
    (0.14, two),
)
"""What there is to draw, and how large a part of all each kind is. Dots and full images are soon
told apart, and many of them would move the statistics by which neurons find their thresholds."""


def draw(characters: Images, count: int, placing: Placing, seed: int) -> Images:
    """`count` images without a character: (count, height, width) uint8, ink bright on 0.

    characters: (N, height, width) uint8, the images of characters, none of them empty, that parts
        and pairs are made of.
    placing: how characters lie in them, and so what is drawn.
    """
    random = np.random.default_rng(seed)
    parts, drawers = zip(*DRAWERS, strict=True)
    kinds = random.choice(len(drawers), size=count, p=parts)
    images = np.empty((count, *characters.shape[1:]), np.uint8)
    for number, kind in enumerate(kinds):
        images[number] = drawers[kind](characters, placing, random)
    return images
