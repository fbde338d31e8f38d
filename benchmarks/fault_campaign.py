"""Images on two boards while everything around them goes wrong; and damaged and forged files.

    python benchmarks/fault_campaign.py [--images 100000] [--faults 200] [--files 10000]
        [--seed 0] [--json]

Two virtual boards are served over TCP on this machine, each in a process of its own, and a pool
streams images through both, one of them over a wire that this script can cut. Meanwhile faults
happen one after the other, each drawn from the seed: see `campaign_link` for those of connections
and processes, and `campaign_files` for those of files, disks and commands. Each says what should
hold and was not so. When images and faults are done, `mutated_files` has its turn, in a process of
its own. Nothing leaves this machine, and every folder is a temporary one.

Exit code 1 if anything did not hold: an image with a wrong reading or none, a file of the user's
that is gone, memory that grew, an error that is no sentence.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from campaign_files import FileFaults
from campaign_link import LinkFaults, ServedBoard, Wire, stop_all
from numpy.typing import NDArray

from stepnet.boards.pool import open_pool
from stepnet.networks import reference
from stepnet.networks.network import Layer, Network
from stepnet.temporary import temporary_folder

TIMEOUT_S = 30.0
"""How long a board that was killed may take to come back."""

DIFFERENT_IMAGES = 997
SETTLED_AFTER = 0.2
"""Memory is compared between this part of the images and the end."""

MOST_GROWTH_MIB = 16
"""What the allocator may take more, in this process and in any one of the boards'."""


def small_network() -> Network:
    """One layer of MNIST's size, so that the chips take no longer than the connections."""
    weights = np.random.default_rng(0).choice([-1, 1], (7, 784))
    alphabet = "".join(map(chr, range(1, 128)))
    return Network("one-layer", (Layer(weights, weights.sum(axis=1) // 2),), alphabet=alphabet)


class Troublemaker(threading.Thread):
    """Commits faults, one after the other, until there were enough or `stop` is set.

    faults: by kind, each a function that gives what did not hold.
    """

    def __init__(
        self, faults: dict[str, Callable[[], list[str]]], count: int, draw: random.Random
    ) -> None:
        super().__init__(daemon=True)
        self.count: Counter[str] = Counter()
        self.broken: list[str] = []
        self.stop = threading.Event()
        kinds = list(faults) * (count // len(faults) + 1)
        draw.shuffle(kinds)
        self._order = kinds[:count]
        self._faults = faults

    def run(self) -> None:
        """Commit them all."""
        for kind in self._order:
            if self.stop.is_set():
                return
            try:
                self.broken += [f"{kind}: {what}" for what in self._faults[kind]()]
            except Exception as error:
                self.broken.append(f"{kind}: {type(error).__name__}: {error}")
            self.count[kind] += 1


def measure(images: int, faults: int, seed: int) -> dict[str, object]:
    """Stream at least so many images through at least so many faults."""
    draw = random.Random(seed)
    network = small_network()
    pictures = list(
        np.random.default_rng(seed).integers(0, 256, (DIFFERENT_IMAGES, 28, 28), dtype=np.uint8)
    )
    expected = reference.infer(network, np.stack(pictures)).tolist()
    with temporary_folder() as folder:
        path = network.save(folder / "one-layer.npz")
        boards = [ServedBoard(path, token=f"secret-{number}") for number in range(2)]
        open_board = ServedBoard(path, token=None)
        wire = Wire(boards[0].port)
        try:
            links = LinkFaults(boards, open_board, wire, network, draw)
            files = FileFaults(folder / "files", draw)
            trouble = Troublemaker({**links.kinds(), **files.kinds()}, faults, draw)
            urls = [f"socket://{boards[0].token}@127.0.0.1:{wire.port}", boards[1].url]
            result = _stream(urls, network, pictures, expected, images, trouble, boards)
        finally:
            wire.close()
            stop_all([*boards, open_board])
    return {"seed": seed, **result}


def _stream(
    urls: list[str],
    network: Network,
    pictures: list[NDArray[np.uint8]],
    expected: list[int],
    images: int,
    trouble: Troublemaker,
    boards: list[ServedBoard],
) -> dict[str, object]:
    taken = answered = wrong = 0
    settled: list[int] | None = None

    def source() -> Iterator[NDArray[np.uint8]]:
        nonlocal taken
        while taken < images or trouble.is_alive():
            taken += 1
            yield pictures[(taken - 1) % DIFFERENT_IMAGES]

    start_s = time.perf_counter()
    lost = ""
    with open_pool(urls, network, timeout_s=TIMEOUT_S) as pool:
        trouble.start()
        try:
            for reading in pool.infer_many(source()):
                wrong += reading.code != expected[answered % DIFFERENT_IMAGES]
                answered += 1
                if settled is None and answered >= SETTLED_AFTER * images:
                    settled = _memory_kib(boards)
        except Exception as error:  # the pool is out of boards, or worse
            lost = f"the stream broke off: {type(error).__name__}: {error}"
        trouble.stop.set()
        trouble.join()
        failed = [str(board.failure) for board in pool.statistics if board.failure]
    grown_kib = [
        after - before
        for before, after in zip(settled or _memory_kib(boards), _memory_kib(boards), strict=True)
    ]
    return {
        "images": answered,
        "faults": sum(trouble.count.values()),
        "kinds": len(trouble.count),
        "faults_by_kind": dict(sorted(trouble.count.items())),
        "wrong": wrong,
        "lost": taken - answered,
        "boards_lost": failed + ([lost] if lost else []),
        "broken_promises": trouble.broken,
        "memory_growth_mib": round(max(grown_kib) / 1024, 1),
        "seconds": round(time.perf_counter() - start_s, 1),
    }


def _memory_kib(boards: list[ServedBoard]) -> list[int]:
    """The most that this process, and what the process of each board has now."""
    return [resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, *(b.memory_kib() for b in boards)]


def _mutated(files: int, seed: int) -> dict[str, object]:
    script = Path(__file__).with_name("mutated_files.py")
    words = [sys.executable, str(script), "--files", str(files), "--seed", str(seed), "--json"]
    done = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=False)
    return {**json.loads(done.stdout), "held": done.returncode == 0}


def main() -> None:
    """Measure and print; exit code 1 if anything did not hold."""
    parser = argparse.ArgumentParser(description="Everything goes wrong around two boards.")
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--faults", type=int, default=200)
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args()
    result = measure(arguments.images, arguments.faults, arguments.seed)
    mutated = _mutated(arguments.files, arguments.seed)
    result["mutated_files"] = mutated
    held = mutated["held"] and not any(
        result[name] for name in ("wrong", "lost", "boards_lost", "broken_promises")
    )
    held = held and float(str(result["memory_growth_mib"])) <= MOST_GROWTH_MIB
    lines = [f"{name.replace('_', ' '):20} {value}" for name, value in result.items()]
    print(json.dumps(result) if arguments.json else "\n".join(lines))
    sys.exit(not held)


if __name__ == "__main__":
    main()
