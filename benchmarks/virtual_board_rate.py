"""Images per second of the virtual board for `digits`.

    python benchmarks/virtual_board_rate.py [--uart] [--json]

One image at a time, each answer awaited, through the same host code that drives a real board.
"""

from __future__ import annotations

import argparse
import json
import time

import numpy as np

import stepnet

IMAGES = 500


def measure(uart: bool) -> dict[str, float]:
    """Rate over `IMAGES` random images, network loaded before."""
    images = np.random.default_rng(0).integers(0, 256, (IMAGES, 28, 28), dtype=np.uint8)
    with stepnet.open_board("sim", network="digits", uart=uart) as board:
        board.infer(images[0], placed=True)
        start = time.perf_counter()
        for image in images:
            board.infer(image, placed=True)
        duration_s = time.perf_counter() - start
    return {"uart": uart, "images": IMAGES, "images_per_s": round(IMAGES / duration_s, 1)}


def main() -> None:
    """Print one line, or one JSON object."""
    parser = argparse.ArgumentParser(description="Images per second of the virtual board.")
    parser.add_argument("--uart", action="store_true", help="through the serial pins")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args()
    result = measure(arguments.uart)
    if arguments.json:
        print(json.dumps(result))
    else:
        where = "serial pins" if arguments.uart else "byte stream"
        print(f"virtual board, digits, at the {where}: {result['images_per_s']} images/s")


if __name__ == "__main__":
    main()
