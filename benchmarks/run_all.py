"""Every figure that Stepnet promises, measured on this machine, as docs/benchmarks.md.

    python benchmarks/run_all.py [--data-dir FOLDER] [--only WORD ...]

Takes more than an hour, one measurement at a time. With --only just the rows whose text holds one
of the words are measured; what the others came to stands in benchmarks/results.json. Accuracies
need MNIST, see `stepnet evaluate --help`.
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
RESULTS = HERE / "results.json"
PAGE = HERE.parent / "docs" / "benchmarks.md"
STEPNET = (sys.executable, "-m", "stepnet")

HEADING = """\
# Benchmarks

Measured by `python benchmarks/run_all.py` on {machine}. Frequencies are nextpnr's, of the
placed and routed chip; cycles are counted by the gateware. [figures.md](figures.md) says which
figure is which.

| what | target | measured | by |
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

    def measure(self) -> str:
        """Run it; what came out."""
        done = subprocess.run(self.command, stdout=subprocess.PIPE, text=True, check=True)
        return self.say(json.loads(done.stdout))

    def row(self, measured: str) -> str:
        """Its line of the table."""
        return f"| {self.what} | {self.target} | {measured} | `{self.shown_command}` |\n"


def script(name: str, *options: str) -> tuple[str, ...]:
    """The command of one benchmark beside this file."""
    return (sys.executable, str(HERE / f"{name}.py"), *options, "--json")


MNIST = ("MNIST's 10,000 test images", ("--data", "mnist"))
UNIPEN = ("UNIPEN, clean labels of 41 writers never seen", ("--data", "unipen", "--clean"))


def accuracy(network: str, target: str, data: tuple[str, tuple[str, ...]] = MNIST) -> Benchmark:
    """How often a network gets the exact code of a data set's test images."""
    images, options = data
    return Benchmark(
        f"`{network}`, exact ASCII code, {images}",
        target,
        (*STEPNET, "evaluate", network, *options, "--json"),
        lambda result: f"{result['accuracy']:.2%}",
    )


def gateware(what: str, target: str, only: str, seeds: int = 1) -> Benchmark:
    """The best of a design's place-and-route seeds."""

    def say(result: dict[str, Any]) -> str:
        best = max(result["designs"], key=lambda design: design["frequency_mhz"])
        size = f"{best['lut4']:,} LUT4, {best['block_rams']} block RAMs"
        if "lut4_per_input" in best:
            size = f"{best['lut4_per_input']} LUT4 per input"
        rate = f", {best['images_per_s']:,} images/s" if "images_per_s" in best else ""
        return f"{best['frequency_mhz']} MHz, {size}{rate} (seed {best['seed']} of {seeds})"

    command = script("gateware", "--only", only, "--seeds", str(seeds))
    return Benchmark(what, target, command, say)


def pipeline(network: str, target: str, seeds: int, part: str = "25F") -> Benchmark:
    """Size and frequency of the bare core that is a network of look-up tables."""

    def say(result: dict[str, Any]) -> str:
        best = max(result["pipelines"], key=lambda found: found["frequency_mhz"])
        return (
            f"{best['frequency_mhz']} MHz, {best['sites']:,} sites, {best['accuracy']:.2%} "
            f"(seed {best['seed']} of {seeds})"
        )

    command = script("pipeline_speed", "--only", network, "--seeds", str(seeds))
    return Benchmark(
        f"pipeline `{network}` from pixels to register, an image per cycle, ECP5-{part} speed 6",
        target,
        command,
        say,
    )


def _steady(result: dict[str, Any]) -> str:
    return ", ".join(
        f"{run['ratio']:.3f} ({run['simd']} x {run['pe']})"
        for run in result["steady"]
        if run["network"].startswith("784-256-256-256-7")
    )


def _convolving(result: dict[str, Any]) -> str:
    (engine,) = result["engines"]
    return (
        f"{engine['images_per_s']:,} ({engine['cycles']:,} cycles at "
        f"{engine['clock_hz'] / 1e6:g} MHz, reaches {engine['max_frequency_hz'] / 1e6:.1f}; "
        f"{engine['luts']:,} LUTs)"
    )


def _faults(result: dict[str, Any]) -> str:
    files = result["mutated_files"]
    return (
        f"{result['wrong']}, {result['lost']}, {len(result['broken_promises'])}, "
        f"{result['memory_growth_mib']} MiB in {result['images']:,} images with "
        f"{result['faults']} faults of {result['kinds']} kinds, {result['seconds']:.0f} s; "
        f"{files['failures']}, {files['peak_memory_mib']:.0f} MiB in {files['files']:,} files"
    )


