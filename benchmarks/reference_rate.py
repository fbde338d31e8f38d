"""Images per second of the integer reference on one core.

    python benchmarks/reference_rate.py [--json]

Measures `reference.infer` for a random 784-128-64-7 network of binary weights at a batch of 10,000
and gives the median of several runs.
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

from stepnet.networks import reference  # noqa: E402
from stepnet.networks.random_networks import random_images, random_network  # noqa: E402

SIZES = (784, 128, 64, 7)
BATCH = 10_000
RUNS = 9


def images_per_s() -> float:
    """Median rate over the runs, the first of which only warms up."""
    random = np.random.default_rng(0)
    network = random_network(random, SIZES, height=28)
    images = random_images(random, network, BATCH)
    durations_s: list[float] = []
    for _ in range(RUNS + 1):
        start = time.perf_counter()
        reference.infer(network, images)
        durations_s.append(time.perf_counter() - start)
    return BATCH / statistics.median(durations_s[1:])


def main() -> None:
    """Print one line, or one JSON object."""
    parser = argparse.ArgumentParser(description="Images per second of the integer reference.")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    as_json = parser.parse_args().json
    rate = images_per_s()
    sizes = "-".join(map(str, SIZES))
    if as_json:
        print(json.dumps({"network": sizes, "batch": BATCH, "images_per_s": round(rate)}))
    else:
        print(f"reference, {sizes}, batch {BATCH}, one core: {rate:,.0f} images/s")


if __name__ == "__main__":
    main()
