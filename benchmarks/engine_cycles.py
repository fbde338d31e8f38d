"""Cycles per image of the engine, as the gateware counts them, over what its memory allows.

    python benchmarks/engine_cycles.py [--json]

Infers on the virtual board at its byte stream, several images in flight, so that each is there
before the engine is free: then the cycles of an image are the distance from one to the next. The
limit is the weight memory's, one word of SIMD x PE weights per cycle. For `digits` also at the
serial pins: there the cycles count from the last pixels, and the first layer is computed while they
arrive. The first run compiles four chips, about a minute each.
"""

from __future__ import annotations

import argparse
import json

import numpy as np

from stepnet.boards.board import Board
from stepnet.cores.engine.cycles import cycles_per_image
from stepnet.cores.engine.shape import EngineShape
from stepnet.link.serial_line import byte_cycles, divisor_for
from stepnet.networks.network import Network
from stepnet.networks.random_networks import random_network
from stepnet.networks.shipped import load_network
from stepnet_sim.chips.design import ICEBREAKER, Design
from stepnet_sim.chips.virtual_board import start

IMAGES = 40

TIMEOUT_S = 60.0


def shape_of(simd: int, pe: int) -> EngineShape:
    """An engine of 64 weights per cycle that holds the networks below."""
    return EngineShape(
        simd=simd,
        pe=pe,
        max_inputs=1024,
        weight_words=8192,
        parameter_words=1024,
        parameter_lanes=pe,
        max_sum_bits=16,
        overlap_neurons=256,
    )


SHAPES = (shape_of(64, 1), shape_of(32, 2), shape_of(16, 4))


def binary_network(*sizes: int) -> Network:
    """Random weights of one bit throughout; how long an engine takes does not depend on them."""
    name = "-".join(map(str, sizes))
    return random_network(np.random.default_rng(0), sizes, height=28, name=name)


def measure_steady() -> list[dict[str, object]]:
    """One entry per network and shape, for images that wait until the engine is free."""
    networks = (binary_network(784, 256, 256, 256, 7), load_network("digits-medium"))
    results: list[dict[str, object]] = []
    for shape in SHAPES:
        for network in networks:
            with Board(start(Design(shape)), network, TIMEOUT_S) as board:
                images = np.random.default_rng(1).integers(0, 256, (IMAGES, 28, 28), np.uint8)
                cycles = max(reading.cycles for reading in board.infer_many(list(images)))
            limit_cycles = network.weight_bits_total / (shape.simd * shape.pe)
            results.append(
                {
                    "network": network.name,
                    "simd": shape.simd,
                    "pe": shape.pe,
                    "cycles_per_image": cycles,
                    "formula_cycles": cycles_per_image(network, shape),
                    "limit_cycles": limit_cycles,
                    "ratio": round(cycles / limit_cycles, 4),
                }
            )
    return results


def measure_serial() -> dict[str, object]:
    """`digits` on the iCEBreaker's chip, driven at its serial pins."""
    network = load_network("digits")
    image = np.random.default_rng(1).integers(0, 256, (28, 28), np.uint8)
    design = Design(uart=True)
    with Board(start(design), network, TIMEOUT_S) as board:
        cycles = board.infer(image).cycles
    cycles_per_byte = byte_cycles(divisor_for(design.clock_hz, design.baud))
    return {
        "network": network.name,
        "baud": design.baud,
        "clock_hz": ICEBREAKER.clock_hz,
        "last_pixels_to_register_cycles": cycles,
        "formula_cycles": cycles_per_image(network, ICEBREAKER.shape, cycles_per_byte),
        "last_pixels_to_register_us": round(cycles / ICEBREAKER.clock_hz * 1e6, 2),
    }


def main() -> None:
    """Print a table, or one JSON object."""
    parser = argparse.ArgumentParser(description="Cycles per image of the engine.")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    as_json = parser.parse_args().json
    steady, serial = measure_steady(), measure_serial()
    if as_json:
        print(json.dumps({"steady": steady, "serial": serial}))
        return
    print("| network | SIMD x PE | cycles per image | by the formula | over weights / width |")
    print("|---|---|---|---|---|")
    for entry in steady:
        print(
            f"| {entry['network']} | {entry['simd']} x {entry['pe']} "
            f"| {entry['cycles_per_image']:,} | {entry['formula_cycles']:,} "
            f"| {entry['ratio']:.3f} |"
        )
    print(
        f"\n{serial['network']} at {serial['baud']:,} baud: from the last pixels to the register "
        f"{serial['last_pixels_to_register_cycles']} cycles (formula {serial['formula_cycles']}), "
        f"{serial['last_pixels_to_register_us']} us"
    )


if __name__ == "__main__":
    main()
