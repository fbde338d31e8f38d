"""The multiply-accumulate core: how busy its multipliers are, and how fast its chip is.

    python benchmarks/mac_core.py [--seeds N] [--json]

Infers a 784-32-10 network on virtual boards with the cores of the iCEBreaker (16 lanes, half of
the weights in single-port RAM) and of an ECP5 (16 lanes, all in block RAM), and counts the
multiplications that the network needs over lanes times cycles, from the last pixel to the character
register. The first run compiles two chips, about half a minute each.

With --seeds it places and routes the iCEBreaker's whole chip instead, link and all, with so many
seeds, and gives the fastest; some minutes each. The chip holds any network that fits, so its
weights do not matter.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

import numpy as np

from stepnet.boards.board import open_board
from stepnet.cores.mac.cycles import cycles_per_image
from stepnet.cores.mac.program import multiplications
from stepnet.networks import relu
from stepnet.networks.random_networks import random_relu_network
from stepnet_hdl.boards.catalogue import find_board
from stepnet_hdl.boards.mac_chips import mac_chip
from stepnet_hdl.flow.build import BuildSettings, find_or_build

SIZES = (784, 32, 10)
BOARDS = ("icebreaker", "ulx3s-25f")
IMAGES = 20
TRIED_HZ = 39_000_000
"""What place and route is asked for."""

NETWORK = random_relu_network(np.random.default_rng(0), SIZES, height=28)


def measure_cycles(board: str) -> dict[str, object]:
    """Infer on the virtual board like `board`; every reading is compared with the reference."""
    shape = mac_chip(NETWORK, find_board(board)).shape
    images = np.random.default_rng(1).integers(0, 256, (IMAGES, 28, 28), np.uint8)
    with open_board(f"sim:{board}", NETWORK, timeout_s=60.0) as running:
        readings = list(running.infer_many(list(images), placed=True))
    wrong = [reading.code for reading in readings] != relu.infer(NETWORK, images).tolist()
    cycles = max(reading.cycles for reading in readings)
    return {
        "board": board,
        "lanes": shape.lanes,
        "multiplications": multiplications(NETWORK),
        "cycles": cycles,
        "formula_cycles": cycles_per_image(NETWORK, shape),
        "busy": round(multiplications(NETWORK) / shape.lanes / cycles, 4),
        "as_reference": not wrong,
    }


def measure_clock(seeds: int) -> dict[str, object]:
    """Place and route the iCEBreaker's chip."""
    with tempfile.TemporaryDirectory() as folder:
        path = NETWORK.save(Path(folder) / "network.npz")
        settings = BuildSettings(
            "icebreaker", clock_hz=TRIED_HZ, seeds=tuple(range(1, seeds + 1)), network=str(path)
        )
        _, report = find_or_build(
            settings, Path(folder), progress=lambda progress: None, cache=None
        )
    cycles = cycles_per_image(NETWORK, mac_chip(NETWORK, find_board("icebreaker")).shape)
    return {
        "mhz": round(report.max_frequency_hz / 1e6, 1),
        "seed": report.seed,
        "seeds": seeds,
        "luts": report.luts,
        "block_rams": report.block_rams,
        "single_port_rams": report.single_port_rams,
        "images_per_s": round(report.max_frequency_hz / cycles),
    }


def main() -> None:
    """Print lines, or one JSON object."""
    parser = argparse.ArgumentParser(description="The multiply-accumulate core.")
    parser.add_argument("--seeds", type=int, help="place and route with so many seeds")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args()
    if arguments.seeds:
        result: dict[str, object] = measure_clock(arguments.seeds)
        if not arguments.json:
            print(*(f"{name}: {value}" for name, value in result.items()), sep="\n")
    else:
        runs = [measure_cycles(board) for board in BOARDS]
        result = {"runs": runs}
        if not arguments.json:
            for run in runs:
                print(
                    f"{run['board']}: {run['cycles']:,} cycles (formula "
                    f"{run['formula_cycles']:,}), {run['lanes']} lanes {run['busy']:.1%} busy, "
                    f"{'all' if run['as_reference'] else 'NOT all'} as the reference"
                )
    if arguments.json:
        print(json.dumps(result))


if __name__ == "__main__":
    main()
