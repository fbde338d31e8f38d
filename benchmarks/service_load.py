"""`stepnet serve` under load: how much of two boards' rate it passes on, and what it loses.

    python benchmarks/service_load.py [--images 4000] [--requests 10000] [--seed 0] [--json]

Two virtual boards run in processes of their own, behind loopback, and so does the service. First
the rate: images through a pool that opens the boards itself, and the same images posted to the
service in batches, in turns; and pictures posted one by one. Then requests while a board is killed
every few seconds and started again: each has to be answered once, with the codes of the reference,
or refused with a reason. Everything shares the cores of this machine; the load before is told, and
the processor's time of all processes together for an image, which depends on it less.
"""

from __future__ import annotations

import argparse
import http.client
import io
import json
import os
import random
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from campaign_link import ServedBoard, stop_all
from numpy.typing import NDArray

from stepnet.boards.pool import open_pool
from stepnet.networks import reference
from stepnet.networks.shipped import load_network
from stepnet.samples import sample_pictures

ROUNDS = 3
WARMING_IMAGES = 200
BATCH = 256
CLIENTS = 3
"""Enough that a batch waits while others are read and answered."""

SMALL_BATCH = 4
DIFFERENT_IMAGES = 4096
KILL_EVERY_S = 3.0
SETTLED_AFTER = 0.3
"""Memory is compared between this part of the requests and the end."""

PICTURES = 600
PATIENCE_S = 60.0


class Service:
    """`stepnet serve` in a process of its own.

    port: where it listens.
    """

    def __init__(self, boards: list[ServedBoard]) -> None:
        words = [sys.executable, "-m", "stepnet", "serve", "--listen", "127.0.0.1:0"]
        words += ["--boards", ",".join(board.url for board in boards), "--timeout", "2"]
        self._process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
        said = self._process.stdout
        assert said is not None
        while (found := re.search(r"http://127\.0\.0\.1:(\d+)", line := said.readline())) is None:
            if not line:
                raise RuntimeError("The service does not start.")
        self.port = int(found[1])
        threading.Thread(target=said.read, daemon=True).start()

    def wait_until_ready(self) -> None:
        """Wait for both boards."""
        deadline_s = time.monotonic() + PATIENCE_S
        while get(self.port, "/health")["status"] != "ready":
            if time.monotonic() > deadline_s:
                raise RuntimeError("The boards do not come.")
            time.sleep(0.05)

    def memory_kib(self) -> int:
        """What its process has now."""
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        found = re.search(r"VmRSS:\s+(\d+)", status)
        assert found is not None
        return int(found[1])

    @property
    def pid(self) -> int:
        """The number of its process."""
        return self._process.pid

    def stop(self) -> None:
        """Stop it as a service manager does."""
        self._process.terminate()
        self._process.wait(30)


@contextmanager
def serving(boards: list[ServedBoard]) -> Generator[Service]:
    """A service in front of the boards, until the end of the `with`."""
    service = Service(boards)
    try:
        service.wait_until_ready()
        yield service
    finally:
        service.stop()


def cpu_s(boards: list[ServedBoard], service: Service | None = None) -> float:
    """The processor's time that this process, the boards and the service have taken."""
    total_s = time.process_time()
    for each in [*boards, *([service] if service else [])]:
        fields = Path(f"/proc/{each.pid}/stat").read_text().rpartition(")")[2].split()
        total_s += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return total_s


def get(port: int, path: str) -> dict[str, str]:
    """What a GET is answered, from JSON."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("GET", path)
    return json.loads(connection.getresponse().read())


def npy(array: NDArray[np.uint8]) -> bytes:
    """An array as `numpy.save` writes it."""
    packed = io.BytesIO()
    np.save(packed, array)
    return packed.getvalue()


def post(
    connection: http.client.HTTPConnection, body: bytes, kind: str
) -> tuple[int, dict[str, list[dict[str, int]]], str | None]:
    """A posted body's status, answer, and when to come again."""
    connection.request("POST", "/read?placed=yes", body, {"content-type": kind})
    answer = connection.getresponse()
    return answer.status, json.loads(answer.read()), answer.headers["retry-after"]


