"""How many images of `digits` a second go over a board's SPI line.

    python benchmarks/spi_rate.py [--images N] [--board NAME ...] [--json]

The host's own `infer_many` clocks the SPI pins of the simulated chip of a board, which has that
board's clock and receive buffer. Time is the chip's; between two transactions one of `GAPS_S`
passes. The most that the line carries are images whose frames follow each other without a pause,
eight bits to a byte; the engine may be slower than that.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass

import numpy as np

from stepnet.boards.board import Board
from stepnet.cores.engine.cycles import cycles_per_image
from stepnet.cores.engine.memory_image import image_bytes
from stepnet.link.frames import encode_frame
from stepnet.link.messages import INFER
from stepnet.link.spi import SpiLink
from stepnet.link.spi_line import BITS_PER_BYTE, MOST_SPI_HZ
from stepnet.networks import reference
from stepnet.networks.shipped import load_network
from stepnet_sim.chips.design import design_for
from stepnet_sim.chips.spi_pins import SpiPins, spi_library

IMAGES = 500
BOARDS = ("icebreaker", "ulx3s-25f")
GAPS_S = (0.0, 0.00002)
"""None at all, and what a driver may take between two transactions."""


@dataclass(frozen=True)
class Run:
    """One measurement.

    limit_images_per_s: what the line carries; engine_images_per_s what the engine computes.
    """

    board: str
    spi_hz: int
    clock_hz: int
    gap_s: float
    images: int
    images_per_s: float
    limit_images_per_s: float
    engine_images_per_s: float


def measure(board_name: str, images: int) -> list[Run]:
    """Runs with random images; SystemExit if a reading is wrong."""
    network = load_network("digits")
    pictures = np.random.default_rng(0).integers(0, 256, (images, 28, 28), dtype=np.uint8)
    expected = reference.infer(network, pictures).tolist()
    frame_bytes = len(encode_frame(bytes(INFER.size + image_bytes(network))))
    design = design_for(None, board_name)
    library = spi_library(design, lambda message: print(f"{message} ...", file=sys.stderr))
    runs: list[Run] = []
    for gap_s in GAPS_S:
        pins = SpiPins(library, design.clock_hz, MOST_SPI_HZ, gap_s=gap_s)
        with Board(SpiLink(pins, board_name, MOST_SPI_HZ), network, 60.0) as board:
            start_s = pins.seconds
            codes = [reading.code for reading in board.infer_many(pictures, placed=True)]
            took_s = pins.seconds - start_s
        if codes != expected:
            raise SystemExit("Some readings differ from the reference.")
        engine_images_per_s = design.clock_hz / cycles_per_image(network, design.shape)
        runs.append(
            Run(
                board_name,
                MOST_SPI_HZ,
                design.clock_hz,
                gap_s,
                images,
                round(images / took_s, 1),
                round(MOST_SPI_HZ / BITS_PER_BYTE / frame_bytes, 1),
                round(engine_images_per_s, 1),
            )
        )
    return runs


def main() -> None:
    """Print a table, or one JSON object."""
    parser = argparse.ArgumentParser(description="Images per second over SPI.")
    parser.add_argument("--images", type=int, default=IMAGES, help="images of each run")
    parser.add_argument("--board", action="append", help="measure this board only")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args()
    runs = [run for board in arguments.board or BOARDS for run in measure(board, arguments.images)]
    if arguments.json:
        print(json.dumps({"runs": [vars(run) for run in runs]}))
        return
    print("board             MHz      gap  images/s  line allows  engine allows")
    for run in runs:
        print(
            f"{run.board:<16} {run.spi_hz / 1e6:>4g}  {1e6 * run.gap_s:>4g} us  "
            f"{run.images_per_s:>8,.0f}  {run.limit_images_per_s:>11,.0f}  "
            f"{run.engine_images_per_s:>13,.0f}"
        )


if __name__ == "__main__":
    main()
