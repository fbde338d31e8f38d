"""Cycles of the spiking core for an image: over all inputs, over events, and the engine's.

    python benchmarks/spiking_cycles.py [--network NPZ] [--images 200] [--json]

A step network is one tick of the spiking core; its cycles stand beside those of engines that read
as many weights, and as many bits of weights, in a cycle. For a spiking network it says how many of
all inputs spike in a tick, what both walks take, and what comes of stopping after fewer ticks. Last
comes the same network with random spikes, from few to all: where the walk over events no longer
pays. All cycles are those of `stepnet.cores.spiking.cycles` and `stepnet.cores.engine.cycles`,
which the tests hold the gateware to. The images are the first of MNIST's test part.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from typing import Any

import numpy as np

from stepnet.cores.engine.cycles import cycles_per_image
from stepnet.cores.engine.shape import EngineShape
from stepnet.cores.spiking.contents import spiking_shape
from stepnet.cores.spiking.cycles import Walk, image_cycles
from stepnet.data import sets
from stepnet.networks import kinds, spiking
from stepnet.networks.reference import read_out
from stepnet.networks.shipped import load_network
from stepnet.networks.spiking import SpikingNetwork, encode, from_step

STEP_LANES = 64
LANES = 16
RATES = (0.01, 0.03, 0.1, 0.3, 0.6, 0.9, 0.97, 1.0)


def step_cycles(images: Any) -> dict[str, Any]:
    """`digits` in one tick, beside engines that read as many weights in a cycle, and as many bits
    of weights."""
    network = load_network("digits")
    same = from_step(network)
    shape = spiking_shape(same, STEP_LANES)
    bits = STEP_LANES * shape.weight_bits
    engines = {
        f"engine_{simd}": cycles_per_image(
            network, EngineShape(simd, max_inputs=1024, weight_words=1 << 14, parameter_words=2048)
        )
        for simd in (STEP_LANES, bits)
    }
    coded = encode(same, images)
    found = {str(walk): float(image_cycles(same, shape, walk, coded).mean()) for walk in Walk}
    return {"weights_per_cycle": STEP_LANES, "bits_per_cycle": bits, **found, **engines}


def spiking_cycles(network: SpikingNetwork, images: Any, labels: Any) -> dict[str, Any]:
    """What both walks take for images, and how many inputs spike."""
    shape = spiking_shape(network, LANES)
    coded = encode(network, images)
    spikes, _ = spiking.simulate(network, coded)
    seen = [coded, *spikes[:-1]]
    rates = [float(bits.mean()) for bits in seen]
    found = {str(walk): float(image_cycles(network, shape, walk, coded).mean()) for walk in Walk}
    right = float((spiking.infer(network, images) == labels).mean())
    return {"ticks": network.ticks, "right": right, "spikes_per_input": rates, **found}


def by_ticks(network: SpikingNetwork, images: Any, labels: Any) -> list[dict[str, float]]:
    """The network stopped after fewer ticks than it learned with: right, and spikes per image."""
    rows: list[dict[str, float]] = []
    for ticks in range(1, network.ticks + 1):
        stopped = replace(network, ticks=ticks)
        coded = encode(network, images)[:, :ticks]
        spikes, sums = spiking.simulate(stopped, coded)
        codes = read_out(stopped, sums - stopped.row_thresholds)
        counted = [coded, *spikes[:-1]]
        rows.append(
            {
                "ticks": ticks,
                "right": float((codes == labels).mean()),
                "spikes": float(sum(bits.sum(axis=(1, 2)).mean() for bits in counted)),
            }
        )
    return rows


def crossover(network: SpikingNetwork) -> list[dict[str, float]]:
    """Both walks for random spikes in each layer."""
    shape = spiking_shape(network, LANES)
    random = np.random.default_rng(1)
    rows: list[dict[str, float]] = []
    for rate in RATES:
        coded = random.random((20, network.ticks, network.layers[0].n_in)) < rate
        cycles = {
            str(walk): float(image_cycles(network, shape, walk, coded.astype(np.uint8)).mean())
            for walk in Walk
        }
        rows.append({"rate": rate, **cycles})
    return rows


def main() -> None:
    """Print all three, or one JSON object."""
    parser = argparse.ArgumentParser(description="Cycles of the spiking core.")
    parser.add_argument("--network", help="a spiking network; without one only a step network")
    parser.add_argument("--images", type=int, default=200, help="how many images")
    parser.add_argument("--data-dir", help="where MNIST is")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args()
    part = sets.load("mnist", arguments.data_dir).part("test")
    images, labels = part.images[: arguments.images], part.labels[: arguments.images]
    found: dict[str, Any] = {"step": step_cycles(images)}
    if arguments.network:
        network = kinds.load(arguments.network)
        if not isinstance(network, SpikingNetwork):
            parser.error(f"{arguments.network} holds no spiking network")
        found["spiking"] = spiking_cycles(network, images, labels)
        found["ticks"] = by_ticks(network, images, labels)
        found["random"] = crossover(network)
    if arguments.json:
        print(json.dumps(found))
        return
    for name, values in found.items():
        for row in values if isinstance(values, list) else [values]:
            print(f"{name}: " + ", ".join(f"{key} {value}" for key, value in row.items()))


if __name__ == "__main__":
    main()
