"""The commands that this package adds to `stepnet`: sim and verify."""

from __future__ import annotations

import json
from collections.abc import Generator
from contextlib import closing, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stepnet.cli.options import (
    VIRTUAL_BOARD,
    BaudOption,
    PeOption,
    SimdOption,
    UartOption,
    with_engine,
)
from stepnet.cli.output import Progress, announce
from stepnet.cli.tokens import NoTokenOption, TokenOption, chosen_token
from stepnet.link.serial_line import byte_cycles, divisor_for
from stepnet.printable import printable

if TYPE_CHECKING:
    from stepnet.networks.kinds import AnyNetwork
    from stepnet_sim.benches.own_bench import BenchRun
    from stepnet_sim.chips.design import Design
    from stepnet_sim.chips.served import RestingLink
    from stepnet_sim.verification.ladder import Outcome


MARKER = ".stepnet-verify"
"""The file in a folder of `stepnet verify` that says that its content may be removed."""


def sim(
    listen: Annotated[
        str | None, typer.Option(help="host:port to listen at, such as 127.0.0.1:4000.")
    ] = None,
    pty: Annotated[
        bool, typer.Option("--pty", help="Serve at a pseudo-terminal, as a serial port would be.")
    ] = False,
    network: Annotated[
        str | None,
        typer.Option(help="A shipped network, or a .npz file, that the board holds already."),
    ] = None,
    like: Annotated[
        str | None,
        typer.Option(
            help="Be like a board of `stepnet boards`; if not given, like the iCEBreaker, with "
            "larger memories where --network needs them."
        ),
    ] = None,
    simd: SimdOption = None,
    pe: PeOption = None,
    uart: UartOption = False,
    baud: BaudOption = None,
    public: Annotated[
        bool, typer.Option("--public", help="Let --listen take an address for other machines.")
    ] = False,
    once: Annotated[
        bool,
        typer.Option(
            "--once", help="With --listen: end when the first client that got it has left."
        ),
    ] = False,
    token: TokenOption = None,
    no_token: NoTokenOption = False,
) -> None:
    """Serve the virtual board at a socket or a pseudo-terminal, until Ctrl-C.

    A socket takes one client after the other; one that comes meanwhile is turned away and told why.
    With --public a token is made up and shown if none is given. The board keeps its network from
    one client to the next.
    """
    if pty == (listen is not None):
        raise typer.BadParameter("give one of --listen and --pty.", param_hint="--listen")
    if pty and once:
        raise typer.BadParameter(
            "a terminal has no clients to count; use --once with --listen.", param_hint="--once"
        )
    from stepnet.cores.engine.memory_image import check_fits
    from stepnet.link.share import Share, shared_at
    from stepnet.link.share import listen as listen_at
    from stepnet.networks.network import Network
    from stepnet.networks.shipped import load_any_network
    from stepnet_sim.chips.design import design_for
    from stepnet_sim.chips.served import Terminal

    token, made_up = chosen_token(token, public=public, no_token=no_token)
    loaded = None if network is None else load_any_network(network)
    if like and (simd or pe):
        raise typer.BadParameter(
            f"a board like {like} has an engine as wide as it is; leave --like or --simd and --pe "
            "out.",
            param_hint="--like",
        )
    kind = like or with_engine(VIRTUAL_BOARD, simd, pe).partition(":")[2]
    design = design_for(loaded, kind, uart=uart, baud=baud)
    if isinstance(loaded, Network):
        check_fits(loaded, design.shape)
    if listen is None:
        with Terminal() as terminal, _started(design, loaded) as link:
            announce(f"The virtual board is at {terminal.where}; Ctrl-C ends it")
            terminal.serve(link)
    else:
        with listen_at(listen, public=public) as listener, _started(design, loaded) as link:
            share = Share(lambda: link, listener, token=token, report=announce)
            url = shared_at(listener, token if made_up else None)
            announce(f"The virtual board is at {url}; Ctrl-C ends it")
            if public and token is None:
                announce("No token is asked for, so whoever reaches this machine can use the board")
            share.serve(once=once)


@contextmanager
def _started(design: Design, network: AnyNetwork | None) -> Generator[RestingLink]:
    """A virtual board with `network` on it, until the end of the `with` block."""
    from stepnet_sim.chips.served import RestingLink, load
    from stepnet_sim.chips.virtual_board import start

    with Progress() as progress:
        chip = start(design, progress)
    divisor = divisor_for(design.clock_hz, design.baud) if design.uart else None
    cycles_per_byte = byte_cycles(divisor) if divisor else 0
    with closing(RestingLink(chip, cycles_per_byte)) as link:
        if network is not None:
            load(link, network)
        yield link