def _imports(result: dict[str, Any]) -> str:
    return "; ".join(
        f"{kind}: {found['seconds']} s, {found['as_qonnx_reads']:,}, "
        f"{found['on_the_virtual_board']['equal']}"
        for kind, found in result["kinds"].items()
    )


def _papers(result: dict[str, Any]) -> str:
    tally = result["all"]
    count = sum(tally.values())
    parts = (f"{tally[what] / count:.1%} {what}" for what in ("right", "wrong", "refused"))
    return f"{', '.join(parts)} of {count:,}"


def no_character(network: str) -> Benchmark:
    """What a network of digits refuses of what is none."""

    def say(result: dict[str, Any]) -> str:
        refused = result["results"][-1]["refused_strangers"]
        drawn = (f"{refused[what]:.1%}" for what in ("scribbles", "noise", "empty or full"))
        return f"{refused['letters and punctuation']:.1%}; {', '.join(drawn)}"

    return Benchmark(
        f"`{network}`, with one digit of MNIST in a hundred refused: UNIPEN's letters and "
        "punctuation; scribbles, noise, empty or full images refused",
        "60 % (aim 85); 98 % (aim 99.9)",
        script("no_character", "--network", network),
        say,
    )


def _service(result: dict[str, Any]) -> str:
    return (
        f"{result['ratio']:.1%} at a load of {result['load_before']:g} before, in CPU time "
        f"{result['direct_cpu_us_per_image'] / result['service_cpu_us_per_image']:.1%}; "
        f"{result['wrong']}, "
        f"{result['unanswered']}, {result['grown_mib']:g} MiB in {result['requests']:,} requests "
        f"with {result['boards_killed']} boards killed, {sum(result['refused'].values())} refused"
    )


def _sweep(result: dict[str, Any]) -> str:
    compared = result["two_against_one"]
    (played,) = [
        each for each in result["simulated"] if (each["workers"], each["mean_s"]) == (100, 60)
    ]
    same = "the same" if compared["same_to_the_bit"] else "not the same"
    return (
        f"{compared['speedup']:g} times at a load of {compared['load_before']:g} before, {same} to "
        f"the bit; {played['efficiency']:.1%} busy for {played['hours']:g} h"
    )


