"""Makes the bitstreams that come with Stepnet.

    python -m stepnet_hdl.shipping.ship [--convolutions | --tables | --spiking] [--seeds N] [BOARD]

Without a board, all of `BOARDS`, one after the other: about an hour on two cores; with
--convolutions all of `CONVOLVING_NETWORKS`, with --tables all of `TABLE_NETWORKS`, with --spiking
all of `SPIKING_NETWORKS`. What a board's folder held before is
replaced when its bitstream is ready. The pictures of the placement go to docs/boards, for
`python -m stepnet_hdl.shipping.boards_page`, which is to be run next.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import sys
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

from stepnet.errors import BuildError
from stepnet.files import write_text, write_whole
from stepnet.networks.shipped import load_lut_network, load_spiking_network
from stepnet.temporary import temporary_folder
from stepnet_hdl.boards.catalogue import BoardType, find_board
from stepnet_hdl.boards.spiking_chips import spiking_chip
from stepnet_hdl.boards.table_chips import table_chip
from stepnet_hdl.boards.wire import Wire
from stepnet_hdl.flow.build import BuildSettings, EngineWish, board_of, build
from stepnet_hdl.flow.clock_search import MIN_SPARE
from stepnet_hdl.flow.report import BuildReport
from stepnet_hdl.shipping.manifest import (
    CONVOLUTIONS,
    ENGINES,
    MANIFEST,
    SPIKING,
    TABLES,
    Manifest,
)

BOARDS = (
    *("icebreaker", "icesugar", "ice40hx8kbevn"),
    *("ulx3s-12f", "ulx3s-25f", "ulx3s-85f", "ecpix545", "icepizero1-3"),
    "tangnano9k",
)

CONVOLVING_NETWORKS = {
    "icebreaker": ("digits-conv-open", "ascii-conv"),
    "ulx3s-25f": ("digits-conv-open",),
}
"""Boards with a bitstream whose engine takes convolutions, and the networks that it is made for:
picked for the first, and with memories for the others."""

CONVOLVING_CLOCKS_HZ = {"icebreaker": 33_000_000, "ulx3s-25f": 87_500_000}
"""Of their boards, where place and route do not reach what the engine is picked for."""

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

KINDS = {
    CONVOLUTIONS: "those with an engine that takes convolutions",
    TABLES: "those that are a network of look-up tables",
    SPIKING: "those that are a spiking network",
}
"""The kinds of bitstreams that an option names, and what it says of itself."""

BOARDS_OF: Mapping[str, Collection[str]] = {
    ENGINES: BOARDS,
    CONVOLUTIONS: CONVOLVING_NETWORKS,
    TABLES: TABLE_NETWORKS,
    SPIKING: SPIKING_NETWORKS,
}

REPOSITORY = Path(__file__).parents[3]
FOLDER = REPOSITORY / "bitstreams"
PICTURES = REPOSITORY / "docs" / "boards"


def settings_of(board: str, kind: str = ENGINES, seeds: Iterable[int] = (1,)) -> BuildSettings:
    """What makes the bitstream of this kind that comes for a board.

    kind: ENGINES, CONVOLUTIONS, TABLES or SPIKING.

    Raises BuildError if none of this kind comes for the board.
    """
    if board not in BOARDS_OF[kind]:
        such = "with an engine" if kind == ENGINES else f"of the kind {kind!r}"
        raise BuildError(
            f"No bitstream {such} comes for {board!r}; choose one of {', '.join(BOARDS_OF[kind])}."
        )
    settings = BuildSettings(board, seeds=tuple(seeds))
    if kind == CONVOLUTIONS:
        return dataclasses.replace(
            settings,
            engine=EngineWish(networks=CONVOLVING_NETWORKS[board]),
            clock_hz=CONVOLVING_CLOCKS_HZ.get(board),
        )
    networks = {TABLES: TABLE_NETWORKS, SPIKING: SPIKING_NETWORKS}.get(kind, {})
    return dataclasses.replace(settings, network=networks.get(board))


def ship(settings: BuildSettings, folder: Path, picture: Path | None = None) -> Manifest:
    """Build a bitstream and put it into `folder` with its manifest.

    settings: among them the network of look-up tables or the spiking one that it is, if it is no
        engine.
    picture: where the picture of the placement goes, if anywhere.

    Raises what `build` raises, and BuildError if the clock is met by less than `MIN_SPARE`.
    """
    with temporary_folder() as work:
        report = build(settings, work)
        if report.spare < MIN_SPARE:
            raise BuildError(
                f"The clock of {report.board} is met by {report.spare:.1%} only, and a bitstream "
                f"that ships needs {MIN_SPARE:.0%}; try more --seeds, or lower the clock of its "
                "part."
            )
        bitstream = report.bitstream.read_bytes()
        if picture is not None:
            placement = report.picture.read_bytes()
            picture.parent.mkdir(parents=True, exist_ok=True)
            write_whole(picture, lambda file: file.write(placement))
    manifest = _manifest(report, bitstream, settings)
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / manifest.bitstream, lambda file: file.write(bitstream))
    write_text(folder / MANIFEST, manifest.to_json())
    return manifest


def _manifest(report: BuildReport, bitstream: bytes, settings: BuildSettings) -> Manifest:
    board = board_of(settings, None) if report.network is None else find_board(report.board)
    command = f"stepnet build --board {report.board} --seed {report.seed}"
    if report.wire != Wire.UART:
        command += f" --wire {report.wire}"
    if settings.clock_hz is not None:
        command += f" --clock-mhz {settings.clock_hz / 1e6:g}"
    if settings.engine is not None:
        command += f" --goal {settings.engine.goal} --engine-for "
        command += ",".join(settings.engine.networks)
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
    for kind, told in KINDS.items():
        kinds.add_argument(f"--{kind}", dest="kind", action="store_const", const=kind, help=told)
    parser.add_argument("--seeds", type=int, default=4, help="of place and route; the best counts")
    arguments = parser.parse_args()
    kind = arguments.kind or ENGINES
    failed = False
    for board in arguments.boards or BOARDS_OF[kind]:
        name = board if kind == ENGINES else f"{board}-{kind}"
        try:
            settings = settings_of(board, kind, range(1, arguments.seeds + 1))
            manifest = ship(settings, FOLDER / kind / board, PICTURES / f"{name}.png")
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
