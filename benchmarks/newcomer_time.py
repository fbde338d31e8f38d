"""How long a newcomer waits: `make demo` twice, then `make test` and `make check`.

    python benchmarks/newcomer_time.py [--json]

Clones the repository into an empty folder and runs them there, one after the other. The caches of
virtual boards, builds and tools start empty; pip's cache is used as it is.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import tempfile
import time
from pathlib import Path

REPOSITORY = Path(__file__).parent.parent

RUNS = {"demo_s": "demo", "second_demo_s": "demo", "test_s": "test", "check_s": "check"}
"""Names of the figures, and what make is asked for."""


def measure() -> dict[str, float]:
    """Wall-clock seconds of each run."""
    with tempfile.TemporaryDirectory(prefix="stepnet-") as folder:
        clone = Path(folder) / "clone"
        subprocess.run(["git", "clone", "--quiet", REPOSITORY, clone], check=True)
        pip_cache = subprocess.run(
            ["python3", "-m", "pip", "cache", "dir"], capture_output=True, text=True, check=True
        )
        environment = {
            **os.environ,
            "XDG_CACHE_HOME": str(Path(folder) / "cache"),
            "YOWASP_CACHE_DIR": str(Path(folder) / "cache" / "yowasp"),
            "PIP_CACHE_DIR": pip_cache.stdout.strip(),
        }
        found: dict[str, float] = {}
        for name, goal in RUNS.items():
            start_s = time.perf_counter()
            done = subprocess.run(
                ["make", goal],
                cwd=clone,
                env=environment,
                check=False,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            if done.returncode:
                raise SystemExit(f"{done.stdout}\nmake {goal} failed; its output is above.")
            found[name] = round(time.perf_counter() - start_s, 1)
    return found


def main() -> None:
    """Print a line for each run, or one JSON object."""
    parser = argparse.ArgumentParser(description="Duration of make demo, test and check.")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    as_json = parser.parse_args().json
    result = measure()
    if as_json:
        print(json.dumps(result))
    else:
        print(*(f"make {RUNS[name]}: {seconds} s" for name, seconds in result.items()), sep="\n")


if __name__ == "__main__":
    main()
