"""What networks of digits say of what is no digit, where one real digit in a hundred is refused.

    python benchmarks/no_character.py [--network NAME]... [--picture FILE] [--json]
        [--data-dir FOLDER]

A reading is refused if its code is none of a digit, or if its margin is smaller than a least
margin, which is calibrated on every second image of MNIST's test part and measured on the others.
Shown are also the digits, letters and punctuation of UNIPEN's test writers (clean labels, placed as
`stepnet infer` places them), and what `stepnet.pictures.no_character` draws, by a seed that no
training uses. So a network that was trained with `--unknown` has learned images of these kinds,
though none of these images; tangles are of a kind that no training has: `tangle` is here alone. A
network with a row for no character that refuses more than that by itself is also measured with the
threshold of that row raised, calibrated likewise. All by the reference. `--picture` draws the first
scribbles that the last network takes for digits.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from margins import DIGITS, halves
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from stepnet.data import sets
from stepnet.data.sets import Dataset
from stepnet.networks import reference
from stepnet.networks.network import Layer, Network, Readout
from stepnet.networks.placing import Placing
from stepnet.networks.shipped import load_network
from stepnet.pictures import no_character
from stepnet.pictures.data_sets import placed_as
from stepnet.pictures.placing import place

NETWORKS = (
    *("digits", "digits-medium", "digits-large"),
    *("digits-conv", "digits-conv-open", "digits-conv-strict"),
)
REFUSED = 0.01
"""The part of real digits that is refused."""

COUNT = 3000
"""How many images of each kind are drawn."""

SEED = 20_000

ROWS, COLUMNS, SIDE, ENLARGED = 6, 16, 30, 2
"""Of the picture, in images, pixels of one and of the picture for one of them."""

TANGLE_WAVES = 7
"""The highest frequency of the waves that a tangle is the sum of."""


def tangle(
    characters: NDArray[np.uint8], placing: Placing, random: np.random.Generator
) -> NDArray[np.uint8]:
    """A closed line, the sum of waves of random phase, which crosses itself again and again."""
    along = np.linspace(0, 2 * np.pi, 400)
    waves = np.arange(1, TANGLE_WAVES + 1)
    points = np.zeros((len(along), 2))
    for axis in range(2):
        sizes = random.normal(size=TANGLE_WAVES) / np.sqrt(waves)
        phases = random.uniform(0, 2 * np.pi, TANGLE_WAVES)
        points[:, axis] = np.sin(np.outer(along, waves) + phases) @ sizes
    points = 60 + 45 * points / np.abs(points).max()
    page = Image.new("L", (120, 120))
    line = [(float(x), float(y)) for x, y in points]
    ImageDraw.Draw(page).line(line, 255, int(random.integers(5, 12)), joint="curve")
    return place(np.asarray(page, np.float32) / np.float32(255), 28, 28, placing)


KINDS = {
    "scribbles": no_character.scribble,
    "noise": no_character.dots,
    "empty or full": no_character.blank,
    "parts of digits": no_character.part,
    "two at once": no_character.two,
    "coils": no_character.coil,
    "hatching": no_character.hatching,
    "tangles": tangle,
}


def strangers(data_dir: str | None, digits: Dataset) -> tuple[Dataset, dict[str, NDArray[Any]]]:
    """The digits of other writers, and images of what is no digit by what they are."""
    unipen = placed_as(Placing.MNIST, (28, 28), sets.load("unipen", data_dir).test.cleaned())
    is_digit = np.isin(unipen.labels, [ord(digit) for digit in DIGITS])
    found: dict[str, NDArray[Any]] = {"letters and punctuation": unipen.images[~is_digit]}
    for number, (what, drawer) in enumerate(KINDS.items()):
        random = np.random.default_rng(SEED + number)
        found[what] = np.stack([drawer(digits.images, Placing.MNIST, random) for _ in range(COUNT)])
    return unipen.select(is_digit), found


def readings(
    network: Network, images: NDArray[np.uint8]
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Codes and margins, -1 where the code is no digit's."""
    batches = np.array_split(images, -(-len(images) // 1000))
    codes = np.concatenate([reference.infer(network, batch) for batch in batches])
    margins = np.concatenate([reference.margin(network, batch) for batch in batches])
    return codes, np.where(np.isin(codes, network.character_codes), margins, -1)


def raised(network: Network, images: NDArray[np.uint8]) -> Network:
    """The network with its row of code 0 held back, so that it refuses `REFUSED` of the images."""
    *hidden, last = network.layers
    state = reference.binarise(network, images)
    for layer in hidden:
        state = reference.fires(layer, state)
    excess = reference.excess(last, state)
    of_none = network.codes == 0
    ahead = excess[:, of_none][:, 0] - excess[:, ~of_none].max(axis=1)
    by = int(np.quantile(ahead, 1 - REFUSED, method="lower")) + 1
    held_back = Layer(last.weights, last.thresholds + by * of_none, last.weight_bits)
    name = f"{network.name}, row of code 0 raised by {by}"
    return dataclasses.replace(network, name=name, layers=(*hidden, held_back))


def results(names: list[str], data_dir: str | None) -> Iterator[dict[str, Any]]:
    """One entry for each network, two for one that refuses too many by itself."""
    digits = sets.load("mnist", data_dir).test
    theirs, others = strangers(data_dir, digits)
    calibrated, _ = halves("mnist", digits)
    for name in names:
        network = load_network(name)
        codes, margins = readings(network, digits.images)
        yield _entry(network, digits, (codes, margins), theirs, others)
        too_many = (margins[calibrated] < 0).mean() > REFUSED
        if too_many and network.readout is Readout.NEAREST:
            network = raised(network, digits.images[calibrated])
            yield _entry(network, digits, readings(network, digits.images), theirs, others)


def _entry(
    network: Network,
    digits: Dataset,
    read: tuple[NDArray[np.uint8], NDArray[np.int64]],
    theirs: Dataset,
    others: dict[str, NDArray[Any]],
) -> dict[str, Any]:
    codes, margins = read
    calibrated, measured = halves("mnist", digits)
    least = max(0, int(np.quantile(margins[calibrated], REFUSED, method="higher")))
    right, margins = (codes == digits.labels)[measured], margins[measured]
    their_codes, their_margins = readings(network, theirs.images)
    return {
        "network": network.name,
        "min_margin": least,
        "unknown_codes": round(float((margins < 0).mean()), 4),
        "refused": round(float((margins < least).mean()), 4),
        "right_of_accepted": round(float(right[margins >= least].mean()), 4),
        "unipen_right": round(float((their_codes == theirs.labels).mean()), 4),
        "unipen_refused": round(float((their_margins < least).mean()), 4),
        "refused_strangers": {
            what: round(float((readings(network, images)[1] < least).mean()), 4)
            for what, images in others.items()
        },
    }


def draw_taken(network: Network, least: int, data_dir: str | None, path: Path) -> None:
    """Draw the first scribbles that are read as a digit with a margin of `least` or more."""
    _, others = strangers(data_dir, sets.load("mnist", data_dir).test)
    images = others["scribbles"]
    taken = images[readings(network, images)[1] >= least][: ROWS * COLUMNS]
    page = np.zeros((ROWS * COLUMNS, SIDE, SIDE), np.uint8)
    page[: len(taken), 1:-1, 1:-1] = taken
    rows = page.reshape(ROWS, COLUMNS, SIDE, SIDE).swapaxes(1, 2).reshape(ROWS * SIDE, -1)
    picture = Image.fromarray(255 - rows)
    picture.resize((picture.width * ENLARGED, picture.height * ENLARGED), 0).save(
        path, optimize=True
    )


def main() -> None:
    """Print a row of a table for each network, or one JSON object."""
    parser = argparse.ArgumentParser(description="What is said of what is no digit.")
    parser.add_argument("--network", action="append", help="shipped name or .npz; repeatable")
    parser.add_argument("--data-dir", help="folder of the data sets")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--picture", type=Path, help="of scribbles that are taken for digits")
    options = parser.parse_args()
    names: list[str] = options.network or list(NETWORKS)
    found = list(results(names, options.data_dir))
    if options.picture is not None:
        least = found[-1]["min_margin"]
        draw_taken(load_network(names[-1]), least, options.data_dir, options.picture)
    if options.json:
        print(json.dumps({"results": found}))
        return
    kinds = list(found[0]["refused_strangers"])
    heads = ["network", "`--min-margin`", "digits refused", "right of the accepted"]
    heads += ["UNIPEN's digits: right", "refused", *kinds]
    print(f"| {' | '.join(heads)} |\n|{'---|' * len(heads)}")
    for entry in found:
        parts = [entry[k] for k in ("refused", "right_of_accepted", "unipen_right")]
        parts += [entry["unipen_refused"], *entry["refused_strangers"].values()]
        cells = [f"`{entry['network']}`", str(entry["min_margin"])]
        print(f"| {' | '.join([*cells, *(f'{part:.1%}' for part in parts)])} |")


if __name__ == "__main__":
    main()
