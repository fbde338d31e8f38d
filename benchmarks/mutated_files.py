"""Damaged and forged files into everything that reads one: what was refused, run, and taken.

    python benchmarks/mutated_files.py [--files 10000] [--seed 0] [--json]

What has to hold is in `stepnet_sim.fuzz.files`. Exit code 1 if a file led to anything but a reading
or a sentence, if something in one was executed, or if this process took more than 200 MiB.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import tempfile
import time
from pathlib import Path

from stepnet_sim.fuzz.files import FileFuzzer, small_networks

MOST_MIB = 200


def measure(files: int, seed: int) -> dict[str, object]:
    """Have so many files read."""
    start_s = time.perf_counter()
    with tempfile.TemporaryDirectory() as name:
        work = Path(name, "work")
        work.mkdir()
        found = FileFuzzer(work, small_networks(Path(name), seed), seed).run(files)
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {
        "files": sum(found.files.values()),
        "files_by_kind": dict(found.files),
        "seed": seed,
        "refused": found.refused,
        "failures": len(found.failures),
        "first_failures": found.failures[:20],
        "executed": found.executed,
        "peak_memory_mib": round(peak_mib, 1),
        "seconds": round(time.perf_counter() - start_s, 1),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Damaged and forged files.")
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args()
    result = measure(arguments.files, arguments.seed)
    lines = [f"{name.replace('_', ' '):20} {value}" for name, value in result.items()]
    print(json.dumps(result) if arguments.json else "\n".join(lines))
    bad = result["failures"] or result["executed"]
    sys.exit(bool(bad) or float(str(result["peak_memory_mib"])) > MOST_MIB)


if __name__ == "__main__":
    main()
