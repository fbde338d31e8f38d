"""How many images per second the engine computes that `stepnet build` picks for convolutions.

    python benchmarks/convolution_rate.py [--board NAME] [--json]

Builds the engine for `digits-conv` on each board: two minutes for the iCEBreaker, a quarter of an
hour of two cores for the ULX3S 25F; what was built before comes from the cache. The rate is the
clock over the cycles of an image, which is in memory when the engine takes it up; the tests and
benches of the engine assert these cycles.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stepnet.cores.engine.cycles import cycles_per_image
from stepnet.networks.shipped import load_network
from stepnet.temporary import temporary_folder
from stepnet_hdl.flow.build import BuildSettings, EngineWish, board_of, build

NETWORK = "digits-conv"


@dataclass(frozen=True)
class Asked:
    """The clock that is asked for, and the seeds of place and route of which the best counts."""

    clock_hz: int
    seeds: tuple[int, ...]


ASKED = {"icebreaker": Asked(33_000_000, (1, 2)), "ulx3s-25f": Asked(93_750_000, (1, 2))}


def measured(board: str) -> dict[str, Any]:
    """Shape, size, clock and rate of the engine on a board."""
    asked = ASKED[board]
    settings = BuildSettings(
        board,
        clock_hz=asked.clock_hz,
        seeds=asked.seeds,
        engine=EngineWish(networks=(NETWORK,)),
    )
    shape = board_of(settings, None).settings.shape
    with temporary_folder() as work:
        report = build(settings, Path(work))
    cycles = cycles_per_image(load_network(NETWORK), shape)
    return {
        "board": board,
        "simd": shape.simd,
        "pe": shape.pe,
        "windows": shape.map_windows,
        "luts": report.luts,
        "luts_available": report.luts_available,
        "block_rams": report.block_rams,
        "clock_hz": report.clock_hz,
        "max_frequency_hz": report.max_frequency_hz,
        "seed": report.seed,
        "cycles": cycles,
        "images_per_s": round(report.clock_hz / cycles),
    }


def main() -> None:
    """Print a row of a table for each board, or one JSON object."""
    parser = argparse.ArgumentParser(description="Images per second of engines that convolve.")
    parser.add_argument("--board", choices=ASKED, help="this one alone")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    boards = [options.board] if options.board else list(ASKED)
    found = [measured(board) for board in boards]
    if options.json:
        print(json.dumps({"engines": found}))
        return
    print("| board | SIMD x PE x windows | LUTs | clock, reached | cycles | images/s |")
    print("|---|---|---|---|---|---|")
    for row in found:
        print(
            f"| {row['board']} | {row['simd']} x {row['pe']} x {row['windows']} "
            f"| {row['luts']:,} of {row['luts_available']:,} "
            f"| {row['clock_hz'] / 1e6:g} MHz, {row['max_frequency_hz'] / 1e6:.1f} "
            f"| {row['cycles']:,} | {row['images_per_s']:,} |"
        )


if __name__ == "__main__":
    main()
