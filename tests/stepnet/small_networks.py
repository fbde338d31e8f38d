"""Small networks that several tests load, infer or measure."""

import itertools

import numpy as np

from stepnet import Layer, Network
from stepnet.networks.random_networks import random_images, random_network


def small_network(seed=0, sizes=(30, 12, 7), height=5, name="small", alphabet=None):
    """Random weights of one bit; its codes are all over the 7 bits."""
    rng = np.random.default_rng(seed)
    return random_network(rng, sizes, height=height, name=name, alphabet=alphabet, spread=0.0)


def images_for(network, count, seed=1):
    """Random grey values."""
    return random_images(np.random.default_rng(seed), network, count)


def reading_network(alphabet, name="reading", card=None):
    """Bit k of its answer is pixel k of an image of 1 x 7 pixels."""
    layers = (Layer(np.eye(7), np.ones(7), 2),)
    return Network(name, layers, height=1, width=7, alphabet=alphabet, card=card or {})


def written(codes):
    """Images from which `reading_network` reads these codes."""
    bits = np.array([list(codes)]).T >> np.arange(7) & 1
    return (255 * bits).astype(np.uint8).reshape(-1, 1, 7)


def network_of_random_shape(readout, seed):
    """Three layers of random widths and bits of weight; some neurons never or always fire."""
    random = np.random.default_rng(seed)
    last = {"bits": int(random.integers(7, 9)), "tree": 15, "nearest": 5}[readout]
    sizes = [35, *random.integers(3, 20, 2).tolist(), last]
    layers = []
    for n_in, n_out in itertools.pairwise(sizes):
        bits = int(random.integers(1, 9))
        half = 1 << bits - 1
        shape = (n_out, n_in)
        weights = (
            random.choice([-1, 1], shape) if bits == 1 else random.integers(-half, half, shape)
        )
        thresholds = random.integers(-half, half + 1, n_out)
        thresholds[0] = random.choice([-100_000, 100_000, 0])
        layers.append(Layer(weights, thresholds, bits))
    return Network(
        "random",
        tuple(layers),
        height=5,
        width=7,
        ink_threshold=int(random.integers(0, 256)),
        readout=readout,
        alphabet="5x0Aé"[:5] if readout == "nearest" else "0123",
        code_prefix="0011" if readout == "tree" else "",
        card={"licence": "none at all", "ü": 'quotes " and \\'},
    )
