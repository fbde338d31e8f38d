"""How much of each board's serial line is used while images of `digits` are streamed.

    python benchmarks/link_utilisation.py [--images N] [--windows N] [--board NAME ...]
        [--data-dir FOLDER] [--json]

The host's own `infer_many` drives the serial pins of the virtual board, with the rate, the clock
and the receive buffer of the board that it is like. Time is the chip's, counted in its clock cycles
from the first bit of the first image to the last reading; the host goes on `HOST_DELAY_S` after the
USB chip has handed an answer over. Utilisation is images per second over the most that the baud
rate allows for their frames, ten bits to a byte. The images are noise, which goes as it is, and
test images of MNIST, which go coded where the board undoes that.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stepnet.boards.board import Board
from stepnet.cores.engine.memory_image import image_bytes
from stepnet.data import sets
from stepnet.link.frames import encode_frame, window
from stepnet.link.messages import INFER
from stepnet.link.pixel_coding import code_images
from stepnet.networks import reference
from stepnet.networks.network import Network
from stepnet.networks.shipped import load_network
from stepnet_hdl.boards.rates import USB_CHIPS
from stepnet_sim.chips.chip_library import chip_library
from stepnet_sim.chips.design import design_for
from stepnet_sim.chips.metered import MeteredLink, UsbBuffer
from stepnet_sim.chips.verilated import VerilatedChip

IMAGES = 1000
BOARDS = (
    ("icebreaker", 1_000_000),
    ("icebreaker", None),
    ("ice40hx8kbevn", None),
    ("ulx3s-25f", None),
    ("ecpix545", None),
    ("tangnano9k", None),
)
"""The boards, each at its own rate or at another one."""

WAYS = ((True, None), (True, 0.001), (True, 0.016), (False, 0.001))
"""To measure: streamed or one image after the other, and the timer of the USB chip in seconds; None
for a chip that hands every answer over at once."""

HOST_DELAY_S = 0.00025
"""From the end of a packet in the USB chip until the program has it: two microframes of USB."""

MOST_WINDOWS = 25
"""How many times of what may be in flight are streamed at most: where that is little, it takes a
million cycles to simulate each wait for the USB chip."""

TIMEOUT_S = 60.0


@dataclass(frozen=True)
class Run:
    """One measurement.

    data: what the images are.
    in_flight: how many images may be.
    timer_s: of the USB chip; None for a chip that waits for nothing.
    frame_bytes: of an image on the wire, on average.
    extra_bytes: on the wire to the board beside a frame for each image. The host's patience is of
    wall-clock time, so it may ask in between whether the simulated board is still there.
    utilisation, waiting, tail: parts of the time. While waiting the wire is idle because the host
    has not written the next image yet, in the tail because it has written all.
    """

    board: str
    baud: int
    clock_hz: int
    in_flight: int
    timer_s: float | None
    data: str
    images: int
    frame_bytes: float
    extra_bytes: int
    images_per_s: float
    limit_images_per_s: float
    utilisation: float
    waiting: float
    tail: float


def image_frame_bytes(network: Network, pictures: NDArray[np.uint8], coded: bool) -> list[int]:
    """How long the frame of each picture is; without zeros in its number, which adds nothing."""
    packed = np.packbits(reference.binarise(network, pictures), axis=1, bitorder="little")
    bodies = [row.tobytes() for row in packed]
    if coded:
        bodies = [min(pair, key=len) for pair in zip(bodies, code_images(packed), strict=True)]
    header = INFER.pack(kind=5, sequence=0x0101)
    return [len(encode_frame(header + body)) for body in bodies]


def image_sets(images: int, data_dir: Path | None) -> Iterator[tuple[str, NDArray[np.uint8]]]:
    """The names and the images of what is streamed."""
    yield "noise", np.random.default_rng(0).integers(0, 256, (images, 28, 28), dtype=np.uint8)
    yield "mnist", sets.load("mnist", data_dir).test.images[:images]


def measure(
    board_name: str, baud: int | None, name: str, pictures: NDArray[np.uint8], windows: int
) -> Iterator[Run]:
    """Runs with images, at most so many times of what may be in flight; SystemExit if a reading
    is wrong."""
    network = load_network("digits")
    images = len(pictures)
    expected = list(reference.infer(network, pictures))

    design = design_for(None, board_name, uart=True, baud=baud)
    chip = VerilatedChip(
        chip_library(design, lambda message: print(f"{message} ...", file=sys.stderr))
    )
    link = MeteredLink(chip, design)
    frames_bytes = image_frame_bytes(network, pictures, design.coded_images)
    with Board(link, network, TIMEOUT_S) as board:
        images_in_flight = window(board.identity.buffer_bytes, image_bytes(network))
        for streamed, timer_s in WAYS:
            in_flight = images_in_flight if streamed else 1
            count = min(images, windows * in_flight)
            packet_bytes = USB_CHIPS[board_name].packet_bytes
            usb = None if timer_s is None else UsbBuffer(packet_bytes, timer_s)
            link.restart(0.0 if timer_s is None else HOST_DELAY_S, usb)
            if streamed:
                readings = board.infer_many(pictures[:count], placed=True)
                codes = [reading.code for reading in readings]
            else:
                codes = [board.infer(picture, placed=True).code for picture in pictures[:count]]
            use = link.use
            if codes != expected[:count]:
                raise SystemExit("Some readings differ from the reference.")
            frame_bytes = sum(frames_bytes[:count]) / count
            limit_images_per_s = design.clock_hz / (link.byte_cycles * frame_bytes)
            images_per_s = count * design.clock_hz / use.cycles
            yield Run(
                board=board_name,
                baud=design.baud,
                clock_hz=design.clock_hz,
                in_flight=in_flight,
                timer_s=timer_s,
                data=name,
                images=count,
                frame_bytes=round(frame_bytes, 2),
                extra_bytes=use.busy_cycles // link.byte_cycles - sum(frames_bytes[:count]),
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
    parser.add_argument(
        "--windows", type=int, default=MOST_WINDOWS, help="but at most so many windows of them"
    )
    parser.add_argument("--board", action="append", help="measure this board only")
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args()
    runs = [
        run
        for board, baud in BOARDS
        if arguments.board is None or board in arguments.board
        for name, pictures in image_sets(arguments.images, arguments.data_dir)
        for run in measure(board, baud, name, pictures, arguments.windows)
    ]
    if arguments.json:
        print(json.dumps({"runs": [vars(run) for run in runs]}))
        return
    print(
        "board             Mbaud  data   frame bytes  in flight  timer   images/s   limit    used  "
        "waiting   tail  extra bytes"
    )
    for run in runs:
        timer = "none" if run.timer_s is None else f"{1e3 * run.timer_s:g} ms"
        print(
            f"{run.board:<16} {run.baud / 1e6:>6g}  {run.data:<5}  {run.frame_bytes:>11g}  "
            f"{run.in_flight:>9}  {timer:>5}  "
            f"{run.images_per_s:>9g}  {run.limit_images_per_s:>6g}  {run.utilisation:>6.1%}  "
            f"{run.waiting:>7.1%}  {run.tail:>5.1%}  {run.extra_bytes:>11}"
        )


if __name__ == "__main__":
    main()
