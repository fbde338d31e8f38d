"""How long `make demo` takes for a newcomer, and the second time.

    python benchmarks/demo_time.py [--json]

Clones the repository into an empty folder and runs `make demo` there twice. The caches of the
virtual board and of the tools start empty; pip's cache is used as it is.
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


def measure() -> dict[str, float]:
    """Wall-clock seconds of both runs."""
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
        durations_s: list[float] = []
        for _ in range(2):
            start = time.perf_counter()
            subprocess.run(
                ["make", "demo"], cwd=clone, env=environment, check=True, stdout=subprocess.DEVNULL
            )
            durations_s.append(round(time.perf_counter() - start, 1))
    return {"first_s": durations_s[0], "second_s": durations_s[1]}


def main() -> None:
    """Print one line, or one JSON object."""
    parser = argparse.ArgumentParser(description="Duration of make demo, first and second time.")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    as_json = parser.parse_args().json
    result = measure()
    if as_json:
        print(json.dumps(result))
    else:
        print(f"make demo: {result['first_s']} s the first time, {result['second_s']} s the second")


if __name__ == "__main__":
    main()
