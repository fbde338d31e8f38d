"""`stepnet flash`: a bitstream into a board."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stepnet.errors import BoardError, BuildError

if TYPE_CHECKING:
    from stepnet.boards.identity import Identity
    from stepnet.boards.search import Connected
    from stepnet_hdl.shipping.manifest import Manifest


def flash(
    board: Annotated[str, typer.Option(help="Name from `stepnet boards`.")] = "icebreaker",
    network: Annotated[
        str | None,
        typer.Option(help="Then load a shipped network, or a .npz file."),
    ] = None,
    bitstream: Annotated[
        Path | None,
        typer.Option(help="A bitstream of your own; the one that comes with Stepnet if not given."),
    ] = None,
    port: Annotated[
        str | None,
        typer.Option(help="Serial port of the board; found by its USB id if not given."),
    ] = None,
    baud: Annotated[
        int | None,
        typer.Option(
            min=1, help="Bits per second that the bitstream was built for; found if not given."
        ),
    ] = None,
    until_power_off: Annotated[
        bool,
        typer.Option(
            "--until-power-off", help="Program the FPGA itself, not the flash memory beside it."
        ),
    ] = False,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            help="Print the command, what would be loaded and whether it fits, and do nothing.",
        ),
    ] = False,
) -> None:
    """Program a board with openFPGALoader, and ask it who it is."""
    from stepnet_hdl.boards import programmers as programmer
    from stepnet_hdl.shipping.manifest import read_manifest

    manifest: Manifest | None = None
    if bitstream is None:
        folder = _folder_for(board, network)
        manifest = read_manifest(folder)
        bitstream, baud = folder / manifest.bitstream, manifest.baud
    elif not bitstream.is_file():
        raise BuildError(
            f"There is no bitstream {str(bitstream)!r}; make one with: stepnet build --board "
            f"{board}."
        )
    command = programmer.flash_command(board, bitstream, keep=not until_power_off)
    if dry_run:
        typer.echo(shlex.join(command))
        for line in _plan_in_words(board, manifest, network):
            typer.echo(f"# {line}")
        return
    from stepnet.cli.output import Progress

    with Progress() as progress:
        progress(f"Programming {board} with openFPGALoader")
        programmer.flash(board, command)
        progress("Asking the board who it is")
        where = port or _find_port(board, manifest, baud)
        _show_programmed(board, where, baud, network)


def _plan_in_words(board: str, manifest: Manifest | None, network: str | None) -> Iterator[str]:
    """What is programmed and loaded then, and how much of the engine's memory that takes, a line
    each. What does not fit a shipped bitstream has been refused before."""
    from stepnet.cores.engine.memory_image import memory_image
    from stepnet.networks.network import Network
    from stepnet.networks.shipped import load_any_network

    if manifest is not None and manifest.network is not None:
        yield f"The bitstream is the network {manifest.network!r}; nothing is loaded."
        return
    if manifest is not None:
        shape = manifest.shape
        yield (
            f"The bitstream that comes for {board}: an engine of SIMD {shape.simd} x PE {shape.pe} "
            f"at {manifest.clock_hz / 1e6:g} MHz, {manifest.baud:,} baud."
        )
    else:
        yield "A bitstream of your own; which engine it has, the board tells when it runs."
    if network is None:
        yield "Nothing is loaded; give --network for that."
        return
    loaded = load_any_network(network)
    if manifest is None or not isinstance(loaded, Network):
        yield f"Then {loaded.name!r} is loaded, if it fits that engine."
        return
    shape = manifest.shape
    image = memory_image(loaded, shape)
    words = len(image.weights) // shape.pe
    parameters = len(image.parameters) // shape.parameter_lanes
    yield (
        f"Then {loaded.name!r} is loaded, which fits: {words:,} of {shape.weight_words:,} weight "
        f"words, {parameters:,} of {shape.parameter_words:,} parameter words."
    )


def _folder_for(board: str, network: str | None) -> Path:
    """The folder of the shipped bitstream that can infer the network; BuildError if none can."""
    from stepnet.cores.mac.program import MacNetwork
    from stepnet.networks.lut import LutNetwork
    from stepnet.networks.shipped import load_any_network
    from stepnet.networks.spiking import SpikingNetwork
    from stepnet_hdl.boards.capacity import check_network
    from stepnet_hdl.shipping import manifest as shipped

    folder = shipped.shipped_folder(board)
    if network is None:
        return folder
    loaded = load_any_network(network)
    if isinstance(loaded, MacNetwork):
        raise BuildError(
            f"No bitstream with a multiply-accumulate core comes for {board}; build one for "
            f"{loaded.name!r} with: stepnet build --board {board} --network {network}, and name it "
            "with --bitstream."
        )
    if isinstance(loaded, SpikingNetwork):
        if board in shipped.shipped_boards(shipped.SPIKING):
            folder = shipped.folder_of(board, shipped.SPIKING)
            if shipped.read_manifest(folder).network == loaded.name:
                return folder
        raise BuildError(
            f"No bitstream that is the spiking network {loaded.name!r} comes for {board}; build "
            f"one with: stepnet build --board {board} --network {network}, and name it with "
            "--bitstream."
        )
    if not isinstance(loaded, LutNetwork):
        held = shipped.read_manifest(folder).network
        if held is not None:
            raise BuildError(
                f"The {board} is too small for an engine; the bitstream that comes for it is the "
                f"network {held!r} and cannot be loaded with {loaded.name!r}; leave out --network."
            )
        kind = shipped.ENGINES
        if loaded.convolves and board in shipped.shipped_boards(shipped.CONVOLUTIONS):
            kind = shipped.CONVOLUTIONS
        folders = {name: shipped.folder_of(name, kind) for name in shipped.shipped_boards(kind)}
        shapes = [(name, shipped.read_manifest(path).shape) for name, path in folders.items()]
        check_network(loaded, board, shapes)
        return folders[board]
    if board in shipped.shipped_boards(shipped.TABLES):
        folder = shipped.folder_of(board, shipped.TABLES)
        if shipped.read_manifest(folder).network == loaded.name:
            return folder
    raise BuildError(
        f"No bitstream that is {loaded.name!r} comes for {board}, and an engine cannot be loaded "
        f"with a network of look-up tables; build one with: stepnet build --board {board} "
        f"--network {network}, and name it with --bitstream."
    )


def _find_port(board: str, manifest: Manifest | None, baud: int | None) -> str:
    """The port at which a board answers, with the core of the manifest if there is one."""
    from stepnet.boards.search import connected_boards
    from stepnet.link.messages import Core

    def answers(connected: Connected) -> bool:
        identity = connected.identity
        if identity is None or manifest is None:
            return identity is not None
        if manifest.network is not None:
            return not identity.takes_loads
        return identity.core == Core.ENGINE and identity.shape == manifest.shape

    found = [connected.port for connected in connected_boards(baud=baud) if answers(connected)]
    if len(found) != 1:
        ports = f"at {' and '.join(found)}" if found else "at no serial port"
        raise BoardError(
            f"The board {board} was programmed, and Stepnet answers {ports}; name the board's with "
            "--port."
        )
    return found[0]


def _show_programmed(board: str, where: str, baud: int | None, network: str | None) -> None:
    from stepnet.boards.identity import MAC_CORES
    from stepnet.boards.search import identify
    from stepnet.link.messages import Core

    if network is not None:
        from stepnet.boards.board import open_board

        with open_board(where, network, baud=baud) as running:
            loaded = f"network {running.network.name}"
        identity = identify(where, baud=baud)
    else:
        identity = identify(where, baud=baud)
        loaded = _loaded_in_words(identity)
    core = f"engine of SIMD {identity.simd} x PE {identity.pe}"
    if identity.core in MAC_CORES:
        core = f"multiply-accumulate core of {identity.simd} lanes"
    if not identity.takes_loads:
        core = "a network of look-up tables"
    if identity.core == Core.SPIKING:
        core = "a spiking network"
    typer.echo(f"{board} at {where}: {core} at {identity.clock_hz / 1e6:g} MHz, {loaded}")


def _loaded_in_words(identity: Identity) -> str:
    from stepnet.boards.held_network import shipped_network

    if not identity.loaded:
        return "no network yet"
    held = shipped_network(identity)
    return f"network {held.name}" if held else "a network of one's own"
