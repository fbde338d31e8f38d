"""Images per second of the integer reference on one core.

    python benchmarks/reference_rate.py [--json]

Measures `reference.infer` for a random 784-128-64-7 network of binary weights, and `lut.infer` for
1,000 random tables on 784 pixels, at a batch of 10,000, and gives the median of several runs each.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time

# The BLAS library behind numpy reads these once, when numpy is imported.
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"

import numpy as np  # noqa: E402 (after the threads are set)

from stepnet import Counts, LutLayer, LutNetwork, Readout  # noqa: E402
from stepnet.networks import kinds  # noqa: E402
from stepnet.networks.kinds import AnyNetwork  # noqa: E402
from stepnet.networks.random_networks import random_network  # noqa: E402

SIZES = (784, 128, 64, 7)
TABLES = 1_000
BATCH = 10_000
RUNS = 9


def random_tables(random: np.random.Generator) -> LutNetwork:
    """Tables in groups of a hundred, of which the largest count wins."""
    wires = random.integers(0, SIZES[0], (TABLES, 4))
    layer = LutLayer(wires, random.integers(0, 1 << 16, TABLES), SIZES[0])
    counts = Counts(np.arange(TABLES) % 10, np.zeros(10, dtype=np.int32))
    return LutNetwork("random", (layer,), readout=Readout.NEAREST, counts=counts)


def images_per_s(network: AnyNetwork) -> float:
    """Median rate over the runs, the first of which only warms up."""
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (BATCH, 28, 28), dtype=np.uint8)
    durations_s: list[float] = []
    for _ in range(RUNS + 1):
        start = time.perf_counter()
        kinds.infer(network, images)
        durations_s.append(time.perf_counter() - start)
    return BATCH / statistics.median(durations_s[1:])


def main() -> None:
    """Print one line, or one JSON object."""
    parser = argparse.ArgumentParser(description="Images per second of the integer reference.")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    as_json = parser.parse_args().json
    random = np.random.default_rng(0)
    rate = images_per_s(random_network(random, SIZES, height=28))
    table_rate = images_per_s(random_tables(random))
    sizes = "-".join(map(str, SIZES))
    if as_json:
        answer = {"network": sizes, "batch": BATCH, "images_per_s": round(rate)}
        print(json.dumps({**answer, "tables": TABLES, "images_per_s_tables": round(table_rate)}))
    else:
        print(f"reference, {sizes}, batch {BATCH}, one core: {rate:,.0f} images/s")
        print(f"reference, {TABLES} tables, batch {BATCH}, one core: {table_rate:,.0f} images/s")


if __name__ == "__main__":
    main()
