"""Every figure that Stepnet promises, measured on this machine, as docs/benchmarks.md.

    python benchmarks/run_all.py [--data-dir FOLDER]

Takes some minutes, one measurement at a time. The accuracy of `digits` needs MNIST, see
`stepnet evaluate --help`; without it that row is left out.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
PAGE = HERE.parent / "docs" / "benchmarks.md"
STEPNET = (sys.executable, "-m", "stepnet")

HEADING = """\
# Benchmarks

Measured by `python benchmarks/run_all.py` on {machine}. Frequencies are nextpnr's, of the
placed and routed chip; cycles are counted by the gateware.

| what | asked for | measured | by |
|---|---|---|---|
"""


@dataclass(frozen=True)
class Benchmark:
    """One row: what is measured, what it should be, the command, and how to say its JSON."""

    what: str
    target: str
    command: tuple[str, ...]
    say: Callable[[dict[str, Any]], str]

    @property
    def shown_command(self) -> str:
        """The command as a person types it."""
        words = ["python" if word == sys.executable else word for word in self.command]
        return (
            " ".join(words)
            .replace(f"{HERE}/", "benchmarks/")
            .replace("python -m stepnet", "stepnet")
        )

    def row(self) -> str:
        """Run it; its line of the table."""
        done = subprocess.run(self.command, stdout=subprocess.PIPE, text=True, check=True)
        measured = self.say(json.loads(done.stdout))
        return f"| {self.what} | {self.target} | {measured} | `{self.shown_command}` |\n"


def script(name: str, *options: str) -> tuple[str, ...]:
    """The command of one benchmark beside this file."""
    return (sys.executable, str(HERE / f"{name}.py"), *options, "--json")


BENCHMARKS = (
    Benchmark(
        "`make demo`, fresh clone, packages in pip's cache",
        "under 240 s; under 15 s the second time",
        script("demo_time"),
        lambda result: f"{result['first_s']} s; {result['second_s']} s",
    ),
    Benchmark(
        "engine, `digits` at SIMD 64, cycles per image",
        "at most 1.15 x 1,752 + 200 = 2,215",
        script("engine_cycles"),
        lambda result: f"{result['cycles_per_image']:,}",
    ),
    Benchmark(
        "iCEBreaker, clock and LUTs",
        "24 MHz; at most 60 % of 5,280",
        (*STEPNET, "build", "--board", "icebreaker", "--json"),
        lambda result: (
            f"runs at {result['clock_hz'] / 1e6:g} MHz, reaches "
            f"{result['max_frequency_hz'] / 1e6:.1f} MHz; {result['luts']:,} LUTs "
            f"({result['luts'] / result['luts_available']:.0%})"
        ),
    ),
    Benchmark(
        "reference, 784-128-64-7, batch 10,000, one core",
        "50,000 images/s",
        script("reference_rate"),
        lambda result: f"{result['images_per_s']:,} images/s",
    ),
    Benchmark(
        "virtual board at the byte stream, `digits`",
        "100 images/s",
        script("virtual_board_rate"),
        lambda result: f"{result['images_per_s']:g} images/s",
    ),
    Benchmark(
        "virtual board at the serial pins, `digits`",
        "",
        script("virtual_board_rate", "--uart"),
        lambda result: f"{result['images_per_s']:g} images/s",
    ),
    Benchmark(
        "host, CPU time per image in `infer_many`, a socket that answers at once",
        "under 25 us",
        script("host_cost"),
        lambda result: f"{result['cpu_us_per_image']:g} us",
    ),
    Benchmark(
        "images through a faulty link: wrong, unanswered, growth of memory",
        "0, 0, none in 1,000,000 images with 10,000 faults",
        script("faulty_link"),
        lambda result: (
            f"{result['wrong']}, {result['unanswered']}, "
            f"{result['memory_growth_bytes'] / 2**20:.1f} MiB in {result['images']:,} images with "
            f"{result['faults']:,} faults, {result['seconds']:.0f} s"
        ),
    ),
    Benchmark(
        "`import stepnet`; `stepnet --help`",
        "under 0.3 s; under 0.6 s",
        script("startup"),
        lambda result: f"{result['import_s']:.2f} s; {result['help_s']:.2f} s",
    ),
)


def main() -> None:
    """Measure everything and write the page."""
    parser = argparse.ArgumentParser(description="Measure every figure that Stepnet promises.")
    parser.add_argument("--data-dir", help="folder of the data sets, for the accuracy")
    data_dir = parser.parse_args().data_dir
    benchmarks = list(BENCHMARKS)
    if data_dir:
        os.environ["STEPNET_DATA"] = data_dir
        accuracy = Benchmark(
            "`digits`, exact ASCII code, MNIST's 10,000 test images",
            "93 %",
            (*STEPNET, "evaluate", "digits", "--data", "mnist", "--json"),
            lambda result: f"{result['accuracy']:.2%} of {result['images']:,}",
        )
        benchmarks.insert(0, accuracy)
    machine = f"{os.cpu_count()} cores of {platform.machine()}, Python {platform.python_version()}"
    rows: list[str] = []
    for benchmark in benchmarks:
        print(f"{benchmark.what} ...", file=sys.stderr)
        rows.append(benchmark.row())
    PAGE.write_text(HEADING.format(machine=machine) + "".join(rows))
    print(PAGE.read_text())


if __name__ == "__main__":
    main()
