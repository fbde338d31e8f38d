"""Any bytes into the host's parser, guided by what they make it do.

    pip install ".[bench]"
    python benchmarks/fuzz_parser.py [-runs=N] [-seed=N] [-max_len=N] [CORPUS FOLDER]

What has to hold is in `stepnet_sim.fuzz.parser`. Takes the options of libFuzzer, whose reports go
to stderr; an input that breaks something ends it and is written into the current folder. When all
runs are done, one JSON object goes to stdout.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import atheris as untyped_atheris  # pyright: ignore[reportMissingImports]

atheris: Any = untyped_atheris  # it carries no types

with atheris.instrument_imports(include=["stepnet", "cobs"]):
    from stepnet_sim.fuzz import parser

DEFAULTS = {"-runs": 1_000_000, "-seed": 1, "-max_len": 300, "-timeout": 10}


def main() -> None:
    """Fuzz; ends the process."""
    options = {**DEFAULTS}
    folders: list[str] = []
    for argument in sys.argv[1:]:
        name, given, value = argument.partition("=")
        if given:
            options[name] = int(value)
        else:
            folders.append(argument)

    runs = 0
    start_s = time.perf_counter()

    def test_one_input(data: bytes) -> None:
        nonlocal runs
        parser.check(data)
        runs += 1
        if runs == options["-runs"]:
            duration_s = round(time.perf_counter() - start_s, 1)
            print(json.dumps({"inputs": runs, "failures": 0, "duration_s": duration_s}), flush=True)

    arguments = [f"{name}={value}" for name, value in options.items()]
    atheris.Setup([sys.argv[0], *arguments, *folders], test_one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
