"""Small networks that several tests load, infer or measure."""

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
