"""Random networks for tests."""

import numpy as np

from stepnet import Layer, Network


def random_network(
    rng: np.random.Generator,
    sizes: tuple[int, ...],
    weight_bits: tuple[int, ...],
    height: int = 1,
) -> Network:
    """A network whose neurons fire about half of the time; `sizes[0]` inputs in `height` rows."""
    layers = []
    for n_in, n_out, bits in zip(sizes[:-1], sizes[1:], weight_bits, strict=True):
        if bits == 1:
            weights = rng.choice([-1, 1], (n_out, n_in))
        else:
            weights = rng.integers(-(1 << bits - 1), 1 << bits - 1, (n_out, n_in))
        typical = weights.sum(axis=1) // 2
        spread = 1 + int(np.abs(weights).max() * np.sqrt(n_in) / 2)
        thresholds = typical + rng.integers(-spread, spread + 1, n_out)
        layers.append(Layer(weights, thresholds, bits))
    return Network(
        "random", tuple(layers), height, sizes[0] // height, alphabet="".join(map(chr, range(128)))
    )


def random_images(rng: np.random.Generator, network: Network, count: int) -> np.ndarray:
    """(count, height, width) bool."""
    return rng.random((count, network.height, network.width)) < 0.5
