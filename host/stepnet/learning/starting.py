"""Learning that starts from a network: which one, and whether it suits settings and data.

`config_from` makes the settings those of the network, `check_start` asks whether it can learn these
images. How its integers become weights under training is in `stepnet.learning.taking_up`.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from stepnet.data.sets import Dataset
from stepnet.errors import TrainingError
from stepnet.learning.config import SETTINGS, Config
from stepnet.learning.convolution_sizes import ConvolutionSize
from stepnet.learning.settings import TERNARY, default_of
from stepnet.learning.targets import Targets
from stepnet.networks.network import Layer, Network, Readout
from stepnet.networks.readout import NO_CHARACTER
from stepnet.networks.shipped import load_network


def start_network(config: Config) -> Network | None:
    """The network that `config` starts from, its alphabet in the order of the codes; None if it
    starts from none.

    Raises NetworkError if there is no such network, or it has no step neurons.
    """
    return None if config.start is None else _in_code_order(load_network(config.start))


def config_from(network: Network, config: Config) -> Config:
    """The settings for learning on from `network`: its layers, weights, readout and ink threshold.

    Raises TrainingError if one of these is neither the network's nor as it is by default.
    """
    own: dict[str, Any] = {
        "readout": network.readout,
        "convolutions": tuple(
            ConvolutionSize.of(layer.convolution, layer.neurons)
            for layer in network.layers
            if layer.convolution
        ),
        "hidden": tuple(
            layer.neurons for layer in network.layers[:-1] if layer.convolution is None
        ),
        "weight_bits": tuple(map(_kind, network.layers)),
        "ink_threshold": network.ink_threshold,
    }
    for name, value in own.items():
        setting, given = SETTINGS[name], getattr(config, name)
        if given is None or given == default_of(config, name, setting):
            continue
        if (asked := setting.write(given)) != (told := setting.write(value)):
            raise TrainingError(
                f"The network {network.name!r}, which learning starts from, has {name} {told}, "
                f"but {asked} is asked for; leave it out, or learn without --from."
            )
    return dataclasses.replace(config, **own)


def check_start(network: Network, dataset: Dataset) -> None:
    """Raise TrainingError unless rule surrogate can go on from `network` with `dataset`."""
    _, height, width = dataset.images.shape
    if (height, width) != (network.height, network.width):
        raise TrainingError(
            f"The images have {height} x {width} pixels, but the network {network.name!r}, which "
            f"learning starts from, takes {network.height} x {network.width}; place them with "
            "--placed no, or learn without --from."
        )
    alphabet = alphabet_from(network, dataset)
    if NO_CHARACTER in dataset.alphabet and NO_CHARACTER not in alphabet:
        raise TrainingError(
            f"The network {network.name!r} has no answer for images of no character; start from "
            "one that has, or learn without --unknown."
        )
    strange = "".join(c for c in dataset.alphabet if c not in alphabet)
    if strange:
        raise TrainingError(
            f"The images show {strange!r}, which the network {network.name!r} does not read; "
            "leave them out with --characters, or start from a network that reads them."
        )
    if len(network.characters) < 2:
        raise TrainingError(
            f"The network {network.name!r} reads {network.characters!r} alone; start from one that "
            "reads at least two characters."
        )
    targets = Targets.of(network.readout, alphabet)
    if (targets.wanted.shape[1], targets.code_prefix) != (network.rows, network.code_prefix):
        raise TrainingError(
            f"The last layer of the network {network.name!r} has {network.rows} rows after the "
            f"prefix {network.code_prefix!r}, and training makes {targets.wanted.shape[1]} after "
            f"{targets.code_prefix!r} for its alphabet; start from a network that `stepnet train` "
            "made."
        )


def alphabet_from(network: Network, dataset: Dataset) -> str:
    """What a network learns that goes on from `network` with `dataset`: what it was taught before,
    and with readout bits, which has a row for each bit anyway, code 0 if that is among the labels.
    """
    taught = learned_alphabet(network)
    added = NO_CHARACTER in dataset.alphabet and network.readout is Readout.BITS
    return NO_CHARACTER + taught if added and NO_CHARACTER not in taught else taught


def learned_alphabet(network: Network) -> str:
    """The characters that a network was taught, in the order of their codes: its alphabet, with
    code 0 before it if it has an answer for images of no character.

    Under nearest that is in the alphabet. A tree has a path to it, so that the prefix of its
    alphabet is no prefix of all codes; bits that all characters have need not fire.
    """
    if NO_CHARACTER in network.alphabet or len(network.alphabet) < 2:
        return network.alphabet
    with_none = NO_CHARACTER + network.alphabet
    targets = Targets.of(network.readout, network.alphabet)
    if network.readout is Readout.TREE:
        prefixes = targets.code_prefix, Targets.of(Readout.TREE, with_none).code_prefix
        return with_none if prefixes[0] != network.code_prefix == prefixes[1] else network.alphabet
    if network.readout is Readout.BITS and targets.wanted.shape[1] == network.rows:
        last = network.layers[-1]
        lowest = np.minimum(last.weights, 0).sum(axis=1, dtype=np.int64)
        common = (targets.wanted > 0).all(axis=0)
        return with_none if (common & (last.thresholds > lowest)).any() else network.alphabet
    return network.alphabet


def _kind(layer: Layer) -> int | str:
    """What the weights of a layer can be, as `Config.weight_bits` has it."""
    ternary = layer.weight_bits == 2 and bool(np.all(np.abs(layer.weights) <= 1))
    return TERNARY if ternary else layer.weight_bits


def _in_code_order(network: Network) -> Network:
    """The same network with its alphabet, and under nearest its last rows, in code order."""
    order = np.argsort(network.codes)
    alphabet = "".join(network.alphabet[index] for index in order)
    if alphabet == network.alphabet:
        return network
    *layers, last = network.layers
    if network.readout is Readout.NEAREST:
        last = Layer(last.weights[order], last.thresholds[order], last.weight_bits)
    return dataclasses.replace(network, layers=(*layers, last), alphabet=alphabet)
