"""Characters of fonts as a data set for `stepnet train --also`, drawn as other pens would.

    pip install ".[bench]"
    python benchmarks/font_characters.py --fonts FOLDER --output fonts.npz

FOLDER holds fonts (.ttf, .otf, .woff), at any depth, such as Debian packages that
`dpkg-deb -x fonts-NAME.deb FOLDER/fonts-NAME` unpacks. Fonts of one of its first folders whose
names begin with the same letters are a family, of which at most `--faces` fonts are taken, by a
seed. Families that benchmarks/picture_accuracy.py measures with are refused by their names.
The data set's `writer` is the number of the family, so that whatever is held out of it is whole
families.

Each character is drawn large, leaned, turned, made bolder or thinner and smaller by a seed, and
placed as MNIST's are, or with `--placing unipen` as UNIPEN's: with the height of capitals, which
the drawing has, or without, as a character is placed that comes alone (`--lone`). A font is left
out if fewer of its digits than `LEGIBLE` say are read right by the shipped network `digits-conv`,
which has seen no font: it is ornament then, or has no digits. Characters that a font draws like
another one are left out too: those of a font without lower case, and boxes for missing ones.
"""

from __future__ import annotations

import argparse
import functools
import multiprocessing
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from picture_accuracy import CAPITAL_PIXELS, FONT_SUFFIXES, OutlineFace
from PIL import Image, ImageFilter

from stepnet.networks import reference
from stepnet.networks.placing import Placing
from stepnet.networks.shipped import load_network
from stepnet.pictures.placing import place

MEASURED = ("architects", "caveat", "gochi", "indie", "kalam", "patrick", "shadows", "hershey")
"""What the names of the families begin with that are kept for measuring."""

DIGITS = "0123456789"
OTHERS = "".join(chr(code) for code in range(0x21, 0x7F) if chr(code) not in DIGITS)
FAMILY_LETTERS = 4
LEGIBLE = 7
"""How many of its ten digits a font has read right."""

TURN_DEGREES = 10
LEAN = 0.25
SMALLEST = 0.2
"""What a character shrinks to at most, in parts of its drawing, whose capitals have 96 pixels."""

CHANGED_BY_CASE = "abdeghmnqrt"
ALIKE = 0.7
"""Letters whose capital has another form, and how much of the ink of both is common, at least,
where a font has small capitals in their place."""

BOLDER_PIXELS, THINNER_PIXELS = 9, 5
"""Limits of the square that widens or narrows strokes of the drawing."""


def families(folder: Path) -> dict[str, list[Path]]:
    """The fonts of each family, sorted."""
    found: dict[str, list[Path]] = {}
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in FONT_SUFFIXES:
            name = f"{path.relative_to(folder).parts[0]} {path.name[:FAMILY_LETTERS].lower()}"
            if any(part in path.name.lower() for part in MEASURED):
                raise SystemExit(f"The font {path.name} is one to measure with; take it out.")
            found.setdefault(name, []).append(path)
    return found