BENCHMARKS = (
    accuracy("digits", "95 %"),
    accuracy("digits-medium", "97 %"),
    accuracy("digits-large", "98.4 %"),
    accuracy("exercise", "93 %"),
    accuracy("ascii-nearest", "72 %", UNIPEN),
    accuracy("ascii", "67 %", UNIPEN),
    accuracy("ascii-bits", "55 %", UNIPEN),
    accuracy("letters", "68 %", UNIPEN),
    accuracy("digits-conv", "98.9 %"),
    accuracy("ascii-conv", "78 %", UNIPEN),
    accuracy("ascii-conv-nearest", "80 %", UNIPEN),
    accuracy("ascii-lut", "70 %", UNIPEN),
    accuracy("digits-lut-small", "94 %"),
    accuracy("digits-lut-compact", "97.0 %"),
    accuracy("digits-lut", "98.0 %"),
    accuracy("digits-lut-large", "98.5 %"),
    Benchmark(
        "`make demo`, again, `make test`, `make check`: fresh clone, packages in pip's cache",
        "240 s; 15 s; 480 s; 60 s",
        script("newcomer_time"),
        lambda result: "; ".join(f"{seconds:.0f} s" for seconds in result.values()),
    ),
    Benchmark(
        "digits on twelve kinds of paper and background, read right on plain paper",
        "90 % right, at most 1 % wrong",
        script("papers"),
        _papers,
    ),
    no_character("digits-conv-open"),
    no_character("digits-conv-strict"),
    Benchmark(
        "`import stepnet`; `stepnet --help`",
        "under 0.3 s; under 0.6 s",
        script("startup"),
        lambda result: f"{result['import_s']:.2f} s; {result['help_s']:.2f} s",
    ),
    Benchmark(
        "reference, 784-128-64-7, batch 10,000, one core",
        "50,000 images/s",
        script("reference_rate"),
        lambda result: f"{result['images_per_s']:,} images/s",
    ),
    Benchmark(
        "reference, 1,000 tables on 784 pixels, batch 10,000, one core",
        "200,000 images/s",
        script("reference_rate"),
        lambda result: f"{result['images_per_s_tables']:,} images/s",
    ),
    Benchmark(
        "`digits` as a C file on one core, `-O3 -march=native`; `-O3`; the reference in one run",
        "800,000 images/s",
        script("c_export_rate"),
        lambda result: "; ".join(
            f"{result['images_per_s'][name]:,} images/s"
            for name in ("native", "portable", "reference")
        ),
    ),
    Benchmark(
        "import of networks of the public model zoo's kinds: time, images read as QONNX reads "
        "them, those on the virtual board",
        "under 5 s, all of 1,000, all of 10",
        script("import_networks", "--board"),
        _imports,
    ),
    Benchmark(
        "shipped dense step networks through a QONNX file and back, bit for bit",
        "all",
        script("import_networks"),
        lambda result: (
            f"{result['round_trips']['bit_for_bit']} of {result['round_trips']['networks']}"
        ),
    ),
    Benchmark(
        "engine, cycles over weight bits / (SIMD x PE), 784-256-256-256-7",
        "at most 1.10",
        script("engine_cycles"),
        _steady,
    ),
    *(
        Benchmark(
            f"engine for `digits-conv`, {name}, images/s in the core",
            target,
            script("convolution_rate", "--board", board),
            _convolving,
        )
        for name, board, target in (
            ("UP5K of the iCEBreaker, 64 weights per cycle", "icebreaker", "600, aim 2,000"),
            ("LFE5U-25F of the ULX3S", "ulx3s-25f", "20,000, aim 60,000"),
        )
    ),
    Benchmark(
        "engine, `digits` on the iCEBreaker at 12 Mbaud, from the last pixel to the register",
        "25 us",
        script("engine_cycles"),
        lambda result: (
            f"{result['serial']['last_pixels_to_register_us']} us "
            f"({result['serial']['last_pixels_to_register_cycles']} cycles)"
        ),
    ),
    Benchmark(
        "multiply-accumulate core of 16 lanes, 784-32-10: multiplications over lanes and cycles",
        "0.90, aim 0.97",
        script("mac_core"),
        lambda result: ", ".join(
            f"{run['busy']:.3f} ({run['board']}, {run['cycles']:,} cycles)"
            for run in result["runs"]
        ),
    ),
    Benchmark(
        "chip with a multiply-accumulate core of 16 lanes, UP5K",
        "24 MHz, aim 40",
        script("mac_core", "--seeds", "8"),
        lambda result: (
            f"{result['mhz']} MHz, {result['luts']:,} LUT4, {result['block_rams']} block RAMs, "
            f"{result['images_per_s']:,} images/s (seed {result['seed']} of {result['seeds']})"
        ),
    ),
    gateware(
        "popcount of 255 matches, UP5K",
        "at most 2.0 LUT4 per input, 80 MHz",
        "leaves in carry chains",
    ),
    gateware("chip, SIMD 64, UP5K", "30 MHz, 2,600 LUT4", "UP5K chip", 8),
    gateware("chip, SIMD 16 x PE 4, HX8K, holds `digits`", "80 MHz", "HX8K chip", 8),
    gateware(
        "chip, 1,728 weights per cycle, ECP5-25F speed 6",
        "100 MHz at 1,024 weights per cycle",
        "25F-6 chip",
        2,
    ),
    gateware(
        "chip, 6,912 weights per cycle, ECP5-85F speed 6, 784-1024-1024-1024-7",
        "150,000 images/s",
        "85F-6 chip",
    ),
    pipeline("digits-lut-compact", "220 MHz, 2,600 sites, 97.0 %", 2),
    pipeline("digits-lut", "210 MHz, 5,000 sites, 98.0 %", 1),
    pipeline("digits-lut-large", "190 MHz, 12,000 sites, 98.5 %", 1),
    pipeline("ascii-lut", "140 MHz, 70 %", 1, "85F"),
    Benchmark(
        "iCEBreaker, build with an empty cache; from the cache",
        "under 90 s; under 1 s",
        script("build_time"),
        lambda result: f"{result['first_s']} s; {result['cached_s']} s",
    ),
    Benchmark(
        "virtual board at the byte stream, `digits`",
        "300 images/s",
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
        "link: use of an iCEBreaker's serial line while images are streamed, at the pins; with a "
        "USB chip that waits 1 ms",
        "95 % at each rate",
        script("link_utilisation", "--board", "icebreaker"),
        lambda result: ", ".join(
            f"{run['board']} at {run['baud'] / 1e6:g} Mbaud, {run['data']}, "
            f"{at_once['utilisation']:.1%}; "
            f"{run['utilisation']:.1%}, {run['images_per_s']:,.0f} images/s"
            for at_once, run in zip(result["runs"][::4], result["runs"][1::4], strict=True)
        ),
    ),
    Benchmark(
        "link: `digits` over SPI at 20 MHz, at the pins; with 20 us between transactions",
        "95 % of what line and engine allow",
        script("spi_rate"),
        lambda result: ", ".join(
            f"{at_once['board']} {at_once['images_per_s']:,.0f}; {run['images_per_s']:,.0f} "
            f"images/s of {min(run['limit_images_per_s'], run['engine_images_per_s']):,.0f}"
            for at_once, run in zip(result["runs"][::2], result["runs"][1::2], strict=True)
        ),
    ),
    Benchmark(
        "bytes of an image's frame in a coding of groups of eight bytes: MNIST, UNIPEN, noise",
        "1.8 times fewer on MNIST, no more on noise",
        script("pixel_coding"),
        lambda result: ", ".join(
            f"{row['frame_bytes']:.1f} ({row['factor']:.2f} times fewer)"
            for row in result["codings"]
            if row["coding"] == "groups"
        ),
    ),
    Benchmark(
        "host, CPU time per image in `infer_many`, a socket that answers at once",
        "under 10 us",
        script("host_cost"),
        lambda result: "; ".join(
            f"{run['cpu_us_per_image']:g} us{', coded' if run['coded'] else ''}, "
            f"buffer of {run['buffer_bytes']:,} bytes"
            for run in result["runs"]
        ),
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
        "random and mutated frames into the compiled chip: wrong answers, hangs",
        "0, 0 in 1,000,000",
        script("fuzz_endpoint"),
        lambda result: (
            f"{result['wrong_answers']}, 0 in {result['frames']:,}, {result['duration_s']:.0f} s"
        ),
    ),
    Benchmark(
        "bytes into the host's parser, guided by coverage (atheris): failures",
        "0 in 1,000,000",
        (sys.executable, str(HERE / "fuzz_parser.py")),
        lambda result: (
            f"{result['failures']} in {result['inputs']:,}, {result['duration_s']:.0f} s"
        ),
    ),
    Benchmark(
        "images on two boards while all around them goes wrong: wrong, lost, broken promises, "
        "growth of memory; damaged and forged files: failures, memory",
        "0, 0, 0, at most 16 MiB in 100,000 images with 200 faults of 12 kinds; 0, at most 200 MiB "
        "in 10,000 files",
        script("fault_campaign"),
        _faults,
    ),
    Benchmark(
        "`stepnet serve`, two virtual boards: its rate in parts of theirs; requests while boards "
        "die and come back: wrong, unanswered, growth of memory",
        "95 %; 0, 0, none in 10,000",
        script("service_load"),
        _service,
    ),
    Benchmark(
        "`stepnet sweep`, 16 trainings by two processes against one; 10,000 points of 60 s by 100 "
        "workers, simulated",
        "1.8 times as fast, the same to the bit; busy",
        script("sweep_scaling"),
        _sweep,
    ),
)


def main() -> None:
    """Measure, and write the page."""
    parser = argparse.ArgumentParser(description="Measure every figure that Stepnet promises.")
    parser.add_argument("--data-dir", help="folder of the data sets, for the accuracies")
    parser.add_argument("--only", nargs="+", default=[""], help="words of the rows to measure")
    arguments = parser.parse_args()
    if arguments.data_dir:
        os.environ["STEPNET_DATA"] = arguments.data_dir
    machine = f"{os.cpu_count()} cores of {platform.machine()}, Python {platform.python_version()}"
    measured: dict[str, str] = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    for benchmark in BENCHMARKS:
        if any(word in benchmark.what for word in arguments.only):
            print(f"{benchmark.what} ...", file=sys.stderr)
            measured[benchmark.what] = benchmark.measure()
            RESULTS.write_text(json.dumps(measured, indent=1) + "\n")
    rows = [
        benchmark.row(measured[benchmark.what])
        for benchmark in BENCHMARKS
        if benchmark.what in measured
    ]
    PAGE.write_text(HEADING.format(machine=machine) + "".join(rows))
    print(PAGE.read_text())


if __name__ == "__main__":
    main()
