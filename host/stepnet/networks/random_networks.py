"""Networks of random weights and images of random pixels, for benches, tests and measurements.

Their neurons fire about half of the time, so that every bit of an answer is put to the test.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from stepnet.networks import relu
from stepnet.networks.convolution import Convolution
from stepnet.networks.lut import TABLE_BITS, TABLE_INPUTS, Counts, LutLayer, LutNetwork
from stepnet.networks.network import CharacterNetwork, Layer, Network, Readout
from stepnet.networks.relu import ReluLayer, ReluNetwork
from stepnet.networks.sigmoid import SigmoidLayer, SigmoidNetwork
from stepnet.networks.spiking import Coding, Rows, SpikingLayer, SpikingNetwork


def random_network(
    rng: np.random.Generator,
    sizes: Sequence[int],
    weight_bits: Sequence[int] | None = None,
    readout: Readout = Readout.BITS,
    *,
    height: int = 1,
    name: str = "random",
    alphabet: str | None = None,
    code_prefix: str | None = None,
    ink_part: float = 0.5,
    spread: float = 1.0,
) -> Network:
    """A network with random weights and thresholds.

    sizes: inputs, then the neurons of each layer.
    weight_bits: of each layer; 1 if None.
    height: of the image, whose width is `sizes[0] / height`.
    alphabet: all codes of 7 bits if None; with readout `nearest` then as many random codes as there
        are rows.
    code_prefix: random bits if None; they make up the 8 bits of the code where readout is `tree`.
    ink_part: part of the pixels that are 1 in the images that it will see.
    spread: how far thresholds lie around the sum in the middle, by half the largest sum of as many
        random weights; large enough, some lie beyond every sum.
    """
    layers: list[Layer] = []
    for n_in, n_out in pairwise(sizes):
        bits = 1 if weight_bits is None else weight_bits[len(layers)]
        part = 0.5 if layers else ink_part
        layers.append(_random_layer(rng, (n_out, n_in), bits, part, spread))
    if alphabet is None:
        codes = rng.permutation(256)[: sizes[-1]] if readout is Readout.NEAREST else range(128)
        alphabet = "".join(map(chr, codes))
    if code_prefix is None:
        prefix_bits = 8 - sizes[-1].bit_length() if readout is Readout.TREE else 0
        code_prefix = "".join(str(bit) for bit in rng.integers(0, 2, prefix_bits))
    return Network(
        name,
        tuple(layers),
        height=height,
        width=sizes[0] // height,
        readout=readout,
        alphabet=alphabet,
        code_prefix=code_prefix,
    )


def _random_layer(
    rng: np.random.Generator,
    shape: tuple[int, int],
    bits: int,
    ink_part: float,
    spread: float = 1.0,
    convolution: Convolution | None = None,
) -> Layer:
    """A layer of that shape, (neurons, fan_in), for inputs of which `ink_part` are 1."""
    if bits == 1:
        weights = rng.choice([-1, 1], shape)
    else:
        weights = rng.integers(-(1 << bits - 1), 1 << bits - 1, shape)
    deviation = np.abs(weights).max() * np.sqrt(shape[1]) / 2
    middle = np.floor(weights.sum(axis=1) * ink_part).astype(np.int64)
    if convolution and convolution.pool:  # one of four is enough
        middle += int(deviation)
    reach = 1 + int(spread * deviation)
    thresholds = middle + rng.integers(-reach, reach + 1, shape[0])
    return Layer(weights.astype(np.int8), thresholds.astype(np.int32), bits, convolution)


class RandomMap(NamedTuple):
    """A convolution of a random network: its neurons, the bits of a weight, and as in `Convolution`
    its kernel, stride, padding and pooling."""

    neurons: int
    kernel: int
    stride: int = 1
    padding: int = 0
    pool: bool = False
    weight_bits: int = 1


def random_convolution_network(
    rng: np.random.Generator, height: int, width: int, maps: Sequence[RandomMap], hidden: int = 0
) -> Network:
    """A network with readout bits, random weights and these convolutions, first to last.

    hidden: neurons of a dense layer before the last one; 0 for none.
    """
    layers: list[Layer] = []
    below = (height, width, 1)
    for given in maps:
        seen = Convolution(*below, given.kernel, given.stride, given.padding, given.pool)
        weights = (given.neurons, seen.fan_in)
        layers.append(_random_layer(rng, weights, given.weight_bits, 0.5, convolution=seen))
        below = (seen.out_height, seen.out_width, given.neurons)
    n_in = math.prod(below)
    for neurons in (hidden, 7) if hidden else (7,):
        layers.append(_random_layer(rng, (neurons, n_in), 1, 0.5))
        n_in = neurons
    return Network("random", tuple(layers), height, width, alphabet="".join(map(chr, range(128))))


def random_images(
    rng: np.random.Generator, network: CharacterNetwork[Any], count: int
) -> NDArray[np.uint8]:
    """Images of random grey values for `network`: (count, height, width) uint8."""
    shape = (count, network.height, network.width)
    return rng.integers(0, 256, shape, dtype=np.uint8)


def random_lut_network(
    rng: np.random.Generator,
    pixels: int,
    tables: Sequence[int],
    rows: int,
    readout: Readout,
    *,
    height: int = 1,
    code_prefix: str = "",
) -> LutNetwork:
    """A network of random look-up tables, whose thresholds lie around half of each count.

    tables: of each layer; those of the last are shared out between all rows but the last, which has
        none.
    rows, readout, code_prefix: as they go together in `LutNetwork`.
    height: of the image, whose width is `pixels / height`.
    """
    layers: list[LutLayer] = []
    n_in = pixels
    for n_out in tables:
        wires = rng.integers(0, n_in, (n_out, TABLE_INPUTS))
        layers.append(LutLayer(wires, rng.integers(0, 1 << TABLE_BITS, n_out), n_in))
        n_in = n_out
    groups = np.arange(n_in) % (rows - 1)
    thresholds = np.bincount(groups, minlength=rows) // 2 + rng.integers(0, 2, rows)
    return LutNetwork(
        "random",
        tuple(layers),
        height,
        pixels // height,
        readout=readout,
        code_prefix=code_prefix,
        counts=Counts(groups, thresholds),
    )


def random_relu_network(
    rng: np.random.Generator, sizes: Sequence[int], height: int = 1
) -> ReluNetwork:
    """A ReLU network of random weights, whose sums spread around 0 for random pixels.

    sizes: the pixels of an image, then the neurons of each layer.
    height: of the image, by which the pixels can be divided.
    """
    layers: list[ReluLayer] = []
    state = rng.integers(0, 2, (256, sizes[0])).astype(np.uint8)
    for n_in, n_out in pairwise(sizes):
        weights = rng.integers(-127, 127, (n_out, n_in), dtype=np.int8, endpoint=True)
        sums = relu.layer_sums(ReluLayer(weights, np.zeros(n_out, np.int32)), state)
        biases = -sums.mean(axis=0).astype(np.int64)
        spread = max(4, int((sums + biases).std()))
        biases += rng.integers(-spread, spread, n_out, endpoint=True)
        # Twice the spread is nearly the largest activation, and more than that saturates.
        shift = max(1, (spread * 2).bit_length())
        layers.append(
            ReluLayer(weights, biases.astype(np.int32), int(rng.integers(160, 256)), shift)
        )
        state = relu.requantised(layers[-1], sums + biases)
    return ReluNetwork(
        "random",
        tuple(layers),
        height=height,
        width=sizes[0] // height,
        readout=Readout.NEAREST,
        alphabet="".join(map(chr, range(ord("a"), ord("a") + sizes[-1]))),
    )


def random_sigmoid_network(
    rng: np.random.Generator,
    sizes: Sequence[int],
    height: int = 1,
    readout: Readout = Readout.NEAREST,
    code_prefix: str = "",
) -> SigmoidNetwork:
    """A sigmoid network of random weights, whose sums spread around 0 for random pixels.

    sizes, height: as of `random_relu_network`.
    readout, code_prefix: see `CharacterNetwork`, whose rules for the last layer hold.
    """
    layers: list[SigmoidLayer] = []
    state = rng.integers(0, 2, (256, sizes[0])).astype(np.float32)
    for n_in, n_out in pairwise(sizes):
        weights = rng.normal(size=(n_out, n_in)).astype(np.float32)
        sums = state @ weights.T
        scale = np.float32(rng.uniform(2, 6)) / sums.std()
        biases = rng.normal(size=n_out).astype(np.float32) - scale * sums.mean(axis=0)
        layers.append(SigmoidLayer(weights * scale, biases))
        state = 1 / (1 + np.exp(-layers[-1].sums(state)))
    characters = "".join(map(chr, range(ord("a"), ord("a") + sizes[-1])))
    return SigmoidNetwork(
        "random",
        tuple(layers),
        height=height,
        width=sizes[0] // height,
        readout=readout,
        alphabet=characters if readout is Readout.NEAREST else "0123456789",
        code_prefix=code_prefix,
    )


def random_spiking_network(
    rng: np.random.Generator,
    sizes: Sequence[int],
    *,
    ticks: int,
    weight_bits: int = 4,
    height: int = 1,
    coding: Coding = Coding.RATE,
    asked: Rows = Rows.SPIKES,
) -> SpikingNetwork:
    """A network with readout nearest and random neurons, in each layer of another kind."""
    layers: list[SpikingLayer] = []
    for number, (n_in, n_out) in enumerate(pairwise(sizes)):
        low = -(1 << weight_bits - 1)
        weights = rng.integers(low, -low, (n_out, n_in))
        if weight_bits == 1:
            weights = rng.choice([-1, 1], (n_out, n_in))
        usual = 1 + int(math.sqrt(n_in) * 2.0 ** (weight_bits - 3))
        thresholds = rng.integers(usual, usual + 3, n_out)
        decay_shift, reset, floor = ((3, None, -200), (None, 0, -50), (0, None, -(1 << 20)))[
            number % 3
        ]
        leaks = rng.integers(-2, 3, n_out)
        step = Layer(weights.astype(np.int8), thresholds.astype(np.int32), weight_bits)
        layers.append(SpikingLayer(step, leaks.astype(np.int32), decay_shift, reset, floor))
    return SpikingNetwork(
        "random",
        tuple(layers),
        height,
        sizes[0] // height,
        readout=Readout.NEAREST,
        alphabet="".join(map(chr, range(33, 33 + sizes[-1]))),
        ticks=ticks,
        coding=coding,
        asked=asked,
    )
