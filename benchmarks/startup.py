"""How long `import stepnet` and `stepnet --help` take, interpreter included.

    python benchmarks/startup.py [--runs 15] [--json]

Each is run once to fill the file cache and then `--runs` times; the figure is the median, so that
one interruption by another program does not count.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

COMMANDS = {
    "import": (sys.executable, "-c", "import stepnet"),
    "import_board": (sys.executable, "-c", "from stepnet import open_board"),
    "help": (str(Path(sys.executable).with_name("stepnet")), "--help"),
}


def durations_s(command: tuple[str, ...], runs: int) -> list[float]:
    """Wall-clock times of `runs` runs of `command`."""
    durations: list[float] = []
    for _ in range(1 + runs):
        start = time.perf_counter()
        subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
        durations.append(time.perf_counter() - start)
    return durations[1:]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Measure how quickly Stepnet starts.")
    parser.add_argument("--runs", type=int, default=15, help="runs of each command")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args()
    result: dict[str, float | int] = {"runs": arguments.runs}
    for name, command in COMMANDS.items():
        durations = durations_s(command, arguments.runs)
        result[f"{name}_s"] = round(statistics.median(durations), 3)
        result[f"{name}_min_s"] = round(min(durations), 3)
    if arguments.json:
        print(json.dumps(result))
        return
    for name, command in COMMANDS.items():
        shown = " ".join([Path(command[0]).name, *command[1:]])
        print(f"{shown}: {result[f'{name}_s']} s (fastest {result[f'{name}_min_s']} s)")


if __name__ == "__main__":
    main()
