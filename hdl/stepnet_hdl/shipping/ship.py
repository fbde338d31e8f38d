"""Makes the bitstreams that come with Stepnet.

    python -m stepnet_hdl.shipping.ship [--seeds N] [--tables | --spiking] [BOARD ...]

Without a board, all of `BOARDS`, one after the other: about an hour on two cores; with --tables all
of `TABLE_NETWORKS`, with --spiking all of `SPIKING_NETWORKS`. What a board's folder held before is
replaced when its bitstream is ready. The pictures of the placement go to docs/boards, for
`python -m stepnet_hdl.shipping.boards_page`, which is to be run next.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import sys
from collections.abc import Sequence
from pathlib import Path

from stepnet.errors import BuildError
from stepnet.files import write_text, write_whole
from stepnet.networks.shipped import load_lut_network, load_spiking_network
from stepnet.temporary import temporary_folder
from stepnet_hdl.boards.catalogue import BoardType, find_board
from stepnet_hdl.boards.spiking_chips import spiking_chip
from stepnet_hdl.boards.table_chips import table_chip
from stepnet_hdl.boards.wire import Wire
from stepnet_hdl.flow.build import BuildSettings, build
from stepnet_hdl.flow.clock_search import MIN_SPARE
from stepnet_hdl.flow.report import BuildReport
from stepnet_hdl.shipping.manifest import MANIFEST, SPIKING, TABLES, Manifest

BOARDS = (
    *("icebreaker", "icesugar", "ice40hx8kbevn"),
    *("ulx3s-12f", "ulx3s-25f", "ulx3s-85f", "ecpix545", "icepizero1-3"),
    "tangnano9k",
)

TABLE_NETWORKS = {
    "icebreaker": "digits-lut-small",
    "icestick": "digits-lut-small",
    "icesugarnano": "digits-lut-small",
    "nandlandgo": "digits-lut-small",
    "ulx3s-25f": "digits-lut-compact",
}
"""Boards with a bitstream that is a network of look-up tables, and which."""

SPIKING_NETWORKS = {"ulx3s-25f": "digits-spiking"}
"""Boards with a bitstream that is a spiking network, and which."""

REPOSITORY = Path(__file__).parents[3]
FOLDER = REPOSITORY / "bitstreams"
PICTURES = REPOSITORY / "docs" / "boards"


def ship(
    board: str,
    folder: Path,
    seeds: Sequence[int],
    picture: Path | None = None,
    network: str | None = None,
    wire: Wire = Wire.UART,
) -> Manifest:
    """Build the bitstream of `board` and put it into `folder` with its manifest.

    picture: where the picture of the placement goes, if anywhere.
    network: of look-up tables or a spiking one, which the bitstream is, by name; None for an
        engine.
    wire: between host and chip.

    Raises what `build` raises, and BuildError if the clock is met by less than `MIN_SPARE`.
    """
    with temporary_folder() as work:
        report = build(BuildSettings(board, seeds=tuple(seeds), network=network, wire=wire), work)
        if report.spare < MIN_SPARE:
            raise BuildError(
                f"The clock of {board} is met by {report.spare:.1%} only, and a bitstream that "
                f"ships needs {MIN_SPARE:.0%}; try more --seeds, or lower the clock of its part."
            )
        bitstream = report.bitstream.read_bytes()
        if picture is not None:
            placement = report.picture.read_bytes()
            picture.parent.mkdir(parents=True, exist_ok=True)
            write_whole(picture, lambda file: file.write(placement))
    manifest = _manifest(report, bitstream)
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / manifest.bitstream, lambda file: file.write(bitstream))
    write_text(folder / MANIFEST, manifest.to_json())
    return manifest


def _manifest(report: BuildReport, bitstream: bytes) -> Manifest:
    board = find_board(report.board)
    command = f"stepnet build --board {report.board} --seed {report.seed}"
    if report.wire != Wire.UART:
        command += f" --wire {report.wire}"
    if report.network is not None:
        command += f" --network {report.network}"
        engine, buffer_bytes = {}, _buffer_bytes(report.network, board)
    else:
        engine, buffer_bytes = dataclasses.asdict(board.settings.shape), board.settings.buffer_bytes
    return Manifest(
        board=report.board,
        part=report.part,
        bitstream=report.bitstream.name,
        sha256=hashlib.sha256(bitstream).hexdigest(),
        engine=engine,
        buffer_bytes=buffer_bytes,
        clock_hz=report.clock_hz,
        max_frequency_hz=report.max_frequency_hz,
        baud=report.baud,
        utilisation=report.utilisation,
        seed=report.seed,
        tools=report.tools,
        source_digest=report.plan_digest,
        command=command,
        network=report.network,
        wire=report.wire,
        pins=report.pins if report.wire != Wire.UART else {},
    )


def _buffer_bytes(network: str, board: BoardType) -> int:
    """The receive buffer of the chip that is a network."""
    if network in SPIKING_NETWORKS.values():
        return spiking_chip(load_spiking_network(network), board).buffer_bytes
    return table_chip(load_lut_network(network), board.part).buffer_bytes


def main() -> None:
    """Build and report in a line each; 1 at the end if one failed."""
    parser = argparse.ArgumentParser(description="Make the bitstreams that come with Stepnet.")
    parser.add_argument("boards", nargs="*", metavar="BOARD")
    kinds = parser.add_mutually_exclusive_group()
    kinds.add_argument(
        "--tables", action="store_true", help="those that are a network of look-up tables"
    )
    kinds.add_argument("--spiking", action="store_true", help="those that are a spiking network")
    parser.add_argument("--seeds", type=int, default=4, help="of place and route; the best counts")
    arguments = parser.parse_args()
    failed = False
    seeds = range(1, arguments.seeds + 1)
    folder_name, networks = "", {}
    if arguments.tables:
        folder_name, networks = TABLES, TABLE_NETWORKS
    elif arguments.spiking:
        folder_name, networks = SPIKING, SPIKING_NETWORKS
    for board in arguments.boards or networks or BOARDS:
        try:
            if networks:
                picture = PICTURES / f"{board}-{folder_name}.png"
                folder = FOLDER / folder_name / board
                manifest = ship(board, folder, seeds, picture, networks[board])
            else:
                manifest = ship(board, FOLDER / board, seeds, PICTURES / f"{board}.png")
        except BuildError as error:
            print(error, file=sys.stderr)
            failed = True
            continue
        spare = manifest.max_frequency_hz / manifest.clock_hz - 1
        print(
            f"{board}: {manifest.clock_hz / 1e6:g} MHz, reaches "
            f"{manifest.max_frequency_hz / 1e6:.1f} MHz ({spare:.0%} to spare)",
            flush=True,
        )
    sys.exit(failed)


if __name__ == "__main__":
    main()
