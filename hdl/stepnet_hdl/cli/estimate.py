"""`stepnet estimate`: which engine suits a network and a board, before anything is built."""

from __future__ import annotations

import dataclasses
import json
import shlex
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stepnet_hdl.cli.requirements import require_amaranth
from stepnet_hdl.estimation.goal import Goal

if TYPE_CHECKING:
    from stepnet.cores.mac.program import MacNetwork
    from stepnet.networks.lut import LutNetwork
    from stepnet.networks.spiking import SpikingNetwork
    from stepnet_hdl.boards.catalogue import BoardType
    from stepnet_hdl.estimation.engine_choice import Candidate, EngineChoice

UNBROKEN_COLUMNS = 1000
"""Wider than the table: a row stays one line, wherever it is printed to."""

CHOSEN = "*"


def estimate(
    board: Annotated[
        str, typer.Option(help="Name from `stepnet boards`, or module:Class of your own platform.")
    ] = "icebreaker",
    network: Annotated[str, typer.Option(help="A shipped network, or a .npz file.")] = "digits",
    goal: Annotated[
        Goal,
        typer.Option(help="Most images per second, or the smallest that keeps up with the link."),
    ] = Goal.IMAGES,
    baud: Annotated[
        int | None,
        typer.Option(
            min=1, help="Bits per second on the serial line; the board's own if not given."
        ),
    ] = None,
    simd: Annotated[
        int | None, typer.Option(help="Pick among engines of this SIMD only, a multiple of 8.")
    ] = None,
    pe: Annotated[int | None, typer.Option(help="Pick among engines of this PE only.")] = None,
    json_output: Annotated[
        bool, typer.Option("--json", help="Print one JSON object instead of a table.")
    ] = False,
) -> None:
    """Pick the engine for a network on a board, and tell size and speed before it is built.

    `stepnet build` with the same --goal, --simd and --pe builds the one that is marked. The board
    needs no UART.

    Of any other network than one of step neurons, which has a chip of its own, it tells those of
    that chip; then --goal means nothing.
    """
    require_amaranth()
    from stepnet.cores.mac.program import MacNetwork
    from stepnet.networks.lut import LutNetwork
    from stepnet.networks.shipped import load_any_network
    from stepnet.networks.spiking import SpikingNetwork
    from stepnet_hdl.boards.catalogue import find_board
    from stepnet_hdl.estimation.engine_choice import board_with, choose_engine

    loaded = load_any_network(network)
    if isinstance(loaded, LutNetwork):
        _tell_tables(loaded, board, baud, json_output)
        return
    where = find_board(board, needs_uart=False)
    if isinstance(loaded, MacNetwork | SpikingNetwork):
        _tell_core(loaded, where, baud, json_output)
        return
    found = choose_engine(loaded, where, goal, baud, simd=simd, pe=pe)
    if json_output:
        typer.echo(json.dumps(_as_json(found)))
        return
    _show(found)
    words = ["stepnet", "build", "--board", board, "--goal", goal]
    words += [] if simd is None else ["--simd", str(simd)]
    words += [] if pe is None else ["--pe", str(pe)]
    words += [] if network == "digits" else ["--engine-for", network]
    shape, clock_hz = where.settings.shape, where.clock_hz_for(baud or where.baud)
    picked = board_with(found, where)
    picked_hz = picked.clock_hz_for(baud or picked.baud)
    typer.echo(
        f"`{shlex.join(words)}` builds the one marked {CHOSEN}, for {picked_hz / 1e6:g} MHz; "
        f"without a goal it is SIMD {shape.simd}, PE {shape.pe} for {clock_hz / 1e6:g} MHz, which "
        "suits the part."
    )


def _tell_tables(network: LutNetwork, board: str, baud: int | None, json_output: bool) -> None:
    """Raises BuildError if the network does not fit the board."""
    from stepnet_hdl.boards.catalogue import find_board
    from stepnet_hdl.boards.table_chips import check_tables
    from stepnet_hdl.estimation.table_size import table_estimate

    where = find_board(board, needs_uart=False)
    check_tables(network, where)
    found = table_estimate(network, where, baud)
    if json_output:
        fields = {
            "board": found.board,
            "network": found.network,
            "core": found.chip.core,
            "part": found.chip.part.name,
            "luts": found.chip.luts,
            "block_rams": found.chip.block_rams,
            "clock_hz": found.clock_hz,
            "latency_cycles": found.latency_cycles,
            "link_images_per_s": found.link_images_per_s,
        }
        typer.echo(json.dumps(fields))
        return
    typer.echo(
        f"Network {found.network} on {found.board} ({found.chip.part.name}): {found.chip.core}."
    )
    for name, (used, available) in found.shares.items():
        typer.echo(f"  {name:<12}{used:,} of {available:,}")
    typer.echo(f"  {'clock':<12}{found.clock_hz / 1e6:g} MHz")
    typer.echo(
        f"  {'latency':<12}{found.latency_cycles:,} cycles, {found.latency_s * 1e6:.1f} us from "
        "the last pixel to the register"
    )
    typer.echo(f"  {'link':<12}{found.link_images_per_s:,.0f} images/s")


