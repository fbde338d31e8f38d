"""`stepnet bench --on-chip`: a pipeline at its full speed, on images that lie on the chip."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from stepnet.cli.output import Progress
from stepnet.errors import BoardError

if TYPE_CHECKING:
    from collections.abc import Callable

    from stepnet.boards.on_chip import Measurement, OnChipBench
    from stepnet.cores.pipeline.stored_images import StoredImages

USUAL_NETWORK = "digits-lut-compact"
"""What a virtual board is measured with if no network is named."""


@dataclass(frozen=True, kw_only=True)
class OnChipOptions:
    """What such a measurement is told; see the options of `stepnet bench`."""

    board: str
    network: str | None
    data: str
    data_dir: Path | None
    images: int
    baud: int | None
    timeout_s: float
    uart: bool
    json_output: bool


def measure_on_chip(options: OnChipOptions) -> bool:
    """Print what a board counts, and return whether it is what numpy counts."""
    with Progress() as progress:
        stored, measured = _measured(options, progress)
    expected = stored.right_of(measured.images)
    if options.json_output:
        figures = {
            "board": options.board,
            "network": stored.network.name,
            "data": options.data,
            **asdict(measured),
            "images_per_s": measured.images_per_s,
            "right_as_numpy": expected,
        }
        print(json.dumps(figures))
    else:
        print(_text(stored, measured, expected))
    return measured.right == expected


def _measured(
    options: OnChipOptions, progress: Callable[[str], None]
) -> tuple[StoredImages, Measurement]:
    from stepnet.boards.chip_images import chip_images
    from stepnet.boards.on_chip import OnChipBench
    from stepnet.link.link import is_installed_board, open_link

    virtual = is_installed_board(options.board)
    stored: StoredImages | None = None
    if virtual or options.network is not None:
        name = options.network or USUAL_NETWORK
        stored = chip_images(name, options.data, options.data_dir, progress)
    link = open_link(
        options.board,
        network=stored if virtual else None,
        baud=options.baud,
        timeout_s=options.timeout_s,
        uart=options.uart,
        progress=progress,
    )
    with OnChipBench(link, options.timeout_s, where=options.board) as bench:
        if stored is None:
            name = _held_network(bench, options.board)
            stored = chip_images(name, options.data, options.data_dir, progress)
        _check_same(bench, stored, options)
        progress(f"Running {options.images:,} images through the pipeline")
        return stored, bench.measure(options.images)


def _held_network(bench: OnChipBench, where: str) -> str:
    """The name of the network that a board was built with."""
    from stepnet.boards.held_network import held_network

    return held_network(bench.identity, where).name


def _check_same(bench: OnChipBench, stored: StoredImages, options: OnChipOptions) -> None:
    """Raise BoardError if the board was not built with this network and so many images."""
    from stepnet.boards.held_network import built_in_digest

    if bench.identity.digest != built_in_digest(stored.network):
        raise BoardError(
            f"The board at {options.board!r} was built with another network than "
            f"{stored.network.name!r}; name that one with --network."
        )
    if bench.stored_images != len(stored):
        raise BoardError(
            f"The board at {options.board!r} keeps {bench.stored_images:,} images, and "
            f"{options.data} has {len(stored):,} for it; name the data that it was built with "
            "with --data."
        )


def _text(stored: StoredImages, measured: Measurement, expected: int) -> str:
    said = (
        "as numpy counts"
        if measured.right == expected
        else f"numpy counts {expected:,} in these images"
    )
    return "\n".join(
        [
            f"rate      {measured.images_per_s:,.0f} images/s at {measured.clock_hz / 1e6:g} MHz "
            f"({measured.images:,} images in {measured.cycles:,} cycles)",
            f"right     {measured.right / measured.images:.2%} of {measured.stored_images:,} "
            f"different images ({measured.right:,}, {said})",
        ]
    )