def verify(
    level: Annotated[
        list[str] | None,
        typer.Option(
            help="blocks, chip, proofs, netlist or bitstream; more than once for several, else all."
        ),
    ] = None,
    board: Annotated[
        list[str] | None,
        typer.Option(help="Boards whose bitstreams are run; icebreaker if none is given."),
    ] = None,
    bench: Annotated[
        list[str] | None,
        typer.Option(
            help="Run one bench and no level: popcount, uart, engine, chip or pipeline, a file of "
            "your own, or a folder with files bench_*.py. More than once for several."
        ),
    ] = None,
    waves: Annotated[
        bool, typer.Option("--waves", help="With --bench: record every signal, for GTKWave.")
    ] = False,
    output: Annotated[
        Path, typer.Option(help="Folder for logs, coverage, counterexamples and waves.")
    ] = Path("build", "verify"),
    json_output: Annotated[
        bool, typer.Option("--json", help="Print one JSON object instead of tables.")
    ] = False,
) -> None:
    """Check the gateware against the reference, level by level of the verification ladder; or run
    single benches.

    Ends with 1 if anything disagrees.
    """
    from stepnet_sim.verification.ladder import LEVELS

    if bench:
        if level or board:
            raise typer.BadParameter(
                "it runs benches and no level; leave --level and --board out.", param_hint="--bench"
            )
        _verify_benches(bench, output, waves, json_output)
        return
    if waves:
        raise typer.BadParameter(
            "it records what a bench does; give --bench too.", param_hint="--waves"
        )
    names = list(dict.fromkeys(level or LEVELS))
    for name in names:
        if name not in LEVELS:
            raise typer.BadParameter(
                f"there is no level {name!r}; choose one of {', '.join(LEVELS)}.",
                param_hint="--level",
            )
    if board and "bitstream" not in names:
        raise typer.BadParameter(
            "it belongs to the level bitstream; give --level bitstream too.", param_hint="--board"
        )
    found: dict[str, list[Outcome]] = {}
    for name in names:
        found[name] = _run_level(name, output / name, board or [])
        if not json_output:
            _show_outcomes(name, found[name])
    agree = all(outcome.agrees for outcomes in found.values() for outcome in outcomes)
    if json_output:
        levels = {name: [asdict(outcome) for outcome in found[name]] for name in names}
        typer.echo(json.dumps({"agree": agree, "levels": levels}))
    if not agree:
        raise typer.Exit(1)


def _verify_benches(names: list[str], output: Path, waves: bool, json_output: bool) -> None:
    """Run benches by their names, files or folders; see `verify`."""
    import warnings

    from amaranth.hdl import UnusedElaboratable

    from stepnet_sim.benches.named import find_benches

    # What a component that fails has made in vain is no news beside why it fails.
    warnings.simplefilter("ignore", UnusedElaboratable)
    runs: list[BenchRun] = []
    for bench in find_benches(names):
        _claim(folder := output / "benches" / bench.name)
        with Progress() as progress:
            runs.append(bench.run(folder, progress, waves=waves))
        if not json_output:
            typer.echo("\n".join(map(printable, str(runs[-1]).splitlines())))
    failed = any(run.failed for run in runs)
    if json_output:
        benches = {run.name: [asdict(test) for test in run.tests] for run in runs}
        typer.echo(json.dumps({"agree": not failed, "benches": benches}))
    elif failed and not waves:
        typer.echo("With --waves every signal is recorded, so that you can look where it begins.")
    if failed:
        raise typer.Exit(1)


def _claim(folder: Path) -> None:
    from stepnet.errors import BuildError
    from stepnet.files import claim_folder

    try:
        claim_folder(folder, MARKER)
    except OSError as error:
        raise BuildError(
            f"The folder {str(folder)!r} cannot be used ({error.strerror}); name another with "
            "--output."
        ) from error


def _run_level(name: str, folder: Path, boards: list[str]) -> list[Outcome]:
    from stepnet_sim.verification import ladder

    _claim(folder)
    with Progress() as progress:
        return list(ladder.level(name).run(folder, progress, boards))


def _show_outcomes(name: str, outcomes: list[Outcome]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, header_style="bold", title=name, title_justify="left")
    for heading in ("what", "against", "cases"):
        table.add_column(heading)
    for heading in ("cycles", "seconds"):
        table.add_column(heading, justify="right")
    table.add_column("result")
    for outcome in outcomes:
        table.add_row(
            outcome.what,
            outcome.against,
            outcome.cases,
            "" if outcome.cycles is None else f"{outcome.cycles:,}",
            f"{outcome.seconds:.1f}",
            printable(outcome.disagreement or "agrees"),
        )
    Console().print(table)
