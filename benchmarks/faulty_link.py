"""Images through a link that goes wrong: each has to be answered once, and by its own answer.

    python benchmarks/faulty_link.py [--images 1000000] [--faults 12000] [--seed 0] [--json]

The link carries bytes to an `AnsweringPeer`, whose reading of an image is a checksum of its pixels
and of the loaded network, 32 bits wide, so that the answer for another image shows. On the
way, at random places in both directions, a bit is flipped, bytes are dropped or repeated, or
everything is held back for some milliseconds; and the board is reset, which loses its network and
what it had received, or the cable is pulled, which loses what is under way. Waiting is real time.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import random
import resource
import time
from collections import Counter
from collections.abc import Iterator

import numpy as np
from answering_peer import AnsweringPeer, checksum_reading
from numpy.typing import NDArray

from stepnet.boards.board import Board
from stepnet.cores.engine.shape import EngineShape
from stepnet.errors import LinkBrokenError, LinkError
from stepnet.link import messages
from stepnet.networks import reference
from stepnet.networks.network import Layer, Network

SHAPE = EngineShape(64, 1024, 16384, 2048)
ROUND_TRIP_BYTES = 107 + 16
"""Of one image's two frames."""

KINDS = {"flip": 35, "drop": 20, "repeat": 20, "delay": 15, "reset": 7, "unplug": 3}
"""Faults and how often each is chosen, in percent."""

LONGEST_RUN_BYTES = 40
"""Dropped or repeated at once."""

LONGEST_DELAY_S = 0.02
ANSWERS_AT_ONCE = 8
DIFFERENT_IMAGES = 8191
SETTLED_AFTER = 0.2
"""Memory is compared between this part of the images and the end."""


