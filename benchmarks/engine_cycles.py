"""Cycles per image of the engine for `digits`, as the gateware itself counts them.

    python benchmarks/engine_cycles.py [--json]

Infers the shipped samples on the virtual board. The limit is that of the weight memory: one word of
SIMD weights per cycle.
"""

from __future__ import annotations

import argparse
import json

import stepnet
from stepnet.picture import normalise, read_picture
from stepnet.samples import sample_pictures


def measure() -> dict[str, float]:
    """Cycles per image, the number of weight words, and the ratio of the two."""
    with stepnet.open_board("sim", network="digits") as board:
        network, simd = board.network, board.identity.shape.simd
        pictures = [
            normalise(read_picture(path), network.height, network.width)
            for path, _ in sample_pictures()
        ]
        cycles = max(board.infer(picture).cycles for picture in pictures)
    weight_words = -(-network.weight_bits_total // simd)
    return {
        "simd": simd,
        "cycles_per_image": cycles,
        "weight_words": weight_words,
        "limit_cycles": 1.15 * weight_words + 200,
        "cycles_per_weight_word": cycles / weight_words,
    }


def main() -> None:
    """Print one line, or one JSON object."""
    parser = argparse.ArgumentParser(description="Cycles per image of the engine for digits.")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    as_json = parser.parse_args().json
    result = measure()
    if as_json:
        print(json.dumps(result))
    else:
        print(
            f"digits at SIMD {result['simd']}: {result['cycles_per_image']} cycles per image, "
            f"{result['cycles_per_weight_word']:.3f} per weight word"
        )


if __name__ == "__main__":
    main()
