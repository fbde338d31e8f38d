"""Images per second of an exported C file, beside numpy's reference, on one core in one run.

    python benchmarks/c_export_rate.py [--network digits] [--json]

The C file is compiled with `cc -O3 -march=native`, and with `cc -O3` alone for the processor's
whole family. Both read the same 10,000 images of noise as the reference; their codes have to be
equal. The time is that of the processor, and the best of several runs counts, since whatever else
runs on the machine only makes it longer.
"""

from __future__ import annotations

import os

# The BLAS library behind numpy reads these once, when numpy is imported.
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"

import argparse  # noqa: E402 (after the threads are set)
import ctypes  # noqa: E402
import json  # noqa: E402
import subprocess  # noqa: E402
import tempfile  # noqa: E402
import time  # noqa: E402
from collections.abc import Callable  # noqa: E402
from pathlib import Path  # noqa: E402

import numpy as np  # noqa: E402
from numpy.typing import NDArray  # noqa: E402

from stepnet.formats.c_export import c_name, write_c  # noqa: E402
from stepnet.networks import reference  # noqa: E402
from stepnet.networks.network import Network  # noqa: E402
from stepnet.networks.shipped import load_network  # noqa: E402

IMAGES = 10_000
RUNS = 20

Read = Callable[[NDArray[np.uint8]], NDArray[np.uint8]]


def compiled(network: Network, folder: Path, *flags: str) -> Read:
    """The network's C function for many images."""
    library = folder / f"{'_'.join(flags)}.so"
    source = write_c(network, folder / "network.c")
    subprocess.run(
        ["cc", "-std=c99", *flags, "-shared", "-fPIC", source, "-o", library], check=True
    )
    function = getattr(ctypes.CDLL(str(library)), f"{c_name(network)}_many")

    def read(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
        codes = np.zeros(len(images), np.uint8)
        pointers = (ctypes.c_void_p(array.ctypes.data) for array in (images, codes))
        function(next(pointers), ctypes.c_size_t(len(images)), next(pointers))
        return codes

    return read


def images_per_s(read: Read, images: NDArray[np.uint8]) -> float:
    """The best rate of several runs."""
    best_s = float("inf")
    for _ in range(RUNS):
        start_s = time.process_time()
        read(images)
        best_s = min(best_s, time.process_time() - start_s)
    return len(images) / best_s


def main() -> None:
    """Print one line, or one JSON object."""
    parser = argparse.ArgumentParser(description="Images per second of an exported C file.")
    parser.add_argument("--network", default="digits", help="a shipped network or a .npz file")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args()
    network = load_network(arguments.network)
    shape = (IMAGES, network.height, network.width)
    images = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    expected = reference.infer(network, images)
    rates = {"reference": images_per_s(lambda given: reference.infer(network, given), images)}
    with tempfile.TemporaryDirectory() as folder:
        for name, flags in (("native", ("-O3", "-march=native")), ("portable", ("-O3",))):
            read = compiled(network, Path(folder), *flags)
            if not np.array_equal(read(images), expected):
                raise SystemExit(f"The C file compiled with {' '.join(flags)} reads otherwise.")
            rates[name] = images_per_s(read, images)
    rounded = {name: round(rate) for name, rate in rates.items()}
    if arguments.json:
        print(json.dumps({"network": network.name, "images_per_s": rounded}))
    else:
        shown = ", ".join(f"{name} {rate:,}" for name, rate in rounded.items())
        print(f"{network.name}, images/s on one core: {shown}")


if __name__ == "__main__":
    main()
