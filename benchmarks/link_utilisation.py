"""How much of the serial line is used while images of `digits` are streamed.

    python benchmarks/link_utilisation.py [--images N] [--json]

The host's own `infer_many` drives the serial pins of the virtual board. Time is the chip's, counted
in its clock cycles from the first bit of the first image to the last reading; the host goes on at
once, or after a delay such as a USB adapter has. Utilisation is images per second over the most
that the baud rate allows for their frames, ten bits to a byte.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from stepnet.boards.board import Board
from stepnet.cores.engine.memory_image import image_bytes
from stepnet.link.frames import encode_frame, window
from stepnet.link.messages import INFER
from stepnet.networks import reference
from stepnet.networks.shipped import load_network
from stepnet_sim.chips.chip_library import chip_library
from stepnet_sim.chips.design import Design
from stepnet_sim.chips.metered import MeteredLink
from stepnet_sim.chips.verilated import VerilatedChip

IMAGES = 300
BAUDS = (1_000_000, 3_000_000)
WAYS = ((True, 0.0), (True, 0.002), (True, 0.016), (False, 0.0))
"""To measure: streamed or one image after the other, and the host's delay in seconds; an FTDI
adapter holds a few bytes back for up to 16 ms unless it is told otherwise."""

TIMEOUT_S = 60.0


@dataclass(frozen=True)
class Run:
    """One measurement.

    in_flight: how many images may be.
    host_delay_s: from an answer's end on the wire until the host has it.
    extra_bytes: on the wire to the board beside a frame for each image. The host's patience is of
    wall-clock time, so it may ask in between whether the simulated board is still there.
    utilisation, waiting, tail: parts of the time. While waiting the wire is idle because the host
    has not written the next image yet, in the tail because it has written all.
    """

    baud: int
    in_flight: int
    host_delay_s: float
    images: int
    extra_bytes: int
    images_per_s: float
    limit_images_per_s: float
    utilisation: float
    waiting: float
    tail: float


def measure(baud: int, images: int) -> Iterator[Run]:
    """Runs with random images; SystemExit if a reading is wrong."""
    network = load_network("digits")
    pictures = np.random.default_rng(0).integers(0, 256, (images, 28, 28), dtype=np.uint8)
    expected = list(reference.infer(network, pictures))
    frame_bytes = len(encode_frame(bytes(INFER.size + image_bytes(network))))

    design = Design(uart=True, baud=baud)
    chip = VerilatedChip(
        chip_library(design, lambda message: print(f"{message} ...", file=sys.stderr))
    )
    link = MeteredLink(chip, design)
    limit_images_per_s = design.clock_hz / (link.byte_cycles * frame_bytes)
    with Board(link, network, TIMEOUT_S) as board:
        images_in_flight = window(board.identity.buffer_bytes, image_bytes(network))
        for streamed, host_delay_s in WAYS:
            link.restart(host_delay_s)
            if streamed:
                codes = [reading.code for reading in board.infer_many(pictures, placed=True)]
            else:
                codes = [board.infer(picture, placed=True).code for picture in pictures]
            use = link.use
            if codes != expected:
                raise SystemExit("Some readings differ from the reference.")
            images_per_s = images * design.clock_hz / use.cycles
            yield Run(
                baud=baud,
                in_flight=images_in_flight if streamed else 1,
                host_delay_s=host_delay_s,
                images=images,
                extra_bytes=use.busy_cycles // link.byte_cycles - images * frame_bytes,
                images_per_s=round(images_per_s, 1),
                limit_images_per_s=round(limit_images_per_s, 1),
                utilisation=round(images_per_s / limit_images_per_s, 4),
                waiting=round(use.waiting_cycles / use.cycles, 4),
                tail=round(use.tail_cycles / use.cycles, 4),
            )


def main() -> None:
    """Print a table, or one JSON object."""
    parser = argparse.ArgumentParser(description="Use of the serial line while streaming.")
    parser.add_argument("--images", type=int, default=IMAGES, help="images of each run")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args()
    runs = [run for baud in BAUDS for run in measure(baud, arguments.images)]
    if arguments.json:
        print(json.dumps({"runs": [vars(run) for run in runs]}))
        return
    print("   baud  in flight  host delay  images/s   limit   used  waiting   tail  extra bytes")
    for run in runs:
        print(
            f"{run.baud:>7}  {run.in_flight:>9}  {1e3 * run.host_delay_s:>7g} ms  "
            f"{run.images_per_s:>8g}  {run.limit_images_per_s:>6g}  {run.utilisation:>5.1%}  "
            f"{run.waiting:>7.1%}  {run.tail:>5.1%}  {run.extra_bytes:>11}"
        )


if __name__ == "__main__":
    main()