def _tell_core(
    network: MacNetwork | SpikingNetwork, board: BoardType, baud: int | None, json_output: bool
) -> None:
    """Raises BuildError if the network does not fit the board."""
    from stepnet_hdl.estimation.core_size import core_estimate

    found = core_estimate(network, board, baud)
    if json_output:
        fields = dataclasses.asdict(found)
        fields |= {"part": found.part.name, "images_per_s": found.images_per_s}
        typer.echo(json.dumps(fields))
        return
    typer.echo(f"Network {found.network} on {found.board} ({found.part.name}): {found.core}.")
    for name, (used, available) in found.shares.items():
        typer.echo(f"  {name:<18}{used:,} of {available:,}")
    typer.echo(f"  {'clock':<18}{found.clock_hz / 1e6:g} MHz")
    typer.echo(f"  {'cycles':<18}{found.cycles:,.0f}")
    typer.echo(f"  {'images/s':<18}{found.images_per_s:,.0f}")
    typer.echo(f"  {'link':<18}{found.link_images_per_s:,.0f} images/s")


def _as_json(found: EngineChoice) -> dict[str, Any]:
    return {
        "board": found.board,
        "network": found.network,
        "goal": found.goal,
        "chosen": _choice_as_json(found.chosen),
        "neighbours": [_choice_as_json(choice) for choice in found.neighbours],
    }


def _choice_as_json(choice: Candidate) -> dict[str, Any]:
    return {
        **dataclasses.asdict(choice.estimate),
        **dataclasses.asdict(choice.performance),
        "too_small": choice.estimate.too_small,
    }


def _show(found: EngineChoice) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("")
    for heading in (
        "SIMD",
        "PE",
        "lanes",
        "overlap",
        *(["windows"] if found.chosen.shape.map_words else []),
        *(f"{name} of {available:,}" for name, (_, available) in _present(found.chosen).items()),
        "flip-flops",
        "engine's LUTs",
        "engine's block RAMs",
        "clock (MHz)",
        "cycles",
        "latency (us)",
        "images/s",
        "link images/s",
    ):
        table.add_column(heading, justify="right")
    table.add_column("does not fit")
    for choice in sorted(
        (found.chosen, *found.neighbours), key=lambda choice: -choice.performance.images_per_s
    ):
        chosen = choice is found.chosen
        table.add_row(
            CHOSEN if chosen else "", *_cells(choice, found.chosen), style="bold" if chosen else ""
        )
    console = Console(width=UNBROKEN_COLUMNS)
    console.print(
        f"Network {found.network} on {found.board} ({found.chosen.estimate.part}), "
        f"goal {found.goal}: SIMD {found.chosen.shape.simd}, PE {found.chosen.shape.pe}.",
        highlight=False,
    )
    console.print(table)


def _present(chosen: Candidate) -> dict[str, tuple[int, int]]:
    """Return how many of each resource are taken and available, for those the part has at all."""
    shares = chosen.estimate.shares.items()
    return {name: share for name, share in shares if share[1]}


def _cells(choice: Candidate, chosen: Candidate) -> list[str]:
    shape, speed = choice.shape, choice.performance
    shares = choice.estimate.shares
    return [
        str(shape.simd),
        str(shape.pe),
        str(shape.parameter_lanes),
        "yes" if shape.overlap_neurons else "no",
        *([str(shape.map_windows)] if shape.map_words else []),
        *(f"{shares[name][0]:,}" for name in _present(chosen)),
        f"{choice.estimate.flip_flops:,}",
        f"{choice.estimate.engine_luts:,}",
        f"{choice.estimate.engine_block_rams:,}",
        f"{speed.frequency_hz / 1e6:.1f}",
        f"{speed.cycles:,}",
        f"{speed.latency_s * 1e6:.1f}",
        f"{speed.images_per_s:,.0f}",
        f"{speed.link_images_per_s:,.0f}",
        choice.estimate.too_small or "",
    ]
