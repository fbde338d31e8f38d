"""Random networks for tests."""

import numpy as np

from stepnet import Layer, Network, Readout


def random_network(
    rng: np.random.Generator,
    sizes: tuple[int, ...],
    weight_bits: tuple[int, ...],
    height: int = 1,
    readout: Readout = Readout.BITS,
) -> Network:
    """A network whose neurons fire about half of the time; `sizes[0]` inputs in `height` rows.

    A tree of less than 8 bits gets a random prefix; with readout nearest the codes are random.
    """
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
    codes = range(128)
    code_prefix = ""
    if readout is Readout.TREE:
        depth = (sizes[-1] + 1).bit_length() - 1
        code_prefix = format(rng.integers(1 << 8 - depth), f"0{8 - depth}b") if depth < 8 else ""
    elif readout is Readout.NEAREST:
        codes = rng.permutation(256)[: sizes[-1]]
    return Network(
        "random",
        tuple(layers),
        height,
        sizes[0] // height,
        readout=readout,
        alphabet="".join(map(chr, codes)),
        code_prefix=code_prefix,
    )


def random_images(rng: np.random.Generator, network: Network, count: int) -> np.ndarray:
    """(count, height, width) bool."""
    return rng.random((count, network.height, network.width)) < 0.5
