"""CPU time of the host for one image in `infer_many`, on a socket that answers at once.

    python benchmarks/host_cost.py [--images 200000] [--json]

The board is an `AnsweringPeer` in a process of its own, with the receive buffer of an iCEBreaker
and with that of a ULX3S; only this process's time counts, user and system, all threads. The images
are uint8 arrays for `digits`, placed already: noise for a board that takes images as they are,
noise in the middle alone for one that takes them coded. The smallest of `--runs` runs is the
figure, because other programs only ever add to it.
"""

from __future__ import annotations

import argparse
import itertools
import json
import multiprocessing
import socket
import time
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
from answering_peer import AnsweringPeer

import stepnet
from stepnet.cores.engine.shape import EngineShape
from stepnet_hdl.boards.catalogue import find_board

BOARDS = ("icebreaker", "ulx3s-25f")
SHAPE = EngineShape(64, 1024, 16384, 2048)
DIFFERENT_IMAGES = 256


def serve(port: Connection, buffer_bytes: int, coded_images: bool) -> None:
    """Be the board of one client."""
    peer = AnsweringPeer(SHAPE, buffer_bytes, coded_images=coded_images)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port.send(server.getsockname()[1])
        client, _ = server.accept()
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with client:
            while data := client.recv(65536):
                peer.receive(data)
                client.sendall(peer.answer())


def measure(images: int, runs: int, buffer_bytes: int, *, coded_images: bool) -> dict[str, Any]:
    """CPU and wall time per image of the quickest run."""
    here, there = multiprocessing.Pipe()
    peer = multiprocessing.get_context("spawn").Process(
        target=serve, args=(there, buffer_bytes, coded_images), daemon=True
    )
    peer.start()
    noise = np.random.default_rng(0).integers(0, 256, (DIFFERENT_IMAGES, 28, 28), dtype=np.uint8)
    if coded_images:
        noise[:, :4] = noise[:, 24:] = 0
        noise[:, :, :8] = noise[:, :, 20:] = 0
    cpu_s: list[float] = []
    wall_s: list[float] = []
    with stepnet.open_board(f"socket://127.0.0.1:{here.recv()}", "digits") as board:
        for _ in range(runs):
            source = itertools.islice(itertools.cycle(list(noise)), images)
            start_s, start_cpu_s = time.perf_counter(), time.process_time()
            answered = sum(1 for _ in board.infer_many(source, placed=True))
            cpu_s.append((time.process_time() - start_cpu_s) / answered)
            wall_s.append((time.perf_counter() - start_s) / answered)
    peer.join()
    return {
        "images": images,
        "buffer_bytes": buffer_bytes,
        "coded": coded_images,
        "cpu_us_per_image": round(min(cpu_s) * 1e6, 1),
        "cpu_us_per_image_of_each_run": [round(each * 1e6, 1) for each in cpu_s],
        "wall_us_per_image": round(min(wall_s) * 1e6, 1),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="CPU time of the host for one image.")
    parser.add_argument("--images", type=int, default=200_000, help="images of each run")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args()
    results = [
        measure(
            arguments.images,
            arguments.runs,
            find_board(name).settings.buffer_bytes,
            coded_images=coded,
        )
        for name in BOARDS
        for coded in (False, True)
    ]
    if arguments.json:
        print(json.dumps({"runs": results}))
        return
    for result in results:
        print(
            f"host: {result['cpu_us_per_image']} us CPU per image in infer_many, "
            f"{result['wall_us_per_image']} us on the clock ({arguments.images:,} images, "
            f"{'coded' if result['coded'] else 'as they are'}, to a buffer of "
            f"{result['buffer_bytes']:,} bytes)"
        )


if __name__ == "__main__":
    main()
