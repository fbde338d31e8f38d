"""The largest clock that a board's chip meets, found by building."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from stepnet_hdl.boards.wire import Wire
from stepnet_hdl.flow.build import BuildSettings, board_of, find_or_build
from stepnet_hdl.flow.cache import BuildCache

if TYPE_CHECKING:
    from stepnet_hdl.flow.run import Progress

MIN_SPARE = 0.05
"""The part of its frequency by which a clock has to be met, because nextpnr's
model of a part is no data sheet."""

MAX_BUILDS = 6


def fastest_settings(
    settings: BuildSettings,
    folder: Path,
    *,
    progress: Callable[[Progress], None],
    cache: BuildCache | None = None,
    scheduler: str | None = None,
) -> BuildSettings:
    """`settings` with the largest clock that the board can make, divides into the baud rate, and is
    met with `MIN_SPARE`.

    Starts with the clock that suits the board. Place and route try no harder than they have to, so
    what one build reaches is what the next one is asked for, until that brings nothing more. If no
    clock is met with so much to spare, it is the smallest one that was tried.

    scheduler: see `build`.

    Raises what `build` raises, but not for a clock that is not met.
    """
    from stepnet.networks.shipped import load_any_network
    from stepnet_hdl.boards.chip_clocks import rate_and_clock_hz
    from stepnet_hdl.fpga.clocks import fastest_clock_hz

    network = None if settings.network is None else load_any_network(settings.network)
    board = board_of(settings, network)
    platform = board.platform()
    baud, clock_hz = rate_and_clock_hz(network, board, settings.wire, settings.baud)
    met_hz = 0
    tried: dict[int, int] = {}  # clocks, each with its baud rate
    while clock_hz > met_hz and clock_hz not in tried and len(tried) < MAX_BUILDS:
        tried[clock_hz] = baud
        attempt = dataclasses.replace(settings, baud=baud, clock_hz=clock_hz)
        _, report = find_or_build(
            attempt, folder, progress=progress, cache=cache, scheduler=scheduler
        )
        if report.spare >= MIN_SPARE:
            met_hz = clock_hz
        reached_hz = report.max_frequency_hz / (1 + MIN_SPARE)
        if settings.wire is Wire.SPI:
            clock_hz = fastest_clock_hz(platform, reached_hz, None)
            continue
        baud = settings.baud or board.baud_up_to(int(reached_hz))
        clock_hz = fastest_clock_hz(platform, reached_hz, baud)
    best_hz = met_hz or min(tried)
    return dataclasses.replace(settings, baud=tried[best_hz], clock_hz=best_hz)
