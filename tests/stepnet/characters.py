"""Small data sets of made-up characters that several tests learn from."""

import numpy as np

from stepnet.data.sets import Dataset


def bars(count=600, side=8, spacing=1, seed=0):
    """Pictures of one thick bar, `spacing` rows further down for each of five characters."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, 5, count)
    images = random.integers(0, 90, (count, side, side)).astype(np.uint8)
    for image, label in zip(images, labels, strict=True):
        top = 1 + spacing * label
        image[top : top + 2] = random.integers(160, 256)
    return Dataset(images, np.frombuffer(b"acEz5", dtype=np.uint8)[labels])
