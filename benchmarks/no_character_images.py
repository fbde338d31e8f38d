"""Draws what is no character as a data set for `stepnet train --also`, more of it than `--unknown`
draws by itself.

    python benchmarks/no_character_images.py --output drawn.npz [--seed N] [--data-dir FOLDER]

All is labelled with code 0, which no data set of characters has, and lies as MNIST's digits do.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from stepnet.data import sets
from stepnet.networks.placing import Placing
from stepnet.pictures import no_character

COUNTS = (
    (no_character.scribble, 30_000),
    (no_character.coil, 14_000),
    (no_character.hatching, 8_000),
)


def main() -> None:
    """Draw and write."""
    parser = argparse.ArgumentParser(description="Images of no character as a data set.")
    parser.add_argument("--output", type=Path, required=True, help=".npz to write")
    parser.add_argument("--seed", type=int, default=4242)
    parser.add_argument("--data-dir", help="folder of the data sets")
    options = parser.parse_args()
    characters = sets.load("mnist", options.data_dir).train.images
    random = np.random.default_rng(options.seed)
    images = np.stack(
        [drawer(characters, Placing.MNIST, random) for drawer, n in COUNTS for _ in range(n)]
    )
    np.savez_compressed(options.output, images=images, labels=np.zeros(len(images), np.uint8))
    print(f"{options.output}: {len(images):,} images")


if __name__ == "__main__":
    main()