def direct_rate(boards: list[ServedBoard], images: NDArray[np.uint8], codes: list[int]) -> float:
    """Images a second of a pool in this process."""
    with open_pool([board.url for board in boards], "digits") as pool:
        list(pool.infer_many(images[:WARMING_IMAGES], placed=True))
        start_s = time.perf_counter()
        read = [reading.code for reading in pool.infer_many(images, placed=True)]
        passed_s = time.perf_counter() - start_s
    if read != codes:
        raise SystemExit("Some readings of the pool differ from the reference.")
    return len(images) / passed_s


def service_rate(service: Service, images: NDArray[np.uint8], codes: list[int]) -> float:
    """Images a second of batches that several clients post."""
    starts = iter(range(0, len(images), BATCH))
    lock = threading.Lock()
    wrong: list[int] = []

    def client() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=PATIENCE_S)
        while True:
            with lock:
                start = next(starts, None)
            if start is None:
                return
            body = npy(images[start : start + BATCH])
            status, told, _ = post(connection, body, "application/x-npy")
            expected = codes[start : start + BATCH]
            if status != 200 or [each["code"] for each in told["readings"]] != expected:
                wrong.append(start)

    start_s = time.perf_counter()
    clients = [threading.Thread(target=client) for _ in range(CLIENTS)]
    for each in clients:
        each.start()
    for each in clients:
        each.join()
    passed_s = time.perf_counter() - start_s
    if wrong:
        raise SystemExit("Some readings of the service differ from the reference.")
    return len(images) / passed_s


def picture_rate(service: Service, count: int) -> float:
    """Requests a second of one client that posts one picture in each."""
    pictures = [path.read_bytes() for path, _ in sample_pictures()]
    connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=PATIENCE_S)
    start_s = time.perf_counter()
    for number in range(count):
        status, _, _ = post(connection, pictures[number % len(pictures)], "image/png")
        if status != 200:
            raise SystemExit("A picture was refused.")
    return count / (time.perf_counter() - start_s)


@dataclass
class Tally:
    """What became of the requests."""

    answered: int = 0
    wrong: int = 0
    unanswered: int = 0
    refused: Counter[int] = field(default_factory=Counter[int])
    refused_without_a_reason: int = 0
    kills: int = 0
    not_restarted: list[str] = field(default_factory=list[str])
    settled_kib: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)


def storm(
    service: Service,
    boards: list[ServedBoard],
    images: NDArray[np.uint8],
    codes: list[int],
    requests: int,
    draw: random.Random,
) -> Tally:
    """Post requests until so many were answered or refused, while boards die and come back."""
    tally = Tally()
    over = threading.Event()

    def killer() -> None:
        while not over.wait(draw.uniform(0.5, 1.5) * KILL_EVERY_S):
            # Now and then both, so that there is nobody who could answer.
            for board in boards if draw.random() < 0.2 else [draw.choice(boards)]:
                try:
                    board.restart()
                except (OSError, RuntimeError) as error:
                    tally.not_restarted.append(str(error))
                tally.kills += 1

    def client(seed: int) -> None:
        mine = random.Random(seed)
        connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=PATIENCE_S)
        while True:
            with tally.lock:
                done = tally.answered + sum(tally.refused.values()) + tally.unanswered
                if done >= requests:
                    return
                if done >= SETTLED_AFTER * requests and not tally.settled_kib:
                    tally.settled_kib = service.memory_kib()
            start = mine.randrange(len(images) - SMALL_BATCH)
            body = npy(images[start : start + SMALL_BATCH])
            try:
                status, told, again = post(connection, body, "application/x-npy")
            except (OSError, http.client.HTTPException):
                connection.close()
                with tally.lock:
                    tally.unanswered += 1
                continue
            with tally.lock:
                if status == 200:
                    tally.answered += 1
                    read = [each["code"] for each in told["readings"]]
                    tally.wrong += read != codes[start : start + SMALL_BATCH]
                    continue
                tally.refused[status] += 1
                if status not in (429, 503) or not told.get("error") or again is None:
                    tally.refused_without_a_reason += 1
            time.sleep(mine.uniform(0.1, 0.5))

    killing = threading.Thread(target=killer)
    clients = [threading.Thread(target=client, args=(draw.random(),)) for _ in range(2 * CLIENTS)]
    for each in (killing, *clients):
        each.start()
    for each in clients:
        each.join()
    over.set()
    killing.join()
    return tally


