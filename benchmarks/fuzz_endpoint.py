"""Random and mutated frames into the compiled chip, with every answer checked.

    python benchmarks/fuzz_endpoint.py [--frames N] [--seed N] [--json]

What counts as right is in `stepnet_sim.fuzz.session.FuzzSession`; the first wrong answer ends it.
"""

from __future__ import annotations

import argparse
import json
import sys
import time

from stepnet_sim.chips.chip_library import chip_library
from stepnet_sim.chips.design import Design
from stepnet_sim.chips.verilated import VerilatedChip
from stepnet_sim.fuzz.session import FuzzSession, Tally

FRAMES = 1_000_000


def measure(frames: int, seed: int) -> tuple[Tally, float]:
    """Fuzz the virtual board's chip; the tally, and how long it took in seconds."""
    design = Design()
    chip = VerilatedChip(
        chip_library(design, lambda message: print(f"{message} ...", file=sys.stderr))
    )
    start_s = time.perf_counter()
    session = FuzzSession(chip, design, seed)
    session.run(frames)
    duration_s = time.perf_counter() - start_s
    chip.close()
    return session.tally, duration_s


def table(tally: Tally) -> str:
    """Frames by recipe, then answers by kind."""
    lines = [f"{'frames sent':<28} {'frames':>9} {'whole':>9}"]
    lines += [
        f"{recipe:<28} {frames:>9,} {tally.whole[recipe]:>9,}"
        for recipe, frames in sorted(tally.frames.items())
    ]
    lines.append(f"{'all':<28} {tally.frames.total():>9,} {tally.whole.total():>9,}")
    lines += ["", f"{'answers, those of the checks included':<38} {tally.answers.total():>9,}"]
    lines += [f"{name:<38} {count:>9,}" for name, count in sorted(tally.answers.items())]
    return "\n".join(lines)


def main() -> None:
    """Print a table, or one JSON object."""
    parser = argparse.ArgumentParser(description="Fuzz the chip's end of the link.")
    parser.add_argument("--frames", type=int, default=FRAMES, help="how many at least")
    parser.add_argument("--seed", type=int, default=0, help="of all that is random")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args()
    tally, duration_s = measure(arguments.frames, arguments.seed)
    if arguments.json:
        result = {
            "frames": tally.drawn,
            "whole": tally.whole.total(),
            "answers": tally.answers.total(),
            "flooded": tally.flooded,
            "found_no_room": tally.lost,
            "checks": tally.rounds,
            "wrong_answers": 0,
            "seed": arguments.seed,
            "duration_s": round(duration_s, 1),
        }
        print(json.dumps(result))
    else:
        print(table(tally))
        print(
            f"\nNo wrong answer; {tally.rounds:,} loads and checks against the reference; of "
            f"{tally.flooded:,} whole frames in floods {tally.lost:,} found no room. "
            f"Seed {arguments.seed}, {duration_s:.0f} s."
        )


if __name__ == "__main__":
    main()
