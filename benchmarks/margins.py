"""What a margin says: how many readings a least margin refuses, and how many of the rest are right.

    python benchmarks/margins.py [--network NAME]... [--data-dir FOLDER] [--json]

The least margins are calibrated on one half of the test part, so that they refuse a given part of
its readings, and measured on the other half. The halves of UNIPEN have no writer in common; who
wrote which digit of MNIST is not known, so its halves are every second image. Networks of
digits are also shown what is none: UNIPEN's clean letters and punctuation, and dots of any density,
from an empty image to a full one. Of a network that was taught to answer code 0, that answer is a
refusal, whatever its margin. All by the reference.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stepnet.data import sets
from stepnet.data.sets import Dataset
from stepnet.networks import reference
from stepnet.networks.readout import NO_CHARACTER
from stepnet.networks.shipped import load_network

NETWORKS = {
    "digits": "mnist",
    "digits-large": "mnist",
    "digits-conv": "mnist",
    "digits-conv-open": "mnist",
    "digits-conv-strict": "mnist",
    "ascii": "unipen",
    "ascii-nearest": "unipen",
    "ascii-conv": "unipen",
    "ascii-conv-nearest": "unipen",
}
REFUSED = (0.01, 0.05, 0.1, 0.2, 0.4)
"""The parts of the first half's readings that the margins are to refuse."""


DIGITS = "0123456789"
NOISES = 1000
SEED = 0


def noise() -> NDArray[np.uint8]:
    """Images of random dots, from none to all: (NOISES, 28, 28) uint8."""
    rng = np.random.default_rng(SEED)
    density = np.linspace(0, 1, NOISES)[:, np.newaxis, np.newaxis]
    return np.where(rng.random((NOISES, 28, 28)) < density, 255, 0).astype(np.uint8)


def halves(data: str, part: Dataset) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Which images a margin is calibrated on, and which it is measured on."""
    if data == "mnist":
        numbers = np.arange(len(part))
        return numbers[::2], numbers[1::2]
    assert part.writer is not None
    in_first = np.isin(part.writer, np.unique(part.writer)[::2])
    return np.flatnonzero(in_first), np.flatnonzero(~in_first)


def results(names: list[str], data_dir: str | None) -> Iterator[dict[str, Any]]:
    """One entry for each network and part refused."""
    parts: dict[str, Dataset] = {}
    unipen = sets.load("unipen", data_dir).test.cleaned()
    letters = unipen.images[~np.isin(unipen.labels, [ord(digit) for digit in DIGITS])]
    for name in names:
        data = NETWORKS[name]
        if data not in parts:
            part = sets.load(data, data_dir).test
            parts[data] = part.cleaned() if data == "unipen" else part
        part, network = parts[data], load_network(name)
        margins = np.concatenate([reference.margin(network, x) for x in _batches(part.images)])
        codes = np.concatenate([reference.infer(network, x) for x in _batches(part.images)])
        if NO_CHARACTER in network.alphabet:
            margins = np.where(codes == ord(NO_CHARACTER), -1, margins)
        right = codes == part.labels
        calibrated, measured = halves(data, part)
        strangers: dict[str, NDArray[np.int64]] = {}
        if network.characters == DIGITS:
            for what, images in (("letters", letters), ("noise", noise())):
                found = [reference.margin(network, x) for x in _batches(images)]
                known = [reference.infer(network, x) for x in _batches(images)]
                in_alphabet = np.isin(np.concatenate(known), network.character_codes)
                strangers[what] = np.where(in_alphabet, np.concatenate(found), -1)
        yield _entry(name, 0.0, 0, margins[measured], right[measured], strangers)
        for refused in REFUSED:
            least = max(0, int(np.quantile(margins[calibrated], refused, method="higher")))
            yield _entry(name, refused, least, margins[measured], right[measured], strangers)


def _batches(images: NDArray[np.uint8]) -> list[NDArray[np.uint8]]:
    return np.array_split(images, -(-len(images) // 1000))


def _entry(
    name: str,
    asked: float,
    least: int,
    margins: NDArray[np.int64],
    right: NDArray[np.bool_],
    strangers: dict[str, NDArray[np.int64]],
) -> dict[str, Any]:
    accepted = margins >= least
    return {
        "network": name,
        "to_refuse": asked,
        "min_margin": least,
        "refused": round(float(1 - accepted.mean()), 4),
        "right_of_accepted": round(float(right[accepted].mean()), 4),
        "right_refused": round(float((right & ~accepted).sum() / right.sum()), 4),
        **{
            f"{what}_refused": round(float((theirs < least).mean()), 4)
            for what, theirs in strangers.items()
        },
    }


def main() -> None:
    """Print a row of a table for each entry, or one JSON object."""
    parser = argparse.ArgumentParser(description="What a margin says.")
    parser.add_argument("--network", action="append", choices=NETWORKS, help="repeatable; else all")
    parser.add_argument("--data-dir", help="folder of the data sets")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    found = list(results(options.network or list(NETWORKS), options.data_dir))
    if options.json:
        print(json.dumps({"results": found}))
        return
    print(
        "| network | `--min-margin` | refused | right of the accepted | right ones refused | "
        "letters and punctuation refused | noise refused |"
    )
    print("|---|---|---|---|---|---|---|")
    for entry in found:
        print(
            f"| `{entry['network']}` | {entry['min_margin']} | {entry['refused']:.1%} | "
            f"{entry['right_of_accepted']:.2%} | {entry['right_refused']:.1%} | "
            + " | ".join(
                f"{entry[kind]:.1%}" if kind in entry else ""
                for kind in ("letters_refused", "noise_refused")
            )
            + " |"
        )


if __name__ == "__main__":
    main()
