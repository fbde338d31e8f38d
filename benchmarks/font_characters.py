"""Characters of fonts as a data set for `stepnet train --also`, drawn as other pens would.

    pip install ".[bench]"
    python benchmarks/font_characters.py --fonts FOLDER --output fonts.npz

FOLDER holds fonts (.ttf, .otf, .woff), at any depth, such as Debian packages that
`dpkg-deb -x fonts-NAME.deb FOLDER/fonts-NAME` unpacks. Fonts of one of its first folders whose
names begin with the same letters are a family, of which at most `FACES_OF_FAMILY` fonts are taken,
by a seed. Families that benchmarks/picture_accuracy.py measures with are refused by their names.
The data set's `writer` is the number of the family, so that whatever is held out of it is whole
families.

Each character is drawn large, leaned, turned, made bolder or thinner and smaller by a seed, and
placed as MNIST's are. A font is left out if fewer of its digits than `LEGIBLE` say are read right
by the shipped network `digits-conv`, which has seen no font: it is ornament then, or has no digits.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from picture_accuracy import CAPITAL_PIXELS, FONT_SUFFIXES, OutlineFace
from PIL import Image, ImageFilter

from stepnet.networks import reference
from stepnet.networks.shipped import load_network
from stepnet.pictures.placing import place

MEASURED = ("architects", "caveat", "gochi", "indie", "kalam", "patrick", "shadows", "hershey")
"""What the names of the families begin with that are kept for measuring."""

DIGITS = "0123456789"
OTHERS = "".join(chr(code) for code in range(0x21, 0x7F) if chr(code) not in DIGITS)
FAMILY_LETTERS = 4
FACES_OF_FAMILY = 6
LEGIBLE = 7
"""How many of its ten digits a font has read right."""

TURN_DEGREES = 10
LEAN = 0.25
SMALLEST = 0.2
"""What a character shrinks to at most, in parts of its drawing, whose capitals have 96 pixels."""

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


def varied(ink: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """The drawing of a character as another pen and another camera would have it."""
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
    return np.asarray(image.resize(size, Image.Resampling.BOX), np.float32) / np.float32(255)


def characters_of(
    face: OutlineFace, alphabet: str, repeats: int, rng: np.random.Generator
) -> tuple[list[NDArray[np.uint8]], list[int]]:
    """Images and codes of a font's characters; those that it leaves empty are left out."""
    images: list[NDArray[np.uint8]] = []
    codes: list[int] = []
    for character in alphabet:
        try:
            ink = face.draw(character)
        except IndexError:  # a box without ink
            continue
        for number in range(repeats):
            changed = varied(ink, rng) if number else ink
            if changed.max() > 0.3:
                images.append(place(changed, 28, 28))
                codes.append(ord(character))
    return images, codes


def kept_images(labels: NDArray[np.uint8], arguments: argparse.Namespace) -> NDArray[np.intp]:
    """Which images are kept, drawn by the seed."""
    rng = np.random.default_rng(arguments.seed)
    is_digit = np.isin(labels, [ord(digit) for digit in DIGITS])
    digits = rng.permutation(np.flatnonzero(is_digit))[: arguments.keep_digits]
    others = rng.permutation(np.flatnonzero(~is_digit))[: arguments.keep_others]
    return np.sort(np.concatenate([digits, others]))


def main() -> None:
    """Draw, judge and write."""
    parser = argparse.ArgumentParser(description="Characters of fonts as a data set.")
    parser.add_argument("--fonts", type=Path, required=True, help="folder of families")
    parser.add_argument("--output", type=Path, required=True, help=".npz to write")
    parser.add_argument("--repeats", type=int, default=14, help="drawings of each digit")
    parser.add_argument("--others", type=int, default=2, help="drawings of each other character")
    parser.add_argument("--keep-digits", type=int, default=30000, help="how many are kept")
    parser.add_argument("--keep-others", type=int, default=50000, help="how many are kept")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    judge = load_network("digits-conv")
    rng = np.random.default_rng(arguments.seed)
    images: list[NDArray[np.uint8]] = []
    codes: list[int] = []
    writer: list[int] = []
    faces = 0
    for number, (family, paths) in enumerate(sorted(families(arguments.fonts).items())):
        taken = rng.permutation(len(paths))
        kept = 0
        for index in taken:
            if kept == FACES_OF_FAMILY:
                break
            try:
                face = OutlineFace(paths[index])
            except (OSError, ValueError, ZeroDivisionError):
                continue
            plain, labels = characters_of(face, DIGITS, 1, rng)
            if len(plain) < len(DIGITS):
                continue
            right = reference.infer(judge, np.stack(plain)) == np.array(labels)
            if right.sum() < LEGIBLE:
                continue
            kept += 1
            for alphabet, repeats in ((DIGITS, arguments.repeats), (OTHERS, arguments.others)):
                drawn, labels = characters_of(face, alphabet, repeats, rng)
                images += drawn
                codes += labels
                writer += [number] * len(labels)
        faces += kept
        print(f"{family}: {kept} of {len(paths)} fonts", flush=True)
    labels = np.array(codes, np.uint8)
    kept_of = kept_images(labels, arguments)
    np.savez_compressed(
        arguments.output,
        images=np.stack(images)[kept_of],
        labels=labels[kept_of],
        writer=np.array(writer, np.int32)[kept_of],
    )
    print(f"{arguments.output}: {len(kept_of)} characters of {faces} fonts")


if __name__ == "__main__":
    main()