def varied(ink: NDArray[np.float32], rng: np.random.Generator) -> tuple[NDArray[np.float32], float]:
    """The drawing of a character as another pen and another camera would have it, and how high
    capitals are in it, in pixels."""
    image = Image.fromarray((255 * np.pad(ink, CAPITAL_PIXELS // 2)).astype(np.uint8))
    wider = int(rng.integers(0, BOLDER_PIXELS // 2 + 1)) * 2 + 1
    narrower = int(rng.integers(0, THINNER_PIXELS // 2 + 1)) * 2 + 1
    if rng.random() < 0.5:
        image = image.filter(ImageFilter.MaxFilter(wider))
    elif rng.random() < 0.5:
        thinner = image.filter(ImageFilter.MinFilter(narrower))
        # A hairline would vanish.
        image = thinner if np.asarray(thinner).any() else image
    lean = float(rng.uniform(-LEAN, LEAN))
    middle = image.height / 2
    image = image.transform(
        image.size,
        Image.Transform.AFFINE,
        (1, lean, -lean * middle, 0, 1, 0),
        Image.Resampling.BILINEAR,
    )
    image = image.rotate(float(rng.uniform(-TURN_DEGREES, TURN_DEGREES)), Image.Resampling.BILINEAR)
    scale = float(np.exp(rng.uniform(np.log(SMALLEST), 0)))
    size = (max(8, round(image.width * scale)), max(8, round(image.height * scale)))
    small = np.asarray(image.resize(size, Image.Resampling.BOX), np.float32) / np.float32(255)
    return small, CAPITAL_PIXELS * scale


@dataclass(frozen=True)
class Place:
    """How drawings are placed: `lone` is the part of those whose size is not known."""

    placing: Placing = Placing.MNIST
    lone: float = 1.0


def characters_of(
    face: OutlineFace, alphabet: str, repeats: int, lie: Place, rng: np.random.Generator
) -> tuple[list[NDArray[np.uint8]], list[int]]:
    """Images and codes of a font's characters; those that it leaves empty are left out, and those
    that it draws like others of the alphabet."""
    drawn = drawings(face, alphabet)
    images: list[NDArray[np.uint8]] = []
    codes: list[int] = []
    for character, ink in drawn.items():
        for number in range(repeats):
            changed, capitals = varied(ink, rng) if number else (ink, float(CAPITAL_PIXELS))
            if changed.max() > 0.3:
                known = None if rng.random() < lie.lone else capitals
                images.append(place(changed, 28, 28, lie.placing, known))
                codes.append(ord(character))
    return images, codes


def drawings(face: OutlineFace, alphabet: str) -> dict[str, NDArray[np.float32]]:
    """The characters that a font draws, each in its own way. Of an upper and a lower case that look
    alike the upper one counts; of others that do, none."""
    drawn: dict[str, NDArray[np.float32]] = {}
    for character in alphabet:
        with suppress(IndexError):  # a box without ink
            drawn[character] = face.draw(character)
    looks = {character: (ink.shape, ink.tobytes()) for character, ink in drawn.items()}
    found = Counter(looks.values())
    cases = Counter(looks[character] for character in drawn if not character.islower())
    kept = {
        character: ink
        for character, ink in drawn.items()
        if found[looks[character]] == 1 or (character.isupper() and cases[looks[character]] == 1)
    }
    capitals = sum(_small_capital(drawn, character) for character in CHANGED_BY_CASE)
    if capitals > len(CHANGED_BY_CASE) // 2:
        return {character: ink for character, ink in kept.items() if not character.islower()}
    return kept


def _small_capital(drawn: dict[str, NDArray[np.float32]], character: str) -> bool:
    """Whether a lower-case letter has the form of its capital."""
    if character not in drawn or character.upper() not in drawn:
        return False
    small, large = (place(drawn[each], 28, 28) > 127 for each in (character, character.upper()))
    return bool((small & large).sum() > ALIKE * (small | large).sum())


def kept_images(labels: NDArray[np.uint8], arguments: argparse.Namespace) -> NDArray[np.intp]:
    """Which images are kept, drawn by the seed."""
    rng = np.random.default_rng(arguments.seed)
    is_digit = np.isin(labels, [ord(digit) for digit in DIGITS])
    digits = rng.permutation(np.flatnonzero(is_digit))[: arguments.keep_digits]
    others = rng.permutation(np.flatnonzero(~is_digit))[: arguments.keep_others]
    return np.sort(np.concatenate([digits, others]))


@dataclass(frozen=True)
class Family:
    """What was drawn of a family: images and codes, and of how many of its fonts."""

    images: list[NDArray[np.uint8]]
    codes: list[int]
    faces: int
    told: str


def family_of(named: tuple[int, tuple[str, list[Path]]], arguments: argparse.Namespace) -> Family:
    """Draw a family; what is drawn depends on its number, its fonts and the seed alone."""
    number, (name, paths) = named
    rng = np.random.default_rng((arguments.seed, number))
    lie = Place(Placing(arguments.placing), arguments.lone)
    judge = load_network("digits-conv")
    images: list[NDArray[np.uint8]] = []
    codes: list[int] = []
    kept = 0
    for index in rng.permutation(len(paths)):
        if kept == arguments.faces:
            break
        try:
            face = OutlineFace(paths[index])
        except (OSError, ValueError, ZeroDivisionError):
            continue
        plain, labels = characters_of(face, DIGITS, 1, Place(), rng)
        if len(plain) < len(DIGITS):
            continue
        right = reference.infer(judge, np.stack(plain)) == np.array(labels)
        if right.sum() < LEGIBLE:
            continue
        kept += 1
        for alphabet, repeats in ((DIGITS, arguments.repeats), (OTHERS, arguments.others)):
            drawn, labels = characters_of(face, alphabet, repeats, lie, rng)
            images += drawn
            codes += labels
    return Family(images, codes, kept, f"{name}: {kept} of {len(paths)} fonts")


def draw(found: Sequence[tuple[str, list[Path]]], arguments: argparse.Namespace) -> list[Family]:
    """All families, by so many processes as are asked for."""
    drawn: list[Family] = []
    with multiprocessing.get_context("spawn").Pool(arguments.processes) as pool:
        work = functools.partial(family_of, arguments=arguments)
        for family in pool.imap(work, enumerate(found)):
            print(family.told, flush=True)
            drawn.append(family)
    return drawn


def main() -> None:
    """Draw, judge and write."""
    parser = argparse.ArgumentParser(description="Characters of fonts as a data set.")
    parser.add_argument("--fonts", type=Path, required=True, help="folder of families")
    parser.add_argument("--output", type=Path, required=True, help=".npz to write")
    parser.add_argument("--faces", type=int, default=6, help="fonts of a family at most")
    parser.add_argument("--repeats", type=int, default=14, help="drawings of each digit")
    parser.add_argument("--others", type=int, default=2, help="drawings of each other character")
    parser.add_argument("--keep-digits", type=int, default=30000, help="how many are kept")
    parser.add_argument("--keep-others", type=int, default=50000, help="how many are kept")
    parser.add_argument("--placing", choices=tuple(Placing), default=Placing.MNIST)
    parser.add_argument("--lone", type=float, default=0.6, help="part whose size is not known")
    parser.add_argument("--processes", type=int, default=1, help="how many draw at once")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    drawn = draw(sorted(families(arguments.fonts).items()), arguments)
    writer = np.repeat(np.arange(len(drawn)), [len(family.codes) for family in drawn])
    labels = np.array([code for family in drawn for code in family.codes], np.uint8)
    kept_of = kept_images(labels, arguments)
    np.savez_compressed(
        arguments.output,
        images=np.stack([image for family in drawn for image in family.images])[kept_of],
        labels=labels[kept_of],
        writer=writer.astype(np.int32)[kept_of],
    )
    faces = sum(family.faces for family in drawn)
    print(f"{arguments.output}: {len(kept_of)} characters of {faces} fonts")


if __name__ == "__main__":
    main()