def measure(images: int, requests: int, seed: int) -> dict[str, object]:
    """All figures."""
    load_before = os.getloadavg()[0]
    draw = random.Random(seed)
    network = load_network("digits")
    pictures = np.random.default_rng(seed).integers(
        0, 256, (max(images, DIFFERENT_IMAGES), 28, 28), dtype=np.uint8
    )
    codes = [int(code) for code in reference.infer(network, pictures)]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "digits.npz"
        network.save(path)
        boards = [ServedBoard(path, None) for _ in range(2)]
        try:
            direct, served, direct_cpu_s, served_cpu_s = [], [], [], []
            for _ in range(ROUNDS):
                before_s = cpu_s(boards)
                direct.append(direct_rate(boards, pictures[:images], codes[:images]))
                direct_cpu_s.append((cpu_s(boards) - before_s) / (images + WARMING_IMAGES))
                with serving(boards) as service:
                    service_rate(service, pictures[:BATCH], codes[:BATCH])
                    before_s = cpu_s(boards, service)
                    served.append(service_rate(service, pictures[:images], codes[:images]))
                    served_cpu_s.append((cpu_s(boards, service) - before_s) / images)
            direct.append(direct_rate(boards, pictures[:images], codes[:images]))
            with serving(boards) as service:
                one_by_one = picture_rate(service, PICTURES)
                start_s = time.perf_counter()
                tally = storm(service, boards, pictures, codes, requests, draw)
                storm_s = time.perf_counter() - start_s
                grown_kib = service.memory_kib() - tally.settled_kib
        finally:
            stop_all(boards)
    return {
        "load_before": round(load_before, 2),
        "direct_images_per_s": round(statistics.median(direct), 1),
        "service_images_per_s": round(statistics.median(served), 1),
        "ratio": round(statistics.median(served) / statistics.median(direct), 4),
        "direct_cpu_us_per_image": round(1e6 * statistics.median(direct_cpu_s), 1),
        "service_cpu_us_per_image": round(1e6 * statistics.median(served_cpu_s), 1),
        "pictures_one_by_one_per_s": round(one_by_one, 1),
        "requests": tally.answered + sum(tally.refused.values()) + tally.unanswered,
        "answered": tally.answered,
        "refused": {str(status): count for status, count in sorted(tally.refused.items())},
        "refused_without_a_reason": tally.refused_without_a_reason,
        "wrong": tally.wrong,
        "unanswered": tally.unanswered,
        "boards_killed": tally.kills,
        "boards_not_restarted": tally.not_restarted,
        "grown_mib": round(grown_kib / 1024, 2),
        "seconds": round(storm_s, 1),
    }


def main() -> None:
    """Measure and print; exit code 1 if an answer was wrong or missing."""
    parser = argparse.ArgumentParser(description="`stepnet serve` under load.")
    parser.add_argument("--images", type=int, default=4000)
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args()
    result = measure(arguments.images, arguments.requests, arguments.seed)
    if arguments.json:
        print(json.dumps(result))
    else:
        for name, value in result.items():
            print(f"{name.replace('_', ' '):28} {value}")
    if result["wrong"] or result["unanswered"] or result["refused_without_a_reason"]:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