class Wire:
    """One direction: bytes on their way, held back where that is the fault."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self.under_way = b""
        self.held_until_s = 0.0

    def put(self, data: bytes) -> None:
        """Send `data`, some of it distorted."""
        self.under_way += self._faults.distort(data, self)

    def get(self) -> bytes:
        """What has arrived."""
        if self.held_until_s and time.monotonic() < self.held_until_s:
            return b""
        self.held_until_s = 0.0
        arrived, self.under_way = self.under_way, b""
        return arrived


class Faults:
    """Draws where the next fault is, and commits it.

    count: faults by kind.
    unplugged: the cable is.
    """

    def __init__(self, seed: int, mean_gap_bytes: float, peer: AnsweringPeer) -> None:
        self.count: Counter[str] = Counter()
        self.unplugged = False
        self._random = random.Random(seed)
        self._mean_gap_bytes = mean_gap_bytes
        self._peer = peer
        self._good_bytes = math.inf

    def begin(self) -> None:
        """From now on things go wrong."""
        self._good_bytes = self._gap()

    def distort(self, data: bytes, wire: Wire) -> bytes:
        """What becomes of `data`."""
        if len(data) <= self._good_bytes:
            self._good_bytes -= len(data)
            return data
        broken = bytearray(data)
        place = int(self._good_bytes)
        while place < len(broken):
            self._commit(broken, place, wire)
            gap = self._gap()
            place += 1 + gap
        self._good_bytes = place - len(broken)
        return bytes(broken)

    def plug_in(self) -> None:
        """The cable is back; or not yet, which is a LinkError."""
        if self._random.random() < 0.3:
            raise LinkError("There is no port.")
        self.unplugged = False

    def _gap(self) -> int:
        return int(self._random.expovariate(1 / self._mean_gap_bytes))

    def _commit(self, data: bytearray, place: int, wire: Wire) -> None:
        (kind,) = self._random.choices(list(KINDS), list(KINDS.values()))
        self.count[kind] += 1
        run = slice(place, place + self._random.randint(1, LONGEST_RUN_BYTES))
        match kind:
            case "flip":
                data[place] ^= 1 << self._random.randrange(8)
            case "drop":
                del data[run]
            case "repeat":
                data[place:place] = data[run]
            case "delay":
                held_s = self._random.uniform(0, LONGEST_DELAY_S)
                wire.held_until_s = max(wire.held_until_s, time.monotonic() + held_s)
            case "reset":
                self._peer.reset()
            case _:
                self.unplugged = True
                if self._random.random() < 0.5:
                    self._peer.reset()


class FaultyLink:
    """A `stepnet.link.link.Link` to `peer` over two wires."""

    def __init__(self, peer: AnsweringPeer, faults: Faults) -> None:
        self._peer = peer
        self._faults = faults
        self._out = Wire(faults)
        self._in = Wire(faults)

    def write(self, data: bytes) -> None:
        """Send `data` on its way."""
        self._check_plugged()
        self._out.put(data)
        self._check_plugged()

    def read(self, timeout_s: float) -> bytes:
        """What has come back, or b"" after `timeout_s`."""
        deadline_s = time.monotonic() + timeout_s
        while True:
            self._check_plugged()
            self._peer.receive(self._out.get())
            self._in.put(self._peer.answer(ANSWERS_AT_ONCE))
            if received := self._in.get():
                return received
            now_s = time.monotonic()
            if now_s >= deadline_s:
                return b""
            released_s = [
                wire.held_until_s for wire in (self._in, self._out) if wire.held_until_s > now_s
            ]
            time.sleep(min([*released_s, deadline_s]) - now_s)

    def close(self) -> None:
        """Nothing to give back."""

    def _check_plugged(self) -> None:
        if self._faults.unplugged:
            raise LinkBrokenError("The connection to 'faulty' broke (unplugged).")


def measure(images: int, faults: int, seed: int) -> dict[str, object]:
    """Send `images` through about `faults` faults, and compare every answer."""
    network = one_layer()
    pictures = list(
        np.random.default_rng(seed).integers(0, 256, (DIFFERENT_IMAGES, 28, 28), dtype=np.uint8)
    )
    peer = AnsweringPeer(SHAPE)
    injector = Faults(seed, images * ROUND_TRIP_BYTES / faults, peer)

    def reopen() -> FaultyLink:
        injector.plug_in()
        return FaultyLink(peer, injector)

    start_s = time.perf_counter()
    answered = wrong = settled_bytes = 0
    with Board(FaultyLink(peer, injector), network, where="faulty", reopen=reopen) as board:
        expected = readings(pictures, network, board.identity.digest)
        injector.begin()
        for reading in board.infer_many(itertools.islice(itertools.cycle(pictures), images)):
            wrong += (reading.code, reading.margin, reading.cycles) != expected[
                answered % DIFFERENT_IMAGES
            ]
            answered += 1
            if answered == int(SETTLED_AFTER * images):
                settled_bytes = peak_memory_bytes()
        statistics = board.statistics
    return {
        "images": images,
        "seed": seed,
        "faults": sum(injector.count.values()),
        "faults_by_kind": dict(injector.count.most_common()),
        "retries": statistics.retries,
        "refusals": statistics.refusals,
        "timeouts": statistics.timeouts,
        "loads": statistics.loads,
        "reconnects": statistics.reconnects,
        "overruns": peer.overruns,
        "wrong": wrong,
        "unanswered": images - answered,
        "memory_growth_bytes": peak_memory_bytes() - settled_bytes,
        "seconds": round(time.perf_counter() - start_s, 1),
    }


def one_layer() -> Network:
    """A network of MNIST's size that is quickly loaded, because it often has to be."""
    weights = np.random.default_rng(0).choice([-1, 1], (7, 784))
    return Network("one-layer", (Layer(weights, weights.sum(axis=1) // 2),))


def readings(
    pictures: list[NDArray[np.uint8]], network: Network, digest: int
) -> list[tuple[int, int, int]]:
    """What the peer has to answer for each picture."""
    return [
        checksum_reading(messages.pack_pixels(bits), digest)
        for bits in reference.binarise(network, np.stack(pictures))
    ]


def peak_memory_bytes() -> int:
    """The most that this process has had so far; Linux counts in KiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def lines(result: dict[str, object]) -> Iterator[str]:
    """The result for people."""
    for name, value in result.items():
        yield f"{name.replace('_', ' '):20} {value}"


def main() -> None:
    """Measure and print; exit code 1 if an answer was wrong or missing."""
    parser = argparse.ArgumentParser(description="Images through a link that goes wrong.")
    parser.add_argument("--images", type=int, default=1_000_000)
    parser.add_argument("--faults", type=int, default=12_000, help="about so many")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args()
    result = measure(arguments.images, arguments.faults, arguments.seed)
    print(json.dumps(result) if arguments.json else "\n".join(lines(result)))
    if result["wrong"] or result["unanswered"]:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
